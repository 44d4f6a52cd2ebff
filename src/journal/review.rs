//! What the review page asks, and the administrator's own marks: a diagnosis that was wrong, a
//! domain whose bounces nobody is told of. Every mark is an entry, with who made it.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::Serialize;

use super::{
    Count, Error, Journal, Step,
    database::{Tx, values},
    identity_hash,
    record::{self, Entry, entry_by},
};
use crate::{evidence::Finding, outbox::State, policy::ReplyPlan, reply::Reply};

/// Explanations from which the typical delay is taken.
const TIMED: u32 = 2000;

/// How many bounces had one cause on one day.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DayCount {
    /// The day.
    pub day: Date,
    /// The first failed recipient's cause.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// A diagnosis as it was made, with the words it was made from.
#[derive(Clone, Debug)]
pub struct Diagnosed {
    /// The message's row.
    pub message: i64,
    /// The recipient's place in the report.
    pub position: u32,
    /// Everything that was found out.
    pub finding: Finding,
}

/// One mail that is to go out, or was.
#[derive(Clone, Debug, Serialize)]
pub struct OutboxRow {
    /// The outbox's row.
    pub id: i64,
    /// A bounce that it explains.
    pub message: Option<i64>,
    /// Who gets it; `None` once `journal.retain` has passed.
    pub to: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Attempts made.
    pub attempts: u32,
    /// When it was written.
    pub created: Timestamp,
    /// When the next attempt is due.
    pub next_attempt: Option<Timestamp>,
    /// What the server said last.
    pub answer: Option<String>,
}

