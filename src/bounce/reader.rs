//! From bytes to `Recognition`: our mark first, then reports, then free text, then what is no bounce.

use super::{
    Action, Bounce, NotABounce, Original, Provenance, RecipientReport, Recognition, WhyNot, doubt,
    dsn::{self, Report},
    envelope::{envelope, kept},
    forwarded, original, senders,
    text::{self, TextReading, TextRecipient},
    voice::Speech,
    why_not,
};
use crate::mail::{EnhancedStatusCode, Mail, Mailbox, ReversePath};

/// What a message is. Total: whatever the bytes, there is an answer.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Recognition {
    let mail = Mail::parse(bytes);
    let mut other = match read(&mail) {
        Recognition::Bounce(bounce) => return handed_on(&mail, bounce),
        Recognition::NotABounce(other) => other,
    };
    if matches!(other.because, WhyNot::OurOwnReply | WhyNot::Unreadable) {
        return Recognition::NotABounce(other);
    }
    if why_not::tells_of_anothers(&mail) != Some(WhyNot::ListNotice)
        && let Some((mut bounce, by)) = forwarded::attached(&mail)
    {
        bounce.envelope = other.envelope;
        bounce.forwarded_by = by;
        return Recognition::Bounce(bounce);
    }
    if forwarded::may_quote(&mail, other.because)
        && let Some((bounce, by)) = forwarded::quoted(&mail)
    {
        other.because = WhyNot::QuotedBounce;
        other.forwarded_by = by;
        other.quoted = Some(Box::new(bounce));
    }
    Recognition::NotABounce(other)
}

/// What was read as a bounce may stand in a person's mail: attached, as a report among its parts,
/// or in its text. Then it is that person's, whom `design.md` §5 wants named.
fn handed_on(mail: &Mail, mut bounce: Bounce) -> Recognition {
    let Some(person) = forwarded::hands_on(mail) else { return Recognition::Bounce(bounce) };
    if let Some((mut inner, by)) = forwarded::attached(mail) {
        inner.envelope = bounce.envelope;
        inner.forwarded_by = by.or(Some(person));
        return Recognition::Bounce(inner);
    }
    if dsn::is_attached(mail) {
        bounce.forwarded_by = Some(person);
        return Recognition::Bounce(bounce);
    }
    let envelope = bounce.envelope.clone();
    let mut quoted = forwarded::quoted(mail).map_or(bounce, |(inner, _)| inner);
    quoted.forwarded_by = Some(person.clone());
    Recognition::NotABounce(NotABounce {
        because: WhyNot::QuotedBounce,
        forwarded_by: Some(person),
        quoted: Some(Box::new(quoted)),
        envelope,
    })
}

/// What a message is by itself, without looking into messages that are attached to it.
pub(super) fn read(mail: &Mail) -> Recognition {
    let no = |because| {
        Recognition::NotABounce(NotABounce { because, forwarded_by: None, quoted: None, envelope: envelope(mail) })
    };
    if mail.headers().is_empty() || !mail.headers().iter().any(|it| is_known_field(it.name)) {
        return no(WhyNot::Unreadable);
    }
    let reading = text::read(mail);
    let human =
        reading.as_ref().and_then(|it| it.original_at).and_then(|at| mail.text().get(..at)).unwrap_or(mail.text());
    if why_not::carries_our_mark(mail, human) {
        return no(WhyNot::OurOwnReply);
    }
    if let Some(robot) =
        why_not::tells_of_anothers(mail).filter(|it| *it == WhyNot::ListNotice || !dsn::is_attached(mail))
    {
        return no(why_not::other_report(mail).unwrap_or(robot));
    }
    let speech = Speech::of(mail);
    // A tracker may repeat a report in its text.
    let repeated = !dsn::is_attached(mail) && reading.as_ref().is_some_and(|it| doubt::is_service(mail, it, &speech));
    if let Some(report) = dsn::find(mail).filter(|_| !repeated) {
        if let Some(bounce) = join(mail, report, reading, human) {
            return Recognition::Bounce(bounce);
        }
        return no(why_not::other_report(mail).unwrap_or(WhyNot::OrdinaryMail));
    }
    if dsn::is_lost(mail) {
        return Recognition::Bounce(lost(mail));
    }
    if let Some(report) = dsn::refusal(mail)
        && let Some(bounce) = join(mail, report, reading.clone(), human)
    {
        return Recognition::Bounce(bounce);
    }
    if let Some(other) = why_not::other_report(mail).or_else(|| why_not::session_notice(&speech)) {
        return no(other);
    }
    let robot = why_not::robot(mail);
    let titled = text::is_bounce_subject(mail.header("subject").unwrap_or_default());
    let lure = || titled && (why_not::is_lure(mail) || doubt::lures(mail, &speech));
    let otherwise =
        || robot.unwrap_or_else(|| if lure() { WhyNot::FakeBounce } else { why_not::by_its_words(&speech) });
    let Some(reading) = reading else { return no(otherwise()) };
    let guessed = reading.provenance == Provenance::Guess;
    let returned = reading.original_at.is_some() || original::part(mail).is_some();
    if !returned && doubt::is_doubtful(mail, &reading, &speech) || doubt::is_service(mail, &reading, &speech) {
        return no(otherwise());
    }
    if !returned && doubt::is_bait(mail, &reading, &speech) {
        return no(WhyNot::FakeBounce);
    }
    if guessed
        && let Some(robot) = robot
        && (!why_not::is_daemon(mail) || why_not::is_plain_robot(mail, robot))
    {
        return no(robot);
    }
    if guessed && !returned && reading.format != "general" && why_not::is_of_a_person(mail) {
        return no(otherwise());
    }
    let baseless = || !returned && is_baseless(mail, &reading);
    if guessed && !returned && is_lure_without_words(mail, &reading)
        || guessed && why_not::is_fake(mail) && !doubt::is_consistent(mail, &reading, &speech)
        || baseless() && why_not::has_links(mail)
    {
        return no(WhyNot::FakeBounce);
    }
    if guessed && baseless() {
        return no(otherwise());
    }
    match join(mail, Report::default(), Some(reading), human) {
        Some(bounce) => Recognition::Bounce(bounce),
        None if titled && names_nobody_but_fails(mail) => {
            if doubt::carries_a_file(mail) {
                no(WhyNot::FakeBounce)
            } else {
                Recognition::Bounce(lost(mail))
            }
        }
        None => no(otherwise()),
    }
}

