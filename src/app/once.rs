//! `run --once`: takes what is in the folders, waits out `gather`, tries every due row once, ends.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{sync::Mutex, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    engine::{Engine, StartError},
    notify::Heartbeat,
    post,
    watch::{self, Worked},
};
use crate::{journal, outbox::Due, source::Mailbox};

/// What is left after one pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// Mailboxes that could not be worked off.
    pub mailboxes: usize,
    /// Rows that are still to be sent.
    pub rows: u64,
}

/// Works everything off once.
pub async fn run_once(engine: Engine) -> Result<Left, StartError> {
    let engine = Arc::new(engine);
    engine.journal.recover(Timestamp::now()).await?;
    // What falls due is sent while the mailboxes are worked off, and what is left of it after that.
    let taken = CancellationToken::new();
    let tried = Arc::<Mutex<HashSet<i64>>>::default();
    let mut senders = JoinSet::new();
    for _ in 0..post::SENDERS {
        senders.spawn(send(Arc::clone(&engine), Arc::clone(&tried), taken.clone()));
    }
    let mut left = Left::default();
    for settings in &engine.config.mailboxes {
        if let Err(error) = take(&engine, settings).await {
            tracing::error!(mailbox = settings.name, %error, "the mailbox could not be worked off");
            left.mailboxes += 1;
        }
    }
    let gathered = wait_out_gather(&engine).await;
    // Whatever went wrong, a mail on its way is not cut.
    taken.cancel();
    let mut sent = Ok(());
    while let Some(ended) = senders.join_next().await {
        match ended {
            Ok(result) => sent = sent.and(result),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
    sent.and(gathered)?;
    left.rows = engine.journal.waiting().await?;
    engine.journal.close().await;
    Ok(left)
}

/// Tries what is due, each row once, until everything is taken and nothing new is due.
async fn send(
    engine: Arc<Engine>,
    tried: Arc<Mutex<HashSet<i64>>>,
    taken: CancellationToken,
) -> Result<(), journal::Error> {
    let mut sender = None;
    loop {
        let last = taken.is_cancelled();
        let mut next = None;
        while let Some(due) = or_claimed(&engine, next).await? {
            if !tried.lock().await.insert(due.id) {
                engine.journal.put_back(due.id, Timestamp::now()).await?;
                break;
            }
            next = post::attempt(&engine, &mut sender, &due, &CancellationToken::new()).await?;
        }
        if last {
            break;
        }
        tokio::select! {
            () = taken.cancelled() => {}
            () = engine.outbox_news.notified() => {}
        }
    }
    if let Some(mut sender) = sender {
        sender.close().await;
    }
    Ok(())
}

/// The row that was claimed with the last one's outcome, or else one that is due.
async fn or_claimed(engine: &Engine, next: Option<Due>) -> Result<Option<Due>, journal::Error> {
    match next {
        Some(due) => Ok(Some(due)),
        None => engine.journal.claim_due(Timestamp::now()).await,
    }
}

async fn take(engine: &Arc<Engine>, settings: &crate::source::Settings) -> Result<(), watch::Ended> {
    let mut mailbox = Mailbox::new(settings.clone());
    mailbox.connect().await?;
    let (stop, heart) = (CancellationToken::new(), Heartbeat::new());
    let mut suspects = watch::Suspects::default();
    let mut result = Ok(());
    for folder in mailbox.folders() {
        match watch::work_off(engine, settings, &mut mailbox, &folder, &mut suspects, &stop, &heart).await {
            Ok(Worked { recorded, trouble: None, .. }) => {
                tracing::info!(mailbox = settings.name, folder, recorded, "worked off");
            }
            Ok(Worked { trouble: Some(error), .. }) => result = Err(error.into()),
            Err(error) => result = Err(error),
        }
    }
    mailbox.close().await;
    result
}

/// Sleeps until nothing waits for further bounces of the same original any more.
async fn wait_out_gather(engine: &Engine) -> Result<(), journal::Error> {
    let gather = Duration::try_from(engine.config.policy.gather).unwrap_or(Duration::ZERO);
    let end = Timestamp::now().checked_add(engine.config.policy.gather).unwrap_or(Timestamp::MAX);
    if let Some(last) = engine.journal.last_due(end).await? {
        let wait = Duration::try_from(last.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO);
        tokio::time::sleep(wait.min(gather)).await;
    }
    Ok(())
}
