//! The mail around an explanation: headers and multipart/alternative, 7-bit clean.
//!
//! Written by hand and not by lettre's builder, because every byte must follow from the input:
//! the journal keeps these bytes, and a second rendering of the same row gives the same mail.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Rendered, Reply, Settings, Texts, frame::Frame, safe, section::Conditions};
use crate::{
    bounce::Bounce,
    evidence::Finding,
    mail::{Mailbox, MessageId, mark},
    policy::ReplyPlan,
};

pub(super) fn build(
    texts: &Texts,
    settings: &Settings,
    plan: &ReplyPlan,
    cases: &[(Bounce, Vec<Finding>)],
    rendered: &Rendered,
    now: Timestamp,
) -> Reply {
    let to = plan.redirect_to.as_ref().unwrap_or(&plan.addressee);
    let identity = format!("{}#{}", plan.identity, plan.sequence);
    let id_domain = idna::domain_to_ascii(settings.from.domain()).unwrap_or_else(|_| "localhost".to_owned());
    let message_id = mark::message_id(&identity, &id_domain)
        .or_else(|| mark::message_id(&identity, "localhost"))
        .unwrap_or_else(|| unreachable!("hexadecimal digits at localhost are a Message-ID"));
    let name = settings.from_name.clone().unwrap_or_else(|| own_name(texts, settings, plan, now));
    let digest = Sha256::digest(message_id.to_string().as_bytes());
    // "=_" occurs in no base64 (RFC 2045 §6.7), so the boundary cannot stand in a body.
    let boundary = format!("=_wb_{}", base64(&digest[..12]).replace(['+', '/'], "_"));
    let language: Vec<&str> = plan.languages.iter().take(2).map(crate::mail::Language::as_str).collect();

    let mut out = String::with_capacity(rendered.text.len() * 2 + rendered.html.len() * 2);
    let mut header = |name: &str, value: &str| {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(value);
        out.push_str("\r\n");
    };
    header("From", &mailbox(Some(&name), &settings.from));
    header("To", &mailbox(None, to));
    if let Some(reply_to) = &settings.reply_to {
        header("Reply-To", &mailbox(None, reply_to));
    }
    header("Subject", &encoded_words(&safe::line(&rendered.subject, 300), "Subject: ".len()));
    header("Date", &now.to_zoned_datetime(settings.timezone.clone()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string());
    header("Message-ID", &message_id.to_string());
    // RFC 3834 §3.1.6: In-Reply-To is exactly the message answered to; RFC 5322 §3.6.4: References
    // are its references and then itself.
    if let Some(original) = plan.in_reply_to.as_ref().filter(|it| it.as_str().is_ascii()) {
        header("In-Reply-To", &original.to_string());
        header("References", &references(cases, original));
    }
    header("Auto-Submitted", "auto-replied"); // RFC 3834 §5
    header("X-Auto-Response-Suppress", "All");
    header("Precedence", "bulk");
    header("X-Whybounced", plan.reference_id.as_str());
    if !language.is_empty() && language.iter().all(|it| it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')) {
        header("Content-Language", &language.join(", "));
    }
    header("MIME-Version", "1.0");
    header("Content-Type", &format!("multipart/alternative;\r\n boundary=\"{boundary}\""));
    out.push_str("\r\n");
    for (kind, body) in [("plain", &rendered.text), ("html", &rendered.html)] {
        let _ = write!(out, "--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n");
        out.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        out.push_str(&base64_lines(body.replace('\n', "\r\n").as_bytes()));
    }
    let _ = write!(out, "--{boundary}--\r\n");
    Reply { message_id, to: to.clone(), bytes: out.into_bytes() }
}

fn own_name(texts: &Texts, settings: &Settings, plan: &ReplyPlan, now: Timestamp) -> String {
    let tag = plan.languages.first().map_or("en", crate::mail::Language::as_str);
    let frame = Frame::new(texts, settings, plan, tag, now);
    frame.line("from name", &Conditions::default(), &frame.common(None))
}

/// The original's own references, then the original; the first and the newest where there are many.
fn references(cases: &[(Bounce, Vec<Finding>)], original: &MessageId) -> String {
    let earlier = cases
        .iter()
        .find_map(|(bounce, _)| bounce.original.as_ref())
        .filter(|it| it.message_id.as_ref() == Some(original));
    let mut ids: Vec<&MessageId> = earlier.map(|it| it.references.iter().collect()).unwrap_or_default();
    ids.retain(|it| {
        *it != original && it.as_str().is_ascii() && it.as_str().len() <= 250 && !mark::is_our_message_id(it)
    });
    if ids.len() > 10 {
        let newest = ids.split_off(ids.len() - 9);
        ids.truncate(1);
        ids.extend(newest);
    }
    ids.push(original);
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join("\r\n ")
}

/// RFC 5322 §3.4 mailbox; the domain as A-labels, so that no server needs SMTPUTF8 for it.
fn mailbox(name: Option<&str>, address: &Mailbox) -> String {
    let domain = idna::domain_to_ascii(address.domain()).unwrap_or_else(|_| address.domain().to_owned());
    let address = format!("<{}@{domain}>", address.local());
    match name.map(|it| safe::line(it, 120)).filter(|it| !it.is_empty()) {
        Some(name) => format!("{}\r\n {address}", phrase(&name)),
        None => address,
    }
}

fn phrase(name: &str) -> String {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(&b)) && name.len() <= 60 {
        name.to_owned()
    } else {
        encoded_words(name, "From: ".len())
    }
}

/// RFC 2047 §5: plain ASCII as it is; else base64 words of whole characters, each line within 76.
fn encoded_words(text: &str, used: usize) -> String {
    if text.len() + used <= 76 && text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        // 45 octets are 60 characters of base64; with the frame of the word 72.
        let room = if words.is_empty() { 45 - used.min(20) } else { 45 };
        if chunk.len() + c.len_utf8() > room {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    words.iter().map(|it| format!("=?utf-8?B?{}?=", base64(it.as_bytes()))).collect::<Vec<_>>().join("\r\n ")
}

/// RFC 2045 §6.8: lines of 76 characters.
fn base64_lines(bytes: &[u8]) -> String {
    bytes.chunks(57).map(|it| base64(it) + "\r\n").collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let octet = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        for index in 0..4 {
            if index <= chunk.len() {
                let six = (group >> (18 - 6 * index)) & 63;
                out.push(char::from(ALPHABET[six as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let all: Vec<String> =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].iter().map(|it| base64(it.as_bytes())).collect();
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn a_subject_is_cut_into_words_of_whole_characters() {
        let subject = "未送达：wang.xm@buyer.example.cn 无此邮箱（关于十一月订单的报价单）";
        let encoded = encoded_words(subject, "Subject: ".len());
        assert!(encoded.split("\r\n").all(|line| line.len() <= 76 && line.is_ascii()));
        let message = format!("Subject: {encoded}\r\n\r\n");
        let parsed = mail_parser::MessageParser::default().parse(message.as_bytes()).expect("headers");
        assert_eq!(parsed.subject(), Some(subject));
    }
}
