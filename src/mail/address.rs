//! Mailbox addresses and the reverse-path (RFC 5321 §4.1.2, §4.5.5).

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address with a local part and a domain (RFC 5321 §4.1.2 `Mailbox`).
///
/// The domain is lower-cased and kept in the form it was written (A-label or U-label); the local
/// part is kept as written. `parse` is the only way in.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    local: String,
    domain: String,
}

impl Mailbox {
    /// Reads one address, bare or in angle brackets; `None` if there is no local part, no domain,
    /// or a character that no address may hold (blank outside quotes, control, bracket).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('<').map_or(text, |rest| rest.strip_suffix('>').unwrap_or(rest));
        let (local, domain) = text.rsplit_once('@')?;
        let quoted = local.len() >= 2 && local.starts_with('"') && local.ends_with('"');
        let local_ok = !local.is_empty()
            && local
                .chars()
                .all(|c| !c.is_control() && (quoted || !(c.is_whitespace() || "<>()[],;:\\\"".contains(c))));
        let domain = domain.trim_end_matches('.').to_lowercase();
        let domain_ok = !domain.is_empty()
            && domain.chars().all(|c| {
                c.is_alphanumeric() || "-._[]:#".contains(c) || !c.is_ascii() && !c.is_whitespace() && !c.is_control()
            });
        (local_ok && domain_ok && text.len() <= 1024).then(|| Self { local: local.to_owned(), domain })
    }

    /// The part before the last `@`, as written.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the last `@`, lower-cased.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether two addresses reach the same mailbox for all that matters here: local parts are
    /// compared without regard to case, although RFC 5321 §2.4 lets a host tell them apart.
    #[must_use]
    pub fn same_mailbox(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local.to_lowercase() == other.local.to_lowercase()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl TryFrom<String> for Mailbox {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a mail address"))
    }
}

impl From<Mailbox> for String {
    fn from(it: Mailbox) -> Self {
        it.to_string()
    }
}

/// What MAIL FROM or Return-Path says; the null path is a case of its own (RFC 5321 §4.5.5).
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`: nobody is to be told of a failure.
    Null,
    /// Failures go to this mailbox.
    Mailbox(Mailbox),
}
