//! The general reader: a bounce in no known format.
//!
//! It first asks whether the message is a bounce at all (who sent it, what its subject says, what
//! sentences stand in it), then weighs every address in the text by what stands around it. What it
//! finds is a guess and is marked as one. Ordinary mail gives nothing.

use std::cell::OnceCell;

use super::{
    codes::{self, one_line},
    engine::Found,
    lines::{Line, squeeze},
    marks::{Fields, Seen, Sign},
    patterns::addresses,
    rows::{
        Shape, besides, follows_words, introduced, is_bullet, is_followed, is_label, is_office, labelled, row_words,
        says_nothing, without_label,
    },
    shared::SharedPatterns,
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
/// Lines below an address in which its reason may stand.
const REACH: usize = 6;

/// Whether sender or subject say that this is a bounce: enough for a text in a known format.
pub(super) fn is_likely(seen: &Seen, fields: Fields<'_>) -> bool {
    let has = |sign| seen.first(sign).is_some();
    let answers = || why_not::without_prefix(fields.subject).0;
    null_path(fields) || has(Sign::Daemon) || (has(Sign::Subject) || has(Sign::DelayedSubject)) && !answers()
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
    let certainty = certainty(lines, seen, fields)?;
    let lines = lines.get(..LINE_LIMIT.min(lines.len())).unwrap_or_default();
    let weighing = Weighing {
        lines,
        seen,
        shared,
        own: own_addresses(fields),
        known: lines.iter().map(|_| Known::default()).collect(),
    };
    let candidates = weighing.candidates();
    let best = candidates.iter().map(|it| it.weight).max().unwrap_or(0);
    let person = certainty == Certainty::IfSomeoneFailed && may_be_a_person(seen, fields);
    let nobody = is_of_nobody(seen, fields);
    let daemon = seen.first(Sign::Daemon).is_some();
    let sure = |it: &Candidate| match certainty {
        Certainty::Bounce => true,
        Certainty::IfSomeoneFailed if nobody && !weighing.is_at_home(&it.address) => {
            it.weight > ENOUGH || it.alone && it.weight > 0
        }
        Certainty::IfSomeoneFailed if it.apart => it.weight > ENOUGH && (it.row_of_its_own || !person),
        Certainty::IfSomeoneFailed => {
            let said = || it.named && it.weight >= ENOUGH && weighing.is_answered_below(it.line);
            !person && (it.weight > AMID_WORDS || said())
        }
        Certainty::IfAlone => it.alone && it.weight > 0 && !weighing.is_at_home(&it.address),
    };
    if certainty != Certainty::Bounce && !candidates.iter().any(sure) {
        return None;
    }
    let chosen: Vec<&Candidate> = if candidates.iter().any(|it| it.heads && it.weight >= ENOUGH) {
        candidates.iter().filter(|it| it.heads).collect()
    } else if best >= ENOUGH {
        let chosen = |it: &&Candidate| it.weight >= ENOUGH && (it.named || it.row || it.weight + 2 >= best);
        candidates.iter().filter(chosen).collect()
    } else if certainty == Certainty::IfAlone {
        candidates.iter().filter(|it| sure(it)).collect()
    } else {
        // The only address there is need not have as much.
        let mut rest = candidates.iter().filter(|it| it.weight > 0);
        let first = rest.next();
        let alike = |first: &Candidate, it: &Candidate| {
            it.address.eq_ignore_ascii_case(&first.address) || daemon && it.shape == first.shape
        };
        first.filter(|first| rest.all(|it| alike(first, it))).into_iter().collect()
    };
    // Else it is the only one that is nobody else's, whatever is said of it.
    let chosen = if chosen.is_empty() && certainty == Certainty::Bounce && daemon {
        only_one(&candidates, fields.subject)
    } else {
        chosen
    };
    let chosen = with_rows_alike(chosen, &candidates);
    // What stands below the next recipient is said of that one.
    let next = |at: usize| chosen.iter().map(|it| it.line).find(|it| *it > at).unwrap_or(lines.len());
    let first = chosen.first().map_or(0, |it| it.line);
    let mut found: Vec<Found> = chosen.iter().map(|it| weighing.found(it, first, next(it.line))).collect();
    // What is said of the last of several that stand below each other is said of all of them.
    for at in (1..found.len()).rev() {
        let near = chosen.get(at).zip(chosen.get(at - 1)).is_some_and(|(it, before)| it.line == before.line + 1);
        let said = found.get(at).and_then(|it| it.reason.clone()).filter(|_| near);
        if let Some(before) = found.get_mut(at - 1).filter(|it| it.reason.is_none()) {
            before.reason = said;
        }
    }
    Some(found)
}

/// Of those that are nobody else's the one that the subject names, or that stands alone.
fn only_one<'c>(candidates: &'c [Candidate], subject: &str) -> Vec<&'c Candidate> {
    let subject = subject.to_lowercase();
    let in_subject = |it: &Candidate| subject.contains(&it.address.to_lowercase());
    let told = candidates.iter().any(|it| !it.held && in_subject(it));
    let mut free = candidates.iter().filter(|it| !it.held && (!told || in_subject(it)));
    let first = free.next();
    first.filter(|first| free.all(|it| it.address.eq_ignore_ascii_case(&first.address))).into_iter().collect()
}

