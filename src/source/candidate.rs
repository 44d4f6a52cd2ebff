//! Which message of a member's own mailbox is likely to be a bounce, by its header alone. Pure.
//!
//! It errs on the side of looking: what it passes is fetched and judged by `bounce`. What it does
//! not pass is never fetched (`design.md` §2, 2).

use std::sync::LazyLock;

use mail_parser::{HeaderName, HeaderValue, MessageParser};
use serde::Deserialize;

use crate::catalogue;

/// The header fields that are asked for.
pub const FIELDS: &[&str] = &[
    "From",
    "Sender",
    "Return-Path",
    "Subject",
    "Content-Type",
    "Auto-Submitted",
    "X-Failed-Recipients",
    "X-Auto-Response-Suppress",
];

/// `catalogue/likely-bounces.toml`: words of a sender's name or address, and of a subject.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Likely {
    from: Vec<String>,
    subject: Vec<String>,
}

static LIKELY: LazyLock<Likely> = LazyLock::new(|| catalogue::table("likely-bounces.toml").unwrap_or_default());

/// Whether a header looks like that of a bounce, for one reason at least.
#[must_use]
pub fn likely_bounce(header: &[u8]) -> bool {
    let Some(message) = MessageParser::default().parse_headers(header) else { return false };
    let lower = header.to_ascii_lowercase();
    let has = |needle: &[u8]| super::stitch::find(&lower, needle).is_some();
    if has(b"multipart/report") || has(b"delivery-status") || message.header("X-Failed-Recipients").is_some() {
        return true;
    }
    let text = |name: HeaderName<'static>| {
        message.headers().iter().filter(|it| it.name == name).map(|it| words(&it.value)).collect::<String>()
    };
    let from = format!("{} {}", text(HeaderName::From), text(HeaderName::Sender)).to_lowercase();
    if LIKELY.from.iter().any(|it| from.contains(it.as_str())) {
        return true;
    }
    let subject = message.subject().unwrap_or_default().to_lowercase();
    if LIKELY.subject.iter().any(|it| subject.contains(it.as_str())) {
        return true;
    }
    // Out-of-office notices have a null return path, too; they say that they are replies.
    let null_path = lower
        .split(|&b| b == b'\n')
        .any(|line| line.strip_prefix(b"return-path:").is_some_and(|value| value.trim_ascii() == b"<>"));
    null_path && !has(b"auto-replied")
}

/// Names and addresses of an address field.
fn words(value: &HeaderValue<'_>) -> String {
    let Some(address) = value.as_address() else { return value.as_text().unwrap_or_default().to_owned() };
    let one = |it: &mail_parser::Addr<'_>| {
        format!("{} {} ", it.name.as_deref().unwrap_or_default(), it.address.as_deref().unwrap_or_default())
    };
    address.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_is_read() {
        let written: Likely = catalogue::written("likely-bounces.toml");
        assert!(!written.from.is_empty() && !written.subject.is_empty());
    }

    #[test]
    fn bounces_are_looked_at_and_private_mail_is_not() {
        for (header, expected) in [
            ("From: Mail Delivery System <MAILER-DAEMON@mx.example.cn>\r\nSubject: hello\r\n", true),
            ("From: a@example.cn\r\nContent-Type: multipart/report; report-type=delivery-status\r\n", true),
            ("From: PostMaster@example.cn\r\nSubject: =?gb18030?B?z7XNs83L0MU=?=\r\n", true),
            ("From: a@example.cn\r\nSubject: =?utf-8?B?6YCA5L+h6YCa55+l?=\r\n", true),
            ("Return-Path: <li@example.cn>\r\nFrom: MAILER-DAEMON@mx.example.cn\r\nSubject: fwd\r\n", true),
            ("Return-Path: <>\r\nFrom: server@example.cn\r\nSubject: notice\r\n", true),
            ("Return-Path: <>\r\nFrom: li@example.cn\r\nAuto-Submitted: auto-replied\r\nSubject: away\r\n", false),
            ("Return-Path: <li@example.cn>\r\nFrom: Li <li@example.cn>\r\nSubject: lunch\r\n", false),
            ("", false),
        ] {
            assert_eq!(likely_bounce(header.as_bytes()), expected, "{header}");
        }
    }
}
