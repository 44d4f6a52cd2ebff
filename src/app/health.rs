//! How each mailbox and the outbox are doing, for the status line and the log.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::policy::alert::{Condition, Seen};

/// One mailbox's state as last seen.
#[derive(Debug)]
pub(super) struct MailboxHealth {
    /// The mailbox's `name`.
    pub(super) name: String,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Debug)]
struct Trouble {
    since: Timestamp,
    login: bool,
    why: String,
}

impl MailboxHealth {
    /// Not yet connected counts as trouble.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            trouble: Mutex::new(Some(Trouble {
                since: Timestamp::now(),
                login: false,
                why: "not connected yet".to_owned(),
            })),
        }
    }

    /// All is well.
    pub(super) fn fine(&self) {
        *self.lock() = None;
    }

    /// Something is wrong; `login`: that the login was refused.
    pub(super) fn broken(&self, login: bool, why: &str) {
        let mut trouble = self.lock();
        let since = trouble.as_ref().map_or_else(Timestamp::now, |it| it.since);
        let why = why.lines().next().unwrap_or_default().to_owned();
        // A refused login stays one until a login works, whatever the server says in between.
        let login = login || trouble.as_ref().is_some_and(|it| it.login);
        *trouble = Some(Trouble { since, login, why });
    }

    /// Whether `why` is not what was last said.
    pub(super) fn news(&self, why: &str) -> bool {
        self.lock().as_ref().map(|it| it.why.as_str()) != why.lines().next()
    }

    /// What is wrong, if anything.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().as_ref().map(|it| it.why.clone())
    }

    /// What is wrong, for the administrator.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.lock().as_ref().map(|it| {
            let name = self.name.clone();
            let condition = if it.login { Condition::LoginRefused(name) } else { Condition::MailboxAway(name) };
            Seen { condition, since: it.since, detail: it.why.clone(), count: 1 }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the journal must have been without trouble to be well again.
const WELL_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// The journal's trouble as last seen: kept here, for the journal itself cannot.
#[derive(Debug, Default)]
pub(super) struct JournalHealth(Mutex<Option<(Timestamp, Timestamp, String)>>);

impl JournalHealth {
    /// The journal could not be used just now.
    pub(super) fn broken(&self, why: &str) {
        let now = Timestamp::now();
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.as_ref().map_or(now, |it| it.0);
        *trouble = Some((since, now, why.lines().next().unwrap_or_default().to_owned()));
    }

    /// What is wrong, for the administrator.
    pub(super) fn seen(&self) -> Option<Seen> {
        let trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, _, why) = trouble.as_ref()?;
        Some(Seen { condition: Condition::JournalTrouble, since: *since, detail: why.clone(), count: 1 })
    }

    /// It has been told: over, if it is.
    pub(super) fn told(&self, now: Timestamp) {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.as_ref().is_some_and(|(_, last, _)| now.duration_since(*last) >= WELL_AFTER) {
            *trouble = None;
        }
    }
}