/// The chosen, and those that stand near in rows of the same shape: a list names all who failed.
fn with_rows_alike<'c>(chosen: Vec<&'c Candidate>, candidates: &'c [Candidate]) -> Vec<&'c Candidate> {
    let Some(first) = chosen.first().map(|it| it.line) else { return chosen };
    let mut all: Vec<&Candidate> = Vec::with_capacity(chosen.len());
    let is_chosen = |it: &Candidate| chosen.iter().any(|other| other.line == it.line && other.address == it.address);
    let alike = |it: &Candidate, near: &Candidate| {
        !it.held && it.shape == near.shape && near.line.abs_diff(it.line) <= REACH && near.line != it.line
    };
    for it in candidates {
        let follows = || all.iter().rev().take(4).any(|near| alike(it, near));
        let precedes = || it.line < first && chosen.first().is_some_and(|first| alike(it, first));
        if is_chosen(it) || follows() || precedes() {
            all.push(it);
        }
    }
    all
}

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
fn certainty(lines: &[Line<'_>], seen: &Seen, fields: Fields<'_>) -> Option<Certainty> {
    let has = |sign| seen.first(sign).is_some();
    let points = |held: bool, points: u8| if held { points } else { 0 };
    let sender = has(Sign::Daemon) || null_path(fields);
    let subject = has(Sign::Subject) || has(Sign::DelayedSubject);
    let sentence = has(Sign::Sentence) || has(Sign::Delayed);
    let sum = points(subject, 2) + points(sentence, 2) + points(has(Sign::Hint), 1);
    let reply = || lines.iter().take(LINE_LIMIT).any(|it| codes::looks_like_reply(&it.text));
    // Nobody writes letters as MAILER-DAEMON.
    let nobody = is_of_nobody(seen, fields);
    let mailer_daemon = senders::is_mailer_daemon(fields.from);
    let enough = if nobody || mailer_daemon { 1 } else { 2 };
    let letter = || !subject && !mailer_daemon;
    let parcel = || has(Sign::Goods) && !null_path(fields) && !senders::is_daemon(fields.from) && !reply();
    if sender && (sum >= enough || reply()) && !parcel() {
        // A postmaster's letter speaks of failures too.
        Some(if letter() { Certainty::IfSomeoneFailed } else { Certainty::Bounce })
    } else if subject && sentence && !parcel() {
        Some(Certainty::IfSomeoneFailed)
    } else if nobody && !voice::is_title_of_answer(fields.subject) {
        // What daemons write with nobody to answer to (RFC 5321 §4.5.5), in any language.
        Some(Certainty::IfAlone)
    } else {
        None
    }
}

/// A daemon by name, with nobody to answer to.
fn is_of_nobody(seen: &Seen, fields: Fields<'_>) -> bool {
    let answers = why_not::without_prefix(fields.subject).0;
    seen.first(Sign::Daemon).is_some() && null_path(fields) && senders::is_daemon(fields.from) && !answers
}

/// The author's name is none that programs and offices write as, or is, by the display name alone,
/// while the reverse-path is the author's own address; or neither subject nor a null path tell of a
/// failure.
fn may_be_a_person(seen: &Seen, fields: Fields<'_>) -> bool {
    let daemon = seen.first(Sign::Daemon).is_some();
    if seen.first(Sign::Subject).or(seen.first(Sign::DelayedSubject)).is_none() {
        return !(daemon && null_path(fields));
    }
    let Some(author) = addresses(fields.from).into_iter().next().and_then(|(it, _)| Mailbox::parse(&it)) else {
        return false;
    };
    let path = fields.headers.first("Return-Path").map(addresses).unwrap_or_default();
    let path = path.into_iter().next().and_then(|(it, _)| Mailbox::parse(&it));
    let office = senders::is_office(author.local());
    !office && (!daemon || path.is_some_and(|it| it.same_mailbox(&author)))
}

/// A null reverse-path (RFC 5321 §4.5.5), or no author at all, which is as much.
fn null_path(fields: Fields<'_>) -> bool {
    let is_null = |it: &str| it.replace(' ', "") == "<>";
    let from = fields.from.replace(' ', "");
    fields.headers.all("Return-Path").any(is_null) || from.is_empty() || from.ends_with("<>")
}

/// Addresses of the fields, lower-cased, with how much they speak against being the failed one: a
/// daemon does not fail itself, but an author may have written to himself.
fn own_addresses(fields: Fields<'_>) -> Vec<(String, i32)> {
    let against = |name: &str| match name.to_ascii_lowercase().as_str() {
        "from" | "reply-to" | "sender" => Some(5),
        "to" | "return-path" | "delivered-to" | "errors-to" => Some(3),
        _ => None,
    };
    let fields = fields.headers.iter().filter_map(|it| Some((against(it.name)?, it.value)));
    fields
        .flat_map(|(against, value)| addresses(value).into_iter().map(move |(it, _)| (it.to_lowercase(), against)))
        .collect()
}

struct Candidate {
    line: usize,
    address: String,
    weight: i32,
    /// It heads a paragraph, `<address>:`, as in so many formats: then all do that failed.
    heads: bool,
    /// "… could not be delivered to address": whatever else is said of others.
    named: bool,
    /// No words follow it on its line, but perhaps a date.
    apart: bool,
    /// Nothing else stands on its line.
    alone: bool,
    /// Nothing but a label and its colon stands before it.
    row_of_its_own: bool,
    /// Nothing but marks or a number stands before it.
    begins: bool,
    /// Words that are no label, and a colon, stand before it.
    tells: bool,
    /// It is somebody else's than a recipient's.
    held: bool,
    shape: Shape,
    /// Where on its line what stands behind it begins.
    end: usize,
    /// A reply, or a reason in brackets, follows it on its line: whatever is said of others.
    row: bool,
}

struct Weighing<'a> {
    lines: &'a [Line<'a>],
    seen: &'a Seen,
    shared: &'a SharedPatterns,
    own: Vec<(String, i32)>,
    /// What is known of each line: it is asked again for each address.
    known: Vec<Known>,
}

