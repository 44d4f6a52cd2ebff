//! What the templates may name: the facts of one case, as words in one language.

use std::{collections::BTreeSet, rc::Rc};

use minijinja::{Value, value::Serde};
use serde::Serialize;

use super::{
    safe::{self, Typed},
    section::Conditions,
};
use crate::{bounce::Bounce, evidence::Finding};

/// One recipient's part of one bounce.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) bounce: &'a Bounce,
    pub(super) finding: &'a Finding,
    /// Addresses that may be shown: the author typed them.
    pub(super) typed: Rc<Typed>,
}

/// One failed or delayed recipient with all that is known about it, as words in one language.
pub(super) struct Case<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) finding: &'a Finding,
    pub(super) facts: Facts,
    pub(super) conditions: Conditions,
}

/// The variables of the templates; those that are unknown are `none`. Each is text in the
/// language of the template, single-line and harmless, unless its doc says otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Facts {
    // the recipient
    pub(super) recipient: Option<String>,
    pub(super) local: Option<String>,
    pub(super) domain: Option<String>,
    /// The A-label of an internationalised domain.
    pub(super) domain_ascii: Option<String>,
    /// The address the author wrote to, where the failed one is another.
    pub(super) typed_recipient: Option<String>,
    pub(super) suggestion: Option<String>,
    pub(super) suggested_address: Option<String>,
    pub(super) new_address: Option<String>,
    // who says so, and how sure that is; filled from the frame's sections of these names
    pub(super) server: Option<String>,
    pub(super) said: Option<String>,
    /// The recipient's server as the subject of what stands after `said`.
    pub(super) they: Option<String>,
    pub(super) unsure: Option<String>,
    pub(super) maybe: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) short: Option<String>,
    /// The server's words, cut to one short line.
    pub(super) words: Option<String>,
    pub(super) their_host: Option<String>,
    /// The host that takes the domain's mail: the one that answered, else the first that we looked up.
    pub(super) mx_host: Option<String>,
    /// What the recipient calls their mail: the well-known service, or the domain of a public one.
    pub(super) service: Option<String>,
    /// Whether the recipient is at our own domain.
    pub(super) colleague: bool,
    // sizes
    pub(super) limit: Option<String>,
    pub(super) room: Option<String>,
    pub(super) size: Option<String>,
    pub(super) over: Option<String>,
    pub(super) files: Vec<File>,
    pub(super) files_size: Option<String>,
    pub(super) biggest: Option<String>,
    /// Whether the biggest file alone exceeds the limit.
    pub(super) biggest_alone: bool,
    /// The biggest file's size as it travels.
    pub(super) biggest_travels: Option<String>,
    /// Whether there are other files, and all of them together keep below the limit.
    pub(super) others_fit: bool,
    // times, in the author's zone
    pub(super) sent_at: Option<String>,
    pub(super) failed_at: Option<String>,
    pub(super) resend_at: Option<String>,
    pub(super) retry_until: Option<String>,
    pub(super) checked_at: Option<String>,
    /// Whole days between sending and giving up, if at least one.
    pub(super) days: Option<i64>,
    // reputation and routing
    pub(super) list: Option<String>,
    pub(super) link: Option<String>,
    pub(super) ip: Option<String>,
    /// Whether `ip` is an IPv6 address.
    pub(super) ip_six: bool,
    /// The name of our sending server: who reported the bounce, else the usual one.
    pub(super) our_host: Option<String>,
    /// The name whose PTR record belongs to `ip`.
    pub(super) reverse_name: Option<String>,
    /// Our domain's SPF record as it is, and (if `ip` is known) as it should be with it.
    pub(super) spf_now: Option<String>,
    pub(super) spf_new: Option<String>,
    /// What belongs into an SPF record for `ip`.
    pub(super) spf_term: Option<String>,
    pub(super) hops: Option<u32>,
    pub(super) hop_limit: Option<u32>,
    // the last week, as far as the journal knows: this cause at this domain
    pub(super) week_mails: u32,
    pub(super) week_people: u32,
    /// Since when, with offset.
    pub(super) week_since: Option<String>,
    /// Mails that failed for this cause at other domains.
    pub(super) week_elsewhere: u32,
    /// Mails that the domain took, as far as receipts tell.
    pub(super) week_taken: u32,
    /// Of `week_mails` and `week_people`, without this author.
    pub(super) others_mails: u32,
    pub(super) others_people: u32,
    // the original and its author
    pub(super) subject: Option<String>,
    pub(super) author: Option<String>,
    pub(super) author_name: Option<String>,
    pub(super) author_domain: Option<String>,
    pub(super) message_id: Option<String>,
    pub(super) queue_id: Option<String>,
    // the company
    pub(super) company: Option<String>,
    pub(super) helpdesk: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) told: bool,
    /// Whom a redirected explanation was for.
    pub(super) meant_for: Option<String>,
    // counts and lists of the whole explanation
    pub(super) count: usize,
    /// Recipients of the original of which no bounce has come.
    pub(super) others: usize,
    pub(super) recipients: Vec<String>,
    /// Recipients that a list leaves out for length.
    pub(super) more: usize,
    // parts of single sentences
    pub(super) value: Option<String>,
    pub(super) year: i16,
    pub(super) month: i8,
    pub(super) month_name: Option<String>,
    pub(super) day: i8,
    pub(super) time: Option<String>,
    pub(super) date: Option<String>,
    // for the administrator only: times with offset, and the reply in full
    pub(super) sent_at_offset: Option<String>,
    /// Of our zone when the original was sent: "+8".
    pub(super) utc_offset: Option<String>,
    pub(super) failed_at_offset: Option<String>,
    pub(super) reply: Option<String>,
    /// The reply, if it is their server's and not a summary of ours.
    pub(super) their_reply: Option<String>,
    pub(super) status: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) rule: Option<String>,
}

/// A file of the original.
#[derive(Clone, Debug, Serialize)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) size: String,
}

impl Facts {
    /// The names that a template may use.
    pub(super) fn variables() -> BTreeSet<String> {
        let names = Value::from(Serde(Self::default()));
        names.try_iter().into_iter().flatten().map(|it| it.to_string()).collect()
    }

    pub(super) fn context(&self) -> Value {
        Value::from(Serde(self))
    }

    pub(super) fn with_counts(mut self, count: usize, others: usize) -> Self {
        self.count = count;
        self.others = others;
        self
    }

    pub(super) fn with_recipients(mut self, recipients: Vec<String>, more: usize) -> Self {
        self.recipients = recipients;
        self.more = more;
        self
    }

    pub(super) fn with_value(mut self, value: &str) -> Self {
        self.value = Some(value.to_owned());
        self
    }

    /// The original's subject cut for a subject line.
    pub(super) fn with_short_subject(mut self, columns: usize) -> Self {
        self.subject = self.subject.map(|it| safe::cut_to_columns(&it, columns));
        self
    }

    /// The failed address; where it is not the one that was written to, both.
    pub(super) fn recipient(&self) -> String {
        let failed = self.recipient.as_deref().unwrap_or_default();
        self.typed_recipient.as_ref().map_or_else(|| failed.to_owned(), |typed| format!("{typed} → {failed}"))
    }

    /// Whether it is known who forwards to the failed address: the recipient that was written to.
    pub(super) fn is_forwarded_by_known(&self) -> bool {
        self.typed_recipient.is_some()
    }

    pub(super) fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }

    pub(super) fn wants_mail_to(&self) -> Option<(&str, Option<&str>)> {
        Some((self.suggested_address.as_deref()?, self.subject.as_deref()))
    }
}
