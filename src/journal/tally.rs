//! Counts by the hour, kept up as messages are recorded and explanations sent, so that an overview
//! of a million bounces costs no more than one of a hundred.
//!
//! They hold no personal data and stay after `journal.retain`. Hours are whole hours UTC: where the
//! clock differs from that by half an hour, a day begins half an hour late here.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

use super::{
    Count, Error, Journal,
    database::{Tx, Value, values},
};

const HOUR_MS: i64 = 3_600_000;
/// Most domains in an overview.
const DOMAINS: u32 = 20;
/// Bounds of the time from a bounce's arrival to its explanation, in seconds.
const WAITS: [i64; 14] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400, i64::MAX];

/// What is counted; names as in the table's `what`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    /// `bounce` or `other`.
    Message,
    /// Bounces by the first failed recipient's cause.
    Cause,
    /// Of these, those that our own administrator must act on.
    Own,
    /// Failed recipients by domain.
    Domain,
    /// `answer`, `hold`, `suppress`, of bounces.
    Decision,
    /// Reasons for silence, of bounces.
    Reason,
    /// Explanations sent, by an upper bound of seconds since the bounce's arrival.
    Wait,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Cause => "cause",
            Self::Own => "own",
            Self::Domain => "domain",
            Self::Decision => "decision",
            Self::Reason => "reason",
            Self::Wait => "wait",
        }
    }
}

/// The figures of whole hours. Persons are not counted by name.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Overview {
    /// Messages looked at that were no bounces.
    pub others: u64,
    /// Bounces of any kind.
    pub bounces: u64,
    /// Bounces by day and cause, oldest day first; days without bounces are left out.
    pub days: Vec<Day>,
    /// Bounces by cause, most frequent first.
    pub causes: Vec<Count>,
    /// Bounces by cause that our own administrator must act on, most frequent first.
    pub own_faults: Vec<Count>,
    /// Failed recipients by domain, most frequent first, at most twenty.
    pub domains: Vec<Count>,
    /// Bounces by decision: `answer`, `hold`, `suppress`.
    pub decisions: Vec<Count>,
    /// Reasons for which nobody was answered; a bounce may have several.
    pub withheld: Vec<Count>,
    /// Explanations sent.
    pub sent: u64,
    /// Half of them were sent at most this many seconds after the bounce's arrival.
    pub median_wait: Option<u64>,
}

/// One day's bounces.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Day {
    /// Which.
    pub day: Date,
    /// By cause, most frequent first.
    pub causes: Vec<Count>,
}

impl Journal {
    /// The figures of the hours from `since` to `until`; days begin `offset` east of UTC.
    pub async fn overview(
        &self,
        since: Timestamp,
        until: Timestamp,
        offset: SignedDuration,
    ) -> Result<Overview, Error> {
        let mut tx = self.database.read().await?;
        let span = Span::new(since, until);
        let messages = span.sums(&mut tx, What::Message, None).await?;
        let of = |name: &str| messages.iter().find(|it| it.name == name).map_or(0, |it| it.count);
        let waits = span.sums(&mut tx, What::Wait, None).await?;
        Ok(Overview {
            others: of("other"),
            bounces: of("bounce"),
            days: span.days(&mut tx, offset).await?,
            causes: span.sums(&mut tx, What::Cause, None).await?,
            own_faults: span.sums(&mut tx, What::Own, None).await?,
            domains: span.sums(&mut tx, What::Domain, Some(DOMAINS)).await?,
            decisions: span.sums(&mut tx, What::Decision, None).await?,
            withheld: span.sums(&mut tx, What::Reason, None).await?,
            sent: waits.iter().map(|it| it.count).sum(),
            median_wait: median(&waits),
        })
    }
}

/// Bounces by day and cause.
pub(super) async fn days(
    tx: &mut Tx,
    since: Timestamp,
    until: Timestamp,
    offset: SignedDuration,
) -> Result<Vec<Day>, Error> {
    Span::new(since, until).days(tx, offset).await
}

fn hour(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(HOUR_MS)
}

struct Span {
    from: i64,
    to: i64,
}

impl Span {
    /// Whole hours: the one that `since` is in, to the one that ends at `until` or holds it.
    fn new(since: Timestamp, until: Timestamp) -> Self {
        let last = until.as_millisecond().saturating_sub(1).div_euclid(HOUR_MS);
        Self { from: hour(since), to: last.saturating_add(1) }
    }

