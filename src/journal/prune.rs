//! Forgetting: after `journal.retain` only what recognises a copy is left (`design.md` §3, *Privacy*).
//!
//! What stays of a message: where it lay, times, size, kind, cause, decision, and digests. What goes:
//! addresses, subjects, headers, the servers' words, the explanation, its story.

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal,
    database::{Tx, values},
    history::before,
};

/// Messages in one transaction, so that nobody waits long for the write lock.
const BATCH: u32 = 200;

impl Journal {
    /// Takes the personal data out of everything older than `retain`; how many messages that was.
    /// A message whose explanation is still to be sent stays as it is.
    pub async fn prune(&self, retain: SignedDuration, now: Timestamp) -> Result<u64, Error> {
        let mut pruned = 0;
        loop {
            let done = self.prune_batch(before(now, retain)).await?;
            pruned += done;
            if done < u64::from(BATCH) {
                return Ok(pruned);
            }
        }
    }

    async fn prune_batch(&self, until: Timestamp) -> Result<u64, Error> {
        let old = format!(
            "SELECT m.id AS id, m.outbox AS outbox FROM message m WHERE m.pruned = 0 AND m.recorded < $1 \
             AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = m.outbox \
             AND o.state IN ('due', 'attempting', 'body_started', 'held')) ORDER BY m.recorded LIMIT {BATCH}"
        );
        let old = || sqlx::AssertSqlSafe(old.clone());
        // Looked for without the write lock first: mostly there is nothing.
        if self.database.read().await?.row(old(), values![until]).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.database.write().await?;
        let mut done = 0;
        for row in tx.rows(old(), values![until]).await? {
            forget(&mut tx, row.int("id")?, row.maybe_int("outbox")?, until).await?;
            done += 1;
        }
        tx.execute("DELETE FROM poison WHERE at < $1", values![until]).await?;
        let others = "UPDATE outbox SET reply = NULL, person = NULL, mail_to = NULL, answer = NULL \
                      WHERE kind IN ('copy', 'alert') AND created < $1 AND mail_to IS NOT NULL \
                      AND state NOT IN ('due', 'attempting', 'body_started')";
        tx.execute(others, values![until]).await?;
        tx.commit().await?;
        Ok(done)
    }
}

async fn forget(tx: &mut Tx, message: i64, outbox: Option<i64>, until: Timestamp) -> Result<(), Error> {
    tx.execute("DELETE FROM report WHERE message = $1", values![message]).await?;
    tx.execute("DELETE FROM finding WHERE message = $1", values![message]).await?;
    super::words::forget(tx, message).await?;
    tx.execute("DELETE FROM entry WHERE message = $1", values![message]).await?;
    let sql = "UPDATE message SET pruned = 1, bounce_message_id = NULL, original_message_id = NULL, author = NULL, \
               subject = NULL, recipient = NULL WHERE id = $1";
    tx.execute(sql, values![message]).await?;
    let Some(outbox) = outbox else { return Ok(()) };
    // An explanation of several bounces goes with the last of them.
    let sql = "SELECT COUNT(*) AS n FROM message WHERE outbox = $1 AND pruned = 0 AND recorded >= $2";
    if tx.number(sql, values![outbox, until]).await? == 0 {
        tx.execute("DELETE FROM entry WHERE outbox = $1", values![outbox]).await?;
        let sql = "UPDATE outbox SET reply = NULL, person = NULL, mail_to = NULL, answer = NULL WHERE id = $1";
        tx.execute(sql, values![outbox]).await?;
    }
    Ok(())
}
