//! One failed recipient in, one `Diagnosis` out: the cause, whose move it is, how sure, and why.
//!
//! Pure. Knowledge is data: `catalogue/causes/<cause>/cause.toml` (rules with their samples),
//! `catalogue/codes/` (enhanced and reply codes), `catalogue/systems.toml` (who speaks), overlaid
//! by the administrator's `rules.d`. The most specific rule wins: system's phrase > general
//! phrase > system's code > registry code > reply code > shape (`design.md` §1).

mod catalogue;
mod code;
mod continued;
mod contraction;
mod facts;
mod form;
mod matcher;
mod noun;
mod phrase;
mod place;
mod proof;
mod rule;
mod suggest;
mod system;
#[cfg(test)]
mod tests;
mod text;
mod together;

pub use catalogue::{Catalogue, Cause};
pub use form::CatalogueError;
pub use matcher::Applying;
pub use place::home_of;
pub use proof::Unproven;
pub use rule::{Level, Rule};
pub use suggest::{Suggestion, Suggestions, Unexplained, anonymous, clusters, suggest};

use serde::{Deserialize, Serialize};

/// A cause of `design.md` §4, known to the loaded catalogue.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CauseId(String);

impl CauseId {
    /// The cause that says that none can be said.
    pub const UNDETERMINED: &'static str = "undetermined";

    /// Made by the catalogue's loader from what it has checked, and by tests.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name as in JSON and configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `undetermined`.
    #[must_use]
    pub fn is_undetermined(&self) -> bool {
        self.0 == Self::UNDETERMINED
    }
}

/// The closed set of families that policy and evidence know; each cause names one (`design.md` §8.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The part before the @, or the address as a whole: `user_unknown`, `moved`, `address_syntax`, …
    Address,
    /// The part after the @: `host_unknown`, `no_mail_host`, `null_mx`.
    Domain,
    /// The mailbox is there and cannot take mail: `mailbox_full`, `mailbox_disabled`.
    Mailbox,
    /// `message_too_large`.
    Size,
    /// Refused by a rule of the recipient or their organisation, or without a reason.
    Refused,
    /// Our host or domain is not trusted: `blocklisted`, `sender_rejected`.
    Reputation,
    /// Our sender fails a check: `auth_failure`, `sender_invalid`, `ptr_missing`.
    Authentication,
    /// `content_rejected`, `attachment_blocked`, `virus`.
    Content,
    /// Too much, too fast, or come back later: `rate_limited`, `greylisted`, `system_busy`.
    Throttled,
    /// The connection, or the time: `connection_*`, `cross_border_filtering`, `expired`.
    Connection,
    /// A server is misconfigured or failing: `system_*`, `mail_loop`, `protocol_error`, `tls_required`.
    System,
    /// Our own submission: `relay_denied`, `login_failed`.
    Submission,
    /// `undetermined`.
    Unknown,
}

/// Whose move it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acts {
    /// The author of the original.
    Sender,
    /// The recipient or their administrator.
    RecipientSide,
    /// Our administrator.
    OwnAdmin,
    /// Nobody: wait.
    NobodyWait,
}

/// How sure a diagnosis is; the wording follows it (`explanations.md`, principle 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// One possibility among others; any rule on a code alone.
    Guess,
    /// Most probably.
    Likely,
    /// Said by the server in so many words, or looked up.
    Certain,
}

/// Facts drawn out of the server's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The size limit, in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<u64>,
    /// The size of our message as the server saw it, in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_size: Option<u64>,
    /// The blocklist's name or zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocklist: Option<String>,
    /// A link that the server names (delisting, help), as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Our address that the server complains of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<std::net::IpAddr>,
    /// Seconds after which the server wants to be asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The new address of a recipient who moved, in the other server's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_address: Option<String>,
    /// Hops counted and allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hops: Option<u32>,
    /// The limit of hops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop_limit: Option<u32>,
    /// How long the message was tried, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_time: Option<u64>,
}

/// Why one recipient was not reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The cause.
    pub cause: CauseId,
    /// The cause's family.
    pub family: Family,
    /// The same message sent again unchanged in two days would fail the same way; `None` if unknown.
    pub permanent: Option<bool>,
    /// The reporting MTA gave up after trying for long.
    pub expired: bool,
    /// Whose move it is.
    pub acts: Acts,
    /// How sure.
    pub confidence: Confidence,
    /// The rule that won.
    pub rule: String,
    /// The words that decided, as they stood in the diagnostic.
    pub matched: String,
    /// Facts drawn out of the words.
    pub facts: Facts,
    /// Rules that matched too and lost, best first.
    pub rivals: Vec<String>,
    /// The system that speaks, if known.
    pub system: Option<String>,
}

impl Diagnosis {
    /// How the ids of rules end that go by the refused command alone; `Journal::diagnosed` looks for it too.
    pub(crate) const STAGE: &'static str = "/stage";

    /// Whether no rule knows the server's words: nothing is said of them, or only at which command
    /// they came.
    #[must_use]
    pub fn is_unexplained(&self) -> bool {
        self.cause.is_undetermined() || self.rule.ends_with(Self::STAGE)
    }
}

/// Where our side stands, for `cross_border_filtering` (`design.md` §4, §5).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Home {
    /// Inside mainland China.
    MainlandChina,
    /// Elsewhere, or not known to be inside.
    Elsewhere,
}
