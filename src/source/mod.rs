//! Hands over messages from IMAP folders, Maildirs and standard input, and carries out what became of each.
//!
//! It decides nothing, and touches a mailbox only with a `Recorded` in hand. The caller owns tasks,
//! waiting and backpressure; a [`Mailbox`] only does what it is told, in this order:
//!
//! ```text
//! let mut mailbox = Mailbox::new(settings);
//! loop {                                          // one task per mailbox
//!     mailbox.connect().await?                    // Err: log it, backoff.failed(…), sleep, again
//!     loop {
//!         for folder in mailbox.folders() {
//!             loop {
//!                 let scan = mailbox.scan(&folder, cursor, since).await?;
//!                 for found in &scan.found {      // reserve a slot first, then fetch
//!                     if let Some(message) = mailbox.fetch(found).await? { …record it… }
//!                     mailbox.settle(&recorded, outcome).await?;   // at once or any time later
//!                 }
//!                 // once all of scan.found is on record: keep scan.cursor
//!                 if !scan.more { break }
//!             }
//!         }
//!         backoff.worked();
//!         match mailbox.wait(&cancel).await? { Wake::Stopped => break, Wake::News | Wake::Poll => {} }
//!     }
//! }
//! mailbox.close().await;                          // LOGOUT
//! ```
//!
//! Every error but `Kind::Folder` has dropped the session: `connect` again. `Kind::Folder` is one
//! folder's trouble (missing, read-only): go on with the others. Only `wait` may be cancelled, by
//! its token; dropping the future of another call drops the session with it.

pub mod backoff;
pub mod candidate;
mod error;
pub mod imap;
pub mod maildir;
pub mod pipe;
mod stitch;

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    mail::{MessageId, MessageRef, RawMessage, Recorded, Role},
    net::Endpoint,
};

pub use crate::{mail::Cursor, net::Login};
pub use error::{Error, Kind};

/// Of a larger message only the head is fetched, and the report part where it lies beyond.
pub const HEAD: usize = 256 * 1024;

/// A scan hands over at most this many messages, the oldest first.
pub const SCAN_LIMIT: usize = 500;

/// What is done to a message once it is on record (`after`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum After {
    /// Nothing at all is set.
    Leave,
    /// `\Seen` is set.
    Seen,
    /// Moved to this folder, which is created where it is missing.
    Move(String),
}

/// Where messages are found.
#[derive(Clone, Debug)]
pub enum Place {
    /// An IMAP account.
    Imap {
        /// Where to connect.
        endpoint: Endpoint,
        /// How to log in.
        login: Login,
        /// The folders to watch, decoded names; never empty.
        folders: Vec<String>,
        /// Whether IDLE is used where the server offers it.
        idle: bool,
    },
    /// A Maildir on this machine.
    Maildir(PathBuf),
}

/// One mailbox of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, in every log line.
    pub name: String,
    /// Where its messages are.
    pub place: Place,
    /// Central, or one member's.
    pub role: Role,
    /// Time between polls; the safety net where IDLE is used.
    pub poll_interval: Duration,
    /// What is done to a recorded message that was a bounce.
    pub after: After,
}

/// A message that is there and not yet fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Where it lies.
    pub reference: MessageRef,
    /// Its whole size in octets, as the server says.
    pub size: u64,
    /// When the server received it; the epoch where that cannot be read.
    pub received: Timestamp,
}

/// What one look into a folder found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scan {
    /// Messages beyond the cursor, oldest first; of a member's mailbox the likely bounces only.
    pub found: Vec<Found>,
    /// Where the folder stands once all of `found` is on record; `None` for a Maildir.
    pub cursor: Option<Cursor>,
    /// There is more: scan again with `cursor`.
    pub more: bool,
    /// The server has numbered the folder anew, so that the given cursor meant nothing.
    pub renumbered: bool,
}

/// What a recorded message was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A bounce, or a request about one: `after` is carried out.
    Bounce,
    /// Anything else: left exactly as it is.
    Other,
}

/// How `after` was carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settled {
    /// As configured.
    Done,
    /// It was to be moved, but the server can do so only by expunging other people's deletions:
    /// it has `\Seen` instead.
    MarkedInstead,
    /// The folder was numbered anew since; nothing was touched.
    Stale,
}

/// Why `wait` returned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wake {
    /// The server says that something is new.
    News,
    /// It is time to look.
    Poll,
    /// The token was cancelled.
    Stopped,
}

