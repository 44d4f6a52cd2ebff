//! How others fared lately: of the last seven days' mail to a domain, how much failed for the
//! same cause, whose it was, and what was taken. "Only you, or all of us."

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal,
    database::{Tx, values},
    history::before,
};
use crate::{bounce::Action, evidence::Finding, mail::Mailbox, policy::DomainWeek};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Domains and causes of one bounce that are asked about.
const MOST: usize = 3;
/// Only so many of the newest findings are counted: in a storm, more say nothing more.
const NEWEST: u32 = 300;
/// Among so many of a cause's newest findings those of other domains are looked for: when one domain
/// is in trouble, all the newest may be its own, and each bounce asks anew.
const LOOKED_AT: u32 = 3000;

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
        let mut tx = self.database.read().await?;
        let begin = before(now, WEEK);
        let sql = "SELECT id AS first, (SELECT COUNT(*) FROM (SELECT 1 FROM message WHERE recorded <= $1 LIMIT 1) AS o) \
                   AS older FROM message WHERE recorded > $1 ORDER BY recorded, id LIMIT 1";
        let Some(row) = tx.row(sql, values![begin]).await? else { return Ok(Vec::new()) };
        let (first, whole) = (row.int("first")?, row.int("older")? > 0);
        let person = person.to_string().to_lowercase();
        let mut weeks = Vec::new();
        for (domain, cause) in pairs.into_iter().take(MOST) {
            let week =
                DomainWeek { domain: domain.to_owned(), cause: cause.to_owned(), whole, ..DomainWeek::default() };
            weeks.push(week_of(&mut tx, week, first, &person).await?);
        }
        Ok(weeks)
    }
}

async fn week_of(tx: &mut Tx, mut week: DomainWeek, first: i64, person: &str) -> Result<DomainWeek, Error> {
    // One mail may bounce many times: it is counted by its identity, which is a digest.
    let ours = newest("f.domain = $1 AND f.cause = $2 AND f.action = 'failed'");
    let taken = newest("f.domain = $1 AND f.action IN ('delivered', 'relayed', 'expanded')");
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT ours.*, elsewhere.mails AS elsewhere, taken.mails AS taken FROM \
         (SELECT COUNT(DISTINCT CASE WHEN decision <> 'suppress' THEN identity END) AS mails, \
         COUNT(DISTINCT CASE WHEN decision <> 'suppress' THEN author END) AS people, \
         COUNT(DISTINCT CASE WHEN decision <> 'suppress' AND author <> $4 THEN identity END) AS mails_of_others, \
         COUNT(DISTINCT CASE WHEN decision <> 'suppress' AND author <> $4 THEN author END) AS others, \
         COUNT(DISTINCT CASE WHEN author <> $4 THEN identity END) AS seen_of_others, \
         MIN(CASE WHEN decision <> 'suppress' THEN recorded END) AS first FROM ({ours}) AS newest) AS ours, \
         (SELECT COUNT(DISTINCT CASE WHEN m.decision <> 'suppress' THEN m.identity END) AS mails FROM \
         (SELECT message, domain FROM finding WHERE cause = $2 AND action = 'failed' AND message >= $3 \
         ORDER BY message DESC LIMIT {LOOKED_AT}) AS f JOIN message m ON m.id = f.message WHERE f.domain <> $1) \
         AS elsewhere, (SELECT COUNT(DISTINCT message) AS mails FROM ({taken}) AS newest) AS taken"
    ));
    let values = values![week.domain.as_str(), week.cause.as_str(), first, person];
    if let Some(row) = tx.row(sql, values).await? {
        week.mails = row.count("mails")?;
        week.people = row.count("people")?;
        week.mails_of_others = row.count("mails_of_others")?;
        week.others = row.count("others")?;
        week.seen_of_others = row.count("seen_of_others")?;
        week.first = row.maybe_time("first")?;
        week.elsewhere = row.count("elsewhere")?;
        week.delivered = row.count("taken")?;
    }
    Ok(week)
}

fn newest(condition: &str) -> String {
    format!(
        "SELECT m.id AS message, m.identity AS identity, m.author AS author, m.decision AS decision, \
         m.recorded AS recorded FROM finding f JOIN message m ON m.id = f.message \
         WHERE {condition} AND f.message >= $3 ORDER BY f.message DESC LIMIT {NEWEST}"
    )
}