/// What a line was found to be.
#[derive(Default)]
struct Known {
    reply: OnceCell<bool>,
    reason: OnceCell<bool>,
    label: OnceCell<bool>,
}

impl Weighing<'_> {
    /// Whether the line looks like a server's reply.
    fn is_reply(&self, number: usize) -> bool {
        self.ask(number, |it| &it.reply, |line| codes::looks_like_reply(&line.text))
    }

    /// Whether a server's reply stands in the next lines.
    fn is_answered_below(&self, number: usize) -> bool {
        (number + 1..self.lines.len()).take(REACH).any(|it| self.is_reply(it))
    }

    /// Whether the line's words give a reason.
    fn gives_reason(&self, number: usize) -> bool {
        self.ask(number, |it| &it.reason, |line| self.shared.reason.is_match(line))
    }

    fn is_label(&self, number: usize) -> bool {
        self.ask(number, |it| &it.label, |line| is_label(&line.text))
    }

    fn ask(&self, number: usize, which: fn(&Known) -> &OnceCell<bool>, ask: impl FnOnce(&Line<'_>) -> bool) -> bool {
        let line = self.lines.get(number).zip(self.known.get(number));
        line.is_some_and(|(line, known)| *which(known).get_or_init(|| ask(line)))
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let mut clause = 0;
            let found = addresses(&line.text);
            let several = found.len() > 1;
            for (address, at) in found.into_iter().take(50) {
                let bare = without_label(&address);
                let (at, address_len) = (at + address.len() - bare.len(), bare.len());
                let address = bare.trim_matches(['\'', '`', '*', '|', '.']).to_owned();
                let before = line.text.get(..at).unwrap_or_default();
                let heads = line.text.starts_with(&format!("<{address}>:"));
                let after = line.text.get(at + address_len..).unwrap_or_default();
                let introduced = introduced(before) || is_followed(after);
                let named = introduced && self.seen.lines(Sign::Sentence).any(|it| it == number);
                let apart = says_nothing(&besides(after, &address));
                let alone = squeeze(before).is_empty() && squeeze(after).is_empty();
                let bracketed = after.trim_start_matches(['>', ' ']).starts_with('(') && self.gives_reason(number);
                let row = bracketed || codes::looks_like_reply(after);
                // `from <a@b> to <c@d>`: each address has its own words.
                let (from, to) = if several { (clause, at + address_len) } else { (0, line.text.len()) };
                let held = self.held(line.text.get(from..to).unwrap_or_default(), &address);
                clause = to;
                let weight = self.weight(number, line, &address, before) - held + if bracketed { 2 } else { 0 };
                let row_of_its_own = alone || before.trim_end_matches(['<', ' ']).ends_with(':');
                candidates.push(Candidate {
                    line: number,
                    address,
                    weight,
                    heads,
                    named,
                    apart,
                    alone,
                    row_of_its_own,
                    row,
                    begins: is_bullet(before),
                    tells: follows_words(before),
                    held: held > 0,
                    shape: Shape::of(before, after),
                    end: at + address_len,
                });
            }
        }
        candidates
    }

    /// Whether an address is of the domain of the message's own sender or reader.
    fn is_at_home(&self, address: &str) -> bool {
        let domain = |it: &str| it.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        self.own.iter().any(|(own, _)| domain(own) == domain(address))
    }

    fn weight(&self, number: usize, line: &Line<'_>, address: &str, before: &str) -> i32 {
        let mut below = self.paragraph_below(number);
        let rest = besides(&line.text, address);
        let signs = self.seen.lines(Sign::Sentence).chain(self.seen.lines(Sign::Delayed));
        let near_sentence = signs.into_iter().any(|it| it <= number && number - it <= 4);
        let mut weight = 0;
        weight += if self.is_reply(number) { 4 } else { 0 };
        weight += if below.clone().any(|it| self.is_reply(it)) { 3 } else { 0 };
        weight += if self.gives_reason(number) { 3 } else { 0 };
        weight += if below.any(|it| self.gives_reason(it)) { 2 } else { 0 };
        weight += if says_nothing(&rest) { 2 } else { 0 };
        weight += if near_sentence { 3 } else { 0 };
        let after = line.text.split_once(address).map_or("", |(_, after)| after);
        weight += if labelled(&rest) || introduced(before) || is_followed(after) { 2 } else { 0 };
        weight
    }

    /// How much speaks against its being a recipient's.
    fn held(&self, clause: &str, address: &str) -> i32 {
        let mut held = if self.shared.bystander.is_match(clause) { 6 } else { 0 };
        held += self.own.iter().find(|(it, _)| *it == address.to_lowercase()).map_or(0, |(_, it)| *it);
        held += if is_office(address) { 4 } else { 0 };
        held
    }

    /// The lines right below, up to a blank one, by their numbers.
    fn paragraph_below(&self, number: usize) -> impl Iterator<Item = usize> + Clone {
        let says = |it: &usize| self.lines.get(*it).is_some_and(|line| !line.is_blank());
        (number + 1..).take(REACH).take_while(says)
    }

    fn found(&self, candidate: &Candidate, first_line: usize, end: usize) -> Found {
        let number = candidate.line;
        let reply = |it: usize| self.is_reply(it);
        let telling = |it: usize| self.is_reply(it) || self.gives_reason(it);
        let label = |it: usize| self.is_label(it);
        let last = self.lines.len();
        let end = end.clamp(number + 1, last.max(number + 1));
        let blank = self.lines.iter().skip(number).position(Line::is_blank).map_or(last, |it| number + it).min(end);
        let first =
            |from: usize, to: usize, wanted: &dyn Fn(usize) -> bool| (from..to.min(last)).find(|it| wanted(*it));
        // The nearest first, a server's reply before words that merely sound like a reason.
        let near = [(number, number + 1), (number + 1, blank), (number + 1, end)];
        let nearest = |wanted: &dyn Fn(usize) -> bool| near.iter().find_map(|(from, to)| first(*from, *to, wanted));
        // Named right before another, it shares what is said of that one.
        let stacked = end == number + 1 && end < last && self.lines.get(end).is_some_and(|it| !it.is_blank());
        let above = || {
            if stacked {
                return None;
            }
            let wanted: [&dyn Fn(usize) -> bool; 3] = [&reply, &label, &telling];
            wanted.into_iter().find_map(|it| first(0, first_line, it))
        };
        // In words that nobody knows, what stands beside or right below.
        let beside =
            || Some(number).filter(|_| candidate.tells || candidate.begins && self.row_words(candidate).is_some());
        let below = || Some(number + 1).filter(|it| *it < blank && candidate.apart);
        let at = nearest(&reply)
            .or_else(|| first(number + 1, end, &label))
            .or_else(|| first(number, blank, &telling))
            .or_else(|| first(0, first_line, &reply))
            .or_else(|| first(blank, end, &telling))
            .or_else(beside)
            .or_else(above)
            .or_else(below);
        let reason = at.and_then(|it| self.words(it, end, candidate));
        Found { address: candidate.address.clone(), reason, ..Found::default() }
    }

    fn row_words(&self, candidate: &Candidate) -> Option<&str> {
        row_words(self.lines.get(candidate.line)?.text.get(candidate.end..)?)
    }

    /// The words of a reason that begins with a line, up to a blank one; without the recipient's
    /// name or a label before them.
    fn words(&self, at: usize, end: usize, candidate: &Candidate) -> Option<String> {
        let end = if at < end { end } else { self.lines.len() };
        let lines = self.lines.get(at..end)?;
        // A label that has its line to itself announces the next paragraph.
        let label = lines.first().filter(|it| it.text.ends_with(':') && is_label(&it.text));
        let skipped = label.and_then(|_| lines.iter().skip(1).position(|it| !it.is_blank()).map(|it| it + 1));
        let lines = lines.get(skipped.unwrap_or(0)..)?.iter().take(REACH).take_while(|it| !it.is_blank());
        let beside = if at == candidate.line && candidate.begins { self.row_words(candidate) } else { None };
        let words = match beside {
            Some(it) => one_line(std::iter::once(it).chain(lines.skip(1).map(|it| &*it.text)))?,
            None => one_line(lines.map(|it| &*it.text))?,
        };
        let words = words.strip_prefix(&format!("<{}>:", candidate.address)).unwrap_or(&words).trim();
        Some(self.shared.label.group(words, "reason").unwrap_or_else(|| words.to_owned()))
    }
}
