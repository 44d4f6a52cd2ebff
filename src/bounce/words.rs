//! The words of each language by which mail is read: `catalogue/words/<language>.toml`, the words of all in one.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

use super::text::squeeze;
use crate::catalogue;

/// What words are for: the keys of a language's file, which `en.toml` explains.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Recipient,
    Reason,
    Because,
    To,
    ToBehind,
    Glued,
    Code,
    Said,
    Refused,
    Prefix,
    FromLabel,
    DateLabel,
    ToLabel,
    CcLabel,
    SubjectLabel,
    Forwarded,
    Returned,
    Header,
    Opening,
    Quoted,
    Bounce,
    BounceTitle,
    Mail,
    Other,
    Author,
    Address,
    Oneself,
    Lure,
    Click,
    AutoReply,
    AutoReplyText,
    Session,
    Receipt,
    Left,
    Challenge,
    ChallengeSubject,
    Member,
    Service,
    Label,
    Contact,
}

static WORDS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let mut words = vec![Vec::new(); Kind::COUNT];
    for (path, _) in catalogue::folder("words") {
        let language: HashMap<Kind, Vec<String>> = catalogue::table(path).unwrap_or_default();
        for (kind, written) in language {
            words[kind as usize].extend(written.into_iter().map(|it| kind.compared(it)));
        }
    }
    words
});

/// The words of one kind in all languages.
pub(super) fn of(kind: Kind) -> &'static [String] {
    &WORDS[kind as usize]
}

/// Whether the words are among those of one kind.
pub(super) fn are(kind: Kind, words: &str) -> bool {
    of(kind).iter().any(|it| it == words)
}

/// Whether a text in lower case holds one of them.
pub(super) fn are_in(kind: Kind, text: &str) -> bool {
    of(kind).iter().any(|it| text.contains(it.as_str()))
}

/// Whether a text begins with one of them.
pub(super) fn begin(kind: Kind, text: &str) -> bool {
    of(kind).iter().any(|it| text.starts_with(it.as_str()))
}

/// Whether a text ends with one of them.
pub(super) fn end(kind: Kind, text: &str) -> bool {
    of(kind).iter().any(|it| text.ends_with(it.as_str()))
}

impl Kind {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Contact as usize + 1;

    /// A word as it is compared: what is looked for in squeezed words without blanks and marks, a preposition of a script that
    /// writes blanks behind one.
    fn compared(self, word: String) -> String {
        match self {
            Self::Recipient | Self::Reason | Self::Because => squeeze(&word),
            Self::To if word.chars().next().is_some_and(writes_blanks) => format!(" {word}"),
            _ => word,
        }
    }
}

/// A letter of a script that writes blanks between words.
fn writes_blanks(c: char) -> bool {
    c.is_alphabetic() && c < '\u{2e80}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_is_read_as_it_is_written() {
        for (path, _) in catalogue::folder("words") {
            let language: HashMap<Kind, Vec<String>> = catalogue::written(path);
            assert!(!language.is_empty() && language.values().all(|it| !it.is_empty()), "{path}");
        }
        assert!(are(Kind::Recipient, "받는사람") && are(Kind::To, " to") && are(Kind::To, "给"));
    }
}
