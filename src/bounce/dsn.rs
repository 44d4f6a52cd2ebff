//! Delivery status notifications (RFC 3464, RFC 6533) and their many near relatives.
//!
//! Standards-following reports are read as they stand. Near ones are tolerated: groups that no
//! blank line separates, no Reporting-MTA, the report as plain text or base64, HTML entities and
//! comments in values, Action in any case or missing.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{
    Action, Provenance, RecipientReport,
    envelope::date,
    text::{self, codes},
    why_not,
    words::{self, Kind},
};
use crate::mail::{
    EnhancedStatusCode, Mail, Mailbox, Part,
    header::{Headers, decode_words},
    html::resolve_entities,
};

/// Recipients of one report that are read.
const MOST_RECIPIENTS: usize = 1000;

/// A report before it is joined with the words around it.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) reporting_mta: Option<String>,
    pub(super) arrival_date: Option<Timestamp>,
    pub(super) original_envelope_id: Option<String>,
    /// The envelope sender, where an extension field names it.
    pub(super) sender: Option<Mailbox>,
    /// The text format of the system that wrote it, where an extension field tells which that is.
    pub(super) format: Option<&'static str>,
    pub(super) recipients: Vec<RecipientReport>,
    /// Groups that name no mailbox, but a local user or a file.
    pub(super) nameless: Vec<Nameless>,
}

/// What a group says apart from whom it is about.
#[derive(Clone, Debug)]
pub(super) struct Nameless {
    pub(super) action: Action,
    pub(super) status: Option<EnhancedStatusCode>,
    pub(super) remote_mta: Option<String>,
}

/// One recipient's group (RFC 3464 §2.3) while it is read.
#[derive(Debug, Default)]
struct Group {
    final_recipient: Option<String>,
    original_recipient: Option<String>,
    action: Option<String>,
    status: Option<String>,
    diagnostic: Option<String>,
    remote_mta: Option<String>,
    last_attempt_date: Option<Timestamp>,
    will_retry_until: Option<Timestamp>,
    other_recipient: Option<String>,
}

impl Group {
    fn names_somebody(&self) -> bool {
        self.final_recipient.is_some() || self.original_recipient.is_some() || self.other_recipient.is_some()
    }
}

/// Whether a part is a report by its type.
fn is_report(part: &Part) -> bool {
    let kind = part.content_type();
    kind.starts_with("message/") && (kind.contains("delivery-status") || kind == "message/delivery-report")
}

/// Whether a report stands among the parts by its type.
pub(super) fn is_attached(mail: &Mail) -> bool {
    mail.parts().iter().any(is_report)
}

/// Whether the header says that this is a delivery report, by a daemon, and nothing came with it.
/// Sendmail sends such (`No Message Collected`), and so do gateways that cut messages short.
pub(super) fn is_lost(mail: &Mail) -> bool {
    let declared = mail.parts().first().is_some_and(|it| {
        it.content_type() == "multipart/report"
            && it.parameter("report-type").is_some_and(|it| it.eq_ignore_ascii_case("delivery-status"))
    });
    declared && why_not::is_daemon(mail) && mail.text().split_whitespace().nth(8).is_none()
}

/// The report of a message, wherever in the MIME tree it stands (RFC 6522 §3).
pub(super) fn find(mail: &Mail) -> Option<Report> {
    let typed: Vec<Report> = mail.parts().iter().filter(|it| is_report(it)).map(|it| read(it.text())).collect();
    let mut reports = typed.into_iter().filter(|it| !it.recipients.is_empty() || it.reporting_mta.is_some());
    if let Some(mut first) = reports.next() {
        for further in reports {
            first.recipients.extend(further.recipients);
            first.nameless.extend(further.nameless);
        }
        return Some(first);
    }
    // Read receipts and complaints have fields of the same names.
    if why_not::other_report(mail).is_some() {
        return None;
    }
    // Under a wrong type: a part of its own, or lines within the text.
    let untyped = mail
        .parts()
        .iter()
        .skip(1)
        .filter(|it| it.children().is_empty() && !it.content_type().starts_with("message/rfc822"));
    let mut candidates = untyped.map(Part::text).chain([mail.text()]);
    candidates.find_map(|text| {
        let at = report_begins(text)?;
        let report = read(text.get(at..)?);
        (!report.recipients.is_empty()).then_some(report)
    })
}

