//! What a message is that is no bounce, by its form and by the signs that robots leave.

use std::sync::LazyLock;

use super::WhyNot;
use crate::{
    literals::Finder,
    mail::{Mail, Mailbox, ReferenceId, header::addresses, mark},
};

/// Machine-readable reports that are not about delivery.
pub(super) fn other_report(mail: &Mail) -> Option<WhyNot> {
    mail.parts().iter().find_map(|part| match part.content_type() {
        "message/feedback-report" => Some(WhyNot::FeedbackReport),
        "message/disposition-notification" | "message/global-disposition-notification" => {
            Some(WhyNot::DispositionNotification)
        }
        "multipart/report" => match part.parameter("report-type").unwrap_or_default().to_ascii_lowercase().as_str() {
            "feedback-report" => Some(WhyNot::FeedbackReport),
            "disposition-notification" => Some(WhyNot::DispositionNotification),
            _ => None,
        },
        _ => None,
    })
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

/// Words by which robots answer; subject first, as they write it in their languages.
const AUTO_REPLY_SUBJECTS: &[&str] = &[
    "automatic reply",
    "auto reply",
    "autoreply",
    "auto-reply",
    "out of office",
    "out of the office",
    "autosvar",
    "auto:",
    "away from",
    "vacation",
    "on leave",
    "abwesenheit",
    "automatische antwort",
    "réponse automatique",
    "absence",
    "respuesta automática",
    "risposta automatica",
    "resposta automática",
    "autoodpowied",
    "автоответ",
    "自动回复",
    "自動回覆",
    "自动答复",
    "休假",
    "外出",
    "不在",
    "自動返信",
    "[auto-response",
    "auto-response from",
];

static AUTO_REPLIES: LazyLock<Finder> = LazyLock::new(|| Finder::of(AUTO_REPLY_SUBJECTS));

/// Whether a subject is that of a robot's answer.
pub(super) fn is_auto_reply_subject(subject: &str) -> bool {
    AUTO_REPLIES.is_in(&subject.to_lowercase())
}

/// Words of those who want to be shown that a person writes.
static CHALLENGES: LazyLock<Finder> = LazyLock::new(|| {
    Finder::of(&[
        "prove that you are",
        "confirm that you are",
        "confirm your message",
        "confirm your email",
        "verify that you are",
        "you are a person",
        "you are human",
        "verify your address",
        "please confirm",
        "challenge",
        "whitelist",
        "approved senders",
        "senders i have approved",
        "验证您的邮件",
        "点击确认",
    ])
});

/// Whether sender and fields show a robot that answers, and which kind.
pub(super) fn robot(mail: &Mail) -> Option<WhyNot> {
    let headers = mail.headers();
    let field = |name: &str| headers.first(name).unwrap_or_default().trim().to_ascii_lowercase();
    let subject = field("subject");
    let submitted = field("auto-submitted");
    let answers = submitted.starts_with("auto-replied")
        || submitted.starts_with("auto-generated")
        || submitted.starts_with("auto-notified")
        || ["x-autoreply", "x-autorespond", "x-autoresponder", "x-mail-autoreply"]
            .iter()
            .any(|it| !field(it).is_empty())
        || matches!(field("precedence").as_str(), "auto_reply")
        || AUTO_REPLIES.is_in(&subject);
    if answers {
        let text = mail.text();
        let head = text.get(..text.floor_char_boundary(4096)).unwrap_or(text).to_lowercase();
        let challenge = CHALLENGES.is_in(&subject) || CHALLENGES.is_in(&head);
        return Some(if challenge { WhyNot::Challenge } else { WhyNot::AutoReply });
    }
    let listed = field("precedence") == "list"
        || headers.iter().any(|it| {
            it.name.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("list-"))
                || LIST_FIELDS.iter().any(|name| it.name.eq_ignore_ascii_case(name))
        });
    (listed && !to_bounces(mail)).then_some(WhyNot::ListNotice)
}

/// Fields that list managers alone write (Mailman, ezmlm, Sympa), beside those of RFC 2369.
const LIST_FIELDS: &[&str] =
    &["x-list-administrivia", "x-mailman-version", "x-beenthere", "mailing-list", "x-sympa-to", "x-ezmlm-version"];

/// The kind of a robot or list that is no daemon and tells of a bounce that another got: a digest,
/// Mailman's "bounce action notification", a post with a pasted bounce, a ticket that repeats one.
pub(super) fn tells_of_anothers(mail: &Mail) -> Option<WhyNot> {
    let from = mail.header("from").unwrap_or_default();
    // Answers have a null path too (RFC 3834 §3.3); a ticket's number or `Re:` tells them.
    let subject = mail.header("subject").unwrap_or_default();
    let answers = || subject.trim_start().starts_with('[') || without_prefix(subject).0;
    let daemon = is_daemon_name(from) || is_named(from, DAEMONS_TOO) || is_daemon(mail) && !answers();
    if daemon {
        return None;
    }
    let robot = robot(mail)?;
    if mail.parts().first().is_some_and(|it| it.content_type() == "multipart/report") {
        return None;
    }
    let (_, author) = addresses(from).into_iter().next()?;
    let gateway = is_robots_name(author.local());
    let service = robot == WhyNot::ListNotice && is_named(author.local(), &["notification", "noreply", "donotreply"]);
    (!gateway || service).then_some(robot)
}

