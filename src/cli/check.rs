//! `check`: everything that can be wrong before the first explanation, one line each: what was
//! tried, what came of it, and the remedy.
//!
//! Nothing is changed: mailboxes are opened for reading, the way out is tried as far as RCPT to
//! our own address; only `--probe` sends a message. Exit 0 if all is well, 69 if a server or the
//! journal is out of order, 75 if the probe did not come back in time, 78 if the configuration,
//! the rules or the texts are wrong. `--dns` looks at our names alone.

mod dns;
mod machine;
mod probe;
mod servers;

use std::{io, path::Path, time::Duration};

use serde::Serialize;

use super::{Exit, Failure, Format, Terminal, exit::split_hint};
use crate::{
    config::{self, Config, ConfigError, Secrets},
    diagnosis::Catalogue,
    mail::Mailbox,
    reply::Texts,
    review::{printable, wrapped},
};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only SPF, DKIM, DMARC, PTR and blocklists of our domains and sending addresses, with the
    /// records to publish.
    #[arg(long)]
    dns: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Send a message to this address, which must not exist, and wait for its bounce in the
    /// watched mailboxes.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    probe: Option<Mailbox>,
    /// How long the bounce is waited for.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = config::duration, requires = "probe")]
    patience: Duration,
}

fn address(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).ok_or_else(|| "expected an address, name@domain".to_owned())
}

/// How one test ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Fine,
    Warning,
    Failed,
}

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// `configuration`, `mailbox bounces`, `smtp`, …
    check: &'a str,
    result: Outcome,
    /// What was found.
    detail: &'a str,
    /// What to do about it.
    remedy: Option<&'a str>,
    /// The look-ups that it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a str>,
    /// The records to publish, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
}

/// Prints the lines as they become known, and keeps the worst exit code.
struct Report<'a> {
    terminal: &'a mut Terminal,
    format: Format,
    exit: Exit,
    broken: Option<io::Error>,
    /// Whether a record to publish was shown.
    published: bool,
}

impl Report<'_> {
    fn fine(&mut self, check: &str, detail: &str) {
        self.line(&Line { check, result: Outcome::Fine, detail, remedy: None, asked: None, record: None });
    }

    fn warning(&mut self, check: &str, detail: &str, remedy: Option<&str>) {
        self.line(&Line { check, result: Outcome::Warning, detail, remedy, asked: None, record: None });
    }

    fn failed(&mut self, check: &str, detail: &str, remedy: Option<&str>, exit: Exit) {
        self.exit = self.exit.max(exit);
        self.line(&Line { check, result: Outcome::Failed, detail, remedy, asked: None, record: None });
    }

    /// A text that may hold its remedy behind `hint:`, as our errors do.
    fn error(&mut self, check: &str, text: &str, exit: Exit) {
        let (detail, remedy) = split_hint(text);
        self.failed(check, detail, remedy, exit);
    }

    fn line(&mut self, line: &Line<'_>) {
        if self.broken.is_none()
            && let Err(error) = self.print(line)
        {
            self.broken = Some(error);
        }
    }

    fn print(&mut self, line: &Line<'_>) -> io::Result<()> {
        if self.format == Format::Json {
            self.terminal.json(line)?;
            return self.terminal.flush();
        }
        let (word, colour) = match line.result {
            Outcome::Fine => ("ok    ", "32"),
            Outcome::Warning => ("note  ", "33"),
            Outcome::Failed => ("FAILED", "31"),
        };
        let word = self.terminal.styled(word, colour).into_owned();
        // What rests on look-ups has long names and records to paste: those stand on lines of
        // their own and are never broken.
        let tall = line.asked.is_some();
        if tall {
            writeln!(self.terminal.out(), "{word}  {}", printable(line.check))?;
            self.wrapped(8, "", line.detail, false)?;
        } else {
            let text = format!("{:<20}  {}", printable(line.check), printable(line.detail));
            self.set_out(&format!("{word}  {text}"))?;
        }
        if let Some(remedy) = line.remedy {
            if tall {
                self.wrapped(8, "→ ", remedy, false)?;
            } else {
                self.set_out(&format!("{:30}→ {}", "", printable(remedy)))?;
            }
        }
        for record in line.record.iter().flat_map(|it| it.lines()) {
            writeln!(self.terminal.out(), "{}", printable(record))?;
        }
        if let Some(asked) = line.asked {
            self.wrapped(8, "asked ", asked, true)?;
        }
        self.terminal.flush()
    }
}

