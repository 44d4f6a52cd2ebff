//! What is known already about an original, a person, and the whole outbox.

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal, Known,
    database::{Row, Tx, Value, values},
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
        let mut known = Known::default();
        let history = &mut known.history;
        let identity = candidate.map(|it| identity_hash(&it.identity));
        // Only where there is an original: the identity is then its Message-ID and author. A Message-ID
        // alone is known to each of its recipients.
        let original = identity.clone().filter(|_| candidate.is_some_and(|it| it.original.is_some()));
        let enough = if settings.proof == Proof::Verified { FOUND } else { GROUNDED };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT known.*, o.id AS id, o.sequence AS sequence, o.version AS version, o.state AS state, \
             o.attempts AS attempts FROM (SELECT {}, \
             (SELECT COUNT(*) FROM message WHERE identity = $8 AND proven >= $9) AS originals, \
             (SELECT COUNT(*) FROM mute) AS mutes) AS known LEFT JOIN outbox o ON o.identity = $10 ORDER BY o.sequence",
            questions()
        ));
        let mut values = asked_with(content, candidate, settings, now);
        values.extend(values![original, enough, identity.as_deref()]);
        let rows = self.database.look(sql, values).await?;
        let Some(row) = rows.first() else { return Err(nothing()) };
        let standing = Standing::of(row)?;
        history.bounce_seen = standing.bounce_seen;
        let (Some(candidate), Some(identity)) = (candidate, identity) else { return Ok(known) };
        history.sent_to_person = standing.sent_to_person;
        history.sent_in_all = standing.sent_in_all;
        history.breaker_open = standing.breaker_open;
        history.journal_knows_original = row.int("originals")? > 0;
        let mutes = row.int("mutes")? > 0;
        for row in &rows {
            let Some(id) = row.maybe_int("id")? else { continue };
            let sequence = row.count("sequence")?;
            let waits = matches!(row.text("state")?.as_str(), "due" | "held" | "dry_run" | "withdrawn")
                && row.int("attempts")? == 0;
            history.explained.push(sequence);
            history.gathering = waits
                .then(|| Ok::<_, Error>(Gathering { row: id, version: row.int("version")?, sequence }))
                .transpose()?;
        }
        if history.explained.is_empty() && !mutes {
            return Ok(known);
        }
        // What is added meanwhile makes another sequence or version of the rows above: a conflict at the commit.
        let mut tx = self.database.read().await?;
        for (bounce, _) in cases(&mut tx, "m.identity = $1 AND m.outbox IS NOT NULL", values![identity]).await? {
            history.explained_failures.extend(
                bounce.recipients.iter().map(|it| Failure { recipient: it.final_recipient.clone(), action: it.action }),
            );
        }
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

/// What is asked of each message twice: before it is decided upon, and again under the write lock.
pub(super) struct Standing {
    /// This bounce was recorded under another reference already.
    pub(super) bounce_seen: bool,
    pub(super) sent_to_person: u32,
    pub(super) sent_in_all: u32,
    pub(super) breaker_open: bool,
}

impl Standing {
    fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            bounce_seen: row.int("seen")? > 0,
            sent_to_person: row.count("to_person")?,
            sent_in_all: row.count("in_all")?,
            breaker_open: row.int("breaker")? > 0,
        })
    }
}

pub(super) async fn standing(
    tx: &mut Tx,
    content: &str,
    candidate: Option<&Candidate>,
    settings: &policy::Settings,
    now: Timestamp,
) -> Result<Standing, Error> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {}", questions()));
    let row = tx.row(sql, asked_with(content, candidate, settings, now)).await?.ok_or_else(nothing)?;
    Standing::of(&row)
}

/// The columns of [`Standing`]: one statement, for they are asked so often that the way to the
/// database counts.
fn questions() -> String {
    format!(
        "(SELECT COUNT(*) FROM message WHERE content_hash = $1) \
         + (SELECT COUNT(*) FROM message WHERE bounce_message_id = $2) AS seen, \
         (SELECT COUNT(*) FROM outbox WHERE person = $3 AND asked = $4 AND created > $5 AND {COUNTED}) AS to_person, \
         (SELECT COUNT(*) FROM outbox WHERE created > $6 AND {COUNTED}) AS in_all, \
         (SELECT COUNT(*) FROM memory WHERE name = $7) AS breaker"
    )
}

/// What [`questions`] are asked with.
fn asked_with(content: &str, candidate: Option<&Candidate>, settings: &policy::Settings, now: Timestamp) -> Vec<Value> {
    let asked = candidate.is_some_and(|it| it.asked);
    values![
        content,
        candidate.and_then(|it| it.bounce_message_id.as_ref()).map(MessageId::as_str),
        candidate.map(|it| it.addressee.to_string().to_lowercase()),
        asked,
        since(settings.person_limit(asked), now),
        since(settings.limit_total, now),
        super::memory::BREAKER,
    ]
}

fn nothing() -> Error {
    Error::Row { what: "no counts came back".to_owned() }
}

/// When a limit's period began. Without a limit nothing need be counted: no row is younger than that.
fn since(limit: Limit, now: Timestamp) -> Timestamp {
    match limit {
        Limit::PerPeriod { period, .. } => before(now, period),
        Limit::Off => Timestamp::MAX,
    }
}

pub(super) fn before(now: Timestamp, period: SignedDuration) -> Timestamp {
    now.checked_sub(period).unwrap_or(Timestamp::MIN)
}

/// The bounces of some messages with their findings, oldest first.
pub(super) async fn cases(
    tx: &mut Tx,
    condition: &str,
    values: Vec<Value>,
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
