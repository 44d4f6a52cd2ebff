//! What is on record is on disk, whatever becomes of the machine: power loss, a full disk, sleep, kills.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use sqlx::Connection as _;

use crate::harness::{
    Answer, Bounce, Daemon, Desk, Letter, PATIENCE, Process, Step, command, servers_here, wait, wait_for,
};

#[test]
fn the_journal_is_on_disk_before_the_mailbox_is_touched_and_before_anything_is_sent() {
    if !servers_here(&["dovecot", "strace"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let daemon = Daemon::start(&desk.config);
    let trace = desk.config.path("trace");
    let mut strace = command("strace");
    strace.args(["-f", "-s", "80", "-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg", "-o"]);
    strace.arg(&trace).args(["-p", &daemon.pid().to_string()]).stderr(Stdio::null());
    let strace = Process::start("strace", &mut strace);
    wait_for("strace to watch", || is_traced(daemon.pid()).then_some(()));
    let letter = desk.bounce("chen", "first");
    desk.wait_explained(&letter);
    desk.inbox().wait_for("the bounce marked", |it| it.flags.contains('S'));
    drop(strace);
    let text = fs::read_to_string(&trace).expect("the trace");
    let at = |what: &str, words: &[&str]| -> usize {
        let found = text.lines().position(|line| words.iter().any(|word| line.contains(word)));
        found.unwrap_or_else(|| panic!("no {what} in\n{text}"))
    };
    // The message is fetched, synced to disk, and only then marked and answered.
    let fetched = at("fetch", &["BODY.PEEK"]);
    let (stored, sent) = (at("mark", &["STORE"]), at("message", &["DATA\\r\\n"]));
    let synced: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("fsync(") || line.contains("fdatasync("))
        .map(|(number, _)| number)
        .collect();
    assert!(synced.iter().any(|it| (fetched..stored).contains(it)), "not synced before STORE:\n{text}");
    assert!(synced.iter().any(|it| (fetched..sent).contains(it)), "not synced before DATA:\n{text}");
}

/// Whether every thread of the process has a tracer.
fn is_traced(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .map(|it| fs::read_to_string(it.path().join("status")).unwrap_or_default())
        .all(|status| status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|it| it.trim() != "0")))
}

/// A small file system of its own, unmounted when the story ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).expect("our own directory");
        let options = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(at).status();
        mounted.is_ok_and(|it| it.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A desk whose journal lies on a disk of two megabytes; `None`, said aloud, where none may be mounted.
fn desk_on_a_small_disk() -> Option<(Desk, SmallDisk)> {
    let mut desk = Desk::open().without_limits();
    let disk = SmallDisk::mount(&desk.config.path("disk"), "2m");
    let Some(disk) = disk else {
        crate::harness::skip("may not mount a small disk here");
        return None;
    };
    desk.config.set("journal.url", format!("sqlite:{}", disk.0.join("journal.db").display()));
    Some((desk, disk))
}

#[test]
fn with_a_full_disk_the_inbox_stays_untouched_until_there_is_room_again() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let Some((desk, disk)) = desk_on_a_small_disk() else { return };
    let mut daemon = Daemon::start(&desk.config);
    let first = desk.bounce("chen", "first");
    desk.wait_explained(&first);

    let ballast = disk.0.join("ballast");
    let full = fs::write(&ballast, vec![0; 4 << 20]);
    assert!(full.is_err(), "the disk is full");
    let second = desk.bounce("chen", "second");
    daemon.wait_for_log("journal");
    daemon.wait_for_log("full");
    assert!(daemon.is_running());
    let untouched = desk.inbox().mails().into_iter().find(|it| it.text().contains(&second.message_id));
    assert_eq!(untouched.map(|it| it.flags), Some(String::new()), "what is not on record is not touched");
    assert_eq!(desk.out.accepted().len(), 1, "and not answered");

    fs::remove_file(&ballast).expect("our own file");
    desk.wait_explained(&second);
    assert_eq!(desk.out.accepted().len(), 2);
}

/// Somebody else who has opened the journal.
struct AnotherProgram {
    runtime: tokio::runtime::Runtime,
    connection: sqlx::SqliteConnection,
}

impl AnotherProgram {
    fn open(desk: &Desk) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(desk.config.path("journal.db"));
        let connection = runtime.block_on(sqlx::SqliteConnection::connect_with(&options)).expect("opened");
        Self { runtime, connection }
    }

    fn says(&mut self, sql: &'static str) {
        self.runtime.block_on(sqlx::query(sql).execute(&mut self.connection)).expect(sql);
    }
}

#[test]
fn what_could_not_be_recorded_while_another_program_held_the_journal_is_read_again() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let mut daemon = Daemon::start(&desk.config);
    let mut other = AnotherProgram::open(&desk);
    other.says("BEGIN IMMEDIATE");
    let letter = desk.bounce("chen", "first");
    // Longer than the journal is waited for, but not twice as long: the message is not recorded, the cursor could be.
    assert!(daemon.ends_within(Duration::from_secs(15)).is_none());
    other.says("ROLLBACK");
    desk.wait_explained(&letter);
    assert_eq!(desk.out.accepted().len(), 1);
}

