//! The list with its filters in the address, and one message with its whole story.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::extract::{Extension, Path, Query, State};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use mail_parser::MessageParser;
use minijinja::{Value, context};

use super::{Page, Problem, Site, guard::Frame, name_of, page, remedy, render, told};
use crate::{
    bounce::Bounce,
    evidence::{Answer, Finding},
    journal::{Filter, Row, Story, StoryReply},
    outbox::State as Standing,
    policy::Decision,
};

/// Rows of one page.
const ROWS: u32 = 50;

/// What the list can be narrowed to, as in the address.
const FILTERS: [&str; 10] =
    ["text", "person", "recipient", "domain", "cause", "state", "decision", "since", "until", "all"];

/// The states that can be asked for.
pub(super) const STATES: [Standing; 7] = [
    Standing::Due,
    Standing::Sent,
    Standing::Failed,
    Standing::Held,
    Standing::InDoubt,
    Standing::DryRun,
    Standing::Digested,
];

/// A state by its name.
pub(super) fn state(name: &str) -> Result<Standing, Problem> {
    STATES.into_iter().find(|it| name_of(it) == name).ok_or_else(|| Problem::invalid(name))
}

/// GET /bounces
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Query(query): Query<HashMap<String, String>>,
) -> Page {
    let filter = filter(&query, &site.config.reply.timezone)?;
    let mut found = site.journal.list(&filter).await?;
    let more = found.len() > ROWS as usize;
    found.truncate(ROWS as usize);
    let next = found.last().filter(|_| more).map(|it| it.id);
    let asked = |name: &str| query.get(name).map_or("", String::as_str);
    let kept: Vec<(&str, &str)> =
        FILTERS.iter().map(|name| (*name, asked(name))).filter(|(_, value)| !value.is_empty()).collect();
    let shown: HashMap<&str, &str> = FILTERS.iter().chain(&["before"]).map(|name| (*name, asked(name))).collect();
    let content = context! {
        filter => told(&shown),
        found => found.iter().map(|it| row(it, &site, &frame)).collect::<Vec<_>>(),
        next,
        query => encoded(&kept),
        causes => site.causes(&frame),
        states => STATES.iter().map(name_of).collect::<Vec<_>>(),
    };
    page("bounces.html", &frame, content)
}

fn filter(query: &HashMap<String, String>, zone: &TimeZone) -> Result<Filter, Problem> {
    let text = |name: &str| query.get(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    let day = |name: &str, days: i64| {
        text(name)
            .map(|it| {
                let date: Date = it.parse().map_err(|_| Problem::invalid(&it))?;
                let date = date.checked_add(jiff::Span::new().days(days)).map_err(|_| Problem::invalid(&it))?;
                let at = date.to_zoned_datetime(zone.clone()).map_err(|_| Problem::invalid(&it))?;
                Ok::<Timestamp, Problem>(at.timestamp())
            })
            .transpose()
    };
    Ok(Filter {
        since: day("since", 0)?,
        until: day("until", 1)?,
        person: text("person"),
        recipient: text("recipient"),
        domain: text("domain"),
        cause: text("cause"),
        decision: text("decision"),
        state: text("state").map(|it| state(&it)).transpose()?,
        text: text("text"),
        all: text("all").is_some(),
        before: text("before").map(|it| it.parse().map_err(|_| Problem::invalid(&it))).transpose()?,
        limit: ROWS + 1,
        ..Filter::default()
    })
}

/// A query string (RFC 3986 §3.4).
fn encoded(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", render::url_encoded(value))).collect();
    pairs.join("&")
}

fn row(it: &Row, site: &Site, frame: &Frame) -> Value {
    let title = it.cause.as_deref().map(|cause| site.title(cause, frame));
    context! { title, ..told(it) }
}

/// GET /bounces/{id}
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Path(id): Path<String>,
) -> Page {
    let story = site.journal.show(&id).await?;
    let marked = site.journal.mark_of(story.row.id).await?.map(|it| it.cause);
    let muted = site.journal.muted().await?;
    let bounce = remedy::bounce_of(&story);
    let domains: BTreeSet<&str> = story.findings.iter().map(|it| it.report.final_recipient.domain()).collect();
    let muting: Vec<Value> =
        domains.iter().take(3).map(|domain| context! { domain => *domain, muted => muted.contains(*domain) }).collect();
    let content = context! {
        row => row(&story.row, &site, &frame),
        received => told(&story.received),
        lies => told(&story.reference),
        size => story.size,
        format => bounce.map(|it| it.format.clone()),
        reporting_mta => bounce.and_then(|it| it.reporting_mta.clone()),
        pruned => story.recognition.is_none(),
        grounds => grounds(&story),
        remedy => remedy::of(&story, &site, &frame),
        entries => told(&story.entries),
        findings => story.findings.iter().map(|it| finding(it, &site, &frame)).collect::<Vec<_>>(),
        reply => story.reply.as_ref().map(reply),
        can => can(&story, bounce),
        causes => site.causes(&frame),
        marked,
        muting,
    };
    page("bounce.html", &frame, content)
}

