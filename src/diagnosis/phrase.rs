//! A phrase of a rule: words with placeholders between them, and where it stands in a text.
//!
//! `connect to {host} timed out` is two pieces of squeezed words and what may lie between them.
//! Placeholders: `{address}`, `{host}` (a name, an IP literal, or both), `{ip}`, `{number}`,
//! `{*}` (anything up to 160 octets) and `{~}` (a few words of the same sentence). A `{*}` at either
//! end lifts the word boundary there, so `greylist{*}` finds `greylisted` too, and so does a `{~}`
//! without a blank beside it: `exceed{~} limit` finds `exceeding our limit`. Pieces of 16 octets and
//! more need no word boundary: they survive lost blanks around them. At the beginning or the end may
//! stand `{recipient}`, `{sender}`, `{client}`, `{domain}` or `{message}`: a noun of that sort (`noun.rs`).

use std::{borrow::Cow, net::IpAddr, ops::Range};

use super::{
    noun::Noun,
    text::{Text, squeeze_words},
};
use crate::literals::{Hits, Literals};

/// From this length on a piece needs no word boundary.
const SELF_EVIDENT: usize = 16;
/// What `{*}` may span, in octets of the original.
const ANYTHING: usize = 160;
/// What `{~}` may span.
const FEW: usize = 48;
/// What `{recipient}` says: less than any such noun in words, so that whole phrases go before it.
const RECIPIENT_WEIGHT: usize = 3;
/// What another noun's placeholder says: that it is no recipient, which many phrases take for granted (`address unknown`).
const NOUN_WEIGHT: usize = 8;

/// What may stand at a placeholder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Gap {
    Address,
    Host,
    Ip,
    Number,
    Anything,
    /// A few words that do not end the sentence.
    Few,
    /// What the words beside it are said of.
    Said(Noun),
}

#[derive(Clone, Debug)]
struct Piece {
    /// Index into the finder's literals.
    literal: u32,
    length: u32,
    opens_word: bool,
    closes_word: bool,
    /// The words hold a dot, slash or the like: they may lie inside a host name or URL.
    inside_names: bool,
}

/// A phrase, ready to be looked for.
#[derive(Clone, Debug)]
pub(super) struct Phrase {
    words: Cow<'static, str>,
    pieces: Vec<Piece>,
    /// Between pieces: one fewer than pieces.
    gaps: Vec<Gap>,
    lead: Option<Gap>,
    trail: Option<Gap>,
    weight: usize,
}

impl Phrase {
    /// Reads a phrase as a rule writes it; the error says what is wrong with it.
    pub(super) fn parse(words: Cow<'static, str>, literals: &mut Literals) -> Result<Self, String> {
        let mut phrase =
            Self { words: Cow::default(), pieces: Vec::new(), gaps: Vec::new(), lead: None, trail: None, weight: 0 };
        let mut pending = None;
        let mut goes_on = false;
        for part in parts(&words) {
            match part? {
                Part::Gap(_) if pending.is_some() => {
                    return Err("two placeholders stand side by side".to_owned());
                }
                Part::Gap(gap) => {
                    if let (Gap::Few, true, Some(last)) = (gap, goes_on, phrase.pieces.last_mut()) {
                        last.closes_word = false;
                    }
                    pending = Some(gap);
                }
                Part::Words(words) => {
                    goes_on = words.ends_with(|c: char| !c.is_whitespace());
                    let squeezed = squeeze_words(words);
                    if squeezed.is_empty() {
                        continue;
                    }
                    if !phrase.pieces.is_empty() && matches!(pending, Some(Gap::Said(_))) {
                        return Err("a noun's placeholder stands at the beginning or the end".to_owned());
                    }
                    let few = pending == Some(Gap::Few);
                    match (pending.take(), phrase.pieces.is_empty()) {
                        (gap, true) => phrase.lead = gap,
                        (gap, false) => phrase.gaps.push(gap.unwrap_or(Gap::Anything)),
                    }
                    let is_short = squeezed.len() < SELF_EVIDENT;
                    phrase.pieces.reserve_exact(1); // most phrases are one piece
                    phrase.pieces.push(Piece {
                        literal: literals.number(squeezed.as_bytes()),
                        length: u32::try_from(squeezed.len()).unwrap_or(u32::MAX),
                        opens_word: is_short && !(few && words.starts_with(|c: char| !c.is_whitespace())),
                        closes_word: is_short,
                        inside_names: words
                            .bytes()
                            .any(|it| matches!(it, b'.' | b'/' | b'=' | b'?' | b'_' | b':' | b'#')),
                    });
                }
            }
        }
        phrase.trail = pending;
        if phrase.lead == Some(Gap::Anything) {
            phrase.lead = None;
            phrase.pieces.iter_mut().take(1).for_each(|it| it.opens_word = false);
        }
        if matches!(phrase.trail, Some(Gap::Anything | Gap::Few)) {
            phrase.trail = None;
            phrase.pieces.iter_mut().last().into_iter().for_each(|it| it.closes_word = false);
        }
        if phrase.pieces.is_empty() {
            return Err("it holds no letter or digit".to_owned());
        }
        phrase.weight = phrase.weighed();
        phrase.words = words;
        Ok(phrase)
    }

