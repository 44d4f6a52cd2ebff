//! The way from bytes to `Recognition`: our mark, then reports, then words, then whoever forwards.
//!
//! Structured reports come first (RFC 6522 §3: found anywhere in the tree, since forwarders wrap
//! them); the words of a known format give the format's name and mend what the report lacks. A
//! person who forwards a bounce as an attachment passes it on; one who quotes it does not.

mod dsn;
mod original;
mod why_not;

use self::dsn::Report;
use crate::{
    bounce::{
        Action, Bounce, Envelope, NotABounce, Original, Provenance, RecipientReport, Recognition, WhyNot,
        text::{self, TextReading, TextRecipient},
    },
    mail::{Mail, Mailbox, MessageId, ReversePath, mark},
};

/// The human text kept for review, in octets.
const HUMAN_TEXT: usize = 16 * 1024;
/// Of the returned text, this much is looked at for filler (`design.md` §8.8).
const FILLER_LIMIT: usize = 4 * 1024;
/// A diagnostic is never longer, in octets.
const DIAGNOSTIC: usize = 4 * 1024;
/// Recipients that one report may name.
const MOST_RECIPIENTS: usize = 1000;

/// What a message is. Total: any bytes give an answer.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Recognition {
    let mail = Mail::parse(bytes);
    let envelope = original::envelope(&mail);
    if carries_our_mark(&mail) {
        return no(WhyNot::OurOwnReply, envelope);
    }
    let system = why_not::is_from_a_system(&mail, &envelope);
    let answered = why_not::is_answer_or_forward(&mail, &envelope);
    if mail.part_of_type("message/feedback-report").is_some() {
        return no(WhyNot::FeedbackReport, envelope);
    }
    if let Some(bounce) = by_report(&mail, &envelope) {
        return Recognition::Bounce(wrapped(bounce, system, answered));
    }
    if mail.part_of_type("message/disposition-notification").is_some() {
        return no(WhyNot::DispositionNotification, envelope);
    }
    let reading = text::read(&mail);
    if !system || answered {
        if let Some(bounce) = forwarded(&mail, &envelope) {
            return Recognition::Bounce(bounce);
        }
        if let Some(reading) = reading.as_ref().filter(|it| answered && !it.recipients.is_empty()) {
            let quoted = by_words(&mail, &envelope, reading.clone());
            return Recognition::NotABounce(NotABounce {
                because: WhyNot::QuotedBounce,
                forwarded_by: envelope.from.clone(),
                quoted: quoted.map(Box::new),
                envelope,
            });
        }
    }
    let convincing = reading.filter(|it| match it.provenance {
        Provenance::ReportField | Provenance::Text => true,
        Provenance::Guess => system && !why_not::is_automatic_reply(&mail, &envelope),
    });
    match convincing.and_then(|it| by_words(&mail, &envelope, it)) {
        Some(bounce) => Recognition::Bounce(bounce),
        None => no(why_not::why_not(&mail, &envelope), envelope),
    }
}

fn no(because: WhyNot, envelope: Envelope) -> Recognition {
    Recognition::NotABounce(NotABounce { because, forwarded_by: None, quoted: None, envelope })
}

/// Our mark in the message itself (`design.md` §3): whatever it is, it is our doing. What lies in a
/// returned original is for `Original::ours`.
fn carries_our_mark(mail: &Mail) -> bool {
    let ids = ["message-id", "in-reply-to", "references"];
    let named = ids.iter().flat_map(|name| mail.headers().all(name)).flat_map(str::split_whitespace);
    named.filter_map(MessageId::parse).any(|it| mark::is_our_message_id(&it))
        || mail.parts().iter().any(|it| it.headers().first("x-whybounced").is_some())
        || original::has_footer(mail.text())
}

/// A person who sends a report on, in the same tree, is named; their own mail is the envelope.
fn wrapped(mut bounce: Bounce, system: bool, answered: bool) -> Bounce {
    if !system && answered {
        bounce.forwarded_by = bounce.envelope.from.clone();
    }
    bounce
}

/// A bounce within a message that a person attached.
fn forwarded(mail: &Mail, envelope: &Envelope) -> Option<Bounce> {
    let attached = mail.parts().iter().filter(|it| matches!(it.content_type(), "message/rfc822" | "message/global"));
    attached.filter_map(|it| it.message()).take(8).find_map(|inner| {
        let inside = original::envelope(inner);
        let found = by_report(inner, &inside).or_else(|| {
            let reading = text::read(inner)
                .filter(|it| it.provenance != Provenance::Guess || why_not::is_from_a_system(inner, &inside))?;
            by_words(inner, &inside, reading)
        });
        let found = found.or_else(|| forwarded(inner, &inside))?;
        Some(Bounce { forwarded_by: envelope.from.clone(), envelope: envelope.clone(), ..found })
    })
}

