//! What a message is that is no bounce, by its form and by the signs that robots leave.

use super::{
    WhyNot, senders,
    voice::Speech,
    words::{self, Kind},
};
use crate::mail::{Mail, Mailbox, ReferenceId, header::addresses, mark};

/// Machine-readable reports that are not about delivery.
pub(super) fn other_report(mail: &Mail) -> Option<WhyNot> {
    let by_part = mail.parts().iter().find_map(|part| match part.content_type() {
        "message/feedback-report" | "application/tlsrpt+gzip" | "application/tlsrpt+json" => {
            Some(WhyNot::FeedbackReport)
        }
        "message/disposition-notification" | "message/global-disposition-notification" => {
            Some(WhyNot::DispositionNotification)
        }
        "multipart/report" => match part.parameter("report-type").unwrap_or_default().to_ascii_lowercase().as_str() {
            "feedback-report" | "tlsrpt" => Some(WhyNot::FeedbackReport),
            "disposition-notification" => Some(WhyNot::DispositionNotification),
            _ => None,
        },
        _ => None,
    });
    by_part.or_else(|| is_aggregate(mail).then_some(WhyNot::FeedbackReport))
}

/// A domain's aggregate report, which has no type but its subject (RFC 7489 §7.2.1.1, RFC 8460 §5.3).
fn is_aggregate(mail: &Mail) -> bool {
    let subject = mail.header("subject").unwrap_or_default().to_ascii_lowercase();
    subject.contains("report domain:") && subject.contains("submitter:")
}

/// Our mark anywhere in the message itself; the returned original is asked elsewhere (`design.md` §3).
pub(super) fn carries_our_mark(mail: &Mail, human_text: &str) -> bool {
    let ids = ["message-id", "in-reply-to", "references"];
    let marked = ids.iter().flat_map(|name| mail.headers().all(name)).any(|value| {
        value
            .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ','))
            .filter_map(crate::mail::MessageId::parse)
            .any(|it| mark::is_our_message_id(&it))
    });
    marked
        || mail.parts().iter().any(|part| part.headers().first("x-whybounced").is_some())
        || ReferenceId::find(human_text).is_some()
}

/// Whether sender and fields show a robot that answers, and which kind.
pub(super) fn robot(mail: &Mail) -> Option<WhyNot> {
    let headers = mail.headers();
    let field = |name: &str| headers.first(name).unwrap_or_default().trim().to_ascii_lowercase();
    let submitted = field("auto-submitted");
    let speech = Speech::of(mail);
    let answers = submitted.starts_with("auto-replied")
        || submitted.starts_with("auto-generated")
        || submitted.starts_with("auto-notified")
        || senders::has_answer_fields(headers)
        || matches!(field("precedence").as_str(), "auto_reply")
        || speech.is_titled_as_answer();
    let managed = senders::has_list_fields(headers);
    if answers && (managed || is_of_list_office(mail)) && !to_bounces(mail) {
        return Some(WhyNot::ListNotice);
    }
    if answers {
        return Some(if speech.challenges() { WhyNot::Challenge } else { WhyNot::AutoReply });
    }
    if speech.is_titled_as_challenge() {
        return Some(WhyNot::Challenge);
    }
    let precedence = field("precedence");
    let listed = managed
        || precedence == "list"
        || precedence == "bulk" && is_of_list_office(mail)
        || headers.iter().any(|it| it.name.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("list-")));
    (listed && !to_bounces(mail)).then_some(WhyNot::ListNotice)
}

/// A postmaster is told of one session, whatever became of the message in it.
pub(super) fn session_notice(speech: &Speech<'_>) -> Option<WhyNot> {
    speech.is_titled_as_session().then_some(WhyNot::OrdinaryMail)
}

/// What a message without any other sign calls itself.
pub(super) fn by_its_words(speech: &Speech<'_>) -> WhyNot {
    if speech.is_titled_as_receipt() {
        WhyNot::DispositionNotification
    } else if speech.calls_itself_an_answer() {
        WhyNot::AutoReply
    } else {
        WhyNot::OrdinaryMail
    }
}

/// Whether the sender is an address at which a list or its manager takes requests.
fn is_of_list_office(mail: &Mail) -> bool {
    let author = addresses(mail.header("from").unwrap_or_default()).into_iter().next();
    author.is_some_and(|(_, it)| senders::is_list_office(it.local()))
}

