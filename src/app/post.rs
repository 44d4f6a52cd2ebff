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
    loop {
        heart.beat();
        if stop.is_cancelled() {
            break;
        }
        let wait = match send_due(&engine, &mut sender, &stop, &heart).await {
            Ok(wait) => wait,
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

/// Sends what is due, one after the other; then for how long nothing is.
async fn send_due(
    engine: &Engine,
    sender: &mut Option<Sender>,
    stop: &CancellationToken,
    heart: &Heartbeat,
) -> Result<Duration, journal::Error> {
    let now = Timestamp::now();
    let Some(first) = engine.journal.next_due(now).await? else { return Ok(Duration::from_hours(1)) };
    if first > now {
        return Ok(Duration::try_from(first.duration_since(now)).unwrap_or(Duration::ZERO));
    }
    let mut next = engine.journal.claim_due(now).await?;
    // Was another sender faster?
    let wait = if next.is_some() { Duration::ZERO } else { Duration::from_millis(20) };
    while let Some(due) = next {
        heart.beat();
        next = attempt(engine, sender, &due, stop).await?;
        // Another row may be free now.
        engine.outbox_news.notify_one();
    }
    Ok(wait)
}

/// Makes one attempt and records it, if the gate lets the mail out: every outgoing mail passes here.
/// When `stop` comes before the body has begun, the attempt is broken off: nothing was sent. The next
/// row, if one was claimed with the outcome: it must be attempted, too.
pub(super) async fn attempt(
    engine: &Engine,
    kept: &mut Option<Sender>,
    due: &Due,
    stop: &CancellationToken,
) -> Result<Option<Due>, journal::Error> {
    if let Err(closed) = outbox::gate(&engine.config.policy, &engine.config.alerts.to, due) {
        tracing::warn!(outbox_id = due.id, kind = ?due.kind, why = closed.why(), "a mail was not let out");
        return engine.journal.turn_back(due.id, closed, Timestamp::now()).await.map(|()| None);
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
            return engine.journal.put_back(due.id, Timestamp::now()).await.map(|()| None);
        }
    };
    *kept = Some(sender);
    // What became of it is not forgotten because the disk is full: it could be sent twice.
    // At first with a claim of the next row, but where more is to be written after it: a claimed row
    // must be attempted. Whatever hinders the claim must not keep the outcome from being recorded.
    let mut claims = attempt.learned.is_none();
    let next = loop {
        claims &= !stop.is_cancelled();
        let error = match finish(engine, due, &attempt.delivery, claims).await {
            Ok(next) => break next,
            Err(error) => error,
        };
        claims = false;
        tracing::error!(%error, outbox_id = due.id, "the journal cannot take the outcome; trying again");
        engine.journal_health.broken(&error.to_string());
        tokio::select! {
            () = stop.cancelled() => return Err(error),
            () = tokio::time::sleep(super::JOURNAL_RETRY) => {}
        }
    };
    log(due, &attempt.delivery);
    // Last, for the outcome must not be lost with it.
    if let Some(learned) = attempt.learned {
        engine.journal.keep_path_choice(learned, Timestamp::now()).await?;
    }
    Ok(next)
}

/// Records the outcome, and `claims` the next row with it.
async fn finish(engine: &Engine, due: &Due, delivery: &Delivery, claims: bool) -> Result<Option<Due>, journal::Error> {
    let now = Timestamp::now();
    if claims {
        return engine.journal.finish_and_claim(due.id, delivery, now).await;
    }
    engine.journal.finish(due.id, delivery, now).await.map(|()| None)
}

fn log(due: &Due, delivery: &Delivery) {
    // The server's own log knows the mail by its Message-ID.
    let (id, number, message_id) = (due.id, due.attempt, due.reply.message_id.to_string());
    match delivery {
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
}

/// Resolves when we are told to stop and the body has not begun; never once it has.
async fn may_be_cut(stop: &CancellationToken, body_started: &AtomicBool) {
    stop.cancelled().await;
    if body_started.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}
