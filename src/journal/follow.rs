//! Watching: what happened since, what people did, how far each mailbox has been read.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Error, Journal, Step,
    database::{Row as Line, values},
    record::{Entry, entry_by},
};

/// Something that happened, with what it happened to.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// For `events`.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub step: Step,
    /// Who did it.
    pub actor: String,
    /// More, in words.
    pub detail: String,
    /// The bounce's row; of an explanation of several, the last.
    pub message: Option<i64>,
    /// `failed`, …, `not_a_bounce`.
    pub kind: Option<String>,
    /// The first failed recipient.
    pub recipient: Option<String>,
    /// The first failed recipient's cause.
    pub cause: Option<String>,
    /// Who wrote the original.
    pub person: Option<String>,
    /// `answer`, `hold` or `suppress`.
    pub decision: Option<String>,
    /// Why not, or why held.
    pub reasons: Vec<String>,
}

/// How far one folder has been read.
#[derive(Clone, Debug, Serialize)]
pub struct FolderRead {
    /// The mailbox's name.
    pub mailbox: String,
    /// The folder.
    pub folder: String,
    /// When it was last read to its end with something new in it.
    pub at: Timestamp,
}

/// Something that a person did.
#[derive(Clone, Debug, Serialize)]
pub struct Action {
    /// For paging.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub step: Step,
    /// To which bounce.
    pub message: Option<i64>,
    /// More, in words.
    pub detail: String,
}

impl Journal {
    /// The last event so far; 0: there is none.
    pub async fn last_event(&self) -> Result<i64, Error> {
        self.database.read().await?.number("SELECT MAX(id) AS n FROM entry", Vec::new()).await
    }

    /// What happened after event `after`, oldest first.
    pub async fn events(&self, after: i64, limit: u32) -> Result<Vec<Event>, Error> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT e.id AS id, e.at AS at, e.step AS step, e.actor AS actor, e.detail AS detail, m.id AS message, \
             m.kind AS kind, m.recipient AS recipient, m.cause AS cause, m.author AS author, \
             m.decision AS decision, m.reasons AS reasons FROM entry e LEFT JOIN message m ON m.id = \
             COALESCE(e.message, (SELECT MAX(n.id) FROM message n WHERE n.outbox = e.outbox)) \
             WHERE e.id > $1 ORDER BY e.id LIMIT {limit}"
        ));
        let rows = self.database.read().await?.rows(sql, values![after]).await?;
        rows.iter()
            .map(|row| {
                let reasons = row.maybe_text("reasons")?.unwrap_or_default();
                Ok(Event {
                    id: row.int("id")?,
                    at: row.time("at")?,
                    step: row.name("step")?,
                    actor: row.text("actor")?,
                    detail: row.text("detail")?,
                    message: row.maybe_int("message")?,
                    kind: row.maybe_text("kind")?,
                    recipient: row.maybe_text("recipient")?,
                    cause: row.maybe_text("cause")?,
                    person: row.maybe_text("author")?,
                    decision: row.maybe_text("decision")?,
                    reasons: reasons.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
                })
            })
            .collect()
    }

    /// How far each folder has been read.
    pub async fn folders(&self) -> Result<Vec<FolderRead>, Error> {
        let sql = "SELECT account, folder, at FROM cursor ORDER BY account, folder";
        let rows = self.database.read().await?.rows(sql, Vec::new()).await?;
        let read = |row: &Line| {
            Ok(FolderRead { mailbox: row.text("account")?, folder: row.text("folder")?, at: row.time("at")? })
        };
        rows.iter().map(read).collect()
    }

    /// Keeps that a person did something outside the journal: saved a rule, signed in.
    pub async fn keep_action(&self, actor: &str, detail: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.database.write().await?;
        let step = Step::Administered;
        let it = Entry { message: None, outbox: None, at: now, step, actor, catalogue: None, detail };
        entry_by(&mut tx, &it).await?;
        tx.commit().await
    }

    /// What people did, newest first; rows below `before` only.
    pub async fn actions(&self, before: Option<i64>, limit: u32) -> Result<Vec<Action>, Error> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT id, at, actor, step, message, detail FROM entry WHERE actor <> 'whybounced' AND id < $1 \
             ORDER BY id DESC LIMIT {limit}"
        ));
        let rows = self.database.read().await?.rows(sql, values![before.unwrap_or(i64::MAX)]).await?;
        rows.iter()
            .map(|row| {
                Ok(Action {
                    id: row.int("id")?,
                    at: row.time("at")?,
                    actor: row.text("actor")?,
                    step: row.name("step")?,
                    message: row.maybe_int("message")?,
                    detail: row.text("detail")?,
                })
            })
            .collect()
    }
}
