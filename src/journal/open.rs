//! Opening a journal: the file and its modes, the lock, the owner, the pools, the migrations.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::ExposeSecret as _;
use sqlx::{
    Connection as _, PgPool, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Access, Error, Journal, Settings, database::Database, group::Writer, words::Dialect};

/// Waits for another process's write lock.
const BUSY: Duration = Duration::from_secs(10);
/// Readers side by side; each holds some memory.
const READERS: u32 = 2;
/// Connections to PostgreSQL, readers and writers together.
const CONNECTIONS: u32 = 4;

/// Version, name, and the text for SQLite and for PostgreSQL.
const MIGRATIONS: &[(i64, &str, [&str; 2])] = &[
    (1, "journal", [include_str!("migrations/0001_journal.sql"); 2]),
    (2, "lists", [include_str!("migrations/0002_lists.sql"); 2]),
    (3, "review", [include_str!("migrations/0003_review.sql"); 2]),
    (4, "digests", [include_str!("migrations/0004_digests.sql"); 2]),
    (5, "counts", [include_str!("migrations/0005_counts.sql"); 2]),
    (
        6,
        "words",
        [include_str!("migrations/0006_words.sqlite.sql"), include_str!("migrations/0006_words.postgres.sql")],
    ),
    (7, "receipts", [include_str!("migrations/0007_receipts.sql"); 2]),
    (8, "unexplained", [include_str!("migrations/0008_unexplained.sql"); 2]),
    (9, "backlog", [include_str!("migrations/0009_backlog.sql"); 2]),
];

/// Opens the journal that `settings` name.
pub(super) async fn open(settings: &Settings, access: Access) -> Result<Journal, Error> {
    let url = settings.url.expose_secret();
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        return open_sqlite(&path, access).await;
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return open_postgres(url, access).await;
    }
    Err(Error::Url { why: "it begins with neither".to_owned() })
}

async fn open_sqlite(path: &Path, access: Access) -> Result<Journal, Error> {
    let lock = prepare(path, access)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .create_if_missing(false);
    let writer = match access {
        Access::Daemon | Access::Write => {
            let turn = turn_to_prepare(path).await?;
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                // A thread of ours needs no test, nor do the readers'.
                .test_before_acquire(false)
                // A full disk rolls back without being asked, and sqlx goes on counting: a connection
                // that is not at rest between two uses is replaced.
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
                .connect_with(options.clone())
                .await?;
            migrator(Dialect::Sqlite).run(&pool).await?;
            drop(turn);
            Some(Writer::new(pool))
        }
        Access::Read => None,
    };
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .test_before_acquire(false)
        .idle_timeout(Duration::from_mins(1))
        .connect_with(options.read_only(true))
        .await?;
    Ok(Journal { database: Database::Sqlite { writer, reader }, _lock: lock.map(Arc::new) })
}

/// Waits until nobody else connects for the first time or migrates: of several who open a fresh journal
/// at once each would change its mode, at which SQLite does not wait for the others, and make the same
/// tables. The lock is on the directory, for whoever opens and closes the file itself gives up
/// what locks SQLite has on it in this process (fcntl(2)).
async fn turn_to_prepare(path: &Path) -> Result<File, Error> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| Error::File { path: directory.to_owned(), source };
    let file = File::open(directory).map_err(failed)?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.unwrap_or_else(|gone| Err(std::io::Error::other(gone))).map_err(failed)
}

async fn open_postgres(url: &str, access: Access) -> Result<Journal, Error> {
    let unusable = |_| Error::Url { why: "the address of the PostgreSQL server cannot be read".to_owned() };
    let options = url.parse::<sqlx::postgres::PgConnectOptions>().map_err(unusable)?;
    let pool: PgPool =
        PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY).connect_with(options).await?;
    let writable = access != Access::Read;
    if writable {
        migrator(Dialect::Postgres).run(&pool).await?;
    }
    Ok(Journal { database: Database::Postgres { pool, writable }, _lock: None })
}

/// The migrations in the database's own words.
fn migrator(dialect: Dialect) -> Migrator {
    let (id_column, bytes) = match dialect {
        Dialect::Sqlite => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
        Dialect::Postgres => ("BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY", "BYTEA"),
    };
    let migrations = MIGRATIONS.iter().map(|(version, name, [sqlite, postgres])| {
        let text = match dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        };
        let text = text.replace("ID_COLUMN", id_column).replace(" BYTES", &format!(" {bytes}"));
        let sql = sqlx::AssertSqlSafe(text).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Makes directory and file where they are missing (0700 and 0600, nothing existing is changed),
/// refuses another user's journal, and takes the daemon's lock.
fn prepare(path: &Path, access: Access) -> Result<Option<File>, Error> {
    let failed = |at: &Path| {
        let at = at.to_owned();
        move |source| Error::File { path: at, source }
    };
    if access == Access::Read {
        if !path.exists() {
            return Err(Error::Missing { path: path.to_owned() });
        }
        refuse_strangers(path)?;
        return Ok(None);
    }
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty() && !it.exists()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    }
    let create = |at: &Path| OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(at);
    if path.exists() {
        refuse_strangers(path)?;
    } else {
        create(path).map_err(failed(path))?;
    }
    if access != Access::Daemon {
        return Ok(None);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let lock = create(&name).map_err(failed(&name))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: name }),
        Err(TryLockError::Error(source)) => Err(Error::File { path: name, source }),
    }
}

/// SQLite's WAL files belong to who touches them (`design.md` §8.11). Root alone may read them
/// without harm only as their owner, too.
fn refuse_strangers(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    // The owner of /proc/self is the effective user: no call into C for that.
    let Ok(ours) = fs::metadata("/proc/self").map(|it| it.uid()) else { return Ok(()) };
    if metadata.uid() == ours {
        return Ok(());
    }
    let typed = std::env::args().collect::<Vec<_>>().join(" ");
    let sudo = if ours == 0 { "" } else { "sudo " };
    let (owner, line) = match user_name(metadata.uid()) {
        Some(name) => (format!("the user {name}"), format!("{sudo}runuser -u {name} -- {typed}")),
        None => {
            let (uid, gid) = (metadata.uid(), metadata.gid());
            (format!("user {uid}"), format!("{sudo}setpriv --reuid={uid} --regid={gid} --clear-groups {typed}"))
        }
    };
    Err(Error::Owner { path: path.to_owned(), owner, line })
}

/// Of the users of this machine, not of a directory service.
fn user_name(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(named)
}
