//! Many literals found in one pass over a text: the marks of all formats, the phrases of all rules.
//!
//! Most places of a text begin none of them, which a bit tells: there is one for each (hashed)
//! beginning of eight octets that a literal has. Where one begins, the literals that go on as the
//! text does are found by halving a sorted list. So the cost of a text grows with its length, and
//! with the logarithm of the number of literals; and there is nothing to build but the list.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

/// How many octets are looked up at once: of a literal as many as it has, of these.
const HEADS: [usize; 5] = [1, 2, 3, 4, 8];
/// A literal that is found more often than this in one reply is looked at no further.
const OCCURRENCES: usize = 16;

/// All literals, each once, while the catalogue is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Literals {
    numbers: HashMap<Box<[u8]>, u32, BuildHasherDefault<Mixer>>,
}

impl Literals {
    /// The number of a squeezed literal, new or known.
    pub(crate) fn number(&mut self, literal: &[u8]) -> u32 {
        if let Some(known) = self.numbers.get(literal) {
            return *known;
        }
        // Far fewer than 2^32: each takes room.
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(literal.into(), next);
        next
    }
}

/// A quick hash of words that are our own, or the administrator's: nobody makes them to collide.
#[derive(Clone, Copy, Debug, Default)]
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        // 2^64 by the golden ratio: every bit of the word moves the upper ones.
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks();
        for word in words {
            self.mix(u64::from_be_bytes(*word));
        }
        self.mix(first_eight(rest));
    }

    fn write_usize(&mut self, length: usize) {
        self.mix(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// Finds them.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    /// For each length of head that there is.
    tables: Vec<Table>,
}

/// The literals that are looked up by as many octets.
#[derive(Clone, Debug)]
struct Table {
    /// Octets of a head.
    length: usize,
    /// A bit for each head, by its hash: the first so many bits of a product.
    bits: Vec<u64>,
    hash_bits: u32,
    /// The heads, sorted.
    heads: Vec<u64>,
    /// For each head, those of `literals` that begin with it.
    ranges: Vec<Range<usize>>,
    /// Sorted.
    literals: Vec<Literal>,
}

#[derive(Clone, Debug)]
struct Literal {
    octets: Box<[u8]>,
    number: u32,
    /// The longest other literal of the table that it begins with.
    inner: Option<usize>,
}

impl Table {
    /// Of sorted literals.
    fn new(length: usize, sorted: Vec<(Box<[u8]>, u32)>) -> Self {
        let (heads, ranges, literals) = (Vec::new(), Vec::new(), Vec::with_capacity(sorted.len()));
        // One bit in thirty-two is set at most, and the processor's near memory holds them.
        let hash_bits = (32 * sorted.len()).next_power_of_two().ilog2().clamp(6, 19);
        let mut table = Self { length, bits: vec![0; 1 << (hash_bits - 6)], hash_bits, heads, ranges, literals };
        for (at, (octets, number)) in sorted.into_iter().enumerate() {
            let head = octets.iter().take(length).fold(0, |head, octet| head << 8 | u64::from(*octet));
            match table.ranges.last_mut() {
                Some(range) if table.heads.last() == Some(&head) => range.end = at + 1,
                _ => {
                    let (word, bit) = table.bit(head);
                    table.bits.get_mut(word).into_iter().for_each(|it| *it |= bit);
                    table.heads.push(head);
                    table.ranges.push(at..at + 1);
                }
            }
            let inner = at.checked_sub(1).and_then(|before| table.beginning(before, &octets));
            table.literals.push(Literal { octets, number, inner });
        }
        table
    }

    fn bit(&self, head: u64) -> (usize, u64) {
        let hash = head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.hash_bits);
        (usize::try_from(hash / 64).unwrap_or_default(), 1 << (hash % 64))
    }

    /// The longest of a literal and those that it begins with with which `text` begins.
    fn beginning(&self, literal: usize, text: &[u8]) -> Option<usize> {
        let mut next = Some(literal);
        while let Some(it) = next.and_then(|it| self.literals.get(it)) {
            if text.starts_with(&it.octets) {
                return next;
            }
            next = it.inner;
        }
        None
    }

    /// Hands over the literals with which `rest` begins, of which `head` are the first octets.
    fn each(&self, head: u64, rest: &[u8], mut found: impl FnMut(&Literal)) {
        let (word, bit) = self.bit(head);
        if self.bits.get(word).is_none_or(|it| it & bit == 0) {
            return;
        }
        let Some(range) = self.heads.binary_search(&head).ok().and_then(|it| self.ranges.get(it)) else { return };
        let those = self.literals.get(range.clone()).unwrap_or_default();
        // Whatever `rest` begins with, the last literal not behind it in the alphabet begins with too.
        let not_behind = those.partition_point(|it| *it.octets <= *rest);
        let mut next = (range.start + not_behind).checked_sub(1).and_then(|last| self.beginning(last, rest));
        while let Some(it) = next.and_then(|it| self.literals.get(it)) {
            found(it);
            next = it.inner;
        }
    }
}

