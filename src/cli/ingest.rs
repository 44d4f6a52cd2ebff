//! `ingest`: one message on standard input into the journal, as an MTA's pipe hands it over.
//!
//! Exit 0 says that the message is on record for good. Whatever else is wrong, the configuration
//! included, ends with 75, for to most MTAs that alone means "keep it and try again"; only a wrong
//! command line is 64, and an input without a message 65, for neither mends itself. The running
//! daemon sends the explanation. Passwords are not read: Sent folders are not asked from here, or
//! a storm of forged bounces would become one of logins.

use std::{io, path::Path};

use jiff::Timestamp;

use super::{Exit, Failure, block_on, exit::split_hint, logging};
use crate::{
    app::{self, Engine, Ingested},
    config::{self, LogSettings, Secrets},
    journal::{Access, Journal},
    mail::Role,
    source::pipe,
};

pub(super) fn run(path: &Path) -> Result<Exit, Failure> {
    let mut config = config::load(path, Secrets::Skip).map_err(again)?;
    config.mailboxes.clear();
    // Dovecot logs every word on standard error as an error; the journal has the rest.
    logging::start(&LogSettings { filter: "warn".to_owned(), to: config.log.to })
        .map_err(|it| Failure { exit: Exit::TryAgain, ..it })?;
    let message = pipe::read(io::stdin().lock(), Timestamp::now(), Role::Central)
        .map_err(|error| again(format!("standard input: {error}")))?;
    if message.bytes.trim_ascii().is_empty() {
        return Err(Failure::new(Exit::UnreadableData, "there is no message on standard input")
            .hint("an MTA hands it over, as docs/feeding shows; by hand: whybounced ingest < bounce.eml"));
    }
    let ingested = block_on(async {
        let journal = Journal::open(&config.journal, Access::Write).await.map_err(again)?;
        let engine = Engine::new(config, journal).map_err(again)?;
        app::ingest(engine, message).await.map_err(again)
    })??;
    match ingested {
        Ingested::Recorded(_) | Ingested::SetAside => Ok(Exit::Fine),
        Ingested::Failed => Err(again("the program failed on this message; hint: after three tries it is set aside")),
    }
}

/// Not stored: the MTA shall keep it.
fn again(error: impl std::fmt::Display) -> Failure {
    let text = error.to_string();
    let (message, hint) = split_hint(&text);
    let failure = Failure::new(Exit::TryAgain, message);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
