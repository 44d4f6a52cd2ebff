//! Letters of the staff and bounces of them, made by ourselves.

use super::DOMAIN;

/// A letter that a person wrote.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// The author's address.
    pub(crate) from: String,
    /// The recipient's address.
    pub(crate) to: String,
    /// The Subject field's body, as it stands in the message.
    pub(crate) subject: String,
    /// The Message-ID with its brackets.
    pub(crate) message_id: String,
    /// Further header lines, each with its line end.
    pub(crate) more: String,
}

impl Letter {
    /// A letter of `author` (a local part of ours) to `to`; `name` tells it from the story's others.
    pub(crate) fn new(author: &str, to: &str, name: &str) -> Self {
        Self {
            from: format!("{author}@{DOMAIN}"),
            to: to.to_owned(),
            // "Quotation" in Chinese, as mail programs write it.
            subject: format!("=?UTF-8?B?5oql5Lu35Y2V?= {name}"),
            message_id: format!("<{name}.{}@{DOMAIN}>", std::process::id()),
            more: String::new(),
        }
    }

    /// The header.
    pub(crate) fn head(&self) -> String {
        let Self { from, to, subject, message_id, more } = self;
        format!(
            "From: Chen Wei <{from}>\nTo: {to}\nSubject: {subject}\nMessage-ID: {message_id}\nDate: {}\n\
             User-Agent: Example Mail 5\n{more}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: 8bit\n",
            date()
        )
    }

    /// The whole message.
    pub(crate) fn text(&self) -> String {
        format!("{}\n您好，附上报价单，请查收。\nSECRET-BODY-WORDS\n", self.head())
    }
}

/// Now, as RFC 5322 §3.3 writes it.
pub(crate) fn date() -> String {
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_string(&jiff::Timestamp::now()).expect("a date")
}

/// A report as Postfix writes it (RFC 3464), for what a real Postfix would not make on demand.
#[derive(Clone, Debug)]
pub(crate) struct Bounce {
    letter: Letter,
    /// The enhanced status code.
    pub(crate) status: &'static str,
    /// What the other server said.
    pub(crate) diagnostic: String,
    /// `failed` or `delayed`.
    pub(crate) action: &'static str,
    /// Who reports.
    pub(crate) reporting_mta: String,
}

impl Bounce {
    /// The recipient of `letter` is unknown.
    pub(crate) fn of(letter: &Letter) -> Self {
        Self {
            letter: letter.clone(),
            status: "5.1.1",
            diagnostic: format!("550 5.1.1 <{}>: Recipient address rejected: User unknown", letter.to),
            action: "failed",
            reporting_mta: format!("mail.{DOMAIN}"),
        }
    }

    /// The message.
    pub(crate) fn text(&self) -> String {
        let Self { letter, status, diagnostic, action, reporting_mta } = self;
        let (to, from, head, date) = (&letter.to, &letter.from, letter.head(), date());
        format!(
            "Return-Path: <>\nFrom: MAILER-DAEMON@{reporting_mta} (Mail Delivery System)\nTo: {from}\n\
Subject: Undelivered Mail Returned to Sender\nDate: {date}\nAuto-Submitted: auto-replied\n\
Message-ID: <bounce.{}@{reporting_mta}>\nMIME-Version: 1.0\n\
Content-Type: multipart/report; report-type=delivery-status;\n boundary=\"A1/mail\"\n\nThis is a MIME-encapsulated message.\n\n\
--A1/mail\nContent-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\n\
This is the mail system at host {reporting_mta}.\n\nI'm sorry to have to inform you that your message could not\n\
be delivered to one or more recipients. It's attached below.\n\n<{to}>: host mx.example.net[192.0.2.25] said: {diagnostic}\n\
 (in reply to RCPT TO command)\n\n\
--A1/mail\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n\
Reporting-MTA: dns; {reporting_mta}\nArrival-Date: {date}\n\n\
Final-Recipient: rfc822; {to}\nOriginal-Recipient: rfc822;{to}\nAction: {action}\nStatus: {status}\n\
Remote-MTA: dns; mx.example.net\nDiagnostic-Code: smtp; {diagnostic}\n\n\
--A1/mail\nContent-Description: Undelivered Message Headers\nContent-Type: text/rfc822-headers\n\n\
Return-Path: <{from}>\nReceived: from desk.{DOMAIN} (unknown [192.0.2.7])\n by mail.{DOMAIN} (Postfix) with ESMTPSA id 4B1\n for <{to}>; {date}\n\
{head}\n--A1/mail--\n",
            letter.message_id.trim_matches(['<', '>']).replace('@', ".")
        )
    }
}
