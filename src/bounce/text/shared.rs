//! What all formats share: `catalogue/formats/shared.toml`.
//!
//! The words with which a pasted original is announced, with which a warning is told from a
//! failure, with which a bounce says that it is one; and how a quoted host is named.

use serde::Deserialize;

use super::{descriptor::Lazy, marks::Sign};

/// The file, read strictly.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shared {
    original: Vec<String>,
    delayed: Vec<String>,
    delayed_subject: Vec<String>,
    delivered: Vec<String>,
    delivered_subject: Vec<String>,
    expired: Vec<String>,
    sentence: Vec<String>,
    /// What bounces say, and people too.
    hint: Vec<String>,
    subject: Vec<String>,
    daemon: Vec<String>,
    /// What gateways and mail programs put around a bounce.
    aside: Vec<String>,
    remote_mta: Vec<String>,
    reporting_mta: Vec<String>,
    /// Words around an address that say it is not a failed recipient.
    bystander: Vec<String>,
    /// Words that give a reason.
    reason: Vec<String>,
    /// A label before a reason, which the reason does without.
    label: Vec<String>,
    /// Rows that tell of the original.
    original_from: Vec<String>,
    original_subject: Vec<String>,
    original_message_id: Vec<String>,
}

/// Where a mark is looked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Place {
    Text,
    From,
    Subject,
    /// Any field, at its beginning.
    Header,
}

/// The shared patterns.
pub(super) struct SharedPatterns {
    pub(super) remote_mta: Lazy,
    pub(super) reporting_mta: Lazy,
    pub(super) bystander: Lazy,
    pub(super) reason: Lazy,
    pub(super) label: Lazy,
    pub(super) original_from: Lazy,
    pub(super) original_subject: Lazy,
    pub(super) original_message_id: Lazy,
}

impl Shared {
    pub(super) fn marks(&self) -> [(Sign, Place, &[String]); 11] {
        [
            (Sign::Original, Place::Text, &self.original),
            (Sign::Delayed, Place::Text, &self.delayed),
            (Sign::DelayedSubject, Place::Subject, &self.delayed_subject),
            (Sign::Delivered, Place::Text, &self.delivered),
            (Sign::Delivered, Place::Subject, &self.delivered_subject),
            (Sign::Expired, Place::Text, &self.expired),
            (Sign::Sentence, Place::Text, &self.sentence),
            (Sign::Hint, Place::Text, &self.hint),
            (Sign::Subject, Place::Subject, &self.subject),
            (Sign::Daemon, Place::From, &self.daemon),
            (Sign::Aside, Place::Text, &self.aside),
        ]
    }

    pub(super) fn into_patterns(self) -> SharedPatterns {
        SharedPatterns {
            remote_mta: Lazy::new(self.remote_mta),
            reporting_mta: Lazy::new(self.reporting_mta),
            bystander: Lazy::new(self.bystander),
            reason: Lazy::new(self.reason),
            label: Lazy::new(self.label),
            original_from: Lazy::new(self.original_from),
            original_subject: Lazy::new(self.original_subject),
            original_message_id: Lazy::new(self.original_message_id),
        }
    }
}

impl SharedPatterns {
    /// Every pattern that does not compile.
    #[cfg(test)]
    pub(super) fn check(&self) -> Vec<String> {
        let Self {
            remote_mta,
            reporting_mta,
            bystander,
            reason,
            label,
            original_from,
            original_subject,
            original_message_id,
        } = self;
        let lists =
            [remote_mta, reporting_mta, bystander, reason, label, original_from, original_subject, original_message_id];
        lists.into_iter().flat_map(|it| it.wrong().to_vec()).map(|it| format!("shared.toml: {it}")).collect()
    }
}
