//! One small face over two databases: every statement of `journal` is written once, for both.
//!
//! The statements keep to what SQLite and PostgreSQL share (`$1` placeholders, `RETURNING`,
//! `ON CONFLICT`, partial indexes; whole numbers, text and bytes). What differs is here and in
//! `open`: how a writing transaction begins. On SQLite it is a turn on the one writing connection
//! (`group`), on PostgreSQL an advisory lock; either way writers come one after the other, so
//! that what a transaction has checked still holds when it commits. No transaction spans I/O
//! other than the database's.

use sqlx::{
    PgPool, Postgres, Row as _, SqlSafeStr, Sqlite, SqlitePool, Transaction, postgres::PgRow, sqlite::SqliteRow,
};

use super::{
    Error,
    group::{Member, Writer},
};

/// `pg_advisory_xact_lock` key of all writing transactions: "whyb".
const WRITER_LOCK: &str = "SELECT pg_advisory_xact_lock(2003331426)";

/// A connection pool of either kind; readers and the writer apart on SQLite.
#[derive(Clone, Debug)]
pub(super) enum Database {
    Sqlite { writer: Option<Writer>, reader: SqlitePool },
    Postgres { pool: PgPool, writable: bool },
}

/// A transaction on either database.
pub(super) enum Tx {
    /// Reads, on SQLite.
    Sqlite(Transaction<'static, Sqlite>),
    /// Writes, on SQLite.
    Member(Member),
    Postgres(Transaction<'static, Postgres>),
}

/// A value to bind; typed even where it is null, for PostgreSQL infers nothing from a null.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(it: i64) -> Self {
        Self::Int(Some(it))
    }
}

impl From<u32> for Value {
    fn from(it: u32) -> Self {
        Self::Int(Some(i64::from(it)))
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Int(Some(i64::from(it)))
    }
}

impl From<Option<i64>> for Value {
    fn from(it: Option<i64>) -> Self {
        Self::Int(it)
    }
}

impl From<&str> for Value {
    fn from(it: &str) -> Self {
        Self::from(it.to_owned())
    }
}

impl From<String> for Value {
    /// PostgreSQL cannot hold NUL in text; it is shown as U+FFFD in both.
    fn from(it: String) -> Self {
        Self::Text(Some(if it.contains('\0') { it.replace('\0', "\u{fffd}") } else { it }))
    }
}

impl From<Option<String>> for Value {
    fn from(it: Option<String>) -> Self {
        it.map_or(Self::Text(None), Self::from)
    }
}

impl From<Option<&str>> for Value {
    fn from(it: Option<&str>) -> Self {
        Self::from(it.map(str::to_owned))
    }
}

impl From<Vec<u8>> for Value {
    fn from(it: Vec<u8>) -> Self {
        Self::Bytes(Some(it))
    }
}

impl From<jiff::Timestamp> for Value {
    /// Times are milliseconds since 1970 everywhere.
    fn from(it: jiff::Timestamp) -> Self {
        Self::Int(Some(it.as_millisecond()))
    }
}

impl From<Option<jiff::Timestamp>> for Value {
    fn from(it: Option<jiff::Timestamp>) -> Self {
        Self::Int(it.map(jiff::Timestamp::as_millisecond))
    }
}

/// Values to bind: `values![id, name]`.
macro_rules! values {
    ($($it:expr),* $(,)?) => { vec![$($crate::journal::database::Value::from($it)),*] };
}
pub(super) use values;

/// A query with its values.
macro_rules! bound {
    ($sql:expr, $values:expr) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
            query = match value {
                $crate::journal::database::Value::Int(it) => query.bind(it),
                $crate::journal::database::Value::Text(it) => query.bind(it),
                $crate::journal::database::Value::Bytes(it) => query.bind(it),
            };
        }
        query
    }};
}
pub(super) use bound;

