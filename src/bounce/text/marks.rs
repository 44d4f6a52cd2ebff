//! One pass for every literal mark there is: which formats a text may be, where the pasted
//! original begins, whether it warns or has given up.

use std::{collections::HashMap, ops::Range};

use super::{
    descriptor::{Fingerprint, Format},
    lines::{Line, head, squeeze, squeeze_onto},
    shared::{Place, Shared},
};
use crate::{
    literals::{Finder, Literals},
    mail::header::Headers,
};

/// Header marks stand at the beginning of a value, within these octets.
const VALUE_LIMIT: usize = 100;
/// Where a field begins and ends; never in squeezed text.
const EDGE: char = '\n';

/// What a mark means.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Sign {
    /// The pasted original begins here.
    Original,
    /// A warning: still trying.
    Delayed,
    /// A receipt: delivered.
    Delivered,
    /// Given up after trying for long.
    Expired,
    /// A sentence that only bounces contain.
    Sentence,
    /// Words of bounces that people use too.
    Hint,
    /// A subject that bounces bear.
    Subject,
    /// The sender calls itself a daemon.
    Daemon,
    /// The subject warns.
    DelayedSubject,
    /// Words that gateways and mail programs put around others.
    Aside,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Use {
    Sign(Sign),
    /// The n-th condition of all fingerprints.
    Condition(usize),
}

/// All marks of all formats, found in one pass.
pub(super) struct Marks {
    finder: Finder,
    /// For each literal of the finder.
    uses: Vec<Vec<(Place, Use)>>,
    /// Squeezed length of each condition's mark.
    weights: Vec<usize>,
    /// What the fields of a header are looked at for, by how it begins.
    headers: HashMap<Head, Vec<HeaderMark>>,
    /// Of each condition, the fingerprint that it belongs to.
    owners: Vec<usize>,
    fingerprints: Vec<Compiled>,
}

/// The first octets of a squeezed field.
type Head = [u8; 3];

/// A mark that a field begins with, and the condition that it is.
struct HeaderMark {
    mark: String,
    condition: usize,
}

/// A fingerprint: groups of conditions, each of which needs one to hold.
struct Compiled {
    format: usize,
    groups: Vec<Vec<usize>>,
}

/// What one message showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    signs: Vec<(Sign, usize)>,
    conditions: Vec<(usize, usize)>,
}

/// The fields that marks are looked for in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    pub(super) from: &'a str,
    pub(super) subject: &'a str,
    pub(super) headers: &'a Headers,
}

impl Marks {
    pub(super) fn new(formats: &[Format], shared: &Shared) -> Self {
        let mut index = Index::default();
        for (sign, place, marks) in shared.marks() {
            for mark in marks {
                index.add(mark, place, Use::Sign(sign));
            }
        }
        for (number, format) in formats.iter().enumerate() {
            for fingerprint in &format.descriptor.fingerprint {
                index.add_fingerprint(number, fingerprint);
            }
        }
        let Index { literals, uses, weights, headers, owners, fingerprints } = index;
        Self { finder: Finder::new(literals), uses, weights, headers, owners, fingerprints }
    }

