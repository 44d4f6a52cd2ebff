//! Bounces for the tests of this module, made by hand.

use jiff::{Timestamp, tz::TimeZone};

use super::super::{Settings, preview_plan};
use crate::{
    bounce::{Action, Attachment, Bounce, Envelope, Original, Provenance, RecipientReport},
    diagnosis::{Acts, CauseId, Confidence, Diagnosis, Facts, Family},
    evidence::Finding,
    mail::{Language, Mailbox, MessageId, ReplyCode},
    policy::ReplyPlan,
};

pub(super) fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a sound address")
}

/// Monday 16 November 2026, 09:15 in Shanghai.
pub(super) fn now() -> Timestamp {
    "2026-11-16T01:15:00Z".parse().expect("a sound time")
}

pub(super) fn settings() -> Settings {
    Settings {
        from: mailbox("bounces@corp.example.cn"),
        from_name: None,
        reply_to: None,
        company: Some("示例公司".to_owned()),
        helpdesk: Some("IT 服务台（分机 8001）".to_owned()),
        timezone: TimeZone::get("Asia/Shanghai").expect("a known zone"),
        administrator_is_told: true,
    }
}

/// One failed recipient; the words are the server's.
pub(super) fn finding(recipient: &str, cause: &str, words: &str) -> Finding {
    let (family, acts) = nature(cause);
    Finding {
        report: RecipientReport {
            final_recipient: mailbox(recipient),
            original_recipient: None,
            action: Action::Failed,
            status: None,
            reply_code: words.get(..3).and_then(|it| it.parse().ok()).and_then(ReplyCode::new),
            diagnostic: Some(words.to_owned()).filter(|it| !it.is_empty()),
            remote_mta: None,
            last_attempt_date: None,
            will_retry_until: None,
            expired: cause == "expired",
            provenance: Provenance::ReportField,
        },
        diagnosis: Diagnosis {
            cause: CauseId::new(cause),
            family,
            permanent: None,
            expired: cause == "expired",
            acts,
            confidence: Confidence::Certain,
            rule: format!("{cause}/specimen"),
            matched: words.to_owned(),
            facts: Facts::default(),
            rivals: Vec::new(),
            system: None,
        },
        observations: Vec::new(),
    }
}

pub(super) fn bounce(findings: &[Finding]) -> Bounce {
    Bounce {
        format: "rfc3464".to_owned(),
        reporting_mta: Some("mail.corp.example.cn".to_owned()),
        arrival_date: None,
        original_envelope_id: None,
        recipients: findings.iter().map(|it| it.report.clone()).collect(),
        original: Some(Original {
            from: Some(mailbox("chen.jing@corp.example.cn")),
            from_name: Some("陈静".to_owned()),
            to: findings.iter().map(|it| it.report.final_recipient.clone()).collect(),
            subject: Some("关于十一月订单的报价单（第二版）".to_owned()),
            message_id: MessageId::parse("<m1@corp.example.cn>"),
            date: Some("2026-11-16T01:12:00Z".parse().expect("a sound time")),
            received: vec![
                "from pc (pc [192.0.2.7]) by mail.corp.example.cn with ESMTPSA id 4Bx7Qz1; Mon, 16 Nov 2026".to_owned(),
            ],
            ..Original::default()
        }),
        forwarded_by: None,
        envelope: Envelope { date: Some("2026-11-16T01:14:00Z".parse().expect("a sound time")), ..Envelope::default() },
        filler_seen: false,
        human_text: String::new(),
        defects: Vec::new(),
    }
}

pub(super) fn plan(bounce: &Bounce, tags: &[&str]) -> ReplyPlan {
    preview_plan(bounce, tags.iter().map(|it| Language::new(it)).collect(), now())
}

