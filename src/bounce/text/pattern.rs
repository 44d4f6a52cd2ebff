//! One pattern, made quick to build and quick to refuse: most lines are no match of most patterns.
//!
//! The tree becomes a list of steps. They are tried in the order of preference, and what a step
//! was tried at in vain is remembered once a search grows long, so that it costs at most the number
//! of steps times the length of the text. Before that, a text is refused that lacks an octet of which every match
//! has one, and an octet is passed over with which no match begins.

use std::borrow::Cow;

use super::syntax::{Node, Set, parse};
use crate::mail::charset::lossy;

/// Choices in one search that are not remembered, which costs more than to make a few of them twice.
const UNREMEMBERED: usize = 1000;
/// A group that was not caught.
const NOWHERE: usize = usize::MAX;

#[derive(Clone, Debug)]
enum Step {
    Octet(u8),
    Set(Set),
    Start,
    End,
    WordEdge,
    /// A group's begin or end, in this slot.
    Save(usize),
    Go(usize),
    /// The first, and if that leads nowhere the second.
    Either(usize, usize),
    /// Each of these, by turns.
    Any(Box<Branches>),
    Matched,
}

/// Alternatives: which of them can begin with an octet, as bits, and where they are.
#[derive(Clone, Debug)]
struct Branches {
    by_octet: [u64; 256],
    /// Those that need no octet.
    empty: u64,
    steps: Vec<usize>,
}

/// A pattern ready for use.
#[derive(Debug)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    groups: Vec<String>,
    /// What every match begins with, in lower case; most patterns have something.
    prefix: Vec<u8>,
    /// Octets with which a match begins where the text does; `None` if it may be empty.
    first: Option<Set>,
    /// The same within the text, where nothing begins with `^`.
    first_within: Option<Set>,
    /// It begins where the text does.
    anchored: bool,
    /// Octets that every match has.
    needs: Set,
}

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

/// A match and its groups.
#[derive(Debug)]
pub(super) struct Caught<'a> {
    text: &'a [u8],
    groups: &'a [String],
    slots: Vec<usize>,
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
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let node = parse(pattern)?;
        let mut this = Self {
            steps: Vec::new(),
            groups: Vec::new(),
            prefix: Vec::new(),
            first: None,
            first_within: None,
            anchored: false,
            needs: node.needs(),
        };
        this.add(&node);
        this.steps.push(Step::Matched);
        for at in 0..this.steps.len() {
            this.fill_branches(at);
        }
        let first = |(first, may_be_empty): (Set, bool)| (!may_be_empty).then_some(first);
        this.first = first(this.begins(0, true));
        this.first_within = first(this.begins(0, false));
        let octet = |it: &Step| if let Step::Octet(it) = it { Some(*it) } else { None };
        this.prefix = this.steps.iter().map_while(octet).collect();
        this.anchored = matches!(this.steps.first(), Some(Step::Start));
        Ok(this)
    }

    fn add(&mut self, node: &Node) {
        match node {
            Node::Octet(it) => self.steps.push(Step::Octet(*it)),
            Node::Set(it) => self.steps.push(Step::Set(*it)),
            Node::Start => self.steps.push(Step::Start),
            Node::End => self.steps.push(Step::End),
            Node::WordEdge => self.steps.push(Step::WordEdge),
            Node::Named(name, inside) => {
                let known = self.groups.iter().position(|it| it == name);
                let number = known.unwrap_or_else(|| {
                    self.groups.push(name.clone());
                    self.groups.len() - 1
                });
                self.steps.push(Step::Save(2 * number));
                self.add(inside);
                self.steps.push(Step::Save(2 * number + 1));
            }
            Node::Sequence(all) => all.iter().for_each(|it| self.add(it)),
            // Branches are kept as the bits of a number.
            Node::Alternatives(all) if all.len() > 64 => {
                let (some, others) = all.split_at(63);
                let mut all = some.to_vec();
                all.push(Node::Alternatives(others.to_vec()));
                self.add(&Node::Alternatives(all));
            }
            Node::Alternatives(all) => self.alternatives(all),
            Node::Repeated { what, least, most, greedy } => {
                (0..*least).for_each(|_| self.add(what));
                match most {
                    None => {
                        let at = self.optional(what, *greedy);
                        self.steps.push(Step::Go(at));
                        self.lead_past(at, *greedy);
                    }
                    Some(most) => {
                        let optional: Vec<usize> = (*least..*most).map(|_| self.optional(what, *greedy)).collect();
                        for at in optional {
                            self.lead_past(at, *greedy);
                        }
                    }
                }
            }
        }
    }

    fn alternatives(&mut self, all: &[Node]) {
        let at = self.steps.len();
        self.steps.push(Step::Matched);
        let mut ends = Vec::new();
        let mut steps = Vec::new();
        for branch in all {
            steps.push(self.steps.len());
            self.add(branch);
            ends.push(self.steps.len());
            self.steps.push(Step::Matched);
        }
        let out = self.steps.len();
        for end in ends {
            self.steps[end] = Step::Go(out);
        }
        self.steps[at] = Step::Any(Box::new(Branches { by_octet: [0; 256], empty: 0, steps }));
    }

    /// A step that tries `what` or leads past it, once `lead_past` has told where that is.
    fn optional(&mut self, what: &Node, greedy: bool) -> usize {
        let at = self.steps.len();
        self.steps.push(if greedy { Step::Either(at + 1, at) } else { Step::Either(at, at + 1) });
        self.add(what);
        at
    }

    fn lead_past(&mut self, at: usize, greedy: bool) {
        let out = self.steps.len();
        self.steps[at] = if greedy { Step::Either(at + 1, out) } else { Step::Either(out, at + 1) };
    }

    fn fill_branches(&mut self, at: usize) {
        let Some(Step::Any(branches)) = self.steps.get(at) else { return };
        let begins: Vec<(Set, bool)> = branches.steps.iter().map(|it| self.begins(*it, true)).collect();
        let Some(Step::Any(branches)) = self.steps.get_mut(at) else { return };
        for (number, (set, may_be_empty)) in begins.into_iter().enumerate() {
            let bit = 1 << number;
            if may_be_empty {
                branches.empty |= bit;
            }
            let octets = (0..=u8::MAX).zip(&mut branches.by_octet);
            octets.filter(|(octet, _)| may_be_empty || set.has(*octet)).for_each(|(_, bits)| *bits |= bit);
        }
    }

    /// With which octets what is left from a step on can begin, and whether it may be empty, where
    /// the text begins or else within it.
    fn begins(&self, step: usize, at_start: bool) -> (Set, bool) {
        let (mut set, mut may_be_empty) = (Set::default(), false);
        let mut seen = vec![false; self.steps.len()];
        let mut left = vec![step];
        while let Some(at) = left.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match &self.steps[at] {
                Step::Octet(it) => {
                    set.add(*it);
                    set.add(it.to_ascii_uppercase());
                }
                Step::Set(it) => set.join(it),
                Step::Start if !at_start => {}
                Step::Start | Step::End | Step::WordEdge | Step::Save(_) => left.push(at + 1),
                Step::Go(to) => left.push(*to),
                Step::Either(first, second) => left.extend([first, second]),
                Step::Any(branches) => left.extend(&branches.steps),
                Step::Matched => may_be_empty = true,
            }
        }
        (set, may_be_empty)
    }

    /// Whether a text of these octets can match at all.
    pub(super) fn is_possible(&self, octets: &Set) -> bool {
        octets.holds(&self.needs)
    }

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
                let slots = std::mem::take(&mut attempt.slots);
                return Some(Caught { text, groups: &self.groups, slots, start, end });
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
    slots: Vec<usize>,
    /// What is left to be tried, the next last.
    later: Vec<Later>,
    /// How much may still be tried before anything is remembered: nearly always enough.
    unremembered: usize,
    /// Where the search began.
    base: usize,
    /// For each place from there on, as far as it was reached: a bit for each step that was tried.
    tried: Vec<u64>,
}

