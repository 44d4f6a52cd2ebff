//! The decision: every reason not to answer is asked for, and all that apply are named.

use jiff::{SignedDuration, Timestamp};

use super::{
    Candidate, Decision, Failure, Ground, History, HoldReason, LanguageChoice, Limit, Mode, Proof, ReplyPlan, Settings,
    Suppression, candidate, origin,
};
use crate::{
    bounce::{Action, Bounce, Recognition},
    catalogue,
    evidence::Finding,
    mail::{Language, Mailbox, ReversePath, Role},
};

/// Follow-ups to one explanation (`design.md` §8.7).
const FOLLOW_UPS: u32 = 3;

/// Answers to one member who asks (`design.md` §3, *Limits*).
const ASKED: Limit = Limit::PerPeriod { count: 5, period: SignedDuration::from_hours(24) };

/// One message with what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The kind of mailbox it was found in.
    pub role: &'a Role,
    /// When the server received it.
    pub received: Timestamp,
    /// What it turned out to be.
    pub recognition: &'a Recognition,
    /// What was found out about each recipient; empty for what is no bounce.
    pub findings: &'a [Finding],
}

impl Settings {
    /// The limit that holds for one person: for explanations, or for answers to those who ask.
    #[must_use]
    pub fn person_limit(&self, asked: bool) -> Limit {
        if asked { ASKED } else { self.limit_person }
    }
}

impl Limit {
    /// Whether `count` so far leave room for one more.
    #[must_use]
    pub fn allows(self, so_far: u32) -> bool {
        match self {
            Self::PerPeriod { count, .. } => so_far < count,
            Self::Off => true,
        }
    }
}

/// Whether, whom, and in which language (`design.md` §3). A `Suppress` lists every reason that
/// applies, in the order of `Suppression`, and is never empty.
#[must_use]
pub fn decide(settings: &Settings, incoming: &Incoming<'_>, history: &History, now: Timestamp) -> Decision {
    let found = candidate(settings, incoming.role, incoming.recognition);
    let Some(bounce) = the_bounce(incoming.recognition) else {
        return Decision::Suppress(found.err().unwrap_or_else(|| vec![Suppression::NotABounce]));
    };
    let mut reasons = about_the_bounce(settings, incoming, bounce, now);
    let candidate = match found {
        Ok(candidate) => candidate,
        Err(why) => {
            reasons.extend(why);
            return suppress(settings, reasons);
        }
    };
    let grounds = if candidate.asked {
        let vouched = origin::vouches(settings, envelope(incoming.recognition));
        vouched.then_some(Ground::Asked).into_iter().collect()
    } else {
        origin::grounds(settings, incoming.role, bounce, &candidate, history)
    };
    reasons.extend(about_the_origin(settings, incoming, bounce, &candidate, &grounds));
    reasons.extend(about_the_person(settings, &candidate, history));
    if !reasons.is_empty() {
        return suppress(settings, reasons);
    }
    let plan = plan(settings, bounce, candidate, grounds, history, now);
    match &settings.mode {
        Mode::DryRun => Decision::Hold(HoldReason::DryRun, plan),
        Mode::Live | Mode::Redirect(_) if history.breaker_open && plan.gathers.is_none() => {
            Decision::Hold(HoldReason::Breaker, plan)
        }
        Mode::Live | Mode::Redirect(_) => Decision::Reply(plan),
    }
}

fn suppress(settings: &Settings, mut reasons: Vec<Suppression>) -> Decision {
    if settings.mode == Mode::DryRun && !reasons.contains(&Suppression::NotABounce) {
        reasons.push(Suppression::DryRun);
    }
    reasons.sort_unstable();
    reasons.dedup();
    Decision::Suppress(reasons)
}

/// The bounce itself, or the one a member quoted.
fn the_bounce(recognition: &Recognition) -> Option<&Bounce> {
    match recognition {
        Recognition::Bounce(bounce) => Some(bounce),
        Recognition::NotABounce(other) => other.quoted.as_deref(),
    }
}

/// The headers of the message that lay in the mailbox.
fn envelope(recognition: &Recognition) -> &crate::bounce::Envelope {
    match recognition {
        Recognition::Bounce(bounce) => &bounce.envelope,
        Recognition::NotABounce(other) => &other.envelope,
    }
}

