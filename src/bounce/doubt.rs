//! Whether what reads like a bounce is one, where a guess is all there is and nothing came back.

use super::{
    Provenance, senders,
    text::{self, TextReading, TextRecipient},
    voice::{self, Speech},
    why_not,
    words::{self, Kind},
};
use crate::mail::{Mail, header::addresses};

/// Octets of a text in which rows are looked for.
const READ: usize = 32 * 1024;

/// A guess about a message of somebody who bears no daemon's name: people, shops and monitors write
/// of failures too, and a gateway may have taken their reverse-path away. A bounce speaks of mail
/// and to its author, or its subject says what it is; and it does not speak for itself. Postmasters
/// write letters as well, of which neither subject nor words say that a message failed.
pub(super) fn is_doubtful(mail: &Mail, reading: &TextReading, speech: &Speech<'_>) -> bool {
    let from = mail.header("from").unwrap_or_default();
    if reading.provenance != Provenance::Guess || from.trim().is_empty() {
        return false;
    }
    if senders::is_daemon(from) {
        return senders::is_postmaster(from) && is_letter(mail, reading, speech);
    }
    let to_author = speech.is_to_the_author();
    if !speech.is_of_mail() && reading.recipients.iter().all(TextRecipient::is_quiet) {
        return true;
    }
    if !to_author && speech.is_of_other_things() {
        return true;
    }
    if why_not::bears_a_daemons_name(mail) {
        return false;
    }
    let titled = is_titled(mail.header("subject").unwrap_or_default());
    let quiet = reading.recipients.iter().all(TextRecipient::is_quiet);
    let robot = || quiet && why_not::robot(mail).is_some();
    let amid = || !reading.recipients.iter().any(|it| stands_apart(mail.text(), &it.address.to_string()));
    speech.is_ones_own() || if to_author { quiet && !titled } else { !titled || robot() || amid() }
}

/// Whether an address begins a line, or a label stands before it, as in reports. In letters it stands
/// amid the words of a sentence.
fn stands_apart(text: &str, address: &str) -> bool {
    let label = |before: &str| {
        let word = before.is_ascii() && !before.contains(' ');
        let row = word || before.ends_with([':', '：', '|', '=']) || voice::ends_in_label(before);
        row && !voice::ends_in_contact(before)
    };
    let text = text.get(..text.floor_char_boundary(READ)).unwrap_or(text);
    text.lines().any(|line| {
        let before = line.split_once(address).map(|(before, _)| before);
        before.is_some_and(|it| label(it.trim().trim_end_matches(['<', '"', '\'', '(', '[', ' ', '\u{3000}'])))
    })
}

/// What a postmaster writes to a colleague, or his programs to him; not what gives a server's reply for an
/// address that stands apart, or speaks to an author.
fn is_letter(mail: &Mail, reading: &TextReading, speech: &Speech<'_>) -> bool {
    let subject = mail.header("subject").unwrap_or_default();
    if why_not::without_prefix(subject).0 {
        return true;
    }
    if text::is_bounce_subject(subject) {
        return !speech.is_to_the_author()
            && (speech.is_of_other_things() || speech.is_tagged() || speech.is_of_service());
    }
    let replied = |it: &TextRecipient| !it.is_quiet() && stands_apart(mail.text(), &it.address.to_string());
    let says_why = || speech.is_to_the_author() || reading.recipients.iter().any(replied);
    speech.is_ones_own() || !text::tells_failure(mail.text()) && !says_why()
}

/// Whether a list, a tracker or a monitor tells of what another got.
pub(super) fn is_service(mail: &Mail, reading: &TextReading, speech: &Speech<'_>) -> bool {
    if why_not::bears_a_daemons_name(mail) {
        return false;
    }
    let titled = || is_titled(mail.header("subject").unwrap_or_default());
    let quiet = || reading.recipients.iter().all(TextRecipient::is_quiet) || why_not::robot(mail).is_some();
    let of_others = || !speech.is_to_the_author() || quiet();
    senders::has_service_fields(mail.headers())
        || speech.is_of_service() && of_others()
        || speech.is_tagged() && (of_others() || !titled())
}

/// Whether a subject is a bounce's, for more than that it speaks of bounces.
fn is_titled(subject: &str) -> bool {
    if words::begin(Kind::BounceTitle, subject.trim_start()) {
        return text::is_bounce_subject(subject);
    }
    let subject = subject.to_lowercase();
    text::is_bounce_subject(&words::of(Kind::Bounce).iter().fold(subject, |it, word| it.replace(word, "")))
}

/// A link, and words that lure to it.
pub(super) fn lures(mail: &Mail, speech: &Speech<'_>) -> bool {
    why_not::has_links(mail) && speech.lures()
}

/// A link that the reader shall follow, and no word of any server; or one beside words that blame
/// the reader's own mailbox.
pub(super) fn is_bait(mail: &Mail, reading: &TextReading, speech: &Speech<'_>) -> bool {
    if !why_not::has_links(mail) {
        return false;
    }
    let from = mail.header("from").unwrap_or_default();
    let stranger = || !senders::is_daemon(from.rsplit('<').next().unwrap_or_default());
    let lures = speech.lures();
    let guessed = reading.provenance == Provenance::Guess;
    let asks = lures || guessed && (stranger() && speech.asks_to_click() || !speech.is_to_the_author());
    let itself = || {
        (asks || !why_not::bears_a_daemons_name(mail))
            && why_not::names_only_its_reader(mail, reading.recipients.iter().map(|it| &it.address))
    };
    asks && reading.recipients.iter().all(TextRecipient::is_quiet) || !reading.recipients.is_empty() && itself()
}

/// Whether the daemon's name is that of its address as well, and of the reverse-path, a server says
/// why somebody else failed, and the link is for help.
pub(super) fn is_consistent(mail: &Mail, reading: &TextReading, speech: &Speech<'_>) -> bool {
    let first = |field: &str| addresses(mail.header(field).unwrap_or_default()).into_iter().next().map(|(_, it)| it);
    let (Some(author), Some(path)) = (first("from"), first("return-path")) else { return false };
    author.same_mailbox(&path)
        && senders::is_daemon(author.local())
        && !reading.recipients.is_empty()
        && !reading.recipients.iter().any(TextRecipient::is_quiet)
        && !why_not::names_only_its_reader(mail, reading.recipients.iter().map(|it| &it.address))
        && !speech.lures()
}

/// Whether a file comes along that is neither text nor a message: no daemon sends one by itself.
pub(super) fn carries_a_file(mail: &Mail) -> bool {
    mail.parts().iter().any(|it| {
        let kind = it.content_type();
        let page = kind == "text/html" && it.is_attachment();
        page || it.children().is_empty()
            && !["text/", "message/", "image/", "multipart/"].iter().any(|begins| kind.starts_with(begins))
    })
}

#[cfg(test)]
mod tests;
