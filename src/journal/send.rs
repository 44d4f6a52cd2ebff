//! The outbox's rows on their way: claimed, begun, ended (`flow.md`, *Order of writes*).

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal, Step,
    database::{Database, Row, Tx, values},
    memory::{channel, pause, resume},
    record::{Entry, entry, entry_by},
};
use crate::{
    mail::{Mailbox, MessageId},
    outbox::{self, Delivery, Due, Kind, Paused, SmtpReply, Stage},
    reply::Reply,
};

/// After a lost answer to the final dot, before the one repetition.
const AFTER_DOUBT: SignedDuration = SignedDuration::from_mins(1);
/// An attempt that is heard of no more is another daemon's to take over after this (PostgreSQL).
const LEASE: SignedDuration = SignedDuration::from_mins(30);

/// Longer than any wait of ours but `policy.gather`: the last one of the retry table is eight hours.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24);

/// A row that may be claimed: due, and no earlier row of the same person still open.
const FREE: &str = "o.state = 'due' AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.person = o.person AND p.id < o.id \
                    AND p.state IN ('due', 'attempting', 'body_started'))";

/// The channel's state beside each row: both are always asked together.
const CHANNEL: &str = "(SELECT value FROM memory WHERE name = 'channel') AS paused";

impl Journal {
    /// Claims one due row: the attempt is counted and the next one dated before it begins. Takes the
    /// write lock: whether there is anything tells `next_due`.
    pub async fn claim_due(&self, now: Timestamp) -> Result<Option<Due>, Error> {
        let mut tx = self.database.write().await?;
        let due = claim(&mut tx, now).await?;
        tx.commit().await?;
        Ok(due)
    }