    /// Looks for every mark in the lines and the fields. Marks at or after the line `cut` (or where
    /// a mark says that the original begins, if that is earlier) do not count.
    pub(super) fn scan(&self, lines: &[Line<'_>], cut: usize, fields: Fields<'_>) -> Seen {
        let mut seen = self.scan_lines(lines, cut);
        self.search(&edged(fields.from), Place::From, |use_, _| seen.take(use_, 0));
        self.search(&edged(fields.subject), Place::Subject, |use_, _| seen.take(use_, 0));
        self.scan_headers(fields.headers, &mut seen);
        seen
    }

    /// Looks for every mark in the lines alone.
    pub(super) fn scan_lines(&self, lines: &[Line<'_>], cut: usize) -> Seen {
        let lines = lines.get(..cut).unwrap_or(lines);
        let mut text = String::with_capacity(lines.iter().map(|it| it.text.len()).sum());
        let mut starts = Vec::with_capacity(lines.len());
        for line in lines {
            starts.push(text.len());
            squeeze_onto(&mut text, &line.text);
        }
        let mut seen = Seen::default();
        self.search(&text, Place::Text, |use_, at| {
            let line = starts.partition_point(|start| *start <= at.start).saturating_sub(1);
            let line_end = starts.get(line + 1).copied().unwrap_or(text.len());
            let whole = line_end - starts.get(line).copied().unwrap_or(0);
            // Short announcements ("Original message") are words of prose too, unless they stand alone.
            let slack = if at.len() < 20 { 6 } else { 60 };
            if use_ != Use::Sign(Sign::Original) || whole <= at.len() + slack {
                seen.take(use_, line);
            }
        });
        let end = seen.first(Sign::Original).unwrap_or(usize::MAX);
        seen.signs.retain(|(sign, line)| *line < end || *sign == Sign::Original);
        seen.conditions.retain(|(_, line)| *line <= end);
        seen
    }

    fn scan_headers(&self, headers: &Headers, seen: &mut Seen) {
        let mut squeezed = String::with_capacity(2 * VALUE_LIMIT);
        for field in headers.iter() {
            squeezed.clear();
            squeeze_onto(&mut squeezed, field.name);
            let Some(marks) = header_head(&squeezed).and_then(|it| self.headers.get(&it)) else { continue };
            squeeze_onto(&mut squeezed, head(field.value, VALUE_LIMIT));
            for it in marks.iter().filter(|it| squeezed.starts_with(&it.mark)) {
                seen.take(Use::Condition(it.condition), 0);
            }
        }
    }

    fn search(&self, haystack: &str, place: Place, mut found: impl FnMut(Use, Range<usize>)) {
        self.finder.each(haystack.as_bytes(), |literal, at| {
            for (where_, use_) in self.uses.get(literal as usize).into_iter().flatten() {
                if *where_ == place {
                    found(*use_, at.clone());
                }
            }
        });
    }

    /// Whether the words bear the sign.
    pub(super) fn says(&self, sign: Sign, words: &str) -> bool {
        let mut said = false;
        self.search(&squeeze(words), Place::Text, |use_, _| said |= use_ == Use::Sign(sign));
        said
    }

    /// Whether a subject bears one of these signs.
    pub(super) fn subject_says(&self, signs: &[Sign], subject: &str) -> bool {
        let mut said = false;
        self.search(&squeeze(subject), Place::Subject, |use_, _| said |= signs.iter().any(|it| use_ == Use::Sign(*it)));
        said
    }

    /// The formats whose fingerprint is there, the one with the longest marks first.
    pub(super) fn claims(&self, seen: &Seen) -> Vec<Claim> {
        if seen.conditions.is_empty() {
            return Vec::new();
        }
        let mut held: Vec<usize> = seen.conditions.iter().map(|(condition, _)| *condition).collect();
        held.sort_unstable();
        let mut asked: Vec<usize> = held.iter().filter_map(|it| self.owners.get(*it).copied()).collect();
        let held = |it: &usize| held.binary_search(it).ok().and_then(|_| self.weights.get(*it).copied());
        asked.dedup();
        let mut claims: Vec<Claim> = Vec::new();
        for fingerprint in asked.into_iter().filter_map(|it| self.fingerprints.get(it)) {
            let weight: Option<usize> =
                fingerprint.groups.iter().map(|group| group.iter().filter_map(held).max()).sum();
            if let Some(weight) = weight {
                match claims.iter_mut().find(|it| it.format == fingerprint.format) {
                    Some(known) => known.weight = weight.max(known.weight),
                    None => claims.push(Claim { format: fingerprint.format, weight }),
                }
            }
        }
        claims.sort_by_key(|it| (usize::MAX - it.weight, it.format));
        claims
    }
}

/// A format that a text may be, by its fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Claim {
    pub(super) format: usize,
    /// Squeezed length of the marks that were found.
    pub(super) weight: usize,
}

impl Seen {
    fn take(&mut self, use_: Use, line: usize) {
        match use_ {
            Use::Sign(sign) => self.signs.push((sign, line)),
            Use::Condition(number) => self.conditions.push((number, line)),
        }
    }

    /// The first line with the sign.
    pub(super) fn first(&self, sign: Sign) -> Option<usize> {
        self.lines(sign).min()
    }

    /// Every line with the sign.
    pub(super) fn lines(&self, sign: Sign) -> impl Iterator<Item = usize> {
        self.signs.iter().filter(move |(it, _)| *it == sign).map(|(_, line)| *line)
    }
}

#[derive(Default)]
struct Index {
    literals: Literals,
    uses: Vec<Vec<(Place, Use)>>,
    weights: Vec<usize>,
    headers: HashMap<Head, Vec<HeaderMark>>,
    owners: Vec<usize>,
    fingerprints: Vec<Compiled>,
}

impl Index {
    fn add(&mut self, mark: &str, place: Place, use_: Use) {
        debug_assert!(!squeeze(mark).is_empty(), "the mark `{mark}` would be found everywhere");
        let number = self.literals.number(pattern(mark).as_bytes()) as usize;
        if number == self.uses.len() {
            self.uses.push(Vec::new());
        }
        if let Some(uses) = self.uses.get_mut(number) {
            uses.push((place, use_));
        }
    }

    fn add_fingerprint(&mut self, format: usize, fingerprint: &Fingerprint) {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for mark in &fingerprint.text {
            groups.push(vec![self.condition(mark, Place::Text)]);
        }
        for (place, marks) in [
            (Place::Text, &fingerprint.text_any),
            (Place::From, &fingerprint.from),
            (Place::Subject, &fingerprint.subject),
            (Place::Header, &fingerprint.header),
        ] {
            if !marks.is_empty() {
                groups.push(marks.iter().map(|mark| self.condition(mark, place)).collect());
            }
        }
        self.fingerprints.push(Compiled { format, groups });
    }

    fn condition(&mut self, mark: &str, place: Place) -> usize {
        let number = self.weights.len();
        self.weights.push(squeeze(mark).len());
        self.owners.push(self.fingerprints.len());
        match header_head(&squeeze(mark)).filter(|_| place == Place::Header) {
            Some(head) => {
                self.headers.entry(head).or_default().push(HeaderMark { mark: squeeze(mark), condition: number });
            }
            None => self.add(mark, place, Use::Condition(number)),
        }
        number
    }
}

/// How a squeezed field or mark of a field begins; no field that is looked for has a shorter name.
fn header_head(squeezed: &str) -> Option<Head> {
    squeezed.as_bytes().first_chunk().copied()
}

/// A mark as the finder looks for it.
fn pattern(mark: &str) -> String {
    let mut pattern = String::new();
    if mark.starts_with('^') {
        pattern.push(EDGE);
    }
    squeeze_onto(&mut pattern, mark);
    if mark.ends_with('$') {
        pattern.push(EDGE);
    }
    pattern
}

fn edged(field: &str) -> String {
    let mut text = String::with_capacity(field.len() + 2 * EDGE.len_utf8());
    text.push(EDGE);
    squeeze_onto(&mut text, field);
    text.push(EDGE);
    text
}
