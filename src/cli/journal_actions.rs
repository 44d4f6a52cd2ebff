//! `journal stats|export|retry|prune`: counting, taking out, sending again, forgetting.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{Exit, Failure, Format, Terminal, journal::failure};
use crate::{
    config,
    journal::{Filter, Journal},
    review,
};

/// Rows of one page while exporting.
const PAGE: u32 = 500;

#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Since: 2026-11-16, 2026-11-16T09:00:00Z, or this long ago (36h, 7d).
    #[arg(long, value_name = "TIME", value_parser = super::journal::moment, default_value = "30d")]
    since: Timestamp,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = super::journal::moment)]
    until: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// Recorded since.
    #[arg(long, value_name = "TIME", value_parser = super::journal::moment)]
    since: Option<Timestamp>,
    /// Recorded before.
    #[arg(long, value_name = "TIME", value_parser = super::journal::moment)]
    until: Option<Timestamp>,
    /// Also what is not a bounce.
    #[arg(long)]
    all: bool,
    /// JSON Lines with the whole story of each bounce, or CSV with a line for each.
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormat,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ExportFormat {
    #[default]
    Json,
    Csv,
}

#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// Rows' ids, or references such as WB-7F3K2M9Q.
    #[arg(required_unless_present = "held", conflicts_with = "held")]
    ids: Vec<String>,
    /// Everything that the breaker holds.
    #[arg(long)]
    held: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct PruneArgs {
    /// Keep this much instead of journal.retain.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retain: Option<SignedDuration>,
}

pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    SignedDuration::try_from(config::duration(text)?).map_err(|error| error.to_string())
}

pub(super) async fn stats(
    journal: &Journal,
    args: &StatsArgs,
    zone: &TimeZone,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let offset = SignedDuration::from_secs(i64::from(zone.to_offset(now).seconds()));
    let until = args.until.unwrap_or(Timestamp::MAX);
    let stats = journal.stats(args.since, until, offset).await.map_err(|error| failure(&error))?;
    match args.format {
        Format::Json => terminal.json(&stats)?,
        Format::Text => terminal.out().write_all(review::stats(&stats).as_bytes())?,
    }
    Ok(Exit::Fine)
}

pub(super) async fn export(
    journal: &Journal,
    args: &ExportArgs,
    zone: &TimeZone,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let mut filter = Filter { since: args.since, until: args.until, all: args.all, limit: PAGE, ..Filter::default() };
    let mut first = true;
    loop {
        let rows = journal.list(&filter).await.map_err(|error| failure(&error))?;
        match args.format {
            ExportFormat::Csv => {
                let text = review::list(&rows, zone).csv();
                // The heading stands once.
                let body = if first { &text[..] } else { text.split_once("\r\n").map_or("", |(_, rest)| rest) };
                terminal.out().write_all(body.as_bytes())?;
            }
            ExportFormat::Json => {
                for row in &rows {
                    let story = journal.show(&row.id.to_string()).await.map_err(|error| failure(&error))?;
                    terminal.json(&story)?;
                }
            }
        }
        first = false;
        match rows.last() {
            Some(last) if rows.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX) => filter.before = Some(last.id),
            _ => return Ok(Exit::Fine),
        }
    }
}

pub(super) async fn retry(journal: &Journal, args: &RetryArgs, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    if args.held {
        let was = journal.release_breaker().await.map_err(|error| failure(&error))?;
        writeln!(
            terminal.out(),
            "{}",
            if was {
                "The breaker is released; each person gets one mail about what was held."
            } else {
                "The breaker was not open."
            }
        )?;
    }
    for id in &args.ids {
        let story = journal.show(id).await.map_err(|error| failure(&error))?;
        journal.retry(story.row.id, now).await.map_err(|error| failure(&error))?;
        writeln!(terminal.out(), "{id} is sent again within half a minute, by the running daemon.")?;
    }
    Ok(Exit::Fine)
}

pub(super) async fn prune(
    journal: &Journal,
    args: &PruneArgs,
    retain: SignedDuration,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let retain = args.retain.unwrap_or(retain);
    let pruned = journal.prune(retain, Timestamp::now()).await.map_err(|error| failure(&error))?;
    writeln!(terminal.out(), "Personal data of {pruned} messages was deleted; digests remain.")?;
    Ok(Exit::Fine)
}
