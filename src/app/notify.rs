//! What systemd is told (`sd_notify`): ready, status, still alive, stopping.
//!
//! Without `NOTIFY_SOCKET` each call does nothing. A socket that cannot be written is logged once
//! a call and never fatal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

/// Sends states to systemd.
fn send(states: &[NotifyState<'_>]) {
    if std::env::var_os("NOTIFY_SOCKET").is_none_or(|it| it.is_empty()) {
        return;
    }
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

/// Everything is up.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// One line for `systemctl status`.
pub(super) fn status(line: &str) {
    send(&[NotifyState::Status(line)]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    send(&[NotifyState::Status("reading the configuration again")]);
}

/// The daemon is on its way out.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Signs of life of one task. A task that hangs stops beating, and then the watchdog is not fed.
#[derive(Clone)]
pub(super) struct Heartbeat {
    started: Instant,
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// A heart that has just beaten.
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), last: Arc::new(AtomicU64::new(0)) }
    }

    /// The task is alive now.
    pub(super) fn beat(&self) {
        self.last.store(self.started.elapsed().as_secs(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_secs(self.last.load(Ordering::Relaxed)))
    }
}

/// Feeds systemd's watchdog, at a third of its period, while every task has beaten within `patience`.
pub(super) async fn watchdog(hearts: Vec<(&'static str, Heartbeat)>, patience: Duration) {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(period / 3).await;
        match hearts.iter().find(|(_, heart)| heart.silence() > patience) {
            None => send(&[NotifyState::Watchdog]),
            Some((task, _)) => tracing::error!(task, "a task has shown no sign of life; the watchdog is not fed"),
        }
    }
}
