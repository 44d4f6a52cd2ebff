//! Counting: what bounced, why, what was said to whom, and what another `policy.proof` would say.

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::Serialize;

use super::{
    Error, Journal,
    database::{Tx, Value, values},
    history::{FOUND, PLAUSIBLE},
};

/// Most domains that are listed.
const DOMAINS: u32 = 20;
const DAY_MS: i64 = 86_400_000;

/// How often something was seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Count {
    /// What.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// Figures of a stretch of time. Persons are not counted by name (`design.md` §3, *Privacy*).
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Stats {
    /// Messages that were looked at.
    pub messages: u64,
    /// Of these, bounces of any kind.
    pub bounces: u64,
    /// Bounces by the first failed recipient's cause, most frequent first.
    pub causes: Vec<Count>,
    /// Failed recipients by domain, most frequent first, at most twenty.
    pub domains: Vec<Count>,
    /// Bounces by day, oldest first, as `2026-11-16`.
    pub days: Vec<Count>,
    /// Explanations by state.
    pub explanations: Vec<Count>,
    /// Reasons for which nobody was answered; a bounce may have several.
    pub withheld: Vec<Count>,
    /// Answered, or held, under each `policy.proof`, all else unchanged.
    pub would_answer: WouldAnswer,
}

/// How many would be answered under each `policy.proof`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct WouldAnswer {
    /// The author's address in `domains` suffices.
    pub none: u64,
    /// One ground of origin.
    pub plausible: u64,
    /// Found in Sent, or known to the journal; of what was looked for.
    pub verified: u64,
}

impl Journal {
    /// Counts what was recorded from `since` to before `until`; days begin `offset` east of UTC.
    pub async fn stats(&self, since: Timestamp, until: Timestamp, offset: SignedDuration) -> Result<Stats, Error> {
        let mut tx = self.database.read().await?;
        let span = || values![since, until];
        let number = "SELECT COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2";
        let bounces = "SELECT COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 \
                       AND kind <> 'not_a_bounce'";
        let causes = "SELECT cause AS name, COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 \
                      AND cause IS NOT NULL GROUP BY cause ORDER BY n DESC, name";
        let domains = sqlx::AssertSqlSafe(format!(
            "SELECT f.domain AS name, COUNT(*) AS n FROM message m CROSS JOIN finding f WHERE f.message = m.id \
             AND m.recorded >= $1 AND m.recorded < $2 AND f.action = 'failed' GROUP BY f.domain \
             ORDER BY n DESC, name LIMIT {DOMAINS}"
        ));
        let explanations = "SELECT state AS name, COUNT(*) AS n FROM outbox WHERE created >= $1 AND created < $2 \
                            AND kind = 'explanation' GROUP BY state ORDER BY n DESC, name";
        Ok(Stats {
            messages: unsigned(tx.number(number, span()).await?),
            bounces: unsigned(tx.number(bounces, span()).await?),
            causes: counts(&mut tx, causes, span()).await?,
            domains: counts(&mut tx, domains, span()).await?,
            days: days(&mut tx, since, until, offset).await?,
            explanations: counts(&mut tx, explanations, span()).await?,
            withheld: withheld(&mut tx, span()).await?,
            would_answer: would_answer(&mut tx, span()).await?,
        })
    }
}

async fn counts(tx: &mut Tx, sql: impl sqlx::SqlSafeStr, values: Vec<Value>) -> Result<Vec<Count>, Error> {
    let rows = tx.rows(sql, values).await?;
    rows.iter().map(|row| Ok(Count { name: row.text("name")?, count: unsigned(row.int("n")?) })).collect()
}

async fn days(tx: &mut Tx, since: Timestamp, until: Timestamp, offset: SignedDuration) -> Result<Vec<Count>, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT (recorded + {}) / {DAY_MS} AS day, COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 \
         AND kind <> 'not_a_bounce' GROUP BY day ORDER BY day",
        offset.as_millis()
    ));
    let mut days = Vec::new();
    for row in tx.rows(sql, values![since, until]).await? {
        let day = jiff::Timestamp::from_millisecond(row.int("day")?.saturating_mul(DAY_MS));
        let day: Date =
            day.map_err(|why| Error::Row { what: why.to_string() })?.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        days.push(Count { name: day.to_string(), count: unsigned(row.int("n")?) });
    }
    Ok(days)
}

/// Sets of reasons, taken apart.
async fn withheld(tx: &mut Tx, values: Vec<Value>) -> Result<Vec<Count>, Error> {
    let sql = "SELECT reasons AS name, COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 \
               AND kind <> 'not_a_bounce' AND reasons <> '' GROUP BY reasons";
    let mut all: Vec<Count> = Vec::new();
    for set in counts(tx, sql, values).await? {
        for name in set.name.split(',') {
            match all.iter_mut().find(|it| it.name == name) {
                Some(count) => count.count += set.count,
                None => all.push(Count { name: name.to_owned(), count: set.count }),
            }
        }
    }
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    Ok(all)
}

async fn would_answer(tx: &mut Tx, values: Vec<Value>) -> Result<WouldAnswer, Error> {
    let answered =
        "SELECT COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 AND decision <> 'suppress'";
    let unproven = "SELECT COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 \
                    AND reasons IN ('unproven_origin', 'unproven_origin,dry_run')";
    let proven = "SELECT COUNT(*) AS n FROM message WHERE recorded >= $1 AND recorded < $2 AND proven >= $3";
    let with = |degree: i64| [values.clone(), values![degree]].concat();
    let answered = unsigned(tx.number(answered, values.clone()).await?);
    let unproven = unsigned(tx.number(unproven, values.clone()).await?);
    Ok(WouldAnswer {
        none: answered + unproven,
        plausible: unsigned(tx.number(proven, with(PLAUSIBLE)).await?),
        verified: unsigned(tx.number(proven, with(FOUND)).await?),
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
