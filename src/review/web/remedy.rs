//! What is ours to mend: the explanation for the administrator, as `explain --for admin` words it.

use jiff::Timestamp;
use minijinja::{Value, context};

use super::{Site, guard::Frame, render};
use crate::{
    bounce::{Bounce, Recognition},
    diagnosis::Acts,
    evidence::Finding,
    journal::{Error, Filter, Story},
    policy::{Decision, ReplyPlan},
    reply::{self, Audience},
};

/// So many causes are told with their latest bounce; each takes two questions to the journal.
const TOLD: usize = 8;

/// The bounce of a story, where it holds one.
pub(super) fn bounce_of(story: &Story) -> Option<&Bounce> {
    match &story.recognition {
        Some(Recognition::Bounce(bounce)) => Some(bounce),
        Some(Recognition::NotABounce(other)) => other.quoted.as_deref(),
        None => None,
    }
}

/// Headline, steps and the text to paste; `None` if nothing in it is ours to mend.
pub(super) fn of(story: &Story, site: &Site, frame: &Frame) -> Option<String> {
    let ours = |it: &&Finding| it.diagnosis.acts == Acts::OwnAdmin;
    told(story, story.findings.iter().filter(ours).cloned().collect(), site, frame)
}

/// The latest bounce of each cause, with the sentence that says what is wrong.
pub(super) async fn latest(
    causes: impl Iterator<Item = &str>,
    since: Timestamp,
    site: &Site,
    frame: &Frame,
) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for cause in causes.take(TOLD) {
        let filter = Filter { since: Some(since), cause: Some(cause.to_owned()), limit: 1, ..Filter::default() };
        let Some(row) = site.journal.list(&filter).await?.into_iter().next() else { continue };
        let story = site.journal.show(&row.id.to_string()).await?;
        let of_cause = |it: &&Finding| it.diagnosis.cause.as_str() == cause;
        let findings = story.findings.iter().filter(of_cause).cloned().collect();
        let headline = told(&story, findings, site, frame).and_then(|it| it.lines().next().map(str::to_owned));
        all.push(context! { cause, id => row.id, headline });
    }
    Ok(all)
}

fn told(story: &Story, findings: Vec<Finding>, site: &Site, frame: &Frame) -> Option<String> {
    let bounce = bounce_of(story).filter(|_| !findings.is_empty())?;
    let (languages, now) = (vec![render::as_language(frame.lang)], Site::now());
    let plan = match &story.decision {
        Some(Decision::Reply(plan) | Decision::Hold(_, plan)) => ReplyPlan { languages, ..plan.clone() },
        Some(Decision::Suppress(_)) | None => reply::preview_plan(bounce, languages, now),
    };
    let cases = [(bounce.clone(), findings)];
    let audience = Audience::Administrator;
    let it = reply::render_parts(&site.texts, &site.config.reply, &plan, &cases, audience, now);
    // Below the rule stand facts and quotations, which this page shows itself.
    let above = it.text.split("\n----").next().unwrap_or_default();
    Some(above.trim().to_owned())
}