/// By a delivery status notification, anywhere in the tree.
fn by_report(mail: &Mail, envelope: &Envelope) -> Option<Bounce> {
    let mut report = mail.parts().iter().filter(|it| dsn::is_report(it)).map(dsn::read).reduce(merged)?;
    let reading = text::read(mail);
    let (words, rest) = match reading {
        Some(reading) => (reading.recipients.clone(), Some(reading)),
        None => (Vec::new(), None),
    };
    // A group without a readable address has one if the words name exactly as many recipients.
    if report.recipients.is_empty() && !report.nameless.is_empty() && !words.is_empty() {
        for (index, word) in words.iter().enumerate() {
            let mut it = from_words(word.clone(), Provenance::Text);
            if let Some(group) = report.nameless.get(index).or_else(|| report.nameless.first()) {
                it.action = group.action;
                it.status = group.status.or(it.status);
                it.remote_mta = group.remote_mta.clone().or(it.remote_mta);
                it.diagnostic = it.diagnostic.or_else(|| group.diagnostic.clone());
            }
            report.recipients.push(it);
        }
    }
    if report.recipients.is_empty() {
        return None;
    }
    for it in &mut report.recipients {
        mend(it, &words);
    }
    let sender = report.sender.take();
    let mut bounce = Bounce {
        format: rest
            .as_ref()
            .map(|it| it.format.clone())
            .filter(|it| it != "general")
            .unwrap_or_else(|| "rfc3464".to_owned()),
        reporting_mta: report.reporting_mta.or_else(|| rest.as_ref().and_then(|it| it.reporting_mta.clone())),
        arrival_date: report.arrival_date,
        original_envelope_id: report.original_envelope_id,
        recipients: sorted(report.recipients),
        ..frame(mail, envelope, rest.as_ref())
    };
    if let Some(sender) = sender {
        let original = bounce.original.get_or_insert_default();
        original.return_path.get_or_insert(ReversePath::Mailbox(sender));
    }
    Some(bounce)
}

fn merged(mut one: Report, other: Report) -> Report {
    one.reporting_mta = one.reporting_mta.or(other.reporting_mta);
    one.arrival_date = one.arrival_date.or(other.arrival_date);
    one.original_envelope_id = one.original_envelope_id.or(other.original_envelope_id);
    one.sender = one.sender.or(other.sender);
    one.recipients.extend(other.recipients);
    one.nameless.extend(other.nameless);
    one
}

/// Better words where the report's own are poor; the host and the expiry where only words tell.
fn mend(it: &mut RecipientReport, words: &[TextRecipient]) {
    let same = |word: &&TextRecipient| {
        word.address.same_mailbox(&it.final_recipient)
            || it.original_recipient.as_ref().is_some_and(|typed| typed.same_mailbox(&word.address))
    };
    let only = || words.first().filter(|_| words.len() == 1);
    let Some(word) = words.iter().find(same).or_else(only) else { return };
    let poor = it
        .diagnostic
        .as_ref()
        .is_none_or(|said| said.split_whitespace().filter(|it| it.chars().any(char::is_alphabetic)).count() < 2);
    if poor && let Some(said) = &word.diagnostic {
        it.diagnostic = Some(said.clone());
        it.reply_code = it.reply_code.or(word.reply_code);
        if it.status.is_none_or(crate::mail::EnhancedStatusCode::says_nothing) {
            it.status = word.status.or(it.status);
        }
    }
    it.remote_mta = it.remote_mta.take().or_else(|| word.remote_mta.clone());
    it.expired |= word.expired && it.action == Action::Failed;
}

/// By the words of a free-text format.
fn by_words(mail: &Mail, envelope: &Envelope, mut reading: TextReading) -> Option<Bounce> {
    let provenance = reading.provenance;
    let recipients: Vec<_> =
        std::mem::take(&mut reading.recipients).into_iter().map(|it| from_words(it, provenance)).collect();
    (!recipients.is_empty()).then(|| Bounce {
        format: reading.format.clone(),
        reporting_mta: reading.reporting_mta.clone(),
        arrival_date: None,
        original_envelope_id: None,
        recipients: sorted(recipients),
        ..frame(mail, envelope, Some(&reading))
    })
}

fn from_words(it: TextRecipient, provenance: Provenance) -> RecipientReport {
    RecipientReport {
        final_recipient: it.address,
        original_recipient: it.original,
        action: it.action,
        status: it.status,
        reply_code: it.reply_code,
        diagnostic: it.diagnostic,
        remote_mta: it.remote_mta,
        last_attempt_date: None,
        will_retry_until: None,
        expired: it.expired,
        provenance,
    }
}

/// Failed ones first, each address once, diagnostics bounded.
fn sorted(mut recipients: Vec<RecipientReport>) -> Vec<RecipientReport> {
    recipients.truncate(MOST_RECIPIENTS);
    recipients.sort_by_key(|it| it.action);
    let mut seen: Vec<(Mailbox, Action)> = Vec::new();
    recipients.retain_mut(|it| {
        it.diagnostic = it.diagnostic.take().map(|said| cut(&said, DIAGNOSTIC).to_owned());
        let key = (it.final_recipient.clone(), it.action);
        let new = !seen.contains(&key);
        if new {
            seen.push(key);
        }
        new
    });
    recipients
}

