//! Looks for bounces that lie in the mailbox already, and shows how they would be explained.
//! Nothing in the mailbox is touched: folders are only examined, mail is only peeked at.

use jiff::{SignedDuration, Timestamp};

use super::{Failure, ask::Ask};
use crate::{
    bounce::{Bounce, Recognition},
    cli::{diagnose::Knowledge, explain::language_of},
    config::Config,
    init::Draft,
    mail::Language,
    reply::{self, Audience, Texts},
    review::printable,
    source::{self, Found, Mailbox},
};

/// How far back is looked.
const SINCE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// So many explanations are shown.
const SHOWN: usize = 3;
/// So many messages are fetched to find them.
const FETCHED: usize = 40;
/// So many times a folder is asked for more.
const SCANS: usize = 20;

/// Shows the latest bounces; a mailbox that fails meanwhile is no reason to end.
pub(super) async fn look(
    ask: &mut Ask<'_>,
    mailbox: &mut Mailbox,
    draft: &Draft,
    config: &Config,
) -> Result<(), Failure> {
    let folders = mailbox.folders();
    let places = folders.join(", ");
    ask.heading(&format!("The latest bounces in {}, and how they would be explained", printable(&places)))?;
    let (now, knowledge) = (Timestamp::now(), Knowledge::embedded()?);
    let bounces = match latest(mailbox, &knowledge, &folders, now).await {
        Ok(bounces) => bounces,
        Err(error) => return ask.say(&format!("  could not look: {}", printable(&error.to_string()))),
    };
    if bounces.is_empty() {
        return ask.say(
            "  none in the last 30 days. If people do get bounces, they arrive elsewhere: docs/feeding tells how to bring them here.",
        );
    }
    let count = bounces.len();
    for (number, (found, bounce)) in bounces.into_iter().enumerate() {
        let heading = format!("  ── {} of {count}, arrived {:.0} ──", number + 1, found.received);
        let heading = ask.terminal.bold(&heading).into_owned();
        ask.say(&format!("\n{heading}"))?;
        one(ask, &knowledge, draft, config, bounce, now)?;
    }
    Ok(())
}

fn one(
    ask: &mut Ask<'_>,
    knowledge: &Knowledge,
    draft: &Draft,
    config: &Config,
    bounce: Bounce,
    now: Timestamp,
) -> Result<(), Failure> {
    let languages = match draft.language.as_str() {
        "zh-CN" => vec![Language::zh_cn()],
        "en" => vec![Language::en()],
        "both" => vec![Language::zh_cn(), Language::en()],
        _ => vec![language_of(&bounce)],
    };
    let findings = knowledge.findings(&bounce, None);
    let plan = reply::preview_plan(&bounce, languages, now);
    let author = bounce.original.as_ref().and_then(|it| it.from.as_ref()).map(ToString::to_string);
    let ours = config.policy.domains.iter().any(|it| it == plan.addressee.domain());
    match (author, ours) {
        (Some(author), true) => ask.say(&format!("  to {}\n", printable(&author)))?,
        (Some(author), false) => {
            ask.say(&format!("  to nobody: {} is in none of your domains. It would say:\n", printable(&author)))?;
        }
        (None, _) => ask.say("  to nobody: the author cannot be told. It would say:\n")?,
    }
    let texts = Texts::embedded();
    let cases = [(bounce, findings)];
    let rendered = reply::render_parts(&texts, &config.reply, &plan, &cases, Audience::Author, now);
    let subject = ask.terminal.bold(&rendered.subject).into_owned();
    ask.say(&format!("    {subject}\n"))?;
    for line in rendered.text.trim_end().lines() {
        ask.say(format!("    {line}").trim_end())?;
    }
    Ok(())
}

/// The latest bounces, the newest first.
async fn latest(
    mailbox: &mut Mailbox,
    knowledge: &Knowledge,
    folders: &[String],
    now: Timestamp,
) -> Result<Vec<(Found, Bounce)>, source::Error> {
    let mut candidates: Vec<Found> = Vec::new();
    for folder in folders {
        let mut cursor = None;
        for _ in 0..SCANS {
            let scan = match mailbox.scan(folder, cursor, Some(now - SINCE)).await {
                Ok(scan) => scan,
                Err(error) if error.session_lives() => break,
                Err(error) => return Err(error),
            };
            candidates.extend(scan.found);
            cursor = scan.cursor;
            // A Maildir keeps no place: it would begin anew.
            if !scan.more || cursor.is_none() {
                break;
            }
        }
    }
    candidates.sort_by_key(|it| std::cmp::Reverse(it.received));
    candidates.truncate(FETCHED);
    let mut bounces = Vec::new();
    for found in candidates {
        let Some(message) = mailbox.fetch(&found).await? else { continue };
        if let Recognition::Bounce(bounce) = knowledge.recognise(&message.bytes) {
            bounces.push((found, bounce));
            if bounces.len() == SHOWN {
                break;
            }
        }
    }
    Ok(bounces)
}
