//! Who speaks: the software or provider whose words a diagnostic is (`catalogue/systems.toml`).
//!
//! The same words mean different things at different systems, so rules and codes may name one. A
//! system is known by the host that speaks, by marks in its words, by the recipient's domain if a
//! well-known provider serves it, or by the reporting MTA where it speaks for itself.

use std::collections::HashMap;

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
    /// Of each suffix of a host, the first system that names it.
    hosts: HashMap<String, usize>,
    /// The same of recipients' domains.
    domains: HashMap<String, usize>,
}

impl Systems {
    pub(super) fn new(list: Vec<System>) -> Self {
        let (mut hosts, mut domains) = (HashMap::new(), HashMap::new());
        for (index, system) in list.iter().enumerate() {
            for (suffixes, known) in [(&system.hosts, &mut hosts), (&system.domains, &mut domains)] {
                for suffix in suffixes {
                    known.entry(suffix.clone()).or_insert(index);
                }
            }
        }
        Self { list, hosts, domains }
    }

    /// The system of this name or alias, whatever its case.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        let name = name.trim();
        let same = |it: &str| it.eq_ignore_ascii_case(name);
        self.list.iter().position(|it| same(it.name.get_ref()) || it.aliases.iter().any(|alias| same(alias)))
    }

    /// The system that a host belongs to, by the longest suffix.
    pub(super) fn of_host(&self, host: &str) -> Option<usize> {
        by_suffix(host, &self.hosts)
    }

    /// The well-known provider that serves a recipient's domain.
    pub(super) fn of_domain(&self, domain: &str) -> Option<usize> {
        by_suffix(domain, &self.domains)
    }

    /// The system that writes bounces of this format.
    pub(super) fn of_format(&self, format: &str) -> Option<usize> {
        self.list.iter().position(|it| it.formats.iter().any(|name| name == format))
    }

    /// The canonical name.
    pub(super) fn name(&self, system: usize) -> Option<&str> {
        self.list.get(system).map(|it| it.name.get_ref().as_str())
    }
}

/// The system of the longest suffix that a host has: one that begins with a dot, or whole labels.
fn by_suffix(host: &str, known: &HashMap<String, usize>) -> Option<usize> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let dotted = host.match_indices('.').flat_map(|(dot, _)| [dot, dot + 1]);
    std::iter::once(0).chain(dotted).find_map(|at| known.get(host.get(at..)?).copied())
}
