//! What receipts say was delivered: the only addresses and domains that may be proposed for a
//! mistyped one, besides the shipped list (`design.md` §3, *Privacy*).

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Journal,
    database::{Value, values},
    history::before,
};
use crate::mail::Mailbox;

/// So many members must have written to a domain, over so long a time, without a bounce from it.
const MEMBERS: u32 = 3;
const LONG_ENOUGH: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Whoever writes to more than this has a directory of their own.
const MOST: u32 = 500;

/// A receipt that came back by itself, for mail that is a member's and has grounds to be ours: a
/// forged one would put addresses into people's mouths.
const SOUND: &str = "f.action = 'delivered' AND m.kind <> 'not_a_bounce' \
     AND m.reasons NOT LIKE '%unproven_origin%' AND m.reasons NOT LIKE '%not_our_domain%' \
     AND EXISTS (SELECT 1 FROM report r WHERE r.message = m.id AND r.recognition LIKE '%\"forwarded_by\":null%')";

impl Journal {
    /// Domains that three members or more have written to over thirty days or more, the first time
    /// that long ago, and from which no failure came back.
    pub async fn domains_delivered_to(&self, now: Timestamp) -> Result<Vec<String>, Error> {
        let sql = format!(
            "SELECT f.domain AS name FROM finding f JOIN message m ON m.id = f.message WHERE {SOUND} \
             GROUP BY f.domain HAVING COUNT(DISTINCT m.author) >= {MEMBERS} AND MIN(m.recorded) <= $1 \
             AND NOT EXISTS (SELECT 1 FROM finding b WHERE b.domain = f.domain AND b.action = 'failed') \
             ORDER BY f.domain LIMIT {MOST}"
        );
        self.names(sql, values![before(now, LONG_ENOUGH)]).await
    }

    /// Addresses at this domain that this person's own mail was delivered to, and none of whose
    /// mail failed since.
    pub async fn addresses_delivered_to(&self, person: &Mailbox, domain: &str) -> Result<Vec<Mailbox>, Error> {
        let sql = format!(
            "SELECT DISTINCT f.recipient AS name FROM message m JOIN finding f ON f.message = m.id \
             WHERE COALESCE(m.author, '') = $1 AND f.domain = $2 AND {SOUND} \
             AND NOT EXISTS (SELECT 1 FROM finding b WHERE b.recipient = f.recipient AND b.action = 'failed') \
             ORDER BY f.recipient LIMIT {MOST}"
        );
        let names = self.names(sql, values![person.to_string().to_lowercase(), domain]).await?;
        Ok(names.iter().filter_map(|it| Mailbox::parse(it)).collect())
    }

    async fn names(&self, sql: String, values: Vec<Value>) -> Result<Vec<String>, Error> {
        let mut tx = self.database.read().await?;
        tx.rows(sqlx::AssertSqlSafe(sql), values).await?.iter().map(|row| row.text("name")).collect()
    }
}
