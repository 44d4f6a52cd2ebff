//! Whether anyone is answered, whom, and in which language; every "no" has a named reason.
//!
//! Pure: settings, findings, what the journal knows and `now` come in, a `Decision` goes out. All
//! reasons that apply are listed, not just the first. RFC 3834 is asked of the mail whose author
//! we would answer, never of the bounce (`design.md` §8.5).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mail::{Language, Mailbox, MessageId, ReferenceId};

pub mod alert;
mod candidate;
mod decide;
mod origin;
mod settings;

pub use candidate::{Candidate, Failure, candidate};
pub use decide::{Incoming, decide, languages};
pub use settings::{SettingsError, check_domain};

/// Why nobody is answered; names as in `design.md` §3.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// Not a bounce at all.
    NotABounce,
    /// Delivered, relayed or expanded.
    SuccessReport,
    /// A delay, and delays are not configured.
    DelayNotConfigured,
    /// The author is not in `domains`.
    NotOurDomain,
    /// No readable author.
    NoOriginalSender,
    /// No grounds to believe that we sent the original.
    UnprovenOrigin,
    /// A robot wrote the original.
    AutomatedOriginal,
    /// The original went through a list.
    ListBounce,
    /// Carries our mark.
    OurOwnReply,
    /// Explained before.
    AlreadyExplained,
    /// Older than `policy.max_age`.
    TooOld,
    /// Quoted inline by a person.
    QuotedBounce,
    /// This person has had enough for a while.
    RateLimitedPerson,
    /// We have sent enough for a while.
    RateLimitedTotal,
    /// The person wants no explanations.
    OptedOut,
    /// An administrator muted the domains that all its recipients are at.
    DomainMuted,
    /// `policy.mode = "dry_run"`.
    DryRun,
    /// Undetermined, and these are muted.
    UndeterminedMuted,
}

/// Why an answer waits instead of going out or being dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The breaker is open: too many answers fell due at once.
    Breaker,
    /// `policy.mode = "dry_run"`, and nothing else speaks against answering: the explanation is
    /// rendered and kept, and goes out only by `journal retry`. Shown as the reason `dry_run`.
    DryRun,
}

/// What to do about one bounce.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    /// Answer as planned.
    Reply(ReplyPlan),
    /// Answer nobody; the reasons, never empty.
    Suppress(Vec<Suppression>),
    /// Planned, but held back.
    Hold(HoldReason, ReplyPlan),
}

/// The grounds on which the original is believed to be ours (`design.md` §3, *Grounds of origin*).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// The Message-ID is in the journal.
    JournalKnows,
    /// The Message-ID was found in the author's Sent folder.
    FoundInSent,
    /// A Received line of the original names one of `policy.our_servers`.
    ReceivedByOurServer(String),
    /// The reporting MTA is one of `policy.our_servers`.
    ReportedByOurServer(String),
    /// An Authentication-Results field of ours vouches for the bounce.
    AuthenticationResults,
    /// The Message-ID ends in one of `domains`.
    MessageIdOfOurDomain,
    /// A bounce without original in a member's own inbox.
    OwnInbox,
    /// `policy.proof = "none"`: the author's address suffices.
    NoProofAsked,
    /// A member forwarded it to us and our own server vouches for the member.
    Asked,
}

/// Whom to answer about what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyPlan {
    /// The person who is answered: always an address in `domains`, never a null path.
    pub addressee: Mailbox,
    /// Where the mail goes instead in `redirect` mode.
    pub redirect_to: Option<Mailbox>,
    /// The languages to write in; one, or two for `both`.
    pub languages: Vec<Language>,
    /// What the explanation is about: author and original Message-ID or fingerprint.
    pub identity: String,
    /// 0 for the first explanation of an original, then 1 to 3 for follow-ups.
    pub sequence: u32,
    /// The reference id, the same for all explanations of one original.
    pub reference_id: ReferenceId,
    /// Exactly the original's Message-ID, or the forwarding mail's when asked.
    pub in_reply_to: Option<MessageId>,
    /// Why we believe that the original is ours; at least one.
    pub grounds: Vec<Ground>,
    /// The member forwarded a bounce and asks (`design.md` §2.3).
    pub asked: bool,
    /// Earliest time to send: now, or the end of `policy.gather`.
    pub not_before: Timestamp,
    /// An explanation of this original waits unsent: it is rendered anew with this bounce added.
    pub gathers: Option<Gathering>,
    /// The person was told that one of these recipients' servers is still being tried.
    #[serde(default)]
    pub after_delay: bool,
    /// How others fared with the same domains; filled by `app` from the journal, empty without one.
    #[serde(default)]
    pub weeks: Vec<DomainWeek>,
}

