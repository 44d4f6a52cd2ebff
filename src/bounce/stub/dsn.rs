//! Delivery status notifications (RFC 3464, RFC 6533): the machine-readable part of a report.
//!
//! Tolerant of what real reports lack: NetEase leaves out Reporting-MTA and the empty line between
//! the groups, others repeat groups without one, write names where addresses belong, or say
//! everything in comments. A code that does not stand there is never invented.

use jiff::Timestamp;

use super::original;
use crate::{
    bounce::{Action, Provenance, RecipientReport, text::codes},
    mail::{
        EnhancedStatusCode, Mailbox, Part,
        header::{Field, Headers},
        html::resolve_entities,
    },
};

/// What a report part says.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Reporting-MTA, lower-cased host name (RFC 3464 §2.2.2).
    pub(super) reporting_mta: Option<String>,
    /// Arrival-Date (RFC 3464 §2.2.5).
    pub(super) arrival_date: Option<Timestamp>,
    /// Original-Envelope-Id (RFC 3464 §2.2.1).
    pub(super) original_envelope_id: Option<String>,
    /// The envelope sender, where an extension field names it.
    pub(super) sender: Option<Mailbox>,
    /// Each recipient with a readable address.
    pub(super) recipients: Vec<RecipientReport>,
    /// What became of recipients whose address cannot be read.
    pub(super) nameless: Vec<Nameless>,
}

/// A group of which the address cannot be read.
#[derive(Debug)]
pub(super) struct Nameless {
    pub(super) action: Action,
    pub(super) status: Option<EnhancedStatusCode>,
    pub(super) diagnostic: Option<String>,
    pub(super) remote_mta: Option<String>,
}

/// Whether a part is such a report, by its type.
pub(super) fn is_report(part: &Part) -> bool {
    matches!(part.content_type(), "message/delivery-status" | "message/global-delivery-status")
}

/// Reads one report part.
pub(super) fn read(part: &Part) -> Report {
    let bytes = part.bytes();
    let mut report = Report::default();
    let mut group: Vec<Field> = Vec::new();
    for block in blocks(&bytes) {
        for field in Headers::parse(block).iter() {
            let begins = field.name.eq_ignore_ascii_case("final-recipient")
                || field.name.eq_ignore_ascii_case("original-recipient");
            let repeats = group.iter().any(|it| it.name.eq_ignore_ascii_case(&field.name));
            if begins && repeats {
                report.group(&std::mem::take(&mut group));
            }
            group.push(field.clone());
        }
        report.group(&std::mem::take(&mut group));
    }
    report
}

/// Groups between empty lines.
fn blocks(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut found, mut from, mut at) = (Vec::new(), 0, 0);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        if line.iter().all(u8::is_ascii_whitespace) {
            found.push(&bytes[from..at]);
            from = at + line.len();
        }
        at += line.len();
    }
    found.push(&bytes[from..]);
    found.retain(|block| !block.is_empty());
    found
}

impl Report {
    fn group(&mut self, fields: &[Field]) {
        let first =
            |name: &str| fields.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| it.value.as_str());
        self.reporting_mta = self.reporting_mta.take().or_else(|| first("reporting-mta").and_then(host));
        self.arrival_date = self.arrival_date.or_else(|| first("arrival-date").and_then(original::date));
        self.original_envelope_id =
            self.original_envelope_id.take().or_else(|| first("original-envelope-id").map(str::to_owned));
        let sender = ["x-postfix-sender", "x-sender", "x-original-sender"].into_iter().find_map(first);
        self.sender = self.sender.take().or_else(|| sender.and_then(address));
        let (last, original) = (first("final-recipient"), first("original-recipient"));
        if last.is_none() && original.is_none() {
            return;
        }
        let diagnostic = first("diagnostic-code").and_then(diagnostic);
        let status = status(first("status"), diagnostic.as_deref());
        let action = action(first("action"), status);
        let remote_mta = first("remote-mta").and_then(host);
        let typed = original.and_then(address);
        // Where the final address is a name without a domain, what the author typed is better.
        let actual = || first("x-actual-recipient").and_then(address);
        let Some(final_recipient) = last.and_then(address).or_else(|| typed.clone()).or_else(actual) else {
            self.nameless.push(Nameless { action, status, diagnostic, remote_mta });
            return;
        };
        let gave_up = status.is_some_and(|it| it.subject() == 4 && it.detail() == 7);
        self.recipients.push(RecipientReport {
            original_recipient: typed.filter(|it| !it.same_mailbox(&final_recipient)),
            final_recipient,
            action,
            status,
            reply_code: diagnostic.as_deref().and_then(codes::reply_code),
            diagnostic,
            remote_mta,
            last_attempt_date: first("last-attempt-date").and_then(original::date),
            will_retry_until: first("will-retry-until").and_then(original::date),
            expired: gave_up && action == Action::Failed,
            provenance: Provenance::ReportField,
        });
    }
}

/// The value behind `type;` (RFC 3464 §2.1.2), and the type, lower-cased.
fn typed(value: &str) -> (String, &str) {
    match value.split_once(';') {
        Some((kind, rest)) if !kind.trim().contains([' ', '@']) => (kind.trim().to_ascii_lowercase(), rest.trim()),
        _ => (String::new(), value.trim()),
    }
}

