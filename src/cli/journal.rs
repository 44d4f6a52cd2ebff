//! `journal`: looks into it and works on it, beside a running daemon or without one.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use jiff::{Timestamp, tz::TimeZone};

use super::{Cli, Exit, Failure, Format, Terminal, journal_actions as actions, journal_follow, journal_pager as pager};
use crate::{
    config::{self, Secrets},
    journal::{self, Access, Error, Filter, Journal, Sort},
    outbox::State,
    review,
};

/// Arguments of `journal`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists bounces and what became of them, newest first.
    List(ListArgs),
    /// Shows everything about one bounce.
    Show(ShowArgs),
    /// Counts: causes, domains, days, what was answered and what not.
    Stats(actions::StatsArgs),
    /// Sends explanations again, or what a dry run or the breaker held, by the running daemon.
    Retry(actions::RetryArgs),
    /// Writes everything out, newest first.
    Export(actions::ExportArgs),
    /// Deletes personal data older than journal.retain now; the daemon does so by itself.
    Prune(actions::PruneArgs),
    /// Shows what happens as it happens, until interrupted.
    Follow(journal_follow::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Recorded since: 2026-11-16, 2026-11-16T09:00:00Z, or this long ago (36h, 7d).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Recorded before.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Who wrote the message.
    #[arg(long, visible_alias = "person", value_name = "ADDRESS")]
    author: Option<String>,
    /// Who was not reached.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Domain of who was not reached.
    #[arg(long)]
    domain: Option<String>,
    /// A cause, such as `mailbox_full`.
    #[arg(long)]
    cause: Option<String>,
    /// What was decided.
    #[arg(long, value_enum)]
    decision: Option<DecisionWord>,
    /// Where the explanation stands.
    #[arg(long, value_enum)]
    state: Option<StateWord>,
    /// Words in the subject, an address, the server's words or the reference; the beginning of a word
    /// will do, and of Chinese any part.
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// Only what was marked as wrongly diagnosed.
    #[arg(long)]
    wrong: bool,
    /// Also what is not a bounce.
    #[arg(long)]
    all: bool,
    /// In which order.
    #[arg(long, value_enum, default_value_t)]
    sort: SortWord,
    /// The page after this row: the last id of the page before.
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    before: Option<i64>,
    /// How many rows.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: ListFormat,
    /// Not through $PAGER, even on a terminal.
    #[arg(long)]
    no_pager: bool,
}

