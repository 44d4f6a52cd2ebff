//! Makes one attempt to deliver one reply, by SMTP over a kept connection or as a file.
//!
//! In: a `Reply` and a callback that puts "the body is about to be sent" on record. Out: an
//! `Attempt`, whose `Delivery` infers nothing from a lost connection. It keeps no queue and no
//! clock for retries (that is `outbox`), and writes nothing down (that is `journal`).
//!
//! A [`Sender`] is used by one task at a time; several senders may run side by side. Dropping the
//! future of `deliver` drops its connection too, so that no later mail can meet an answer that is
//! out of step.

mod address;
mod directory;
mod probe;
mod replies;
mod smtp;
mod verdict;

use std::{path::PathBuf, time::Duration};

use tokio::time::Instant;

use crate::{
    mail::{Mailbox, ReversePath},
    net::{Endpoint, Login},
    outbox::{Delivery, SmtpReply, Stage},
    reply::Reply,
};

pub use crate::outbox::PathChoice;
pub use probe::Probe;
use smtp::Connection;

/// A kept connection is not trusted beyond this; many servers close at 5 minutes or less.
pub const KEEP: Duration = Duration::from_mins(1);

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
        /// Who we are; without it no AUTH.
        login: Option<Login>,
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

/// The outcome of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// What became of the mail.
    pub delivery: Delivery,
    /// What this attempt taught about the server and was not known before: to be kept.
    pub learned: Option<PathChoice>,
}

/// Delivers one reply after the other over one kept connection.
#[derive(Debug)]
pub struct Sender {
    settings: Settings,
    choice: Option<PathChoice>,
    kept: Option<(Connection, Instant)>,
}

/// What one pass through MAIL, RCPT, DATA and the dot came to, before it is judged.
#[derive(Clone, Debug, PartialEq)]
enum Pass {
    /// 250 to the final dot.
    Accepted(SmtpReply),
    /// Refused in the server's words; the connection is in step still.
    Refused(Stage, SmtpReply),
    /// No answer, or none that makes sense.
    Lost(Stage, String),
    /// The final dot may have been seen.
    InDoubt(String),
}

impl Sender {
    /// `known` is what the journal kept from earlier attempts.
    #[must_use]
    pub fn new(settings: Settings, known: Option<PathChoice>) -> Self {
        Self { settings, choice: known, kept: None }
    }

    /// One attempt. `body_started` is awaited after the server asked for the message and before
    /// its first octet is sent, and again if a second reverse-path is tried; if it fails, nothing
    /// is sent and the delivery is `ChannelRefused(Data, …)`.
    pub async fn deliver<F, W>(&mut self, reply: &Reply, mut body_started: F) -> Attempt
    where
        F: FnMut() -> W + Send,
        W: Future<Output = Result<(), String>> + Send,
    {
        let (endpoint, login, mode) = match &self.settings.route {
            Route::Directory(directory) => {
                let delivery = match body_started().await {
                    Ok(()) => directory::write(directory.clone(), reply).await,
                    Err(why) => verdict::not_recorded(&why),
                };
                return Attempt { delivery, learned: None };
            }
            Route::Smtp { endpoint, login, reverse_path } => (endpoint.clone(), login.clone(), *reverse_path),
        };
        let fallback = self.fallback_path();
        let first = match (mode, self.choice) {
            (ReversePathMode::Null, _) | (ReversePathMode::Auto, None | Some(PathChoice::Null)) => ReversePath::Null,
            (ReversePathMode::Auto, Some(PathChoice::Login)) => fallback.clone(),
            (ReversePathMode::From, _) => ReversePath::Mailbox(self.settings.from.clone()),
        };
        let mut used = first.clone();
        let mut pass = self.pass(&endpoint, login.as_ref(), reply, &first, &mut body_started).await;
        if mode == ReversePathMode::Auto && first == ReversePath::Null && verdict::refuses_null_path(&pass) {
            tracing::info!(server = %endpoint.place(), "the null reverse-path was refused; trying the login's address");
            used = fallback;
            pass = self.pass(&endpoint, login.as_ref(), reply, &used, &mut body_started).await;
        }
        let mut learned = None;
        if mode == ReversePathMode::Auto && matches!(pass, Pass::Accepted(_)) {
            let found = if used == ReversePath::Null { PathChoice::Null } else { PathChoice::Login };
            learned = (self.choice != Some(found)).then_some(found);
            self.choice = Some(found);
        }
        Attempt { delivery: verdict::delivery(&endpoint, pass), learned }
    }

    /// Takes the steps of a delivery to ourselves up to RCPT, for `check`; nothing is sent.
    pub async fn probe(&mut self) -> Probe {
        probe::probe(self).await
    }

    /// Says goodbye to the server; to be called when nothing is due for [`KEEP`], and at the end.
    pub async fn close(&mut self) {
        if let Some((connection, _)) = self.kept.take() {
            connection.quit().await;
        }
    }

    /// The login where it is an address, else `from`.
    fn fallback_path(&self) -> ReversePath {
        let login = match &self.settings.route {
            Route::Smtp { login: Some(login), .. } => Mailbox::parse(login.user()),
            Route::Smtp { login: None, .. } | Route::Directory(_) => None,
        };
        ReversePath::Mailbox(login.unwrap_or_else(|| self.settings.from.clone()))
    }

    /// A connection in step: the kept one if it still answers, else a new one. It is taken out of
    /// `self`, and comes back only after a pass that left it in step.
    async fn connection(&mut self, endpoint: &Endpoint, login: Option<&Login>) -> Result<Connection, smtp::Failure> {
        if let Some((mut connection, since)) = self.kept.take() {
            if since.elapsed() < KEEP && connection.reset().await {
                return Ok(connection);
            }
            connection.quit().await;
        }
        Connection::open(endpoint, login).await
    }

    async fn pass<F, W>(
        &mut self,
        endpoint: &Endpoint,
        login: Option<&Login>,
        reply: &Reply,
        path: &ReversePath,
        body_started: &mut F,
    ) -> Pass
    where
        F: FnMut() -> W + Send,
        W: Future<Output = Result<(), String>> + Send,
    {
        let mut connection = match self.connection(endpoint, login).await {
            Ok(connection) => connection,
            Err(failure) => return failure.into(),
        };
        let pass = connection.transaction(reply, path, body_started).await;
        let in_step = match &pass {
            Pass::Accepted(_) => true,
            Pass::Refused(_, answer) => answer.code != 421,
            Pass::Lost(..) | Pass::InDoubt(_) => false,
        };
        if in_step {
            self.kept = Some((connection, Instant::now()));
        }
        pass
    }
}
