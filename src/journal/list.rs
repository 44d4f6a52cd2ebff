//! Lists: a page of messages by key, each filter off an index.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Error, Journal,
    database::{Tx, Value, values},
    words::{self, Dialect},
};
use crate::outbox::State;

/// Explanations in one state up to which they are looked up one by one.
const FEW: i64 = 10_000;

/// Which messages are listed; all conditions together.
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
    /// Words in the subject, an address, the server's words or the reference id; all of them, those
    /// written together standing together.
    pub text: Option<String>,
    /// Only what a person called wrongly diagnosed.
    pub wrong: bool,
    /// Also what is no bounce.
    pub all: bool,
    /// In which order.
    pub sort: Sort,
    /// Only rows after this one in that order: the last of the page before.
    pub before: Option<i64>,
    /// At most this many; 0 is taken for 50.
    pub limit: u32,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Sort {
    /// The last one recorded first.
    #[default]
    Newest,
    /// The first one recorded first.
    Oldest,
    /// By the person's address.
    Person,
    /// By the first failed recipient's address.
    Recipient,
    /// By the cause's name.
    Cause,
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
    /// The cause that a person said is right.
    pub right_cause: Option<String>,
    /// `answer`, `hold` or `suppress`.
    pub decision: String,
    /// Why not, or why held.
    pub reasons: Vec<String>,
    /// Where the explanation stands.
    pub state: Option<State>,
    /// Subject of the original, else of the message.
    pub subject: Option<String>,
}

pub(super) const COLUMNS: &str = "m.id AS id, m.reference_id AS reference_id, m.recorded AS recorded, m.account AS account, \
    m.folder AS folder, m.key AS key, m.kind AS kind, m.because AS because, m.author AS author, \
    m.recipient AS recipient, m.recipients AS recipients, m.cause AS cause, m.decision AS decision, \
    m.reasons AS reasons, m.subject AS subject, m.received AS received, m.size AS size, m.outbox AS outbox, \
    o.state AS state, \
    (SELECT k.cause FROM mark k WHERE k.message = m.id) AS right_cause";

impl Journal {
    /// One page of messages.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Row>, Error> {
        let mut tx = self.database.read().await?;
        let few = match filter.state {
            Some(state) => few_in(&mut tx, state).await?,
            None => false,
        };
        let Some(query) = Query::of(filter, self.database.dialect(), few)? else { return Ok(Vec::new()) };
        let limit = if filter.limit == 0 { 50 } else { filter.limit };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM {} LEFT JOIN outbox o ON o.id = m.outbox WHERE {} ORDER BY {} LIMIT {limit}",
            query.source,
            query.conditions.join(" AND "),
            query.order,
        ));
        tx.rows(sql, query.values).await?.iter().map(list_row).collect()
    }
}

/// Whether so few explanations are in this state that they are better looked up one by one.
async fn few_in(tx: &mut Tx, state: State) -> Result<bool, Error> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT COUNT(*) AS n FROM (SELECT 1 FROM outbox WHERE state = $1 LIMIT {FEW}) AS few"
    ));
    Ok(tx.number(sql, values![super::record::name(&state)?]).await? < FEW)
}

/// A filter as SQL. What it is read from and in which order is chosen so that the page's rows come
/// off an index in their order, whether they are many or few.
struct Query {
    source: &'static str,
    /// The message's id, as the leading index has it.
    id: &'static str,
    order: String,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    /// `None`: nothing can fit.
    fn of(filter: &Filter, dialect: Dialect, few: bool) -> Result<Option<Self>, Error> {
        let mut it =
            Self { source: "message m", id: "m.id", order: String::new(), conditions: Vec::new(), values: Vec::new() };
        if let Some(text) = &filter.text {
            let Some((condition, value)) = words::condition(text, dialect) else { return Ok(None) };
            // CROSS JOIN tells SQLite to keep to this order.
            (it.source, it.id) = ("message_text CROSS JOIN message m", "message_text.rowid");
            it.add(condition, value);
            it.conditions.push("m.id = message_text.rowid".to_owned());
        }
        let text = |value: &Option<String>| value.as_deref().map(Value::from);
        let findings = [
            ("recipient", text(&filter.recipient)),
            ("domain", text(&filter.domain.as_ref().map(|it| it.to_lowercase()))),
            ("cause", text(&filter.cause)),
        ];
        let by_key = matches!(filter.sort, Sort::Newest | Sort::Oldest);
        for (column, value) in findings.into_iter().filter_map(|(column, value)| Some((column, value?))) {
            it.finding(column, value, by_key && filter.person.is_none());
        }
        it.columns(filter, few)?;
        it.order(filter);
        it.conditions.push("1 = 1".to_owned());
        Ok(Some(it))
    }

