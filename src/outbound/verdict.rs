//! What a server's answer means for the row: this message, or the channel (`design.md` §3).
//!
//! Pure.

use super::Pass;
use crate::{
    net::Endpoint,
    outbox::{Delivery, SmtpReply, Stage},
};

/// Words of a refusal that is about our sender address.
const SENDER_WORDS: &[&str] = &[
    "sender",
    "mail from",
    "from address",
    "reverse-path",
    "reverse path",
    "return-path",
    "return path",
    "<>",
    "sendas",
    "not owned",
    "发件人",
    "发信人",
    "发送者",
];
/// Enhanced codes that are about the sender: bad syntax, bad system, may not send as (RFC 3463 §3.2; the last is Exchange's).
const SENDER_CODES: &[&str] = &["5.1.7", "5.1.8", "4.1.7", "4.1.8", "5.7.60"];
/// Words of a refusal that is about how much we send.
const RATE_WORDS: &[&str] = &[
    "rate limit",
    "ratelimit",
    "rate exceeded",
    "sending rate",
    "too many",
    "frequency",
    "too frequent",
    "throttl",
    "sending limit",
    "send limit",
    "sending quota",
    "send quota",
    "daily limit",
    "daily quota",
    "daily sending",
    "quota exceeded",
    "exceeded the quota",
    "频率",
    "频繁",
    "发信量",
    "发送量",
    "发送上限",
    "超过限制",
    "超出限制",
];
/// Replies that ask for a login (RFC 4954 §6): ours is the matter, not the message.
const LOGIN_CODES: &[u16] = &[530, 534, 535, 538];

/// Text of a reply as one line without control characters, bounded.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|it| !it.is_empty()).collect();
    words.join(" ").chars().take(1000).collect()
}

/// Whether this is the refusal of the null reverse-path that `reverse_path = "auto"` looks for:
/// any refusal of MAIL, and later ones in words or codes about the sender (`design.md` §8.2).
pub(super) fn refuses_null_path(pass: &Pass) -> bool {
    match pass {
        // 421 closes the channel and 530 asks for a login, whoever the sender is.
        Pass::Refused(Stage::Mail, reply) => reply.code != 421 && !LOGIN_CODES.contains(&reply.code),
        Pass::Refused(Stage::Rcpt | Stage::Data | Stage::Dot, reply) => is_about_the_sender(reply),
        Pass::Refused(..) | Pass::Accepted(_) | Pass::Lost(..) | Pass::InDoubt(_) => false,
    }
}

fn is_about_the_sender(reply: &SmtpReply) -> bool {
    let text = reply.text.to_lowercase();
    let code = text.split_whitespace().next().unwrap_or_default();
    SENDER_CODES.contains(&code) || SENDER_WORDS.iter().any(|word| text.contains(word))
}

/// Whether a refusal is about how much or how fast we send. A full mailbox of the addressee is not.
fn is_about_the_rate(reply: &SmtpReply) -> bool {
    let text = reply.text.to_lowercase();
    let mailbox_is_full = text.contains("5.2.2") || text.contains("4.2.2") || text.contains("mailbox");
    !mailbox_is_full && RATE_WORDS.iter().any(|word| text.contains(word))
}

/// The journal did not take `body started`, so nothing was sent.
pub(super) fn not_recorded(why: &str) -> Delivery {
    Delivery::ChannelRefused(Stage::Data, format!("nothing sent: the journal did not take `body started`: {why}"))
}

/// The outcome of a pass, as the journal keeps it.
pub(super) fn delivery(endpoint: &Endpoint, pass: Pass) -> Delivery {
    let channel = |stage: Stage, what: &str| {
        let hint = if stage == Stage::Auth && !what.contains("hint:") {
            "; hint: check `user` and the password; many providers want an app password (授权码) here"
        } else {
            ""
        };
        Delivery::ChannelRefused(stage, format!("{}: {stage}: {what}{hint}", endpoint.place()))
    };
    match pass {
        Pass::Accepted(reply) => Delivery::Accepted(reply),
        Pass::InDoubt(why) => Delivery::InDoubt(format!("{}: {why}", endpoint.place())),
        Pass::Lost(stage, why) => channel(stage, &why),
        Pass::Refused(stage, reply) => {
            let of_the_message = matches!(stage, Stage::Rcpt | Stage::Data | Stage::Dot)
                && reply.code != 421
                && !LOGIN_CODES.contains(&reply.code)
                && !is_about_the_rate(&reply);
            if !of_the_message {
                channel(stage, &format!("{} {}", reply.code, reply.text))
            } else if reply.code < 500 {
                Delivery::Deferred(stage, reply)
            } else {
                Delivery::Rejected(stage, reply)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(stage: Stage, code: u16, text: &str) -> Pass {
        Pass::Refused(stage, SmtpReply { code, text: text.to_owned() })
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "smtp.example.cn".to_owned(),
            port: 465,
            tls: crate::net::TlsMode::Implicit,
            ca_file: None,
            tls_fingerprint: None,
            timeout: std::time::Duration::from_secs(1),
        }
    }

    #[test]
    fn the_null_path_counts_as_refused_at_mail_and_later_only_in_words_about_the_sender() {
        for (stage, code, text, expected) in [
            (Stage::Mail, 440, "mail from account doesn't conform with authentication", true),
            (Stage::Mail, 553, "NULL sender is not allowed", true),
            (Stage::Mail, 421, "too busy", false),
            (Stage::Rcpt, 554, "5.7.1 <>: Sender address rejected: Access denied", true),
            (Stage::Rcpt, 550, "5.1.1 no such user", false),
            (Stage::Dot, 554, "5.2.252 SendAsDenied; a@example.cn not allowed to send as <>", true),
            (Stage::Dot, 554, "spam", false),
            (Stage::Auth, 535, "sender not authenticated", false),
        ] {
            assert_eq!(refuses_null_path(&refused(stage, code, text)), expected, "{stage:?} {code} {text}");
        }
    }

    #[test]
    fn only_refusals_of_the_message_end_a_row() {
        for (stage, code, text, expected) in [
            (Stage::Mail, 550, "no", "channel"),
            (Stage::Rcpt, 421, "closing", "channel"),
            (Stage::Rcpt, 450, "4.7.1 sending rate exceeded", "channel"),
            (Stage::Rcpt, 530, "authentication required", "channel"),
            (Stage::Rcpt, 550, "5.1.1 no such user", "rejected"),
            (Stage::Rcpt, 552, "5.2.2 mailbox full, quota exceeded", "rejected"),
            (Stage::Rcpt, 451, "greylisted", "deferred"),
            (Stage::Dot, 550, "发送频率超过限制", "channel"),
            (Stage::Dot, 554, "5.7.1 spam", "rejected"),
        ] {
            let found = match delivery(&endpoint(), refused(stage, code, text)) {
                Delivery::ChannelRefused(..) => "channel",
                Delivery::Rejected(..) => "rejected",
                Delivery::Deferred(..) => "deferred",
                Delivery::Accepted(_) | Delivery::InDoubt(_) => "other",
            };
            assert_eq!(found, expected, "{stage:?} {code} {text}");
        }
    }
}
