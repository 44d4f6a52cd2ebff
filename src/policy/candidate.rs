//! Whom we would answer about a message, and what identifies the explanation. No question of
//! whether is answered here beyond what leaves nobody to answer.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Settings, Suppression};
use crate::{
    bounce::{Action, Bounce, NotABounce, Original, Recognition, WhyNot},
    mail::{Mailbox, MessageId, ReferenceId, ReversePath, Role},
};

/// One recipient's fate, the unit that is explained once per original.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Final-Recipient.
    pub recipient: Mailbox,
    /// Failed or delayed.
    pub action: Action,
}

impl Failure {
    /// The same recipient, with the same end.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.action == other.action && self.recipient.same_mailbox(&other.recipient)
    }
}

/// Whom we would answer about one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The person: the author, the member whose mailbox it is, or the member who asks.
    pub addressee: Mailbox,
    /// The author of the original, if readable and ours.
    pub author: Option<Mailbox>,
    /// The original's Message-ID.
    pub original: Option<MessageId>,
    /// Author and original Message-ID or fingerprint; one explanation (with its follow-ups) each.
    pub identity: String,
    /// Derived from the identity.
    pub reference_id: ReferenceId,
    /// What our mail answers: the original, or the forwarding mail when asked.
    pub in_reply_to: Option<MessageId>,
    /// The message's own Message-ID, by which a copy of the bounce is known again.
    pub bounce_message_id: Option<MessageId>,
    /// A member forwarded it and asks.
    pub asked: bool,
    /// What there is to explain under these settings; may be empty.
    pub failures: Vec<Failure>,
}

/// Whom we would answer (`design.md` §8.1), or why there is nobody; then the reasons are not empty.
pub fn candidate(settings: &Settings, role: &Role, recognition: &Recognition) -> Result<Candidate, Vec<Suppression>> {
    match recognition {
        Recognition::Bounce(bounce) => of_bounce(settings, role, bounce),
        Recognition::NotABounce(other) => of_other(settings, role, other),
    }
}

fn of_bounce(settings: &Settings, role: &Role, bounce: &Bounce) -> Result<Candidate, Vec<Suppression>> {
    if bounce.recipients.is_empty() {
        // The header of a report and no more: there is nothing to tell.
        return Err(vec![Suppression::NoOriginalSender]);
    }
    let author = bounce.original.as_ref().and_then(|it| author(settings, it));
    match (role, &bounce.forwarded_by) {
        // In a member's own inbox a forwarded bounce is another person's.
        (Role::Member(_), Some(_)) => Err(vec![Suppression::QuotedBounce]),
        (Role::Member(member), None) => Ok(build(settings, member.clone(), author, bounce, false)),
        (Role::Central, Some(member)) => asked(settings, member, author, bounce),
        (Role::Central, None) => match author {
            Some(author) => Ok(build(settings, author.clone(), Some(author), bounce, false)),
            None => Err(vec![nobody(bounce.original.as_ref())]),
        },
    }
}

fn of_other(settings: &Settings, role: &Role, other: &NotABounce) -> Result<Candidate, Vec<Suppression>> {
    match other.because {
        WhyNot::OurOwnReply => Err(vec![Suppression::OurOwnReply]),
        WhyNot::QuotedBounce => match (role, &other.forwarded_by, &other.quoted) {
            (Role::Central, Some(member), Some(bounce)) => {
                let author = bounce.original.as_ref().and_then(|it| author(settings, it));
                let mut candidate = asked(settings, member, author, bounce)?;
                candidate.in_reply_to.clone_from(&other.envelope.message_id);
                candidate.bounce_message_id.clone_from(&other.envelope.message_id);
                Ok(candidate)
            }
            _ => Err(vec![Suppression::QuotedBounce]),
        },
        WhyNot::OrdinaryMail
        | WhyNot::AutoReply
        | WhyNot::DispositionNotification
        | WhyNot::FeedbackReport
        | WhyNot::ListNotice
        | WhyNot::Challenge
        | WhyNot::FakeBounce
        | WhyNot::Unreadable => Err(vec![Suppression::NotABounce]),
    }
}

fn asked(
    settings: &Settings,
    member: &Mailbox,
    author: Option<Mailbox>,
    bounce: &Bounce,
) -> Result<Candidate, Vec<Suppression>> {
    let mut reasons = Vec::new();
    if !settings.asking {
        reasons.push(Suppression::QuotedBounce);
    }
    if !settings.is_member(member) {
        reasons.push(Suppression::NotOurDomain);
    }
    if reasons.is_empty() { Ok(build(settings, member.clone(), author, bounce, true)) } else { Err(reasons) }
}

/// An author stands there and is not ours, or none stands there at all.
fn nobody(original: Option<&Original>) -> Suppression {
    let named = original.is_some_and(|it| it.from.is_some() || matches!(it.return_path, Some(ReversePath::Mailbox(_))));
    if named { Suppression::NotOurDomain } else { Suppression::NoOriginalSender }
}

