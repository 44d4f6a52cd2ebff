//! For monitors: Prometheus figures, and whether the program lives and works. No personal data, and
//! labels only from closed lists; reckoned from the journal when somebody asks.

use std::{sync::Arc, sync::atomic::AtomicU64};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::{SignedDuration, Timestamp};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Site;
use crate::journal;

/// Figures are of the last day: a monitor keeps the history itself.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone, Debug, Eq, PartialEq, Hash, EncodeLabelSet)]
struct ByName {
    name: String,
}

type Figures = Family<ByName, Gauge<f64, AtomicU64>>;

/// GET /metrics
pub(super) async fn metrics(State(site): State<Arc<Site>>) -> Response {
    match gathered(&site).await {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, first_line(&error)).into_response(),
    }
}

/// GET /healthz: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// GET /readyz: the journal can be read, and every mailbox is watched.
pub(super) async fn readyz(State(site): State<Arc<Site>>) -> Response {
    if let Err(error) = site.journal.waiting().await {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("journal: {}\n", first_line(&error))).into_response();
    }
    let broken = site.running.as_ref().map_or(0, |it| it.mailboxes().iter().filter(|it| it.trouble.is_some()).count());
    if broken > 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{broken} mailboxes cannot be watched\n")).into_response();
    }
    "ok\n".into_response()
}

async fn gathered(site: &Site) -> Result<String, journal::Error> {
    let since = Site::now().checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
    let stats = site.journal.stats(since, Timestamp::MAX, SignedDuration::ZERO).await?;
    let mut registry = Registry::with_prefix("whybounced");
    let mut figures = |name: &str, help: &str, rows: &[(String, f64)]| {
        let family = Figures::default();
        for (name, value) in rows {
            family.get_or_create(&ByName { name: name.clone() }).set(*value);
        }
        registry.register(name, help, family);
    };
    let counted =
        |them: &[journal::Count]| them.iter().map(|it| (it.name.clone(), number(it.count))).collect::<Vec<_>>();
    figures("bounces_last_day", "Bounces recorded within 24 hours, by cause", &counted(&stats.causes));
    figures(
        "withheld_last_day",
        "Bounces that nobody was told of within 24 hours, by reason",
        &counted(&stats.withheld),
    );
    figures("explanations_last_day", "Explanations written within 24 hours, by state", &counted(&stats.explanations));
    let outbox: Vec<(String, f64)> =
        site.journal.outbox_states().await?.into_iter().map(|(name, count)| (name, number(count))).collect();
    figures("outbox_rows", "Rows of the outbox that are not sent, by state", &outbox);
    if let Some(running) = &site.running {
        let mailboxes = running.mailboxes();
        let broken = mailboxes.iter().filter(|it| it.trouble.is_some()).count();
        let rows = [("watched", mailboxes.len() - broken), ("in_trouble", broken)];
        figures("mailboxes", "Mailboxes, by how they are", &rows.map(|(name, n)| (name.to_owned(), number(n as u64))));
    }
    if let Some(delay) = site.journal.typical_delay(since).await? {
        let gauge: Gauge<f64, AtomicU64> = Gauge::default();
        gauge.set(delay.as_secs_f64());
        let help = "Median time from a bounce's record to its explanation's delivery within 24 hours";
        registry.register("explanation_delay_seconds", help, gauge);
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    Ok(text)
}

fn first_line(error: &journal::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
