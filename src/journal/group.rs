//! Writers that come while others write share one transaction, and one wait for the disk.
//!
//! On SQLite a commit waits for the disk (`synchronous = FULL`), a few milliseconds that every mail
//! would pay several times. So a writer does not commit by itself: it works between a savepoint and
//! its release, and all that queued up behind the first one are committed together. Each still
//! hears of success only when its rows are on disk, and each can fail by itself. A writer alone is
//! committed at once: nothing waits for company.

use std::sync::Arc;

use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction, sqlite::SqliteRow};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::{
    Error,
    batch::Batch,
    database::{Value, bound},
};

/// The one writing connection, shared in turns, first come, first served.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pool: SqlitePool,
    group: Arc<Mutex<Group>>,
}

/// A transaction that is open, and the writers who wait to hear of its commit.
#[derive(Debug, Default)]
struct Group {
    tx: Option<Transaction<'static, Sqlite>>,
    members: Vec<oneshot::Sender<Result<(), Error>>>,
}

/// One writer's turn. Dropped without `commit`, what it wrote is undone.
pub(super) struct Member {
    group: Option<OwnedMutexGuard<Group>>,
    writer: Writer,
    /// What goes with the next statement, the savepoint first.
    waiting: Batch,
    /// The savepoint was set.
    begun: bool,
}

impl Writer {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool, group: Arc::default() }
    }

    /// The connection itself, for a test that breaks it.
    #[cfg(test)]
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for a turn and begins to write.
    pub(super) async fn begin(&self) -> Result<Member, Error> {
        let mut group = Arc::clone(&self.group).lock_owned().await;
        if group.tx.is_none() {
            group.tx = Some(self.pool.begin_with("BEGIN IMMEDIATE").await?);
        }
        let mut waiting = Batch::default();
        waiting.push("SAVEPOINT member", Vec::new());
        Ok(Member { group: Some(group), writer: self.clone(), waiting, begun: false })
    }

    pub(super) async fn close(&self) {
        drop(self.group.lock().await);
        self.pool.close().await;
    }

    /// Takes its turn behind those who wait already, and commits what they all wrote.
    async fn commit(self) {
        let mut group = self.group.lock().await;
        let result = match group.tx.take() {
            Some(tx) => tx.commit().await,
            // Given up already, and everybody told.
            None => Ok(()),
        };
        group.tell(&result);
    }
}

impl Group {
    /// Tells every member how it ended. An error is one, in its own words, for all of them.
    fn tell(&mut self, result: &Result<(), sqlx::Error>) {
        for member in self.members.drain(..) {
            // Whoever gave up waiting needs no answer.
            let _ = member.send(result.as_ref().copied().map_err(Error::from));
        }
    }

    /// Undoes what the member in turn wrote, if it began to; if that cannot be, nobody's writing stands.
    async fn undo(&mut self, begun: bool) {
        let Some(tx) = &mut self.tx else { return };
        let undone = if begun {
            sqlx::raw_sql("ROLLBACK TO member; RELEASE member").execute(&mut **tx).await.map(drop)
        } else {
            Ok(())
        };
        if undone.is_err() || self.members.is_empty() {
            self.tx = None;
            self.tell(&undone);
        }
    }
}

impl Member {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        let tx = self.group.as_mut().and_then(|it| it.tx.as_mut());
        tx.map(|it| &mut **it).ok_or_else(given_up)
    }

    /// Runs a statement, now or with the next one.
    pub(super) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<(), Error> {
        self.waiting.push(sql, values);
        if self.waiting.is_full() { self.run().await.map(drop) } else { Ok(()) }
    }

    /// Runs a statement now, and what waits before it; the rows that came back.
    pub(super) async fn rows(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<SqliteRow>, Error> {
        self.waiting.push(sql, values);
        self.run().await
    }

    /// Nothing that waits answers with rows: what comes back is the last statement's.
    async fn run(&mut self) -> Result<Vec<SqliteRow>, Error> {
        let Batch { sql, values, .. } = std::mem::take(&mut self.waiting);
        self.begun = true;
        Ok(bound!(sqlx::AssertSqlSafe(sql), values).fetch_all(self.connection()?).await?)
    }

    /// Returns when what was written is on disk, or will never be.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.rows("RELEASE member", Vec::new()).await?;
        let (told, outcome) = oneshot::channel();
        if let Some(mut group) = self.group.take() {
            group.members.push(told);
            if group.members.len() == 1 {
                // A task of its own: a group is committed even if its members are heard of no more.
                tokio::spawn(self.writer.clone().commit());
            }
        }
        outcome.await.unwrap_or_else(|_| Err(given_up()))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let Some(mut group) = self.group.take() else { return };
        let begun = self.begun;
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { group.undo(begun).await })),
            // Without a runtime there is nobody to undo one part: the whole is given up, and whoever
            // waits for it hears so.
            Err(_) => *group = Group::default(),
        }
    }
}

fn given_up() -> Error {
    Error::Database { why: "the transaction was given up".to_owned() }
}