/// The envelope sender where it is ours, else From where that is (`design.md` §8.1).
fn author(settings: &Settings, original: &Original) -> Option<Mailbox> {
    let sender = match &original.return_path {
        Some(ReversePath::Mailbox(sender)) => Some(sender),
        Some(ReversePath::Null) | None => None,
    };
    [sender, original.from.as_ref()].into_iter().flatten().map(untagged).find(|it| settings.is_member(it))
}

fn build(settings: &Settings, addressee: Mailbox, author: Option<Mailbox>, bounce: &Bounce, asked: bool) -> Candidate {
    let original = bounce.original.as_ref().and_then(|it| it.message_id.clone());
    let what = original.as_ref().map_or_else(|| fingerprint(bounce), ToString::to_string);
    // Whoever asks is answered although the author was: the two are told apart.
    let who = format!("{}{}", if asked { "asked|" } else { "" }, addressee.to_string().to_lowercase());
    let identity = format!("{who}|{what}");
    Candidate {
        reference_id: ReferenceId::derive(&identity),
        identity,
        in_reply_to: if asked { bounce.envelope.message_id.clone() } else { original.clone() },
        bounce_message_id: bounce.envelope.message_id.clone(),
        failures: failures(settings, bounce),
        addressee,
        author,
        original,
        asked,
    }
}

fn failures(settings: &Settings, bounce: &Bounce) -> Vec<Failure> {
    let told = |action| match action {
        Action::Failed => true,
        Action::Delayed => settings.delays,
        Action::Delivered | Action::Relayed | Action::Expanded => false,
    };
    let mut all: Vec<Failure> = Vec::new();
    for it in bounce.recipients.iter().filter(|it| told(it.action)) {
        let failure = Failure { recipient: it.final_recipient.clone(), action: it.action };
        if !all.iter().any(|earlier| earlier.same(&failure)) {
            all.push(failure);
        }
    }
    all
}

/// Stands in for a Message-ID that the bounce does not return: what the original's headers say of
/// it or, without an original, the bounce's own id.
fn fingerprint(bounce: &Bounce) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    match &bounce.original {
        Some(it) if it.subject.is_some() || it.date.is_some() => {
            add(it.subject.as_deref().unwrap_or_default());
            add(&it.date.map(|it| it.to_string()).unwrap_or_default());
            it.to.iter().for_each(|to| add(&to.to_string().to_lowercase()));
        }
        _ => {
            add(bounce.envelope.message_id.as_ref().map_or(bounce.envelope.header_text.as_str(), |it| it.as_str()));
            bounce.recipients.iter().for_each(|it| add(&it.final_recipient.to_string().to_lowercase()));
        }
    }
    hash.finalize().iter().take(16).fold(String::from("fingerprint:"), |text, byte| format!("{text}{byte:02x}"))
}

/// The mailbox behind an envelope tag: BATV's `prvs=`, SRS0 and SRS1, VERP with the recipient in it.
#[must_use]
pub(super) fn untagged(mailbox: &Mailbox) -> Mailbox {
    let local = mailbox.local();
    let build = |local: &str, domain: &str| Mailbox::parse(&format!("{local}@{domain}"));
    let lower = local.to_ascii_lowercase();
    let inner = if lower.starts_with("prvs=") {
        // draft-levine-smtp-batv: prvs=TAG=LOCAL; some write prvs=LOCAL/TAG.
        let rest = &local[5..];
        let name =
            rest.split_once('=').map_or_else(|| rest.rsplit_once('/').map(|(name, _)| name), |(_, name)| Some(name));
        name.and_then(|name| build(name, mailbox.domain()))
    } else if lower.starts_with("srs0") || lower.starts_with("srs1") {
        // SRS0=HASH=TT=DOMAIN=LOCAL; SRS1=HASH=FORWARDER==HASH=TT=DOMAIN=LOCAL (also `+`, `-` first).
        let body = if lower.starts_with("srs1") {
            local
                .split_once("==")
                .or_else(|| local.split_once("=+"))
                .or_else(|| local.split_once("=-"))
                .map(|(_, body)| body)
        } else {
            local.get(5..)
        };
        body.and_then(|body| {
            let mut fields = body.splitn(4, '=');
            match (fields.next(), fields.next(), fields.next(), fields.next()) {
                (Some(_), Some(_), Some(domain), Some(local)) => build(local, domain),
                _ => None,
            }
        })
    } else {
        // VERP: LOCAL+user=host@… or LOCAL-user=host@…; a plain +tag is the person's own.
        local.find('=').and_then(|equals| {
            let at = local[..equals].find(['+', '-'])?;
            build(&local[..at], mailbox.domain())
        })
    };
    inner.unwrap_or_else(|| mailbox.clone())
}
