//! The daemon: starts everything, supervises it, reads the configuration again, stops in order.
//!
//! One generation of tasks lives from a start or SIGHUP to the next. Stopping goes with the flow:
//! sources first, then what is in hand, then the senders, of whom a DATA in flight gets up to
//! 30 seconds; without one all ends within five.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    chores,
    engine::{Engine, StartError},
    health::MailboxHealth,
    notices,
    notify::{self, Heartbeat},
    page::Page,
    post, watch,
};
use crate::{
    config::{Config, ConfigError},
    journal::{Access, Journal},
};

/// A task that shows no sign of life for this long keeps the watchdog from being fed.
const PATIENCE: Duration = Duration::from_mins(20);
/// How long a DATA in flight may take once we are told to stop.
const DATA_GRACE: Duration = Duration::from_secs(30);
/// Between two lines to `systemctl status`.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How the daemon ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Everything finished.
    Cleanly,
    /// Something did not finish in time and was cut off; safe by the order of writes.
    Overrun,
}

/// Runs until SIGTERM or SIGINT. `reload` reads the configuration again on SIGHUP; one that is
/// wrong is told in the log and the old one stays.
pub async fn run(config: Config, reload: impl Fn() -> Result<Config, ConfigError>) -> Result<Ended, StartError> {
    let mut signals =
        Signals::new().map_err(|source| StartError::Directory { path: "signal handlers".into(), source })?;
    let mut journal = Journal::open(&config.journal, Access::Daemon).await?;
    journal.recover(jiff::Timestamp::now()).await?;
    let mut generation = Generation::start(Engine::new(config, journal.clone())?);
    let mut page = Page::default();
    page.renew(&generation.engine, &generation.health);
    notify::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    loop {
        match signals.next(&generation).await {
            Told::Stop => break,
            Told::Reload => {
                notify::reloading();
                match renew(&journal, &generation, &reload).await {
                    Ok((engine, newer)) => {
                        generation.stop(&mut signals).await;
                        journal = newer;
                        generation = Generation::start(engine);
                        page.renew(&generation.engine, &generation.health);
                        tracing::info!("the configuration was read again");
                    }
                    Err(error) => tracing::error!(%error, "the new configuration is wrong; the old one stays"),
                }
                notify::ready();
            }
        }
    }
    notify::stopping();
    tracing::info!("stopping");
    page.close();
    let ended = generation.stop(&mut signals).await;
    let _ = timeout(Duration::from_secs(2), journal.close()).await;
    Ok(ended)
}

/// A new engine from the configuration as it is now; nothing of the old one is touched.
async fn renew(
    journal: &Journal,
    generation: &Generation,
    reload: &impl Fn() -> Result<Config, ConfigError>,
) -> Result<(Engine, Journal), Box<dyn std::error::Error + Send + Sync>> {
    use secrecy::ExposeSecret as _;
    let config = reload()?;
    let same = config.journal.url.expose_secret() == generation.engine.config.journal.url.expose_secret();
    let journal = if same { journal.clone() } else { Journal::open(&config.journal, Access::Daemon).await? };
    Ok((Engine::new(config, journal.clone())?, journal))
}

enum Told {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next order; meanwhile the status line is kept.
    async fn next(&mut self, generation: &Generation) -> Told {
        let mut said = String::new();
        loop {
            let line = generation.status().await;
            if line != said {
                notify::status(&line);
                said = line;
            }
            tokio::select! {
                _ = self.terminate.recv() => return Told::Stop,
                _ = self.interrupt.recv() => return Told::Stop,
                _ = self.hang_up.recv() => return Told::Reload,
                () = generation.engine.reload_asked.notified() => return Told::Reload,
                () = tokio::time::sleep(STATUS_EVERY) => {}
            }
        }
    }

