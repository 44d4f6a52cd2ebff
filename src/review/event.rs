//! `journal follow`: one line an event.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::table::printable;
use crate::journal::{Event, Step};

/// What happened, to what; harmless for a terminal.
#[must_use]
pub fn event(it: &Event, zone: &TimeZone) -> String {
    let at = it.at.to_zoned_datetime(zone.clone());
    let what = match it.step {
        Step::Recorded => "recorded",
        Step::SetAside => "set aside",
        Step::Queued => "to be explained",
        Step::Gathered => "joins an explanation",
        Step::Attempted => "being sent",
        Step::BodyStarted => "handing over",
        Step::Sent => "explained",
        Step::Deferred => "put off",
        Step::Refused => "refused",
        Step::ChannelRefused => "cannot be sent now",
        Step::InDoubt => "in doubt",
        Step::Recovered => "taken up again",
        Step::Held => "held",
        Step::Released => "released",
        Step::Copied => "copied",
        Step::Marked => "marked as wrong",
        Step::Muted => "muted",
        Step::Unmuted => "unmuted",
        Step::Withdrawn => "withdrawn",
        Step::Administered => "done",
    };
    let mut line = format!("{}  {what:<20}", at.strftime("%m-%d %H:%M:%S"));
    if let Some(message) = it.message {
        let _ = write!(line, "  {message}");
    }
    let kind = it.kind.as_deref().filter(|kind| *kind != "failed");
    for part in [kind, it.cause.as_deref(), it.recipient.as_deref()].into_iter().flatten() {
        let _ = write!(line, "  {part}");
    }
    if it.step == Step::Recorded && !it.reasons.is_empty() {
        let _ = write!(line, "  nobody answered: {}", it.reasons.join(", "));
    }
    if it.actor != "whybounced" {
        let _ = write!(line, "  by {}", it.actor);
    }
    if !it.detail.is_empty() {
        let _ = write!(line, "  {}", it.detail);
    }
    printable(&line).into_owned()
}
