//! When to try a mailbox again (`design.md` §3, last paragraph). Pure: clock and jitter come in.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::Kind;

/// Waits double from here …
const FIRST: Duration = Duration::from_secs(1);
/// … up to here.
const LONGEST: Duration = Duration::from_mins(5);
/// After two refusals of a login: providers lock accounts.
const AFTER_REFUSALS: Duration = Duration::from_hours(1);
/// After ten logins in an hour that came to nothing.
const AFTER_TEN: Duration = Duration::from_mins(6);
/// A session that lived this long begins a new row of failures.
const LONG_LIVED: SignedDuration = SignedDuration::from_secs(60);

/// One mailbox's failures in a row. A new process starts at zero.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    refusals: u32,
    /// Logins of the last hour that were refused or lost before any work was done.
    in_vain: VecDeque<Timestamp>,
    worked_since: Option<Timestamp>,
}

impl Backoff {
    /// No failures yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The session did work: a first scan went through.
    pub fn worked(&mut self, now: Timestamp) {
        self.refusals = 0;
        self.worked_since.get_or_insert(now);
    }

    /// A connection or session failed; returns how long to wait. `jitter` is 0 to 1 and shortens
    /// the wait by up to half, so that a thousand mailboxes do not come back at once.
    pub fn failed(&mut self, kind: Kind, now: Timestamp, jitter: f64) -> Duration {
        let had_worked = self.worked_since.take();
        if had_worked.is_some_and(|since| now.duration_since(since) >= LONG_LIVED) {
            self.failures = 0;
        }
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let mut wait = doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
        let reached_login = matches!(kind, Kind::LoginRefused | Kind::Lost | Kind::Protocol);
        if reached_login && had_worked.is_none() {
            self.in_vain.push_back(now);
        }
        while self.in_vain.front().is_some_and(|then| now.duration_since(*then) >= SignedDuration::from_hours(1)) {
            self.in_vain.pop_front();
        }
        if self.in_vain.len() >= 10 {
            wait = wait.max(AFTER_TEN);
        }
        if kind == Kind::LoginRefused {
            self.refusals = self.refusals.saturating_add(1);
        }
        if self.refusals >= 2 {
            wait = wait.max(AFTER_REFUSALS);
        }
        wait
    }

    /// Failures in a row, for the log: said at the 1st, the 10th, then hourly.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    #[test]
    fn waits_double_up_to_five_minutes_and_jitter_only_shortens() {
        let mut backoff = Backoff::new();
        let waits: Vec<u64> = (0..11).map(|_| backoff.failed(Kind::Unavailable, at(0), 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(Backoff::new().failed(Kind::Unavailable, at(0), 1.0), Duration::from_millis(500));
    }

    #[test]
    fn after_two_refusals_one_try_an_hour_until_a_login_works() {
        let mut backoff = Backoff::new();
        assert!(backoff.failed(Kind::LoginRefused, at(0), 0.0) < Duration::from_mins(1));
        assert_eq!(backoff.failed(Kind::LoginRefused, at(1), 0.5), AFTER_REFUSALS);
        assert_eq!(backoff.failed(Kind::Unavailable, at(3601), 0.5), AFTER_REFUSALS);
        backoff.worked(at(7300));
        assert!(backoff.failed(Kind::Lost, at(7400), 0.0) < Duration::from_mins(1));
    }

    #[test]
    fn after_ten_logins_in_vain_within_an_hour_one_try_in_six_minutes() {
        let mut backoff = Backoff::new();
        for second in 0..9 {
            assert!(backoff.failed(Kind::Lost, at(second), 1.0) < AFTER_TEN);
        }
        assert_eq!(backoff.failed(Kind::Lost, at(9), 1.0), AFTER_TEN);
        assert!(backoff.failed(Kind::Unavailable, at(3700), 1.0) < AFTER_TEN, "an hour later it is forgotten");
    }

    #[test]
    fn logins_that_did_work_are_not_counted() {
        let mut backoff = Backoff::new();
        for minute in 0..30 {
            backoff.worked(at(minute * 120));
            assert_eq!(backoff.failed(Kind::Lost, at(minute * 120 + 90), 0.0), FIRST);
        }
    }

    #[test]
    fn a_server_that_drops_each_session_at_once_makes_no_hot_loop() {
        let mut backoff = Backoff::new();
        let last = (0..10).map(|second| {
            backoff.worked(at(second));
            backoff.failed(Kind::Lost, at(second), 0.0)
        });
        assert_eq!(last.last(), Some(LONGEST));
    }
}
