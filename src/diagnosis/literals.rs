//! All literals of all phrases, found in one pass over a text.
//!
//! An automaton knows their first octets only, which makes it quick to build; where one begins,
//! those that go on as the text does are found by halving a sorted list. So the cost of a text
//! grows with its length, and with the logarithm of the number of literals.

use std::{collections::HashMap, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Octets of a literal that the automaton knows.
const HEAD: usize = 4;
/// A literal that is found more often than this in one reply is looked at no further.
const OCCURRENCES: usize = 16;

/// All literals of all phrases, each once, while the catalogue is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Literals {
    numbers: HashMap<String, usize>,
}

impl Literals {
    /// The number of a squeezed literal, new or known.
    pub(super) fn number(&mut self, literal: String) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(literal).or_insert(next)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

/// Finds them.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    /// The first octets, each sort once; `None` if there is nothing to find.
    heads: Option<AhoCorasick>,
    /// For each head, the range of `sorted` that begins with it.
    ranges: Vec<Range<usize>>,
    /// (literal, its number), sorted.
    sorted: Vec<(Box<[u8]>, u32)>,
}

impl Finder {
    pub(super) fn new(literals: Literals) -> Self {
        let numbered = literals.numbers.into_iter().filter(|(it, _)| !it.is_empty());
        let of =
            |(it, number): (String, usize)| Some((it.into_bytes().into_boxed_slice(), u32::try_from(number).ok()?));
        let mut sorted: Vec<(Box<[u8]>, u32)> = numbered.filter_map(of).collect();
        sorted.sort_unstable();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for at in 0..sorted.len() {
            let head = |at: usize| sorted.get(at).map_or(&[][..], |(it, _)| it.get(..HEAD).unwrap_or(it));
            match ranges.last_mut() {
                // A literal shorter than a head is a head of its own, beside those that go on.
                Some(range) if head(range.start) == head(at) => range.end = at + 1,
                _ => ranges.push(at..at + 1),
            }
        }
        let heads = ranges.iter().filter_map(|it| sorted.get(it.start)).map(|(it, _)| it.get(..HEAD).unwrap_or(it));
        // Some thousand patterns of four octets are far from the builder's only limit (2^31 states).
        let heads = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .build(heads)
            .ok()
            .filter(|_| !sorted.is_empty());
        Self { heads, ranges, sorted }
    }

    /// Where each literal stands in a squeezed text.
    pub(super) fn find(&self, text: &[u8]) -> Hits {
        let mut hits = Hits::default();
        for head in self.heads.iter().flat_map(|it| it.find_overlapping_iter(text)) {
            let Some(range) = self.ranges.get(head.pattern().as_usize()) else { continue };
            let rest = text.get(head.start()..).unwrap_or_default();
            self.going_on(range.clone(), head.end() - head.start(), rest, |number, length| {
                hits.found.push(Hit { literal: number, start: head.start(), end: head.start() + length });
            });
        }
        hits.found.sort_unstable();
        hits.present = vec![0; hits.found.last().map_or(0, |it| it.literal as usize / 64 + 1)];
        for hit in &hits.found {
            let literal = hit.literal as usize;
            if let Some(word) = hits.present.get_mut(literal / 64) {
                *word |= 1 << (literal % 64);
            }
        }
        hits
    }

    /// Those of `range` that `rest` begins with; all of them share its first `same` octets.
    fn going_on(&self, range: Range<usize>, mut same: usize, rest: &[u8], mut found: impl FnMut(u32, usize)) {
        let mut left = self.sorted.get(range).unwrap_or_default();
        while let [(first, number), others @ ..] = left {
            if first.len() == same {
                found(*number, same);
                left = others;
                continue;
            }
            if others.is_empty() {
                if rest.starts_with(first) {
                    found(*number, first.len());
                }
                return;
            }
            let Some(octet) = rest.get(same) else { return };
            let at = |it: &[u8]| it.get(same).copied().unwrap_or_default();
            let begin = left.partition_point(|(it, _)| at(it) < *octet);
            left = left.get(begin..).unwrap_or_default();
            left = left.get(..left.partition_point(|(it, _)| at(it) == *octet)).unwrap_or_default();
            same += 1;
        }
    }
}

/// One literal at one place of the squeezed text.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Hit {
    pub(super) literal: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Where each literal was found in a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    /// By literal, then place.
    found: Vec<Hit>,
    /// The literals that were found, a bit for each.
    present: Vec<u64>,
}

impl Hits {
    /// The first places of one literal, in order.
    pub(super) fn of(&self, literal: usize) -> &[Hit] {
        if self.present.get(literal / 64).is_none_or(|it| it >> (literal % 64) & 1 == 0) {
            return &[];
        }
        let number = |it: &Hit| it.literal as usize;
        let begin = self.found.partition_point(|it| number(it) < literal);
        let rest = self.found.get(begin..).unwrap_or_default();
        let count = rest.iter().take(OCCURRENCES).take_while(|it| number(it) == literal).count();
        rest.get(..count).unwrap_or_default()
    }

    /// The literals that were found, each once.
    pub(super) fn literals(&self) -> impl Iterator<Item = usize> {
        self.found.chunk_by(|a, b| a.literal == b.literal).filter_map(|it| Some(it.first()?.literal as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_is_found_wherever_it_stands_also_inside_and_over_others() {
        let mut literals = Literals::default();
        let words = ["a", "spf", "spfx", "mailbox", "mailboxfull", "mailboxfullofit", "box", "full", "mail"];
        for word in words {
            literals.number(word.to_owned());
        }
        assert_eq!(literals.number("box".to_owned()), 6);
        let finder = Finder::new(literals);
        let text = b"spfxmailboxfullxamailboxspf";
        let hits = finder.find(text);
        for (number, word) in words.iter().enumerate() {
            let expected: Vec<usize> = (0..text.len()).filter(|at| text[*at..].starts_with(word.as_bytes())).collect();
            let found: Vec<usize> = hits.of(number).iter().map(|it| it.start).collect();
            assert_eq!(found, expected, "{word}");
            assert!(hits.of(number).iter().all(|it| it.end - it.start == word.len()));
        }
        assert_eq!(hits.literals().count(), 8);
        assert!(Finder::new(Literals::default()).find(text).literals().next().is_none());
    }
}
