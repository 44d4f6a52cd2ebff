//! What the administrator is told of, when, and how often (`docs/operations.md`). Pure.
//!
//! States (the way out is shut, a login is refused …) begin and end; each is told once it has lasted
//! long enough to matter, again once a day while it lasts, and when it ends. Events (a message was
//! set aside …) are told at once, then gathered. Whatever flaps, no more than `MOST_A_DAY` go out.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Alerts in a day, the ends of what was told not counted.
const MOST_A_DAY: usize = 24;
/// The same is not told again sooner, however often it comes and goes.
const QUIET: SignedDuration = SignedDuration::from_hours(1);
/// What lasts is told again.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// A mailbox that cannot be read may be a server that restarts.
const AWAY: SignedDuration = SignedDuration::from_mins(15);

/// A condition of operations.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing can be sent (`design.md` §3, *Channel or message*).
    ChannelPaused,
    /// A mailbox's login is refused; by the mailbox's name.
    LoginRefused(String),
    /// A mailbox cannot be read for another reason; by its name.
    MailboxAway(String),
    /// Too many explanations fell due at once: all are held.
    Breaker,
    /// The journal cannot be written: nothing is taken from the mailboxes, nothing is sent.
    JournalTrouble,
    /// A message broke the pipeline again and again and was left alone.
    SetAside,
    /// An explanation was refused for good, or given up.
    Refused,
    /// Explained bounces whose cause is ours to mend; by the cause.
    OwnSide(String),
}

impl Condition {
    /// Its name in the texts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ChannelPaused => "channel",
            Self::LoginRefused(_) => "login",
            Self::MailboxAway(_) => "mailbox",
            Self::Breaker => "breaker",
            Self::JournalTrouble => "journal",
            Self::SetAside => "set aside",
            Self::Refused => "refused",
            Self::OwnSide(_) => "own side",
        }
    }

    /// The mailbox or the cause that it is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::LoginRefused(it) | Self::MailboxAway(it) | Self::OwnSide(it) => Some(it),
            Self::ChannelPaused | Self::Breaker | Self::JournalTrouble | Self::SetAside | Self::Refused => None,
        }
    }

    /// How long it must last to be told.
    fn patience(&self) -> SignedDuration {
        match self {
            Self::MailboxAway(_) => AWAY,
            Self::ChannelPaused
            | Self::LoginRefused(_)
            | Self::Breaker
            | Self::JournalTrouble
            | Self::SetAside
            | Self::Refused
            | Self::OwnSide(_) => SignedDuration::ZERO,
        }
    }

    /// After it was told, how long before it is told again.
    fn quiet(&self) -> SignedDuration {
        match self {
            Self::OwnSide(_) => AGAIN,
            Self::ChannelPaused
            | Self::LoginRefused(_)
            | Self::MailboxAway(_)
            | Self::Breaker
            | Self::JournalTrouble
            | Self::SetAside
            | Self::Refused => QUIET,
        }
    }
}

/// A state that holds now, or events since the last look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Which.
    pub condition: Condition,
    /// Since when it holds, or when the first of the events was.
    pub since: Timestamp,
    /// What a server or the system said, or whom it concerns: one line from outside.
    pub detail: String,
    /// Of events, how many.
    pub count: u32,
}

/// What is to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// What was seen.
    pub seen: Seen,
    /// It is over.
    pub ended: bool,
    /// When; with `seen.since` and the condition it names the mail.
    pub at: Timestamp,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Open {
    since: Timestamp,
    detail: String,
    told: Option<Timestamp>,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Waiting {
    since: Timestamp,
    detail: String,
    count: u32,
}

/// What has been told, and what waits to be; the journal keeps it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    open: Vec<(Condition, Open)>,
    waiting: Vec<(Condition, Waiting)>,
    last: Vec<(Condition, Timestamp)>,
    sent: Vec<Timestamp>,
}