/// What the journal knows of the last seven days about one domain and one cause of failure.
/// Counts are lower bounds: only what was bounced to us is known, and of much only the newest.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct DomainWeek {
    /// The recipients' domain.
    pub domain: String,
    /// The cause's name.
    pub cause: String,
    /// Mails, the person's own among them, that failed there for this cause.
    pub mails: u32,
    /// People who wrote them.
    pub people: u32,
    /// When the first of them was recorded.
    pub first: Option<Timestamp>,
    /// Of these mails, those of other people.
    pub mails_of_others: u32,
    /// How many other people.
    pub others: u32,
    /// Bounces of other people's mails that were seen, answered or not: zero is "only you".
    pub seen_of_others: u32,
    /// Mails that failed for this cause at other domains.
    pub elsewhere: u32,
    /// Mails that this domain took, as far as somebody asked for a receipt.
    pub delivered: u32,
    /// The journal is older than a week: that it knows of nothing means something.
    pub whole: bool,
}

/// An explanation that waits in the outbox and may still take in a further bounce (`design.md` §8.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Gathering {
    /// The outbox row.
    pub row: i64,
    /// Its version when it was read; another version at writing time means to read again.
    pub version: i64,
    /// Its sequence, which the plan keeps.
    pub sequence: u32,
}

/// `policy.mode`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Explanations go to the people they are for.
    Live,
    /// Nothing goes out; the journal shows what would have.
    DryRun,
    /// Every explanation goes to this address instead.
    Redirect(Mailbox),
}

/// `policy.proof`: how much must speak for our having sent the original.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// The author's address in `domains` suffices.
    None,
    /// One ground of `design.md` §3.
    Plausible,
    /// Found in Sent, or known to the journal.
    Verified,
}

/// `"N/DURATION"`, or no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// At most this many within this time.
    PerPeriod {
        /// How many.
        count: u32,
        /// Within how long.
        period: jiff::SignedDuration,
    },
    /// `"off"`.
    Off,
}

/// One entry of `policy.our_servers`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OurServer {
    /// A host name, or with a leading dot every host below it; lower-cased.
    Name(String),
    /// A network: address and prefix length.
    Network(std::net::IpAddr, u8),
}

/// In which language people are written to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LanguageChoice {
    /// As the original suggests; the fallback where it does not.
    Auto(Language),
    /// Always these, in this order.
    Fixed(Vec<Language>),
}

/// `domains`, `language`, `[policy]` and `reply.languages` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The company's mail domains, lower-cased; never empty.
    pub domains: Vec<String>,
    /// Live, dry run or redirected.
    pub mode: Mode,
    /// Nothing older is answered.
    pub max_age: jiff::SignedDuration,
    /// How long further bounces of the same original are waited for.
    pub gather: jiff::SignedDuration,
    /// Whether delays are answered.
    pub delays: bool,
    /// Whether undetermined bounces are answered.
    pub answer_undetermined: bool,
    /// Whether members may forward bounces and ask.
    pub asking: bool,
    /// Grounds of origin asked for.
    pub proof: Proof,
    /// Hosts and networks that send for us.
    pub our_servers: Vec<OurServer>,
    /// People who want no explanations.
    pub opt_out: Vec<Mailbox>,
    /// Explanations a person.
    pub limit_person: Limit,
    /// Explanations in all.
    pub limit_total: Limit,
    /// Answers due at once before everything is held.
    pub breaker: Limit,
    /// In which language people are written to.
    pub language: LanguageChoice,
    /// People whose language is known.
    pub languages: Vec<(Mailbox, Language)>,
}

/// What the journal knows that bears on one bounce; gathered by `app` before `decide`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The original's Message-ID was recorded before (a forwarded or repeated bounce, a delay first).
    pub journal_knows_original: bool,
    /// The original was looked for in the author's Sent folder and found.
    pub found_in_sent: bool,
    /// Explanations of this identity that exist already (sent or waiting), by sequence; empty: none.
    pub explained: Vec<u32>,
    /// This very bounce (its Message-ID or content) was recorded before.
    pub bounce_seen: bool,
    /// Explanations to this person within `limit_person`'s period.
    pub sent_to_person: u32,
    /// Explanations within `limit_total`'s period.
    pub sent_in_all: u32,
    /// The breaker is open.
    pub breaker_open: bool,
    /// Every failed recipient is at a domain that an administrator muted.
    pub muted: bool,
    /// What was explained of this identity already: recipient and what became of it.
    pub explained_failures: Vec<Failure>,
    /// The explanation of this identity that still waits unsent, if any.
    pub gathering: Option<Gathering>,
}

#[cfg(test)]
mod tests;
