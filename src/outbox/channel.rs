//! The channel: the way out that all rows share (`design.md` §3, *Channel or message*). Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Stage;

/// Waits between probes of a channel that refuses; the last one repeats.
const PROBE_AFTER: [SignedDuration; 4] = [
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(15),
    SignedDuration::from_mins(60),
];

/// A channel that refuses: nothing is sent but one row at each probe.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// When it began.
    pub since: Timestamp,
    /// When one row probes.
    pub until: Timestamp,
    /// Refusals so far.
    pub refusals: u32,
    /// What the server, or the system, said last.
    pub why: String,
    /// The row that probes, or probed last.
    #[serde(default)]
    pub probe: Option<i64>,
}

impl Paused {
    /// The channel refused `row` at `now`, for the first time or again. After two refusals of a login
    /// there is one try an hour: providers lock accounts (`design.md` §3).
    ///
    /// Once it is paused only the row that probes counts: others were under way when it began, and
    /// two senders refused at once are one refusal.
    #[must_use]
    pub fn after(before: Option<&Self>, row: i64, stage: Stage, why: &str, now: Timestamp) -> Self {
        if let Some(before) = before.filter(|it| it.probe != Some(row)) {
            return before.clone();
        }
        let refusals = before.map_or(0, |it| it.refusals);
        let last = PROBE_AFTER.len() - 1;
        let index = usize::try_from(refusals).unwrap_or(usize::MAX).min(last);
        let index = if stage == Stage::Auth && refusals > 0 { last } else { index };
        Self {
            since: before.map_or(now, |it| it.since),
            until: now.checked_add(PROBE_AFTER[index]).unwrap_or(Timestamp::MAX),
            refusals: refusals.saturating_add(1),
            why: why.to_owned(),
            probe: None,
        }
    }

    /// `row` probes from `now` on; when the next one does, should nothing be heard of it.
    #[must_use]
    pub fn probing(&self, row: i64, now: Timestamp) -> Self {
        Self { until: now.checked_add(PROBE_AFTER[1]).unwrap_or(Timestamp::MAX), probe: Some(row), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(before: Option<&Paused>, stage: Stage) -> Paused {
        let probing = before.map(|it| it.probing(7, Timestamp::UNIX_EPOCH));
        Paused::after(probing.as_ref(), 7, stage, "connection refused", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_refusing_channel_is_probed_at_1_5_15_and_60_minutes() {
        let start = Timestamp::UNIX_EPOCH;
        let mut paused = None;
        let mut waits = Vec::new();
        for _ in 0..5 {
            let next = refused(paused.as_ref(), Stage::Connect);
            waits.push(next.until.duration_since(start).as_mins());
            paused = Some(next);
        }
        assert_eq!(waits, [1, 5, 15, 60, 60]);
        let first = refused(None, Stage::Auth);
        let second = refused(Some(&first), Stage::Auth);
        let minutes = [first, second].map(|it| it.until.duration_since(start).as_mins());
        assert_eq!(minutes, [1, 60]);
    }

    #[test]
    fn two_senders_refused_at_once_are_one_refusal() {
        let first = refused(None, Stage::Auth);
        let other = Paused::after(Some(&first), 8, Stage::Auth, "535 5.7.8", Timestamp::UNIX_EPOCH);
        assert_eq!(other, first);
    }
}
