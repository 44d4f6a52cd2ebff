//! `journal follow`: each thing that happens, as it is committed.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Exit, Failure, Format, Terminal, journal::failure};
use crate::{
    journal::{Event, Journal},
    review,
};

/// Between two looks; the journal tells nobody of its own accord.
const TURN: Duration = Duration::from_millis(500);
/// Events of one look.
const PAGE: u32 = 200;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Begin with this many of the last events.
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: u32,
    /// End when nothing new has come for this long; without it, never.
    #[arg(long, value_name = "DURATION", value_parser = super::journal_actions::duration)]
    quiet: Option<jiff::SignedDuration>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn follow(
    journal: &Journal,
    args: &Args,
    zone: &TimeZone,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let newest = journal.last_event().await.map_err(|error| failure(&error))?;
    let mut after = newest.saturating_sub(i64::from(args.last)).max(0);
    let quiet = args.quiet.map(|it| Duration::try_from(it).unwrap_or(Duration::ZERO));
    let mut heard = tokio::time::Instant::now();
    loop {
        let events = journal.events(after, PAGE).await.map_err(|error| failure(&error))?;
        for event in &events {
            after = event.id;
            print(event, args.format, zone, terminal)?;
        }
        if !events.is_empty() {
            terminal.flush()?;
            heard = tokio::time::Instant::now();
            continue;
        }
        if quiet.is_some_and(|quiet| heard.elapsed() >= quiet) {
            return Ok(Exit::Fine);
        }
        tokio::time::sleep(TURN).await;
    }
}

fn print(event: &Event, format: Format, zone: &TimeZone, terminal: &mut Terminal) -> Result<(), Failure> {
    match format {
        Format::Json => terminal.json(event)?,
        Format::Text => {
            let line = review::event(event, zone);
            let width = super::journal_pager::columns().unwrap_or(usize::MAX);
            writeln!(terminal.out(), "{}", review::cut(&line, width))?;
        }
    }
    Ok(())
}
