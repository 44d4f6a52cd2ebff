//! `replay`: the journal's bounces diagnosed again with today's rules, and what would differ.
//!
//! Nothing is written, looked up or sent. What the DNS said when a bounce was recorded is weighed
//! again as it was then, so that only the rules make a difference.

use jiff::Timestamp;
use serde::Serialize;

use super::{Cli, Exit, Failure, Format, Terminal, diagnose::Knowledge, journal, rule_arguments};
use crate::{
    bounce::{Bounce, Recognition},
    config::{self, Config, Secrets},
    diagnosis::{Acts, CauseId, Confidence, Diagnosis},
    evidence::Finding,
    journal::{Access, Filter, Journal},
    review::printable,
};

/// Rows of one page of the journal.
const PAGE: u32 = 500;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only what was recorded since: 2026-11-16, 2026-11-16T09:00:00Z, or this long ago (36h, 7d).
    #[arg(long, value_name = "TIME", value_parser = journal::moment)]
    since: Option<Timestamp>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One recipient of whom something else would be said today. The JSON of `replay`.
#[derive(Debug, Serialize)]
struct Difference<'a> {
    /// The row, for `journal show`.
    id: i64,
    recipient: String,
    diagnostic: Option<&'a str>,
    before: Verdict<'a>,
    after: Verdict<'a>,
}

/// What a difference is made of: all that an explanation depends on.
#[derive(Debug, Eq, PartialEq, Serialize)]
struct Verdict<'a> {
    cause: &'a CauseId,
    permanent: Option<bool>,
    expired: bool,
    acts: Acts,
    confidence: Confidence,
    rule: &'a str,
}

impl<'a> Verdict<'a> {
    fn of(it: &'a Diagnosis) -> Self {
        Self {
            cause: &it.cause,
            permanent: it.permanent,
            expired: it.expired,
            acts: it.acts,
            confidence: it.confidence,
            rule: &it.rule,
        }
    }
}

pub(super) fn run(cli: &Cli, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    super::logging::start_if_asked()?;
    let config = config::load(&cli.config, Secrets::Skip)?;
    let own = rule_arguments::own_rules(Some(&config.rules_dir))?;
    let knowledge = Knowledge::new(rule_arguments::catalogue(&own)?);
    let (mut bounces, mut recipients, mut changed) = (0_usize, 0_usize, 0_usize);
    each_bounce(&config, args.since, &mut |id, bounce, findings| {
        bounces += 1;
        recipients += findings.len();
        for finding in findings {
            let again = knowledge.again(&config, bounce, finding);
            let (before, after) = (Verdict::of(&finding.diagnosis), Verdict::of(&again.diagnosis));
            if before == after {
                continue;
            }
            changed += 1;
            let diagnostic = finding.report.diagnostic.as_deref();
            let it =
                Difference { id, recipient: finding.report.final_recipient.to_string(), diagnostic, before, after };
            match args.format {
                Format::Json => terminal.json(&it)?,
                Format::Text => print(&it, terminal)?,
            }
        }
        Ok(())
    })?;
    if args.format == Format::Text {
        writeln!(terminal.out(), "{bounces} bounces, {recipients} recipients diagnosed again: {changed} differ.")?;
    }
    Ok(Exit::Fine)
}

fn print(it: &Difference<'_>, terminal: &mut Terminal) -> std::io::Result<()> {
    let heading = terminal.bold(&format!("{} {}", it.id, printable(&it.recipient))).into_owned();
    writeln!(terminal.out(), "{heading}")?;
    for (sign, verdict) in [("-", &it.before), ("+", &it.after)] {
        let Verdict { cause, permanent, expired, acts, confidence, rule } = verdict;
        let lasting = match permanent {
            Some(true) => ", permanent",
            Some(false) => ", passing",
            None => "",
        };
        let expired = if *expired { ", expired" } else { "" };
        let (acts, confidence) = (word(acts), word(confidence));
        writeln!(
            terminal.out(),
            "  {sign} {} ({confidence}, acts: {acts}{lasting}{expired}) by {rule}",
            cause.as_str()
        )?;
    }
    if let Some(diagnostic) = it.diagnostic {
        let words = terminal.dim(&printable(diagnostic)).into_owned();
        writeln!(terminal.out(), "    {words}")?;
    }
    writeln!(terminal.out())
}

/// A value's name as in the JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What is done with one bounce of the journal: its row, its report, what was found out then.
pub(super) type Take<'a> = dyn FnMut(i64, &Bounce, &[Finding]) -> Result<(), Failure> + 'a;

/// Hands out the journal's bounces, newest first; those of which `journal.retain` has left nothing are
/// passed over.
pub(super) fn each_bounce(config: &Config, since: Option<Timestamp>, take: &mut Take<'_>) -> Result<(), Failure> {
    super::block_on(async {
        let journal = Journal::open(&config.journal, Access::Read).await.map_err(|it| journal::failure(&it))?;
        let result = pages(&journal, since, take).await;
        journal.close().await;
        result
    })?
}

async fn pages(journal: &Journal, since: Option<Timestamp>, take: &mut Take<'_>) -> Result<(), Failure> {
    // What is no bounce is listed too: one may be quoted in it.
    let mut filter = Filter { since, all: true, limit: PAGE, ..Filter::default() };
    loop {
        let rows = journal.list(&filter).await.map_err(|it| journal::failure(&it))?;
        for row in &rows {
            let story = journal.show(&row.id.to_string()).await.map_err(|it| journal::failure(&it))?;
            let bounce = match &story.recognition {
                Some(Recognition::Bounce(bounce)) => Some(bounce),
                Some(Recognition::NotABounce(other)) => other.quoted.as_deref(),
                None => None,
            };
            if let Some(bounce) = bounce {
                take(row.id, bounce, &story.findings)?;
            }
        }
        match rows.last() {
            Some(last) => filter.before = Some(last.id),
            None => return Ok(()),
        }
    }
}
