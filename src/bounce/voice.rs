//! Who speaks in a message, and of what: the words of `catalogue/words/` that tell it, looked for.

use std::{cell::OnceCell, sync::OnceLock};

use super::{
    text,
    words::{self, Kind},
};
use crate::{literals::Finder, mail::Mail};

/// Octets of a text that are looked at: who speaks says so at once.
const HEAD: usize = 4096;
/// Of these many lines somebody who speaks for himself shows it in the first.
const FIRST_LINES: usize = 4;
/// Octets of those.
const FIRST: usize = 400;

/// A list of words that is looked for.
struct Words {
    finder: Finder,
    /// Compounds begin with them.
    open: bool,
}

impl Words {
    fn of(kind: Kind) -> Self {
        let words: Vec<&str> = words::of(kind).iter().map(String::as_str).collect();
        Self { finder: Finder::of(&words), open: kind == Kind::AutoReply }
    }

    /// Whether one of them stands in a text in lower case. What begins or ends with a letter of the
    /// Latin script is a word of its own there: `your message` is not in `your messages`.
    fn are_in(&self, text: &str) -> bool {
        let latin = |it: Option<char>| it.is_some_and(|it| it.is_alphabetic() && it < '\u{250}');
        let mut found = false;
        self.finder.each(text.as_bytes(), |_, at| {
            let around = (text.get(..at.start), text.get(at.clone()), text.get(at.end..));
            let (Some(before), Some(word), Some(after)) = around else { return };
            let goes_on = !self.open && latin(word.chars().next_back()) && latin(after.chars().next());
            let began = latin(word.chars().next()) && latin(before.chars().next_back());
            found |= !goes_on && !began;
        });
        found
    }
}

/// Whether words of one kind stand in a text in lower case; made ready when they are first looked for.
fn are_in(kind: Kind, text: &str) -> bool {
    static READY: [OnceLock<Words>; Kind::COUNT] = [const { OnceLock::new() }; Kind::COUNT];
    READY[kind as usize].get_or_init(|| Words::of(kind)).are_in(text)
}

/// Whether a subject is that of an automatic answer.
pub(super) fn is_title_of_answer(subject: &str) -> bool {
    are_in(Kind::AutoReply, &folded(head(subject, HEAD)))
}

/// Subject and the first words, in lower case, blanks folded to one; each only when asked for.
pub(super) struct Speech<'m> {
    title: &'m str,
    subject: OnceCell<String>,
    source: &'m str,
    text: OnceCell<String>,
    /// Without what gateways put around it.
    bare: OnceCell<String>,
}

impl<'m> Speech<'m> {
    pub(super) fn of(mail: &'m Mail) -> Self {
        Self::new(mail.header("subject").unwrap_or_default(), mail.text())
    }

    fn new(title: &'m str, source: &'m str) -> Self {
        Self { title, subject: OnceCell::new(), source, text: OnceCell::new(), bare: OnceCell::new() }
    }