/// A recipient's own refusal (RFC 5429 §2.1.2, Sieve's `reject`): a disposition notification that
/// says `deleted`, beside words of a rejection, for Outlook's "not read" says `deleted` as well.
pub(super) fn refusal(mail: &Mail) -> Option<Report> {
    let part = mail.parts().iter().find(|it| it.content_type() == "message/disposition-notification")?;
    let says = |text: &str, word: &str| text.to_ascii_lowercase().contains(word);
    let words = || codes::one_line(mail.text().lines());
    let deleted = Headers::parse_undecoded(part.text().trim_start().as_bytes());
    let deleted = deleted.first("disposition").is_some_and(|it| says(it, "deleted"));
    let rejected = || {
        mail.header("auto-submitted").is_some_and(|it| says(it, "rejected"))
            || words().is_some_and(|it| words::are_in(Kind::Refused, &it.to_ascii_lowercase()))
    };
    if !deleted || !rejected() {
        return None;
    }
    let mut report = read(part.text());
    for it in &mut report.recipients {
        it.diagnostic = it.diagnostic.take().or_else(words);
    }
    (!report.recipients.is_empty()).then_some(report)
}

/// Where lines that only a report has begin.
fn report_begins(text: &str) -> Option<usize> {
    let mut at = 0;
    let mut first = None;
    let mut names = [false; 3];
    for line in text.split_inclusive('\n') {
        if !line.starts_with(['R', 'r', 'F', 'f', 'O', 'o']) {
            at += line.len();
            continue;
        }
        let lower = line.get(..24.min(line.floor_char_boundary(24))).unwrap_or_default().to_ascii_lowercase();
        let known = ["reporting-mta:", "final-recipient:", "original-recipient:"];
        if let Some(which) = known.iter().position(|it| lower.starts_with(it)) {
            first = first.or(Some(at));
            if let Some(seen) = names.get_mut(which) {
                *seen = true;
            }
        }
        at += line.len();
    }
    first.filter(|_| names[1] || names[2])
}

/// Reads report fields line by line. A new recipient begins at a blank line, or where a field
/// that names one comes again.
fn read(text: &str) -> Report {
    let mut report = Report::default();
    let mut group = Group::default();
    let mut name = String::new();
    for block in text.split("\n\n") {
        let block = unfolded_replies(block.trim_start_matches('\n'));
        let headers = Headers::parse_undecoded(block.as_bytes());
        if group.names_somebody() && !goes_on(&headers) {
            close(&mut report, std::mem::take(&mut group));
        }
        for field in headers.iter() {
            name.clear();
            name.push_str(field.name.trim());
            name.make_ascii_lowercase();
            let repeated = match name.as_str() {
                "final-recipient" => group.final_recipient.is_some(),
                "original-recipient" => group.original_recipient.is_some(),
                "action" => group.action.is_some() && group.names_somebody(),
                _ => false,
            };
            if repeated {
                close(&mut report, std::mem::take(&mut group));
            }
            take(&mut report, &mut group, &name, field.value);
        }
    }
    if group.names_somebody() {
        close(&mut report, group);
    }
    report
}

/// Whether a block is the rest of the group before it, which blank lines tore apart.
fn goes_on(block: &Headers) -> bool {
    const NAMES: [&str; 5] =
        ["final-recipient", "original-recipient", "x-actual-recipient", "x-original-recipient", "final-log-recipient"];
    let has = |names: &[&str]| names.iter().any(|it| block.first(it).is_some());
    let message = ["reporting-mta", "from", "received", "return-path", "message-id", "subject"];
    !has(&NAMES)
        && !has(&message)
        && (has(&["action", "diagnostic-code"]) || has(&["status"]) && block.iter().count() == 1)
}