    /// As the rule wrote it.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// How much it says: the octets of its pieces, a little more for each placeholder that asks for something.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    fn weighed(&self) -> usize {
        let asking = |gap: &Gap| match gap {
            Gap::Anything | Gap::Few => 0,
            Gap::Said(Noun::Recipient) => RECIPIENT_WEIGHT,
            Gap::Said(_) => NOUN_WEIGHT,
            Gap::Address | Gap::Host | Gap::Ip | Gap::Number => 2,
        };
        self.pieces.iter().map(|it| it.length as usize).sum::<usize>()
            + self.gaps.iter().chain(&self.lead).chain(&self.trail).map(asking).sum::<usize>()
    }

    /// The literal without which it cannot be there: its longest.
    pub(super) fn key(&self) -> u32 {
        self.pieces.iter().max_by_key(|it| it.length).map_or(0, |it| it.literal)
    }

    /// Where in the original it stands, the first time.
    pub(super) fn find(&self, text: &Text<'_>, hits: &Hits) -> Option<Range<usize>> {
        self.places(text, hits).next()
    }

    /// Where in the original it stands, each time.
    pub(super) fn places<'a>(&'a self, text: &'a Text<'_>, hits: &'a Hits) -> impl Iterator<Item = Range<usize>> + 'a {
        let found = self.pieces.first().into_iter().flat_map(|it| hits.of(it.literal).iter().map(move |at| (it, at)));
        found.filter_map(|(first, at)| {
            let start = first.stands(text, &(at.start..at.end))?;
            let begin = fits_before(self.lead, text, start.start)?;
            let end = self.follow(1, at.end, start.end, text, hits)?;
            fits_after(self.trail, text, end).map(|end| begin..end)
        })
    }

    /// The end of the rest of the phrase from piece `next` on; `None` if it does not follow.
    fn follow(&self, next: usize, squeezed: usize, end: usize, text: &Text<'_>, hits: &Hits) -> Option<usize> {
        let Some((piece, gap)) = self.pieces.get(next).zip(self.gaps.get(next - 1)) else { return Some(end) };
        hits.of(piece.literal).iter().filter(|at| at.start >= squeezed).find_map(|at| {
            let range = piece.stands(text, &(at.start..at.end))?;
            let between = text.original().get(end..range.start)?;
            gap.fits(between).then_some(())?;
            self.follow(next + 1, at.end, range.end, text, hits)
        })
    }
}

impl Piece {
    /// The place in the original, if word boundaries are kept and it is not a mere part of a name.
    fn stands(&self, text: &Text<'_>, at: &Range<usize>) -> Option<Range<usize>> {
        let range = text.range(at.clone());
        let original = text.original();
        let bounded = |inner: Option<char>, outer: Option<char>| match (inner, outer) {
            (Some(inner), Some(outer)) => {
                !(is_letter(inner) && is_letter(outer) || inner.is_ascii_digit() && outer.is_ascii_digit())
            }
            _ => true,
        };
        let within = original.get(range.clone())?;
        let before = original.get(..range.start)?.chars().next_back();
        let opens = !self.opens_word || bounded(within.chars().next(), before) || begins_in_contraction(within);
        let closes =
            !self.closes_word || bounded(within.chars().next_back(), original.get(range.end..)?.chars().next());
        let named = !self.inside_names && text.inside_name(&range);
        (opens && closes && !named).then_some(range)
    }
}

/// Whether words begin with the end of `isn't`, `isn’t` or `isnt`: with a `not` of its own.
fn begins_in_contraction(words: &str) -> bool {
    let Some(rest) = words.strip_prefix(['n', 'N']) else { return false };
    let rest = rest.trim_start_matches(|c: char| "'’‘´`".contains(c));
    rest.strip_prefix(['t', 'T']).is_some_and(|it| !it.starts_with(char::is_alphanumeric))
}

