//! `completions` and `man`: both are made from the same definition as the command line itself.

use std::{fs, path::PathBuf};

use clap::CommandFactory as _;

use super::{Cli, Exit, Failure, Terminal};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: &CompletionsArgs, terminal: &mut Terminal) -> Result<Exit, Failure> {
    // Into memory first: the generator panics where writing fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "whybounced", &mut script);
    terminal.out().write_all(&script)?;
    Ok(Exit::Fine)
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Write whybounced.1 and one page a command into this directory instead.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        terminal.out().write_all(&page)?;
        return Ok(Exit::Fine);
    };
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|error| Failure::new(Exit::UnreadableData, format!("{}: {error}", directory.display())))?;
    Ok(Exit::Fine)
}
