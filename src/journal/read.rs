//! Looking: lists by key, one story whole. Nothing here writes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Error, Journal, Step,
    database::{Tx, Value, values},
    history::findings,
};
use crate::{bounce::Recognition, evidence::Finding, mail::MessageRef, outbox::State, policy::Decision};

/// Which messages are listed; newest first, all conditions together.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Recorded at or after.
    pub since: Option<Timestamp>,
    /// Recorded before.
    pub until: Option<Timestamp>,
    /// The person who wrote the original.
    pub person: Option<String>,
    /// A recipient.
    pub recipient: Option<String>,
    /// A recipient's domain.
    pub domain: Option<String>,
    /// A cause's name.
    pub cause: Option<String>,
    /// `answer`, `hold` or `suppress`.
    pub decision: Option<String>,
    /// State of the explanation.
    pub state: Option<State>,
    /// Words in the subject, the person's or a recipient's address.
    pub text: Option<String>,
    /// Also what is no bounce.
    pub all: bool,
    /// Only rows below this id: the last of the page before.
    pub before: Option<i64>,
    /// At most this many; 0 is taken for 50.
    pub limit: u32,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// For `journal show`.
    pub id: i64,
    /// The explanation's reference id, if there is one.
    pub reference_id: Option<String>,
    /// When the message was recorded.
    pub recorded: Timestamp,
    /// The mailbox it was found in.
    pub mailbox: String,
    /// `failed`, `delayed`, …, `not_a_bounce`.
    pub kind: String,
    /// Why it is not a bounce.
    pub because: Option<String>,
    /// Who wrote the original.
    pub person: Option<String>,
    /// The first failed recipient.
    pub recipient: Option<String>,
    /// How many recipients the report names.
    pub recipients: u32,
    /// The first failed recipient's cause.
    pub cause: Option<String>,
    /// `answer`, `hold` or `suppress`.
    pub decision: String,
    /// Why not, or why held.
    pub reasons: Vec<String>,
    /// Where the explanation stands.
    pub state: Option<State>,
    /// Subject of the original, else of the message.
    pub subject: Option<String>,
}

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

const COLUMNS: &str = "m.id AS id, m.reference_id AS reference_id, m.recorded AS recorded, m.account AS account, \
    m.folder AS folder, m.key AS key, m.kind AS kind, m.because AS because, m.author AS author, \
    m.recipient AS recipient, m.recipients AS recipients, m.cause AS cause, m.decision AS decision, \
    m.reasons AS reasons, m.subject AS subject, m.received AS received, m.size AS size, m.outbox AS outbox, \
    o.state AS state";

impl Journal {
    /// One page of messages, newest first.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Row>, Error> {
        let Query { source, key, conditions, values } = Query::of(filter)?;
        let limit = if filter.limit == 0 { 50 } else { filter.limit };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM {source} LEFT JOIN outbox o ON o.id = m.outbox WHERE {} ORDER BY {key} DESC LIMIT {limit}",
            conditions.join(" AND ")
        ));
        self.database.read().await?.rows(sql, values).await?.iter().map(list_row).collect()
    }

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

/// A filter as SQL. What it is read from and in which order is chosen so that the page's rows come
/// off an index in their order, whether they are many or few.
struct Query {
    source: &'static str,
    key: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    fn of(filter: &Filter) -> Result<Self, Error> {
        let mut it = Self { source: "message m", key: "m.id", conditions: Vec::new(), values: Vec::new() };
        let text = |value: &Option<String>| value.as_deref().map(Value::from);
        let findings = [
            ("recipient", text(&filter.recipient)),
            ("domain", text(&filter.domain.as_ref().map(|it| it.to_lowercase()))),
            ("cause", text(&filter.cause)),
        ];
        for (column, value) in findings.into_iter().filter_map(|(column, value)| Some((column, value?))) {
            it.finding(column, value, filter.person.is_none());
        }
        if let Some(person) = &filter.person {
            it.add("m.author = ?", person.to_lowercase().into());
        }
        if let Some(since) = filter.since {
            it.add("m.recorded >= ?", since.into());
        }
        if let Some(until) = filter.until {
            it.add("m.recorded < ?", until.into());
        }
        if let Some(decision) = &filter.decision {
            it.add("m.decision = ?", decision.as_str().into());
        }
        match filter.state {
            // Nearly all are: they are met soon enough in the order of the list.
            Some(State::Sent) => it.add("o.state = ?", "sent".into()),
            Some(state) => {
                let name = super::record::name(&state)?;
                it.add("m.outbox IN (SELECT id FROM outbox WHERE state = ? AND state <> 'sent')", name.into());
            }
            None => {}
        }
        if let Some(text) = &filter.text {
            let pattern = format!("%{}%", text.to_lowercase().replace(['\\', '%', '_'], ""));
            it.add(
                "(LOWER(COALESCE(m.subject, '')) || ' ' || COALESCE(m.author, '') || ' ' || LOWER(COALESCE(m.recipient, ''))) LIKE ?",
                pattern.into(),
            );
        }
        let timed = filter.since.is_some() || filter.until.is_some();
        if timed && it.key == "m.id" && filter.person.is_none() {
            // Off the index on times, or a page of long ago would be looked for from today backwards.
            it.key = "m.recorded DESC, m.id";
            if let Some(before) = filter.before {
                it.add("(m.recorded, m.id) < (SELECT recorded, id FROM message WHERE id = ?)", before.into());
            }
        } else if let Some(before) = filter.before {
            it.add(&format!("{} < ?", it.key), before.into());
        }
        if !filter.all {
            it.conditions.push("m.kind <> 'not_a_bounce'".to_owned());
        }
        it.conditions.push("1 = 1".to_owned());
        Ok(it)
    }

    fn add(&mut self, condition: &str, value: Value) {
        self.values.push(value);
        self.conditions.push(condition.replace('?', &format!("${}", self.values.len())));
    }

    /// The first condition on a finding leads, for its index ends in the message's id; each message
    /// is taken once, by its first finding that fits.
    fn finding(&mut self, column: &str, value: Value, may_lead: bool) {
        if !may_lead || self.key != "m.id" {
            self.add(&format!("EXISTS (SELECT 1 FROM finding g WHERE g.message = m.id AND g.{column} = ?)"), value);
            return;
        }
        // CROSS JOIN tells SQLite to keep to this order.
        (self.source, self.key) = ("finding f CROSS JOIN message m", "f.message");
        self.conditions.push("m.id = f.message".to_owned());
        self.add(&format!("f.{column} = ?"), value);
        self.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM finding h WHERE h.message = f.message AND h.{column} = f.{column} \
             AND h.position < f.position)"
        ));
    }
}

fn state(text: Option<String>) -> Result<Option<State>, Error> {
    text.map(|it| serde_json::from_value(serde_json::Value::String(it)))
        .transpose()
        .map_err(|why| Error::Row { what: format!("state: {why}") })
}

fn list_row(row: &super::database::Row) -> Result<Row, Error> {
    let reasons = row.text("reasons")?;
    Ok(Row {
        id: row.int("id")?,
        reference_id: row.maybe_text("reference_id")?,
        recorded: row.time("recorded")?,
        mailbox: row.text("account")?,
        kind: row.text("kind")?,
        because: row.maybe_text("because")?,
        person: row.maybe_text("author")?,
        recipient: row.maybe_text("recipient")?,
        recipients: row.count("recipients")?,
        cause: row.maybe_text("cause")?,
        decision: row.text("decision")?,
        reasons: reasons.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        state: state(row.maybe_text("state")?)?,
        subject: row.maybe_text("subject")?,
    })
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
