//! Hands over messages from IMAP folders, Maildirs and standard input, and carries out what became of each.
//!
//! It decides nothing, and touches a mailbox only with a `Recorded` in hand.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use crate::{mail::Role, net::Endpoint};

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

/// How we log in.
#[derive(Clone, Debug)]
pub enum Login {
    /// User and password, by the best mechanism the server offers.
    Password {
        /// The login name (for a Dovecot master user: `member*master`).
        user: String,
        /// The password; never shown.
        password: SecretString,
    },
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