/// A daemon tells of a failure, and of nobody who failed.
fn names_nobody_but_fails(mail: &Mail) -> bool {
    senders::is_daemon(mail.header("from").unwrap_or_default())
        && text::tells_failure(mail.text())
        && !text::is_warning_subject(mail)
        && !why_not::has_links(mail)
}

/// A daemon's name, a link, and no word of any server.
fn is_lure_without_words(mail: &Mail, reading: &TextReading) -> bool {
    !senders::is_daemon(mail.header("from").unwrap_or_default().rsplit('<').next().unwrap_or_default())
        && reading.recipients.iter().all(TextRecipient::is_quiet)
        && mail.header("return-path").is_none_or(|it| it.trim() != "<>")
        && why_not::is_lure(mail)
}

/// Nobody failed but the reader of the message himself, and no server said anything: where nothing came
/// back, notices about a mailbox, and lures, are such, and hardly ever a bounce.
fn is_baseless(mail: &Mail, reading: &TextReading) -> bool {
    !reading.recipients.is_empty()
        && reading.recipients.iter().all(TextRecipient::is_quiet)
        && why_not::names_only_its_reader(mail, reading.recipients.iter().map(|it| &it.address))
}

/// A report of which the header alone arrived, or that names nobody: a failure, of nobody knows whom.
fn lost(mail: &Mail) -> Bounce {
    Bounce {
        format: "rfc3464".to_owned(),
        reporting_mta: None,
        arrival_date: None,
        original_envelope_id: None,
        filler_seen: false,
        recipients: Vec::new(),
        original: None,
        forwarded_by: None,
        envelope: envelope(mail),
        human_text: kept(mail.text()),
        defects: mail.defects().iter().map(|&it| it.to_owned()).collect(),
    }
}

/// A message has at least one of these; noise has none.
fn is_known_field(name: &str) -> bool {
    let known = [
        "from",
        "to",
        "subject",
        "date",
        "received",
        "message-id",
        "return-path",
        "content-type",
        "mime-version",
        "sender",
    ];
    known.iter().any(|it| name.eq_ignore_ascii_case(it))
}

