//! The first page: how much bounced, why, what of it is ours to mend, and whether all runs.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use axum::extract::{Extension, Query, State};
use jiff::{SignedDuration, Timestamp, Unit, ZonedDateTime, civil::Date, tz::TimeZone};
use minijinja::{Value, context};

use super::{Page, Site, charts, guard::Frame, page, remedy, told};
use crate::{
    diagnosis::{Acts, Catalogue},
    journal::{Count, DayCount},
};

/// The order of bars and legend: what is ours stands at the bottom, where it is seen first.
const PARTS: [(Acts, &str); 4] = [
    (Acts::OwnAdmin, "own_admin"),
    (Acts::Sender, "sender"),
    (Acts::RecipientSide, "recipient_side"),
    (Acts::NobodyWait, "nobody_wait"),
];

/// GET /
pub(super) async fn overview(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Query(query): Query<HashMap<String, String>>,
) -> Page {
    let zone = &site.config.reply.timezone;
    let now = Site::now().to_zoned_datetime(zone.clone());
    let (span, back) = match query.get("span").map(String::as_str) {
        Some("today") => ("today", 0),
        Some("month") => ("month", 29),
        Some(_) | None => ("week", 6),
    };
    let since = midnight(&now, back);
    let offset = SignedDuration::from_secs(i64::from(zone.to_offset(now.timestamp()).seconds()));
    let stats = site.journal.stats(since, Timestamp::MAX, offset).await?;
    let counts = site.journal.days(since, Timestamp::MAX, offset).await?;
    let delay = site.journal.typical_delay(since).await?;
    let waiting: u64 = site
        .journal
        .outbox_states()
        .await?
        .iter()
        .filter(|(state, _)| !matches!(state.as_str(), "failed" | "in_doubt" | "digested" | "dry_run"))
        .map(|(_, count)| count)
        .sum();
    let acts = acts();
    let days = by_day(&counts, acts, since, &now, zone);
    let legend: Vec<Value> = PARTS
        .iter()
        .map(|(_, class)| {
            let count: u64 = days.iter().flat_map(|it| &it.parts).filter(|it| it.0 == *class).map(|it| it.1).sum();
            context! { class => *class, count, title => frame.said(&format!("acts_{class}")) }
        })
        .collect();
    let day = since.to_zoned_datetime(zone.clone()).date();
    let sum = |names: &[&str]| -> u64 {
        stats.explanations.iter().filter(|it| names.contains(&it.name.as_str())).map(|it| it.count).sum()
    };
    let ours: Vec<Count> =
        stats.causes.iter().filter(|it| acts.get(&it.name) == Some(&Acts::OwnAdmin)).cloned().collect();
    let latest = remedy::latest(ours.iter().map(|it| it.name.as_str()), since, &site, &frame).await?;
    let mailboxes = site.running.as_ref().map(|it| it.mailboxes());
    let broken = mailboxes.as_ref().is_some_and(|all| all.iter().any(|it| it.trouble.is_some()));
    let figures = context! {
        bounces => stats.bounces,
        explained => sum(&["sent"]),
        waiting,
        withheld => site.journal.suppressed(since).await?,
        median => delay.map(|it| in_words(it, frame.lang)),
    };
    let content = context! {
        span,
        figures,
        mailboxes => told(&mailboxes),
        broken,
        ours => rows(&ours, &site, &frame, acts),
        latest,
        causes => rows(&stats.causes, &site, &frame, acts),
        domains => rows(&stats.domains, &site, &frame, &HashMap::new()),
        withheld => told(&stats.withheld),
        chart => charts::days(&days),
        legend,
        query => format!("&since={day}"),
    };
    page("overview.html", &frame, content)
}

/// The beginning of the day so many days ago.
fn midnight(now: &ZonedDateTime, back: i64) -> Timestamp {
    let day = now.date().saturating_sub(jiff::Span::new().days(back));
    day.to_zoned_datetime(now.time_zone().clone()).map_or(now.timestamp(), |it| it.timestamp())
}

/// Whose move each cause is by default.
fn acts() -> &'static HashMap<String, Acts> {
    static ACTS: OnceLock<HashMap<String, Acts>> = OnceLock::new();
    ACTS.get_or_init(|| {
        let catalogue = Catalogue::embedded();
        let causes = catalogue.iter().flat_map(Catalogue::causes);
        causes.map(|it| (it.id.as_str().to_owned(), it.acts)).collect()
    })
}

fn by_day(
    counts: &[DayCount],
    acts: &HashMap<String, Acts>,
    since: Timestamp,
    now: &ZonedDateTime,
    zone: &TimeZone,
) -> Vec<charts::Day> {
    let of = |date: Date, acting: Acts| {
        counts
            .iter()
            .filter(|it| it.day == date && acts.get(&it.cause).copied().unwrap_or(Acts::OwnAdmin) == acting)
            .map(|it| it.count)
            .sum()
    };
    let first = since.to_zoned_datetime(zone.clone()).date();
    first
        .series(jiff::Span::new().days(1))
        .take_while(|date| *date <= now.date())
        .map(|date| charts::Day {
            date,
            parts: PARTS.iter().map(|(acting, class)| (*class, of(date, *acting))).collect(),
        })
        .collect()
}

fn rows(counts: &[Count], site: &Site, frame: &Frame, acts: &HashMap<String, Acts>) -> Vec<Value> {
    let most = counts.iter().map(|it| it.count).max().unwrap_or(0);
    let row = |it: &Count| {
        let class =
            acts.get(&it.name).and_then(|acting| PARTS.iter().find(|part| part.0 == *acting)).map(|part| part.1);
        let share = charts::share(it.count, most);
        context! { name => it.name.clone(), title => site.title(&it.name, frame), count => it.count, share, class }
    };
    counts.iter().map(row).collect()
}

/// How long something took, roughly.
fn in_words(delay: SignedDuration, lang: &str) -> String {
    let span = jiff::Span::try_from(delay).unwrap_or_default();
    let largest = jiff::SpanRound::new().largest(Unit::Hour).smallest(Unit::Second);
    let span = span.round(largest).unwrap_or_default();
    let (hours, minutes, seconds) = (span.get_hours(), span.get_minutes(), span.get_seconds());
    match (hours, minutes, lang) {
        (0, 0, "zh-CN") => format!("{seconds} 秒"),
        (0, _, "zh-CN") => format!("{minutes} 分 {seconds} 秒"),
        (_, _, "zh-CN") => format!("{hours} 小时 {minutes} 分"),
        (0, 0, _) => format!("{seconds} s"),
        (0, ..) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}