/// The kind of a robot or list that is no daemon and tells of a bounce that another got: a digest,
/// Mailman's "bounce action notification", a post with a pasted bounce, a ticket that repeats one.
pub(super) fn tells_of_anothers(mail: &Mail) -> Option<WhyNot> {
    let from = mail.header("from").unwrap_or_default();
    // Answers have a null path too (RFC 3834 §3.3); a ticket's number or `Re:` tells them.
    let subject = mail.header("subject").unwrap_or_default();
    let answers = || subject.trim_start().starts_with('[') || without_prefix(subject).0;
    if bears_a_daemons_name(mail) {
        return None;
    }
    let robot = robot(mail)?;
    if has_null_path(mail) && !answers() && robot != WhyNot::ListNotice {
        return None;
    }
    if mail.parts().first().is_some_and(|it| it.content_type() == "multipart/report") {
        return None;
    }
    let (_, author) = addresses(from).into_iter().next()?;
    let gateway = senders::is_robot(author.local());
    let service =
        robot == WhyNot::ListNotice && (senders::is_notice(author.local()) || Speech::of(mail).is_of_a_member());
    (!gateway || service).then_some(robot)
}

/// Whether a robot shows itself as such although its reverse-path is null, as RFC 3834 §3.3 wants of
/// every automatic answer: by a subject that begins as theirs do, from somebody who is no daemon by
/// name, or by a list's fields, from nobody who is one but for the list's own address for bounces.
pub(super) fn is_plain_robot(mail: &Mail, robot: WhyNot) -> bool {
    let from = mail.header("from").unwrap_or_default();
    match robot {
        WhyNot::ListNotice => !senders::is_daemon(from),
        WhyNot::AutoReply | WhyNot::Challenge => {
            let speech = Speech::of(mail);
            let says = speech.begins_as_answer() || speech.is_titled_as_challenge() || speech.is_of_one_who_left();
            !senders::is_daemon(from) && says
        }
        _ => false,
    }
}

/// Whether the message went to an address at which a list takes bounces: then the list's fields in it are the
/// original's.
fn to_bounces(mail: &Mail) -> bool {
    let addressed = mail.header("to").map(addresses).unwrap_or_default();
    addressed.iter().any(|(_, it)| senders::takes_bounces(it.local()))
}

/// A sender that no person writes as (RFC 2142 §5, RFC 5321 §4.5.5).
pub(super) fn is_daemon(mail: &Mail) -> bool {
    has_null_path(mail) || bears_a_daemons_name(mail)
}

/// A null reverse-path. Gateways put it on ordinary mail too.
pub(super) fn has_null_path(mail: &Mail) -> bool {
    mail.header("return-path").is_some_and(|it| it.trim() == "<>")
}

/// A sender that no person writes as, by name or address alone.
pub(super) fn bears_a_daemons_name(mail: &Mail) -> bool {
    let from = mail.header("from").unwrap_or_default();
    senders::may_be_daemon(from)
}

/// Whether a subject begins as those of answers and forwardings do, and the subject without that.
pub(super) fn without_prefix(subject: &str) -> (bool, &str) {
    let mut rest = subject.trim_start();
    let mut any = false;
    while let Some((head, tail)) = rest.split_once([':', '：']) {
        let word = head.split(['[', '(']).next().unwrap_or(head).trim().to_lowercase();
        if !words::are(Kind::Prefix, &word) {
            break;
        }
        (any, rest) = (true, tail.trim_start());
    }
    (any, rest)
}

/// Made to look like a bounce: a daemon's name before an address that is none, nothing returned,
/// and a link to follow.
pub(super) fn is_fake(mail: &Mail) -> bool {
    let null = mail.header("return-path").is_none_or(|it| it.trim() == "<>");
    !null && is_lure(mail)
}

/// A daemon's name before an address, and a link to follow.
pub(super) fn is_lure(mail: &Mail) -> bool {
    let from = mail.header("from").unwrap_or_default();
    let Some((name, _)) = from.split_once('<') else { return false };
    let readers = mail.header("to").map(addresses).unwrap_or_default();
    let as_ours = || readers.iter().any(|(_, it)| name.to_lowercase().contains(&it.domain().to_lowercase()));
    (senders::is_dressed(name) || as_ours()) && has_links(mail)
}

/// Whether the sender bears no name of a program's, and the reverse-path is not null.
pub(super) fn is_of_a_person(mail: &Mail) -> bool {
    let author = addresses(mail.header("from").unwrap_or_default()).into_iter().next();
    !is_daemon(mail) && author.is_some_and(|(_, it)| !senders::is_office(it.local()))
}

/// Whether the text has links to follow.
pub(super) fn has_links(mail: &Mail) -> bool {
    mail.parts().iter().filter(|it| it.is_text()).any(|it| {
        let octets = it.bytes();
        memchr::memchr2_iter(b'h', b'H', &octets).any(|at| {
            let begins =
                |word: &str| octets.get(at..at + word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()));
            let address = || begins("href=\"mailto:") || begins("href='mailto:") || begins("href=mailto:");
            begins("href=") && !address() || begins("http://") || begins("https://")
        })
    })
}

/// Whether all who are said to have failed are those whom the message itself was sent to.
pub(super) fn names_only_its_reader<'a>(mail: &Mail, mut named: impl Iterator<Item = &'a Mailbox>) -> bool {
    let readers = mail.header("to").map(addresses).unwrap_or_default();
    named.all(|it| readers.iter().any(|(_, reader)| reader.same_mailbox(it)))
}
