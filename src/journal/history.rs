//! What is known already about an original, a person, and the whole outbox.

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal, Known,
    database::{Tx, values},
    identity_hash,
};
use crate::{
    bounce::{Bounce, Recognition},
    evidence::Finding,
    mail::MessageId,
    policy::{self, Candidate, Failure, Gathering, Limit, Proof},
};

/// `message.proven`: how sure it was that the original is ours, when it was answered. A member's own
/// inbox or wish: enough for an answer, and proof of nothing about a later bounce.
pub(super) const PLAUSIBLE: i64 = 1;
/// As above: by a server, a result or an id of ours.
pub(super) const GROUNDED: i64 = 2;
/// As above: found in Sent, or known to the journal in that way before.
pub(super) const FOUND: i64 = 3;

/// Rows that count as explanations given or owed; a dry run's do not.
pub(super) const COUNTED: &str = "kind = 'explanation' AND state NOT IN ('dry_run', 'withdrawn')";

impl Journal {
    /// The facts that `policy::decide` needs about one message.
    pub async fn history(
        &self,
        candidate: Option<&Candidate>,
        settings: &policy::Settings,
        content: &str,
        now: Timestamp,
    ) -> Result<Known, Error> {
        let mut tx = self.database.read().await?;
        let mut known = Known::default();
        let id = candidate.and_then(|it| it.bounce_message_id.as_ref());
        known.history.bounce_seen = bounce_seen(&mut tx, content, id).await?;
        let Some(candidate) = candidate else { return Ok(known) };
        let history = &mut known.history;
        let identity = identity_hash(&candidate.identity);
        if candidate.original.is_some() {
            // The same author as well: a Message-ID alone is known to each of its recipients.
            let enough = if settings.proof == Proof::Verified { FOUND } else { GROUNDED };
            let sql = "SELECT COUNT(*) AS n FROM message WHERE identity = $1 AND proven >= $2";
            history.journal_knows_original = tx.number(sql, values![identity.as_str(), enough]).await? > 0;
        }
        let sql = "SELECT id, sequence, version, state, attempts FROM outbox WHERE identity = $1 ORDER BY sequence";
        for row in tx.rows(sql, values![identity.as_str()]).await? {
            let sequence = row.count("sequence")?;
            let waits = matches!(row.text("state")?.as_str(), "due" | "held" | "dry_run" | "withdrawn")
                && row.int("attempts")? == 0;
            history.explained.push(sequence);
            history.gathering = waits
                .then(|| Ok::<_, Error>(Gathering { row: row.int("id")?, version: row.int("version")?, sequence }))
                .transpose()?;
        }
        for (bounce, _) in
            cases(&mut tx, "m.identity = $1 AND m.outbox IS NOT NULL", values![identity.as_str()]).await?
        {
            history.explained_failures.extend(
                bounce.recipients.iter().map(|it| Failure { recipient: it.final_recipient.clone(), action: it.action }),
            );
        }
        let person = candidate.addressee.to_string().to_lowercase();
        history.sent_to_person =
            sent_to_person(&mut tx, &person, candidate.asked, settings.person_limit(candidate.asked), now).await?;
        history.sent_in_all = sent_in_all(&mut tx, settings.limit_total, now).await?;
        history.breaker_open = super::memory::breaker(&mut tx).await?.is_some();
        let muted = super::review::muted(&mut tx).await?;
        history.muted = !muted.is_empty()
            && !candidate.failures.is_empty()
            && candidate.failures.iter().all(|it| muted.contains(it.recipient.domain()));
        if let Some(gathering) = known.history.gathering {
            known.earlier = cases(&mut tx, "m.outbox = $1", values![gathering.row]).await?;
        }
        Ok(known)
    }
}

/// Whether this bounce was recorded under another reference already.
pub(super) async fn bounce_seen(tx: &mut Tx, content: &str, id: Option<&MessageId>) -> Result<bool, Error> {
    // Two questions, for each has an index of its own.
    let sql = "SELECT COUNT(*) AS n FROM message WHERE content_hash = $1";
    if tx.number(sql, values![content]).await? > 0 {
        return Ok(true);
    }
    let Some(id) = id else { return Ok(false) };
    let sql = "SELECT COUNT(*) AS n FROM message WHERE bounce_message_id = $1";
    Ok(tx.number(sql, values![id.as_str()]).await? > 0)
}

pub(super) async fn sent_to_person(
    tx: &mut Tx,
    person: &str,
    asked: bool,
    limit: Limit,
    now: Timestamp,
) -> Result<u32, Error> {
    let Some(since) = since(limit, now) else { return Ok(0) };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT COUNT(*) AS n FROM outbox WHERE person = $1 AND asked = $2 AND created > $3 AND {COUNTED}"
    ));
    Ok(u32::try_from(tx.number(sql, values![person, asked, since]).await?).unwrap_or(u32::MAX))
}

pub(super) async fn sent_in_all(tx: &mut Tx, limit: Limit, now: Timestamp) -> Result<u32, Error> {
    let Some(since) = since(limit, now) else { return Ok(0) };
    let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM outbox WHERE created > $1 AND {COUNTED}"));
    Ok(u32::try_from(tx.number(sql, values![since]).await?).unwrap_or(u32::MAX))
}

/// When a limit's period began; `None`: there is no limit.
fn since(limit: Limit, now: Timestamp) -> Option<Timestamp> {
    match limit {
        Limit::PerPeriod { period, .. } => Some(before(now, period)),
        Limit::Off => None,
    }
}

pub(super) fn before(now: Timestamp, period: SignedDuration) -> Timestamp {
    now.checked_sub(period).unwrap_or(Timestamp::MIN)
}

/// The bounces of some messages with their findings, oldest first.
pub(super) async fn cases(
    tx: &mut Tx,
    condition: &str,
    values: Vec<super::database::Value>,
) -> Result<Vec<(Bounce, Vec<Finding>)>, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT m.id AS id, r.recognition AS recognition FROM message m JOIN report r ON r.message = m.id \
         WHERE {condition} ORDER BY m.id LIMIT 50"
    ));
    let mut cases = Vec::new();
    for row in tx.rows(sql, values).await? {
        let bounce = match row.json::<Recognition>("recognition")? {
            Recognition::Bounce(bounce) => bounce,
            Recognition::NotABounce(other) => match other.quoted {
                Some(bounce) => *bounce,
                None => continue,
            },
        };
        cases.push((bounce, findings(tx, row.int("id")?).await?));
    }
    Ok(cases)
}

/// The findings of one message, in the report's order.
pub(super) async fn findings(tx: &mut Tx, message: i64) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT finding FROM finding WHERE message = $1 ORDER BY position";
    tx.rows(sql, values![message]).await?.iter().map(|row| row.json("finding")).collect()
}
