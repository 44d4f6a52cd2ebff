//! Rules proposed for words that no rule knows (`rules suggest`): undetermined diagnostics, grouped
//! by what is the same in them, each group as a rule that lacks nothing but its cause.
//!
//! Pure. What differs between two replies becomes a placeholder; addresses, hosts and ids of the
//! samples are replaced by example.org's, so that the file may be shown around. Every proposal is
//! proved beside the rules that there are: with a cause filled in it loads and wins on its samples.

use std::collections::HashSet;

use super::{
    Catalogue, CatalogueError,
    text::{Text, squeeze_words},
};

/// Replies that differ in no more than this share of their words are one group, in percent.
const SAME_WORDS: usize = 70;
/// Samples of one rule.
const SAMPLES: usize = 3;
/// Where a group was met is told for so many of its replies.
const PLACES: usize = 5;
/// Words of one phrase; more say nothing more.
const LONGEST_PHRASE: usize = 18;
/// Letters that a phrase needs to be one.
const SHORTEST_PHRASE: usize = 6;
/// A number of more digits names something.
const NUMBER: usize = 5;

/// A reply of which nothing could be said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unexplained {
    /// The server's words.
    pub text: String,
    /// Who speaks, if known.
    pub system: Option<String>,
    /// Where it can be looked up: a journal row, a file.
    pub place: String,
}

/// A rule without its cause.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Suggestion {
    /// How many replies it would decide.
    pub count: usize,
    /// A free id.
    pub id: String,
    /// The words that they have in common.
    pub phrase: String,
    /// Replies as they came, with made-up names.
    pub samples: Vec<String>,
    /// Who spoke; empty if unknown.
    pub systems: Vec<String>,
    /// Where the first of them can be looked up.
    pub places: Vec<String>,
}

/// What came of grouping.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Suggestions {
    /// The largest group first.
    pub rules: Vec<Suggestion>,
    /// Replies in which no words stand that a rule could ask for.
    pub wordless: usize,
}

impl Suggestion {
    /// The rule as `rules.d` takes it, with this cause.
    #[must_use]
    pub fn toml(&self, cause: &str) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let list = |texts: &[String]| texts.iter().map(|it| format!("    {},\n", quoted(it))).collect::<String>();
        format!(
            "[[rule]]\nid = {}\ncause = {}\nany = [{}]\nsamples = [\n{}]\n",
            quoted(&self.id),
            quoted(cause),
            quoted(&self.phrase),
            list(&self.samples)
        )
    }
}

/// Groups what is unexplained and proposes at most `limit` rules, for groups of `at_least` or more.
/// `overlay` are the rules of the administrator's own that the proposals are to stand beside.
#[must_use]
pub fn suggest(unexplained: &[Unexplained], overlay: &[(&str, &str)], at_least: usize, limit: usize) -> Suggestions {
    let (mut groups, wordless) = grouped(unexplained);
    let mut found = Suggestions { rules: Vec::new(), wordless };
    groups.retain(|it| it.members.len() >= at_least.max(1));
    let mut ids = HashSet::new();
    for group in groups {
        if found.rules.len() >= limit {
            break;
        }
        let Some(rule) = group.proposal(&mut ids) else { continue };
        found.rules.extend(proved(rule, &group, overlay));
    }
    stand_together(&mut found.rules, overlay);
    found
}

/// The groups alone, largest first, at most `limit`: for looking at. Nothing is proved, so it is fast.
#[must_use]
pub fn clusters(unexplained: &[Unexplained], limit: usize) -> Suggestions {
    let (groups, wordless) = grouped(unexplained);
    let mut ids = HashSet::new();
    Suggestions { rules: groups.iter().filter_map(|it| it.proposal(&mut ids)).take(limit).collect(), wordless }
}

/// What is the same but for names, largest group first; and how many have no words to go by.
fn grouped(unexplained: &[Unexplained]) -> (Vec<Group<'_>>, usize) {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut wordless = 0;
    for it in unexplained {
        let words = words(&it.text);
        match groups.iter_mut().find(|group| group.takes(&words)) {
            Some(group) => group.add(&words, it),
            None if phrase(&words).is_some() => groups.push(Group { words, members: vec![it] }),
            None => wordless += 1,
        }
    }
    groups.sort_by_key(|it| std::cmp::Reverse(it.members.len()));
    (groups, wordless)
}

