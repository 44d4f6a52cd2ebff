//! Verifying: the database's own check of itself, and that rows which belong together are there.

use super::{
    Error, Journal,
    database::{Tx, values},
};

/// Problems of one kind that are told one by one.
const TOLD: usize = 20;

/// What must never be found, each as a count, and what it means.
const NEVER: &[(&str, &str)] = &[
    (
        "SELECT COUNT(*) AS n FROM message m WHERE m.outbox IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = m.outbox)",
        "bounces whose explanation is not there",
    ),
    (
        "SELECT COUNT(*) AS n FROM message m WHERE m.pruned = 0 \
         AND NOT EXISTS (SELECT 1 FROM report r WHERE r.message = m.id)",
        "bounces whose report is not there",
    ),
    (
        "SELECT COUNT(*) AS n FROM outbox WHERE state IN ('due', 'attempting', 'body_started', 'held') \
         AND (reply IS NULL OR mail_to IS NULL)",
        "mails to be sent that are empty",
    ),
    ("SELECT COUNT(*) AS n FROM outbox WHERE state = 'due' AND next_attempt IS NULL", "mails due at no time"),
    (
        "SELECT COUNT(*) AS n FROM outbox WHERE state IN ('attempting', 'body_started') AND lease IS NULL",
        "mails being sent that nobody sends",
    ),
];

impl Journal {
    /// Verifies the whole journal; what is wrong, each in words. Empty: it is sound. Reads all of it.
    pub async fn verify(&self) -> Result<Vec<String>, Error> {
        let mut tx = self.database.read().await?;
        let mut problems = database(&mut tx).await?;
        if problems.is_empty() {
            for (sql, meaning) in NEVER {
                let count = tx.number(*sql, values![]).await?;
                if count > 0 {
                    problems.push(format!("{count} {meaning}"));
                }
            }
        }
        Ok(problems)
    }
}

/// SQLite's opinion of its file. PostgreSQL checks its pages itself when they are read.
async fn database(tx: &mut Tx) -> Result<Vec<String>, Error> {
    match tx {
        Tx::Postgres(_) => Ok(Vec::new()),
        Tx::Sqlite(_) | Tx::Member(_) => {
            let rows = tx.rows("PRAGMA integrity_check", values![]).await?;
            let words: Result<Vec<String>, Error> = rows.iter().map(|row| row.text("integrity_check")).collect();
            Ok(words?.into_iter().filter(|it| it != "ok").take(TOLD).collect())
        }
    }
}
