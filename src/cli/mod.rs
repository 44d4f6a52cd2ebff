//! What a person types: the command tree (`design.md` §5), its output and its exit codes.
//!
//! Each command is one file here; it reads arguments, calls the stages or `app`, and prints. It
//! holds no knowledge of mail. Exit codes are those of sysexits: 0 fine, 64 usage, 65 unreadable
//! data, 69 service unavailable, 70 a fault of ours, 75 try again, 78 configuration.

pub mod diagnose;
mod exit;
pub mod rules;
pub mod logging;
mod manual;
mod terminal;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

pub use exit::{Exit, Failure};
pub use terminal::{Terminal, printable};

/// Where the configuration lies unless `--config` says otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/whybounced/config.toml";

/// Explains bounced mail to the people who wrote it, in their own language.
#[derive(Debug, Parser)]
#[command(name = "whybounced", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration file, for commands that use one.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says why messages bounced: files, mboxes, Maildirs, folders or `-`; needs no configuration.
    Diagnose(diagnose::Args),
    /// Prints a completion script for a shell.
    Completions(manual::CompletionsArgs),
    /// Prints the manual page, or writes one page a command.
    Man(manual::ManArgs),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Runs one command line and turns its outcome into an exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as errors too; a reader who has gone away is no failure.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Fine }.into();
        }
    };
    let mut terminal = Terminal::standard();
    let outcome = run(&cli, &mut terminal).and_then(|exit| terminal.flush().map(|()| exit).map_err(Failure::from));
    outcome.unwrap_or_else(|failure| terminal.report(&failure)).into()
}

fn run(cli: &Cli, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Diagnose(args) => diagnose::run(args, terminal),
        Command::Completions(args) => manual::completions(args, terminal),
        Command::Man(args) => manual::man(args, terminal),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_option_is_a_usage_error() {
        let error = Cli::try_parse_from(["whybounced", "diagnose", "--nonsense"]).expect_err("refused");
        assert!(error.use_stderr());
    }
}