fn about_the_bounce(settings: &Settings, incoming: &Incoming<'_>, bounce: &Bounce, now: Timestamp) -> Vec<Suppression> {
    let mut reasons = Vec::new();
    match bounce.kind() {
        Action::Failed => {}
        Action::Delayed if settings.delays => {}
        Action::Delayed => reasons.push(Suppression::DelayNotConfigured),
        Action::Delivered | Action::Relayed | Action::Expanded => reasons.push(Suppression::SuccessReport),
    }
    if bounce.original.as_ref().is_some_and(|it| it.ours) {
        reasons.push(Suppression::OurOwnReply);
    }
    // A mailbox that was moved or restored gives every message a new time: the older one counts.
    let dated = envelope(incoming.recognition).date.map_or(incoming.received, |it| it.min(incoming.received));
    if now.duration_since(dated) > settings.max_age {
        reasons.push(Suppression::TooOld);
    }
    let told: Vec<_> =
        incoming.findings.iter().filter(|it| matches!(it.report.action, Action::Failed | Action::Delayed)).collect();
    if !settings.answer_undetermined && !told.is_empty() && told.iter().all(|it| it.diagnosis.cause.is_undetermined()) {
        reasons.push(Suppression::UndeterminedMuted);
    }
    reasons
}

fn about_the_origin(
    settings: &Settings,
    incoming: &Incoming<'_>,
    bounce: &Bounce,
    candidate: &Candidate,
    grounds: &[Ground],
) -> Vec<Suppression> {
    let mut reasons = Vec::new();
    // Whoever is answered is a member, whichever way they were found.
    if !settings.is_member(&candidate.addressee) {
        reasons.push(Suppression::NotOurDomain);
    }
    let envelope = envelope(incoming.recognition);
    // RFC 3834 §2 is asked of the mail whose author we would answer (`design.md` §8.5).
    let (automatic, null_path) = if candidate.asked {
        (&envelope.automatic[..], matches!(envelope.return_path, Some(ReversePath::Null)))
    } else {
        let original = bounce.original.as_ref();
        let null = original.is_some_and(|it| matches!(it.return_path, Some(ReversePath::Null)));
        (original.map_or(&[][..], |it| &it.automatic[..]), null)
    };
    // RFC 3834 §2: no answer to a message with a null reverse-path.
    if null_path {
        reasons.push(Suppression::AutomatedOriginal);
    }
    reasons.extend(automatic.iter().filter_map(|field| sign_of_a_robot(field)));
    let author = candidate.author.as_ref().filter(|_| !candidate.asked);
    reasons.extend([Some(&candidate.addressee), author].into_iter().flatten().filter_map(robots_address));
    if candidate.asked {
        if grounds.is_empty() {
            reasons.push(Suppression::UnprovenOrigin);
        }
        return reasons;
    }
    if bounce.original.is_some() && candidate.author.is_none() {
        reasons.push(Suppression::NotOurDomain);
    }
    let proven = match settings.proof {
        Proof::None => true,
        Proof::Plausible => !grounds.is_empty(),
        Proof::Verified => grounds.iter().any(|it| matches!(it, Ground::JournalKnows | Ground::FoundInSent)),
    };
    // The bounce's own sender is never answered (RFC 5321 §4.5.5): who signs as both has forged one.
    let own_sender = [envelope.from.as_ref(), path(envelope.return_path.as_ref())];
    if !proven || own_sender.into_iter().flatten().any(|it| it.same_mailbox(&candidate.addressee)) {
        reasons.push(Suppression::UnprovenOrigin);
    }
    reasons
}

fn path(path: Option<&ReversePath>) -> Option<&Mailbox> {
    match path {
        Some(ReversePath::Mailbox(mailbox)) => Some(mailbox),
        Some(ReversePath::Null) | None => None,
    }
}

/// A header field, `name: value`, that tells of a robot or a list (RFC 3834 §2, RFC 2369, RFC 2919).
fn sign_of_a_robot(field: &str) -> Option<Suppression> {
    let (name, value) = field.split_once(':')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase());
    match name.as_str() {
        // RFC 3834 §5: the value may carry parameters and comments; `no` is a person's mail.
        "auto-submitted" => {
            let keyword = value.split([';', ' ', '(']).next().unwrap_or_default();
            (keyword != "no" && !keyword.is_empty()).then_some(Suppression::AutomatedOriginal)
        }
        "precedence" => match value.as_str() {
            "list" => Some(Suppression::ListBounce),
            "bulk" | "junk" | "auto_reply" => Some(Suppression::AutomatedOriginal),
            _ => None,
        },
        // Outlook's wish not to be answered by robots stands on people's mail as well.
        "x-auto-response-suppress" => None,
        "mailing-list" | "x-mailing-list" | "x-beenthere" | "x-mailman-version" => Some(Suppression::ListBounce),
        list if list.starts_with("list-") => Some(Suppression::ListBounce),
        _ => Some(Suppression::AutomatedOriginal),
    }
}