/// One row that came back.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(super) fn int(&self, column: &str) -> Result<i64, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn maybe_int(&self, column: &str) -> Result<Option<i64>, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn text(&self, column: &str) -> Result<String, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn maybe_text(&self, column: &str) -> Result<Option<String>, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn bytes(&self, column: &str) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn time(&self, column: &str) -> Result<jiff::Timestamp, Error> {
        time(self.int(column)?)
    }

    pub(super) fn maybe_time(&self, column: &str) -> Result<Option<jiff::Timestamp>, Error> {
        self.maybe_int(column)?.map(time).transpose()
    }

    /// A small whole number; what does not fit is a corrupt row.
    pub(super) fn count(&self, column: &str) -> Result<u32, Error> {
        u32::try_from(self.int(column)?).map_err(|_| Error::Row { what: format!("{column} is out of range") })
    }

    /// An enum kept by its name.
    pub(super) fn name<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        serde_json::from_value(serde_json::Value::String(self.text(column)?))
            .map_err(|why| Error::Row { what: format!("{column}: {why}") })
    }

    /// A value kept as JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?).map_err(|why| Error::Row { what: format!("{column}: {why}") })
    }
}

fn time(ms: i64) -> Result<jiff::Timestamp, Error> {
    jiff::Timestamp::from_millisecond(ms).map_err(|why| Error::Row { what: why.to_string() })
}

/// Border types are kept as their serde JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|why| Error::Row { what: why.to_string() })
}

impl Database {
    /// Begins a transaction that writes; waits for its turn. Errors when opened for reading.
    pub(super) async fn write(&self) -> Result<Tx, Error> {
        match self {
            Self::Sqlite { writer: Some(writer), .. } => Ok(Tx::Member(writer.begin().await?)),
            Self::Postgres { pool, writable: true } => {
                let mut tx = pool.begin().await?;
                sqlx::query(WRITER_LOCK).execute(&mut *tx).await?;
                Ok(Tx::Postgres(tx))
            }
            Self::Sqlite { writer: None, .. } | Self::Postgres { writable: false, .. } => Err(Error::OpenedForReading),
        }
    }

    /// Begins a transaction that sees one state of the journal and changes nothing.
    pub(super) async fn read(&self) -> Result<Tx, Error> {
        Ok(match self {
            Self::Sqlite { reader, .. } => Tx::Sqlite(reader.begin().await?),
            Self::Postgres { pool, .. } => {
                Tx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        })
    }

    /// The rows of one statement, which sees one state of the journal without a transaction.
    pub(super) async fn look(&self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into_sql_str();
        Ok(match self {
            Self::Sqlite { reader, .. } => {
                bound!(sql, values).fetch_all(reader).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres { pool, .. } => {
                bound!(sql, values).fetch_all(pool).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, reader } => {
                reader.close().await;
                if let Some(writer) = writer {
                    writer.close().await;
                }
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

impl Tx {
    /// Runs one statement. Where it is no trouble to, only with the next one: whether it worked is
    /// known at the commit.
    pub(super) async fn execute(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<(), Error> {
        let sql = sql.into_sql_str();
        match self {
            Self::Member(tx) => tx.execute(sql.as_str(), values).await,
            Self::Sqlite(_) | Self::Postgres(_) => self.rows(sql, values).await.map(drop),
        }
    }

    /// Runs one statement, which answers with what it touched (`RETURNING`): how many rows that were.
    pub(super) async fn touched(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<usize, Error> {
        Ok(self.rows(sql, values).await?.len())
    }

    pub(super) async fn rows(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into_sql_str();
        Ok(match self {
            Self::Sqlite(tx) => bound!(sql, values).fetch_all(&mut **tx).await?.into_iter().map(Row::Sqlite).collect(),
            Self::Member(tx) => tx.rows(sql.as_str(), values).await?.into_iter().map(Row::Sqlite).collect(),
            Self::Postgres(tx) => {
                bound!(sql, values).fetch_all(&mut **tx).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The first row, if any.
    pub(super) async fn row(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// One number, named `n`; 0 where no row comes back.
    pub(super) async fn number(&mut self, sql: impl SqlSafeStr, values: Vec<Value>) -> Result<i64, Error> {
        Ok(self.row(sql, values).await?.map(|row| row.maybe_int("n")).transpose()?.flatten().unwrap_or(0))
    }

    /// Only when this returns has anything happened. Dropped without it, nothing has.
    pub(super) async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Member(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
