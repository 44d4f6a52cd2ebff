//! Asks the author's own Sent folder whether the original was really sent: a ground of origin.
//!
//! Asked only where it decides the matter, and only in mailboxes that are configured: the author's
//! own, or one that the author logs in to. One session a person, kept a little while, so that a
//! storm of forged bounces does not become a storm of logins. What cannot be asked is not proven.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    mail::{Mailbox as Address, MessageId, Role},
    source::{Login, Mailbox, Place, Settings, backoff::Backoff},
};

/// A bounce waits no longer for its proof.
const PATIENCE: Duration = Duration::from_secs(20);
/// An idle session is closed.
const KEEP: Duration = Duration::from_mins(1);

/// The Sent folders that can be asked.
#[derive(Debug, Default)]
pub(super) struct SentFolders {
    people: Vec<(Address, Arc<Mutex<Folder>>)>,
}

#[derive(Debug)]
struct Folder {
    mailbox: Mailbox,
    backoff: Backoff,
    not_before: Option<Instant>,
    used: Instant,
}

impl SentFolders {
    /// Of all mailboxes of the configuration; nothing is opened yet.
    pub(super) fn new(mailboxes: &[Settings]) -> Self {
        let people = mailboxes.iter().filter_map(|settings| {
            let Place::Imap { login, .. } = &settings.place else { return None };
            let person = match (&settings.role, login) {
                (Role::Member(address), _) => address.clone(),
                (Role::Central, Login::Password { user, .. } | Login::OAuth2 { user, .. }) => Address::parse(user)?,
            };
            let folder = Folder {
                mailbox: Mailbox::new(settings.clone()),
                backoff: Backoff::new(),
                not_before: None,
                used: Instant::now(),
            };
            Some((person, Arc::new(Mutex::new(folder))))
        });
        Self { people: people.collect() }
    }

    /// Whether the author's Sent folder holds this message; false where it cannot be asked.
    pub(super) async fn hold(&self, author: &Address, id: &MessageId) -> bool {
        let Some((_, folder)) = self.people.iter().find(|(person, _)| person.same_mailbox(author)) else {
            return false;
        };
        let asked = timeout(PATIENCE, async { folder.lock().await.ask(id).await }).await;
        close_when_idle(Arc::clone(folder));
        asked.unwrap_or(false)
    }
}

impl Folder {
    async fn ask(&mut self, id: &MessageId) -> bool {
        if self.not_before.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        self.used = Instant::now();
        let answer = match self.mailbox.connect().await {
            Ok(()) => self.mailbox.find_sent(id).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(found) => {
                self.backoff.worked(Timestamp::now());
                found.unwrap_or(false)
            }
            Err(error) => {
                let wait = self.backoff.failed(error.kind, Timestamp::now(), super::jitter());
                self.not_before = Some(Instant::now() + wait);
                tracing::warn!(%error, wait_seconds = wait.as_secs(), "a Sent folder cannot be asked; the origin stays unproven");
                false
            }
        }
    }
}

fn close_when_idle(folder: Arc<Mutex<Folder>>) {
    tokio::spawn(async move {
        tokio::time::sleep(KEEP).await;
        let mut folder = folder.lock().await;
        if folder.used.elapsed() >= KEEP {
            folder.mailbox.close().await;
        }
    });
}
