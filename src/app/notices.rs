//! Tells the administrator what happens to operations (`alerts.to`), and people what they were not
//! told one by one. Both only write rows of the outbox; what is told when is `policy::alert`'s.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{engine::Engine, health::MailboxHealth};
use crate::{
    journal::{self, Digest, Watch},
    mail::Mailbox,
    policy::{self, Mode, alert::Told},
    reply::{
        Reply,
        notice::{self, Address},
    },
};

/// Between two looks.
const TURN: Duration = Duration::from_secs(5);

/// Looks and tells until `stop`.
pub(super) async fn tell(engine: Arc<Engine>, health: Vec<Arc<MailboxHealth>>, stop: CancellationToken) {
    let instance = instance();
    let mut watch = None;
    let mut failed = false;
    while !stop.is_cancelled() {
        let told = alerts(&engine, &health, &instance, &mut watch).await;
        let told = match told {
            Ok(told) => digests(&engine).await.map(|digests| told || digests),
            Err(error) => Err(error),
        };
        match told {
            Ok(true) => engine.outbox_news.notify_one(),
            Ok(false) => {}
            Err(ref error) => {
                engine.journal_health.broken(&error.to_string());
                if !failed {
                    tracing::error!(%error, "alerts and digests wait until the journal can be used");
                }
            }
        }
        failed = told.is_err();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TURN) => {}
        }
    }
}

/// Daemons that share a journal watch each its own mailboxes.
fn instance() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Writes the alerts that are due. True if there are any.
async fn alerts(
    engine: &Engine,
    health: &[Arc<MailboxHealth>],
    instance: &str,
    kept: &mut Option<Watch>,
) -> Result<bool, journal::Error> {
    let now = Timestamp::now();
    let administrators = &engine.config.alerts.to;
    if administrators.is_empty() {
        engine.journal_health.told(now);
        return Ok(false);
    }
    let before = match kept.take() {
        Some(watch) => watch,
        None => engine.journal.watch(instance).await?,
    };
    let mut watch = before.clone();
    let by_person = engine.config.alerts.by_person;
    let mut states = engine.journal.states(by_person).await?;
    states.extend(health.iter().filter_map(|it| it.seen()));
    states.extend(engine.journal_health.seen());
    let events = engine.journal.news(&mut watch, by_person).await?;
    let told = policy::alert::step(&mut watch.memory, &states, &events, now);
    if watch.memory != before.memory {
        let mails: Vec<(String, Reply)> =
            told.iter().flat_map(|told| administrators.iter().map(|to| alert(engine, to, told, now))).collect();
        engine.journal.tell(instance, &watch, &mails, now).await?;
    }
    for it in &told {
        let (condition, ended) = (&it.seen.condition, it.ended);
        tracing::warn!(?condition, ended, count = it.seen.count, "the administrator is told");
    }
    engine.journal_health.told(now);
    *kept = Some(watch);
    Ok(!told.is_empty())
}

fn alert(engine: &Engine, to: &Mailbox, told: &Told, now: Timestamp) -> (String, Reply) {
    let it = &told.seen;
    // Of several daemons that see the same, one tells it.
    let when = if told.ended { format!("{} over", it.since.as_second()) } else { told.at.as_second().to_string() };
    let identity = format!("alert|{}|{}|{when}|{to}", it.condition.name(), it.condition.subject().unwrap_or_default());
    let address = Address {
        person: to.clone(),
        redirect_to: None,
        languages: policy::languages(&engine.config.policy, to, None),
        identity: identity.clone(),
    };
    (identity, notice::alert(&engine.texts, &engine.config.reply, &address, told, now))
}

/// Writes the digests that are due. True if there are any.
async fn digests(engine: &Engine) -> Result<bool, journal::Error> {
    let policy = &engine.config.policy;
    let redirect_to = match &policy.mode {
        Mode::DryRun => return Ok(false),
        Mode::Redirect(to) => Some(to.clone()),
        Mode::Live => None,
    };
    let now = Timestamp::now();
    let due = engine.journal.digests_due(policy, now).await?;
    for digest in &due {
        let mail = render(engine, digest, redirect_to.clone(), now);
        if engine.journal.post_digest(digest, &mail, policy, now).await? {
            tracing::info!(bounces = digest.held.len(), "what was held is told in one mail");
        }
    }
    Ok(!due.is_empty())
}

fn render(engine: &Engine, digest: &Digest, redirect_to: Option<Mailbox>, now: Timestamp) -> Reply {
    let address = Address {
        person: digest.person.clone(),
        redirect_to,
        languages: policy::languages(&engine.config.policy, &digest.person, None),
        identity: digest.identity.clone(),
    };
    notice::digest(&engine.texts, &engine.config.reply, &address, &digest.held, now)
}
