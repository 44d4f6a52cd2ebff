//! How others fared lately: of the last seven days' mail to a domain, how much failed for the
//! same cause, whose it was, and what was taken. "Only you, or all of us."

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal,
    database::{Row, values},
    history::before,
};
use crate::{bounce::Action, evidence::Finding, mail::Mailbox, policy::DomainWeek};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Domains and causes of one bounce that are asked about.
const MOST: usize = 3;
/// Only so many of the newest findings are counted: in a storm, more say nothing more.
const NEWEST: u32 = 100;
/// Among so many of a cause's newest findings those of other domains are looked for: when one domain
/// is in trouble, all the newest may be its own, and each bounce asks anew.
const LOOKED_AT: u32 = 1000;

impl Journal {
    /// What is known of the domains and causes of these failures, but for the first few none.
    pub async fn weeks(
        &self,
        findings: &[Finding],
        person: &Mailbox,
        now: Timestamp,
    ) -> Result<Vec<DomainWeek>, Error> {
        let failed = findings.iter().filter(|it| it.report.action == Action::Failed);
        let pairs: BTreeSet<(&str, &str)> =
            failed.map(|it| (it.report.final_recipient.domain(), it.diagnosis.cause.as_str())).collect();
        let person = person.to_string().to_lowercase();
        let mut weeks = Vec::new();
        for (domain, cause) in pairs.into_iter().take(MOST) {
            let values = values![domain, cause, before(now, WEEK), person.as_str()];
            for row in self.database.look(sqlx::AssertSqlSafe(question()), values).await? {
                weeks.push(DomainWeek { domain: domain.to_owned(), cause: cause.to_owned(), ..week(&row)? });
            }
        }
        Ok(weeks)
    }
}

/// Of a domain and a cause, since a time, beside a person. No row: nothing was recorded since then.
fn question() -> String {
    // One mail may bounce many times: it is counted by its identity, which is a digest.
    // What SQLite compares with a partial index's own condition it compiles into the plan: a bare $2
    // beside `cause` would have the whole compiled anew for each bounce.
    let ours = newest("f.domain = $1 AND f.cause = CAST($2 AS TEXT) AND f.action = 'failed'");
    let taken = newest("f.domain = $1 AND f.action IN ('delivered', 'relayed', 'expanded')");
    format!(
        "WITH week AS (SELECT id AS first, (SELECT COUNT(*) FROM (SELECT 1 FROM message WHERE recorded <= $3 LIMIT 1) \
         AS o) AS older FROM message WHERE recorded > $3 ORDER BY recorded, id LIMIT 1) \
         SELECT ours.*, elsewhere.mails AS elsewhere, taken.mails AS taken, week.older AS older FROM week, \
         (SELECT COUNT(DISTINCT CASE WHEN decision <> 'suppress' THEN identity END) AS mails, \
         COUNT(DISTINCT CASE WHEN decision <> 'suppress' THEN author END) AS people, \
         COUNT(DISTINCT CASE WHEN decision <> 'suppress' AND author <> $4 THEN identity END) AS mails_of_others, \
         COUNT(DISTINCT CASE WHEN decision <> 'suppress' AND author <> $4 THEN author END) AS others, \
         COUNT(DISTINCT CASE WHEN author <> $4 THEN identity END) AS seen_of_others, \
         MIN(CASE WHEN decision <> 'suppress' THEN recorded END) AS first FROM ({ours}) AS newest) AS ours, \
         (SELECT COUNT(DISTINCT CASE WHEN m.decision <> 'suppress' THEN m.identity END) AS mails FROM \
         finding f JOIN message m ON m.id = f.message WHERE f.cause = CAST($2 AS TEXT) AND f.action = 'failed' AND \
         f.domain <> $1 AND f.message >= COALESCE((SELECT message FROM finding WHERE cause = CAST($2 AS TEXT) AND \
         action = 'failed' AND message >= {FIRST} ORDER BY message DESC LIMIT 1 OFFSET {LOOKED_AT}), {FIRST})) \
         AS elsewhere, (SELECT COUNT(DISTINCT message) AS mails FROM ({taken}) AS newest) AS taken"
    )
}

/// The week's first message.
const FIRST: &str = "(SELECT first FROM week)";

fn week(row: &Row) -> Result<DomainWeek, Error> {
    Ok(DomainWeek {
        whole: row.int("older")? > 0,
        mails: row.count("mails")?,
        people: row.count("people")?,
        mails_of_others: row.count("mails_of_others")?,
        others: row.count("others")?,
        seen_of_others: row.count("seen_of_others")?,
        first: row.maybe_time("first")?,
        elsewhere: row.count("elsewhere")?,
        delivered: row.count("taken")?,
        ..DomainWeek::default()
    })
}

fn newest(condition: &str) -> String {
    format!(
        "SELECT m.id AS message, m.identity AS identity, m.author AS author, m.decision AS decision, \
         m.recorded AS recorded FROM finding f JOIN message m ON m.id = f.message \
         WHERE {condition} AND f.message >= {FIRST} ORDER BY f.message DESC LIMIT {NEWEST}"
    )
}