    /// When the next row may be claimed; `None`: nothing waits.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT o.next_attempt AS n, {CHANNEL} FROM outbox o WHERE {FREE} ORDER BY o.next_attempt, o.id LIMIT 1"
        ));
        let rows = self.database.look(sql, Vec::new()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let paused = paused(row)?.map(|it| it.until).filter(|until| *until > now);
        Ok(row.maybe_time("n")?.map(|next| paused.map_or(next, |until| next.max(until))))
    }

    /// The last time at which a row that nobody has tried falls due, no later than `end`.
    pub async fn last_due(&self, end: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut tx = self.database.read().await?;
        let sql =
            "SELECT MAX(next_attempt) AS n FROM outbox WHERE state = 'due' AND attempts = 0 AND next_attempt <= $1";
        Ok(tx.row(sql, values![end]).await?.map(|row| row.maybe_time("n")).transpose()?.flatten())
    }

    /// Rows that are still to be sent.
    pub async fn waiting(&self) -> Result<u64, Error> {
        let mut tx = self.database.read().await?;
        let sql = "SELECT COUNT(*) AS n FROM outbox WHERE state IN ('due', 'attempting', 'body_started')";
        Ok(u64::try_from(tx.number(sql, Vec::new()).await?).unwrap_or(0))
    }

    /// From here on the server may have the whole message: after a crash the row is in doubt.
    pub async fn body_started(&self, id: i64, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        tx.execute("UPDATE outbox SET state = 'body_started' WHERE id = $1", values![id]).await?;
        entry(&mut tx, None, Some(id), now, Step::BodyStarted, None, "").await?;
        tx.commit().await
    }

    /// An attempt was broken off before anything of the message was sent: due again, as before it.
    pub async fn put_back(&self, id: i64, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        again(&mut tx, id, now).await?;
        entry(&mut tx, None, Some(id), now, Step::Recovered, None, "broken off before the message was sent").await?;
        tx.commit().await
    }

    /// Records how an attempt ended, and what follows from it.
    pub async fn finish(&self, id: i64, delivery: &Delivery, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        ended(&mut tx, id, delivery, now).await?;
        tx.commit().await
    }

    /// As `finish`, and claims what is due next as `claim_due` does: one wait for the disk instead of two.
    pub async fn finish_and_claim(&self, id: i64, delivery: &Delivery, now: Timestamp) -> Result<Option<Due>, Error> {
        let mut tx = self.database.write().await?;
        ended(&mut tx, id, delivery, now).await?;
        let due = claim(&mut tx, now).await?;
        tx.commit().await?;
        Ok(due)
    }

    /// What the last run left behind: attempts without a body are plain retries, others are in
    /// doubt; both are made at once, and a paused channel is probed at once, for whoever starts us
    /// anew may have mended it. On PostgreSQL only rows whose lease has run out, for the others
    /// may be at work.
    pub async fn recover(&self, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let until = match &self.database {
            Database::Sqlite { .. } => Timestamp::MAX,
            Database::Postgres { .. } => now,
        };
        take_over(&mut tx, until, now).await?;
        if let Some(paused) = channel(&mut tx).await? {
            pause(&mut tx, &Paused { until: now, ..paused }, now).await?;
        }
        tx.commit().await
    }

    /// A clock that was ahead and was set right leaves times in the far future: what no wait of ours
    /// could have put there falls due now.
    pub(super) async fn set_right(&self, gather: SignedDuration, now: Timestamp) -> Result<(), Error> {
        let farthest = now.checked_add(FARTHEST.max(gather.saturating_mul(2))).unwrap_or(Timestamp::MAX);
        let sql = "SELECT COUNT(*) AS n FROM outbox WHERE state = 'due' AND next_attempt > $1";
        let mut tx = self.database.read().await?;
        let rows = tx.number(sql, values![farthest]).await?;
        if rows == 0 && channel(&mut tx).await?.is_none_or(|it| it.until <= farthest) {
            return Ok(());
        }
        drop(tx);
        let mut tx = self.database.write().await?;
        let sql = "UPDATE outbox SET next_attempt = $2 WHERE state = 'due' AND next_attempt > $1";
        tx.execute(sql, values![farthest, now]).await?;
        if let Some(paused) = channel(&mut tx).await?.filter(|it| it.until > farthest) {
            pause(&mut tx, &Paused { until: now, since: paused.since.min(now), ..paused }, now).await?;
        }
        tx.commit().await
    }

    /// Takes over what another daemon began and is heard of no more. On SQLite there is none beside us.
    pub(super) async fn take_over_lost(&self, now: Timestamp) -> Result<(), Error> {
        match &self.database {
            Database::Sqlite { .. } => return Ok(()),
            Database::Postgres { .. } => {}
        }
        // Looked for without the write lock first: mostly there is nothing.
        if underway(&mut self.database.read().await?, now).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.write().await?;
        take_over(&mut tx, now, now).await?;
        tx.commit().await
    }

    /// As `retry_by`, from the command line.
    pub async fn retry(&self, message: i64, now: Timestamp) -> Result<(), Error> {
        self.retry_by(message, "journal retry", now).await
    }

    /// A person (`actor`) sends an explanation (again), by its bounce's id: one that was held, kept
    /// in a dry run, refused or given up.
    pub async fn retry_by(&self, message: i64, actor: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let sql = "SELECT o.id AS id, o.state AS state, o.mail_to AS mail_to FROM outbox o \
                   JOIN message m ON m.outbox = o.id WHERE m.id = $1";
        let Some(row) = tx.row(sql, values![message]).await? else {
            return Err(Error::State { id: message.to_string(), what: "no explanation was written for it".to_owned() });
        };
        let (id, state) = (row.int("id")?, row.text("state")?);
        if matches!(state.as_str(), "attempting" | "body_started") {
            return Err(Error::State { id: message.to_string(), what: "its explanation is being sent".to_owned() });
        }
        if row.maybe_text("mail_to")?.is_none() {
            let what = "its explanation is older than journal.retain and was deleted".to_owned();
            return Err(Error::State { id: message.to_string(), what });
        }
        let sql = "UPDATE outbox SET state = 'due', attempts = 0, doubts = 0, next_attempt = $2, finished = NULL WHERE id = $1";
        tx.execute(sql, values![id, now]).await?;
        let detail = format!("by hand; it was {state}");
        let released = Entry {
            message: Some(message),
            outbox: Some(id),
            at: now,
            step: Step::Released,
            actor,
            catalogue: None,
            detail: &detail,
        };
        entry_by(&mut tx, &released).await?;
        tx.commit().await
    }
}