/// What `check` shows of a mailbox.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// TLS version; `None` on a plain connection or for a Maildir.
    pub tls: Option<&'static str>,
    /// The server offers IDLE.
    pub idle: bool,
    /// `after = "move:…"` can be carried out.
    pub can_move: bool,
    /// Each watched folder: how many messages lie in it, or what is wrong with it and what to do.
    pub folders: Vec<(String, Result<u32, String>)>,
    /// All folders that could be watched.
    pub all_folders: Vec<String>,
}

/// One mailbox at work. One connection object per account, never shared.
#[derive(Debug)]
pub enum Mailbox {
    /// An IMAP account.
    Imap(Box<imap::Account>),
    /// A Maildir.
    Maildir(maildir::Maildir),
}

impl Mailbox {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        match settings.place {
            Place::Imap { endpoint, login, folders, idle } => {
                Self::Imap(Box::new(imap::Account::new(imap::Settings {
                    name: settings.name,
                    endpoint,
                    login,
                    folders,
                    idle,
                    role: settings.role,
                    poll_interval: settings.poll_interval,
                    after: settings.after,
                })))
            }
            Place::Maildir(path) => Self::Maildir(maildir::Maildir::new(
                settings.name,
                path,
                settings.role,
                settings.poll_interval,
                settings.after,
            )),
        }
    }

    /// Connects and logs in; a session that is there already is kept.
    ///
    /// # Errors
    /// Unreachable, untrusted, refused: see [`Kind`].
    pub async fn connect(&mut self) -> Result<(), Error> {
        match self {
            Self::Imap(it) => it.connect().await,
            Self::Maildir(it) => it.open().await,
        }
    }

    /// The folders to scan, decoded names.
    #[must_use]
    pub fn folders(&self) -> Vec<String> {
        match self {
            Self::Imap(it) => it.folders().to_vec(),
            Self::Maildir(_) => vec![maildir::FOLDER.to_owned()],
        }
    }

    /// Looks for messages beyond `cursor`. Without a cursor, or when the folder was numbered anew,
    /// for those received since `since`, a day earlier to be safe (IMAP knows whole days only).
    ///
    /// # Errors
    /// The folder, or the session, is lost.
    pub async fn scan(
        &mut self,
        folder: &str,
        cursor: Option<Cursor>,
        since: Option<Timestamp>,
    ) -> Result<Scan, Error> {
        match self {
            Self::Imap(it) => it.scan(folder, cursor, since).await,
            Self::Maildir(it) => it.scan().await,
        }
    }

    /// Fetches one message without marking it read; `None` if it has gone meanwhile.
    ///
    /// # Errors
    /// The folder, or the session, is lost.
    pub async fn fetch(&mut self, found: &Found) -> Result<Option<RawMessage>, Error> {
        match self {
            Self::Imap(it) => it.fetch(found).await,
            Self::Maildir(it) => it.fetch(found).await,
        }
    }

    /// Carries out `after` on a message that is on record; done again, it does no harm.
    ///
    /// # Errors
    /// The folder, or the session, is lost.
    pub async fn settle(&mut self, recorded: &Recorded, outcome: Outcome) -> Result<Settled, Error> {
        match self {
            Self::Imap(it) => it.settle(recorded, outcome).await,
            Self::Maildir(it) => it.settle(recorded, outcome).await,
        }
    }

    /// Waits for news: by IDLE on the first folder where the server can, and never longer than the
    /// poll interval. Returns at once when `cancel` is cancelled.
    ///
    /// # Errors
    /// The session is lost.
    pub async fn wait(&mut self, cancel: &CancellationToken) -> Result<Wake, Error> {
        match self {
            Self::Imap(it) => it.wait(cancel).await,
            Self::Maildir(it) => Ok(it.wait(cancel).await),
        }
    }

    /// For `check`: connects where need be, looks at every watched folder, changes nothing.
    ///
    /// # Errors
    /// Unreachable, untrusted, refused: see [`Kind`].
    pub async fn survey(&mut self) -> Result<Survey, Error> {
        match self {
            Self::Imap(it) => it.survey().await,
            Self::Maildir(it) => it.survey().await,
        }
    }

    /// Whether this mailbox's Sent folder, by SPECIAL-USE (RFC 6154) or by name, holds a message
    /// with this Message-ID: a ground of origin. `None` where there is no such folder to ask.
    ///
    /// # Errors
    /// The session is lost.
    pub async fn find_sent(&mut self, id: &MessageId) -> Result<Option<bool>, Error> {
        match self {
            Self::Imap(it) => it.find_sent(id).await,
            Self::Maildir(_) => Ok(None),
        }
    }

    /// Says goodbye, within two seconds.
    pub async fn close(&mut self) {
        match self {
            Self::Imap(it) => it.close().await,
            Self::Maildir(_) => {}
        }
    }
}
