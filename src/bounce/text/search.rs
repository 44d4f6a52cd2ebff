//! One pattern searched in one text: its steps tried in the order of preference.
//!
//! What a step was tried at in vain is remembered once a search grows long, so that it costs at
//! most the number of steps times the length of the text. Before that, a text is refused that lacks
//! an octet of which every match has one, and an octet is passed over with which no match begins.

use std::{borrow::Cow, cell::Cell};

use super::{
    pattern::{MOST_GROUPS, Pattern, Step},
    syntax::Set,
};
use crate::mail::charset::lossy;

/// Choices in one search that are not remembered, which costs more than to make a few of them twice.
const UNREMEMBERED: usize = 1000;
/// A search that needed more words of memory than this leaves none to the next.
const SPARE_LIMIT: usize = 8 * 1024;
/// A group that was not caught.
const NOWHERE: usize = usize::MAX;

/// A text to be searched, and the octets that it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought<'a> {
    pub(super) text: &'a str,
    pub(super) octets: Set,
}

impl<'a> From<&'a str> for Sought<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, octets: Set::of_text(text) }
    }
}

/// Where each group begins and ends.
type Slots = [usize; 2 * MOST_GROUPS];

/// A match and its groups.
#[derive(Debug)]
pub(super) struct Caught<'a> {
    text: &'a [u8],
    groups: &'a [String],
    slots: Slots,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'a> Caught<'a> {
    /// The text of a named group; octets that are no UTF-8 are replaced.
    pub(super) fn group(&self, name: &str) -> Option<Cow<'a, str>> {
        let number = self.groups.iter().position(|it| it == name)?;
        let (start, end) = (self.slots.get(2 * number)?, self.slots.get(2 * number + 1)?);
        self.text.get(*start..*end).map(lossy)
    }

    /// The text of all of it.
    pub(super) fn whole(&self) -> Cow<'a, str> {
        lossy(self.text.get(self.start..self.end).unwrap_or_default())
    }
}

impl Pattern {
    pub(super) fn is_match(&self, text: Sought<'_>) -> bool {
        self.find(text).is_some()
    }

    /// The first match.
    pub(super) fn find<'a>(&'a self, text: Sought<'a>) -> Option<Caught<'a>> {
        if self.is_possible(&text.octets) { self.search(text.text.as_bytes(), 0) } else { None }
    }

    /// All matches, one behind the other.
    pub(super) fn find_all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Caught<'a>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let caught = self.search(text.as_bytes(), from)?;
            from = caught.end.max(caught.start + 1);
            Some(caught)
        })
    }

    fn search<'a>(&'a self, text: &'a [u8], from: usize) -> Option<Caught<'a>> {
        if from > text.len() {
            return None;
        }
        let mut attempt: Option<Attempt<'a>> = None;
        let mut start = from;
        loop {
            start = self.next_start(text, start)?;
            let attempt = attempt.get_or_insert_with(|| Attempt::new(self, text, from));
            if let Some(end) = attempt.run(start) {
                return Some(Caught { text, groups: &self.groups, slots: attempt.slots, start, end });
            }
            start += 1;
        }
    }

    /// The first place from `from` on where a match can begin.
    fn next_start(&self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        if self.anchored {
            let hopeful = self.first.as_ref().is_none_or(|first| rest.first().is_some_and(|it| first.has(*it)));
            return (from == 0 && hopeful).then_some(0);
        }
        if let Some(first) = self.prefix.first() {
            let begins = |at: &usize| {
                rest.get(*at..*at + self.prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(&self.prefix))
            };
            let found = memchr::memchr2_iter(*first, first.to_ascii_uppercase(), rest).find(begins);
            return found.map(|it| from + it);
        }
        let can_begin = |at: &usize| {
            let first = if *at == 0 { &self.first } else { &self.first_within };
            first.as_ref().is_none_or(|first| text.get(*at).is_some_and(|it| first.has(*it)))
        };
        (from..=text.len()).find(can_begin)
    }
}

