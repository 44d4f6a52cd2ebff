//! What the journal wants done now and then: the breaker's release, leases, retention.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use crate::journal;

/// Between two looks at the breaker.
const TURN: Duration = Duration::from_mins(1);
/// Turns between two prunings.
const PRUNE_EVERY: u32 = 60;

/// Does the chores until `stop`.
pub(super) async fn keep_house(engine: Arc<Engine>, stop: CancellationToken) {
    let mut turn: u32 = 0;
    let mut breaker_told = false;
    while !stop.is_cancelled() {
        if let Err(error) = do_chores(&engine, turn, &mut breaker_told).await {
            tracing::error!(%error, "the journal cannot be kept in order; tried again in a minute");
        }
        turn = turn.wrapping_add(1);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TURN) => {}
        }
    }
}

async fn do_chores(engine: &Engine, turn: u32, breaker_told: &mut bool) -> Result<(), journal::Error> {
    let now = Timestamp::now();
    if engine.journal.tend(&engine.config.policy, now).await? {
        tracing::warn!(
            "the breaker was released: an hour below its limit; each person gets one mail about what was held"
        );
        engine.outbox_news.notify_one();
    }
    let open = engine.journal.breaker().await?.is_some();
    if open && !*breaker_told {
        tracing::error!("the breaker holds every explanation: more fell due at once than policy.breaker allows");
    }
    *breaker_told = open;
    if turn.is_multiple_of(PRUNE_EVERY) {
        let pruned = engine.journal.prune(engine.config.journal.retain, now).await?;
        if pruned > 0 {
            tracing::info!(pruned, "personal data older than journal.retain was deleted");
        }
    }
    Ok(())
}