/// A row that cannot be read, as when a newer version wrote it, is set aside: it must not keep the others waiting.
async fn claim(tx: &mut Tx, now: Timestamp) -> Result<Option<Due>, Error> {
    let sql = format!(
        "SELECT o.id AS id, o.kind AS kind, o.person AS person, o.message_id AS message_id, o.mail_to AS mail_to, \
         o.reply AS reply, o.attempts AS attempts, o.doubts AS doubts, (SELECT COUNT(*) FROM entry e \
         WHERE e.outbox = o.id AND e.step = 'released' AND e.message IS NOT NULL) AS by_hand, {CHANNEL} \
         FROM outbox o WHERE {FREE} AND o.next_attempt <= $1 ORDER BY o.next_attempt, o.id LIMIT 1"
    );
    loop {
        let Some(row) = tx.row(sqlx::AssertSqlSafe(sql.clone()), values![now]).await? else { return Ok(None) };
        let paused = paused(&row)?;
        if paused.as_ref().is_some_and(|it| it.until > now) {
            return Ok(None);
        }
        let due = match due(&row) {
            Ok(due) => due,
            Err(unreadable) => {
                let (id, why) = (row.int("id")?, unreadable.to_string());
                tracing::error!(outbox_id = id, why, "a mail is set aside unsent");
                end(tx, id, "failed", Step::SetAside, why.lines().next().unwrap_or_default(), now).await?;
                continue;
            }
        };
        if let Some(paused) = paused {
            pause(tx, &paused.probing(due.id, now), now).await?;
        }
        let next = outbox::next_attempt(due.attempt, now);
        let sql = "UPDATE outbox SET state = 'attempting', attempts = $2, next_attempt = $3, lease = $4 WHERE id = $1";
        let lease = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
        tx.execute(sql, values![due.id, due.attempt, next, lease]).await?;
        entry(tx, None, Some(due.id), now, Step::Attempted, None, &format!("attempt {}", due.attempt)).await?;
        return Ok(Some(due));
    }
}

async fn ended(tx: &mut Tx, id: i64, delivery: &Delivery, now: Timestamp) -> Result<(), Error> {
    match delivery {
        Delivery::Accepted(reply) => {
            end(tx, id, "sent", Step::Sent, &answer(Stage::Dot, reply), now).await?;
            super::tally::count_sent(tx, id, now).await?;
            resume(tx).await?;
        }
        Delivery::Rejected(stage, reply) => {
            end(tx, id, "failed", Step::Refused, &answer(*stage, reply), now).await?;
            resume(tx).await?;
        }
        Delivery::Deferred(stage, reply) => {
            let answer = answer(*stage, reply);
            let sql =
                "UPDATE outbox SET state = 'due', answer = $2 WHERE id = $1 AND next_attempt IS NOT NULL RETURNING id";
            if tx.touched(sql, values![id, answer.as_str()]).await? == 0 {
                end(tx, id, "failed", Step::Refused, &format!("given up after a day: {answer}"), now).await?;
            } else {
                entry(tx, None, Some(id), now, Step::Deferred, None, &answer).await?;
            }
            resume(tx).await?;
        }
        Delivery::ChannelRefused(stage, why) => {
            // No row ends by the channel's fault, nor does the attempt count against it.
            again(tx, id, now).await?;
            let before = channel(tx).await?;
            pause(tx, &Paused::after(before.as_ref(), id, *stage, why, now), now).await?;
            let detail = format!("{}: {why}", super::record::name(stage)?);
            entry(tx, None, Some(id), now, Step::ChannelRefused, None, &detail).await?;
        }
        Delivery::InDoubt(why) => {
            let next = now.checked_add(AFTER_DOUBT).unwrap_or(now);
            doubt(tx, id, why, next, now).await?;
        }
    }
    Ok(())
}

