//! What stands around each address of a text: what it says for its being a failed recipient's, and what is said of it.

use std::cell::OnceCell;

use super::{
    codes::{self, one_line},
    engine::Found,
    lines::{Line, squeeze},
    marks::{Fields, Seen, Sign},
    patterns::addresses,
    rows::{
        Shape, besides, follows_words, introduced, is_bullet, is_followed, is_label, labelled, row_words, says_nothing,
        without_label,
    },
    shared::SharedPatterns,
};
use crate::bounce::senders;

/// Lines below an address in which its reason may stand.
pub(super) const REACH: usize = 6;

/// The weight of what holds of some evidence.
pub(super) fn sum<const N: usize>(evidence: [(i32, bool); N]) -> i32 {
    evidence.into_iter().map(|(weight, holds)| if holds { weight } else { 0 }).sum()
}

/// An address, and what stands beside it on its line.
pub(super) struct Candidate<'l> {
    pub(super) line: usize,
    pub(super) address: String,
    before: &'l str,
    after: &'l str,
    pub(super) shape: Shape,
    pub(super) weight: i32,
    /// It is somebody else's than a recipient's.
    pub(super) held: bool,
    /// "… could not be delivered to address": whatever else is said of others.
    pub(super) named: bool,
    /// A reply follows it on its line: whatever is said of others.
    pub(super) row: bool,
}

impl Candidate<'_> {
    /// It heads a paragraph, `<address>:`, as in so many formats: then all do that failed.
    pub(super) fn heads(&self) -> bool {
        self.before == "<" && self.after.starts_with(">:")
    }

    /// No words follow it on its line, but perhaps a date.
    pub(super) fn is_apart(&self) -> bool {
        says_nothing(&besides(self.after, &self.address))
    }

    /// Nothing else stands on its line.
    pub(super) fn alone(&self) -> bool {
        squeeze(self.before).is_empty() && squeeze(self.after).is_empty()
    }

    /// The words of the row that it begins, but for marks or a number.
    fn row_words(&self) -> Option<&str> {
        row_words(self.after).filter(|_| is_bullet(self.before))
    }

    /// Nothing but a label and its colon stands before it.
    pub(super) fn has_a_row(&self) -> bool {
        self.alone() || self.before.trim_end_matches(['<', ' ']).ends_with(':')
    }
}

/// What a line may be found to be.
#[derive(Clone, Copy)]
enum Is {
    /// A server's reply, as far as it looks.
    Reply,
    /// Words that give a reason.
    Reason,
    /// The announcement of a reason.
    Label,
}

pub(super) struct Weighing<'a> {
    lines: &'a [Line<'a>],
    seen: &'a Seen,
    shared: &'a SharedPatterns,
    /// Addresses of the fields, and how much they speak against being the failed one.
    own: Vec<(String, i32)>,
    /// What is known of each line: it is asked again for each address.
    known: Vec<[OnceCell<bool>; 3]>,
}