#[test]
fn what_became_of_a_mail_is_on_record_although_the_disk_was_full_when_it_was_taken() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let Some((desk, disk)) = desk_on_a_small_disk() else { return };
    desk.out.on(Step::Dot, "", Answer::Late);
    let daemon = Daemon::start(&desk.config);
    let letter = desk.bounce("chen", "first");
    wait_for("the final dot", || desk.out.commands().iter().any(|it| it == "(waits)").then_some(()));
    let ballast = disk.0.join("ballast");
    assert!(fs::write(&ballast, vec![0; 4 << 20]).is_err(), "the disk is full");
    desk.out.forgive();
    desk.wait_explained(&letter);
    daemon.wait_for_log("full");
    fs::remove_file(&ballast).expect("our own file");
    wait_for("the outcome on record", || desk.journal().contains("\"sent\"").then_some(()));
    assert_eq!(desk.out.accepted().len(), 1);
}

#[test]
fn a_mail_that_cannot_be_read_is_set_aside_and_keeps_nobody_waiting() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let daemon = Daemon::start(&desk.config);
    // The first mail of all finds out the way, which is written after its outcome.
    let earlier = desk.bounce("chen", "earlier");
    desk.wait_explained(&earlier);
    desk.out.on(Step::Dot, "", Answer::Late);
    let first = desk.bounce("chen", "first");
    wait_for("the final dot", || desk.out.commands().iter().any(|it| it == "(waits)").then_some(()));
    // To the same person: only after the first, with whose outcome it is claimed.
    let second = desk.bounce("chen", "second");
    wait_for("the second on record", || desk.journal().contains("\"due\"").then_some(()));
    let mut other = AnotherProgram::open(&desk);
    other.says("UPDATE outbox SET kind = 'letter' WHERE state = 'due'");
    desk.out.forgive();
    daemon.wait_for_log("a mail is set aside unsent");
    desk.all_dealt_with();
    assert_eq!(desk.journal().matches("\"sent\"").count(), 3);

    other.says("UPDATE outbox SET kind = 'explanation' WHERE state = 'failed'");
    let failed = desk.config.run(&["journal", "list", "--state", "failed", "--format", "json"]);
    let id = failed.json()[0]["id"].to_string();
    assert_eq!(failed.json().len(), 1, "{}", failed.stdout);
    let retried = desk.config.run(&["journal", "retry", &id]);
    assert_eq!(retried.status, 0, "{}", retried.stderr);
    desk.wait_explained(&second);
    let times = |it: &Letter| desk.answered().iter().filter(|id| **id == it.message_id).count();
    assert_eq!([&earlier, &first, &second].map(times), [1, 1, 1]);
}

#[test]
fn a_machine_that_slept_goes_on_where_it_was() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let daemon = Daemon::start(&desk.config);
    for name in ["first", "second"] {
        daemon.signal("STOP");
        let letter = desk.bounce("chen", name);
        assert!(desk.out.accepted().iter().all(|it| it.header("In-Reply-To") != letter.message_id));
        daemon.signal("CONT");
        desk.wait_explained(&letter);
    }
    assert_eq!(desk.out.accepted().len(), 2);
}

#[test]
fn a_second_daemon_on_the_same_journal_refuses_to_work() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let mut first = Daemon::start(&desk.config);
    let second = desk.config.run(&["run", "--once"]);
    assert_ne!(second.status, 0, "{}", second.stderr);
    assert!(first.is_running());
    let letter = desk.bounce("chen", "first");
    desk.wait_explained(&letter);
    assert_eq!(desk.out.accepted().len(), 1);
}

/// How often the daemon is killed; `tests/chaos` sets more.
fn kills() -> usize {
    std::env::var("WHYBOUNCED_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(25)
}

#[test]
fn chaos_killed_at_random_moments_under_load_it_loses_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let kills = kills();
    let inbox = desk.inbox();
    let letters: Vec<Letter> =
        (0..kills * 8).map(|number| Letter::new("chen", "nobody@example.net", &format!("load-{number}"))).collect();
    let (stop, stopped) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        // Bounces keep arriving, whatever becomes of the daemon; the rest comes at the end.
        let load = &letters;
        scope.spawn(move || {
            for letter in load {
                inbox.deliver(Bounce::of(letter).text().as_bytes());
                let _ = stopped.recv_timeout(Duration::from_millis(60));
            }
        });
        for round in 0..kills {
            let mut daemon = Daemon::start(&desk.config);
            // Between none and half a second of work, different each time.
            let moment = Duration::from_millis((round as u64 * 197 + u64::from(std::process::id())) % 500);
            assert!(daemon.ends_within(moment).is_none(), "it does not end by itself");
            daemon.kill();
        }
        drop(stop);
    });
    let _daemon = Daemon::start(&desk.config);
    let wanted: BTreeSet<&str> = letters.iter().map(|it| it.message_id.as_str()).collect();
    // Many kills leave much to be done.
    let patience = PATIENCE + Duration::from_millis(50 * letters.len() as u64);
    wait(patience, "all explanations", || {
        let answered: BTreeSet<String> = desk.out.accepted().iter().map(|it| it.header("In-Reply-To")).collect();
        wanted.iter().all(|it| answered.contains(*it)).then_some(())
    });
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in desk.out.accepted() {
        ids.entry(mail.header("In-Reply-To")).or_default().push(mail.header("Message-ID"));
    }
    let twice = ids.values().filter(|ids| ids.len() > 1).count();
    let different = ids.values().filter(|ids| ids.iter().any(|id| *id != ids[0])).count();
    let report =
        format!("killed {kills} times, {} bounces: lost 0, sent twice under one Message-ID {twice}\n", wanted.len());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes());
    assert_eq!(different, 0, "never under two Message-IDs");
    assert!(twice <= kills, "at most one a kill");
}
