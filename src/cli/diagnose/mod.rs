//! `diagnose PATH…`: why messages bounced, without configuration or network unless `--evidence`.
//!
//! All cores work, one message each; results are printed in the order of the paths as soon as
//! they are known. What is read ahead is bounded, and a reader who goes away ends the work.

mod in_order;
mod inputs;
mod knowledge;
pub mod line;
mod text;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
};

pub use self::knowledge::Knowledge;
use self::{
    in_order::in_order,
    inputs::{Input, Inputs},
    line::{ErrorLine, Found, Line},
};
use super::{
    Exit, Failure, Format, Terminal,
    evidence_arguments::{Evidence, EvidenceArgs},
};

/// Arguments of `diagnose`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Messages, mboxes (named `mbox` or `*.mbox`), Maildirs, folders (with all below), `-` for
    /// standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Every file is an mbox.
    #[arg(long)]
    mbox: bool,
    /// Where our side stands (ISO 3166, such as CN); else told from the author's domain.
    #[arg(long, value_name = "CC", value_parser = country)]
    home_country: Option<String>,
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A country code of two letters, upper-cased.
pub fn country(text: &str) -> Result<String, String> {
    let sound = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    if sound { Ok(text.to_ascii_uppercase()) } else { Err("expected a country code of two letters, such as CN".into()) }
}

/// The bytes of one message: a file, or `-` for standard input.
pub(super) fn read_one(path: &Path) -> Result<Vec<u8>, String> {
    match Inputs::new(&[path.to_owned()], false).next() {
        Some(input) if !path.is_dir() => input.content.read(),
        _ => Err("is a folder; expected one message".to_owned()),
    }
}

/// What is done with one message: its source, and its bytes or why they cannot be had.
type Take<'a> = dyn FnMut(&str, Result<Vec<u8>, String>) -> std::io::Result<()> + 'a;

/// Each message of the paths in their order, one after the other, as `diagnose` reads them.
pub(super) fn each_message(paths: &[PathBuf], take: &mut Take<'_>) -> std::io::Result<()> {
    Inputs::new(paths, false).try_for_each(|input| take(&input.source, input.content.read()))
}

/// What is printed of a message: a line, or why there is none.
type Outcome = Result<Line, ErrorLine>;

pub(super) fn run(config: &Path, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Not taken apart at the end: the process ends with the command.
    let knowledge: &Knowledge = Box::leak(Box::new(Knowledge::embedded_with_formats()?));
    let evidence = args.evidence.start(config)?;
    let country = args.home_country.as_deref();
    let mut exit = Exit::Fine;
    in_order(
        Inputs::new(&args.paths, args.mbox),
        threads,
        |input| outcome(input, knowledge, evidence.as_ref(), country),
        |outcome| {
            if outcome.is_err() {
                exit = Exit::UnreadableData;
            }
            print(args.format, &outcome, terminal)
        },
    )
    .map_err(|error| Failure::new(Exit::Fault, format!("cannot start a thread: {error}")))??;
    Ok(exit)
}

fn outcome(input: Input, knowledge: &Knowledge, evidence: Option<&Evidence>, country: Option<&str>) -> Outcome {
    let Input { source, content } = input;
    let bytes = match content.read() {
        Ok(bytes) => bytes,
        Err(error) => return Err(ErrorLine { source, error }),
    };
    let line = || {
        Line::new(source.clone(), knowledge.recognise(&bytes), |bounce| match evidence {
            Some(evidence) => Found::Checked(evidence.findings(knowledge.catalogue(), bounce, country)),
            None => Found::Diagnosed(
                bounce.recipients.iter().map(|report| knowledge.diagnose(bounce, report, country)).collect(),
            ),
        })
    };
    catch_unwind(AssertUnwindSafe(line)).map_err(|_| ErrorLine {
        source: source.clone(),
        error: "a fault of this program stopped the reading; please report it".to_owned(),
    })
}

fn print(format: Format, outcome: &Outcome, terminal: &mut Terminal) -> Result<(), Failure> {
    match (format, outcome) {
        (Format::Json, Ok(line)) => terminal.json(line)?,
        (Format::Json, Err(line)) => terminal.json(line)?,
        (Format::Text, Ok(line)) => text::print(line, terminal)?,
        (Format::Text, Err(line)) => {
            writeln!(terminal.err(), "error: {}: {}", crate::review::printable(&line.source), line.error)?;
        }
    }
    Ok(terminal.flush()?)
}
