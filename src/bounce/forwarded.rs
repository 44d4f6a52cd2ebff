//! Bounces that a person hands on: as an attachment, or pasted and quoted inline (`design.md` §5).

use super::{
    Bounce, Recognition, WhyNot,
    reader::read,
    senders, text,
    voice::Speech,
    why_not,
    words::{self, Kind},
};
use crate::mail::{Mail, Mailbox, Part, header::addresses};

/// The bounce inside an attached message, with the person who forwarded it. Providers and lists
/// that wrap bounces mechanically are no persons.
pub(super) fn attached(mail: &Mail) -> Option<(Bounce, Option<Mailbox>)> {
    Some((within(mail, 3)?, person(mail).filter(|it| !senders::is_nobody(it.local()))))
}

/// The first bounce among the attached messages, or among those attached to them.
fn within(mail: &Mail, depth: usize) -> Option<Bounce> {
    // A gateway may hand on the whole as the only part.
    let whole = mail.parts().first().filter(|it| it.content_type().starts_with("message/"));
    let parts = whole.into_iter().chain(mail.parts().iter().skip(1)).filter(|it| is_message(it)).take(20);
    let messages = || parts.clone().filter_map(Part::message);
    let read = |it: &Mail| match read(it) {
        Recognition::Bounce(bounce) => Some(bounce),
        Recognition::NotABounce(_) => None,
    };
    messages().find_map(read).or_else(|| messages().filter(|_| depth > 1).find_map(|it| within(it, depth - 1)))
}

fn is_message(part: &Part) -> bool {
    let named = || {
        let name = part.file_name().unwrap_or_default().to_ascii_lowercase();
        [".eml", ".txt", ".msg"].iter().any(|it| name.ends_with(it))
            && part.message().is_some_and(|it| it.header("from").is_some() && it.header("subject").is_some())
    };
    matches!(part.content_type(), "message/rfc822" | "message/global") || part.children().is_empty() && named()
}

/// The person who hands on a bounce that stands in their mail: no daemon, and the message answers
/// or forwards, quotes, or bears a subject that no bounce has. Behind a null reverse-path, which a
/// gateway may have put there, only what no program writes shows a person.
pub(super) fn hands_on(mail: &Mail) -> Option<Mailbox> {
    let person = person(mail)?;
    let reports = mail.parts().first().is_some_and(|it| it.content_type() == "multipart/report");
    let subject = mail.header("subject").unwrap_or_default();
    let (prefixed, bare) = why_not::without_prefix(subject);
    let office = senders::is_office(person.local());
    if reports || senders::is_robot(person.local()) || office && !prefixed {
        return None;
    }
    let text = mail.text();
    let speech = Speech::of(mail);
    let null = why_not::has_null_path(mail);
    // An answer to a bounce begins with the bounce's subject, a bounce of an answer with the answer's.
    let answers_one = || prefixed && text::is_bounce_subject(bare.get(..bare.floor_char_boundary(32)).unwrap_or(bare));
    let shows = speech.is_ones_own() || names_a_daemon(text) || attached(mail).is_some() || null && answers_one();
    if shows || null {
        return shows.then_some(person);
    }
    let answers = mail.header("in-reply-to").is_some() || mail.header("references").is_some();
    let quotes = || {
        let marked = |it: &&str| it.trim_start().starts_with(['>', '|']);
        text.lines().take(2000).filter(marked).nth(1).is_some() || announces(text)
    };
    let hands_on =
        answers || speech.is_tagged() || speech.is_of_service() || quotes() || !text::is_bounce_subject(bare);
    hands_on.then_some(person)
}

/// Whether a line announces a forwarded message, as mail programs do.
fn announces(text: &str) -> bool {
    text.lines().take(200).any(|line| {
        let bare = line.trim();
        let ruled = bare.starts_with("--") || bare.starts_with("__") || bare.ends_with([':', '：']);
        let announced = || words::are_in(Kind::Forwarded, &bare.to_lowercase());
        ruled && bare.len() < 120 && !words::are_in(Kind::Returned, bare) && announced()
    })
}

/// Whether the pasted header of a daemon's message stands near the top, as Foxmail and Outlook paste it.
fn names_a_daemon(text: &str) -> bool {
    text.lines().take(60).filter_map(|it| it.split_once([':', '：'])).any(|(label, value)| {
        let label = label.trim_matches(['*', '>', ' ', '\u{3000}', '\u{a0}']).to_lowercase();
        words::are(Kind::FromLabel, &label) && senders::is_daemon(value)
    })
}

/// The author of a mail that a person wrote.
fn person(mail: &Mail) -> Option<Mailbox> {
    if why_not::bears_a_daemons_name(mail) || why_not::robot(mail).is_some() {
        return None;
    }
    let author = addresses(mail.header("from")?).into_iter().next().map(|(_, mailbox)| mailbox)?;
    (!why_not::has_null_path(mail) || !senders::is_office(author.local())).then_some(author)
}

/// What can be read of a bounce that stands within a person's own words. `None`: there is none.
pub(super) fn quoted(mail: &Mail) -> Option<(Bounce, Option<Mailbox>)> {
    let from = person(mail).filter(|it| !senders::is_nobody(it.local()))?;
    let pasted =
        mail.parts().iter().skip(1).filter(|it| it.is_text() && it.children().is_empty()).take(8).map(Part::text);
    std::iter::once(mail.text()).chain(pasted).find_map(|text| {
        let unquoted = unquoted(text);
        starts(&unquoted)
            .into_iter()
            .find_map(|at| as_message(unquoted.get(at..)?))
            .map(|bounce| (bounce, Some(from.clone())))
    })
}