/// The report's fields and the words around them, joined to one bounce; `None` if it names nobody.
fn join(mail: &Mail, report: Report, reading: Option<TextReading>, human: &str) -> Option<Bounce> {
    let is_report = report.reporting_mta.is_some() || !report.recipients.is_empty();
    let action = reading.as_ref().map_or(Action::Failed, |it| it.action);
    let (format, text_mta, told, particulars, original_at, provenance) = match reading {
        Some(it) => (Some(it.format), it.reporting_mta, it.recipients, it.particulars, it.original_at, it.provenance),
        None => (None, None, Vec::new(), text::Particulars::default(), None, Provenance::Guess),
    };
    let returned = original::part(mail)
        .and_then(original::of_part)
        .or_else(|| original_at.and_then(|at| mail.text().get(at..)).and_then(original::of_text));
    let mut recipients = report.recipients;
    recipients.retain(|it| !is_cut_short(it, &told));
    let named = !recipients.is_empty();
    // The administrator's own template has nothing by which the text would be known.
    let format = format.filter(|it| it != "general").or_else(|| report.format.map(str::to_owned));
    let returns_late = format.as_deref().is_some_and(text::returns_late);
    for it in &mut recipients {
        let temporary = it.status.is_some_and(|it| it.class() == 4) || it.reply_code.is_some_and(|it| it.get() < 500);
        it.expired |= returns_late && temporary && it.action == Action::Failed;
        better_words(it, &told);
    }
    if recipients.is_empty() {
        recipients = told.iter().map(|it| of_text(it, provenance)).collect();
    }
    if let ([only], [group]) = (&mut recipients[..], &report.nameless[..])
        && !named
    {
        // The group names a file or a user where the words name the mailbox.
        only.status = only.status.or(group.status);
        only.action = group.action;
        only.expired &= only.action == Action::Failed;
        only.remote_mta = only.remote_mta.take().or_else(|| group.remote_mta.clone());
    }
    if recipients.is_empty()
        && let Some((mut inner, _)) = forwarded::attached(mail)
    {
        // A gateway that says only that something came back, and attaches it.
        inner.envelope = envelope(mail);
        return Some(inner);
    }
    if recipients.is_empty() {
        recipients.extend(only_recipient(returned.as_ref(), human, action, provenance));
    }
    if recipients.is_empty() {
        return None;
    }
    recipients.sort_by_key(|it| it.action);
    let original = original::complete(returned, particulars, report.sender);
    let general = if is_report { "rfc3464" } else { "general" };
    Some(Bounce {
        format: format.unwrap_or_else(|| general.to_owned()),
        reporting_mta: report.reporting_mta.or(text_mta),
        arrival_date: report.arrival_date,
        original_envelope_id: report.original_envelope_id,
        filler_seen: filler(mail, human),
        recipients,
        original,
        forwarded_by: None,
        envelope: envelope(mail),
        human_text: kept(human),
        defects: mail.defects().iter().map(|&it| it.to_owned()).collect(),
    })
}

/// A report may end amid the recipient's name, which the words before it tell whole.
fn is_cut_short(it: &RecipientReport, told: &[TextRecipient]) -> bool {
    let name = it.final_recipient.to_string();
    let whole = |it: &TextRecipient| it.address.to_string().strip_prefix(&name).is_some_and(|rest| !rest.is_empty());
    it.status.is_none() && it.diagnostic.is_none() && told.iter().any(whole)
}

fn of_text(it: &TextRecipient, provenance: Provenance) -> RecipientReport {
    RecipientReport {
        final_recipient: it.address.clone(),
        original_recipient: it.original.clone(),
        action: it.action,
        status: it.status,
        reply_code: it.reply_code,
        diagnostic: it.diagnostic.clone(),
        remote_mta: it.remote_mta.clone(),
        last_attempt_date: None,
        will_retry_until: None,
        expired: it.expired,
        provenance,
    }
}

/// Where the report's own words are missing or poor, those of the human part about the same
/// recipient take their place: Exchange and Gmail tell people what they do not tell machines.
fn better_words(report: &mut RecipientReport, told: &[TextRecipient]) {
    let same = |it: &&TextRecipient| {
        let names = [Some(&it.address), it.original.as_ref()];
        names.into_iter().flatten().any(|name| {
            name.same_mailbox(&report.final_recipient)
                || report.original_recipient.as_ref().is_some_and(|it| it.same_mailbox(name))
        })
    };
    let Some(words) = told.iter().find(same).or_else(|| told.first().filter(|_| told.len() == 1)) else { return };
    if report.action != Action::Failed && words.action == Action::Failed {
        return; // said of those who failed, in a report of several
    }
    report.expired |= words.expired && report.action == Action::Failed;
    if report.remote_mta.is_none() {
        report.remote_mta.clone_from(&words.remote_mta);
    }
    if report.original_recipient.is_none() {
        report.original_recipient = words.original.clone().filter(|it| !it.same_mailbox(&report.final_recipient));
    }
    if let (Some(own), Some(said)) = (&mut report.diagnostic, &words.diagnostic) {
        let (before, after) = stage(own, said);
        *own = format!("{before}{own}{after}");
    }
    let poor = match &report.diagnostic {
        None => true,
        Some(own) => {
            cut_short(own, words.diagnostic.as_deref())
                || !text::codes::looks_like_reply(own) && own.split_whitespace().count() < 4
        }
    };
    let Some(said) = words.diagnostic.as_ref().filter(|_| poor) else { return };
    let richer = text::codes::looks_like_reply(said)
        || report.diagnostic.is_none()
        || said.len() > 2 * report.diagnostic.as_deref().map_or(0, str::len);
    if richer {
        report.diagnostic = Some(said.clone());
        report.reply_code = report.reply_code.or(words.reply_code);
    }
    if report.status.is_none_or(EnhancedStatusCode::says_nothing)
        && let Some(status) = words.status.filter(|it| report.status.is_none_or(|own| own.class() == it.class()))
    {
        report.status = Some(status);
    }
}

