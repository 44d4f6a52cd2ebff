//! `anonymise FILE`: a bounce without personal data that is still diagnosed the same.
//!
//! The message goes to standard output, what was proved about it to standard error. Without proof
//! nothing is printed but the reason, and the exit status is 65.

use std::path::PathBuf;

use super::{
    Exit, Failure, Terminal,
    diagnose::{country, read_one},
};
use crate::{anonymise, diagnosis::Catalogue};

/// Arguments of `anonymise`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A message; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where our side stands (ISO 3166, such as CN); else told from the author's domain.
    #[arg(long, value_name = "CC", value_parser = country)]
    home_country: Option<String>,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let about =
        |error: &dyn std::fmt::Display| Failure::new(Exit::UnreadableData, format!("{}: {error}", args.file.display()));
    let bytes = read_one(&args.file).map_err(|error| about(&error))?;
    let catalogue = Catalogue::embedded().map_err(|error| Failure::new(Exit::Fault, error))?;
    let done = anonymise::anonymise(&bytes, &catalogue, args.home_country.as_deref()).map_err(|refusal| {
        about(&refusal).hint("take out by hand what is personal, and compare with `whybounced diagnose`")
    })?;
    terminal.out().write_all(&done.bytes)?;
    terminal.flush()?;
    writeln!(terminal.err(), "read the same as before: {}", done.verdict)?;
    if !done.is_bounce {
        writeln!(terminal.err(), "it is not taken for a bounce, so its words stand as they were")?;
    }
    writeln!(terminal.err(), "read it through before you pass it on: a name that stands in prose alone is not known")?;
    Ok(Exit::Fine)
}
