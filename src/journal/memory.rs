//! Small things that outlive the process: cursors, failures, the channel, the breaker, the path.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Error, Journal, Step,
    database::{Tx, json, values},
    history::before,
};
use crate::{
    mail::{Cursor, MessageRef},
    outbox::{PathChoice, Paused},
    policy::{self, Limit},
};

const CHANNEL: &str = "channel";
pub(super) const BREAKER: &str = "breaker";
const PATH: &str = "reverse_path";
/// The breaker is released after this long below its limit (`design.md` §3, *Limits*).
const RELEASE_AFTER: SignedDuration = SignedDuration::from_hours(1);

impl Journal {
    /// How far a folder has been read.
    pub async fn cursor(&self, account: &str, folder: &str) -> Result<Option<Cursor>, Error> {
        let mut tx = self.database.read().await?;
        let sql = "SELECT uid_validity, last_uid FROM cursor WHERE account = $1 AND folder = $2";
        let Some(row) = tx.row(sql, values![account, folder]).await? else { return Ok(None) };
        Ok(Some(Cursor { uid_validity: row.count("uid_validity")?, uid: row.count("last_uid")? }))
    }

    /// Keeps how far a folder has been read.
    pub async fn keep_cursor(&self, account: &str, folder: &str, cursor: Cursor, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let sql = "INSERT INTO cursor (account, folder, uid_validity, last_uid, at) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (account, folder) DO UPDATE SET uid_validity = $3, last_uid = $4, at = $5";
        tx.execute(sql, values![account, folder, cursor.uid_validity, cursor.uid, now]).await?;
        tx.commit().await
    }

    /// Whether a message is on record under this reference; then it need not be fetched again.
    pub async fn recorded(&self, reference: &MessageRef) -> Result<bool, Error> {
        let mut tx = self.database.read().await?;
        Ok(super::record::id_of(&mut tx, reference).await?.is_some())
    }

    /// The points against a message that broke the pipeline, or with which the connection was lost.
    pub async fn poisoned(&self, reference: &MessageRef) -> Result<u32, Error> {
        let mut tx = self.database.read().await?;
        let sql = "SELECT failures AS n FROM poison WHERE account = $1 AND folder = $2 AND key = $3";
        let key = values![reference.account.as_str(), reference.folder.as_str(), reference.key.as_str()];
        Ok(u32::try_from(tx.number(sql, key).await?).unwrap_or(u32::MAX))
    }

    /// The keys of a folder's messages that have so many points against them, or more.
    pub async fn poisoned_in(&self, account: &str, folder: &str, points: u32) -> Result<HashSet<String>, Error> {
        let mut tx = self.database.read().await?;
        let sql = "SELECT key FROM poison WHERE account = $1 AND folder = $2 AND failures >= $3";
        tx.rows(sql, values![account, folder, points]).await?.iter().map(|row| row.text("key")).collect()
    }

    /// A message has broken the pipeline once more: so many points against it.
    pub async fn poison(&self, reference: &MessageRef, points: u32, why: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let sql = "INSERT INTO poison (account, folder, key, failures, why, at) VALUES ($1, $2, $3, $6, $4, $5) \
                   ON CONFLICT (account, folder, key) DO UPDATE SET failures = poison.failures + $6, why = $4, at = $5";
        let (account, folder, key) = (reference.account.as_str(), reference.folder.as_str(), reference.key.as_str());
        tx.execute(sql, values![account, folder, key, why, now, points]).await?;
        tx.commit().await
    }

    /// The reverse-path that the submission server was found to take.
    pub async fn path_choice(&self) -> Result<Option<PathChoice>, Error> {
        recall(&mut self.database.read().await?, PATH).await
    }

    /// Keeps the reverse-path that the submission server was found to take.
    pub async fn keep_path_choice(&self, choice: PathChoice, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        keep(&mut tx, PATH, &choice, now).await?;
        tx.commit().await
    }

    /// The channel, if it is paused.
    pub async fn paused(&self) -> Result<Option<Paused>, Error> {
        channel(&mut self.database.read().await?).await
    }

