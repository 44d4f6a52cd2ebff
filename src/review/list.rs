//! `journal list`: one line a message, newest first.

use jiff::tz::TimeZone;

use super::Table;
use crate::{journal::Row, outbox::State};

/// Rows as a table; times in `zone`.
#[must_use]
pub fn list(rows: &[Row], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["id", "recorded", "author", "recipient", "cause", "explanation", "subject"]);
    for row in rows {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let others = row.recipients.saturating_sub(1);
        let recipient = text(&row.recipient);
        table.row([
            row.id.to_string(),
            row.recorded.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
            text(&row.person),
            if others > 0 && !recipient.is_empty() { format!("{recipient} +{others}") } else { recipient },
            what(row),
            explanation(row),
            text(&row.subject),
        ]);
    }
    table
}

/// The cause; of what is no failed bounce, what it is instead.
pub(super) fn what(row: &Row) -> String {
    match (&row.cause, &row.because) {
        (_, Some(because)) => format!("not a bounce: {because}"),
        (Some(cause), None) if row.kind == "failed" => cause.clone(),
        (Some(cause), None) => format!("{}: {cause}", row.kind),
        (None, None) => row.kind.clone(),
    }
}

/// Where the explanation stands, or why there is none.
pub(super) fn explanation(row: &Row) -> String {
    let reasons = row.reasons.join(", ");
    match (row.state, row.decision.as_str()) {
        (Some(State::Due), _) => "due".to_owned(),
        (Some(State::Attempting | State::BodyStarted), _) => "being sent".to_owned(),
        (Some(State::Sent), _) => "sent".to_owned(),
        (Some(State::Failed), _) => "refused".to_owned(),
        (Some(State::InDoubt), _) => "in doubt".to_owned(),
        (Some(State::DryRun), _) => "dry run".to_owned(),
        (Some(State::Digested), _) => "in a digest".to_owned(),
        (Some(State::Withdrawn), _) => "withdrawn: delivered after all".to_owned(),
        (Some(State::Held), _) => format!("held: {reasons}"),
        (None, "suppress") => format!("none: {reasons}"),
        (None, decision) => decision.to_owned(),
    }
}