    fn add(&mut self, condition: &str, value: Value) {
        self.values.push(value);
        self.conditions.push(condition.replace('?', &format!("${}", self.values.len())));
    }

    /// The first condition on a finding leads, for its index ends in the message's id; each message
    /// is taken once, by its first finding that fits.
    fn finding(&mut self, column: &str, value: Value, may_lead: bool) {
        if !may_lead || self.id != "m.id" {
            self.add(&format!("EXISTS (SELECT 1 FROM finding g WHERE g.message = m.id AND g.{column} = ?)"), value);
            return;
        }
        (self.source, self.id) = ("finding f CROSS JOIN message m", "f.message");
        self.conditions.push("m.id = f.message".to_owned());
        self.add(&format!("f.{column} = ?"), value);
        self.conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM finding h WHERE h.message = f.message AND h.{column} = f.{column} \
             AND h.position < f.position)"
        ));
    }

    fn columns(&mut self, filter: &Filter, few: bool) -> Result<(), Error> {
        if let Some(person) = &filter.person {
            self.add("COALESCE(m.author, '') = ?", person.to_lowercase().into());
        }
        if let Some(since) = filter.since {
            self.add("m.recorded >= ?", since.into());
        }
        if let Some(until) = filter.until {
            self.add("m.recorded < ?", until.into());
        }
        if let Some(decision) = &filter.decision {
            self.add("m.decision = ?", decision.as_str().into());
        }
        if let Some(state) = filter.state {
            let name = Value::from(super::record::name(&state)?);
            if few {
                self.add("m.outbox IN (SELECT id FROM outbox WHERE state = ?)", name);
            } else {
                // Met soon enough in the order of the list, which an index on states would not keep.
                self.add("COALESCE(o.state, '') = ?", name);
            }
        }
        if filter.wrong {
            self.conditions.push("m.id IN (SELECT message FROM mark)".to_owned());
        }
        if !filter.all {
            self.conditions.push("m.kind <> 'not_a_bounce'".to_owned());
        }
        Ok(())
    }

    /// The order, and where the page begins.
    fn order(&mut self, filter: &Filter) {
        let timed = filter.since.is_some() || filter.until.is_some();
        let (column, down) = match filter.sort {
            Sort::Newest => (None, true),
            Sort::Oldest => (None, false),
            Sort::Person => (Some("COALESCE(m.author, '')"), false),
            Sort::Recipient => (Some("COALESCE(m.recipient, '')"), false),
            Sort::Cause => (Some("COALESCE(m.cause, '')"), false),
        };
        // Off the index on times, or a page of long ago would be looked for from today backwards.
        let column = column.or((timed && self.id == "m.id" && filter.person.is_none()).then_some("m.recorded"));
        let (direction, beyond) = if down { ("DESC", "<") } else { ("ASC", ">") };
        let id = self.id;
        match column {
            None => {
                self.order = format!("{id} {direction}");
                if let Some(after) = filter.before {
                    self.add(&format!("{id} {beyond} ?"), after.into());
                }
            }
            Some(column) => {
                self.order = format!("{column} {direction}, m.id {direction}");
                if let Some(after) = filter.before {
                    let there = column.replace("m.", "w.");
                    let condition =
                        format!("({column}, m.id) {beyond} (SELECT {there}, w.id FROM message w WHERE w.id = ?)");
                    self.add(&condition, after.into());
                }
            }
        }
    }
}

pub(super) fn state(text: Option<String>) -> Result<Option<State>, Error> {
    text.map(|it| serde_json::from_value(serde_json::Value::String(it)))
        .transpose()
        .map_err(|why| Error::Row { what: format!("state: {why}") })
}

pub(super) fn list_row(row: &super::database::Row) -> Result<Row, Error> {
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
        right_cause: row.maybe_text("right_cause")?,
        decision: row.text("decision")?,
        reasons: reasons.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        state: state(row.maybe_text("state")?)?,
        subject: row.maybe_text("subject")?,
    })
}