/// At which command the reply came, where the human part alone tells it, before or after the reply:
/// Postfix and Exim leave it out of Diagnostic-Code, and it decides what a reply without a reason is about.
fn stage<'a>(own: &str, said: &'a str) -> (&'a str, &'a str) {
    const BEFORE: [&str; 2] = ["SMTP error from remote mail server after ", "refused to talk to me: "];
    let opening = BEFORE.iter().find_map(|it| said.find(it).filter(|_| !own.contains(it)));
    if let Some(at) = opening {
        let before = said.get(at..).and_then(|it| it.strip_suffix(own.trim_end()));
        return (before.unwrap_or_default(), "");
    }
    let Some(at) = said.find(" (in reply to ").filter(|_| !own.contains("(in reply to ")) else { return ("", "") };
    let (before, stage) = said.split_at(at);
    let stage = stage.split_once(')').map_or("", |(it, _)| stage.get(..=it.len()).unwrap_or_default());
    ("", if before.ends_with(own.trim_end()) { stage } else { "" })
}

/// The first line of a reply of several (RFC 5321 §4.2.1), of which the human part has more.
fn cut_short(own: &str, said: Option<&str>) -> bool {
    let head: String = own.chars().skip(4).take(24).collect();
    text::codes::goes_on(own) && said.is_some_and(|said| said.len() > own.len() && said.contains(&head))
}

/// Nobody is named, but the returned original went to one address only.
fn only_recipient(
    original: Option<&Original>,
    human: &str,
    action: Action,
    provenance: Provenance,
) -> Option<RecipientReport> {
    let original = original?;
    let sender: Option<&Mailbox> = match &original.return_path {
        Some(ReversePath::Mailbox(it)) => Some(it),
        Some(ReversePath::Null) | None => original.from.as_ref(),
    };
    let [only] = &original.to[..] else { return None };
    if sender.is_some_and(|it| it.same_mailbox(only)) {
        return None;
    }
    let human = text::without_asides(human);
    let words = human.lines().map(str::trim).filter(|it| !it.is_empty());
    let diagnostic = words
        .clone()
        .find(|it| text::codes::looks_like_reply(it))
        .map(str::to_owned)
        .or_else(|| text::codes::one_line(words.take(12)));
    Some(RecipientReport {
        final_recipient: only.clone(),
        original_recipient: None,
        action,
        status: diagnostic.as_deref().and_then(text::codes::status),
        reply_code: diagnostic.as_deref().and_then(text::codes::reply_code),
        diagnostic,
        remote_mta: None,
        last_attempt_date: None,
        will_retry_until: None,
        expired: false,
        provenance: provenance.max(Provenance::Guess),
    })
}

/// The returned message, or the text, begins with filler (`design.md` §8.8).
fn filler(mail: &Mail, human: &str) -> bool {
    let looks = |bytes: &[u8]| {
        let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
        if head.iter().filter(|it| it.eq_ignore_ascii_case(&b'z')).count() < 4 {
            return false;
        }
        let head: Vec<u8> = head.iter().filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
        [&b"aaaazzzz"[..], b"aaazzzaazzzz"].iter().any(|it| head.windows(it.len()).any(|window| window == *it))
    };
    if looks(human.as_bytes()) {
        return true;
    }
    // Of a message pasted into the text, what stands behind its header block.
    let pasted = mail.text().get(human.len()..).unwrap_or_default().trim_start();
    let body = pasted.split_once("\n\n").map_or("", |(_, rest)| rest.split_once("\n\n").map_or(rest, |(_, body)| body));
    if looks(body.as_bytes()) {
        return true;
    }
    let Some(returned) = original::part(mail).and_then(|it| it.message()) else { return false };
    returned.parts().iter().find(|it| it.is_text()).is_some_and(|it| looks(it.text().as_bytes()))
}

#[cfg(test)]
pub(super) mod tests;
