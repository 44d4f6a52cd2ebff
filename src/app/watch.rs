//! One task a mailbox: connect, work off each folder, wait for news, for ever.
//!
//! The IMAP server is the queue: a place among the messages in hand is taken before one is fetched.
//! A mailbox is touched only with a `Recorded` in hand. The cursor moves once a whole scan is on
//! record, so a kill at any point reads again what was not.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    engine::{Engine, Handled},
    health::MailboxHealth,
    notify::Heartbeat,
};
use crate::{
    mail::Role,
    source::{self, Cursor, Found, Mailbox, Settled, Wake, backoff::Backoff},
};

/// Messages of one mailbox that are being worked on at once.
const IN_HAND: usize = 16;
/// A message with so many points against it is set aside, and the scan goes on.
pub(super) const MOST_POINTS: u32 = 12;
/// It broke the pipeline or the protocol: three times is enough.
pub(super) const BROKE: u32 = 4;
/// The connection was lost while it was fetched: mostly not its fault, and twelve such losses take
/// the backoff far beyond any ordinary trouble.
const LOST: u32 = 1;

/// Messages that could not be fetched, by folder and key; they are tried after all others. Only
/// while the server gives others is it a message's own fault that it does not come: points against
/// it are counted then, and where there is no other. A server or a wire in trouble blames none.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashSet<(String, String)>);

impl Suspects {
    fn last(&self, found: &[Found]) -> Vec<Found> {
        let (suspects, others): (Vec<Found>, Vec<Found>) =
            found.iter().cloned().partition(|it| self.0.contains(&Self::key(it)));
        others.into_iter().chain(suspects).collect()
    }

    fn add(&mut self, found: &Found) {
        self.0.insert(Self::key(found));
    }