impl Report<'_> {
    /// A line with its words below each other, on a terminal; elsewhere it stays one line.
    fn set_out(&mut self, line: &str) -> io::Result<()> {
        let hang = format!("{:30}", "");
        match super::journal_pager::columns() {
            Some(columns) => writeln!(self.terminal.out(), "{}", wrapped(line, columns, &hang)),
            None => writeln!(self.terminal.out(), "{line}"),
        }
    }

    /// A paragraph in lines of 80 columns.
    fn wrapped(&mut self, indent: usize, first: &str, text: &str, dim: bool) -> io::Result<()> {
        let text = format!("{first}{}", printable(text));
        let mut lines: Vec<String> = vec![String::new()];
        for word in text.split(' ') {
            let Some(last) = lines.last_mut() else { break };
            if !last.is_empty() && indent + last.chars().count() + 1 + word.chars().count() > 80 {
                lines.push(word.to_owned());
            } else {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
        }
        for line in lines {
            let line = if dim { self.terminal.dim(&line).into_owned() } else { line };
            writeln!(self.terminal.out(), "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    /// Words for a person, after the lines: not part of the JSON.
    fn note(&mut self, text: &str) {
        if self.format == Format::Json || self.broken.is_some() {
            return;
        }
        let written = writeln!(self.terminal.out()).and_then(|()| self.wrapped(0, "", text, false));
        self.broken = written.and_then(|()| self.terminal.flush()).err();
    }
}

pub(super) fn run(path: &Path, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    super::logging::start_if_asked()?;
    let mut report = Report { terminal, format: args.format, exit: Exit::Fine, broken: None, published: false };
    match config::load(path, Secrets::Read) {
        Err(error) => configuration_error(&mut report, &error),
        Ok(config) => {
            if args.dns {
                super::block_on(dns::all(&mut report, &config))?;
                return finish(report);
            }
            configuration(&mut report, &config);
            knowledge(&mut report, &config);
            machine::all(&mut report, &config);
            super::block_on(async {
                servers::all(&mut report, &config).await;
                if let Some(to) = &args.probe {
                    probe::probe(&mut report, &config, to, args.patience).await;
                }
            })?;
        }
    }
    finish(report)
}

fn finish(report: Report<'_>) -> Result<Exit, Failure> {
    match report.broken {
        Some(error) => Err(error.into()),
        None => Ok(report.exit),
    }
}

fn configuration_error(report: &mut Report<'_>, error: &ConfigError) {
    for problem in &error.problems {
        let place = problem.at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        let detail = format!("{}{place}: {key}{}", error.path.display(), problem.message);
        report.failed("configuration", &detail, problem.hint.as_deref(), Exit::Configuration);
    }
}

fn configuration(report: &mut Report<'_>, config: &Config) {
    let domains = config.policy.domains.join(", ");
    report.fine("configuration", &format!("{}, for {domains}", config.path.display()));
    for warning in &config.warnings {
        report.warning("configuration", warning, None);
    }
    if config.mailboxes.is_empty() {
        report.warning("configuration", "there is no [[mailbox]]", Some("without one only a pipe can feed whybounced"));
    }
    let mode = match &config.policy.mode {
        crate::policy::Mode::Live => return,
        crate::policy::Mode::DryRun => "mode is \"dry_run\": explanations are recorded, none is sent".to_owned(),
        crate::policy::Mode::Redirect(to) => format!("mode is \"redirect\": every explanation goes to {to}"),
    };
    report.warning("configuration", &mode, Some("when you are content: mode = \"live\" in [policy]"));
}

fn knowledge(report: &mut Report<'_>, config: &Config) {
    let rules =
        config::overlay(&config.rules_dir, config::RULES).map_err(|error| error.to_string()).and_then(|files| {
            let named: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            Catalogue::with_overlay(&named)
                .map(|it| (it.rules().count(), files.len()))
                .map_err(|error| error.to_string())
        });
    match rules {
        Ok((rules, files)) => {
            let own = if files == 0 { "none of your own".to_owned() } else { format!("{files} files of your own") };
            report.fine("rules", &format!("{rules}, {own}"));
        }
        Err(error) => report.error("rules", &error, Exit::Configuration),
    }
    let files = match &config.templates {
        None => Ok(Vec::new()),
        Some(directory) => config::overlay(directory, &[".md"]),
    };
    match files {
        Err(error) => report.error("texts", &error.to_string(), Exit::Configuration),
        Ok(files) => match Texts::with_overlay(files) {
            Err(errors) => {
                for error in errors {
                    report.error("texts", &error.to_string(), Exit::Configuration);
                }
            }
            Ok(texts) => {
                let languages: Vec<&str> = texts.languages().iter().map(crate::mail::Language::as_str).collect();
                report.fine("texts", &format!("in {}", languages.join(", ")));
                let missing = texts.missing();
                if !missing.is_empty() {
                    let shown = missing.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
                    report.warning("texts", &format!("{} fall back to English: {shown}", missing.len()), None);
                }
            }
        },
    }
}
