//! The general reader: a bounce in no known format.
//!
//! Three questions in this order. Is the message a bounce at all (`certainty`)? Who sent it, its subject and its sentences
//! are signs of that. Who failed (`choose`)? Every address in the text is weighed by what stands around it (`weighing`). And
//! what was said of each (`Weighing::reasons`)? What it finds is a guess and is marked as one. Ordinary mail gives nothing.

use super::{
    codes::{self, one_line},
    engine::Found,
    lines::Line,
    marks::{Fields, Seen, Sign},
    patterns::addresses,
    shared::SharedPatterns,
    weighing::{Candidate, REACH, Weighing, sum},
};
use crate::{
    bounce::{senders, voice, why_not},
    mail::Mailbox,
};

/// More lines than this are not weighed.
const LINE_LIMIT: usize = 400;
/// An address with less weight is no failed recipient.
const ENOUGH: i32 = 4;
/// The same where the sender is no daemon and the address stands amid words, as in letters.
const AMID_WORDS: i32 = 6;

/// Whether sender or subject say that this is a bounce: enough for a text in a known format.
pub(super) fn is_likely(seen: &Seen, fields: Fields<'_>) -> bool {
    let speaker = Speaker::of(seen, fields);
    speaker.daemon || speaker.null_path || speaker.titled && !speaker.answers
}

/// Recipients of the field X-Failed-Recipients, which Exim, Gmail and others write.
pub(super) fn failed_recipients_field(lines: &[Line<'_>], fields: Fields<'_>) -> Vec<Found> {
    let said = || {
        let words = lines.iter().filter(|it| !it.is_blank()).map(|it| &*it.text);
        let replies = lines.iter().filter(|it| codes::looks_like_reply(&it.text)).map(|it| &*it.text);
        one_line(replies.take(3)).or_else(|| one_line(words.take(40)))
    };
    let named = fields.headers.all("X-Failed-Recipients").flat_map(addresses);
    named.map(|(address, _)| Found { address, reason: said(), ..Found::default() }).collect()
}

/// The failed recipients, as far as they can be told; `None` if this is no bounce.
pub(super) fn read(lines: &[Line<'_>], seen: &Seen, fields: Fields<'_>, shared: &SharedPatterns) -> Option<Vec<Found>> {
    let speaker = Speaker::of(seen, fields);
    let lines = lines.get(..LINE_LIMIT).unwrap_or(lines);
    let certainty = certainty(&speaker, lines, seen, fields)?;
    let weighing = Weighing::new(lines, seen, shared, fields);
    let candidates = weighing.candidates();
    let chosen = choose(certainty, &speaker, &weighing, &candidates, fields)?;
    let chosen = with_rows_alike(chosen, &candidates);
    Some(weighing.reasons(&chosen))
}

/// Who speaks, as sender and subject show it.
struct Speaker {
    /// The sender calls himself a daemon.
    daemon: bool,
    /// A null reverse-path (RFC 5321 §4.5.5), or no author at all, which is as much.
    null_path: bool,
    /// The subject is a bounce's.
    titled: bool,
    /// The subject is that of an answer.
    answers: bool,
}

impl Speaker {
    fn of(seen: &Seen, fields: Fields<'_>) -> Self {
        let has = |sign| seen.first(sign).is_some();
        let null = |it: &str| it.replace(' ', "") == "<>";
        let from = fields.from.replace(' ', "");
        Self {
            daemon: has(Sign::Daemon),
            null_path: fields.headers.all("Return-Path").any(null) || from.is_empty() || from.ends_with("<>"),
            titled: has(Sign::Subject) || has(Sign::DelayedSubject),
            answers: why_not::without_prefix(fields.subject).0,
        }
    }

    /// Whether a person may speak: the author's name is none that programs and offices write as, or, where the subject tells
    /// of no failure, one sign of a daemon is wanting.
    fn may_be_a_person(&self, fields: Fields<'_>) -> bool {
        if !self.titled {
            return !(self.daemon && self.null_path);
        }
        let author = addresses(fields.from).into_iter().next().and_then(|(it, _)| Mailbox::parse(&it));
        author.is_some_and(|it| !senders::is_office(it.local()))
    }
}

/// How sure it is that a message is a bounce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Certainty {
    Bounce,
    /// A bounce if a failed recipient stands in it.
    IfSomeoneFailed,
    /// A bounce, in words that nobody knows, if somebody's address has a line to itself.
    IfAlone,
}

/// Signs are added up: the sender, the subject, what the text says, a reply in it. The text alone
/// does not suffice, for people quote bounces; nor does the sender, for postmasters write letters.
fn certainty(speaker: &Speaker, lines: &[Line<'_>], seen: &Seen, fields: Fields<'_>) -> Option<Certainty> {
    let has = |sign| seen.first(sign).is_some();
    let sentence = has(Sign::Sentence) || has(Sign::Delayed);
    let said = sum([(2, speaker.titled), (2, sentence), (1, has(Sign::Hint))]);
    let replied = || lines.iter().any(|it| codes::looks_like_reply(&it.text));
    // Nobody writes letters as MAILER-DAEMON; a postmaster's letter speaks of failures too.
    let mailer_daemon = senders::is_mailer_daemon(fields.from);
    let enough = if mailer_daemon { 1 } else { 2 };
    if (speaker.daemon || speaker.null_path) && (said >= enough || replied()) {
        Some(if speaker.titled || mailer_daemon { Certainty::Bounce } else { Certainty::IfSomeoneFailed })
    } else if speaker.titled && sentence {
        Some(Certainty::IfSomeoneFailed)
    } else if speaker.null_path && senders::is_daemon(fields.from) && !speaker.answers {
        // What daemons write with nobody to answer to, in any language.
        (!voice::is_title_of_answer(fields.subject)).then_some(Certainty::IfAlone)
    } else {
        None
    }
}

/// Those who failed; `None` if the message is a bounce only if somebody did, and nobody surely did.
fn choose<'c>(
    certainty: Certainty,
    speaker: &Speaker,
    weighing: &Weighing<'_>,
    candidates: &'c [Candidate<'_>],
    fields: Fields<'_>,
) -> Option<Vec<&'c Candidate<'c>>> {
    let person = certainty == Certainty::IfSomeoneFailed && speaker.may_be_a_person(fields);
    let sure = |it: &&Candidate<'_>| match certainty {
        Certainty::Bounce => true,
        Certainty::IfSomeoneFailed if it.is_apart() => it.weight > ENOUGH && (it.has_a_row() || !person),
        Certainty::IfSomeoneFailed => {
            let said = || it.named && it.weight >= ENOUGH && weighing.is_answered_below(it.line);
            !person && (it.weight > AMID_WORDS || said())
        }
        Certainty::IfAlone => it.alone() && it.weight > 0 && !weighing.is_at_home(&it.address),
    };
    if !candidates.iter().any(|it| sure(&it)) && certainty != Certainty::Bounce {
        return None;
    }
    let best = candidates.iter().map(|it| it.weight).max().unwrap_or(0);
    let enough = || candidates.iter().filter(|it| it.weight >= ENOUGH);
    let mut chosen: Vec<&Candidate<'_>> = if enough().any(Candidate::heads) {
        candidates.iter().filter(|it| it.heads()).collect()
    } else if best >= ENOUGH {
        enough().filter(|it| it.named || it.row || it.weight + 2 >= best).collect()
    } else if certainty == Certainty::IfAlone {
        candidates.iter().filter(sure).collect()
    } else {
        // The only address there is need not have as much.
        let alike = |it: &Candidate<'_>, first: &Candidate<'_>| speaker.daemon && it.shape == first.shape;
        only_one(candidates.iter().filter(|it| it.weight > 0), alike)
    };
    if chosen.is_empty() && certainty == Certainty::Bounce && speaker.daemon {
        // Else it is the only one that is nobody else's, whatever is said of it; or that of these the subject names.
        let subject = fields.subject.to_lowercase();
        let told = |it: &&Candidate<'_>| subject.contains(&it.address.to_lowercase());
        let mut free: Vec<&Candidate<'_>> = candidates.iter().filter(|it| !it.held).collect();
        if free.iter().any(told) {
            free.retain(told);
        }
        chosen = only_one(free.into_iter(), |_, _| false);
    }
    Some(chosen)
}

