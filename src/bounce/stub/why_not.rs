//! What a message is that is no bounce, and who seems to speak: a mail system or a person.

use crate::{
    bounce::{Envelope, WhyNot},
    mail::{Mail, ReversePath},
};

/// Names that mail systems sign with, as local part or display name, lower-cased.
const SYSTEM_NAMES: &[&str] = &[
    "mailer-daemon",
    "mailer daemon",
    "mailerdaemon",
    "mail-daemon",
    "maildaemon",
    "postmaster",
    "post.office",
    "mail delivery",
    "mail administrator",
    "mail admin",
    "mailadmin",
    "mail system",
    "mail router",
    "mail gateway",
    "mail server",
    "mailhub",
    "delivery subsystem",
    "delivery service",
    "system administrator",
    "microsoft exchange",
    "microsoftexchange",
    "internet mail",
    "系统退信",
    "退信",
];
/// How the subject of a bounce begins, lower-cased.
const BOUNCE_SUBJECTS: &[&str] = &[
    "undeliver",
    "returned mail",
    "mail delivery fail",
    "mail delivery problem",
    "mail system error",
    "mail could not be delivered",
    "message could not be delivered",
    "delivery status notification",
    "delivery failure",
    "delivery notification",
    "delivery report",
    "failure notice",
    "failure delivery",
    "failed mail",
    "non-delivery",
    "nondeliverable",
    "message delayed",
    "delayed mail",
    "postmaster copy",
    "warning: message",
    "warning: could not send",
    "could not deliver",
    "来自",
    "系统退信",
    "退信",
    "投递失败",
    "邮件被退回",
    "无法送达",
    "未送达",
];
/// How the subject of an answer or a forwarded mail begins, lower-cased.
const ANSWERED: &[&str] =
    &["re", "fw", "fwd", "aw", "wg", "tr", "rv", "sv", "antw", "回复", "答复", "转发", "轉寄", "回覆"];
/// Words in the subject of an automatic reply, lower-cased.
const AUTOMATIC_SUBJECTS: &[&str] = &[
    "out of office",
    "out of the office",
    "automatic reply",
    "auto reply",
    "autoreply",
    "auto-reply",
    "auto response",
    "autoresponse",
    "vacation",
    "away from my mail",
    "on holiday",
    "自动回复",
    "自動回覆",
    "休假",
    "abwesen",
    "automatische antwort",
    "réponse automatique",
    "risposta automatica",
    "respuesta automática",
    "自動返信",
    "不在",
];

/// Whether the message's own headers say that a mail system wrote it.
pub(super) fn is_from_a_system(mail: &Mail, envelope: &Envelope) -> bool {
    let local = envelope.from.as_ref().map(|it| it.local().to_lowercase()).unwrap_or_default();
    let name = envelope.from_name.as_deref().unwrap_or_default().to_lowercase();
    let subject = envelope.subject.as_deref().unwrap_or_default().to_lowercase();
    let report = mail.root().content_type() == "multipart/report"
        && mail.root().parameter("report-type").is_none_or(|it| it.eq_ignore_ascii_case("delivery-status"));
    envelope.return_path == Some(ReversePath::Null)
        || report
        || mail.header("x-failed-recipients").is_some()
        || SYSTEM_NAMES.iter().any(|it| local.contains(it) || name.contains(it))
        || BOUNCE_SUBJECTS.iter().any(|it| subject.starts_with(it))
}

/// Whether a person answers or forwards: by the subject's prefix, or by a thread of their own.
pub(super) fn is_answer_or_forward(mail: &Mail, envelope: &Envelope) -> bool {
    let subject = envelope.subject.as_deref().unwrap_or_default().trim().to_lowercase();
    let prefixed = subject.split_once([':', '：']).is_some_and(|(prefix, _)| {
        let word = prefix.split(['[', '(']).next().unwrap_or_default().trim();
        ANSWERED.contains(&word)
    });
    let threaded = mail.header("in-reply-to").is_some() || mail.header("references").is_some();
    prefixed || threaded && envelope.return_path != Some(ReversePath::Null)
}

/// Whether it is an automatic reply by its own signs, stronger than any words in it (RFC 3834 §5).
pub(super) fn is_automatic_reply(mail: &Mail, envelope: &Envelope) -> bool {
    let subject = envelope.subject.as_deref().unwrap_or_default().to_lowercase();
    let value = |name: &str| mail.header(name).unwrap_or_default().trim().to_ascii_lowercase();
    AUTOMATIC_SUBJECTS.iter().any(|it| subject.contains(it))
        || subject.starts_with("auto:")
        || value("precedence").starts_with("auto")
        || ["x-autoreply", "x-autorespond", "x-auto-reply"].iter().any(|it| !matches!(value(it).as_str(), "" | "no"))
        || value("auto-submitted").starts_with("auto-replied")
}

/// What the message is, once it is known to be no bounce.
pub(super) fn why_not(mail: &Mail, envelope: &Envelope) -> WhyNot {
    let known = ["from", "date", "subject", "received", "to", "message-id", "return-path", "mime-version"];
    if !known.iter().any(|it| mail.header(it).is_some()) {
        return WhyNot::Unreadable;
    }
    if is_challenge(mail) {
        return WhyNot::Challenge;
    }
    if is_automatic_reply(mail, envelope) || mail.header("auto-submitted").is_some_and(|it| it.starts_with("auto")) {
        return WhyNot::AutoReply;
    }
    if is_list_notice(mail, envelope) {
        return WhyNot::ListNotice;
    }
    WhyNot::OrdinaryMail
}

fn is_challenge(mail: &Mail) -> bool {
    let subject = mail.header("subject").unwrap_or_default().to_lowercase();
    let text = mail.text().get(..4000).unwrap_or(mail.text()).to_lowercase();
    let asks = [
        "confirm that you",
        "please confirm your message",
        "confirmation is required",
        "to confirm your",
        "verify that you are",
    ];
    let holds = ["held", "until you", "will be delivered", "not a spammer", "human", "one time", "once only"];
    let automatic = mail.header("auto-submitted").is_some() || mail.header("x-tmda-confirm-done").is_some();
    let asked = asks.iter().any(|it| subject.contains(it) || text.contains(it)) || subject.contains("[challenge]");
    asked && (automatic || holds.iter().any(|it| text.contains(it)))
}

fn is_list_notice(mail: &Mail, envelope: &Envelope) -> bool {
    let local = envelope.from.as_ref().map(|it| it.local().to_lowercase()).unwrap_or_default();
    let robot =
        ["-request", "-bounces", "-owner", "mailman", "listserv", "majordomo"].iter().any(|it| local.contains(it));
    robot
        && (mail.header("list-id").is_some()
            || mail.header("x-mailman-version").is_some()
            || local.contains("listserv"))
}