/// Further lines of a reply that begin at the margin (nullmailer, gateways that break long lines) belong to the
/// field before them.
fn unfolded_replies(block: &str) -> Cow<'_, str> {
    if !block.lines().skip(1).any(is_torn_off) {
        return Cow::Borrowed(block);
    }
    let indented = block.split_inclusive('\n').flat_map(|line| [if is_torn_off(line) { " " } else { "" }, line]);
    Cow::Owned(indented.collect())
}

/// Whether a line at the margin begins no field (RFC 5322 §2.2), and is no boundary.
fn is_torn_off(line: &str) -> bool {
    let is_name =
        |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_');
    let named = line.split_once(':').is_some_and(|(name, value)| is_name(name.trim_end()) && !value.starts_with("//"));
    !named && line.starts_with(char::is_alphanumeric)
}

fn take(report: &mut Report, group: &mut Group, name: &str, value: &str) {
    let value = resolve_entities(value);
    match name {
        "reporting-mta" => report.reporting_mta = report.reporting_mta.take().or_else(|| host(&value)),
        "arrival-date" => report.arrival_date = report.arrival_date.or_else(|| date(&value)),
        "original-envelope-id" | "x-original-envelope-id" => {
            report.original_envelope_id = Some(value.trim().to_owned());
        }
        "x-postfix-queue-id" => report.format = Some("postfix"),
        "x-postfix-sender" | "x-mailer-sender" | "x-sender" => report.sender = address(&value),
        "final-recipient" => group.final_recipient = Some(value.into_owned()),
        "original-recipient" => group.original_recipient = Some(value.into_owned()),
        "x-actual-recipient" | "x-original-recipient" | "final-log-recipient" => {
            group.other_recipient = Some(value.into_owned());
        }
        "action" => group.action = Some(value.into_owned()),
        "status" => group.status = Some(value.into_owned()),
        "diagnostic-code" => {
            let words = || decode_words(value.as_bytes()).into_owned();
            group.diagnostic = group.diagnostic.take().or_else(|| Some(words()));
        }
        "remote-mta" => group.remote_mta = host(&value),
        "last-attempt-date" => group.last_attempt_date = date(&value),
        "will-retry-until" => group.will_retry_until = date(&value),
        _ => {}
    }
}

fn close(report: &mut Report, group: Group) {
    if report.recipients.len() >= MOST_RECIPIENTS {
        return;
    }
    let named = group.final_recipient.as_deref().and_then(address);
    let original = group.original_recipient.as_deref().and_then(address);
    let other = group.other_recipient.as_deref().and_then(address);
    let status = group.status.as_deref().and_then(status);
    let Some(final_recipient) = named.or_else(|| original.clone()).or(other) else {
        let action = action(group.action.as_deref(), status);
        report.nameless.push(Nameless { action, status, remote_mta: group.remote_mta });
        return;
    };
    let said = group.diagnostic.as_deref().map(untyped).or_else(|| group.status.as_deref().and_then(comment));
    let diagnostic = said.map(codes::unescaped);
    let diagnostic = diagnostic.and_then(|it| codes::one_line(it.lines())).filter(|it| !it.is_empty());
    let words = diagnostic.as_deref().unwrap_or_default();
    let spoken = codes::status(words);
    // x.0.0 says nothing; a code in the words themselves says more (RFC 3463 §3.1).
    let status = match (status, spoken) {
        (Some(field), Some(words)) if field.says_nothing() && words.class() == field.class() => Some(words),
        (field, words) => field.or(words),
    };
    let action = action(group.action.as_deref(), status);
    let gave_up = status.is_some_and(|it| it.subject() == 4 && it.detail() == 7);
    let recipient = RecipientReport {
        original_recipient: original.filter(|it| !it.same_mailbox(&final_recipient)),
        final_recipient,
        action,
        status,
        reply_code: codes::reply_code(words),
        expired: action == Action::Failed && (gave_up || text::tells_expiry(words)),
        diagnostic,
        remote_mta: group.remote_mta,
        last_attempt_date: group.last_attempt_date,
        will_retry_until: group.will_retry_until,
        provenance: Provenance::ReportField,
    };
    let again = report
        .recipients
        .iter()
        .any(|it| it.final_recipient.same_mailbox(&recipient.final_recipient) && it.action == recipient.action);
    if !again {
        report.recipients.push(recipient);
    }
}

