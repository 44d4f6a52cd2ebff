//! The words of each language that mail is laid out with: `catalogue/words/<language>.toml`.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

use super::text::squeeze;
use crate::catalogue;

/// What words are for: the keys of a language's file.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// What rows call a recipient; squeezed.
    Recipient,
    /// With which a line begins that gives a reason; squeezed.
    Reason,
    /// The same of words that begin sentences as well, and so stand alone; squeezed.
    Because,
    /// Right before an address that mail was sent to; behind a blank in scripts that write blanks.
    To,
    /// Right behind one.
    ToBehind,
    /// Before an address that no blank parts from them.
    Glued,
    /// In the label of a row of codes.
    Code,
    /// Before a reply code.
    Said,
    /// That a recipient refused a message by a rule of his own (RFC 5429 §2.1.2).
    Refused,
    /// Of the subjects of answers and forwardings, before the colon.
    Prefix,
    /// The labels of a pasted header.
    FromLabel,
    DateLabel,
    ToLabel,
    CcLabel,
    SubjectLabel,
    /// In a line that announces a forwarded message.
    Forwarded,
    /// In a daemon's line that announces the returned one.
    Returned,
    /// For bounces, in subjects that tell of others' as well.
    Bounce,
    /// With which a bounce's subject begins that says no more than such a word.
    BounceTitle,
    /// For the sake of which a bounce is looked for in a person's mail.
    Quoted,
    /// With which a pasted header begins.
    Header,
    /// With which the text of a pasted bounce begins.
    Opening,
}

static WORDS: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let mut words = Vec::new();
    for (path, _) in catalogue::folder("words") {
        let language: HashMap<Kind, Vec<String>> = catalogue::table(path).unwrap_or_default();
        for (kind, written) in language {
            let kind_at = kind as usize;
            if words.len() <= kind_at {
                words.resize(kind_at + 1, Vec::new());
            }
            words[kind_at].extend(written.into_iter().map(|it| kind.compared(it)));
        }
    }
    words
});

/// The words of one kind in all languages.
pub(super) fn of(kind: Kind) -> &'static [String] {
    WORDS.get(kind as usize).map_or(&[], Vec::as_slice)
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
    /// A word as it is compared.
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
