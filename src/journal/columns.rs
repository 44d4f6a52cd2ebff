//! What of a message is kept in columns of its own, counted, and found by its words.

use super::{
    Error, JournalEntry,
    database::Tx,
    history::{FOUND, GROUNDED, PLAUSIBLE},
    record::name,
    tally::{What, count},
    words,
};
use crate::{
    bounce::{Action, Bounce, Recognition},
    diagnosis::Acts,
    mail::MessageId,
    policy::{Decision, Ground, HoldReason, ReplyPlan},
};

/// Octets of one text by which a message is found.
const FINDABLE: usize = 4096;

/// What of a message is kept in columns of its own, for lists and look-ups.
pub(super) struct Columns {
    pub(super) kind: String,
    pub(super) because: Option<String>,
    pub(super) bounce_message_id: Option<String>,
    pub(super) original_message_id: Option<String>,
    pub(super) author: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) recipients: u32,
    pub(super) cause: Option<String>,
    /// Our own administrator must act.
    pub(super) own: bool,
    pub(super) decision: &'static str,
    pub(super) reasons: String,
    pub(super) proven: i64,
}

impl Columns {
    pub(super) fn of(it: &JournalEntry<'_>, decision: &Decision) -> Self {
        let (kind, because, bounce): (String, Option<String>, Option<&Bounce>) = match it.recognition {
            Recognition::Bounce(bounce) => (name(&bounce.kind()).unwrap_or_default(), None, Some(bounce)),
            Recognition::NotABounce(other) => {
                ("not_a_bounce".to_owned(), name(&other.because).ok(), other.quoted.as_deref())
            }
        };
        let envelope = match it.recognition {
            Recognition::Bounce(bounce) => &bounce.envelope,
            Recognition::NotABounce(other) => &other.envelope,
        };
        let original = bounce.and_then(|it| it.original.as_ref());
        let (decided, reasons, proven) = match decision {
            Decision::Reply(plan) => ("answer", Vec::new(), proven(plan)),
            Decision::Hold(HoldReason::Breaker, plan) => ("hold", vec!["breaker".to_owned()], proven(plan)),
            Decision::Hold(HoldReason::DryRun, plan) => ("hold", vec!["dry_run".to_owned()], proven(plan)),
            Decision::Suppress(reasons) => {
                let names = reasons.iter().filter_map(|it| name(it).ok()).collect();
                // A second bounce of what was proven once is no less proven; what never was, is not.
                ("suppress", names, 0)
            }
        };
        let failed = it.findings.iter().find(|it| it.report.action == Action::Failed).or(it.findings.first());
        Self {
            kind,
            because,
            bounce_message_id: envelope.message_id.as_ref().map(|it| MessageId::as_str(it).to_owned()),
            original_message_id: original.and_then(|it| it.message_id.as_ref()).map(|it| it.as_str().to_owned()),
            author: it
                .candidate
                .map(|it| it.addressee.to_string())
                .or_else(|| original.and_then(|it| it.from.as_ref()).map(ToString::to_string))
                .map(|it| it.to_lowercase()),
            subject: original.and_then(|it| it.subject.clone()).or_else(|| envelope.subject.clone()),
            recipient: failed.map(|it| it.report.final_recipient.to_string()),
            recipients: u32::try_from(it.findings.len()).unwrap_or(u32::MAX),
            cause: failed.map(|it| it.diagnosis.cause.as_str().to_owned()),
            own: failed.is_some_and(|it| it.diagnosis.acts == Acts::OwnAdmin),
            decision: decided,
            reasons: reasons.join(","),
            proven,
        }
    }
}

/// How much the grounds of an answer say for a later bounce of the same original.
fn proven(plan: &ReplyPlan) -> i64 {
    let weight = |ground: &Ground| match ground {
        Ground::FoundInSent | Ground::JournalKnows => FOUND,
        Ground::ReceivedByOurServer(_)
        | Ground::ReportedByOurServer(_)
        | Ground::AuthenticationResults
        | Ground::MessageIdOfOurDomain => GROUNDED,
        Ground::OwnInbox | Ground::Asked => PLAUSIBLE,
        Ground::NoProofAsked => 0,
    };
    plan.grounds.iter().map(weight).max().unwrap_or(0)
}

/// Counts the message, by the hour.
pub(super) async fn tally(tx: &mut Tx, it: &JournalEntry<'_>, facts: &Columns) -> Result<(), Error> {
    if facts.kind == "not_a_bounce" {
        return count(tx, &[(What::Message, "other", 1)], it.at).await;
    }
    let mut counts = vec![(What::Message, "bounce", 1), (What::Decision, facts.decision, 1)];
    counts.extend(facts.reasons.split(',').filter(|it| !it.is_empty()).map(|it| (What::Reason, it, 1)));
    if let Some(cause) = &facts.cause {
        counts.push((What::Cause, cause, 1));
        counts.extend(facts.own.then_some((What::Own, cause.as_str(), 1)));
    }
    let failed = it.findings.iter().filter(|it| it.report.action == Action::Failed);
    let mut domains: Vec<&str> = failed.map(|it| it.report.final_recipient.domain()).collect();
    domains.sort_unstable();
    for same in domains.chunk_by(|a, b| a == b) {
        let often = i64::try_from(same.len()).unwrap_or(i64::MAX);
        counts.extend(same.first().map(|domain| (What::Domain, *domain, often)));
    }
    // Few statements, but none with more values than a database takes.
    for some in counts.chunks(100) {
        count(tx, some, it.at).await?;
    }
    Ok(())
}

/// Makes the message findable by its subject, addresses, reference id and the servers' words.
pub(super) async fn index(tx: &mut Tx, id: i64, it: &JournalEntry<'_>, facts: &Columns) -> Result<(), Error> {
    let reference = it.candidate.map(|it| it.reference_id.to_string());
    let own = [&facts.subject, &facts.author, &reference].into_iter().filter_map(|it| it.as_deref().map(short));
    let recipients: Vec<String> = it.findings.iter().map(|it| it.report.final_recipient.to_string()).collect();
    let said = it.findings.iter().filter_map(|it| it.report.diagnostic.as_deref().map(short));
    let texts: Vec<&str> = own.chain(recipients.iter().map(String::as_str)).chain(said).collect();
    words::index(tx, id, &texts).await
}

/// The beginning of a text that may be a megabyte.
fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(FINDABLE)).unwrap_or(text)
}
