//! What holds for SQLite's file: modes, the lock, damage, other programs, a full disk, a kill.

use sqlx::{Connection as _, sqlite::SqliteConnectOptions};

use super::*;
use crate::journal::database::Database;

#[tokio::test]
async fn a_second_daemon_and_a_damaged_file_are_refused_with_the_next_step() {
    let desk = Desk::sqlite().await;
    let second = Journal::open(&desk.settings, Access::Daemon).await.expect_err("in use");
    assert!(matches!(second, Error::InUse { .. }) && second.to_string().contains("hint:"), "{second}");
    Journal::open(&desk.settings, Access::Read).await.expect("looking is allowed");
    let broken = tempfile::tempdir().expect("a temporary directory");
    let path = broken.path().join("journal.db");
    std::fs::write(&path, [b'x'; 4096]).expect("written");
    let url = format!("sqlite:{}", path.display());
    let settings = super::Settings { url: url.into(), retain: SignedDuration::from_hours(1) };
    let error = Journal::open(&settings, Access::Daemon).await.expect_err("not a database");
    assert!(matches!(error, Error::Damaged { .. }) && error.to_string().contains("hint:"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fresh_journal_is_made_once_however_many_open_it() {
    // Again and again: they must meet while one changes the journal's mode.
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", folder.path().join("journal.db").display());
        let settings = Arc::new(super::Settings { url: url.into(), retain: SignedDuration::from_hours(1) });
        let open = |_| {
            let settings = Arc::clone(&settings);
            tokio::spawn(async move { Journal::open(&settings, Access::Write).await.map(drop) })
        };
        for opened in (0..8).map(open).collect::<Vec<_>>() {
            opened.await.expect("no panic").expect("opened");
        }
    }
}

#[tokio::test]
async fn files_are_private_and_cursors_and_failures_are_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::sqlite().await;
    let state = desk.path().parent().expect("a directory").to_owned();
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("journal.db"))), (0o700, 0o600));
    let cursor = crate::mail::Cursor { uid_validity: 7, uid: 42 };
    desk.journal.keep_cursor("central", "INBOX", cursor, desk.now).await.expect("written");
    assert_eq!(desk.journal.cursor("central", "INBOX").await.expect("read"), Some(cursor));
    let reference = MessageRef { account: "central".into(), folder: "INBOX".into(), key: "7:43".into() };
    desk.journal.poison(&reference, 1, "it broke", desk.now).await.expect("written");
    desk.journal.poison(&reference, 1, "it broke", desk.now).await.expect("written");
    assert_eq!(desk.journal.poisoned(&reference).await.expect("read"), 2);
    desk.journal.set_aside(&reference, desk.now, 1, desk.now).await.expect("written");
    assert!(desk.journal.recorded(&reference).await.expect("read"));
}

/// Another program's connection to the journal's file.
async fn other_program(desk: &Desk) -> sqlx::SqliteConnection {
    let path = desk.path();
    sqlx::SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.expect("opened")
}

async fn pragma(desk: &Desk, sql: &'static str) {
    let Database::Sqlite { writer: Some(writer), .. } = &desk.journal.database else { panic!("SQLite") };
    sqlx::query(sql).execute(writer.pool()).await.expect("taken");
}