    async fn sums(&self, tx: &mut Tx, what: What, limit: Option<u32>) -> Result<Vec<Count>, Error> {
        let limit = limit.map(|it| format!(" LIMIT {it}")).unwrap_or_default();
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT name, CAST(SUM(n) AS BIGINT) AS n FROM tally WHERE what = $1 AND hour >= $2 AND hour < $3 \
             GROUP BY name ORDER BY n DESC, name{limit}"
        ));
        let rows = tx.rows(sql, values![what.name(), self.from, self.to]).await?;
        rows.iter().map(|row| Ok(Count { name: row.text("name")?, count: unsigned(row.int("n")?) })).collect()
    }

    async fn days(&self, tx: &mut Tx, offset: SignedDuration) -> Result<Vec<Day>, Error> {
        // Hours are never before 1970: rounding towards zero is rounding down.
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT (hour + {}) / 24 AS day, name, CAST(SUM(n) AS BIGINT) AS n FROM tally \
             WHERE what = $1 AND hour >= $2 AND hour < $3 GROUP BY day, name ORDER BY day, n DESC, name",
            offset.as_secs().div_euclid(3600)
        ));
        let mut days: Vec<Day> = Vec::new();
        for row in tx.rows(sql, values![What::Cause.name(), self.from, self.to]).await? {
            let start = Timestamp::from_second(row.int("day")?.saturating_mul(86_400));
            let start = start.map_err(|why| Error::Row { what: why.to_string() })?;
            let day = start.to_zoned_datetime(TimeZone::UTC).date();
            let count = Count { name: row.text("name")?, count: unsigned(row.int("n")?) };
            match days.last_mut().filter(|it| it.day == day) {
                Some(last) => last.causes.push(count),
                None => days.push(Day { day, causes: vec![count] }),
            }
        }
        Ok(days)
    }
}

/// The bound below which half of them lie.
fn median(waits: &[Count]) -> Option<u64> {
    let mut waits: Vec<(u64, u64)> =
        waits.iter().filter_map(|it| it.name.parse().ok().map(|bound| (bound, it.count))).collect();
    waits.sort_unstable();
    let half = waits.iter().map(|(_, count)| count).sum::<u64>().div_ceil(2);
    let mut seen = 0;
    waits.into_iter().find_map(|(bound, count)| {
        seen += count;
        (seen >= half && half > 0).then_some(bound)
    })
}

/// So many more of each of these, which differ.
pub(super) async fn count(tx: &mut Tx, counts: &[(What, &str, i64)], at: Timestamp) -> Result<(), Error> {
    let mut values: Vec<Value> = values![hour(at)];
    let mut rows = Vec::new();
    for (what, name, n) in counts {
        let place = values.len();
        rows.push(format!("(${}, $1, ${}, ${})", place + 1, place + 2, place + 3));
        values.extend(values![what.name(), *name, *n]);
    }
    let sql = sqlx::AssertSqlSafe(format!(
        "INSERT INTO tally (what, hour, name, n) VALUES {} \
         ON CONFLICT (what, hour, name) DO UPDATE SET n = tally.n + excluded.n",
        rows.join(", ")
    ));
    tx.execute(sql, values).await
}

/// An explanation was sent, so long after the first of its bounces arrived.
pub(super) async fn count_sent(tx: &mut Tx, outbox: i64, now: Timestamp) -> Result<(), Error> {
    let bounds: String = WAITS.iter().map(|bound| format!("WHEN wait <= {bound} THEN '{bound}' ")).collect();
    let sql = sqlx::AssertSqlSafe(format!(
        "INSERT INTO tally (what, hour, name, n) SELECT '{}', $2, CASE {bounds}END, 1 FROM \
         (SELECT ($3 - MIN(received)) / 1000 AS wait FROM message WHERE outbox = $1) AS w WHERE wait IS NOT NULL \
         ON CONFLICT (what, hour, name) DO UPDATE SET n = tally.n + excluded.n",
        What::Wait.name()
    ));
    tx.execute(sql, values![outbox, hour(now), now]).await
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_bound_that_half_lie_below() {
        let wait = |name: &str, count| Count { name: name.to_owned(), count };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[wait("10", 1), wait("2", 1), wait("60", 1)]), Some(10));
        assert_eq!(median(&[wait("1", 99), wait("86400", 1)]), Some(1));
    }
}
