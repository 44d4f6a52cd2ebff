//! Who speaks: the software or provider whose words a diagnostic is (`catalogue/systems.toml`).
//!
//! The same words mean different things at different systems, so rules and codes may name one. A
//! system is known by the host that speaks, by marks in its words, by the recipient's domain if a
//! well-known provider serves it, or by the reporting MTA where it speaks for itself.

use serde::Deserialize;
use toml::Spanned;

/// One system as `systems.toml` tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct System {
    /// The name used in the JSON output.
    pub(super) name: Spanned<String>,
    /// Other names that rules and users may say.
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    /// Suffixes of the names of its hosts.
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    /// Domains of recipients whom it serves, beside `hosts`.
    #[serde(default)]
    pub(super) domains: Vec<String>,
    /// Words that only this system says.
    #[serde(default)]
    pub(super) marks: Vec<String>,
    /// Formats of bounces (`Bounce::format`) that it writes.
    #[serde(default)]
    pub(super) formats: Vec<String>,
    /// Its servers stand outside mainland China (`true`), inside (`false`), or anywhere.
    #[serde(default)]
    pub(super) abroad: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SystemsFile {
    pub(super) system: Vec<System>,
}

/// The systems of the catalogue.
#[derive(Clone, Debug, Default)]
pub(super) struct Systems {
    pub(super) list: Vec<System>,
}

impl Systems {
    /// The system of this name or alias, whatever its case.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        let name = name.trim();
        let same = |it: &str| it.eq_ignore_ascii_case(name);
        self.list.iter().position(|it| same(it.name.get_ref()) || it.aliases.iter().any(|alias| same(alias)))
    }

    /// The system that a host belongs to, by the longest suffix.
    pub(super) fn of_host(&self, host: &str) -> Option<usize> {
        self.by_suffix(host, |it| it.hosts.iter())
    }

    /// The well-known provider that serves a recipient's domain.
    pub(super) fn of_domain(&self, domain: &str) -> Option<usize> {
        self.by_suffix(domain, |it| it.domains.iter())
    }

    /// The system that writes bounces of this format.
    pub(super) fn of_format(&self, format: &str) -> Option<usize> {
        self.list.iter().position(|it| it.formats.iter().any(|name| name == format))
    }

    /// The canonical name.
    pub(super) fn name(&self, system: usize) -> Option<&str> {
        self.list.get(system).map(|it| it.name.get_ref().as_str())
    }

    fn by_suffix<'a, I>(&'a self, host: &str, suffixes: impl Fn(&'a System) -> I) -> Option<usize>
    where
        I: Iterator<Item = &'a String>,
    {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let ends = |suffix: &str| {
            host.strip_suffix(suffix)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || suffix.starts_with('.'))
        };
        self.list
            .iter()
            .enumerate()
            .flat_map(|(index, it)| suffixes(it).map(move |suffix| (index, suffix)))
            .filter(|(_, suffix)| ends(suffix))
            .max_by_key(|(index, suffix)| (suffix.len(), usize::MAX - index))
            .map(|(index, _)| index)
    }
}
