//! What a person types: the command tree (`design.md` §5), its output and its exit codes.
//!
//! Each command is one file here; it reads arguments, calls the stages or `app`, and prints. It
//! holds no knowledge of mail. Exit codes are those of sysexits: 0 fine, 64 usage, 65 unreadable
//! data, 69 service unavailable, 70 a fault of ours, 75 try again, 78 configuration.

mod anonymise;
mod check;
mod demo;
pub mod diagnose;
mod evidence_arguments;
mod exit;
mod explain;
mod ingest;
mod init;
mod journal;
mod journal_actions;
mod journal_follow;
mod journal_pager;
pub mod logging;
mod manual;
mod replay;
mod rule_arguments;
pub mod rules;
mod run;
mod serve;
mod suggest;
mod terminal;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{mail::Language, reply::Texts};

pub use exit::{Exit, Failure};
pub use terminal::Terminal;

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
    /// Shows the whole pipeline at work on built-in sample bounces; needs nothing set up.
    Demo(demo::Args),
    /// Asks for your mail domain, finds and tries the servers, writes the configuration.
    Init(Box<init::Args>),
    /// The daemon: watches the mailboxes and explains what bounces.
    Run(run::Args),
    /// Tries configuration, rules, mailboxes, the way out and the journal; one line each.
    Check(check::Args),
    /// Says why messages bounced: files, mboxes, Maildirs, folders or `-`; needs no configuration.
    Diagnose(diagnose::Args),
    /// Shows the explanation that a bounce's author would get; needs no configuration.
    Explain(explain::Args),
    /// Takes one message on standard input into the journal, as an MTA pipes it; exit 75: keep it.
    Ingest,
    /// Looks into the journal: what bounced, why, and what became of the explanation.
    Journal(journal::Args),
    /// Looks into the catalogue of rules, with your own laid over it.
    Rules(rule_arguments::Args),
    /// Writes a bounce without personal data that is still diagnosed the same.
    Anonymise(anonymise::Args),
    /// Diagnoses the journal's bounces again with today's rules and shows what differs; changes nothing.
    Replay(replay::Args),
    /// Serves the review page alone, on an existing journal.
    Serve(serve::Args),
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

/// What `--lang` gives; an alias, since clap takes a bare `Vec` for an option to be repeated.
type Languages = Vec<Language>;

/// `--lang`: a language that explanations exist in, or `both`.
fn languages(text: &str) -> Result<Vec<Language>, String> {
    if text == "both" {
        return Ok(vec![Language::zh_cn(), Language::en()]);
    }
    let texts = Texts::embedded();
    let known = texts.languages();
    let found = known.iter().find(|it| it.as_str().eq_ignore_ascii_case(text));
    let found = found.or_else(|| known.iter().find(|it| it.as_str().split('-').next() == Some(text)));
    found.map(|it| vec![it.clone()]).ok_or_else(|| {
        let known: Vec<&str> = known.iter().map(Language::as_str).collect();
        format!("expected {} or both", known.join(", "))
    })
}

/// Runs what is asynchronous of a command, on this thread.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Fault, format!("cannot start: {error}")))?;
    Ok(runtime.block_on(work))
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
        Command::Demo(args) => demo::run(args, terminal),
        Command::Init(args) => init::run(&cli.config, args, terminal),
        Command::Run(args) => run::run(&cli.config, args),
        Command::Check(args) => check::run(&cli.config, args, terminal),
        Command::Diagnose(args) => diagnose::run(&cli.config, args, terminal),
        Command::Explain(args) => explain::run(&cli.config, args, terminal),
        Command::Ingest => ingest::run(&cli.config),
        Command::Journal(args) => journal::run(cli, args, terminal),
        Command::Rules(args) => rule_arguments::run(cli, args, terminal),
        Command::Anonymise(args) => anonymise::run(args, terminal),
        Command::Replay(args) => replay::run(cli, args, terminal),
        Command::Serve(args) => serve::run(&cli.config, args, terminal),
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