/// Goes on from `memory` with what holds and what happened; what is to be told now.
#[must_use]
pub fn step(memory: &mut Memory, states: &[Seen], events: &[Seen], now: Timestamp) -> Vec<Told> {
    let since = |age: SignedDuration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
    memory.sent.retain(|at| *at > since(AGAIN) && *at <= now);
    memory.last.retain(|(condition, at)| *at > since(condition.quiet()) && *at <= now);
    let mut told = ended(memory, states, now);
    for seen in states {
        let at = memory.open.iter().position(|(it, _)| *it == seen.condition).unwrap_or_else(|| {
            memory.open.push((seen.condition.clone(), Open { since: seen.since, detail: String::new(), told: None }));
            memory.open.len() - 1
        });
        let open = &mut memory.open[at].1;
        seen.detail.clone_into(&mut open.detail);
        // The clock may have been set back: what lies ahead is now.
        open.since = open.since.min(now);
        let lasts = now.duration_since(open.since) >= seen.condition.patience();
        let news = open.told.is_none_or(|at| at > now || at <= since(AGAIN));
        if lasts && news && may_be_told(memory, &seen.condition) {
            let open = &mut memory.open[at].1;
            open.told = Some(now);
            let seen = Seen { since: open.since, ..seen.clone() };
            told.push(tell(memory, seen, now));
        }
    }
    for seen in events {
        match memory.waiting.iter_mut().find(|(it, _)| *it == seen.condition) {
            Some((_, had)) => {
                had.count = had.count.saturating_add(seen.count);
                seen.detail.clone_into(&mut had.detail);
            }
            None => {
                let waiting = Waiting { since: seen.since, detail: seen.detail.clone(), count: seen.count };
                memory.waiting.push((seen.condition.clone(), waiting));
            }
        }
    }
    for (condition, it) in std::mem::take(&mut memory.waiting) {
        if may_be_told(memory, &condition) {
            let seen = Seen { condition, since: it.since, detail: it.detail, count: it.count };
            told.push(tell(memory, seen, now));
        } else {
            memory.waiting.push((condition, it));
        }
    }
    told
}

/// What is over: told if its beginning was, else forgotten.
fn ended(memory: &mut Memory, states: &[Seen], now: Timestamp) -> Vec<Told> {
    let (open, over): (Vec<_>, Vec<_>) = std::mem::take(&mut memory.open)
        .into_iter()
        .partition(|(condition, _)| states.iter().any(|it| it.condition == *condition));
    memory.open = open;
    over.into_iter()
        .filter(|(_, it)| it.told.is_some())
        .map(|(condition, it)| Told {
            seen: Seen { condition, since: it.since, detail: it.detail, count: 0 },
            ended: true,
            at: now,
        })
        .collect()
}

fn may_be_told(memory: &Memory, condition: &Condition) -> bool {
    // Bounces must not use up what a shut channel needs.
    let most = if matches!(condition, Condition::OwnSide(_)) { MOST_A_DAY / 2 } else { MOST_A_DAY };
    memory.sent.len() < most && !memory.last.iter().any(|(it, _)| it == condition)
}