impl Finder {
    pub(crate) fn new(literals: Literals) -> Self {
        // Compared by their first eight octets: nearly always that settles it.
        let keyed = literals.numbers.into_iter().map(|(it, number)| (first_eight(&it), it, number));
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_unstable();
        let mut by_length: [Vec<(Box<[u8]>, u32)>; HEADS.len()] = Default::default();
        for (_, literal, number) in keyed {
            let which = HEADS.partition_point(|it| *it <= literal.len());
            // An empty literal is found nowhere.
            if let Some(those) = which.checked_sub(1).and_then(|it| by_length.get_mut(it)) {
                those.push((literal, number));
            }
        }
        let tables = HEADS.into_iter().zip(by_length).filter(|(_, it)| !it.is_empty());
        Self { tables: tables.map(|(length, sorted)| Table::new(length, sorted)).collect() }
    }

    /// Of a list of words, as they are.
    pub(crate) fn of(words: &[&str]) -> Self {
        let mut literals = Literals::default();
        for word in words {
            literals.number(word.as_bytes());
        }
        Self::new(literals)
    }

    /// Hands over each literal, by its number, wherever it stands in a text.
    pub(crate) fn each(&self, text: &[u8], mut found: impl FnMut(u32, Range<usize>)) {
        // The next eight octets, of which there are fewer at the end.
        let mut window = text.iter().take(7).fold(0, |window, octet| window << 8 | u64::from(*octet));
        window <<= 8 * 7_usize.saturating_sub(text.len());
        for start in 0..text.len() {
            window = window << 8 | text.get(start + 7).map_or(0, |it| u64::from(*it));
            for table in &self.tables {
                let rest = text.get(start..).unwrap_or_default();
                table.each(window >> (64 - 8 * table.length), rest, |it| {
                    found(it.number, start..start + it.octets.len());
                });
            }
        }
    }

    /// Where each literal stands in a squeezed text.
    pub(crate) fn find(&self, text: &[u8]) -> Hits {
        let mut hits = Hits::default();
        self.each(text, |literal, at| hits.found.push(Hit { literal, start: at.start, end: at.end }));
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
}

fn first_eight(literal: &[u8]) -> u64 {
    let mut octets = [0; 8];
    octets.iter_mut().zip(literal).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(octets)
}

/// One literal at one place of the squeezed text.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hit {
    pub(crate) literal: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Where each literal was found in a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits {
    /// By literal, then place.
    found: Vec<Hit>,
    /// The literals that were found, a bit for each.
    present: Vec<u64>,
}

impl Hits {
    /// The first places of one literal, in order.
    pub(crate) fn of(&self, literal: u32) -> &[Hit] {
        let literal = literal as usize;
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
    pub(crate) fn literals(&self) -> impl Iterator<Item = u32> {
        self.found.chunk_by(|a, b| a.literal == b.literal).filter_map(|it| Some(it.first()?.literal))
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
            literals.number(word.as_bytes());
        }
        assert_eq!(literals.number(b"box"), 6);
        let finder = Finder::new(literals);
        let text = b"spfxmailboxfullxamailboxspf";
        let hits = finder.find(text);
        for (number, word) in (0..).zip(words) {
            let expected: Vec<usize> = (0..text.len()).filter(|at| text[*at..].starts_with(word.as_bytes())).collect();
            let found: Vec<usize> = hits.of(number).iter().map(|it| it.start).collect();
            assert_eq!(found, expected, "{word}");
            assert!(hits.of(number).iter().all(|it| it.end - it.start == word.len()));
        }
        assert_eq!(hits.literals().count(), 8);
        assert!(Finder::new(Literals::default()).find(text).literals().next().is_none());
    }
}
