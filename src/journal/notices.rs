//! What goes out besides explanations: alerts and digests, what they are made of, and what the
//! outbox's gate turned back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Error, Journal, JournalEntry, Step,
    database::{Row, Tx, values},
    history::{before, cases},
    identity_hash,
    memory::{breaker, channel, keep, recall},
    record::entry,
};
use crate::{
    bounce::{Action, Recognition},
    mail::Mailbox,
    outbox::Closed,
    policy::{
        self, Limit,
        alert::{Condition, Memory, Seen},
    },
    reply::{Reply, notice::Held},
};

/// After the last bounce that was held, times `policy.gather`: a quarter of an hour by default.
const QUIET: i32 = 15;
/// After the first one, times `policy.gather`: an hour by default.
const AT_MOST: i32 = 60;
/// Digests of one person where `policy.limit_person` names no period.
const DIGEST_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Suppressed for no other reason than a limit: these belong into a digest. As in the index.
const LIMITED: &str = "outbox IS NULL AND decision = 'suppress' AND reasons IN \
     ('rate_limited_person', 'rate_limited_total', 'rate_limited_person,rate_limited_total')";

/// What was told to the administrator, and up to where the journal was read for it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// What was told.
    pub memory: Memory,
    entry: i64,
    message: i64,
}

/// A digest that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// For whom.
    pub person: Mailbox,
    /// What identifies it.
    pub identity: String,
    /// What was held, oldest first; never empty.
    pub held: Vec<Held>,
    rows: Vec<i64>,
    messages: Vec<i64>,
}

impl Digest {
    /// Whether all it would tell is one explanation, which then goes out as it is.
    fn is_single(&self) -> bool {
        self.rows.len() == 1 && self.messages.is_empty()
    }
}

impl Journal {
    /// What `instance` told the administrator; begins with the present.
    pub async fn watch(&self, instance: &str) -> Result<Watch, Error> {
        let mut tx = self.database.read().await?;
        if let Some(watch) = recall(&mut tx, &name(instance)).await? {
            return Ok(watch);
        }
        Ok(Watch {
            memory: Memory::default(),
            entry: tx.number("SELECT MAX(id) AS n FROM entry", Vec::new()).await?,
            message: tx.number("SELECT MAX(id) AS n FROM message", Vec::new()).await?,
        })
    }

    /// The states of the outbox that the administrator is told of.
    pub async fn states(&self, by_person: bool) -> Result<Vec<Seen>, Error> {
        let mut tx = self.database.read().await?;
        let mut states = Vec::new();
        if let Some(paused) = channel(&mut tx).await?.filter(|it| it.refusals > 0) {
            let (since, detail) = (paused.since, paused.why);
            states.push(Seen { condition: Condition::ChannelPaused, since, detail, count: paused.refusals });
        }
        if let Some(since) = breaker(&mut tx).await? {
            let detail = held_by(&mut tx, by_person).await?;
            states.push(Seen { condition: Condition::Breaker, since, detail, count: 1 });
        }
        Ok(states)
    }

