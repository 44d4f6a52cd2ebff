//! Composes the explanation: what happened, whose move it is, what to do, what was checked.
//!
//! Pure: findings and a plan in, a finished MIME message out. The words are data
//! (`catalogue/causes/<cause>/<language>.md`, `catalogue/languages/<language>/`), overlaid by the
//! company's own directory ([`Texts::with_overlay`]). One page of blocks is the source of both
//! text/plain and HTML. Nothing here can fail: a text that cannot be filled falls back to English.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    bounce::Bounce,
    evidence::Finding,
    mail::{Language, Mailbox, MessageId, ReferenceId, ReversePath},
    policy::{Ground, ReplyPlan},
};

mod administrator;
mod author;
mod below;
mod facts;
mod frame;
mod gather;
mod markup;
mod message;
pub mod notice;
mod page;
mod safe;
mod section;
mod size;
mod spacing;
mod speaker;
mod texts;
mod week;

pub use texts::{TextError, Texts, cause_names};

/// The largest message that is made, in octets.
pub const MAX_OCTETS: usize = 64 * 1024;

/// A finished mail: what `outbound` sends is exactly these bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Deterministic (`design.md` §8.3).
    pub message_id: MessageId,
    /// The one recipient of the envelope.
    pub to: Mailbox,
    /// The message with CRLF line ends, 7-bit clean.
    pub bytes: Vec<u8>,
}

/// `[reply]`, `timezone` and what of `[smtp]` shows in a mail.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From: the configured address, with a display name or none.
    pub from: Mailbox,
    /// From's display name; without one, each language's own.
    pub from_name: Option<String>,
    /// Reply-To, if any.
    pub reply_to: Option<Mailbox>,
    /// The company's name in the signature.
    pub company: Option<String>,
    /// Where to ask: "IT 服务台（分机 8001）".
    pub helpdesk: Option<String>,
    /// The zone that times are shown in; an IANA name.
    pub timezone: jiff::tz::TimeZone,
    /// `alerts.to` is set: the administrator is told of what is theirs to do.
    pub administrator_is_told: bool,
}

impl Settings {
    /// Where nothing is configured but who writes and in what zone.
    #[must_use]
    pub fn plain(from: Mailbox, timezone: jiff::tz::TimeZone) -> Self {
        let (from_name, reply_to, company, helpdesk) = (None, None, None, None);
        Self { from, from_name, reply_to, company, helpdesk, timezone, administrator_is_told: false }
    }
}

/// For whom an explanation is worded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Who wrote the original, or asks about it.
    Author,
    /// Who runs the company's mail.
    Administrator,
}

/// An explanation before it becomes a mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Subject, one line.
    pub subject: String,
    /// Plain text, lines ended by LF.
    pub text: String,
    /// A whole HTML document.
    pub html: String,
}

/// The mail that explains `cases` to the plan's addressee (in `redirect` mode, sent to another).
///
/// `cases` are the bounces of one original, each with a finding per recipient; empty only when a
/// member asked about something in which no bounce could be read.
#[must_use]
pub fn render(
    texts: &Texts,
    settings: &Settings,
    plan: &ReplyPlan,
    cases: &[(Bounce, Vec<Finding>)],
    now: Timestamp,
) -> Reply {
    // Fewer words until it fits: hostile input can fill any list, yet the mail stays readable.
    let mut reply = None;
    for detail in page::Detail::ALL {
        let rendered = compose(texts, settings, plan, cases, Audience::Author, now, detail);
        let made = message::build(texts, settings, plan, cases, &rendered, now);
        let fits = made.bytes.len() <= MAX_OCTETS;
        reply = Some(made);
        if fits {
            break;
        }
    }
    reply.unwrap_or_else(|| unreachable!("there is at least one degree of detail"))
}

/// The same words without the mail around them, for `explain`, `demo` and the review page.
#[must_use]
pub fn render_parts(
    texts: &Texts,
    settings: &Settings,
    plan: &ReplyPlan,
    cases: &[(Bounce, Vec<Finding>)],
    audience: Audience,
    now: Timestamp,
) -> Rendered {
    compose(texts, settings, plan, cases, audience, now, page::Detail::Full)
}

fn compose(
    texts: &Texts,
    settings: &Settings,
    plan: &ReplyPlan,
    cases: &[(Bounce, Vec<Finding>)],
    audience: Audience,
    now: Timestamp,
    detail: page::Detail,
) -> Rendered {
    let english = [Language::en()];
    let languages = if plan.languages.is_empty() { &english[..] } else { &plan.languages[..] };
    let pages: Vec<page::Page> = languages
        .iter()
        .take(2)
        .map(|language| {
            let frame = frame::Frame::new(texts, settings, plan, language.as_str(), now);
            match audience {
                Audience::Author => author::page(&frame, cases, detail),
                Audience::Administrator => administrator::page(&frame, cases, detail),
            }
        })
        .collect();
    let subject = pages.first().map(|it| it.subject.clone()).unwrap_or_default();
    Rendered { subject, text: page::text(&pages), html: page::html(&pages) }
}

/// A plan for showing an explanation without policy: to whoever wrote the original, in these
/// languages, taken as proven. For `explain`, `demo` and the review page; never for sending.
#[must_use]
pub fn preview_plan(bounce: &Bounce, languages: Vec<Language>, now: Timestamp) -> ReplyPlan {
    let original = bounce.original.as_ref();
    let envelope_sender = original.and_then(|it| match &it.return_path {
        Some(ReversePath::Mailbox(mailbox)) => Some(mailbox.clone()),
        Some(ReversePath::Null) | None => None,
    });
    let author =
        original.and_then(|it| it.from.clone()).or(envelope_sender).or_else(|| bounce.envelope.to.first().cloned());
    let addressee =
        author.or_else(|| Mailbox::parse("author@localhost")).unwrap_or_else(|| unreachable!("a sound address"));
    let id = original.and_then(|it| it.message_id.clone());
    let identity = format!("{addressee}|{}", id.as_ref().map(ToString::to_string).unwrap_or_default());
    ReplyPlan {
        reference_id: ReferenceId::derive(&identity),
        addressee,
        redirect_to: None,
        languages,
        identity,
        sequence: 0,
        in_reply_to: id,
        grounds: vec![Ground::NoProofAsked],
        asked: bounce.forwarded_by.is_some(),
        not_before: now,
        gathers: None,
        after_delay: false,
        weeks: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