/// RFC 3464 §2.3.3; where the field is missing or unknown, the class of the status speaks.
fn action(field: Option<&str>, status: Option<EnhancedStatusCode>) -> Action {
    let word = field.unwrap_or_default().trim().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "failed" | "failure" | "fail" => Action::Failed,
        "delayed" | "delay" => Action::Delayed,
        "delivered" | "deliverable" => Action::Delivered,
        "relayed" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ if status.is_some_and(|it| it.class() == 2) => Action::Delivered,
        _ => Action::Failed,
    }
}

fn status(value: &str) -> Option<EnhancedStatusCode> {
    value.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|it| it.trim_matches('.').parse().ok())
}

/// `5.1.2 (550 Tried all MXs)`: Haraka gives the reply in a comment on the status, and nowhere else.
fn comment(status: &str) -> Option<&str> {
    let inside = status.split_once('(')?.1.trim_end();
    let inside = inside.strip_suffix(')').unwrap_or(inside);
    codes::looks_like_reply(inside).then_some(inside)
}

/// `rfc822; <a@b>`, `utf-8; …\x{7528}@…`, `a@b (comment)`: the address (RFC 3464 §2.3.1, RFC 6533 §3).
fn address(value: &str) -> Option<Mailbox> {
    let typed = untyped(value);
    let plain = unescape(typed);
    let inside = match (plain.find('<'), plain.rfind('>')) {
        (Some(open), Some(close)) if open < close => plain.get(open + 1..close)?,
        _ => plain.split(" (").next()?,
    };
    let inside = inside.trim().trim_start_matches("mailto:").trim_end_matches([',', ';']);
    Mailbox::parse(inside).or_else(|| {
        // The angle bracket or the type is missing on one side.
        inside.split_whitespace().find_map(|it| Mailbox::parse(it.trim_matches(['<', '>', ',', ';'])))
    })
}

/// The value without its type: what stands before the first `;`, if it is one word.
fn untyped(value: &str) -> &str {
    match value.split_once(';') {
        Some((kind, rest)) if kind.trim().len() <= 24 && !kind.trim().contains([' ', '@', '.']) => rest.trim(),
        _ => value.trim(),
    }
}

/// RFC 6533 §3: `\x{7528}`; RFC 3461 §4: xtext `+40` (only where no `@` would be there without).
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        match after
            .split_once('}')
            .and_then(|(hex, tail)| Some((char::from_u32(u32::from_str_radix(hex, 16).ok()?)?, tail)))
        {
            Some((character, tail)) => {
                out.push(character);
                rest = tail;
            }
            _ => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    if !out.contains('@') && out.contains("+40") {
        out = out.replace("+40", "@").replace("+2B", "+").replace("+3D", "=");
    }
    out
}

