//! The truth: all SQL, and nothing but SQL.
//!
//! A message, its report, diagnoses, findings, decision and finished reply are committed in one
//! transaction, before the inbox is touched and before anything is sent (`flow.md`, *Order of
//! writes*). SQLite is the default (`sqlite:PATH`), PostgreSQL when several daemons share the work.
//!
//! The order of calls, as `app` makes them:
//!
//! ```text
//! open → recover                                   once, at start
//! history → (decide, render) → record              each message; Conflict: from history again
//! claim_due → body_started → finish                each attempt; body_started before DATA's body;
//!                                                  finish_and_claim where one follows the other
//! tend, prune                                      now and then: breaker, leases; retention
//! watch → states, news → tell; digests_due         now and then: what goes out besides explanations
//! list, show, overview, …; retry, mute, …          a review, beside all that
//! ```

mod batch;
mod columns;
mod database;
mod delivered;
mod error;
mod follow;
mod group;
mod history;
mod list;
mod memory;
mod notices;
mod open;
mod prune;
mod read;
mod record;
mod review;
mod send;
mod stats;
mod tally;
mod verify;
mod week;
mod words;

use std::{fs::File, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    bounce::{Bounce, Recognition},
    evidence::Finding,
    mail::{MessageRef, Recorded, Role},
    policy::{Candidate, Decision, History},
    reply::Reply,
};
use database::Database;

pub use error::Error;
pub use follow::{Action, Event, FolderRead};
pub use list::{Filter, Row, Sort};
pub use notices::{Digest, Watch};
pub use read::{Story, StoryEntry, StoryReply};
pub use review::{DayCount, Diagnosed, Marked, OutboxRow};
pub use stats::{Count, Stats, WouldAnswer};
pub use tally::{Day, Overview};
pub use words::words as search_words;

/// `[journal]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`; may hold a password, never shown.
    pub url: secrecy::SecretString,
    /// How long personal data is kept.
    pub retain: jiff::SignedDuration,
}

/// What a journal is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// To run on it: on SQLite no second daemon gets in.
    Daemon,
    /// To write beside a daemon: `journal retry`, `ingest`.
    Write,
    /// To look.
    Read,
}

/// An open journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    database: Database,
    _lock: Option<Arc<File>>,
}

/// One message with all that was found out and decided, as it is committed.
#[derive(Clone, Copy, Debug)]
pub struct JournalEntry<'a> {
    /// Where the message lies.
    pub reference: &'a MessageRef,
    /// The kind of mailbox it was found in.
    pub role: &'a Role,
    /// When the server received it.
    pub received: Timestamp,
    /// Its size in octets.
    pub size: u64,
    /// `content_hash` of its octets.
    pub content: &'a str,
    /// What it turned out to be.
    pub recognition: &'a Recognition,
    /// What was found out about each recipient.
    pub findings: &'a [Finding],
    /// Whom we would answer, if anybody.
    pub candidate: Option<&'a Candidate>,
    /// What was decided.
    pub decision: &'a Decision,
    /// The finished mail, where one was planned.
    pub reply: Option<&'a Reply>,
    /// The catalogue that was used.
    pub catalogue_version: &'a str,
    /// Now.
    pub at: Timestamp,
}

/// What came of recording.
#[derive(Debug)]
pub enum Recording {
    /// Committed, now or earlier.
    Done {
        /// The proof.
        recorded: Recorded,
        /// The row, as `journal show` takes it.
        bounce_id: i64,
        /// What was committed: a race or a limit may have turned an answer into a suppression.
        decision: Box<Decision>,
    },
    /// Another message of the same original came between: ask `history` again.
    Conflict,
}

/// What the journal knows that bears on one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The facts for `policy::decide`.
    pub history: History,
    /// The bounces that the waiting explanation (`history.gathering`) is made of, oldest first.
    pub earlier: Vec<(Bounce, Vec<Finding>)>,
}

/// What happened to a message or an explanation. The journal's `entry` rows are only appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Read, diagnosed and decided.
    Recorded,
    /// Left alone: a message after three failures, a mail of ours that cannot be read.
    SetAside,
    /// An explanation was put into the outbox.
    Queued,
    /// The waiting explanation took this bounce in.
    Gathered,
    /// An attempt began.
    Attempted,
    /// DATA was accepted; the final dot may be seen from here on.
    BodyStarted,
    /// 250 to the final dot.
    Sent,
    /// Put off by the server.
    Deferred,
    /// Refused for good, or given up after a day.
    Refused,
    /// The channel was out of order.
    ChannelRefused,
    /// The answer to the final dot was lost.
    InDoubt,
    /// A start found the attempt unfinished.
    Recovered,
    /// Held by the breaker.
    Held,
    /// Sent on its way again by hand or by the breaker's release.
    Released,
    /// A person sent a copy to somebody else.
    Copied,
    /// A person marked the diagnosis as wrong.
    Marked,
    /// A person muted a domain.
    Muted,
    /// A person took that back.
    Unmuted,
    /// A delay was settled before it was told.
    Withdrawn,
    /// A person did something else: the detail says what.
    Administered,
}

/// A digest of a message's octets, by which a copy is known again.
#[must_use]
pub fn content_hash(octets: &[u8]) -> String {
    hex(&Sha256::digest(octets))
}

/// A digest of an identity: what remains of it after `journal.retain`.
fn identity_hash(identity: &str) -> String {
    hex(&Sha256::digest(identity.as_bytes()))
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Journal {
    /// Opens the journal and brings its schema up to date. Files and directories that are made
    /// are 0600 and 0700; nothing that exists is changed in mode.
    pub async fn open(settings: &Settings, access: Access) -> Result<Self, Error> {
        open::open(settings, access).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[cfg(test)]
mod tests;