#[tokio::test]
async fn a_locked_journal_says_so_and_is_used_again_when_it_is_free() {
    let desk = Desk::sqlite().await;
    let reference = MessageRef { account: "a".into(), folder: "b".into(), key: "1".into() };
    let mut other = other_program(&desk).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");
    let error = desk.journal.poison(&reference, 1, "x", desk.now).await.expect_err("locked");
    assert!(matches!(error, Error::Locked { .. }) && error.is_temporary(), "{error}");
    assert!(desk.journal.list(&Filter::default()).await.is_ok(), "looking is never kept out");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("freed");
    desk.journal.poison(&reference, 1, "x", desk.now).await.expect("written");
    // What is held for a moment only is waited for.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("locked");
    let mut waits = Box::pin(desk.journal.poison(&reference, 1, "x", desk.now));
    let at_first = tokio::time::timeout(std::time::Duration::from_millis(100), &mut waits).await;
    assert!(at_first.is_err(), "{at_first:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("freed");
    waits.await.expect("written");
}

#[tokio::test]
async fn a_full_disk_and_a_file_that_cannot_be_written_lose_nothing_and_pass() {
    let desk = Desk::sqlite().await;
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    for (broken, mended) in [
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"),
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF"),
    ] {
        pragma(&desk, broken).await;
        let mut why = None;
        // A page may have room yet.
        for n in 0..200 {
            let reference = MessageRef { account: "a".into(), folder: "b".into(), key: format!("{broken}{n}") };
            if let Err(error) = desk.journal.poison(&reference, 1, &"x".repeat(1000), desk.now).await {
                why = Some(error);
                break;
            }
        }
        let why = why.expect("no room");
        assert!(matches!(why, Error::Full { .. } | Error::ReadOnly { .. }), "{broken}: {why}");
        assert!(why.is_temporary() && why.to_string().contains("hint:"), "{why}");
        assert_eq!(
            desk.journal.list(&Filter::default()).await.expect("list").len(),
            if broken.contains("page") { 1 } else { 2 }
        );
        pragma(&desk, mended).await;
        let key = mended.to_owned();
        desk.take(&key, &bounce(2, &format!("<{}@corp.example.cn>", mended.len()), "a@x.example"), "a@x.example").await;
        break_nothing(&desk).await;
    }
}

/// SQLite's own opinion of the file.
async fn break_nothing(desk: &Desk) {
    let mut other = other_program(desk).await;
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut other).await.expect("checked");
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn dropped_without_a_close_everything_committed_is_there() {
    let desk = Desk::sqlite().await;
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
    desk.journal.body_started(due.id, desk.now).await.expect("written");
    // A transaction that was never committed.
    let mut tx = desk.journal.database.write().await.expect("begun");
    assert_eq!(tx.touched("DELETE FROM report RETURNING message", Vec::new()).await.expect("done"), 1);
    drop(tx);
    let Desk { journal, keeps, settings, policy, now } = desk;
    drop(journal);
    let journal = Journal::open(&settings, Access::Daemon).await.expect("the lock went with it");
    let desk = Desk { journal, keeps, settings, policy, now };
    desk.journal.recover(now).await.expect("recovered");
    let again = desk.journal.claim_due(now).await.expect("claim").expect("in doubt: once more, at once");
    assert_eq!((again.id, again.repeats_doubt, again.reply), (due.id, true, due.reply));
    assert_eq!(desk.journal.list(&Filter::default()).await.expect("list").len(), 1);
    break_nothing(&desk).await;
}

#[tokio::test]
async fn another_users_journal_is_refused_with_the_line_to_type() {
    let desk = Desk::sqlite().await;
    if std::os::unix::fs::chown(desk.path(), Some(65_534), Some(65_534)).is_err() {
        return; // Only root can give files away; CI runs as root.
    }
    for access in [Access::Daemon, Access::Write, Access::Read] {
        let error = Journal::open(&desk.settings, access).await.expect_err("a stranger's");
        assert!(error.to_string().contains("hint: runuser -u nobody -- "), "{error}");
    }
}

/// How many writers are at work at once below.
const WRITERS: u32 = 40;

fn reference(n: u32) -> MessageRef {
    MessageRef { account: "a".into(), folder: "b".into(), key: n.to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_are_committed_together_and_each_fails_by_itself() {
    let desk = Desk::sqlite().await;
    let Database::Sqlite { writer: Some(writer), .. } = &desk.journal.database else { panic!("SQLite") };
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..WRITERS {
        let (journal, writer, now) = (desk.journal.clone(), writer.clone(), desk.now);
        writers.spawn(async move {
            if n % 4 == 3 {
                // Gives up midway: dropped without a commit.
                let mut member = writer.begin().await.expect("a turn");
                let sql = "INSERT INTO memory (name, value, at) VALUES ($1, '0', 0)";
                member.rows(sql, database::values![n.to_string()]).await.expect("written");
            } else {
                journal.poison(&reference(n), 1, "x", now).await.expect("on disk");
                assert_eq!(journal.poisoned(&reference(n)).await.expect("read"), 1, "told only once others see it");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no panic");
    }
    let mut tx = desk.journal.database.read().await.expect("read");
    let count = |table: &str| sqlx::AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM {table}"));
    assert_eq!(tx.number(count("poison"), Vec::new()).await.expect("counted"), i64::from(WRITERS / 4 * 3));
    assert_eq!(tx.number(count("memory"), Vec::new()).await.expect("counted"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn when_the_commit_of_many_fails_all_of_them_hear_of_it_and_the_next_writer_works() {
    let desk = Desk::sqlite().await;
    pragma(&desk, "PRAGMA max_page_count = 1").await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..WRITERS {
        let (journal, now) = (desk.journal.clone(), desk.now);
        writers.spawn(async move { (n, journal.poison(&reference(n), 1, &"x".repeat(9000), now).await.is_ok()) });
    }
    let mut told = std::collections::HashMap::new();
    while let Some(ended) = writers.join_next().await {
        let (n, ok) = ended.expect("no panic");
        told.insert(n, ok);
    }
    assert!(told.values().any(|ok| !ok), "the disk was full");
    for (n, ok) in told {
        let there = desk.journal.poisoned(&reference(n)).await.expect("read") == 1;
        assert_eq!(there, ok, "writer {n} was told the truth");
    }
    pragma(&desk, "PRAGMA max_page_count = 1000000").await;
    desk.journal.poison(&reference(WRITERS), 1, "x", desk.now).await.expect("written");
}