/// Family and whose move, as `design.md` §4 has them.
pub(super) fn nature(cause: &str) -> (Family, Acts) {
    use Acts::{NobodyWait as W, OwnAdmin as A, RecipientSide as R, Sender as S};
    match cause {
        "user_unknown" | "moved" | "address_syntax" | "smtputf8_unsupported" => (Family::Address, S),
        "host_unknown" | "null_mx" => (Family::Domain, S),
        "no_mail_host" => (Family::Domain, R),
        "mailbox_disabled" | "mailbox_full" => (Family::Mailbox, R),
        "message_too_large" => (Family::Size, S),
        "recipient_rejected" | "rejected_after_data" | "policy" => (Family::Refused, R),
        "blocked_by_recipient" | "list_restricted" => (Family::Refused, S),
        "sender_rejected" | "blocklisted" => (Family::Reputation, A),
        "sender_invalid" | "auth_failure" | "ptr_missing" => (Family::Authentication, A),
        "content_rejected" | "attachment_blocked" | "virus" => (Family::Content, S),
        "rate_limited" | "greylisted" | "system_busy" => (Family::Throttled, W),
        "connection_failed" | "connection_timeout" | "expired" => (Family::Connection, W),
        "cross_border_filtering" => (Family::Connection, A),
        "mail_loop" | "system_full" | "system_error" => (Family::System, R),
        "tls_required" | "protocol_error" => (Family::System, A),
        "relay_denied" | "login_failed" => (Family::Submission, A),
        _ => (Family::Unknown, A),
    }
}

/// Each cause of `design.md` §4 with words that a server might say. The addresses are ours.
pub(super) const SPECIMENS: &[(&str, &str, &str)] = &[
    ("user_unknown", "wang.xm@buyer.example.cn", "550 5.1.1 <wang.xm@buyer.example.cn>: User unknown"),
    ("mailbox_disabled", "liu.yang@factory.example.cn", "550 5.2.1 The mailbox is disabled"),
    ("mailbox_full", "zhangsan@partner.example", "552 5.2.2 Mailbox is full"),
    ("moved", "liu@old.example.cn", "551 User has moved; please try <liu@new.example>"),
    ("address_syntax", "zhao.lei@buyer.example.cn", "501 5.1.3 Bad recipient address syntax"),
    ("host_unknown", "li@hichian.example", "Sorry, I couldn't find any host named hichian.example. (#5.1.2)"),
    ("no_mail_host", "li@partner.example", "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)"),
    ("null_mx", "info@web.example", "556 5.1.10 Domain does not accept mail (nullMX)"),
    (
        "message_too_large",
        "wang.xm@buyer.example.cn",
        "552 Message size exceeds fixed maximum message size:5242880 bytes",
    ),
    ("recipient_rejected", "wang.xm@buyer.example.cn", "Connected to 192.0.2.25 but it does not like recipient."),
    ("sender_rejected", "k.tanaka@kunde.example.de", "Connected to 192.0.2.26 but sender was rejected."),
    ("sender_invalid", "sales@shop.example.cn", "553 Invalid sender"),
    ("rejected_after_data", "wang.xm@buyer.example.cn", "Connected to 192.0.2.25 but failed after I sent the message."),
    (
        "blocklisted",
        "k.tanaka@kunde.example.de",
        "554 5.7.1 Service unavailable; Client host [203.0.113.5] blocked using zen.spamhaus.org; see https://check.spamhaus.org/",
    ),
    ("auth_failure", "j.smith@gmail.com", "550 5.7.26 SPF check for corp.example.cn did not pass with ip 203.0.113.8"),
    ("ptr_missing", "j.smith@buyer.example.com", "550 5.7.25 Client host 203.0.113.8 has no reverse DNS"),
    (
        "relay_denied",
        "wang.xm@buyer.example.cn",
        "554 <wang.xm@buyer.example.cn>: Recipient Address rejected:Relay access denied",
    ),
    ("content_rejected", "lihua@163.com", "554 DT:SPM 163 smtp, please see http://mail.163.com/help/help_spam_16.htm"),
    ("attachment_blocked", "wang.xm@buyer.example.cn", "552 5.7.0 Attachment type .exe is not allowed"),
    ("virus", "wang.xm@buyer.example.cn", "550 5.7.1 Virus found in message"),
    ("rate_limited", "lihua@qq.com", "550 Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?id=20022"),
    ("greylisted", "wang.xm@buyer.example.cn", "451 4.7.1 Greylisting in action, please come back later"),
    ("blocked_by_recipient", "boss@partner.example", "550 5.7.1 The recipient has blocked this sender"),
    ("policy", "wang.xm@buyer.example.cn", "550 5.7.1 Rejected by organization policy"),
    ("list_restricted", "all@partner.example", "550 5.7.1 Only members may post to this list"),
    ("tls_required", "wang.xm@bank.example.cn", "530 5.7.0 Must issue a STARTTLS command first"),
    ("smtputf8_unsupported", "用户@例子.中国", "553 5.6.7 SMTPUTF8 is required but not offered by the remote host"),
    (
        "mail_loop",
        "zhao@partner.example.cn",
        "554 Too many hops 27 (25 max): from zhao@partner.example.cn via lisi@qq.com",
    ),
    ("connection_failed", "liu@factory.example.cn", "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)"),
    ("connection_timeout", "liu@factory.example.cn", "connect to mx.factory.example.cn timed out"),
    (
        "cross_border_filtering",
        "j.smith@buyer.example.com",
        "lost connection with mx.buyer.example.com[192.0.2.131] while sending MAIL FROM",
    ),
    ("expired", "liu@factory.example.cn", "I'm not going to try again; this message has been in the queue too long."),
    ("system_busy", "wang.xm@buyer.example.cn", "550 System is busy"),
    ("system_full", "wang.xm@buyer.example.cn", "452 4.3.1 Insufficient system storage"),
    ("system_error", "wang.xm@buyer.example.cn", "451 4.3.0 Internal server error"),
    ("login_failed", "wang.xm@buyer.example.cn", "535 5.7.8 Error: authentication failed"),
    ("protocol_error", "wang.xm@buyer.example.cn", "503 5.5.1 Bad sequence of commands"),
    ("undetermined", "a@b.example", "550 Rejected by policy 4711"),
];