/// The proposal if it wins on its samples; else one with the longest words alone; else none.
fn proved(rule: Suggestion, group: &Group<'_>, overlay: &[(&str, &str)]) -> Option<Suggestion> {
    if load(std::slice::from_ref(&rule), overlay).is_ok() {
        return Some(rule);
    }
    let runs = group.words.split(|it| matches!(it, Word::Gap(_)));
    let longest = runs.max_by_key(|run| run.iter().map(|it| it.text().len()).sum::<usize>())?;
    let plainer = Suggestion { phrase: phrase(longest)?, ..rule };
    load(std::slice::from_ref(&plainer), overlay).is_ok().then_some(plainer)
}

/// Drops what another proposal takes the samples of, so that the whole file loads.
fn stand_together(rules: &mut Vec<Suggestion>, overlay: &[(&str, &str)]) {
    if load(rules, overlay).is_ok() {
        return;
    }
    let mut kept: Vec<Suggestion> = Vec::new();
    for rule in std::mem::take(rules) {
        kept.push(rule);
        if load(&kept, overlay).is_err() {
            kept.pop();
        }
    }
    *rules = kept;
}

/// Whether rules load beside the others: any cause will do.
fn load(rules: &[Suggestion], overlay: &[(&str, &str)]) -> Result<Catalogue, CatalogueError> {
    let text: String = rules.iter().map(|it| it.toml("policy")).collect();
    let mut files = overlay.to_vec();
    files.push(("suggested", &text));
    Catalogue::with_overlay(&files)
}

/// Replies that are the same but for what stands at the placeholders.
struct Group<'a> {
    words: Vec<Word>,
    members: Vec<&'a Unexplained>,
}

impl<'a> Group<'a> {
    fn takes(&self, other: &[Word]) -> bool {
        let same = self.words.iter().zip(other).filter(|(a, b)| a.same(b)).count();
        let told = self.words.iter().zip(other).filter(|(a, b)| matches!(a, Word::Plain(_)) && a.same(b)).count();
        self.words.len() == other.len() && same * 100 >= other.len() * SAME_WORDS && (told >= 2 || same == other.len())
    }

    fn add(&mut self, words: &[Word], it: &'a Unexplained) {
        let merged: Vec<Word> =
            self.words.iter().zip(words).map(|(a, b)| if a.same(b) { a.clone() } else { Word::Gap("{*}") }).collect();
        // Two that share too little of a phrase are better two rules; but they are counted as one here.
        if phrase(&merged).is_some() {
            self.words = merged;
        }
        self.members.push(it);
    }

    fn proposal(&self, ids: &mut HashSet<String>) -> Option<Suggestion> {
        let phrase = phrase(&self.words)?;
        let mut samples: Vec<String> = Vec::new();
        let mut systems: Vec<String> = Vec::new();
        for it in &self.members {
            let sample = anonymous(&it.text);
            if samples.len() < SAMPLES && !samples.contains(&sample) {
                samples.push(sample);
            }
            systems.extend(it.system.clone().filter(|it| !systems.contains(it)));
        }
        let places = self.members.iter().take(PLACES).map(|it| it.place.clone()).collect();
        Some(Suggestion { count: self.members.len(), id: free_id(&phrase, ids), phrase, samples, systems, places })
    }
}

/// `own/` and the first words.
fn free_id(phrase: &str, ids: &mut HashSet<String>) -> String {
    let words = phrase.split(|c: char| !c.is_alphanumeric()).filter(|it| it.chars().count() > 1);
    let base: Vec<String> = words.take(5).map(str::to_lowercase).collect();
    let base = format!("own/{}", base.join("-"));
    let mut id = base.clone();
    let mut number = 1;
    while !ids.insert(id.clone()) {
        number += 1;
        id = format!("{base}-{number}");
    }
    id
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Word {
    /// As it was written.
    Plain(String),
    /// A placeholder.
    Gap(&'static str),
}

impl Word {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => a == b || squeeze_words(a) == squeeze_words(b),
            (Self::Gap(a), Self::Gap(b)) => a == b,
            (Self::Plain(_), Self::Gap(_)) | (Self::Gap(_), Self::Plain(_)) => false,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Gap(gap) => gap,
        }
    }
}

