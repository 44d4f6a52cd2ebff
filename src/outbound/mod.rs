//! Makes one attempt to deliver one reply, by SMTP over a kept connection or as a file.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::{mail::Mailbox, net::Endpoint};

/// Which reverse-path our mail carries (`design.md` §8.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReversePathMode {
    /// Null where the server takes it, else the login's address; what was found is kept.
    Auto,
    /// Always null.
    Null,
    /// Always the address of `from`.
    From,
}

/// Where explanations go.
#[derive(Clone, Debug)]
pub enum Route {
    /// To a submission server.
    Smtp {
        /// Where to connect.
        endpoint: Endpoint,
        /// User and password; without them no AUTH.
        login: Option<(String, SecretString)>,
        /// Which reverse-path is used.
        reverse_path: ReversePathMode,
    },
    /// As `.eml` files into this directory.
    Directory(PathBuf),
}

/// `[smtp]` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where explanations go.
    pub route: Route,
    /// The address in From; also the reverse-path where the null one is refused and no login is an address.
    pub from: Mailbox,
}