impl<'a> Weighing<'a> {
    pub(super) fn new(lines: &'a [Line<'a>], seen: &'a Seen, shared: &'a SharedPatterns, fields: Fields<'_>) -> Self {
        Self {
            lines,
            seen,
            shared,
            own: own_addresses(fields),
            known: lines.iter().map(|_| Default::default()).collect(),
        }
    }

    fn is(&self, what: Is, number: usize) -> bool {
        let Some((line, known)) = self.lines.get(number).zip(self.known.get(number)) else { return false };
        *known[what as usize].get_or_init(|| match what {
            Is::Reply => codes::looks_like_reply(&line.text),
            Is::Reason => self.shared.reason.is_match(line),
            Is::Label => is_label(&line.text),
        })
    }

    /// Whether a server's reply stands in the next lines.
    pub(super) fn is_answered_below(&self, number: usize) -> bool {
        (number + 1..self.lines.len()).take(REACH).any(|it| self.is(Is::Reply, it))
    }

    /// Whether an address is of the domain of the message's own sender or reader.
    pub(super) fn is_at_home(&self, address: &str) -> bool {
        let domain = |it: &str| it.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        self.own.iter().any(|(own, _)| domain(own) == domain(address))
    }

    /// Every address of the text.
    pub(super) fn candidates(&self) -> Vec<Candidate<'a>> {
        let mut candidates = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let found = addresses(&line.text);
            let several = found.len() > 1;
            let mut clause = 0;
            for (address, at) in found.into_iter().take(50) {
                let bare = without_label(&address);
                let (start, end) = (at + address.len() - bare.len(), at + address.len());
                // `from <a@b> to <c@d>`: each address has its own words.
                let words = if several { line.text.get(clause..end) } else { Some(&*line.text) };
                clause = end;
                let address = bare.trim_matches(['\'', '`', '*', '|', '.']).to_owned();
                let beside = (line.text.get(..start).unwrap_or_default(), line.text.get(end..).unwrap_or_default());
                candidates.push(self.candidate(number, line, address, beside, words.unwrap_or_default()));
            }
        }
        candidates
    }

    fn candidate(
        &self,
        number: usize,
        line: &Line<'_>,
        address: String,
        (before, after): (&'a str, &'a str),
        clause: &str,
    ) -> Candidate<'a> {
        let bracketed = after.trim_start_matches(['>', ' ']).starts_with('(') && self.is(Is::Reason, number);
        let introduced = introduced(before) || is_followed(after);
        let held = self.held(clause, &address);
        let rest = besides(&line.text, &address);
        let for_it = sum([
            (4, self.is(Is::Reply, number)),
            (3, self.paragraph_below(number).any(|it| self.is(Is::Reply, it))),
            (3, self.is(Is::Reason, number)),
            (2, self.paragraph_below(number).any(|it| self.is(Is::Reason, it))),
            (2, bracketed),
            (3, self.is_near_sentence(number)),
            (2, says_nothing(&rest)),
            (2, introduced || labelled(&rest)),
        ]);
        Candidate {
            line: number,
            weight: for_it - held,
            held: held > 0,
            named: introduced && self.seen.lines(Sign::Sentence).any(|it| it == number),
            row: codes::looks_like_reply(after),
            shape: Shape::of(before, after),
            address,
            before,
            after,
        }
    }

    /// How much speaks against its being a recipient's.
    fn held(&self, clause: &str, address: &str) -> i32 {
        let own = self.own.iter().find(|(it, _)| *it == address.to_lowercase()).map_or(0, |(_, it)| *it);
        own + sum([
            (6, self.shared.bystander.is_match(clause)),
            (4, senders::is_asked(address.split('@').next().unwrap_or_default())),
        ])
    }

    /// Whether a sentence that tells of a failure stands right above or in the line.
    fn is_near_sentence(&self, number: usize) -> bool {
        let signs = self.seen.lines(Sign::Sentence).chain(self.seen.lines(Sign::Delayed));
        signs.into_iter().any(|it| it <= number && number - it <= 4)
    }

    /// The lines right below, up to a blank one, by their numbers.
    fn paragraph_below(&self, number: usize) -> impl Iterator<Item = usize> {
        let says = |it: &usize| self.lines.get(*it).is_some_and(|line| !line.is_blank());
        (number + 1..).take(REACH).take_while(says)
    }

    /// Each of the chosen with its reason.
    pub(super) fn reasons(&self, chosen: &[&Candidate<'_>]) -> Vec<Found> {
        // What stands below the next recipient is said of that one, what stands above the first of all.
        let next = |at: usize| chosen.iter().map(|it| it.line).find(|it| *it > at).unwrap_or(self.lines.len());
        let first = chosen.first().map_or(0, |it| it.line);
        let reason = |it: &&Candidate<'_>| self.reason(it, first, next(it.line).max(it.line + 1));
        let found =
            chosen.iter().map(|it| Found { address: it.address.clone(), reason: reason(it), ..Found::default() });
        let mut found: Vec<Found> = found.collect();
        // What is said of the last of several that stand below each other is said of all of them.
        for at in (1..found.len()).rev() {
            let near = chosen.get(at).zip(chosen.get(at - 1)).is_some_and(|(it, before)| it.line == before.line + 1);
            let said = found.get(at).and_then(|it| it.reason.clone()).filter(|_| near);
            if let Some(before) = found.get_mut(at - 1).filter(|it| it.reason.is_none()) {
                before.reason = said;
            }
        }
        found
    }

    /// What is said of a recipient before the line `end`, where the next is named. The nearest line goes first, a server's
    /// reply before words that merely sound like a reason.
    fn reason(&self, of: &Candidate<'_>, first: usize, end: usize) -> Option<String> {
        let number = of.line;
        let reply = |it: &usize| self.is(Is::Reply, *it);
        let label = |it: &usize| self.is(Is::Label, *it);
        let telling = |it: &usize| reply(it) || self.is(Is::Reason, *it);
        let blank = (number..end).find(|it| self.lines.get(*it).is_none_or(Line::is_blank)).unwrap_or(end);
        // Named right before another, it shares what is said of that one.
        let stacked = end == number + 1 && self.lines.get(end).is_some_and(|it| !it.is_blank());
        let above = || 0..if stacked { 0 } else { first };
        let at = (number..end)
            .find(reply)
            .or_else(|| (number + 1..end).find(label))
            .or_else(|| (number..blank).find(telling))
            .or_else(|| (0..first).find(reply))
            .or_else(|| (blank..end).find(telling))
            // In words that nobody knows, what stands beside; below, at last.
            .or_else(|| (follows_words(of.before) || of.row_words().is_some()).then_some(number))
            .or_else(|| above().find(label))
            .or_else(|| above().find(telling))
            .or_else(|| (number + 1 < blank && of.is_apart()).then_some(number + 1));
        at.and_then(|it| self.words(it, end, of))
    }

    /// The words of a reason that begins with a line, up to a blank one; without the recipient's name or a label before them.
    fn words(&self, at: usize, end: usize, of: &Candidate<'_>) -> Option<String> {
        let lines = self.lines.get(at..end)?;
        // A label that has its line to itself announces the next paragraph.
        let label = lines.first().filter(|it| it.text.ends_with(':') && is_label(&it.text));
        let skipped = label.and_then(|_| lines.iter().skip(1).position(|it| !it.is_blank()).map(|it| it + 1));
        let lines = lines.get(skipped.unwrap_or(0)..)?.iter().take(REACH).take_while(|it| !it.is_blank());
        let words = match of.row_words().filter(|_| at == of.line) {
            Some(beside) => one_line(std::iter::once(beside).chain(lines.skip(1).map(|it| &*it.text)))?,
            None => one_line(lines.map(|it| &*it.text))?,
        };
        let words = words.strip_prefix(&format!("<{}>:", of.address)).unwrap_or(&words).trim();
        Some(self.shared.label.group(words, "reason").unwrap_or_else(|| words.to_owned()))
    }
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