fn grounds(story: &Story) -> Vec<String> {
    match &story.decision {
        Some(Decision::Reply(plan) | Decision::Hold(_, plan)) => plan.grounds.iter().map(name_of).collect(),
        Some(Decision::Suppress(_)) | None => Vec::new(),
    }
}

/// What can be done about it.
fn can(story: &Story, bounce: Option<&Bounce>) -> Value {
    let send = story.reply.as_ref().is_some_and(|it| {
        it.to.is_some() && !matches!(it.state, Standing::Attempting | Standing::BodyStarted | Standing::Due)
    });
    let planned = matches!(story.decision, Some(Decision::Reply(_) | Decision::Hold(..)));
    context! { send, send_to => planned && bounce.is_some() }
}

fn finding(it: &Finding, site: &Site, frame: &Frame) -> Value {
    let diagnosis = &it.diagnosis;
    let checks: Vec<Value> = it
        .observations
        .iter()
        .map(|seen| {
            let answer = match &seen.answer {
                Answer::Found(records) => records.join(", "),
                other => serde_json::to_value(other)
                    .ok()
                    .and_then(|it| it.get("result").and_then(|it| it.as_str().map(|it| it.replace('_', " "))))
                    .unwrap_or_default(),
            };
            context! { answer, verdict => name_of(&seen.verdict), ..told(seen) }
        })
        .collect();
    let diagnostic = it.report.diagnostic.clone().unwrap_or_default();
    context! {
        recipient => it.report.final_recipient.to_string(),
        title => site.title(diagnosis.cause.as_str(), frame),
        cause => diagnosis.cause.as_str(),
        confidence => name_of(&diagnosis.confidence),
        acts => name_of(&diagnosis.acts),
        action => name_of(&it.report.action),
        status => it.report.status.map(|it| it.to_string()),
        remote_mta => it.report.remote_mta.clone(),
        rule => diagnosis.rule.clone(),
        rivals => diagnosis.rivals.clone(),
        said => Some(said(&diagnostic, &diagnosis.matched)).filter(|_| !diagnostic.is_empty()),
        diagnostic,
        checks,
    }
}

/// The server's words, with those that decided apart.
fn said(diagnostic: &str, matched: &str) -> Value {
    let at = diagnostic.find(matched).filter(|_| !matched.is_empty());
    match at {
        Some(at) => context! { before => &diagnostic[..at], matched, after => &diagnostic[at + matched.len()..] },
        None => context! { before => diagnostic, matched => "", after => "" },
    }
}

/// The explanation as text, whatever it holds.
fn reply(it: &StoryReply) -> Value {
    let parsed = MessageParser::default().parse(&it.bytes);
    let subject = parsed.as_ref().and_then(|it| it.subject().map(str::to_owned));
    let text = parsed.as_ref().and_then(|it| it.body_text(0)).map(|it| it.replace('\r', ""));
    let source = String::from_utf8_lossy(&it.bytes).replace('\r', "");
    context! { subject, text, source, ..told(it) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_what_cannot_be_is_said() {
        let query = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let read = filter(&query(&[("since", "2026-11-16"), ("until", "2026-11-16"), ("text", "  ")]), &TimeZone::UTC);
        let read = read.expect("sound");
        assert_eq!(read.until.zip(read.since).map(|(a, b)| a.duration_since(b).as_hours()), Some(24));
        assert_eq!(read.text, None);
        for wrong in [("since", "yesterday"), ("state", "lost"), ("before", "x"), ("until", "9999-12-31")] {
            assert!(filter(&query(&[wrong]), &TimeZone::UTC).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn addresses_survive_a_query_string() {
        assert_eq!(encoded(&[("text", "a&b=c 报价")]), "text=a%26b%3Dc%20%E6%8A%A5%E4%BB%B7");
    }

    #[test]
    fn the_words_that_decided_are_marked_where_they_stand() {
        let it = said("550 User unknown here", "User unknown");
        assert_eq!(it.get_attr("before").expect("text").as_str(), Some("550 "));
        assert_eq!(said("550 x", "not there").get_attr("before").expect("text").as_str(), Some("550 x"));
    }
}
