//! The steps of a delivery to ourselves, as far as RCPT: what `check` shows of the way out.

use super::{
    PathChoice, ReversePathMode, Route, Sender, directory,
    smtp::{Connection, Failure},
    verdict,
};
use crate::{
    mail::ReversePath,
    net::Endpoint,
    outbox::{Delivery, Stage},
};

/// What was tried and what came of it, in order; the last step tells whether mail can leave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// Stage, and what was found there or why it failed (with its hint).
    pub steps: Vec<(Stage, Result<String, String>)>,
    /// Which reverse-path the server takes, under `auto`; to be kept by the journal.
    pub learned: Option<PathChoice>,
}

impl Probe {
    /// Whether every step but the null reverse-path under `auto` went well.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.steps.last().is_some_and(|(_, result)| result.is_ok())
    }

    fn good(&mut self, stage: Stage, found: impl Into<String>) {
        self.steps.push((stage, Ok(found.into())));
    }

    /// `asked`: MAIL and RCPT, where it came to that.
    fn bad(&mut self, endpoint: &Endpoint, failure: Failure, asked: &str) {
        match verdict::delivery(endpoint, failure.into()) {
            Delivery::ChannelRefused(stage, why) => self.steps.push((stage, Err(why))),
            Delivery::Deferred(stage, reply) | Delivery::Rejected(stage, reply) => {
                let why = format!(
                    "{asked}: {} {}; hint: the server must take mail for `from`, for people answer to it: make that \
                     mailbox or alias, or set `from` to one that is there",
                    reply.code, reply.text
                );
                self.steps.push((stage, Err(why)));
            }
            Delivery::Accepted(_) | Delivery::InDoubt(_) => {}
        }
    }
}

pub(super) async fn probe(sender: &mut Sender) -> Probe {
    let mut probe = Probe::default();
    let (endpoint, login, mode) = match &sender.settings.route {
        Route::Directory(path) => {
            let result = directory::is_writable(path)
                .map(|()| format!("{} is writable", path.display()))
                .map_err(|error| format!("{}: {error}; hint: `smtp.directory` must be writable", path.display()));
            probe.steps.push((Stage::Connect, result));
            return probe;
        }
        Route::Smtp { endpoint, login, reverse_path } => (endpoint.clone(), login.clone(), *reverse_path),
    };
    sender.close().await;
    let mut connection = match Connection::open(&endpoint, login.as_ref()).await {
        Ok(connection) => connection,
        Err(failure) => {
            probe.bad(&endpoint, failure, "");
            return probe;
        }
    };
    let how = connection.how.clone();
    probe.good(Stage::Connect, format!("{}: {}", endpoint.place(), verdict::one_line(&how.server)));
    probe.good(Stage::Tls, how.tls.unwrap_or("not encrypted (tls = \"none\")"));
    if let (Some(login), Some(mechanism)) = (&login, how.mechanism) {
        probe.good(Stage::Auth, format!("logged in as {} ({mechanism})", login.user()));
    }
    if let Err(failure) = connection.noop().await {
        probe.bad(&endpoint, failure, "");
        return probe;
    }
    let paths = match mode {
        ReversePathMode::Null => vec![ReversePath::Null],
        ReversePathMode::From => vec![ReversePath::Mailbox(sender.settings.from.clone())],
        ReversePathMode::Auto => vec![ReversePath::Null, sender.fallback_path()],
    };
    for path in paths {
        let written = match &path {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Mailbox(mailbox) => format!("<{mailbox}>"),
        };
        let asked = format!("MAIL FROM:{written} and RCPT TO:<{}>", sender.settings.from);
        match connection.envelope(&path, &sender.settings.from, false).await {
            Ok(()) => {
                probe.good(Stage::Rcpt, format!("{asked} are taken"));
                if mode == ReversePathMode::Auto {
                    let found = if path == ReversePath::Null { PathChoice::Null } else { PathChoice::Login };
                    probe.learned = Some(found);
                }
                break;
            }
            Err(Failure::Lost(stage, why)) => {
                probe.bad(&endpoint, Failure::Lost(stage, why), &asked);
                return probe;
            }
            Err(refused @ Failure::Refused(..)) => probe.bad(&endpoint, refused, &asked),
        }
        if !connection.reset().await {
            break;
        }
    }
    connection.quit().await;
    probe
}
