//! Who speaks: the software or provider whose words a diagnostic is (`catalogue/systems.toml`).
//!
//! The same words mean different things at different systems, so rules and codes may name one. A
//! system is known by the host that speaks, by marks in its words, by the recipient's domain if a
//! well-known provider serves it, or by the reporting MTA where it speaks for itself.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;

use super::form::Word;

/// One system as `systems.toml` tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct SystemForm<W> {
    /// The name used in the JSON output.
    name: W,
    /// Other names that rules and users may say.
    #[serde(default)]
    aliases: Vec<W>,
    /// Suffixes of the names of its hosts.
    #[serde(default)]
    hosts: Vec<W>,
    /// Domains of recipients whom it serves, beside `hosts`.
    #[serde(default)]
    domains: Vec<W>,
    /// Words that only this system says.
    #[serde(default)]
    pub(super) marks: Vec<W>,
    /// Formats of bounces (`Bounce::format`) that it writes.
    #[serde(default)]
    formats: Vec<W>,
    /// Its servers stand outside mainland China (`true`), inside (`false`), or anywhere.
    #[serde(default)]
    abroad: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct SystemsForm<W> {
    pub(super) system: Vec<SystemForm<W>>,
}

/// What a system is known by, once it is found.
#[derive(Clone, Debug)]
pub(super) struct System {
    name: Name,
    aliases: Vec<Name>,
    formats: Vec<Name>,
    pub(super) abroad: Option<bool>,
}

type Name = Cow<'static, str>;

/// The systems of the catalogue.
#[derive(Clone, Debug, Default)]
pub(super) struct Systems {
    pub(super) list: Vec<System>,
    /// Of each suffix of a host, the first system that names it.
    hosts: HashMap<Name, usize>,
    /// The same of recipients' domains.
    domains: HashMap<Name, usize>,
}

impl Systems {
    pub(super) fn new<'t, W: Word<'t>>(forms: Vec<SystemForm<W>>) -> Self {
        let mut systems = Self::default();
        for (index, form) in forms.into_iter().enumerate() {
            for (suffixes, known) in [(form.hosts, &mut systems.hosts), (form.domains, &mut systems.domains)] {
                for suffix in suffixes {
                    known.entry(suffix.into_text()).or_insert(index);
                }
            }
            let names = |list: Vec<W>| list.into_iter().map(W::into_text).collect();
            systems.list.push(System {
                name: form.name.into_text(),
                aliases: names(form.aliases),
                formats: names(form.formats),
                abroad: form.abroad,
            });
        }
        systems
    }

    /// The system of this name or alias, whatever its case.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        let name = name.trim();
        let same = |it: &str| it.eq_ignore_ascii_case(name);
        self.list.iter().position(|it| same(&it.name) || it.aliases.iter().any(|alias| same(alias)))
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

    /// Suffixes of hosts and domains of recipients by which systems are known.
    pub(super) fn known_hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().chain(self.domains.keys()).map(Cow::as_ref)
    }

    /// Every name and alias.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(|it| it.aliases.iter().chain([&it.name])).map(Cow::as_ref)
    }

    /// The canonical name.
    pub(super) fn name(&self, system: usize) -> Option<&str> {
        self.list.get(system).map(|it| it.name.as_ref())
    }
}

/// The system of the longest suffix that a host has: one that begins with a dot, or whole labels.
fn by_suffix(host: &str, known: &HashMap<Name, usize>) -> Option<usize> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let dotted = host.match_indices('.').flat_map(|(dot, _)| [dot, dot + 1]);
    std::iter::once(0).chain(dotted).find_map(|at| known.get(host.get(at..)?).copied())
}
