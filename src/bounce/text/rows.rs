//! How a line is built around an address: alone, behind a label, before its reason, in a table.

use super::{codes, lines::squeeze};
use crate::bounce::words::{self, Kind};

/// What the rows of one list have in common, whoever they name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Shape {
    /// What stands before the address, without digits and blanks.
    before: String,
    /// The mark behind it; a blank before words, nothing at the line's end.
    mark: Option<char>,
}

impl Shape {
    /// Of a line that tells a reason before the address, each another, the colon is the shape.
    pub(super) fn of(before: &str, after: &str) -> Self {
        let before = without_name(before);
        let opening: String = before.chars().filter(|it| !it.is_ascii_digit() && !it.is_whitespace()).collect();
        let before = if follows_words(before) { ":".to_owned() } else { opening.to_lowercase() };
        let after = after.trim_end_matches([',', ';', '.', '，', '、', ' ', '\t']).trim_start();
        let mark = after.chars().next().map(|it| if it.is_alphanumeric() { ' ' } else { it });
        Self { before, mark }
    }
}

/// An address without the label that an equals sign ties to it, as logs write, or the Chinese
/// preposition that nothing parts from it.
pub(super) fn without_label(address: &str) -> &str {
    let tail = |word: &str| address.rsplit_once(word).map(|(_, it)| it).filter(|it| it.is_ascii());
    let glued = words::of(Kind::To)
        .iter()
        .filter(|it| !it.starts_with(' '))
        .filter_map(|it| tail(it))
        .min_by_key(|it| it.len());
    if let Some(rest) = glued.filter(|it| it.find('@').is_some_and(|at| at > 0)) {
        return rest;
    }
    match address.split_once('=') {
        Some((label, rest)) if rest.contains('@') && words::are(Kind::Recipient, &squeeze(label)) => rest,
        _ => address,
    }
}

/// What stands before an address in angle brackets, without the name of whom it is.
fn without_name(before: &str) -> &str {
    let Some(opened) = before.strip_suffix('<') else { return before };
    let name = opened.trim_end_matches(|it: char| it.is_alphanumeric() || " .,'\"_-".contains(it));
    if name.len() < opened.len() && !opened.ends_with(|it: char| ":：".contains(it)) { name } else { before }
}

/// Whether what stands before an address are words and a colon, and no label.
pub(super) fn follows_words(before: &str) -> bool {
    let squeezed = squeeze(before);
    let words = before.trim_end_matches(['<', '(', '[', ' ']).strip_suffix([':', '：']);
    words.is_some() && squeezed.chars().count() >= 5 && !words::end(Kind::Recipient, &squeezed) && !is_label(&squeezed)
}

/// Whether it is no more than marks or a row's number.
pub(super) fn is_bullet(before: &str) -> bool {
    let squeezed = squeeze(before);
    before.ends_with('=') || squeezed.len() < 3 && squeezed.bytes().all(|it| it.is_ascii_digit())
}

/// The words of a row behind the address and the marks around them, if there are any.
pub(super) fn row_words(after: &str) -> Option<&str> {
    if after.trim_start_matches('>').starts_with("... ") {
        return None; // Sendmail's line about an address
    }
    let words = after.trim_start_matches(|it: char| it.is_whitespace() || "-–—:：|>(])=*,;.，'\"".contains(it));
    let words = words.trim_end_matches([' ', '\t', '|', '*']);
    let open = after.contains('(') && !words.contains('(');
    let words = if open { words.trim_end_matches(')') } else { words };
    let letters = words.chars().filter(|it| it.is_alphabetic()).count();
    (letters >= 4 || letters > 1 && !words.is_ascii() || codes::looks_like_reply(words)).then_some(words)
}

/// What a line says besides an address, squeezed; Outlook repeats it as a link.
pub(super) fn besides(line: &str, address: &str) -> String {
    squeeze(&line.replace(address, "").replace("<mailto:>", ""))
}

/// Whether what stands beside an address is no more than marks or a date: digits and a word between.
pub(super) fn says_nothing(squeezed: &str) -> bool {
    let letters = squeezed.chars().filter(|it| !it.is_ascii_digit()).count();
    letters == 0 || letters <= 4 && squeezed.len() >= letters + 5
}

/// Whether the line begins with a word that announces a reason.
pub(super) fn is_label(text: &str) -> bool {
    let squeezed = squeeze(text);
    words::begin(Kind::Reason, &squeezed) || words::are(Kind::Because, &squeezed)
}

/// Whether what stands on the line besides the address calls it a recipient.
pub(super) fn labelled(rest: &str) -> bool {
    let calls = |it: &String| rest.ends_with(it.as_str()) || it.len() > 4 && rest.starts_with(it.as_str());
    rest.len() <= 60 && words::of(Kind::Recipient).iter().any(calls)
}

/// Whether the address, with this before it, follows a colon, a comma or a preposition.
pub(super) fn introduced(before: &str) -> bool {
    let before = before.trim_end_matches(['<', '"', '\'', '[', ' ']).to_lowercase();
    before.ends_with([':', ',', '，', '、']) || words::end(Kind::To, &before)
}

/// The same in languages that put it behind.
pub(super) fn is_followed(after: &str) -> bool {
    let after = after.trim_start_matches(['>', '"', '\'', ']', ' ']);
    words::begin(Kind::ToBehind, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_list_have_one_shape() {
        let shape = |line: &str| {
            let (before, after) = line.split_once("a@b.example").unwrap();
            Shape::of(before, after)
        };
        for (one, other) in [
            ("1) a@b.example", "12) a@b.example"),
            ("a@b.example - full", "a@b.example - unknown"),
            ("a@b.example,", "a@b.example"),
            ("收件人：Wang Li <a@b.example>", "收件人：Zhou <a@b.example>"),
            ("| a@b.example | full |", "| a@b.example | unknown |"),
        ] {
            assert_eq!(shape(one), shape(other), "{one} {other}");
        }
        assert_eq!(shape("User unknown: <a@b.example>"), shape("Mailbox full: <a@b.example>"));
        assert_ne!(shape("From: a@b.example"), shape("To: a@b.example"));
    }

    #[test]
    fn the_words_of_a_row_are_what_stands_behind_its_marks() {
        for (after, words) in [
            (" - 550 no", Some("550 no")),
            (" (mailbox (of a user) full)", Some("mailbox (of a user) full)")),
            (" (mailbox full)", Some("mailbox full")),
            (" | 已满 |", Some("已满")),
            (" ..... full", Some("full")),
            (">... User unknown", None),
            (">:", None),
        ] {
            assert_eq!(row_words(after), words, "{after}");
        }
    }
}