/// What all bounces have: the returned original, the human text, filler, defects. The rest of the
/// struct is the caller's.
fn frame(mail: &Mail, envelope: &Envelope, reading: Option<&TextReading>) -> Bounce {
    let at = reading.and_then(|it| it.original_at);
    let pasted = at.and_then(|at| mail.text().get(at..)).and_then(header_block_on);
    let attached = returned(mail);
    let pasted_mail = pasted.filter(|_| attached.is_none()).map(|it| Mail::parse(it.as_bytes()));
    let inner = attached.or(pasted_mail.as_ref());
    let mut original = inner.and_then(original::original);
    if let Some(told) = reading
        .map(|it| &it.particulars)
        .filter(|it| it.from.is_some() || it.subject.is_some() || it.message_id.is_some())
    {
        let original = original.get_or_insert_with(Original::default);
        original.from = original.from.take().or_else(|| told.from.clone());
        original.subject = original.subject.take().or_else(|| told.subject.clone());
        original.message_id = original.message_id.take().or_else(|| told.message_id.clone());
    }
    let human = at.and_then(|at| mail.text().get(..at)).unwrap_or(mail.text());
    let filler_seen = [inner.map(Mail::text), pasted, Some(human)].into_iter().flatten().any(holds_filler);
    let defects = mail.defects().iter().map(|it| (*it).to_owned());
    Bounce {
        format: String::new(),
        reporting_mta: None,
        arrival_date: None,
        original_envelope_id: None,
        recipients: Vec::new(),
        original,
        forwarded_by: None,
        envelope: envelope.clone(),
        filler_seen,
        human_text: cut(human, HUMAN_TEXT).to_owned(),
        defects: defects.collect(),
    }
}

/// The text from where a header block begins, within the first lines: separators stand before it.
fn header_block_on(text: &str) -> Option<&str> {
    let known =
        ["return-path:", "received:", "from:", "date:", "to:", "subject:", "message-id:", "x-", "mime-version:"];
    let mut at = 0;
    for line in text.split_inclusive('\n').take(30) {
        let lower = line.trim_start_matches([' ', '>', '|']).to_ascii_lowercase();
        if known.iter().any(|it| lower.starts_with(it)) {
            return text.get(at..);
        }
        at += line.len();
    }
    None
}

/// The returned message or header block as a part of its own.
fn returned(mail: &Mail) -> Option<&Mail> {
    let kinds =
        ["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "message/rfc822-headers"];
    let parts = mail.parts().iter().skip(1).filter(|it| kinds.contains(&it.content_type()));
    parts.filter_map(|it| it.message()).find(|it| !it.headers().is_empty())
}

/// `AAAAZZZZ…` in place of text (row 2.7): four runs in a row of A's and Z's, two letters or more each.
fn holds_filler(text: &str) -> bool {
    let (mut runs, mut length, mut last) = (0_u32, 0_u32, ' ');
    for c in cut(text, FILLER_LIMIT).chars().map(|c| c.to_ascii_lowercase()).chain([' ']) {
        if c == last {
            length += 1;
            continue;
        }
        runs = if matches!(last, 'a' | 'z') && length >= 2 { runs + 1 } else { 0 };
        if runs >= 4 {
            return true;
        }
        if !matches!(c, 'a' | 'z') {
            runs = 0;
        }
        (last, length) = (c, 1);
    }
    false
}

fn cut(text: &str, octets: usize) -> &str {
    let mut end = octets.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_is_a_run_of_alternations() {
        for text in ["AAAAZZZZAAAAZZZZAAAAZZZZ", "see: aaazzzaazzzz", "AAAAZZZZZAAAAZZZZ"] {
            assert!(holds_filler(text), "{text}");
        }
        assert!(!holds_filler("a pizza, jazz and AAA batteries"));
    }

    #[test]
    fn noise_is_unreadable_and_a_letter_is_ordinary() {
        let why = |bytes: &[u8]| match recognise(bytes) {
            Recognition::NotABounce(it) => it.because,
            Recognition::Bounce(it) => panic!("a bounce: {it:?}"),
        };
        assert_eq!(why(b""), WhyNot::Unreadable);
        assert_eq!(why(&[0xff, 0, 1, 2]), WhyNot::Unreadable);
        assert_eq!(why(b"From: a@b.example\nSubject: lunch\n\nToday?\n"), WhyNot::OrdinaryMail);
        assert_eq!(
            why(b"From: a@b.example\nIn-Reply-To: <wb.00112233445566778899aabbccddeeff@c.example>\n\nThanks\n"),
            WhyNot::OurOwnReply
        );
    }
}
