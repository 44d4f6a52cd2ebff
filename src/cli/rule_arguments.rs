//! Arguments of `rules list|show|test|suggest|causes`, and which catalogue they look into; `rules` and
//! `suggest` do the rest.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    Cli, Exit, Failure, Format, Terminal,
    diagnose::{Knowledge, country},
    rules, suggest,
};
use crate::{
    config::{self, Secrets},
    diagnosis::{Catalogue, home_of},
};

/// Arguments of `rules`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Your own rules; else those of the configuration, where there is one.
    #[arg(long, value_name = "DIR", global = true)]
    rules_dir: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists all rules.
    List {
        /// Only those of this cause.
        #[arg(long)]
        cause: Option<String>,
    },
    /// Shows one rule whole.
    Show {
        /// Its id.
        id: String,
    },
    /// Says which rule fires on a server's reply.
    Test {
        /// The reply; `-` for one a line on standard input, optionally followed by a tab and the system.
        text: String,
        /// Who speaks.
        #[arg(long)]
        system: Option<String>,
        /// Where our side stands (ISO 3166, such as CN).
        #[arg(long, value_name = "CC", value_parser = country)]
        home_country: Option<String>,
    },
    /// Proposes rules for what could not be determined, as a file for rules.d that lacks only the causes.
    Suggest(suggest::Args),
    /// Lists the causes that rules may name.
    Causes,
}

pub(super) fn run(cli: &Cli, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    // A configuration that this user may not read is the service's, not theirs.
    let config = if args.rules_dir.is_none() && File::open(&cli.config).is_ok() {
        Some(config::load(&cli.config, Secrets::Skip)?)
    } else {
        None
    };
    let directory = args.rules_dir.as_deref().or_else(|| config.as_ref().map(|config| config.rules_dir.as_path()));
    let own = own_rules(directory)?;
    let catalogue = catalogue(&own)?;
    let format = match args.format {
        Format::Text => rules::Format::Text,
        Format::Json => rules::Format::Json,
    };
    match &args.command {
        Command::List { cause } => {
            if let Some(cause) = cause
                && catalogue.cause(cause).is_none()
            {
                return Err(Failure::new(Exit::Usage, format!("there is no cause `{cause}`")));
            }
            rules::list(&catalogue, cause.as_deref(), format, terminal.out())?;
        }
        Command::Show { id } => {
            if !rules::show(&catalogue, id, format, terminal.out())? {
                return Err(Failure::new(Exit::Usage, format!("there is no rule `{id}`"))
                    .hint("whybounced rules list shows all ids"));
            }
        }
        Command::Suggest(asked) => {
            let own: Vec<(&str, &str)> = own.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let knowledge = Knowledge::new(catalogue);
            return suggest::run(asked, config.as_ref(), &own, &knowledge, args.format, terminal);
        }
        Command::Causes => rules::causes(&catalogue, format, terminal.out())?,
        Command::Test { text, system, home_country } => {
            let country = home_country.clone().or_else(|| config.and_then(|config| config.home_country));
            let home = home_of(None, country.as_deref());
            let asked = rules::Test { text, system: system.as_deref(), home, format };
            rules::test(&catalogue, &asked, &mut io::stdin().lock(), terminal.out())?;
        }
    }
    Ok(Exit::Fine)
}

/// The files of `rules.d`: their paths, for errors, and their texts.
pub(super) fn own_rules(directory: Option<&Path>) -> Result<Vec<(String, String)>, Failure> {
    let Some(directory) = directory else { return Ok(Vec::new()) };
    let files = config::overlay(directory, config::RULES).map_err(|error| Failure::new(Exit::Configuration, error))?;
    Ok(files.into_iter().map(|(name, text)| (directory.join(name).display().to_string(), text)).collect())
}

/// The built-in rules under one's own.
pub(super) fn catalogue(own: &[(String, String)]) -> Result<Catalogue, Failure> {
    let files: Vec<(&str, &str)> = own.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Catalogue::with_overlay(&files).map_err(|error| Failure::with_hint(Exit::Configuration, &error.to_string()))
}
