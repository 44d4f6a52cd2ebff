//! The outbox's senders: claim a due row, make one attempt, record the outcome.
//!
//! A row is claimed only between attempts, and an attempt is never cut short: when `stop` comes,
//! a sender finishes what it has begun (`flow.md`, *Shutdown*).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{engine::Engine, notify::Heartbeat};
use crate::{
    journal,
    outbound::{KEEP, Sender},
    outbox::{self, Delivery, Due},
    review,
};

/// Senders side by side, each with a connection of its own; the order per person is the journal's.
/// More of them share a commit's wait for the disk; few enough for servers that count connections.
pub(super) const SENDERS: usize = 4;

/// Sends what falls due until `stop`.
pub(super) async fn post(engine: Arc<Engine>, stop: CancellationToken, heart: Heartbeat) {
    let mut sender = None;
    // Where one row was due, another mostly is: it is not asked for first.
    let mut busy = false;
    loop {
        heart.beat();
        if stop.is_cancelled() {
            break;
        }
        let worked = send_one(&engine, &mut sender, busy, &stop).await;
        busy = matches!(worked, Ok(Worked::Sent));
        let wait = match worked {
            Ok(Worked::Sent) => {
                // Another row may be free now.
                engine.outbox_news.notify_one();
                continue;
            }
            Ok(Worked::Nothing(wait)) => wait,
            Err(error) => {
                tracing::error!(%error, "the journal cannot be used; nothing is sent until it can");
                engine.journal_health.broken(&error.to_string());
                super::JOURNAL_RETRY
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = engine.outbox_news.notified() => {}
            () = tokio::time::sleep(wait.min(super::LOOK_AGAIN)) => {}
        }
        if wait > KEEP
            && let Some(idle) = sender.take()
        {
            close(idle).await;
        }
    }
    if let Some(idle) = sender {
        close(idle).await;
    }
}

async fn close(mut sender: Sender) {
    let _ = tokio::time::timeout(Duration::from_secs(1), sender.close()).await;
}

/// What one turn came to.
enum Worked {
    /// A row was claimed and an attempt made.
    Sent,
    /// Nothing is due for this long.
    Nothing(Duration),
}

async fn send_one(
    engine: &Engine,
    sender: &mut Option<Sender>,
    busy: bool,
    stop: &CancellationToken,
) -> Result<Worked, journal::Error> {
    let now = Timestamp::now();
    if !busy {
        let Some(next) = engine.journal.next_due(now).await? else {
            return Ok(Worked::Nothing(Duration::from_hours(1)));
        };
        if next > now {
            return Ok(Worked::Nothing(Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)));
        }
    }
    let Some(due) = engine.journal.claim_due(now).await? else {
        // Another sender was faster, or there was none left: it is asked for.
        return Ok(Worked::Nothing(if busy { Duration::ZERO } else { Duration::from_millis(20) }));
    };
    attempt(engine, sender, &due, stop).await?;
    Ok(Worked::Sent)
}

/// Makes one attempt and records it, if the gate lets the mail out: every outgoing mail passes here.
/// When `stop` comes before the body has begun, the attempt is broken off: nothing was sent.
pub(super) async fn attempt(
    engine: &Engine,
    kept: &mut Option<Sender>,
    due: &Due,
    stop: &CancellationToken,
) -> Result<(), journal::Error> {
    if let Err(closed) = outbox::gate(&engine.config.policy, &engine.config.alerts.to, due) {
        tracing::warn!(outbox_id = due.id, kind = ?due.kind, why = closed.why(), "a mail was not let out");
        return engine.journal.turn_back(due.id, closed, Timestamp::now()).await;
    }
    let mut sender = match kept.take() {
        Some(sender) => sender,
        None => Sender::new(engine.config.outbound.clone(), engine.journal.path_choice().await?),
    };
    let body_started = AtomicBool::new(false);
    let recorded = || async {
        body_started.store(true, Ordering::SeqCst);
        engine.journal.body_started(due.id, Timestamp::now()).await.map_err(|error| error.to_string())
    };
    let attempt = tokio::select! {
        attempt = sender.deliver(&due.reply, recorded) => attempt,
        () = may_be_cut(stop, &body_started) => {
            return engine.journal.put_back(due.id, Timestamp::now()).await;
        }
    };
    *kept = Some(sender);
    // What became of it is not forgotten because the disk is full: it could be sent twice.
    while let Err(error) = engine.journal.finish(due.id, &attempt.delivery, Timestamp::now()).await {
        tracing::error!(%error, outbox_id = due.id, "the journal cannot take the outcome; trying again");
        engine.journal_health.broken(&error.to_string());
        tokio::select! {
            () = stop.cancelled() => return Err(error),
            () = tokio::time::sleep(super::JOURNAL_RETRY) => {}
        }
    }
    // The server's own log knows the mail by its Message-ID.
    let (id, number, message_id) = (due.id, due.attempt, due.reply.message_id.to_string());
    match &attempt.delivery {
        Delivery::Accepted(reply) => {
            let (kind, code) = (review::name(&due.kind), reply.code);
            tracing::info!(outbox_id = id, kind, attempt = number, message_id, code, "explanation handed over");
        }
        Delivery::Deferred(stage, reply) => {
            tracing::warn!(
                outbox_id = id,
                attempt = number,
                message_id,
                ?stage,
                code = reply.code,
                "put off by the server; tried again later"
            );
        }
        Delivery::Rejected(stage, reply) => {
            tracing::error!(
                outbox_id = id,
                attempt = number,
                message_id,
                ?stage,
                code = reply.code,
                "refused by the server for good"
            );
        }
        Delivery::ChannelRefused(stage, why) => {
            tracing::error!(
                outbox_id = id,
                attempt = number,
                ?stage,
                why,
                "nothing can be sent; the outbox pauses and tries one row at a time"
            );
        }
        Delivery::InDoubt(why) => {
            tracing::warn!(
                outbox_id = id,
                attempt = number,
                message_id,
                why,
                "the answer to the final dot was lost; sent once more under the same Message-ID, never a third time"
            );
        }
    }
    // Last, for the outcome must not be lost with it.
    if let Some(learned) = attempt.learned {
        engine.journal.keep_path_choice(learned, Timestamp::now()).await?;
    }
    Ok(())
}

/// Resolves when we are told to stop and the body has not begun; never once it has.
async fn may_be_cut(stop: &CancellationToken, body_started: &AtomicBool) {
    stop.cancelled().await;
    if body_started.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}
