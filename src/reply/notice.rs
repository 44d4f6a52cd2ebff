//! Mails that explain no single bounce: the digest of what one person was not told one by one, and
//! the administrator's alerts. Words: `catalogue/languages/<language>/notices.md`.

use jiff::Timestamp;

use super::{
    Reply, Settings, Texts,
    facts::Facts,
    frame::Frame,
    markup::Block,
    message,
    page::{self, Page},
    safe,
    section::Conditions,
};
use crate::{
    mail::{Language, Mailbox, ReferenceId},
    policy::{ReplyPlan, alert::Told},
};

/// Lines of a digest.
const MOST_LINES: usize = 50;

/// To whom a notice goes, and what identifies it.
#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// Whom it is for.
    pub person: Mailbox,
    /// Where it goes instead in `redirect` mode.
    pub redirect_to: Option<Mailbox>,
    /// The languages to write in.
    pub languages: Vec<Language>,
    /// What it is about: the same identity gives the same Message-ID.
    pub identity: String,
}

/// One bounce that was not explained by a mail of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// When the bounce came.
    pub at: Timestamp,
    /// The original's subject.
    pub subject: Option<String>,
    /// The first recipient.
    pub recipient: Option<String>,
    /// How many recipients.
    pub recipients: u32,
    /// The first recipient's cause.
    pub cause: Option<String>,
}

/// The digest of what one person was not told one by one.
#[must_use]
pub fn digest(texts: &Texts, settings: &Settings, to: &Address, held: &[Held], now: Timestamp) -> Reply {
    build(texts, settings, to, now, |frame| {
        let none = Conditions::default();
        let facts = frame.common(None).with_counts(held.len(), 0);
        let mut what = frame.blocks("digest why", &none, &facts);
        what.extend(held.iter().take(MOST_LINES).flat_map(|it| line(frame, it)));
        if held.len() > MOST_LINES {
            let facts = facts.clone().with_counts(held.len() - MOST_LINES, 0);
            what.extend(frame.blocks("digest more", &none, &facts));
        }
        Page {
            subject: frame.line("digest subject", &none, &facts),
            headline: page::run(frame.line("digest headline", &none, &facts)),
            what,
            notes: frame.blocks("whom to ask", &none, &facts),
            footer: frame.blocks("footer", &none, &facts),
            ..Page::default()
        }
    })
}

fn line(frame: &Frame<'_>, held: &Held) -> Vec<Block> {
    let none = Conditions::default();
    let short = held.cause.as_deref().map(|it| frame.cause_line(it, "short", &none, &Facts::default()));
    let facts = Facts {
        subject: held.subject.as_deref().map(|it| safe::line(it, 60)).filter(|it| !it.is_empty()),
        recipient: held.recipient.as_deref().map(|it| safe::line(it, 80)),
        short: short.filter(|it| !it.is_empty()),
        failed_at: Some(frame.moment(held.at)),
        more: held.recipients.saturating_sub(1) as usize,
        ..frame.common(None)
    };
    frame.blocks("digest line", &none, &facts)
}

/// What the administrator is told of a condition of operations.
#[must_use]
pub fn alert(texts: &Texts, settings: &Settings, to: &Address, told: &Told, now: Timestamp) -> Reply {
    build(texts, settings, to, now, |frame| {
        let none = Conditions::default();
        let condition = &told.seen.condition;
        let cause = condition.subject().map(|it| safe::line(it, 80));
        let detail = Some(safe::line(&told.seen.detail, 500)).filter(|it| !it.is_empty());
        let facts = Facts {
            value: cause,
            count: told.seen.count as usize,
            sent_at: Some(frame.moment(told.seen.since)),
            failed_at: Some(frame.moment(told.at)),
            ..frame.common(None)
        };
        let short = frame.line(&format!("alert {} short", condition.name()), &none, &facts);
        let facts = Facts { short: Some(short), ..facts };
        let subject = if told.ended { "alert ended subject" } else { "alert subject" };
        let headline = if told.ended { "alert ended" } else { "alert began" };
        let mut page = Page {
            subject: frame.line(subject, &none, &facts),
            headline: page::run(frame.line(headline, &none, &facts)),
            footer: frame.blocks("alert footer", &none, &facts),
            ..Page::default()
        };
        if !told.ended {
            page.what = frame.blocks(&format!("alert {}", condition.name()), &none, &facts);
        }
        page.quotes.extend(detail.map(|words| page::Quote {
            label: frame.label("alert detail", &none, &facts),
            runs: page::quoted(frame.texts, &words),
        }));
        page
    })
}

/// The mail around pages in one language or two.
fn build(texts: &Texts, settings: &Settings, to: &Address, now: Timestamp, page: impl Fn(&Frame<'_>) -> Page) -> Reply {
    let plan = ReplyPlan {
        addressee: to.person.clone(),
        redirect_to: to.redirect_to.clone(),
        languages: to.languages.clone(),
        reference_id: ReferenceId::derive(&to.identity),
        identity: to.identity.clone(),
        sequence: 0,
        in_reply_to: None,
        grounds: Vec::new(),
        asked: false,
        not_before: now,
        gathers: None,
        after_delay: false,
        weeks: Vec::new(),
    };
    let english = [Language::en()];
    let languages = if to.languages.is_empty() { &english[..] } else { &to.languages[..] };
    let pages: Vec<Page> = languages
        .iter()
        .take(2)
        .map(|language| {
            let frame = Frame::new(texts, settings, &plan, language.as_str(), now);
            let mut page = page(&frame);
            frame.tag.clone_into(&mut page.language);
            if plan.redirect_to.is_some() {
                page.banner = Some(frame.line("redirected", &Conditions::default(), &frame.common(None)));
            }
            page
        })
        .collect();
    let subject = pages.first().map(|it| it.subject.clone()).unwrap_or_default();
    let rendered = super::Rendered { subject, text: page::text(&pages), html: page::html(&pages) };
    message::build(texts, settings, &plan, &[], &rendered, now)
}