    fn subject(&self) -> &str {
        self.subject.get_or_init(|| folded(head(self.title, HEAD)))
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| folded(head(self.source, HEAD)))
    }

    fn says(&self, kind: Kind) -> bool {
        are_in(kind, self.subject()) || are_in(kind, self.text())
    }

    /// The same, but for what gateways put around a message: they warn of links too.
    fn says_itself(&self, kind: Kind) -> bool {
        let bare = || folded(&text::without_asides(head(self.source, HEAD)));
        self.says(kind) && (are_in(kind, self.subject()) || are_in(kind, self.bare.get_or_init(bare)))
    }

    /// Mail is spoken of.
    pub(super) fn is_of_mail(&self) -> bool {
        self.says(Kind::Mail)
    }

    /// Something is spoken of that fails to arrive and is no mail.
    pub(super) fn is_of_other_things(&self) -> bool {
        self.says(Kind::Other)
    }

    /// The author of one message is spoken to; of his address services speak as well.
    pub(super) fn is_to_the_author(&self) -> bool {
        let without = |text: &str| words::of(Kind::Address).iter().fold(text.to_owned(), |it, cut| it.replace(cut, ""));
        let said = |text: &str| are_in(Kind::Author, &without(text));
        said(self.subject()) || said(self.text())
    }

    /// Somebody tells what happened to him, or asks.
    pub(super) fn is_ones_own(&self) -> bool {
        let lines = self.source.lines().map(str::trim).filter(|it| !it.is_empty());
        let first = lines.take(FIRST_LINES).map(|it| head(it, FIRST)).collect::<Vec<_>>().join(" ");
        are_in(Kind::Oneself, &folded(head(&first, FIRST)))
    }

    /// The reader shall follow a link.
    pub(super) fn lures(&self) -> bool {
        self.says_itself(Kind::Lure)
    }

    /// The same, in words that help pages use too.
    pub(super) fn asks_to_click(&self) -> bool {
        self.says_itself(Kind::Click)
    }

    /// Somebody left, or nobody reads here.
    pub(super) fn is_of_one_who_left(&self) -> bool {
        self.says(Kind::Left)
    }

    /// The subject is that of an automatic answer.
    pub(super) fn is_titled_as_answer(&self) -> bool {
        are_in(Kind::AutoReply, self.subject())
    }

    /// The subject begins as that of an automatic answer.
    pub(super) fn begins_as_answer(&self) -> bool {
        words::begin(Kind::AutoReply, self.subject())
    }

    /// The text says that it is an automatic answer.
    pub(super) fn calls_itself_an_answer(&self) -> bool {
        are_in(Kind::AutoReplyText, self.text())
    }

    /// The subject begins as a receipt's, and the author of the message that was read is spoken to.
    pub(super) fn is_titled_as_receipt(&self) -> bool {
        words::begin(Kind::Receipt, self.subject()) && self.is_to_the_author()
    }

    /// A postmaster is told of a session.
    pub(super) fn is_titled_as_session(&self) -> bool {
        words::begin(Kind::Session, self.subject())
    }

    /// A person shall show that he is one.
    pub(super) fn challenges(&self) -> bool {
        self.says(Kind::Challenge)
    }

    /// The subject says so, and it is the reader's message that waits.
    pub(super) fn is_titled_as_challenge(&self) -> bool {
        are_in(Kind::ChallengeSubject, self.subject()) && are_in(Kind::Author, self.text())
    }

    /// A list tells of one of its members.
    pub(super) fn is_of_a_member(&self) -> bool {
        self.says(Kind::Member)
    }

    /// The subject without what a bounce's subject repeats of the original's.
    fn own_title(&self) -> &str {
        let title = head(self.title, HEAD).trim();
        let begins = title.split([':', '：']).next().unwrap_or_default();
        if text::is_bounce_subject(begins) && !title.starts_with(['[', '【']) { begins } else { title }
    }

    /// The subject bears a list's or tracker's tag or number.
    pub(super) fn is_tagged(&self) -> bool {
        let title = self.own_title();
        let numbered = || title.split('#').skip(1).any(|it| it.starts_with(|c: char| c.is_ascii_digit()));
        title.starts_with(['[', '【']) || numbered() || title.split_whitespace().any(is_number)
    }

    /// The subject speaks of the affairs of trackers, schedulers and monitors.
    pub(super) fn is_of_service(&self) -> bool {
        are_in(Kind::Service, &self.own_title().to_lowercase())
    }
}

/// Whether a word is a tracker's number: `INC0012345`, `HD-12`.
fn is_number(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = word.len() - digits.len();
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    letters > 1 && digits.len() > 1 && digits.bytes().all(|it| it.is_ascii_digit())
}

/// Whether what stands before an address ends in a word that calls it a recipient.
pub(super) fn ends_in_label(before: &str) -> bool {
    ends_in(Kind::Label, before)
}

/// Whether it ends in a word that calls it that of somebody to ask.
pub(super) fn ends_in_contact(before: &str) -> bool {
    ends_in(Kind::Contact, before)
}

fn ends_in(kind: Kind, before: &str) -> bool {
    let close: String = before.to_lowercase().split_whitespace().collect();
    words::end(kind, &close)
}

fn head(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    if folded.is_ascii() {
        folded.make_ascii_lowercase();
        return folded;
    }
    // Of the Turkish capital with a dot the small letter keeps one to spare.
    folded.to_lowercase().replace('’', "'").replace('\u{307}', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_is_told_from_several() {
        assert!(Speech::new("", "Your message\nto joe could not be delivered").is_to_the_author());
        assert!(!Speech::new("", "Two of your messages bounced").is_to_the_author());
        assert!(Speech::new("关于退信", "您发送的邮件被退回").is_to_the_author());
    }
}
