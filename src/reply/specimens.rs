//! Bounces for the tests of this module, made by hand.

use jiff::{Timestamp, tz::TimeZone};

use super::{Settings, preview_plan};
use crate::{
    bounce::{Action, Bounce, Envelope, Original, Provenance, RecipientReport},
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