/// A search in one text.
struct Attempt<'a> {
    pattern: &'a Pattern,
    text: &'a [u8],
    slots: Slots,
    /// What is left to be tried, the next last.
    later: Vec<Later>,
    /// How much may still be tried before anything is remembered: nearly always enough.
    unremembered: usize,
    /// Where the search began.
    base: usize,
    /// For each place from there on, as far as it was reached: a bit for each step that was tried.
    tried: Vec<u64>,
}

thread_local! {
    /// The memory of the last search: there are dozens of them a message, nearly all of them short.
    static SPARE: Cell<(Vec<Later>, Vec<u64>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let (mut later, mut tried) = (std::mem::take(&mut self.later), std::mem::take(&mut self.tried));
        later.clear();
        tried.clear();
        if later.capacity().max(tried.capacity()) <= SPARE_LIMIT {
            SPARE.set((later, tried));
        }
    }
}

enum Later {
    Step(usize, usize),
    Slot(usize, usize),
}

impl<'a> Attempt<'a> {
    fn new(pattern: &'a Pattern, text: &'a [u8], base: usize) -> Self {
        let slots = [NOWHERE; 2 * MOST_GROUPS];
        let (later, tried) = SPARE.take();
        Self { pattern, text, slots, later, unremembered: UNREMEMBERED, base, tried }
    }

    /// Whether a step is tried at this place the first time.
    fn is_new(&mut self, step: usize, at: usize) -> bool {
        if self.unremembered > 0 {
            self.unremembered -= 1;
            return true;
        }
        let words = self.pattern.steps.len() / 64 + 1;
        let index = (at - self.base) * words + step / 64;
        if index >= self.tried.len() {
            self.tried.resize(index + 64 * words, 0);
        }
        let word = &mut self.tried[index];
        let new = *word >> (step % 64) & 1 == 0;
        *word |= 1 << (step % 64);
        new
    }

    /// Where the match ends that begins at `start`.
    fn run(&mut self, start: usize) -> Option<usize> {
        if let Some(end) = self.follow(0, start) {
            return Some(end);
        }
        while let Some(next) = self.later.pop() {
            match next {
                Later::Slot(slot, before) => self.slots[slot] = before,
                Later::Step(step, at) => {
                    if let Some(end) = self.follow(step, at) {
                        return Some(end);
                    }
                }
            }
        }
        None
    }

    /// Goes on from a step until it matches or leads nowhere.
    fn follow(&mut self, mut step: usize, mut at: usize) -> Option<usize> {
        loop {
            let octet = self.text.get(at);
            match &self.pattern.steps[step] {
                Step::Octet(wanted) if octet.is_some_and(|it| it.to_ascii_lowercase() == *wanted) => at += 1,
                Step::Set(set) if octet.is_some_and(|it| set.has(*it)) => at += 1,
                Step::Start if at == 0 => {}
                Step::End if at == self.text.len() => {}
                Step::WordEdge if self.is_word(at) != at.checked_sub(1).is_some_and(|it| self.is_word(it)) => {}
                Step::Octet(_) | Step::Set(_) | Step::Start | Step::End | Step::WordEdge => return None,
                Step::Save(slot) => {
                    let before = std::mem::replace(&mut self.slots[*slot], at);
                    self.later.push(Later::Slot(*slot, before));
                }
                Step::Go(to) => {
                    step = *to;
                    continue;
                }
                Step::Either(first, second) => {
                    if !self.is_new(step, at) {
                        return None;
                    }
                    self.later.push(Later::Step(*second, at));
                    step = *first;
                    continue;
                }
                Step::Any(branches) => {
                    if !self.is_new(step, at) {
                        return None;
                    }
                    let mut left = octet.map_or(branches.empty, |it| branches.by_octet[usize::from(*it)]);
                    // The first is to be tried first, so it is put last.
                    let first = left.trailing_zeros();
                    left &= left.wrapping_sub(1);
                    while left != 0 {
                        let last = left.ilog2();
                        left &= !(1 << last);
                        self.later.push(Later::Step(branches.steps[last as usize], at));
                    }
                    step = *branches.steps.get(first as usize)?;
                    continue;
                }
                Step::Matched => return Some(at),
            }
            step += 1;
        }
    }

    fn is_word(&self, at: usize) -> bool {
        self.text.get(at).is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_')
    }
}