/// The address of a recipient field: `rfc822; <a@b>`, `utf-8; \x{…}@b` (RFC 6533 §3).
fn address(value: &str) -> Option<Mailbox> {
    let (kind, text) = typed(value);
    let text = if kind == "utf-8" { unescape(text) } else { text.to_owned() };
    let text = match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => text[open + 1..close].to_owned(),
        _ => text,
    };
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    // `a@b (comment)` and `a@b a@b`.
    Mailbox::parse(text).or_else(|| Mailbox::parse(text.split_whitespace().next()?))
}

/// `\x{4E2D}` made a character again (RFC 6533 §3).
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        out.push_str(&rest[..at]);
        let after = &rest[at + 3..];
        let Some(end) = after.find('}') else { break };
        match u32::from_str_radix(&after[..end], 16).ok().and_then(char::from_u32) {
            Some(c) => out.push(c),
            None => out.push_str(&rest[at..at + 4 + end]),
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

/// The host of a name field: `dns; mx.example.com (192.0.2.1)`, lower-cased.
fn host(value: &str) -> Option<String> {
    let (_, text) = typed(value);
    let name = text.split([' ', '\t', '(', ',']).find(|it| !it.is_empty())?;
    let name = name.trim_matches(['<', '>', '"', '[', ']', '.']).to_lowercase();
    (!name.is_empty() && name != "unknown").then_some(name)
}

/// The words of Diagnostic-Code: entities resolved, the lines of a long reply joined.
fn diagnostic(value: &str) -> Option<String> {
    let (kind, text) = typed(value);
    // A type that is none is part of the words: `550 5.1.1; unknown`.
    let text = if kind.chars().any(|c| c.is_ascii_digit()) && !kind.starts_with("x-") { value } else { text };
    codes::one_line([resolve_entities(text).as_str()]).filter(|it| it.chars().any(char::is_alphanumeric))
}

/// Status, unless it says nothing (RFC 3463 §3.1) and the words say more.
fn status(field: Option<&str>, diagnostic: Option<&str>) -> Option<EnhancedStatusCode> {
    let written = field.and_then(|it| it.split([' ', '\t', '(', ',', ';']).find_map(|word| word.parse().ok()));
    let said = diagnostic.and_then(codes::status);
    match (written, said) {
        (Some(code), Some(said)) if EnhancedStatusCode::says_nothing(code) => Some(said),
        (Some(code), _) => Some(code),
        (None, said) => said,
    }
}

/// Action; where it is missing or none of RFC 3464 §2.3.3, what the class of Status says.
fn action(field: Option<&str>, status: Option<EnhancedStatusCode>) -> Action {
    let word = field.unwrap_or_default().trim().to_ascii_lowercase();
    let word = word.split(|c: char| !c.is_ascii_alphabetic()).find(|it| !it.is_empty()).unwrap_or_default();
    match word {
        "failed" | "failure" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ if status.is_some_and(|it| it.class() == 2) => Action::Delivered,
        _ => Action::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Mail;

    fn report(status: &str) -> Report {
        let mail = Mail::parse(format!("Content-Type: message/delivery-status\n\n{status}").as_bytes());
        read(mail.root())
    }

    #[test]
    fn one_report_may_mix_what_became_of_each() {
        let it = report(
            "Reporting-MTA: dns; MX.Corp.Example.cn\nArrival-Date: Mon, 16 Nov 2026 09:12:00 +0800\n\n\
             Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1 (no such user)\n\
             Remote-MTA: dns; mx.b.example (192.0.2.1)\nDiagnostic-Code: smtp; 550-5.1.1 unknown\n 550 5.1.1 user\n\n\
             Final-Recipient: rfc822;<C@D.example>\nAction: delivered\nStatus: 2.0.0\n",
        );
        assert_eq!(it.reporting_mta.as_deref(), Some("mx.corp.example.cn"));
        let [failed, delivered] = it.recipients.as_slice() else { panic!("two: {it:?}") };
        assert_eq!((failed.action, failed.reply_code.map(|it| it.get())), (Action::Failed, Some(550)));
        assert_eq!(failed.diagnostic.as_deref(), Some("550 5.1.1 unknown user"));
        assert_eq!(failed.remote_mta.as_deref(), Some("mx.b.example"));
        assert_eq!(
            (delivered.action, delivered.final_recipient.to_string().as_str()),
            (Action::Delivered, "C@d.example")
        );
    }

    #[test]
    fn groups_may_stand_without_an_empty_line_between() {
        let it = report(
            "Final-Recipient: RFC822; a@b.example\nAction: failed\nStatus: 5.0.0\n\
             Diagnostic-Code: SMTP; rejected by system.(rejected&nbsp;by&nbsp;system)\n\
             Final-Recipient: RFC822; c@d.example\nAction: failed\nStatus: 5.0.0\n",
        );
        assert_eq!(it.recipients.len(), 2);
        assert_eq!(it.recipients[0].diagnostic.as_deref(), Some("rejected by system.(rejected by system)"));
    }

    #[test]
    fn internationalised_addresses_are_unescaped() {
        let it = report("Final-Recipient: utf-8; \\x{738B}@xn--fsq.example\nAction: failed\nStatus: 5.1.1\n");
        assert_eq!(it.recipients[0].final_recipient.local(), "王");
    }

    #[test]
    fn a_code_that_says_nothing_yields_to_the_words() {
        let it = report("Final-Recipient: rfc822; a@b.example\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.2.2 full\n");
        assert_eq!(it.recipients[0].status.map(|it| it.to_string()).as_deref(), Some("5.2.2"));
        assert_eq!(it.recipients[0].action, Action::Failed);
    }
}
