//! A text bounce's format as data: `catalogue/formats/<name>/format.toml`, read strictly.
//!
//! Marks are literal and compared squeezed (see `lines`). Patterns are regular expressions (as far as
//! `syntax` knows them) over one folded line, without regard to case; `{addr}` stands for an address,
//! `{host}` for a host name, `{list}` for the rest of the line, in which every address counts. Named groups: `addr`, `list`,
//! `name` (a local part without domain), `alias`, `reason`, `host`.

use std::{fmt, ops::Deref, sync::OnceLock};

use serde::Deserialize;

use super::patterns::AnyOf;

/// One `format.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Descriptor {
    /// Whose words these are, as column 5 of the phrases names it; absent where anyone may speak.
    pub(super) system: Option<String>,
    /// Where the facts come from; required, and for readers of the catalogue alone.
    #[cfg_attr(not(test), expect(dead_code, reason = "asked for by the strict reading, read by a test"))]
    pub(super) source: String,
    /// People write such words too: what is read is a guess, and from a person it is none.
    #[serde(default)]
    pub(super) loose: bool,
    /// Any one of them suffices.
    pub(super) fingerprint: Vec<Fingerprint>,
    #[serde(default)]
    pub(super) read: Read,
}

/// Marks that must come together. Within `text` all are required, within the others any one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Fingerprint {
    pub(super) text: Vec<String>,
    pub(super) text_any: Vec<String>,
    pub(super) from: Vec<String>,
    /// `^` before and `$` after a mark anchor it.
    pub(super) subject: Vec<String>,
    /// `Name: begin of value`.
    pub(super) header: Vec<String>,
}

/// How the human text is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Read {
    /// Reading starts after the first line (or pair of lines) that one of these matches.
    pub(super) begin: Vec<String>,
    /// Reading ends before the first line after that which one of these matches.
    pub(super) end: Vec<String>,
    /// A line below which those stand who are still tried, and one below which those stand who failed.
    pub(super) delayed: Vec<String>,
    pub(super) failed: Vec<String>,
    /// A line that names a failed recipient.
    pub(super) recipient: Vec<String>,
    /// The same over running text, where lines are wrapped at will.
    pub(super) prose: Vec<String>,
    /// A line after which the reason stands; earlier ones in this list are preferred.
    pub(super) label: Vec<String>,
    /// A line that belongs to no reason and ends the one before it.
    pub(super) stop: Vec<String>,
    /// A line that belongs to no reason and is passed over.
    pub(super) skip: Vec<String>,
    /// How long a reason goes on.
    pub(super) until: Until,
    /// The reason stands above the recipients.
    pub(super) top: bool,
    /// There is a transcript of the session (`>>> RCPT To:<a@b>`, `<<< 550 …`).
    pub(super) transcript: bool,
    /// The words wanted out of a reason: the group `reason`.
    pub(super) clean: Vec<String>,
    /// A failure with a temporary status was tried until the queue's limit: this system returns no
    /// other temporary failure.
    pub(super) returns_late: bool,
    /// The address the author wrote to, within what is said of a recipient.
    pub(super) alias: Vec<String>,
    /// The reporting MTA names itself.
    pub(super) reporting_mta: Vec<String>,
    /// The host whose words are quoted; the shared ones are tried after these.
    pub(super) remote_mta: Vec<String>,
    /// A recipient without a domain lives at that of the From field.
    pub(super) bare_names: bool,
    /// A link's query, the second source.
    pub(super) query: Option<Query>,
}

/// The names of a feedback link's parameters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    pub(super) recipient: String,
    pub(super) reason: String,
    pub(super) sender: String,
    pub(super) subject: String,
}

/// What ends a reason, besides the next recipient, a label, a stop and the region's end.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Until {
    /// A blank line.
    #[default]
    Blank,
    /// A blank line, but not the one right below the recipient.
    SecondBlank,
    /// Nothing else: blank lines stand within reasons.
    Recipient,
    /// The line itself.
    Line,
}

/// A format: its descriptor, with its patterns once it is met.
pub(super) struct Format {
    pub(super) name: String,
    pub(super) descriptor: Descriptor,
    patterns: OnceLock<Patterns>,
}

/// The patterns of a `Read`.
pub(super) struct Patterns {
    pub(super) begin: Lazy,
    pub(super) end: Lazy,
    pub(super) delayed: Lazy,
    pub(super) failed: Lazy,
    pub(super) recipient: Lazy,
    pub(super) prose: Lazy,
    pub(super) label: Lazy,
    pub(super) stop: Lazy,
    pub(super) skip: Lazy,
    pub(super) clean: Lazy,
    pub(super) alias: Lazy,
    pub(super) reporting_mta: Lazy,
    pub(super) remote_mta: Lazy,
}

/// A list of patterns, compiled when it is first asked: most messages ask few of them.
pub(super) struct Lazy {
    written: Vec<String>,
    compiled: OnceLock<AnyOf>,
}

impl Lazy {
    pub(super) fn new(written: Vec<String>) -> Self {
        Self { written, compiled: OnceLock::new() }
    }
}

impl Deref for Lazy {
    type Target = AnyOf;

    fn deref(&self) -> &AnyOf {
        self.compiled.get_or_init(|| AnyOf::new(&self.written))
    }
}

impl Format {
    /// One `format.toml`; its patterns are not looked at yet.
    pub(super) fn new(name: &str, descriptor: Descriptor) -> Self {
        Self { name: name.to_owned(), descriptor, patterns: OnceLock::new() }
    }

    /// The patterns; one that is wrong is left out here and found by `check`, which a test calls.
    pub(super) fn patterns(&self) -> &Patterns {
        self.patterns.get_or_init(|| Patterns::of(&self.descriptor.read))
    }

    /// Every pattern that does not compile.
    #[cfg(test)]
    pub(super) fn check(&self) -> Vec<String> {
        self.patterns()
            .lists()
            .into_iter()
            .flat_map(|it| it.wrong().to_vec())
            .map(|it| format!("{}: {it}", self.name))
            .collect()
    }
}

impl Patterns {
    fn of(read: &Read) -> Self {
        let all = |list: &Vec<String>| Lazy::new(list.clone());
        Self {
            begin: all(&read.begin),
            end: all(&read.end),
            delayed: all(&read.delayed),
            failed: all(&read.failed),
            recipient: all(&read.recipient),
            prose: all(&read.prose),
            label: all(&read.label),
            stop: all(&read.stop),
            skip: all(&read.skip),
            clean: all(&read.clean),
            alias: all(&read.alias),
            reporting_mta: all(&read.reporting_mta),
            remote_mta: all(&read.remote_mta),
        }
    }

    #[cfg(test)]
    fn lists(&self) -> [&Lazy; 13] {
        let Self {
            begin,
            end,
            delayed,
            failed,
            recipient,
            prose,
            label,
            stop,
            skip,
            clean,
            alias,
            reporting_mta,
            remote_mta,
        } = self;
        [begin, end, delayed, failed, recipient, prose, label, stop, skip, clean, alias, reporting_mta, remote_mta]
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Format").field(&self.name).finish()
    }
}