/// Whether a robot shows itself as such although its reverse-path is null, as RFC 3834 §3.3 wants of
/// every automatic answer: by a subject that begins as theirs do, from somebody who is no daemon by
/// name, or by a list's fields, from nobody who is one but for the list's own address for bounces.
pub(super) fn is_plain_robot(mail: &Mail, robot: WhyNot) -> bool {
    let from = mail.header("from").unwrap_or_default();
    match robot {
        WhyNot::ListNotice => !is_daemon_name(from),
        WhyNot::AutoReply | WhyNot::Challenge => {
            let subject = mail.header("subject").unwrap_or_default().trim_start().to_lowercase();
            !is_daemon_name(from) && AUTO_REPLY_SUBJECTS.iter().any(|it| subject.starts_with(it))
        }
        _ => false,
    }
}

/// Whether the message went to an address at which a list takes bounces (Mailman, its second version
/// at `-admin`, ezmlm, majordomo): then the list's fields in it are the original's.
fn to_bounces(mail: &Mail) -> bool {
    let addressed = mail.header("to").map(addresses).unwrap_or_default();
    addressed.iter().any(|(_, it)| {
        let local = it.local().to_ascii_lowercase();
        local.starts_with("owner-")
            || local.split(['+', '=']).next().is_some_and(|it| it.ends_with("-bounces") || it.ends_with("-admin"))
    })
}

/// A sender that no person writes as (RFC 2142 §5, RFC 5321 §4.5.5).
pub(super) fn is_daemon(mail: &Mail) -> bool {
    let from = mail.header("from").unwrap_or_default();
    let null = mail.header("return-path").is_some_and(|it| it.trim() == "<>");
    null || is_daemon_name(from) || is_named(from, DAEMONS_TOO)
}

/// Words in names of daemons, and of a few others.
const DAEMONS_TOO: &[&str] = &["delivery", "bounce"];

/// Names that daemons alone bear, squeezed.
const DAEMONS: &[&str] = &[
    "mailerdaemon",
    "postmaster",
    "maildelivery",
    "mailadministrator",
    "mailsystem",
    "microsoftexchange",
    "systemadministrator",
    "mailerror",
    "maildaemon",
    "mdaemon",
    "mmdf",
    "smtpgateway",
    "uucp",
    "系统",
    "退信",
    "邮件管理员",
    "邮局",
];

/// Whether a sender bears a name that daemons alone bear.
pub(super) fn is_daemon_name(from: &str) -> bool {
    is_named(from, DAEMONS)
}

fn is_named(from: &str, names: &[&str]) -> bool {
    let mut squeezed = from.to_lowercase();
    squeezed.retain(char::is_alphanumeric);
    names.iter().any(|it| squeezed.contains(it))
}

/// Local parts behind which nobody reads.
pub(super) fn is_nobodys_name(local: &str) -> bool {
    is_named(local, &["noreply", "donotreply", "daemon", "postmaster"])
}

/// Local parts that programs write as, compared without punctuation.
pub(super) fn is_robots_name(local: &str) -> bool {
    let mut squeezed = local.to_lowercase();
    squeezed.retain(char::is_alphanumeric);
    let names = [
        "postmaster",
        "noreply",
        "donotreply",
        "gateway",
        "daemon",
        "virus",
        "inetgw",
        "notification",
        "notify",
        "notice",
        "alert",
        "filter",
        "firewall",
        "smtp",
        "mailer",
        "mailrouter",
        "mailgw",
        "system",
    ];
    squeezed == "ndr"
        || squeezed == "mmdf"
        || squeezed.ends_with("admin")
        || local.split(['+', '-']).skip(1).any(|it| it.eq_ignore_ascii_case("owner"))
        || names.iter().any(|it| squeezed.contains(it))
}

/// Whether a subject begins as those of answers and forwardings do, and the subject without that.
pub(super) fn without_prefix(subject: &str) -> (bool, &str) {
    const PREFIXES: &[&str] = &[
        "re", "aw", "fw", "fwd", "wg", "tr", "rv", "sv", "vs", "res", "enc", "antw", "回复", "答复", "转发", "轉寄",
        "轉發", "回覆", "答覆",
    ];
    let mut rest = subject.trim_start();
    let mut any = false;
    while let Some((head, tail)) = rest.split_once([':', '：']) {
        let word = head.split(['[', '(']).next().unwrap_or(head).trim().to_lowercase();
        if !PREFIXES.contains(&word.as_str()) {
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
    let dressed = [
        "mail delivery",
        "postmaster",
        "mailer",
        "administrator",
        "mail system",
        "系统",
        "退信",
        "邮件管理",
        "系統",
        "管理员",
        "管理中心",
        "microsoft outlook",
        "郵件管理",
    ];
    let name = name.to_lowercase();
    dressed.iter().any(|it| name.contains(it)) && has_links(mail)
}

/// Whether the sender bears no name of a program's, and the reverse-path is not null.
pub(super) fn is_of_a_person(mail: &Mail) -> bool {
    let author = addresses(mail.header("from").unwrap_or_default()).into_iter().next();
    !is_daemon(mail) && author.is_some_and(|(_, it)| !is_robots_name(it.local()))
}

/// Whether the text has links to follow.
pub(super) fn has_links(mail: &Mail) -> bool {
    mail.parts().iter().filter(|it| it.is_text()).any(|it| {
        let octets = it.bytes();
        memchr::memchr2_iter(b'h', b'H', &octets).any(|at| {
            let begins =
                |word: &str| octets.get(at..at + word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()));
            begins("href=") || begins("http://") || begins("https://")
        })
    })
}

/// Whether all who are said to have failed are those whom the message itself was sent to.
pub(super) fn names_only_its_reader<'a>(mail: &Mail, mut named: impl Iterator<Item = &'a Mailbox>) -> bool {
    let readers = mail.header("to").map(addresses).unwrap_or_default();
    named.all(|it| readers.iter().any(|(_, reader)| reader.same_mailbox(it)))
}
