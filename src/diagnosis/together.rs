//! Words that stand in one sentence, in whatever order and however far apart: a mailbox, its space, and that it is used up.
//!
//! A phrase knows a wording; this knows what servers speak of, for wordings that no phrase knows. Each group is a list of
//! which one must be there; besides phrases it may hold `{recipient}`, `{sender}`, `{client}`, `{domain}` or `{message}`
//! alone: any noun of that sort (`noun.rs`). So phrases, which say more, go before such rules.

use std::{cell::OnceCell, ops::Range};

use super::{
    catalogue::phrase,
    form::{CatalogueError, Source, Word},
    noun::Noun,
    phrase::Phrase,
    rule::{Match, Words},
    text::Text,
};
use crate::literals::Literals;

/// What a noun's presence says, as long as its name may be.
const NOUN_WEIGHT: usize = 4;

/// Phrases and nouns of which one must be there.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) phrases: Vec<Phrase>,
    pub(super) nouns: Vec<Noun>,
}

/// The lists of one rule's `together`, those of words before those with nouns: words are found sooner.
pub(super) fn groups<'t, W: Word<'t>>(
    lists: Vec<Vec<W>>,
    source: Source<'_>,
    literals: &mut Literals,
) -> Result<Vec<Group>, CatalogueError> {
    let first = lists.iter().flatten().next().map(Word::span);
    let mut groups = Vec::new();
    for list in lists {
        let mut group = Group::default();
        for word in list {
            let bare = word.text().strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            match bare.and_then(Noun::named) {
                Some(noun) => group.nouns.push(noun),
                None => group.phrases.push(phrase(word, source, literals)?),
            }
        }
        groups.push(group);
    }
    groups.sort_by_key(|it| !it.nouns.is_empty());
    if groups.first().is_some_and(|it| it.shortest().is_none()) {
        let hint = "give `together` one list of words without a noun";
        return Err(source.mistake(&first.unwrap_or_default(), "`together` asks for nouns alone", hint));
    }
    Ok(groups)
}

/// The sentences of a text and the nouns in it, looked for when a rule first asks.
#[derive(Default)]
pub(super) struct Sentences {
    sentences: OnceCell<Vec<Range<usize>>>,
    nouns: OnceCell<Vec<(Noun, Range<usize>)>>,
}

impl Sentences {
    fn of(&self, text: &Text<'_>) -> &[Range<usize>] {
        self.sentences.get_or_init(|| sentences(text.original()))
    }

    fn nouns(&self, text: &Text<'_>) -> &[(Noun, Range<usize>)] {
        self.nouns.get_or_init(|| {
            let mut nouns = Noun::all(text.original(), text.address_places());
            nouns.retain(|(_, at)| !text.inside_name(at));
            nouns
        })
    }
}

impl Group {
    /// Words alone, of which none is so short that it stands everywhere: how short the shortest is. `None` if a noun may do.
    pub(super) fn shortest(&self) -> Option<usize> {
        self.phrases.iter().map(Phrase::weight).min().filter(|_| self.nouns.is_empty())
    }

    /// The literals without which it cannot be there, if nouns cannot.
    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        self.phrases.iter().map(Phrase::key)
    }

    /// Where it is said, and how much that says; `None` if nowhere.
    fn said(&self, words: &Words<'_>) -> Option<Vec<(usize, Range<usize>)>> {
        let places = |it: &Phrase| it.places(&words.text, &words.hits).map(|at| (it.weight(), at)).collect::<Vec<_>>();
        let mut said: Vec<_> = self.phrases.iter().flat_map(places).collect();
        if !self.nouns.is_empty() {
            let nouns = words.sentences.nouns(&words.text).iter().filter(|(noun, _)| self.nouns.contains(noun));
            said.extend(nouns.map(|(_, at)| (NOUN_WEIGHT, at.clone())));
        }
        (!said.is_empty()).then_some(said)
    }
}

/// Where one of each group stands in the same sentence.
pub(super) fn find(groups: &[Group], words: &Words<'_>) -> Option<Match> {
    let said = groups.iter().map(|it| it.said(words)).collect::<Option<Vec<_>>>()?;
    words.sentences.of(&words.text).iter().find_map(|sentence| {
        let inside = |at: &Range<usize>| sentence.start <= at.start && at.end <= sentence.end;
        let mut weight = 0;
        let mut found: Vec<&Range<usize>> = Vec::new();
        for group in &said {
            // One word is not two: a `hostname` no host and its name.
            let apart = |at: &Range<usize>| found.iter().all(|it| it.end <= at.start || at.end <= it.start);
            let within = group.iter().filter(|(_, at)| inside(at) && apart(at));
            let (says, at) = within.max_by_key(|(weight, at)| (*weight, usize::MAX - at.start))?;
            weight += says;
            found.push(at);
        }
        let start = found.iter().map(|it| it.start).min()?;
        let end = found.iter().map(|it| it.end).max()?;
        Some(Match { weight, place: Some(start..end) })
    })
}

/// Where the sentences of a text stand.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        let (before, after) = (text.get(start..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let ends = "。！？；".contains(c) || ".!?;".contains(c) && after.starts_with(char::is_whitespace);
        if end > start && (ends || quotes(before, after)) {
            found.push(start..end);
            start = end;
        }
    }
    found.push(start..text.len());
    found
}

/// Whether one server's words end and another's begin: `host mx said: 550 no`, `after RCPT TO:<li@…>: 550 no`, `no (in reply
/// to RCPT TO command)`.
fn quotes(before: &str, after: &str) -> bool {
    let code = |it: &str| it.starts_with([' ', '\t']) && it.trim_start().starts_with(['4', '5']);
    before.ends_with("said:") || before.ends_with([':', '>']) && code(after) || after.starts_with("(in reply to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_sentences() {
        let told = |text: &'static str| sentences(text).into_iter().map(|it| text[it].trim()).collect::<Vec<_>>();
        assert_eq!(told("550 5.1.1 No. Not here; go"), ["550 5.1.1 No.", "Not here;", "go"]);
        assert_eq!(told("邮箱已满。请稍后"), ["邮箱已满。", "请稍后"]);
        assert_eq!(
            told("host mx said: No (in reply to RCPT TO command)"),
            ["host mx said:", "No", "(in reply to RCPT TO command)"]
        );
        assert_eq!(told("after RCPT TO:<li@example.org>: 550 No"), ["after RCPT TO:<li@example.org>:", "550 No"]);
        assert_eq!(told("see https://example.org/?p=No!x"), ["see https://example.org/?p=No!x"]);
        assert_eq!(told(""), [""]);
    }
}