/// The text without the marks of quoting; `>>> RCPT To:` of a transcript is none.
fn unquoted(text: &str) -> String {
    let quotes = |line: &str| line.starts_with(['>', '|']) && !line.starts_with(">>>");
    let quoted = text.lines().any(|it| quotes(it.trim_start()));
    text.lines().fold(String::with_capacity(text.len()), |all, line| {
        let marks = line.len() - line.trim_start_matches(['>', '|', ' ']).len();
        let end = line.get(..marks).unwrap_or_default().rfind(['>', '|']).filter(|_| quoted);
        let bare = end.and_then(|it| line.get(it + 1..)).map_or(line, |it| it.strip_prefix(' ').unwrap_or(it));
        all + bare + "\n"
    })
}

/// Where a pasted bounce may begin: at its own header, or at the words that daemons begin with.
fn starts(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.trim_start().to_lowercase();
        if words::begin(Kind::Header, &lower) || words::begin(Kind::Opening, &lower) {
            found.push(at);
            if found.len() >= 6 {
                break;
            }
        }
        at += line.len();
    }
    found
}

/// Reads a pasted text as if a daemon had sent it.
fn as_message(text: &str) -> Option<Bounce> {
    let own_header = text.get(..text.floor_char_boundary(2048))?.to_ascii_lowercase();
    let whole = words::begin(Kind::Header, &own_header);
    let source = if whole {
        with_plain_header(text)
    } else {
        format!(
            "From: MAILER-DAEMON@localhost.invalid\nReturn-Path: <>\nSubject: Undelivered Mail Returned to Sender\n\n{text}"
        )
    };
    let mail = Mail::parse(source.as_bytes());
    // Not every daemon is called one, and Outlook leaves the address out where it pastes Exchange's name.
    let titled = || text::is_bounce_subject(mail.header("subject").unwrap_or_default());
    if whole && !why_not::is_daemon(&mail) && !titled() {
        return None;
    }
    match read(&mail) {
        Recognition::Bounce(bounce) if !bounce.recipients.is_empty() => Some(bounce),
        _ => None,
    }
}

/// The header that a mail program pasted on top, its labels as fields, parted from what follows.
fn with_plain_header(text: &str) -> String {
    const FIELDS: [(Kind, &str); 5] = [
        (Kind::FromLabel, "From"),
        (Kind::DateLabel, "Date"),
        (Kind::ToLabel, "To"),
        (Kind::CcLabel, "Cc"),
        (Kind::SubjectLabel, "Subject"),
    ];
    let mut source = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let plain = line.trim_matches(['*', ' ', '\u{a0}', '\r']);
        let Some((label, value)) = plain.split_once([':', '：']).filter(|(label, _)| label.len() <= 24) else { break };
        let label = label.trim_matches(['*', ' ', '\u{3000}', '\u{a0}']);
        let field = FIELDS.iter().find(|(kind, _)| words::are(*kind, label)).map_or(label, |(_, it)| *it);
        source.extend([field, ": ", value.trim_matches(['*', ' ', '\u{a0}']), "\n"]);
        rest = after;
    }
    source + "\n" + rest
}

/// Whether subject or text of a person's mail give reason to look for a quoted bounce.
pub(super) fn may_quote(mail: &Mail, because: WhyNot) -> bool {
    const CODES: [&str; 3] = ["550 ", "554 ", "5.1.1"];
    // What is handed on may read like a lure, by its links and its sender's freely chosen name.
    let handed_on = || {
        let (prefixed, bare) = why_not::without_prefix(mail.header("subject").unwrap_or_default());
        prefixed && text::is_bounce_subject(bare) && announces(mail.text())
    };
    if because != WhyNot::OrdinaryMail && (because != WhyNot::FakeBounce || !handed_on()) {
        return false;
    }
    let attached = mail.parts().iter().skip(1).filter(|it| it.is_text() && it.is_attachment()).take(8).map(Part::text);
    std::iter::once(mail.text()).chain(attached).any(|text| {
        let head = text.get(..text.floor_char_boundary(32 * 1024)).unwrap_or(text).to_lowercase();
        words::are_in(Kind::Quoted, &head) || CODES.iter().any(|it| head.contains(it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounce::recognise;

    /// The `System Administrator` of `SmarterMail` has no address, and the refusal it quotes has a link.
    #[test]
    fn a_bounce_that_reads_like_a_lure_is_read_where_a_person_hands_it_on() {
        let notice = "Could not deliver message to the following recipient(s):\n\nFailed Recipient: w@x.example\n\
            Reason: Remote host said: 550 5.7.1 on our block list. You can also refer your provider to \
            http://x.example/mail/troubleshooting.aspx\n";
        let mail = |subject: &str, announced: &str| {
            format!(
                "Return-Path: <chen@corp.example.cn>\nFrom: Chen Li <chen@corp.example.cn>\nTo: why@corp.example.cn\n\
                 Subject: {subject}\n\n{announced}From: System Administrator [mailto:System Administrator]\n\
                 To: chen@corp.example.cn\nSubject: Delivery Failure\n\n{notice}"
            )
        };
        let Recognition::NotABounce(it) =
            recognise(mail("FW: Delivery Failure", "-----Original Message-----\n").as_bytes())
        else {
            panic!("handed on by a person");
        };
        assert_eq!(it.because, WhyNot::QuotedBounce);
        assert_eq!(it.forwarded_by.map(|it| it.to_string()).as_deref(), Some("chen@corp.example.cn"));
        assert_eq!(it.quoted.expect("read").recipients[0].final_recipient.to_string(), "w@x.example");
    }
}