async fn underway(tx: &mut Tx, until: Timestamp) -> Result<Vec<Row>, Error> {
    let sql = "SELECT id, state FROM outbox WHERE state IN ('attempting', 'body_started') AND lease <= $1";
    tx.rows(sql, values![until]).await
}

/// Ends attempts that nobody makes any more: those whose lease ends by `until`.
async fn take_over(tx: &mut Tx, until: Timestamp, now: Timestamp) -> Result<(), Error> {
    for row in underway(tx, until).await? {
        let id = row.int("id")?;
        if row.text("state")? == "attempting" {
            again(tx, id, now).await?;
            entry(tx, None, Some(id), now, Step::Recovered, None, "nothing had been sent").await?;
        } else {
            doubt(tx, id, "the program ended before the answer came", now, now).await?;
        }
    }
    Ok(())
}

/// The channel, if it is paused, of a row with [`CHANNEL`].
fn paused(row: &Row) -> Result<Option<Paused>, Error> {
    row.maybe_text("paused")?.map(|_| row.json("paused")).transpose()
}

fn due(row: &Row) -> Result<Due, Error> {
    let message_id = row.text("message_id")?;
    let to = row.text("mail_to")?;
    let reply = Reply {
        message_id: MessageId::parse(&message_id).ok_or_else(|| Error::Row { what: "message_id".to_owned() })?,
        to: Mailbox::parse(&to).ok_or_else(|| Error::Row { what: "mail_to".to_owned() })?,
        bytes: row.bytes("reply")?,
    };
    let attempt = row.count("attempts")?.saturating_add(1);
    let kind = match row.text("kind")?.as_str() {
        "explanation" => Kind::Explanation,
        "copy" => Kind::Copy,
        "digest" => Kind::Digest,
        "alert" => Kind::Alert,
        other => return Err(Error::Row { what: format!("outbox.kind is {other}") }),
    };
    let person = row.maybe_text("person")?.as_deref().and_then(Mailbox::parse);
    let (by_hand, repeats_doubt) = (kind == Kind::Copy || row.int("by_hand")? > 0, row.int("doubts")? > 0);
    Ok(Due { id: row.int("id")?, kind, person, reply, attempt, by_hand, repeats_doubt })
}

async fn end(tx: &mut Tx, id: i64, state: &str, step: Step, answer: &str, now: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE outbox SET state = $2, answer = $3, finished = $4, next_attempt = NULL, lease = NULL WHERE id = $1";
    tx.execute(sql, values![id, state, answer, now]).await?;
    entry(tx, None, Some(id), now, step, None, answer).await
}

/// Due again at once, as if this attempt had not been.
async fn again(tx: &mut Tx, id: i64, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE outbox SET state = 'due', attempts = attempts - 1, next_attempt = $2, lease = NULL WHERE id = $1";
    tx.execute(sql, values![id, now]).await?;
    Ok(())
}

/// Once more under the same Message-ID at `next`, never a third time (`design.md` §8.3).
async fn doubt(tx: &mut Tx, id: i64, why: &str, next: Timestamp, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE outbox SET state = 'due', doubts = doubts + 1, next_attempt = $2, lease = NULL, answer = $3 \
               WHERE id = $1 AND doubts = 0 RETURNING id";
    if tx.touched(sql, values![id, next, why]).await? == 0 {
        return end(tx, id, "in_doubt", Step::InDoubt, &format!("in doubt twice, not sent again: {why}"), now).await;
    }
    entry(tx, None, Some(id), now, Step::InDoubt, None, &format!("sent once more: {why}")).await
}

fn answer(stage: Stage, reply: &SmtpReply) -> String {
    format!("{stage}: {} {}", reply.code, reply.text)
}
