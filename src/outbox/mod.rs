//! What becomes of a reply on its way out: states, the retry table, the outcome of one attempt.
//!
//! Pure. `journal` keeps the rows, `outbound` makes the attempts; this module says what follows.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{mail::Mailbox, reply::Reply};

mod channel;
mod gate;

pub use channel::Paused;
pub use gate::{Closed, gate};

/// What a row is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The explanation of one original's bounces.
    Explanation,
    /// A copy of an explanation for a colleague, by an administrator's wish.
    Copy,
    /// What one person was not told one by one: a limit was reached, or the breaker held it.
    Digest,
    /// To the administrator.
    Alert,
}

/// Where an outbox row stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To be sent when `next_attempt` comes.
    Due,
    /// An attempt is under way; `body_started` is not yet recorded.
    Attempting,
    /// The final dot may have been seen by the server.
    BodyStarted,
    /// Accepted.
    Sent,
    /// Refused for good, or given up.
    Failed,
    /// Held: breaker, or by hand.
    Held,
    /// In doubt twice (`design.md` §8.3): ended, may have been delivered.
    InDoubt,
    /// Rendered in `dry_run`; sent only by `journal retry`, or when a further bounce comes in live mode.
    DryRun,
    /// Held by the breaker and told in a digest instead.
    Digested,
    /// A delay that was settled before it was told; a later bounce of the same original takes it up again.
    Withdrawn,
}

/// One row claimed for one attempt: already counted, and the next one already dated.
#[derive(Clone, Debug)]
pub struct Due {
    /// The row.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
    /// Whom it is for, who need not be whom it goes to (`policy.mode = "redirect"`).
    pub person: Option<Mailbox>,
    /// What to send.
    pub reply: Reply,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The administrator wants it sent, in a dry run too (`journal retry`).
    pub by_hand: bool,
    /// The attempt before ended in doubt: this is the one repetition (`design.md` §8.3).
    pub repeats_doubt: bool,
}

/// How a server answered: code and text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmtpReply {
    /// Reply code.
    pub code: u16,
    /// Text, one line.
    pub text: String,
}

/// Where in the conversation something went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// TCP connect.
    Connect,
    /// TLS, either way.
    Tls,
    /// Greeting.
    Greeting,
    /// EHLO.
    Ehlo,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The final dot.
    Dot,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Greeting => "greeting",
            Self::Ehlo => "EHLO",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Dot => "final dot",
        })
    }
}

/// What a server was found to take under `smtp.reverse_path = "auto"`; the journal keeps it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathChoice {
    /// The null reverse-path.
    Null,
    /// The login's address, or `from` where the login is none.
    Login,
}

/// The outcome of one attempt. Nothing is inferred from a lost connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// 250 to the final dot.
    Accepted(SmtpReply),
    /// This message was put off (4yz at RCPT or about the content).
    Deferred(Stage, SmtpReply),
    /// This message was refused (5yz at RCPT or about the content).
    Rejected(Stage, SmtpReply),
    /// The channel is out of order: no row ends (`design.md` §3, *Channel or message*).
    ChannelRefused(Stage, String),
    /// The answer to the final dot was lost (RFC 1047).
    InDoubt(String),
}

/// Waits between attempts of one message (RFC 5321 §4.5.4.1: at least 30 minutes), a day in all.
const RETRY_AFTER: [SignedDuration; 6] = [
    SignedDuration::from_mins(30),
    SignedDuration::from_mins(60),
    SignedDuration::from_mins(120),
    SignedDuration::from_mins(240),
    SignedDuration::from_mins(480),
    SignedDuration::from_mins(480),
];

/// When to try again after `attempts` attempts, the last begun at `now`; `None`: give up.
#[must_use]
pub fn next_attempt(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
    RETRY_AFTER.get(index).and_then(|wait| now.checked_add(*wait).ok())
}