/// A letter of a script that writes blanks between words.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && u32::from(c) < 0x2e80
}

impl Gap {
    /// Whether what lies between two pieces is of this kind, punctuation around it aside.
    fn fits(self, between: &str) -> bool {
        let bare = between.trim_matches(|c: char| c.is_whitespace() || "<>()[]{}\"'`:;,.=*!#-".contains(c));
        match self {
            Self::Anything => between.len() <= ANYTHING,
            Self::Few => between.len() <= FEW && !ends_sentence(between),
            Self::Said(_) => false,
            Self::Address => is_address(bare),
            Self::Host => is_host_like(bare),
            Self::Ip => bare.trim_start_matches("IPv6:").parse::<IpAddr>().is_ok(),
            Self::Number => {
                bare.starts_with(|c: char| c.is_ascii_digit())
                    && bare.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'.')
            }
        }
    }
}

/// Whether a sentence ends in these words.
fn ends_sentence(words: &str) -> bool {
    words.contains(['!', '?', ';', '。', '！', '？', '；']) || words.contains(". ")
}

fn is_address(word: &str) -> bool {
    !word.contains(char::is_whitespace) && word.contains('@')
}

fn is_host_like(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 320
        && word.contains(['.', ':'])
        && word.chars().all(|c| c.is_alphanumeric() || ".-_[]:()".contains(c))
}

/// A placeholder before the first piece: the word that ends there must be of its kind. Where the phrase begins.
fn fits_before(gap: Option<Gap>, text: &Text<'_>, start: usize) -> Option<usize> {
    let Some(gap) = gap else { return Some(start) };
    let before = text.original().get(..start)?;
    if let Gap::Said(noun) = gap {
        return noun.ending(before);
    }
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || "<>()[]:;,.=\"'-".contains(c));
    let word = before.rsplit(char::is_whitespace).next()?;
    gap.fits(word).then_some(start)
}

/// A placeholder after the last piece: the word that begins there must be of its kind; its end.
fn fits_after(gap: Option<Gap>, text: &Text<'_>, end: usize) -> Option<usize> {
    let Some(gap) = gap else { return Some(end) };
    let after = text.original().get(end..)?;
    if let Gap::Said(noun) = gap {
        return noun.beginning(after).map(|length| end + length);
    }
    let skipped = after.find(|c: char| !(c.is_whitespace() || "<>()[]:;,.=\"'-".contains(c)))?;
    let rest = after.get(skipped..)?;
    let stop: fn(char) -> bool = match gap {
        Gap::Number => |c| !(c.is_ascii_digit() || c == ',' || c == '.'),
        Gap::Address | Gap::Host | Gap::Ip | Gap::Anything | Gap::Few | Gap::Said(_) => {
            |c| c.is_whitespace() || "<>(),;\"'".contains(c)
        }
    };
    let word = rest.get(..rest.find(stop).unwrap_or(rest.len()))?;
    gap.fits(word).then_some(end + skipped + word.trim_end_matches(['.', ']', ',']).len())
}

enum Part<'a> {
    Words(&'a str),
    Gap(Gap),
}

/// Words and placeholders in turn.
fn parts(words: &str) -> impl Iterator<Item = Result<Part<'_>, String>> {
    let mut rest = Some(words);
    std::iter::from_fn(move || {
        let words = rest?;
        let Some(inside) = words.strip_prefix('{') else {
            let end = memchr::memchr(b'{', words.as_bytes()).unwrap_or(words.len());
            rest = words.get(end..).filter(|it| !it.is_empty());
            return Some(Ok(Part::Words(words.get(..end)?)));
        };
        let Some((name, after)) = inside.split_once('}') else {
            rest = None;
            return Some(Err("a `{` is not closed".to_owned()));
        };
        rest = Some(after).filter(|it| !it.is_empty());
        Some(gap_named(name).map(Part::Gap))
    })
}

fn gap_named(name: &str) -> Result<Gap, String> {
    Ok(match name {
        "address" => Gap::Address,
        "host" => Gap::Host,
        "ip" => Gap::Ip,
        "number" => Gap::Number,
        "*" => Gap::Anything,
        "~" => Gap::Few,
        other => Gap::Said(Noun::named(other).ok_or_else(|| format!("`{{{other}}}` is no placeholder"))?),
    })
}
