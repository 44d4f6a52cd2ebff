//! What an administrator can do from the page. Each action is an entry of the journal with the
//! name of who did it; mail goes out through the outbox like any other.

use std::sync::Arc;

use axum::{
    extract::{Extension, Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Page, Problem, Site,
    guard::{Fields, Frame},
};
use crate::{
    bounce::Recognition,
    mail::Mailbox,
    policy::{Decision, ReplyPlan},
    reply::{self, Texts},
};

/// How the journal names who acted.
fn actor(frame: &Frame) -> String {
    format!("review: {}", frame.visitor.name)
}

fn done(at: &str, what: &str) -> Response {
    Redirect::to(&format!("{at}?done={what}")).into_response()
}

/// POST /bounces/{id}/send
pub(super) async fn send(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Path(id): Path<i64>,
) -> Page {
    site.journal.retry_by(id, &actor(&frame), Site::now()).await?;
    site.wake();
    Ok(done(&format!("/bounces/{id}"), "sent"))
}

/// POST /bounces/{id}/send-to
pub(super) async fn send_to(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
    Path(id): Path<i64>,
) -> Page {
    let refused = |what: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "said_forbidden", what);
    let member = fields.take("member")?;
    let member = Mailbox::parse(member).ok_or_else(|| refused(&format!("{member} is not an address")))?;
    if !site.config.policy.domains.iter().any(|it| it == member.domain()) {
        return Err(refused(&format!("{member} is not an address of your domains")));
    }
    let story = site.journal.show(&id.to_string()).await?;
    let bounce = match story.recognition {
        Some(Recognition::Bounce(bounce)) => Some(bounce),
        Some(Recognition::NotABounce(other)) => other.quoted.map(|it| *it),
        None => None,
    };
    let plan = match story.decision {
        Some(Decision::Reply(plan) | Decision::Hold(_, plan)) => Some(plan),
        Some(Decision::Suppress(_)) | None => None,
    };
    let (Some(bounce), Some(plan)) = (bounce, plan) else {
        return Err(refused("there is no explanation to send"));
    };
    let now = Site::now();
    // An identity of its own gives the copy a Message-ID of its own.
    let plan = ReplyPlan {
        identity: format!("{}\ncopy for {member}", plan.identity),
        addressee: member,
        gathers: None,
        ..plan
    };
    let own = site.config.templates.as_deref().map(|it| crate::config::overlay(it, &[".md"])).transpose();
    let own = own.map_err(|error| Problem::trouble(&error.to_string()))?.unwrap_or_default();
    let texts = Texts::with_overlay(own).unwrap_or_else(|_| Texts::embedded());
    let reply = reply::render(&texts, &site.config.reply, &plan, &[(bounce, story.findings)], now);
    site.journal.send_copy(id, &plan, &reply, &actor(&frame), now).await?;
    site.wake();
    Ok(done(&format!("/bounces/{id}"), "sent"))
}

/// POST /bounces/{id}/wrong
pub(super) async fn wrong(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
    Path(id): Path<i64>,
) -> Page {
    let cause = fields.take("cause")?;
    if !reply::cause_names().any(|it| it == cause) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "said_forbidden", "there is no such cause"));
    }
    site.journal.mark(id, cause, &actor(&frame), Site::now()).await?;
    Ok(done(&format!("/bounces/{id}"), "marked"))
}

/// POST /domains/mute
pub(super) async fn mute(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
) -> Page {
    site.journal.mute(fields.take("domain")?, &actor(&frame), Site::now()).await?;
    Ok(done(&back(&fields), "muted"))
}

/// POST /domains/unmute
pub(super) async fn unmute(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
) -> Page {
    site.journal.unmute(fields.take("domain")?, &actor(&frame), Site::now()).await?;
    Ok(done(&back(&fields), "unmuted"))
}

/// The bounce it was done from, else the settings.
fn back(fields: &Fields) -> String {
    let bounce = fields.take("back").ok().and_then(|it| it.parse::<i64>().ok());
    bounce.map_or_else(|| "/settings".to_owned(), |id| format!("/bounces/{id}"))
}

/// POST /outbox/release
pub(super) async fn release(State(site): State<Arc<Site>>, Extension(frame): Extension<Frame>) -> Page {
    tracing::info!(actor = actor(&frame), "what the breaker held is released by hand");
    site.journal.release_breaker().await?;
    site.wake();
    Ok(done("/outbox", "released"))
}