    /// What happened since the last look; `watch` then stands behind it.
    pub async fn news(&self, watch: &mut Watch, by_person: bool) -> Result<Vec<Seen>, Error> {
        let mut tx = self.database.read().await?;
        let mut news: BTreeMap<Condition, Seen> = BTreeMap::new();
        let sql = "SELECT e.id AS id, e.at AS at, e.step AS step, e.detail AS detail, m.account AS account, m.key AS key, \
                   o.person AS person FROM entry e LEFT JOIN message m ON m.id = e.message \
                   LEFT JOIN outbox o ON o.id = e.outbox \
                   WHERE e.id > $1 AND (e.step = 'set_aside' OR (e.step = 'refused' AND o.kind <> 'alert')) ORDER BY e.id";
        for row in tx.rows(sql, values![watch.entry]).await? {
            let (condition, detail) = if row.text("step")? == "set_aside" {
                let (account, key) = (row.maybe_text("account")?, row.maybe_text("key")?);
                let place = format!("{}: {}", account.unwrap_or_default(), key.unwrap_or_default());
                (Condition::SetAside, place)
            } else {
                let person = row.maybe_text("person")?.filter(|_| by_person);
                let person = person.map(|it| format!("{it}: ")).unwrap_or_default();
                (Condition::Refused, format!("{person}{}", row.text("detail")?))
            };
            count(&mut news, condition, row.time("at")?, &detail);
        }
        let sql = "SELECT m.recorded AS at, f.cause AS cause, f.domain AS domain, m.author AS person \
                   FROM message m JOIN finding f ON f.message = m.id WHERE m.id > $1 AND m.decision = 'answer' \
                   AND f.acts = 'own_admin' AND f.action = 'failed' ORDER BY m.id";
        for row in tx.rows(sql, values![watch.message]).await? {
            let mut detail = row.text("domain")?;
            if let Some(person) = row.maybe_text("person")?.filter(|_| by_person) {
                detail = format!("{person}: {detail}");
            }
            count(&mut news, Condition::OwnSide(row.text("cause")?), row.time("at")?, &detail);
        }
        watch.entry = tx.number("SELECT MAX(id) AS n FROM entry", Vec::new()).await?.max(watch.entry);
        watch.message = tx.number("SELECT MAX(id) AS n FROM message", Vec::new()).await?.max(watch.message);
        Ok(news.into_values().collect())
    }

    /// Keeps what was told together with the mails that tell it.
    pub async fn tell(
        &self,
        instance: &str,
        watch: &Watch,
        mails: &[(String, Reply)],
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        for (identity, mail) in mails {
            insert(&mut tx, "alert", identity, None, mail, now).await?;
        }
        keep(&mut tx, &name(instance), watch, now).await?;
        tx.commit().await
    }

    /// The digests that are due. Whoever is owed a single held explanation gets it instead.
    pub async fn digests_due(&self, settings: &policy::Settings, now: Timestamp) -> Result<Vec<Digest>, Error> {
        let mut tx = self.database.read().await?;
        if breaker(&mut tx).await?.is_some() {
            return Ok(Vec::new());
        }
        let mut people: BTreeMap<String, Vec<(Option<i64>, Row)>> = BTreeMap::new();
        let columns = "m.id AS id, m.recorded AS recorded, m.received AS received, m.subject AS subject, \
                       m.recipient AS recipient, m.recipients AS recipients, m.cause AS cause";
        let sql = format!(
            "SELECT o.id AS row_id, o.person AS person, {columns} FROM outbox o JOIN message m ON m.outbox = o.id \
             WHERE o.state = 'held' AND o.kind = 'explanation' ORDER BY m.id"
        );
        for row in tx.rows(sqlx::AssertSqlSafe(sql), Vec::new()).await? {
            let Some(person) = row.maybe_text("person")? else { continue };
            people.entry(person).or_default().push((Some(row.int("row_id")?), row));
        }
        // Whoever asks too often is not owed an answer.
        let sql = format!(
            "SELECT author AS person, {columns} FROM message m WHERE {LIMITED} AND author IS NOT NULL AND recorded > $1 \
             AND EXISTS (SELECT 1 FROM report r WHERE r.message = m.id AND r.recognition LIKE '%\"forwarded_by\":null%') \
             ORDER BY m.id LIMIT 10000"
        );
        for row in tx.rows(sqlx::AssertSqlSafe(sql), values![before(now, settings.max_age)]).await? {
            people.entry(row.text("person")?).or_default().push((None, row));
        }
        let mut due = Vec::new();
        for (person, rows) in people {
            let Some(digest) = digest(&person, &rows)? else { continue };
            let ready = digest.messages.is_empty() || is_time(settings, &rows, now)?;
            if digest.is_single() || (ready && !had_digest(&mut tx, settings, &person, now).await?) {
                due.push(digest);
            }
        }
        Ok(due)
    }