/// A local part behind which nobody reads, by `catalogue/automatic-senders.txt`.
fn robots_address(mailbox: &Mailbox) -> Option<Suppression> {
    let local = mailbox.local().to_lowercase();
    catalogue::list("automatic-senders.txt").find_map(|line| {
        let (pattern, list) = line.split_once('\t').map_or((line, false), |(it, mark)| (it, mark == "list"));
        let fits = catalogue::fits(pattern, &local);
        fits.then_some(if list { Suppression::ListBounce } else { Suppression::AutomatedOriginal })
    })
}

fn about_the_person(settings: &Settings, candidate: &Candidate, history: &History) -> Vec<Suppression> {
    let mut reasons = Vec::new();
    let covered = |failure: &Failure| history.explained_failures.iter().any(|it| it.same(failure));
    let told_before = !history.explained.is_empty() && candidate.failures.iter().all(covered);
    let used_up = history.gathering.is_none() && next_sequence(history) > FOLLOW_UPS;
    if history.bounce_seen || told_before || used_up {
        reasons.push(Suppression::AlreadyExplained);
    }
    if settings.opt_out.iter().any(|it| it.same_mailbox(&candidate.addressee)) {
        reasons.push(Suppression::OptedOut);
    }
    if history.muted {
        reasons.push(Suppression::DomainMuted);
    }
    // What joins an explanation that waits already takes no further place.
    if history.gathering.is_none() {
        if !settings.person_limit(candidate.asked).allows(history.sent_to_person) {
            reasons.push(Suppression::RateLimitedPerson);
        }
        if !settings.limit_total.allows(history.sent_in_all) {
            reasons.push(Suppression::RateLimitedTotal);
        }
    }
    reasons
}

fn next_sequence(history: &History) -> u32 {
    history.explained.iter().max().map_or(0, |last| last.saturating_add(1))
}

fn plan(
    settings: &Settings,
    bounce: &Bounce,
    candidate: Candidate,
    grounds: Vec<Ground>,
    history: &History,
    now: Timestamp,
) -> ReplyPlan {
    let gather = if candidate.asked { SignedDuration::ZERO } else { settings.gather };
    let redirect_to = match &settings.mode {
        Mode::Redirect(to) => Some(to.clone()),
        Mode::Live | Mode::DryRun => None,
    };
    let written_in = bounce.original.as_ref().and_then(|it| it.language.as_deref());
    let sequence = history.gathering.map_or_else(|| next_sequence(history), |it| it.sequence);
    // What waits in the outbox under number 0 has not told anybody of a delay.
    let told_of_delay = |it: &Failure| sequence > 0 && it.action == Action::Delayed;
    let failed = |it: &Failure| {
        bounce
            .recipients
            .iter()
            .any(|now| now.action == Action::Failed && now.final_recipient.same_mailbox(&it.recipient))
    };
    ReplyPlan {
        redirect_to,
        languages: languages(settings, &candidate.addressee, written_in),
        sequence,
        after_delay: history.explained_failures.iter().any(|it| told_of_delay(it) && failed(it)),
        weeks: Vec::new(),
        not_before: now.checked_add(gather).unwrap_or(now),
        gathers: history.gathering,
        addressee: candidate.addressee,
        identity: candidate.identity,
        reference_id: candidate.reference_id,
        in_reply_to: candidate.in_reply_to,
        grounds,
        asked: candidate.asked,
    }
}

/// The person's own language where it is known, else the configured one, else the original's.
#[must_use]
pub fn languages(settings: &Settings, person: &Mailbox, written_in: Option<&str>) -> Vec<Language> {
    if let Some((_, language)) = settings.languages.iter().find(|(it, _)| it.same_mailbox(person)) {
        return vec![language.clone()];
    }
    match &settings.language {
        LanguageChoice::Fixed(languages) => languages.clone(),
        LanguageChoice::Auto(fallback) => {
            let primary = written_in.unwrap_or_default().split(['-', '_']).next().unwrap_or_default();
            vec![match primary.to_ascii_lowercase().as_str() {
                "zh" => Language::zh_cn(),
                "en" => Language::en(),
                _ => fallback.clone(),
            }]
        }
    }
}
