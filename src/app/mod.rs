//! Wiring: which task runs when, how much is in hand, how it all stops. Nothing is decided here.
//!
//! `engine` strings the pure stages together for one message, `watch` is one mailbox's task,
//! `post` the outbox's senders, `daemon` starts, supervises, reloads and stops them, `once` works
//! everything off and ends, `ingest` takes one message from a pipe, `notices` tells of what no
//! explanation tells. Only here is the clock read.

mod checked;
mod chores;
mod daemon;
mod engine;
mod health;
mod ingest;
mod notices;
mod notify;
mod once;
mod page;
mod post;
mod sent;
mod watch;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use checked::Checked;
pub use daemon::{Ended, run};
pub(crate) use engine::author_of;
pub use engine::{Engine, StartError};
pub use ingest::{Ingested, ingest};
pub use once::{Left, run_once};

/// What is in hand when we are told to stop may take this long; then it is dropped and read again.
const WORKERS_FINISH: Duration = Duration::from_millis(2500);
/// Between tries to use a journal that cannot be written.
const JOURNAL_RETRY: Duration = Duration::from_secs(10);
/// No wait is longer without a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Rows come from other processes, too (`ingest`, `journal retry`): the outbox is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Before a task that panicked is started again.
const RESTART: Duration = Duration::from_secs(5);

/// Resolves `grace` after `stop` was cancelled.
async fn after(stop: &CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
}

/// 0 to 1, so that a thousand mailboxes do not come back at once; not for secrets.
fn jitter() -> f64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
