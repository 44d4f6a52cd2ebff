//! `rules suggest`: rules proposed for what could not be determined, of the journal or of files.
//!
//! What is printed is a file for `rules.d` in which nothing is missing but the causes; it looks
//! nothing up and writes nothing.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    Exit, Failure, Format, Terminal,
    diagnose::{Knowledge, each_message},
    journal::moment,
    replay::each_bounce,
};
use crate::{
    bounce::Recognition,
    config::Config,
    diagnosis::{Suggestions, Unexplained, suggest},
    evidence::Finding,
};

/// Arguments of `rules suggest`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Bounced messages, mboxes, Maildirs, folders or `-`; without any, the journal's bounces.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Of the journal, what was recorded since: 2026-11-16, 2026-11-16T09:00:00Z, or this long ago (7d).
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "paths")]
    since: Option<Timestamp>,
    /// Only words that came at least this often.
    #[arg(long, value_name = "N", default_value_t = 1)]
    at_least: usize,
    /// At most so many rules, the most frequent first.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// What `rules suggest` is asked, with what the other `rules` commands know.
pub(super) fn run(
    args: &Args,
    config: Option<&Config>,
    overlay: &[(&str, &str)],
    knowledge: &Knowledge,
    format: Format,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let mut unexplained = Vec::new();
    let mut exit = Exit::Fine;
    if args.paths.is_empty() {
        let config = config.ok_or_else(|| {
            Failure::new(Exit::Usage, "neither files nor a configuration with a journal are given")
                .hint("whybounced rules suggest PATH…, or --config FILE")
        })?;
        each_bounce(config, args.since, &mut |id, bounce, findings| {
            let again = findings.iter().map(|it| knowledge.again(config, bounce, it));
            take(&mut unexplained, &again.collect::<Vec<_>>(), &format!("journal show {id}"));
            Ok(())
        })?;
    } else {
        each_message(&args.paths, &mut |source, read| match read {
            Ok(bytes) => {
                let bounce = match knowledge.recognise(&bytes) {
                    Recognition::Bounce(bounce) => Some(bounce),
                    Recognition::NotABounce(other) => other.quoted.map(|it| *it),
                };
                if let Some(bounce) = bounce {
                    let country = config.and_then(|it| it.home_country.as_deref());
                    take(&mut unexplained, &knowledge.findings(&bounce, country), source);
                }
                Ok(())
            }
            Err(error) => {
                exit = Exit::UnreadableData;
                writeln!(terminal.err(), "error: {}: {error}", crate::review::printable(source))
            }
        })?;
    }
    let found = suggest(&unexplained, overlay, args.at_least, args.limit);
    match format {
        Format::Json => {
            for rule in &found.rules {
                terminal.json(rule)?;
            }
        }
        Format::Text => print(&found, unexplained.len(), terminal)?,
    }
    Ok(exit)
}

/// Keeps what nothing could be said about.
fn take(unexplained: &mut Vec<Unexplained>, findings: &[Finding], place: &str) {
    for finding in findings.iter().filter(|it| it.diagnosis.is_unexplained()) {
        unexplained.push(Unexplained {
            text: finding.report.diagnostic.clone().unwrap_or_default(),
            system: finding.diagnosis.system.clone(),
            place: place.to_owned(),
        });
    }
}

fn print(found: &Suggestions, all: usize, terminal: &mut Terminal) -> std::io::Result<()> {
    let out = terminal.out();
    writeln!(
        out,
        "# {all} with words that no rule knows; {} of them say nothing that a rule could ask for.",
        found.wordless
    )?;
    if found.rules.is_empty() {
        return writeln!(out, "# There is nothing to propose.");
    }
    writeln!(out, "# Fill in each `cause` (`whybounced rules causes` lists them), delete what you do not know,")?;
    writeln!(out, "# save it as a file in rules.d, then `whybounced check` and `whybounced replay`.")?;
    for rule in &found.rules {
        writeln!(out, "\n# {} times: {}", rule.count, rule.places.join(", "))?;
        if !rule.systems.is_empty() {
            writeln!(out, "# said by {}; to keep it to them: system = {:?}", rule.systems.join(", "), rule.systems)?;
        }
        write!(out, "{}", rule.toml(""))?;
    }
    Ok(())
}