    /// Commits a digest in the place of all that it tells. False if something of it was settled
    /// otherwise meanwhile.
    pub async fn post_digest(
        &self,
        digest: &Digest,
        mail: &Reply,
        settings: &policy::Settings,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut tx = self.database.write().await?;
        let person = digest.person.to_string().to_lowercase();
        if breaker(&mut tx).await?.is_some() {
            return Ok(false);
        }
        if digest.is_single() {
            for row in &digest.rows {
                let sql = "UPDATE outbox SET state = 'due', next_attempt = $2 WHERE id = $1 AND state = 'held'";
                tx.execute(sql, values![*row, now]).await?;
                entry(&mut tx, None, Some(*row), now, Step::Released, None, "the breaker was released").await?;
            }
            tx.commit().await?;
            return Ok(true);
        }
        if had_digest(&mut tx, settings, &person, now).await? {
            return Ok(false);
        }
        let Some(id) = insert(&mut tx, "digest", &digest.identity, Some(&person), mail, now).await? else {
            return Ok(false);
        };
        for row in &digest.rows {
            let sql =
                "UPDATE outbox SET state = 'digested', finished = $2 WHERE id = $1 AND state = 'held' RETURNING id";
            if tx.touched(sql, values![*row, now]).await? == 0 {
                return Ok(false);
            }
            entry(&mut tx, None, Some(*row), now, Step::Released, None, "told in a digest").await?;
        }
        for message in &digest.messages {
            let sql = "UPDATE message SET outbox = $2 WHERE id = $1 AND outbox IS NULL";
            tx.execute(sql, values![*message, id]).await?;
            entry(&mut tx, Some(*message), Some(id), now, Step::Queued, None, "told in a digest").await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The gate did not let a claimed row out: it is kept as in a dry run, or ends.
    pub async fn turn_back(&self, id: i64, closed: Closed, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let (state, step) = match closed {
            Closed::Kept(_) => ("dry_run", Step::Held),
            Closed::Never(_) => ("failed", Step::Refused),
        };
        let why = format!("not sent: {}", closed.why());
        let sql = "UPDATE outbox SET state = $2, answer = $3, finished = $4, next_attempt = NULL, lease = NULL, \
                   attempts = attempts - 1 WHERE id = $1";
        tx.execute(sql, values![id, state, why.as_str(), now]).await?;
        entry(&mut tx, None, Some(id), now, step, None, &why).await?;
        tx.commit().await
    }
}

/// A delay that waits to be told is not told once all its recipients have their mail.
pub(super) async fn withdraw_settled(tx: &mut Tx, it: &JournalEntry<'_>) -> Result<(), Error> {
    let (Recognition::Bounce(bounce), Some(candidate)) = (it.recognition, it.candidate) else { return Ok(()) };
    if !matches!(bounce.kind(), Action::Delivered | Action::Relayed | Action::Expanded) {
        return Ok(());
    }
    let identity = identity_hash(&candidate.identity);
    let sql = "SELECT id FROM outbox WHERE identity = $1 AND state = 'due' AND attempts = 0";
    let Some(row) = tx.row(sql, values![identity.as_str()]).await? else { return Ok(()) };
    let id = row.int("id")?;
    let sql = "SELECT LOWER(f.recipient) AS recipient FROM finding f JOIN message m ON m.id = f.message \
               WHERE m.identity = $1 AND f.action IN ('delivered', 'relayed', 'expanded')";
    let rows = tx.rows(sql, values![identity.as_str()]).await?;
    let arrived = rows.iter().map(|row| row.text("recipient")).collect::<Result<Vec<_>, _>>()?;
    let waiting = cases(tx, "m.outbox = $1", values![id]).await?;
    let settled = waiting.iter().flat_map(|(bounce, _)| &bounce.recipients).all(|report| match report.action {
        Action::Failed => false,
        Action::Delayed => arrived.contains(&report.final_recipient.to_string().to_lowercase()),
        Action::Delivered | Action::Relayed | Action::Expanded => true,
    });
    if settled && !waiting.is_empty() {
        let sql = "UPDATE outbox SET state = 'withdrawn', next_attempt = NULL WHERE id = $1";
        tx.execute(sql, values![id]).await?;
        entry(tx, None, Some(id), it.at, Step::Withdrawn, None, "delivered after all").await?;
    }
    Ok(())
}

fn name(instance: &str) -> String {
    format!("alerts {instance}")
}

fn count(news: &mut BTreeMap<Condition, Seen>, condition: Condition, at: Timestamp, detail: &str) {
    let seen = news.entry(condition.clone()).or_insert(Seen { condition, since: at, detail: String::new(), count: 0 });
    seen.count = seen.count.saturating_add(1);
    // The first few say enough.
    if seen.detail.len() + detail.len() < 400 && !seen.detail.contains(detail) {
        let between = if seen.detail.is_empty() { "" } else { "; " };
        seen.detail = format!("{}{between}{detail}", seen.detail);
    }
}

/// How many explanations are held, by the recipients' domains (by person only if that is wanted).
async fn held_by(tx: &mut Tx, by_person: bool) -> Result<String, Error> {
    let sql = "SELECT o.person AS person, m.recipient AS recipient FROM outbox o JOIN message m ON m.outbox = o.id \
               WHERE o.state = 'held'";
    let rows = tx.rows(sql, Vec::new()).await?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let whose = if by_person { row.maybe_text("person")? } else { row.maybe_text("recipient")? };
        let whose = whose.unwrap_or_default();
        let whose = if by_person { whose.as_str() } else { whose.rsplit('@').next().unwrap_or_default() };
        *counts.entry(whose.to_owned()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let list: Vec<String> = counts.iter().take(5).map(|(whose, count)| format!("{whose} {count}")).collect();
    Ok(format!("{}: {}", rows.len(), list.join(", ")))
}

/// One row more in the outbox, due at once; `None` if it is there already.
async fn insert(
    tx: &mut Tx,
    kind: &str,
    identity: &str,
    person: Option<&str>,
    mail: &Reply,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let sql = "INSERT INTO outbox (kind, identity, sequence, message_id, person, mail_to, reply, asked, state, created, \
               next_attempt) VALUES ($1, $2, 0, $3, $4, $5, $6, $7, 'due', $8, $8) \
               ON CONFLICT (identity, sequence) DO NOTHING RETURNING id";
    let values = values![
        kind,
        identity_hash(identity),
        mail.message_id.as_str(),
        person,
        mail.to.to_string(),
        mail.bytes.clone(),
        false,
        now,
    ];
    let Some(row) = tx.row(sql, values).await? else { return Ok(None) };
    let id = row.int("id")?;
    entry(tx, None, Some(id), now, Step::Queued, None, kind).await?;
    Ok(Some(id))
}

/// Whether a person's bounces have become quiet, or have waited long enough.
fn is_time(settings: &policy::Settings, rows: &[(Option<i64>, Row)], now: Timestamp) -> Result<bool, Error> {
    let mut times = rows.iter().map(|(_, row)| row.time("recorded")).collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    let past = |at: Option<&Timestamp>, factor: i32| {
        at.is_some_and(|at| now.duration_since(*at) >= settings.gather.saturating_mul(factor))
    };
    Ok(past(times.last(), QUIET) || past(times.first(), AT_MOST))
}

async fn had_digest(tx: &mut Tx, settings: &policy::Settings, person: &str, now: Timestamp) -> Result<bool, Error> {
    let period = match settings.limit_person {
        Limit::PerPeriod { period, .. } => period,
        Limit::Off => DIGEST_EVERY,
    };
    let sql = "SELECT COUNT(*) AS n FROM outbox WHERE person = $1 AND created > $2 AND kind = 'digest'";
    Ok(tx.number(sql, values![person, before(now, period)]).await? > 0)
}

fn digest(person: &str, rows: &[(Option<i64>, Row)]) -> Result<Option<Digest>, Error> {
    let (Some(address), Some((_, first))) = (Mailbox::parse(person), rows.first()) else { return Ok(None) };
    let mut digest = Digest {
        person: address,
        identity: format!("digest|{person}|{}", first.int("id")?),
        held: Vec::new(),
        rows: Vec::new(),
        messages: Vec::new(),
    };
    for (outbox, row) in rows {
        match outbox {
            // Several bounces of one original wait in one row.
            Some(id) if digest.rows.contains(id) => continue,
            Some(id) => digest.rows.push(*id),
            None => digest.messages.push(row.int("id")?),
        }
        digest.held.push(Held {
            at: row.time("received")?,
            subject: row.maybe_text("subject")?,
            recipient: row.maybe_text("recipient")?,
            recipients: row.count("recipients")?,
            cause: row.maybe_text("cause")?,
        });
    }
    Ok(Some(digest))
}
