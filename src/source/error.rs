//! What can go wrong with a mailbox: which one, where, why, and what to do.

use crate::net;

/// What kind of trouble, for those who must decide what follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The server is away, slow, full or shutting down: may heal by itself.
    Unavailable,
    /// User or password was refused: see `backoff`, providers lock accounts.
    LoginRefused,
    /// The connection was lost in the middle of work.
    Lost,
    /// The server broke the protocol.
    Protocol,
    /// The administrator must act: certificate, CA file, a login that the server does not offer.
    Setup,
    /// One folder is missing or read-only; the session lives on.
    Folder,
}

/// Trouble with one mailbox.
#[derive(Clone, Debug, thiserror::Error)]
#[error("mailbox {account}: {place}: {reason}{}", hint.as_ref().map(|it| format!("; hint: {it}")).unwrap_or_default())]
pub struct Error {
    /// The mailbox's name in the configuration.
    pub account: String,
    /// `host:port`, with the folder or the command where it matters, or a path.
    pub place: String,
    /// What kind.
    pub kind: Kind,
    /// Why.
    pub reason: String,
    /// What to do next, where that can be said.
    pub hint: Option<String>,
}

impl Error {
    pub(super) fn new(account: &str, place: impl Into<String>, kind: Kind, reason: impl Into<String>) -> Self {
        Self { account: account.to_owned(), place: place.into(), kind, reason: reason.into(), hint: None }
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn from_net(account: &str, error: net::Error) -> Self {
        let kind = match error.kind {
            net::Kind::Unreachable | net::Kind::TimedOut => Kind::Unavailable,
            net::Kind::Untrusted | net::Kind::Local => Kind::Setup,
            net::Kind::Refused => Kind::LoginRefused,
        };
        Self {
            account: account.to_owned(),
            place: error.place,
            kind,
            reason: format!("{}: {}", error.stage, error.reason),
            hint: error.hint,
        }
    }

    /// Whether the session is still there: only one folder is in trouble.
    #[must_use]
    pub fn session_lives(&self) -> bool {
        self.kind == Kind::Folder
    }
}