/// `dns; mx.example.com (192.0.2.1)`: the name, lower-cased.
fn host(value: &str) -> Option<String> {
    let name = untyped(value).split([' ', '(', '[', ',']).next().unwrap_or_default();
    let name = name.trim_matches(['<', '>', '.', '"']).to_lowercase();
    (!name.is_empty() && name.len() <= 253).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_nothing_separates_are_told_apart() {
        let report = read(
            "Reporting-MTA: dns; MX.Example.CN\nFinal-Recipient: rfc822; <a@x.example>\nAction: failed\nStatus: 5.0.0\n\
             Diagnostic-Code: SMTP; rejected by system.(rejected&nbsp;by&nbsp;system)\nFinal-Recipient: rfc822;b@y.example\n\
             Action: Delayed (still trying)\nStatus: 4.4.1\n",
        );
        assert_eq!(report.reporting_mta.as_deref(), Some("mx.example.cn"));
        let told: Vec<_> = report.recipients.iter().map(|it| (it.final_recipient.to_string(), it.action)).collect();
        assert_eq!(told, [("a@x.example".to_owned(), Action::Failed), ("b@y.example".to_owned(), Action::Delayed)]);
        assert_eq!(report.recipients[0].diagnostic.as_deref(), Some("rejected by system.(rejected by system)"));
    }

    #[test]
    fn a_group_that_blank_lines_tear_apart_is_one() {
        let report = read(
            "Reporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; a@x.example\n\nAction: delayed\n\nStatus: 4.4.1\n\n\
             Diagnostic-Code: smtp; 450 no\n\nAction: failed\nFinal-Recipient: rfc822; b@x.example\nStatus: 5.1.1\n\nStatus: RO\nSubject: x\n",
        );
        let told: Vec<_> = report
            .recipients
            .iter()
            .map(|it| (it.action, it.status.map(|it| it.to_string()), it.reply_code.map(crate::mail::ReplyCode::get)))
            .collect();
        let expected =
            [(Action::Delayed, Some("4.4.1".to_owned()), Some(450)), (Action::Failed, Some("5.1.1".to_owned()), None)];
        assert_eq!(told, expected);
    }

    #[test]
    fn internationalised_addresses_are_read() {
        assert_eq!(
            address("utf-8; \\x{7528}\\x{6237}@example.cn").map(|it| it.to_string()).as_deref(),
            Some("用户@example.cn")
        );
        assert_eq!(address("rfc822;a@b.example (Anna)").map(|it| it.to_string()).as_deref(), Some("a@b.example"));
        assert_eq!(address("rfc822; unknown"), None);
    }

    #[test]
    fn a_reply_that_goes_on_at_the_margin_is_read_to_its_end() {
        let report = read(
            "Reporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.7.0\n\
             Diagnostic-Code: SMTP; 552-5.7.0 This message was blocked\n552-5.7.0 for its content. See\n\
             552 5.7.0 https://x.example/help\n",
        );
        assert_eq!(
            report.recipients[0].diagnostic.as_deref(),
            Some("552-5.7.0 This message was blocked for its content. See https://x.example/help")
        );
    }

    #[test]
    fn a_comment_on_the_status_is_the_diagnostic_where_there_is_none() {
        let report =
            read("Final-Recipient: rfc822;a@x.example\nAction: failed\nStatus: 5.1.2 (550 Tried all MXs x.example)\n");
        assert_eq!(report.recipients[0].diagnostic.as_deref(), Some("550 Tried all MXs x.example"));
        assert_eq!(report.recipients[0].reply_code.map(crate::mail::ReplyCode::get), Some(550));
    }

    #[test]
    fn a_status_that_says_nothing_gives_way_to_the_words() {
        let report = read(
            "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n",
        );
        assert_eq!(report.recipients[0].status.map(|it| it.to_string()).as_deref(), Some("5.1.1"));
    }

    #[test]
    fn a_report_cut_amid_the_name_gives_way_to_the_words_before_it() {
        let cut = "From: MAILER-DAEMON@a.example\nContent-Type: multipart/report; boundary=b\n\n--b\n\n\
                   <w@x.example.net>: host mx.x.example[192.0.2.1] said: 550 5.1.1 no such user\n--b\n\
                   Content-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; w@x.exa";
        let crate::bounce::Recognition::Bounce(bounce) = crate::bounce::recognise(cut.as_bytes()) else { panic!() };
        assert_eq!(bounce.recipients[0].final_recipient.to_string(), "w@x.example.net");
        assert_eq!(bounce.recipients[0].status.map(|it| it.to_string()).as_deref(), Some("5.1.1"));
    }
}