/// The words as one phrase: neighbouring placeholders joined, none at its ends; `None` if too little
/// is left to know a reply by.
fn phrase(words: &[Word]) -> Option<String> {
    let plain = |it: &&Word| matches!(it, Word::Plain(text) if !squeeze_words(text).is_empty());
    let first = words.iter().position(|it| plain(&it))?;
    let words = words.get(first..)?;
    let last = words.iter().take(LONGEST_PHRASE).rposition(|it| plain(&it))?;
    let mut parts: Vec<&str> = Vec::new();
    let mut after_gap = false;
    for word in words.get(..=last)? {
        match word {
            Word::Plain(text) => parts.push(text),
            Word::Gap(_) if after_gap => {
                parts.pop();
                parts.push("{*}");
            }
            Word::Gap(gap) => parts.push(gap),
        }
        after_gap = matches!(word, Word::Gap(_));
    }
    let letters: usize = words.iter().filter(plain).map(|it| squeeze_words(it.text()).len()).sum();
    let longest = words.iter().filter(plain).map(|it| squeeze_words(it.text()).len()).max().unwrap_or(0);
    (letters >= SHORTEST_PHRASE && longest >= 3).then(|| parts.join(" "))
}

/// What is the same whenever the server says this: without codes at the beginning, who is quoted,
/// and at which command.
fn words(text: &str) -> Vec<Word> {
    let text = spoken(text);
    let mut words = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Named(Name::Address) => words.push(Word::Gap("{address}")),
            Piece::Named(Name::Ip) => words.push(Word::Gap("{ip}")),
            Piece::Named(Name::Host) => words.push(Word::Gap("{host}")),
            Piece::Named(Name::Url) => words.push(Word::Gap("{*}")),
            Piece::Plain(plain) => words.extend(plain.split_whitespace().filter_map(plain_word)),
        }
    }
    let codes = words.iter().take_while(|it| matches!(it, Word::Gap("{number}" | "{code}"))).count();
    words.drain(..codes);
    for word in &mut words {
        if *word == Word::Gap("{code}") {
            *word = Word::Gap("{*}");
        }
    }
    words
}

/// A word of the reply; `None` if it is all punctuation.
fn plain_word(word: &str) -> Option<Word> {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.is_empty() {
        return None;
    }
    let digits = bare.bytes().filter(u8::is_ascii_digit).count();
    let of_digits = bare.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'.' || b == b'-');
    Some(if digits > 0 && of_digits {
        let code = bare.contains(['.', '-']) || bare.len() == 3;
        Word::Gap(if code { "{code}" } else { "{number}" })
    } else if is_id(bare) {
        Word::Gap("{*}")
    } else {
        Word::Plain(word.replace(['{', '}'], " ").trim().to_owned())
    })
}

/// Letters and digits mixed as nobody writes words: queue ids, session ids, tokens.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    word.is_ascii() && word.len() >= 6 && digits >= 2 && word.bytes().any(|b| b.is_ascii_alphabetic())
        || word.len() > 40
}

/// The words of the server itself, where another quotes them: `host mx[ip] said: … (in reply to …)`.
fn spoken(text: &str) -> &str {
    let lower = text.to_ascii_lowercase();
    let begin = lower.rfind("said: ").map_or(0, |at| at + "said: ".len());
    let end = lower.rfind("(in reply to ").filter(|at| *at > begin).unwrap_or(text.len());
    let inner = text.get(begin..end).unwrap_or(text).trim();
    if inner.split_whitespace().count() >= 2 { inner } else { text }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Address,
    Ip,
    Host,
    Url,
}

#[derive(Debug)]
enum Piece<'a> {
    Named(Name),
    Plain(&'a str),
}

/// The text cut at addresses, IP literals, hosts and links.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let read = Text::new(text);
    let mut names: Vec<(std::ops::Range<usize>, Name)> = Vec::new();
    names.extend(read.address_places().iter().map(|it| (it.clone(), Name::Address)));
    names.extend(read.ip_places().into_iter().map(|it| (it, Name::Ip)));
    names.extend(read.name_places().iter().map(|it| {
        let url = text.get(it.clone()).is_some_and(|name| name.contains("://"));
        (it.clone(), if url { Name::Url } else { Name::Host })
    }));
    names.sort_by_key(|(it, _)| (it.start, std::cmp::Reverse(it.end)));
    let (mut at, mut found) = (0, Vec::new());
    for (range, name) in names {
        if range.start < at {
            continue;
        }
        found.push(Piece::Plain(text.get(at..range.start).unwrap_or_default()));
        found.push(Piece::Named(name));
        at = range.end;
    }
    found.push(Piece::Plain(text.get(at..).unwrap_or_default()));
    found
}

