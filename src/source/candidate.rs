//! Which message of a member's own mailbox is likely to be a bounce, by its header alone. Pure.
//!
//! It errs on the side of looking: what it passes is fetched and judged by `bounce`. What it does
//! not pass is never fetched (`design.md` §2, 2).

use mail_parser::{HeaderName, HeaderValue, MessageParser};

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

/// Local parts and display names of those who write bounces.
const DAEMONS: &[&str] = &[
    "mailer-daemon",
    "mailer daemon",
    "mailerdaemon",
    "postmaster",
    "mail delivery",
    "mail-daemon",
    "maildaemon",
    "microsoftexchange",
    "mdaemon",
    "mail administrator",
    "mail system",
    "delivery subsystem",
    "bounce",
    "邮件系统",
    "系统管理员",
    "退信",
    "邮局管理员",
];

/// Words of a bounce's subject.
const SUBJECTS: &[&str] = &[
    "undeliver",
    "not deliver",
    "delivery status",
    "delivery fail",
    "failure notice",
    "delivery report",
    "returned mail",
    "return to sender",
    "returned to sender",
    "delivery has failed",
    "mail delivery",
    "could not be delivered",
    "non-delivery",
    "nondelivery",
    "message not delivered",
    "delivery delay",
    "delayed mail",
    "failed to deliver",
    "delivery problem",
    "退信",
    "退回",
    "无法送达",
    "未送达",
    "无法投递",
    "投递失败",
    "发送失败",
    "未能送达",
    "无法传递",
    "未传递",
    "传递失败",
    "被退",
    "延迟",
    "無法",
    "退件",
    "未傳遞",
];

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
    if DAEMONS.iter().any(|daemon| from.contains(daemon)) {
        return true;
    }
    let subject = message.subject().unwrap_or_default().to_lowercase();
    if SUBJECTS.iter().any(|word| subject.contains(word)) {
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