    /// Since when the breaker holds everything, if it does.
    pub async fn breaker(&self) -> Result<Option<Timestamp>, Error> {
        breaker(&mut self.database.read().await?).await
    }

    /// What is to be done now and then. Attempts of a daemon that is heard of no more are taken over
    /// (PostgreSQL). The breaker is released once it has been below its limit for an hour; what was
    /// held becomes a digest a person (`digests_due`). True if it was released.
    pub async fn tend(&self, settings: &policy::Settings, now: Timestamp) -> Result<bool, Error> {
        self.take_over_lost(now).await?;
        self.set_right(settings.gather, now).await?;
        if self.breaker().await?.is_none() {
            return Ok(false);
        }
        let mut tx = self.database.write().await?;
        let over = over_breaker(&mut tx, settings.breaker, now).await?;
        if over {
            keep(&mut tx, BREAKER, &now, now).await?;
            tx.commit().await?;
            return Ok(false);
        }
        let below_since = breaker(&mut tx).await?.unwrap_or(now);
        if below_since > now {
            // The clock was set back: the hour begins now.
            keep(&mut tx, BREAKER, &now, now).await?;
            tx.commit().await?;
            return Ok(false);
        }
        if now.duration_since(below_since) < RELEASE_AFTER {
            return Ok(false);
        }
        forget(&mut tx, BREAKER).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The administrator releases the breaker. True if it was closed.
    pub async fn release_breaker(&self) -> Result<bool, Error> {
        let mut tx = self.database.write().await?;
        let was = breaker(&mut tx).await?.is_some();
        forget(&mut tx, BREAKER).await?;
        tx.commit().await?;
        Ok(was)
    }
}

/// Opens the breaker when too many explanations fell due, and holds what has not been tried.
pub(super) async fn check_breaker(tx: &mut Tx, settings: &policy::Settings, now: Timestamp) -> Result<(), Error> {
    if !over_breaker(tx, settings.breaker, now).await? {
        return Ok(());
    }
    if breaker(tx).await?.is_none() {
        for row in tx
            .rows("SELECT id FROM outbox WHERE state = 'due' AND attempts = 0 AND kind = 'explanation'", Vec::new())
            .await?
        {
            let id = row.int("id")?;
            tx.execute("UPDATE outbox SET state = 'held', next_attempt = NULL WHERE id = $1", values![id]).await?;
            super::record::entry(tx, None, Some(id), now, Step::Held, None, "the breaker opened").await?;
        }
    }
    keep(tx, BREAKER, &now, now).await
}

async fn over_breaker(tx: &mut Tx, limit: Limit, now: Timestamp) -> Result<bool, Error> {
    let Limit::PerPeriod { count, period } = limit else { return Ok(false) };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT COUNT(*) AS n FROM outbox WHERE created > $1 AND {}",
        super::history::COUNTED
    ));
    Ok(tx.number(sql, values![before(now, period)]).await? > i64::from(count))
}

pub(super) async fn breaker(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    recall(tx, BREAKER).await
}

pub(super) async fn channel(tx: &mut Tx) -> Result<Option<Paused>, Error> {
    recall(tx, CHANNEL).await
}

pub(super) async fn pause(tx: &mut Tx, paused: &Paused, now: Timestamp) -> Result<(), Error> {
    keep(tx, CHANNEL, paused, now).await
}

pub(super) async fn resume(tx: &mut Tx) -> Result<(), Error> {
    forget(tx, CHANNEL).await
}

pub(super) async fn recall<T: DeserializeOwned>(tx: &mut Tx, name: &str) -> Result<Option<T>, Error> {
    tx.row("SELECT value FROM memory WHERE name = $1", values![name]).await?.map(|row| row.json("value")).transpose()
}

pub(super) async fn keep<T: Serialize + Sync>(tx: &mut Tx, name: &str, value: &T, now: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO memory (name, value, at) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET value = $2, at = $3";
    tx.execute(sql, values![name, json(value)?, now]).await?;
    Ok(())
}

async fn forget(tx: &mut Tx, name: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM memory WHERE name = $1", values![name]).await?;
    Ok(())
}