/// The finding of a specimen, with the facts that diagnosis would draw out of its words.
pub(super) fn specimen(cause: &str) -> Finding {
    let (_, recipient, words) = SPECIMENS.iter().find(|it| it.0 == cause).expect("a specimen for each cause");
    let mut finding = finding(recipient, cause, words);
    let facts = &mut finding.diagnosis.facts;
    match cause {
        "message_too_large" => facts.size_limit = Some(5_242_880),
        "mail_loop" => (facts.hops, facts.hop_limit) = (Some(27), Some(25)),
        "moved" => facts.new_address = Some("liu@new.example".to_owned()),
        "blocklisted" => facts.ip = Some("203.0.113.5".parse().expect("an address")),
        "auth_failure" | "ptr_missing" => facts.ip = Some("203.0.113.8".parse().expect("an address")),
        "cross_border_filtering" | "undetermined" => finding.diagnosis.confidence = Confidence::Guess,
        "connection_timeout" => finding.diagnosis.confidence = Confidence::Likely,
        _ => {}
    }
    finding
}

/// The bounce around a specimen: of a large mail it tells size and files.
pub(super) fn specimen_bounce(finding: &Finding) -> Bounce {
    let mut bounce = bounce(std::slice::from_ref(finding));
    if finding.diagnosis.cause.as_str() == "message_too_large"
        && let Some(original) = &mut bounce.original
    {
        let file = |name: &str, size| Attachment { name: Some(name.to_owned()), size };
        original.size = Some(7_400_000);
        original.attachments = vec![file("报价单.pdf", 4_928_307), file("产品图.jpg", 524_288)];
    }
    if finding.diagnosis.cause.as_str() == "expired"
        && let Some(original) = &mut bounce.original
    {
        original.date = Some("2026-11-11T01:12:00Z".parse().expect("a sound time"));
    }
    bounce
}
