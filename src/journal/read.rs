//! Looking: one story whole. Nothing here writes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Journal, Row, Step,
    database::{Tx, Value, values},
    history::findings,
    list::{COLUMNS, list_row, state},
};
use crate::{bounce::Recognition, evidence::Finding, mail::MessageRef, outbox::State, policy::Decision};

/// Everything about one message, in order.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// As in the list.
    pub row: Row,
    /// Where the message lies.
    pub reference: MessageRef,
    /// When the server received it.
    pub received: Timestamp,
    /// Its size in octets.
    pub size: u64,
    /// What it turned out to be; `None` once `journal.retain` has passed.
    pub recognition: Option<Recognition>,
    /// What was found out about each recipient.
    pub findings: Vec<Finding>,
    /// What was decided, and on which grounds.
    pub decision: Option<Decision>,
    /// The explanation.
    pub reply: Option<StoryReply>,
    /// What happened, oldest first.
    pub entries: Vec<StoryEntry>,
}

/// The explanation of a story.
#[derive(Clone, Debug, Serialize)]
pub struct StoryReply {
    /// The outbox's row.
    pub id: i64,
    /// 0 for the first, then follow-ups.
    pub sequence: u32,
    /// Its Message-ID, without brackets.
    pub message_id: String,
    /// Who gets it.
    pub to: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Attempts made.
    pub attempts: u32,
    /// When the next one is due.
    pub next_attempt: Option<Timestamp>,
    /// What the server said last.
    pub answer: Option<String>,
    /// The mail as sent.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// One thing that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoryEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub step: Step,
    /// Who did it.
    pub actor: String,
    /// More, in words.
    pub detail: String,
}

impl Journal {
    /// The whole story of one message, by its id or by an explanation's reference id.
    pub async fn show(&self, id: &str) -> Result<Story, Error> {
        let mut tx = self.database.read().await?;
        let (condition, value) = match id.parse::<i64>() {
            Ok(number) => ("m.id = $1", Value::from(number)),
            Err(_) => ("m.reference_id = $1", Value::from(id.to_uppercase())),
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM message m LEFT JOIN outbox o ON o.id = m.outbox WHERE {condition} ORDER BY m.id LIMIT 1"
        ));
        let row = tx.row(sql, vec![value]).await?.ok_or_else(|| Error::Unknown { id: id.to_owned() })?;
        let message = row.int("id")?;
        let outbox = row.maybe_int("outbox")?;
        let report = tx.row("SELECT recognition, decision FROM report WHERE message = $1", values![message]).await?;
        Ok(Story {
            row: list_row(&row)?,
            reference: MessageRef { account: row.text("account")?, folder: row.text("folder")?, key: row.text("key")? },
            received: row.time("received")?,
            size: u64::try_from(row.int("size")?).unwrap_or(0),
            recognition: report.as_ref().map(|it| it.json("recognition")).transpose()?,
            decision: report.as_ref().map(|it| it.json("decision")).transpose()?,
            findings: findings(&mut tx, message).await?,
            reply: match outbox {
                Some(outbox) => reply(&mut tx, outbox).await?,
                None => None,
            },
            entries: entries(&mut tx, message, outbox).await?,
        })
    }
}

async fn reply(tx: &mut Tx, outbox: i64) -> Result<Option<StoryReply>, Error> {
    let sql = "SELECT id, sequence, message_id, mail_to, state, attempts, next_attempt, answer, reply FROM outbox WHERE id = $1";
    let Some(row) = tx.row(sql, values![outbox]).await? else { return Ok(None) };
    let missing = || Error::Row { what: "state".to_owned() };
    Ok(Some(StoryReply {
        id: row.int("id")?,
        sequence: row.count("sequence")?,
        message_id: row.text("message_id")?,
        to: row.maybe_text("mail_to")?,
        state: state(Some(row.text("state")?))?.ok_or_else(missing)?,
        attempts: row.count("attempts")?,
        next_attempt: row.maybe_time("next_attempt")?,
        answer: row.maybe_text("answer")?,
        bytes: row.bytes("reply").unwrap_or_default(),
    }))
}

async fn entries(tx: &mut Tx, message: i64, outbox: Option<i64>) -> Result<Vec<StoryEntry>, Error> {
    let sql = "SELECT at, step, actor, detail FROM entry WHERE message = $1 OR outbox = $2 ORDER BY id LIMIT 500";
    let rows = tx.rows(sql, values![message, outbox.unwrap_or(-1)]).await?;
    rows.iter()
        .map(|row| {
            let step = serde_json::from_value(serde_json::Value::String(row.text("step")?));
            let step = step.map_err(|why| Error::Row { what: format!("step: {why}") })?;
            Ok(StoryEntry { at: row.time("at")?, step, actor: row.text("actor")?, detail: row.text("detail")? })
        })
        .collect()
}
