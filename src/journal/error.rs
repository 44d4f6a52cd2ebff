//! What can go wrong with the journal: each error names the journal, the reason and the next step.

use std::path::PathBuf;

/// An error of the journal. `Display` ends with a `hint:`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `journal.url` is of no known form. The URL is not shown: it may hold a password.
    #[error(
        "journal.url is neither `sqlite:PATH` nor `postgres://…`: {why}\n\nhint: journal.url = \"sqlite:/var/lib/whybounced/journal.db\""
    )]
    Url {
        /// What is wrong.
        why: String,
    },
    /// Another daemon works on this SQLite journal.
    #[error(
        "{path}: another whybounced works on this journal\n\nhint: stop it first (`systemctl stop whybounced`), or give each daemon a journal of its own; several daemons can share PostgreSQL only"
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The journal belongs to another user (`design.md` §8.11).
    #[error("{path}: belongs to {owner}, who alone may open it\n\nhint: {line}")]
    Owner {
        /// The journal.
        path: PathBuf,
        /// Who owns it, in words.
        owner: String,
        /// The command as it was typed, run as the owner.
        line: String,
    },
    /// The file or its directory cannot be made or opened.
    #[error(
        "{path}: {source}\n\nhint: the journal's directory must exist and belong to the user that whybounced runs as"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Opened for reading where there is none.
    #[error("{path}: there is no journal yet\n\nhint: `whybounced run` makes it; `journal.url` says where")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Written by another version.
    #[error(
        "the journal's schema is not this version's: {why}\n\nhint: a journal is only ever read by the version that wrote it or a newer one; `whybounced run` of the newer version upgrades it"
    )]
    Schema {
        /// What differs.
        why: String,
    },
    /// SQLite says that the file is damaged or no database.
    #[error(
        "the journal is damaged: {why}\n\nhint: stop whybounced, move the journal aside and put back the last backup, or start without one: the bounces in the inbox are read again, and none older than policy.max_age is answered"
    )]
    Damaged {
        /// The database's words.
        why: String,
    },
    /// Another process holds the write lock for too long.
    #[error(
        "the journal is locked: {why}\n\nhint: another program (a backup, sqlite3) holds it; it is tried again by itself"
    )]
    Locked {
        /// The database's words.
        why: String,
    },
    /// No space left.
    #[error(
        "the disk that holds the journal is full: {why}\n\nhint: make room; no mail is taken or sent until then, and nothing is lost"
    )]
    Full {
        /// The database's words.
        why: String,
    },
    /// The file system or file is read-only.
    #[error(
        "the journal cannot be written: {why}\n\nhint: check the file's owner and mode, and whether the disk is mounted read-only"
    )]
    ReadOnly {
        /// The database's words.
        why: String,
    },
    /// Opened with `Access::Read`.
    #[error("the journal was opened for reading\n\nhint: this is a fault of whybounced; please report it")]
    OpenedForReading,
    /// A row that this version cannot read.
    #[error("a row of the journal cannot be read: {what}\n\nhint: was it written by a newer version, or by hand?")]
    Row {
        /// Which column and why.
        what: String,
    },
    /// No such bounce or explanation.
    #[error(
        "`{id}` is not in the journal\n\nhint: `whybounced journal list` shows the ids; a reference looks like WB-7F3K2M9Q"
    )]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// The action does not fit the row's state.
    #[error("{what}\n\nhint: `whybounced journal show {id}` tells what became of it")]
    State {
        /// What was asked for.
        id: String,
        /// Why not.
        what: String,
    },
    /// Any other answer of the database.
    #[error(
        "the journal's database: {why}\n\nhint: it is tried again by itself; if it stays, look at the database's own log"
    )]
    Database {
        /// Its words.
        why: String,
    },
}

impl Error {
    /// It may pass by itself: the daemon waits and tries again, `ingest` exits 75.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Locked { .. } | Self::Full { .. } | Self::ReadOnly { .. } | Self::Database { .. } => true,
            Self::Url { .. }
            | Self::InUse { .. }
            | Self::Owner { .. }
            | Self::File { .. }
            | Self::Missing { .. }
            | Self::Schema { .. }
            | Self::Damaged { .. }
            | Self::OpenedForReading
            | Self::Row { .. }
            | Self::Unknown { .. }
            | Self::State { .. } => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(it: sqlx::Error) -> Self {
        Self::from(&it)
    }
}

impl From<&sqlx::Error> for Error {
    fn from(it: &sqlx::Error) -> Self {
        let why = it.to_string();
        if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) = it {
            return Self::Row { what: why };
        }
        let Some(database) = it.as_database_error() else { return Self::Database { why } };
        let Some(code) = database.code() else { return Self::Database { why } };
        if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_none() {
            // 53100 disk_full, 25006 read_only_sql_transaction (PostgreSQL 15, appendix A).
            return match code.as_ref() {
                "53100" => Self::Full { why },
                "25006" => Self::ReadOnly { why },
                _ => Self::Database { why },
            };
        }
        // Extended result codes: the low byte is the primary one (sqlite.org/rescode.html).
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Locked { why },
            Ok(8 | 14) => Self::ReadOnly { why },
            Ok(11 | 26) => Self::Damaged { why },
            Ok(13) => Self::Full { why },
            _ => Self::Database { why },
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(it: sqlx::migrate::MigrateError) -> Self {
        match it {
            sqlx::migrate::MigrateError::Execute(why) | sqlx::migrate::MigrateError::ExecuteMigration(why, _) => {
                why.into()
            }
            other => Self::Schema { why: other.to_string() },
        }
    }
}