/// The reply with made-up names in place of real ones.
#[must_use]
pub fn anonymous(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(spoken(text)) {
        match piece {
            Piece::Named(Name::Address) => out.push_str("li@example.org"),
            Piece::Named(Name::Ip) => out.push_str("192.0.2.1"),
            Piece::Named(Name::Host) => out.push_str("mx.example.org"),
            Piece::Named(Name::Url) => out.push_str("https://example.org/help"),
            Piece::Plain(plain) => {
                for word in plain.split_inclusive(char::is_whitespace) {
                    push_anonymous(&mut out, word);
                }
            }
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn push_anonymous(out: &mut String, word: &str) {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let made_up = if bare.len() > NUMBER && bare.bytes().all(|b| b.is_ascii_digit()) {
        "1234567"
    } else if is_id(bare) {
        "A1B2C3D4"
    } else {
        bare
    };
    let (before, after) = word.split_once(bare).unwrap_or((word, ""));
    out.push_str(before);
    out.push_str(made_up);
    out.push_str(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Suggestions {
        let unexplained: Vec<Unexplained> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| Unexplained { text: (*text).to_owned(), system: None, place: at.to_string() })
            .collect();
        suggest(&unexplained, &[], 1, 50)
    }

    #[test]
    fn replies_that_differ_in_names_and_ids_are_one_rule() {
        let found = of(&[
            "host mx.a.example[192.0.2.7] said: 554 5.0.0 <wang@a.example>: zorp gate closed for today, ticket QX81ZZ02 (in reply to RCPT TO command)",
            "host mx.b.example[192.0.2.9] said: 554 5.0.0 <chen@b.example>: zorp gate closed for today, ticket AB77CD11 (in reply to RCPT TO command)",
            "550 flimflam by mx.a.example",
            "550",
        ]);
        assert_eq!(found.wordless, 1);
        let phrases: Vec<(usize, &str)> = found.rules.iter().map(|it| (it.count, it.phrase.as_str())).collect();
        assert_eq!(phrases, [(2, "zorp gate closed for today, ticket"), (1, "flimflam by")]);
        assert_eq!(found.rules[0].id, "own/zorp-gate-closed-for-today");
        assert_eq!(found.rules[0].samples, ["554 5.0.0 <li@example.org>: zorp gate closed for today, ticket A1B2C3D4"]);
    }

    #[test]
    fn what_differs_inside_becomes_a_placeholder() {
        let found = of(&[
            "554 the wozzle of anna has no more gribble left in it",
            "554 the wozzle of bernd has no more gribble left in it",
        ]);
        assert_eq!(found.rules.len(), 1);
        assert_eq!(found.rules[0].phrase, "the wozzle of {*} has no more gribble left in it");
    }

    #[test]
    fn each_proposal_loads_with_a_cause_and_decides_what_it_was_made_of() {
        let texts = [
            "554 zorp <li@b.example> gate is shut by {rule} \"7\" \\ for ever",
            "邮件被 wang@c.example 的守卫拦在门外了",
            "451 glorb at https://x.example/why?id=7 wants mx.d.example[192.0.2.3] to bow",
        ];
        let found = of(&texts);
        assert_eq!(found.rules.len(), 3, "{found:?}");
        let file: String = found.rules.iter().map(|it| it.toml("policy")).collect();
        let catalogue = Catalogue::with_overlay(&[("own.toml", &file)]).unwrap();
        for text in texts {
            let diagnosis = catalogue.diagnose_text(text, None, super::super::Home::Elsewhere);
            assert!(diagnosis.rule.starts_with("own/"), "{text}: {}", diagnosis.rule);
        }
        assert!(Catalogue::with_overlay(&[("own.toml", &found.rules[0].toml(""))]).is_err());
    }
}
