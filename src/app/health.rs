//! How each mailbox and the outbox are doing, for the status line and the log.

use std::sync::{Mutex, PoisonError};

/// One mailbox's state as last seen.
#[derive(Debug)]
pub(super) struct MailboxHealth {
    /// The mailbox's `name`.
    pub(super) name: String,
    trouble: Mutex<Option<String>>,
}

impl MailboxHealth {
    /// Not yet connected counts as trouble.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), trouble: Mutex::new(Some("not connected yet".to_owned())) }
    }

    /// All is well.
    pub(super) fn fine(&self) {
        *self.lock() = None;
    }

    /// Something is wrong.
    pub(super) fn broken(&self, why: &str) {
        *self.lock() = Some(why.lines().next().unwrap_or_default().to_owned());
    }

    /// Whether `why` is not what was last said.
    pub(super) fn news(&self, why: &str) -> bool {
        self.lock().as_deref() != why.lines().next()
    }

    /// What is wrong, if anything.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
