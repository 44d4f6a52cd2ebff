//! The configuration file (`design.md` §6), read into each module's own typed `Settings`.
//!
//! Everything is checked before anything starts: unknown keys, values, secrets, the safety of the
//! domains. Each problem names file, line, column, key, what was expected and the next step; all
//! are told at once. `config.example.toml` shows every key with its default. What servers say to
//! the values is for `cli::check` to find out.

mod connection;
mod error;
mod file;
mod oauth2;
mod overlay;
mod reader;
mod secret;
mod sections;
mod values;

use std::{
    env, fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

pub use self::{
    connection::is_loopback,
    error::{ConfigError, Problem},
    oauth2::endpoint as url,
    overlay::{RULES, overlay},
    sections::name_server,
    values::{domain, duration, fingerprint, host as host_name},
};
use self::{file::File, reader::Reader};
use crate::{evidence, journal, mail::Mailbox, outbound, policy, reply, source};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Where our side stands (ISO 3166, upper case); `None`: told from each author's domain.
    pub home_country: Option<String>,
    /// The mailboxes to watch.
    pub mailboxes: Vec<source::Settings>,
    /// `[smtp]`.
    pub outbound: outbound::Settings,
    /// `[reply]` and what else shows in a mail.
    pub reply: reply::Settings,
    /// The company's own texts, laid over ours (`reply.templates`).
    pub templates: Option<PathBuf>,
    /// `domains`, `language`, `[policy]`.
    pub policy: policy::Settings,
    /// `[evidence]`.
    pub evidence: evidence::Settings,
    /// `[journal]`.
    pub journal: journal::Settings,
    /// The administrator's own rules; the directory need not exist.
    pub rules_dir: PathBuf,
    /// `[review]`.
    pub review: ReviewSettings,
    /// `[alerts]`.
    pub alerts: AlertSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// What works and yet should be seen to; for the log and for `check`.
    pub warnings: Vec<String>,
}

/// `[review]`.
#[derive(Clone, Debug, Default)]
pub struct ReviewSettings {
    /// Where the page listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// File with the page's password: as it is, or an Argon2 hash (`$argon2id$…`).
    pub password_file: Option<PathBuf>,
    /// File with the password of those who may look and change nothing.
    pub reader_password_file: Option<PathBuf>,
    /// The host name that the page is reached by, where it is not an address or `localhost`.
    pub name: Option<String>,
    /// The reverse proxy whose word is taken for who it is.
    pub proxy: Option<IpAddr>,
    /// The header in which the proxy names the person; lower-cased.
    pub proxy_header: String,
}

/// `[alerts]`.
#[derive(Clone, Debug, Default)]
pub struct AlertSettings {
    /// The administrators; empty: they get no mail.
    pub to: Vec<Mailbox>,
    /// Whether digests name people.
    pub by_person: bool,
}

/// `[log]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// A filter as `tracing-subscriber` reads it: `info`, `debug`, `whybounced::source=debug,info`.
    pub filter: String,
    /// Where the log goes.
    pub to: LogTarget,
}

/// `log.to`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogTarget {
    /// The journal of systemd where standard error leads there, else standard error.
    #[default]
    Auto,
    /// The journal of systemd.
    Journald,
    /// Standard error, for people.
    Stderr,
    /// Standard error, one JSON object a line.
    Json,
}

/// Whether secrets are read. A command that only reads the journal runs where a service's
/// credentials are not to be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secrets {
    /// Read; one that cannot be had is an error.
    Read,
    /// Left empty, but for the journal's URL.
    Skip,
}

/// Reads and checks a configuration file.
pub fn load(path: &Path, secrets: Secrets) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
    parse(&text, path, secrets, &|name| env::var(name).ok())
}

/// Checks the text of a configuration. Relative paths in it start from the directory of `path`;
/// `variable` gives environment variables.
pub fn parse(
    text: &str,
    path: &Path,
    secrets: Secrets,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError::from_toml(path, text, error))?;
    let mut reader = Reader::new(text, path, variable);
    reader.secrets = secrets == Secrets::Read;
    let config = sections::config(&mut reader, &file);
    match config {
        Some(config) if !reader.has_problems() => Ok(config),
        _ => Err(ConfigError { path: path.to_owned(), problems: reader.into_problems() }),
    }
}

#[cfg(test)]
mod tests;