    /// A second order to stop while stopping.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

struct Generation {
    engine: Arc<Engine>,
    health: Vec<Arc<MailboxHealth>>,
    sources: CancellationToken,
    senders: CancellationToken,
    watching: Vec<JoinHandle<()>>,
    posting: Vec<JoinHandle<()>>,
    watchdog: JoinHandle<()>,
}

impl Generation {
    fn start(engine: Engine) -> Self {
        let engine = Arc::new(engine);
        let (sources, senders) = (CancellationToken::new(), CancellationToken::new());
        let mut hearts = Vec::new();
        let mut posting: Vec<_> = (0..post::SENDERS)
            .map(|_| {
                let heart = Heartbeat::new();
                hearts.push(("outbox", heart.clone()));
                let (engine, stop) = (Arc::clone(&engine), senders.clone());
                supervise("outbox", stop.clone(), move || post::post(Arc::clone(&engine), stop.clone(), heart.clone()))
            })
            .collect();
        let chores = {
            let (engine, stop) = (Arc::clone(&engine), senders.clone());
            supervise("chores", stop.clone(), move || chores::keep_house(Arc::clone(&engine), stop.clone()))
        };
        posting.push(chores);
        let health: Vec<_> = engine.config.mailboxes.iter().map(|it| Arc::new(MailboxHealth::new(&it.name))).collect();
        let watching = engine
            .config
            .mailboxes
            .iter()
            .zip(&health)
            .map(|(settings, health)| {
                let heart = Heartbeat::new();
                hearts.push(("mailbox", heart.clone()));
                let (engine, settings, stop, health) =
                    (Arc::clone(&engine), settings.clone(), sources.clone(), Arc::clone(health));
                supervise("mailbox", stop.clone(), move || {
                    watch::watch(
                        Arc::clone(&engine),
                        settings.clone(),
                        stop.clone(),
                        Arc::clone(&health),
                        heart.clone(),
                    )
                })
            })
            .collect();
        let told = {
            let (engine, health, stop) = (Arc::clone(&engine), health.clone(), senders.clone());
            supervise("notices", stop.clone(), move || notices::tell(Arc::clone(&engine), health.clone(), stop.clone()))
        };
        posting.push(told);
        let watchdog = tokio::spawn(notify::watchdog(hearts, PATIENCE));
        Self { engine, health, sources, senders, watching, posting, watchdog }
    }

    /// One line for `systemctl status`.
    async fn status(&self) -> String {
        let broken: Vec<String> =
            self.health.iter().filter_map(|it| it.trouble().map(|why| format!("{}: {why}", it.name))).collect();
        let waiting = match self.engine.journal.waiting().await {
            Ok(rows) => format!("{rows} to send"),
            Err(_) => "journal in trouble".to_owned(),
        };
        let mailboxes = self.health.len();
        if broken.is_empty() {
            format!("watching {mailboxes} of {mailboxes} mailboxes; {waiting}")
        } else {
            format!("watching {} of {mailboxes} mailboxes; {waiting}; {}", mailboxes - broken.len(), broken.join("; "))
        }
    }

    /// Stops in order of flow.
    async fn stop(&mut self, signals: &mut Signals) -> Ended {
        let orderly = async {
            self.sources.cancel();
            let mut ended = finish(&mut self.watching, super::WORKERS_FINISH + Duration::from_secs(1)).await;
            self.senders.cancel();
            if finish(&mut self.posting, DATA_GRACE).await == Ended::Overrun {
                ended = Ended::Overrun;
            }
            ended
        };
        let ended = tokio::select! {
            ended = orderly => ended,
            () = signals.again() => Ended::Overrun,
        };
        self.watchdog.abort();
        ended
    }
}

/// Waits for tasks to end; those that do not are cut off.
async fn finish(tasks: &mut Vec<JoinHandle<()>>, grace: Duration) -> Ended {
    let end = tokio::time::Instant::now() + grace;
    let mut ended = Ended::Cleanly;
    for mut task in tasks.drain(..) {
        if tokio::time::timeout_at(end, &mut task).await.is_err() {
            task.abort();
            tracing::error!("a task did not end in time and was cut off; nothing is lost by that");
            ended = Ended::Overrun;
        }
    }
    ended
}

/// Starts a task again whenever it panics, with a wait, until `stop`.
fn supervise<F>(name: &'static str, stop: CancellationToken, task: impl Fn() -> F + Send + 'static) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            let mut running = AbortOnDrop(tokio::spawn(task()));
            if (&mut running.0).await.is_ok() {
                return;
            }
            tracing::error!(task = name, "a task failed and is started again");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(super::RESTART) => {}
            }
        }
    })
}

/// A task that does not outlive its supervisor.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