/// A diagnosis that an administrator marked as wrong.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Marked {
    /// The message's row.
    pub message: i64,
    /// The cause that would be right.
    pub cause: String,
    /// Who said so.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl Journal {
    /// Bounces by day and cause, the oldest day and its most frequent cause first; whole hours, days
    /// begin `offset` east of UTC.
    pub async fn days(
        &self,
        since: Timestamp,
        until: Timestamp,
        offset: SignedDuration,
    ) -> Result<Vec<DayCount>, Error> {
        let days = super::tally::days(&mut self.database.read().await?, since, until, offset).await?;
        let flat = days.into_iter().flat_map(|day| {
            let counted = move |it: Count| DayCount { day: day.day, cause: it.name, count: it.count };
            day.causes.into_iter().map(counted)
        });
        Ok(flat.collect())
    }

    /// How long it typically took from the record of a bounce to the delivery of its explanation:
    /// the median of the last explanations that went out since then.
    pub async fn typical_delay(&self, since: Timestamp) -> Result<Option<SignedDuration>, Error> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT finished - created AS ms FROM outbox WHERE state = 'sent' AND created >= $1 \
             AND finished IS NOT NULL ORDER BY created DESC LIMIT {TIMED}"
        ));
        let rows = self.database.read().await?.rows(sql, values![since]).await?;
        let mut delays = rows.iter().map(|row| row.int("ms")).collect::<Result<Vec<i64>, Error>>()?;
        delays.sort_unstable();
        Ok(delays.get(delays.len() / 2).map(|ms| SignedDuration::from_millis(*ms)))
    }

    /// How many bounces nobody was told of since then.
    pub async fn suppressed(&self, since: Timestamp) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) AS n FROM message WHERE recorded >= $1 AND decision = 'suppress' \
                   AND kind <> 'not_a_bounce'";
        let count = self.database.read().await?.number(sql, values![since]).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The latest diagnoses, newest first; if so asked, those alone of which
    /// `Diagnosis::is_unexplained` is true.
    pub async fn diagnosed(&self, unexplained: bool, limit: u32) -> Result<Vec<Diagnosed>, Error> {
        let condition = if unexplained { "WHERE cause = 'undetermined' OR rule LIKE '%/stage'" } else { "" };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT message, position, finding FROM finding {condition} ORDER BY message DESC, position LIMIT {limit}"
        ));
        let rows = self.database.read().await?.rows(sql, Vec::new()).await?;
        rows.iter()
            .map(|row| {
                Ok(Diagnosed {
                    message: row.int("message")?,
                    position: row.count("position")?,
                    finding: row.json("finding")?,
                })
            })
            .collect()
    }

    /// What is to go out, was refused, or is held; newest first. With `state`, that alone.
    pub async fn outbox(&self, state: Option<State>, limit: u32) -> Result<Vec<OutboxRow>, Error> {
        let columns = "o.id AS id, (SELECT MAX(m.id) FROM message m WHERE m.outbox = o.id) AS message, o.mail_to AS mail_to, \
                       o.state AS state, o.attempts AS attempts, o.created AS created, o.next_attempt AS next_attempt, \
                       o.answer AS answer";
        let (condition, values) = match state {
            Some(state) => ("o.state = $1", values![record::name(&state)?]),
            None => ("o.state <> 'sent' AND o.state <> 'digested'", Vec::new()),
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {columns} FROM outbox o WHERE {condition} ORDER BY o.id DESC LIMIT {limit}"
        ));
        let rows = self.database.read().await?.rows(sql, values).await?;
        rows.iter()
            .map(|row| {
                let state = serde_json::from_value(serde_json::Value::String(row.text("state")?));
                Ok(OutboxRow {
                    id: row.int("id")?,
                    message: row.maybe_int("message")?,
                    to: row.maybe_text("mail_to")?,
                    state: state.map_err(|why| Error::Row { what: format!("state: {why}") })?,
                    attempts: row.count("attempts")?,
                    created: row.time("created")?,
                    next_attempt: row.maybe_time("next_attempt")?,
                    answer: row.maybe_text("answer")?,
                })
            })
            .collect()
    }

    /// How many rows of the outbox are in each state but `sent`.
    pub async fn outbox_states(&self) -> Result<Vec<(String, u64)>, Error> {
        let sql = "SELECT state, COUNT(*) AS n FROM outbox WHERE state <> 'sent' GROUP BY state ORDER BY state";
        let rows = self.database.read().await?.rows(sql, Vec::new()).await?;
        rows.iter().map(|row| Ok((row.text("state")?, u64::from(row.count("n")?)))).collect()
    }

    /// Marks a diagnosis as wrong, with the cause that would be right.
    pub async fn mark(&self, message: i64, cause: &str, actor: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        known(&mut tx, message).await?;
        let sql = "INSERT INTO mark (message, cause, actor, at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (message) DO UPDATE SET cause = excluded.cause, actor = excluded.actor, at = excluded.at";
        tx.execute(sql, values![message, cause, actor, now]).await?;
        act(&mut tx, Some(message), None, now, Step::Marked, actor, cause).await?;
        tx.commit().await
    }

    /// What was marked as wrong, newest first.
    pub async fn marks(&self, limit: u32) -> Result<Vec<Marked>, Error> {
        let sql =
            sqlx::AssertSqlSafe(format!("SELECT message, cause, actor, at FROM mark ORDER BY at DESC LIMIT {limit}"));
        self.database.read().await?.rows(sql, Vec::new()).await?.iter().map(marked).collect()
    }

    /// The mark of one message.
    pub async fn mark_of(&self, message: i64) -> Result<Option<Marked>, Error> {
        let sql = "SELECT message, cause, actor, at FROM mark WHERE message = $1";
        self.database.read().await?.row(sql, values![message]).await?.as_ref().map(marked).transpose()
    }

    /// From now on nobody is told of bounces at this domain.
    pub async fn mute(&self, domain: &str, actor: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let sql = "INSERT INTO mute (domain, actor, at) VALUES ($1, $2, $3) ON CONFLICT (domain) DO NOTHING";
        tx.execute(sql, values![domain.to_lowercase(), actor, now]).await?;
        act(&mut tx, None, None, now, Step::Muted, actor, domain).await?;
        tx.commit().await
    }

    /// Takes a mute back.
    pub async fn unmute(&self, domain: &str, actor: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        tx.execute("DELETE FROM mute WHERE domain = $1", values![domain.to_lowercase()]).await?;
        act(&mut tx, None, None, now, Step::Unmuted, actor, domain).await?;
        tx.commit().await
    }

    /// The domains whose bounces nobody is told of.
    pub async fn muted(&self) -> Result<HashSet<String>, Error> {
        muted(&mut self.database.read().await?).await
    }

    /// Puts a copy of an explanation for another person into the outbox, due at once. The copy
    /// counts against nobody's limit: a person asked for it. An equal copy is sent once only.
    pub async fn send_copy(
        &self,
        message: i64,
        plan: &ReplyPlan,
        reply: &Reply,
        actor: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        known(&mut tx, message).await?;
        let identity = identity_hash(&format!("{}\ncopy for {}", plan.identity, reply.to));
        let sql = "INSERT INTO outbox (kind, identity, sequence, reference_id, message_id, person, mail_to, reply, asked, \
                   state, created, next_attempt) VALUES ('copy', $1, $2, $3, $4, $5, $6, $7, $8, 'due', $9, $9) \
                   ON CONFLICT (identity, sequence) DO NOTHING RETURNING id";
        let values = values![
            identity,
            plan.sequence,
            plan.reference_id.as_str(),
            reply.message_id.as_str(),
            reply.to.to_string().to_lowercase(),
            reply.to.to_string(),
            reply.bytes.clone(),
            plan.asked,
            now,
        ];
        let Some(row) = tx.row(sql, values).await? else {
            let what = format!("{} was sent this explanation already", reply.to);
            return Err(Error::State { id: message.to_string(), what });
        };
        let outbox = row.int("id")?;
        act(&mut tx, Some(message), Some(outbox), now, Step::Copied, actor, &reply.to.to_string()).await?;
        tx.commit().await
    }
}

pub(super) async fn muted(tx: &mut Tx) -> Result<HashSet<String>, Error> {
    tx.rows("SELECT domain FROM mute", Vec::new()).await?.iter().map(|row| row.text("domain")).collect()
}

async fn known(tx: &mut Tx, message: i64) -> Result<(), Error> {
    let found = tx.number("SELECT COUNT(*) AS n FROM message WHERE id = $1", values![message]).await?;
    if found == 0 { Err(Error::Unknown { id: message.to_string() }) } else { Ok(()) }
}

fn marked(row: &super::database::Row) -> Result<Marked, Error> {
    Ok(Marked {
        message: row.int("message")?,
        cause: row.text("cause")?,
        actor: row.text("actor")?,
        at: row.time("at")?,
    })
}

/// An entry about what a person did.
async fn act(
    tx: &mut Tx,
    message: Option<i64>,
    outbox: Option<i64>,
    now: Timestamp,
    step: Step,
    actor: &str,
    detail: &str,
) -> Result<(), Error> {
    let it = Entry { message, outbox, at: now, step, actor, catalogue: None, detail };
    entry_by(tx, &it).await
}