/// Arguments of `journal show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// A row's id, or a reference such as WB-7F3K2M9Q.
    id: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The explanation as the mail that was or will be sent.
    #[arg(long, conflicts_with = "format")]
    eml: bool,
    /// Not through $PAGER, even on a terminal.
    #[arg(long)]
    no_pager: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SortWord {
    /// The last one recorded first.
    #[default]
    Newest,
    /// The first one recorded first.
    Oldest,
    /// By who wrote the message.
    Person,
    /// By who was not reached.
    Recipient,
    /// By cause.
    Cause,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ListFormat {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// For spreadsheets.
    Csv,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DecisionWord {
    Answer,
    Hold,
    Suppress,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateWord {
    Due,
    Sent,
    Failed,
    Held,
    InDoubt,
    DryRun,
    Digested,
}

/// A date, a time, or how long ago.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = config::duration(text) {
        let ago = jiff::SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    let day =
        || text.parse::<jiff::civil::Date>().ok()?.to_zoned_datetime(TimeZone::system()).ok().map(|it| it.timestamp());
    text.parse().ok().or_else(day).ok_or_else(|| "expected 2026-11-16, 2026-11-16T09:00:00Z, or 7d".to_owned())
}

pub(super) fn run(cli: &Cli, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    super::logging::start_if_asked()?;
    let config = config::load(&cli.config, Secrets::Skip)?;
    let zone = &config.reply.timezone;
    super::block_on(async {
        let access = match &args.command {
            Command::List(_) | Command::Show(_) | Command::Stats(_) | Command::Export(_) | Command::Follow(_) => {
                Access::Read
            }
            Command::Retry(_) | Command::Prune(_) => Access::Write,
        };
        let journal = Journal::open(&config.journal, access).await.map_err(|error| failure(&error))?;
        let result = match &args.command {
            Command::List(args) => list(&journal, args, zone, terminal).await,
            Command::Show(args) => show(&journal, args, zone, terminal).await,
            Command::Stats(args) => actions::stats(&journal, args, zone, terminal).await,
            Command::Retry(args) => actions::retry(&journal, args, terminal).await,
            Command::Export(args) => actions::export(&journal, args, zone, terminal).await,
            Command::Prune(args) => actions::prune(&journal, args, config.journal.retain, terminal).await,
            Command::Follow(args) => journal_follow::follow(&journal, args, zone, terminal).await,
        };
        journal.close().await;
        result
    })?
}

async fn list(journal: &Journal, args: &ListArgs, zone: &TimeZone, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let decision = args.decision.map(|it| match it {
        DecisionWord::Answer => "answer",
        DecisionWord::Hold => "hold",
        DecisionWord::Suppress => "suppress",
    });
    let state = args.state.map(|it| match it {
        StateWord::Due => State::Due,
        StateWord::Sent => State::Sent,
        StateWord::Failed => State::Failed,
        StateWord::Held => State::Held,
        StateWord::InDoubt => State::InDoubt,
        StateWord::DryRun => State::DryRun,
        StateWord::Digested => State::Digested,
    });
    let filter = Filter {
        since: args.since,
        until: args.until,
        person: args.author.clone(),
        recipient: args.recipient.clone(),
        domain: args.domain.clone(),
        cause: args.cause.clone(),
        decision: decision.map(str::to_owned),
        state,
        text: args.text.clone(),
        all: args.all,
        wrong: args.wrong,
        sort: match args.sort {
            SortWord::Newest => Sort::Newest,
            SortWord::Oldest => Sort::Oldest,
            SortWord::Person => Sort::Person,
            SortWord::Recipient => Sort::Recipient,
            SortWord::Cause => Sort::Cause,
        },
        before: args.before,
        limit: args.limit,
    };
    let rows = journal.list(&filter).await.map_err(|error| failure(&error))?;
    match args.format {
        ListFormat::Table if rows.is_empty() => writeln!(terminal.out(), "Nothing is recorded that fits.")?,
        ListFormat::Table => {
            let table = review::list(&rows, zone);
            let text = pager::columns().map_or_else(|| table.text(), |columns| table.fit(columns));
            pager::print(&text, args.no_pager, terminal)?;
            more(&rows, args.limit, terminal)?;
        }
        ListFormat::Csv => terminal.out().write_all(review::list(&rows, zone).csv().as_bytes())?,
        ListFormat::Json => {
            for row in &rows {
                terminal.json(row)?;
            }
        }
    }
    Ok(Exit::Fine)
}

/// How to get at the next page, for a person who looks at one that is full.
fn more(rows: &[journal::Row], limit: u32, terminal: &mut Terminal) -> Result<(), Failure> {
    let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
    if let Some(last) = rows.last().filter(|_| full && std::io::stdout().is_terminal()) {
        terminal.flush()?;
        let _ = writeln!(terminal.err(), "There may be more: add --before {}", last.id);
    }
    Ok(())
}

async fn show(journal: &Journal, args: &ShowArgs, zone: &TimeZone, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let id = args.id.as_str();
    let story = journal.show(id).await.map_err(|error| failure(&error))?;
    if args.eml {
        let mail = story.reply.map(|reply| reply.bytes).filter(|bytes| !bytes.is_empty());
        let mail = mail.ok_or_else(|| Failure::new(Exit::UnreadableData, format!("{id} has no explanation")))?;
        terminal.out().write_all(&mail)?;
        return Ok(Exit::Fine);
    }
    match args.format {
        Format::Json => terminal.json(&story)?,
        Format::Text => {
            let text = review::show(&story, zone, |words| terminal.bold(words).into_owned());
            let text = match pager::columns() {
                Some(columns) => text.lines().map(|it| set_out(it, columns)).collect(),
                None => text,
            };
            pager::print(&text, args.no_pager, terminal)?;
        }
    }
    Ok(Exit::Fine)
}

/// A line of a story, broken below where its words begin.
fn set_out(line: &str, columns: usize) -> String {
    let hang = if line.starts_with("  │ ") { "  │ " } else { "            " };
    format!("{}\n", review::wrapped(line, columns, hang))
}

/// The journal's errors bring their own hints.
pub(super) fn failure(error: &Error) -> Failure {
    let exit = match error {
        Error::Url { .. } => Exit::Configuration,
        Error::Unknown { .. } | Error::State { .. } => Exit::UnreadableData,
        _ if error.is_temporary() => Exit::TryAgain,
        _ => Exit::Unavailable,
    };
    Failure::with_hint(exit, &error.to_string())
}