    fn key(found: &Found) -> (String, String) {
        (found.reference.folder.clone(), found.reference.key.clone())
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The server or the Maildir.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The journal cannot record: nothing is taken until it can.
    #[error(transparent)]
    Journal(#[from] crate::journal::Error),
}

/// Watches one mailbox until `stop`.
pub(super) async fn watch(
    engine: Arc<Engine>,
    settings: source::Settings,
    stop: CancellationToken,
    health: Arc<MailboxHealth>,
    heart: Heartbeat,
) {
    let mut mailbox = Mailbox::new(settings.clone());
    let mut backoff = Backoff::new();
    let mut suspects = Suspects::default();
    loop {
        let session = session(&engine, &settings, &mut mailbox, &mut backoff, &mut suspects, &stop, &health, &heart);
        // Dropping the future of a call drops its session: a kill would do no other harm.
        let ended = tokio::select! {
            ended = session => ended,
            () = super::after(&stop, super::WORKERS_FINISH) => Ok(()),
        };
        let Err(ended) = ended else { break };
        let wait = match &ended {
            Ended::Source(error) => backoff.failed(error.kind, Timestamp::now(), super::jitter()),
            Ended::Journal(_) => super::JOURNAL_RETRY,
        };
        match &ended {
            Ended::Source(error) => health.broken(error.kind == source::Kind::LoginRefused, &ended.to_string()),
            Ended::Journal(error) => engine.journal_health.broken(&error.to_string()),
        }
        if worth_a_line(backoff.failures()) {
            tracing::warn!(mailbox = settings.name, error = %ended, wait_seconds = wait.as_secs(), failures = backoff.failures(), "the mailbox cannot be read; trying again");
        }
        if sleep_alive(wait, &stop, &heart).await {
            break;
        }
    }
    mailbox.close().await;
}

/// The 1st and the 10th failure in a row are told, then every hundredth: hourly at the cap of the waits.
fn worth_a_line(failures: u32) -> bool {
    failures <= 1 || failures == 10 || failures.is_multiple_of(100)
}

/// Sleeps with signs of life; true if stopped meanwhile.
async fn sleep_alive(wait: std::time::Duration, stop: &CancellationToken, heart: &Heartbeat) -> bool {
    let end = tokio::time::Instant::now() + wait;
    loop {
        heart.beat();
        let next = end.min(tokio::time::Instant::now() + super::HEARTBEAT);
        tokio::select! {
            () = stop.cancelled() => return true,
            () = tokio::time::sleep_until(next) => {}
        }
        if next == end {
            return false;
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one task's whole state, taken apart for its borrows")]
async fn session(
    engine: &Arc<Engine>,
    settings: &source::Settings,
    mailbox: &mut Mailbox,
    backoff: &mut Backoff,
    suspects: &mut Suspects,
    stop: &CancellationToken,
    health: &MailboxHealth,
    heart: &Heartbeat,
) -> Result<(), Ended> {
    mailbox.connect().await?;
    tracing::info!(mailbox = settings.name, "connected");
    loop {
        let mut trouble = None;
        for folder in mailbox.folders() {
            if stop.is_cancelled() {
                return Ok(());
            }
            match work_off(engine, settings, mailbox, &folder, suspects, stop, heart).await {
                Ok(Worked { trouble: None, .. }) => {}
                Ok(Worked { trouble: Some(error), .. }) | Err(Ended::Source(error)) if error.session_lives() => {
                    if health.news(&error.to_string()) {
                        tracing::warn!(mailbox = settings.name, folder, %error, "trouble with a folder; going on with the others");
                    }
                    trouble = Some(error.to_string());
                }
                Ok(Worked { trouble: Some(error), .. }) => return Err(error.into()),
                Err(other) => return Err(other),
            }
        }
        backoff.worked(Timestamp::now());
        match trouble {
            Some(trouble) => health.broken(false, &trouble),
            None => health.fine(),
        }
        heart.beat();
        match mailbox.wait(stop).await? {
            Wake::Stopped => return Ok(()),
            Wake::News | Wake::Poll => {}
        }
    }
}

/// What working off a folder came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Worked {
    /// Messages recorded.
    pub(super) recorded: usize,
    /// Messages that failed and are left for the next time.
    pub(super) left: usize,
    /// What the folder does not allow: to be marked or moved, or to be fetched from.
    pub(super) trouble: Option<source::Error>,
}

/// Fetches, handles and settles everything beyond the folder's cursor.
pub(super) async fn work_off(
    engine: &Arc<Engine>,
    settings: &source::Settings,
    mailbox: &mut Mailbox,
    folder: &str,
    suspects: &mut Suspects,
    stop: &CancellationToken,
    heart: &Heartbeat,
) -> Result<Worked, Ended> {
    let mut worked = Worked::default();
    loop {
        let cursor = engine.journal.cursor(&settings.name, folder).await?;
        let scan = mailbox.scan(folder, cursor, oldest(engine, settings)).await?;
        if scan.renumbered {
            tracing::info!(
                mailbox = settings.name,
                folder,
                "the folder was numbered anew; what is on record is known again by its content"
            );
        }
        let poisoned = engine.journal.poisoned_in(&settings.name, folder, MOST_POINTS).await?;
        let mut in_hand = JoinSet::new();
        let in_order = suspects.last(&scan.found);
        let (mut given, mut refused) = (0_usize, Vec::new());
        for found in &in_order {
            if stop.is_cancelled() {
                break;
            }
            heart.beat();
            while in_hand.len() >= IN_HAND {
                settle_next(engine, mailbox, &mut in_hand, &mut worked).await?;
            }
            if poisoned.contains(&found.reference.key) {
                engine.set_aside(found).await?;
                worked.recorded += 1;
                continue;
            }
            match fetch(engine, mailbox, found).await {
                Ok(None) => {}
                Ok(Some(task)) => {
                    given += 1;
                    in_hand.spawn(task);
                }
                Err(error) => {
                    suspects.add(found);
                    if error.session_lives() {
                        let key = found.reference.key.as_str();
                        tracing::warn!(mailbox = settings.name, folder, key, %error, "a message was not given; tried again later");
                        refused.push((found, error));
                        continue;
                    }
                    if given > 0 || in_order.len() == 1 {
                        blame(engine, found, &error).await?;
                    }
                    return Err(error.into());
                }
            }
        }
        while !in_hand.is_empty() {
            settle_next(engine, mailbox, &mut in_hand, &mut worked).await?;
        }
        for (found, error) in refused {
            worked.left += 1;
            if given > 0 || in_order.len() == 1 {
                blame(engine, found, &error).await?;
            }
            worked.trouble = Some(error);
        }
        if stop.is_cancelled() || worked.left > 0 {
            return Ok(worked);
        }
        if let Some(reached) = scan.cursor {
            keep(engine, settings, folder, cursor, reached).await?;
        }
        if !scan.more {
            return Ok(worked);
        }
    }
}

/// At first sight of a member's mailbox, nothing is looked at that would be too old to answer; a
/// central mailbox is read whole, so that the journal says why its old bounces were not answered.
fn oldest(engine: &Engine, settings: &source::Settings) -> Option<Timestamp> {
    match settings.role {
        Role::Member(_) => Timestamp::now().checked_sub(engine.config.policy.max_age).ok(),
        Role::Central => None,
    }
}

async fn keep(
    engine: &Engine,
    settings: &source::Settings,
    folder: &str,
    before: Option<Cursor>,
    reached: Cursor,
) -> Result<(), Ended> {
    if before != Some(reached) {
        engine.journal.keep_cursor(&settings.name, folder, reached, Timestamp::now()).await?;
    }
    Ok(())
}

/// Fetches one message and gives the work on it; `None` if it is on record already or gone.
async fn fetch(
    engine: &Arc<Engine>,
    mailbox: &mut Mailbox,
    found: &Found,
) -> Result<Option<impl Future<Output = (Found, Result<Handled, Failed>)> + Send + 'static>, source::Error> {
    let Some(message) = mailbox.fetch(found).await? else { return Ok(None) };
    let (engine, found) = (Arc::clone(engine), found.clone());
    Ok(Some(async move { (found, contained(Box::pin(async move { engine.handle(message).await })).await) }))
}

/// Works in a task of its own: a panic ends the message, not the daemon.
async fn contained<T: Send + 'static>(
    work: impl Future<Output = Result<T, crate::journal::Error>> + Send + 'static,
) -> Result<T, Failed> {
    match tokio::spawn(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failed::Journal(error)),
        Err(_) => Err(Failed::Panicked),
    }
}

/// Counts a fetch that failed against the message.
async fn blame(engine: &Engine, found: &Found, error: &source::Error) -> Result<(), Ended> {
    let points = match error.kind {
        source::Kind::Protocol | source::Kind::Folder => BROKE,
        source::Kind::Lost | source::Kind::Unavailable => LOST,
        source::Kind::LoginRefused | source::Kind::Setup => return Ok(()),
    };
    engine.journal.poison(&found.reference, points, &error.to_string(), Timestamp::now()).await?;
    Ok(())
}

#[derive(Debug)]
enum Failed {
    Journal(crate::journal::Error),
    Panicked,
}

async fn settle_next(
    engine: &Engine,
    mailbox: &mut Mailbox,
    in_hand: &mut JoinSet<(Found, Result<Handled, Failed>)>,
    worked: &mut Worked,
) -> Result<(), Ended> {
    let Some(Ok((found, result))) = in_hand.join_next().await else { return Ok(()) };
    match result {
        Ok(handled) => {
            worked.recorded += 1;
            match mailbox.settle(&handled.recorded, handled.outcome).await {
                Ok(Settled::MarkedInstead) => tracing::warn!(
                    mailbox = found.reference.account,
                    "the server can move only by expunging others' deletions (no UIDPLUS): marked as read instead"
                ),
                Ok(Settled::Done | Settled::Stale) => {}
                // It is on record and will be answered: a folder that takes no marks holds nothing up.
                Err(error) if error.session_lives() => worked.trouble = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failed::Journal(error)) => return Err(error.into()),
        Err(Failed::Panicked) => {
            worked.left += 1;
            engine.journal.poison(&found.reference, BROKE, "the program failed on it", Timestamp::now()).await?;
            tracing::error!(
                mailbox = found.reference.account,
                key = found.reference.key,
                "a message broke the pipeline; it is tried three times, then set aside"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_makes_the_program_panic_is_a_message_that_failed() {
        let failed = contained(async { if true { panic!("a fault of ours") } else { Ok(()) } }).await;
        assert!(matches!(failed, Err(Failed::Panicked)), "{failed:?}");
    }
}