fn tell(memory: &mut Memory, seen: Seen, now: Timestamp) -> Told {
    memory.sent.push(now);
    memory.last.push((seen.condition.clone(), now));
    Told { seen, ended: false, at: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).expect("in range")
    }

    fn seen(condition: Condition, minute: i64) -> Seen {
        Seen { condition, since: at(minute), detail: "why".to_owned(), count: 1 }
    }

    /// How often something began, and ended, over these minutes.
    fn over(
        memory: &mut Memory,
        minutes: std::ops::Range<i64>,
        state: impl Fn(i64) -> Option<Condition>,
    ) -> [usize; 2] {
        let mut counts = [0, 0];
        for minute in minutes {
            let states: Vec<Seen> = state(minute).map(|it| seen(it, minute)).into_iter().collect();
            for told in step(memory, &states, &[], at(minute)) {
                counts[usize::from(told.ended)] += 1;
            }
        }
        counts
    }

    #[test]
    fn a_state_is_told_when_it_begins_and_when_it_ends() {
        for condition in [Condition::ChannelPaused, Condition::Breaker, Condition::LoginRefused("a".to_owned())] {
            let mut memory = Memory::default();
            let told = over(&mut memory, 0..200, |minute| (10..100).contains(&minute).then(|| condition.clone()));
            assert_eq!(told, [1, 1], "{condition:?}");
        }
    }

    #[test]
    fn a_mailbox_may_be_away_for_a_quarter_of_an_hour() {
        let away = || Some(Condition::MailboxAway("a".to_owned()));
        assert_eq!(over(&mut Memory::default(), 0..100, |minute| away().filter(|_| minute < 15)), [0, 0]);
        assert_eq!(over(&mut Memory::default(), 0..100, |minute| away().filter(|_| minute < 16)), [1, 1]);
    }

    #[test]
    fn what_flaps_is_told_once_an_hour_and_what_lasts_once_a_day() {
        let flaps = over(&mut Memory::default(), 0..240, |minute| (minute % 2 == 0).then_some(Condition::Breaker));
        assert_eq!(flaps, [4, 4]);
        assert_eq!(over(&mut Memory::default(), 0..2 * 24 * 60, |_| Some(Condition::ChannelPaused)), [2, 0]);
    }

    #[test]
    fn events_are_gathered_and_never_a_flood() {
        let mut memory = Memory::default();
        let mut told = Vec::new();
        for minute in 0..(24 * 60) {
            let causes = (0..40).map(|it| seen(Condition::OwnSide(format!("cause{it}")), minute));
            let events: Vec<Seen> = causes.chain([seen(Condition::Refused, minute)]).collect();
            told.extend(step(&mut memory, &[], &events, at(minute)));
        }
        assert_eq!(told.len(), MOST_A_DAY);
        // The next day tells what waited, with its count.
        let next = step(&mut memory, &[], &[], at(24 * 60 + 1));
        assert!(next.iter().any(|it| it.seen.count > 1000), "{next:?}");
    }

    #[test]
    fn a_clock_set_back_neither_silences_nor_floods() {
        let mut memory = Memory::default();
        assert_eq!(over(&mut memory, 10_000..10_010, |_| Some(Condition::Breaker)), [1, 0]);
        assert_eq!(over(&mut memory, 0..50, |_| Some(Condition::Breaker)), [1, 0]);
        // Nor does what was told in that future take its place from what happens now.
        let flood: Vec<Seen> = (0..40).map(|it| seen(Condition::LoginRefused(it.to_string()), 20_000)).collect();
        let told = step(&mut memory, &flood, &[], at(20_000));
        assert_eq!(told.iter().filter(|it| !it.ended).count(), MOST_A_DAY);
        let told = step(&mut memory, &[seen(Condition::JournalTrouble, 60)], &[], at(60));
        assert!(told.iter().any(|it| it.seen.condition == Condition::JournalTrouble), "{told:?}");
    }

    #[test]
    fn bounces_leave_room_for_what_a_shut_channel_needs() {
        let mut memory = Memory::default();
        let causes: Vec<Seen> = (0..40).map(|it| seen(Condition::OwnSide(format!("cause{it}")), 0)).collect();
        assert_eq!(step(&mut memory, &[], &causes, at(0)).len(), MOST_A_DAY / 2);
        assert_eq!(step(&mut memory, &[seen(Condition::ChannelPaused, 1)], &[], at(1)).len(), 1);
    }

    #[test]
    fn a_restart_goes_on_from_what_the_journal_kept() {
        let mut memory = Memory::default();
        assert_eq!(over(&mut memory, 0..2, |_| Some(Condition::ChannelPaused)), [1, 0]);
        let kept = serde_json::to_string(&memory).expect("JSON");
        let mut memory: Memory = serde_json::from_str(&kept).expect("JSON");
        assert_eq!(over(&mut memory, 2..5, |_| Some(Condition::ChannelPaused)), [0, 0]);
        assert_eq!(over(&mut memory, 5..9, |_| None), [0, 1]);
    }
}