enum Later {
    Step(usize, usize),
    Slot(usize, usize),
}

impl<'a> Attempt<'a> {
    fn new(pattern: &'a Pattern, text: &'a [u8], base: usize) -> Self {
        let slots = vec![NOWHERE; 2 * pattern.groups.len()];
        Self { pattern, text, slots, later: Vec::new(), unremembered: UNREMEMBERED, base, tried: Vec::new() }
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

#[cfg(test)]
mod tests {
    use regex::bytes::RegexBuilder;

    use super::*;

    /// What a pattern finds, and what the crate `regex` does: place and groups of each match.
    fn agrees(pattern: &str, text: &str) -> bool {
        let ours = Pattern::new(pattern).unwrap();
        let regex = RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build().unwrap();
        let names: Vec<&str> = regex.capture_names().flatten().collect();
        let theirs: Vec<_> = regex
            .captures_iter(text.as_bytes())
            .map(|it| {
                let group = |name: &&str| Some(String::from_utf8_lossy(it.name(name)?.as_bytes()).into_owned());
                (it.get(0).unwrap().range(), names.iter().map(group).collect::<Vec<_>>())
            })
            .collect();
        let found: Vec<_> = ours
            .find_all(text)
            .map(|it| {
                let group = |name: &&str| it.group(name).map(std::borrow::Cow::into_owned);
                (it.start..it.end, names.iter().map(group).collect::<Vec<_>>())
            })
            .collect();
        let asked = ours.is_match(text.into()) == regex.is_match(text.as_bytes());
        found == theirs && asked
    }

    #[test]
    fn patterns_mean_what_they_mean_to_the_crate_regex() {
        let patterns = [
            "because:\\s*(?P<reason>.*)$",
            "^(?P<reason>.*(?:host \\S+ ?\\[|said:).*[45]\\d\\d.*)$",
            "(?:收\\s*件\\s*人|to)\\s*:?\\s*<?(?P<a>[^<>@ ]+@[a-z0-9.-]+)",
            "\\b(?:a|ab|abc)(?P<x>c?d{2,3}?)",
            "responded with|^(?P<host>[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?) said",
            "(?P<a>x+?)(?P<b>x*)$",
            "(?:na|nan|anna)+[^a-m\\s]",
            "\\x27(?P<q>[^\\x27]*)\\x27",
            "^-{5,}|\\W{3,7}é?$",
        ];
        let texts = [
            "",
            "Because: no such USER",
            "xbecause:",
            "host mx.example.org [192.0.2.1] said: 550 no",
            "收 件人： <wang@example.org>, to li@example.org",
            "abcdd abcddd abd acddd zab",
            "mx.example.org said responded WITH",
            "xxxx",
            "bananannax nan0",
            "a 'b' ''c'",
            "------ ... é",
        ];
        for pattern in patterns {
            for text in texts {
                assert!(agrees(pattern, text), "`{pattern}` in `{text}`");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in ["(", "a)", "[a", "(?i)a", "*a", "a{2", "\\p{L}", "[[:alpha:]]", "[é]", "\\"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    /// Where trying everything would take for ever, what failed is remembered.
    #[test]
    fn a_search_is_bounded_by_the_length_of_the_text() {
        let pattern = Pattern::new("(?:a*)*(?:a|aa)+.*a.*b$").unwrap();
        assert!(!pattern.is_match("a".repeat(4096).as_str().into()));
        assert!(pattern.is_match(format!("{}b", "a".repeat(4096)).as_str().into()));
    }
}