/// The first, if all others are the same address or like it.
fn only_one<'c>(
    mut candidates: impl Iterator<Item = &'c Candidate<'c>>,
    alike: impl Fn(&Candidate<'_>, &Candidate<'_>) -> bool,
) -> Vec<&'c Candidate<'c>> {
    let first = candidates.next();
    let same = |it: &Candidate<'_>, first: &Candidate<'_>| it.address.eq_ignore_ascii_case(&first.address);
    first.filter(|first| candidates.all(|it| same(it, first) || alike(it, first))).into_iter().collect()
}

/// The chosen, and those that stand near in rows of the same shape: a list names all who failed.
fn with_rows_alike<'c>(chosen: Vec<&'c Candidate<'c>>, candidates: &'c [Candidate<'c>]) -> Vec<&'c Candidate<'c>> {
    let Some(first) = chosen.first() else { return chosen };
    let mut all: Vec<&Candidate<'_>> = Vec::with_capacity(chosen.len());
    let alike = |it: &Candidate<'_>, near: &Candidate<'_>| {
        !it.held && it.shape == near.shape && near.line.abs_diff(it.line) <= REACH && near.line != it.line
    };
    for it in candidates {
        let is_chosen = chosen.iter().any(|other| other.line == it.line && other.address == it.address);
        let follows = || all.iter().rev().take(4).any(|near| alike(it, near));
        let precedes = || it.line < first.line && alike(it, first);
        if is_chosen || follows() || precedes() {
            all.push(it);
        }
    }
    all
}
