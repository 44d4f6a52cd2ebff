//! The journal on a PostgreSQL of its own, by one daemon and by two; and a journal that was lost.

use std::{collections::BTreeMap, fs, os::unix::fs::FileExt as _, time::Duration};

use crate::harness::{
    BOUNCES, Config, Daemon, Desk, Letter, Postgres, free_address, servers_here, skip, wait_for, wait_longer,
};

/// A desk whose journal is on a fresh PostgreSQL.
fn open() -> Option<(Desk, Postgres)> {
    if !servers_here(&["dovecot"]) {
        return None;
    }
    let Some(postgres) = Postgres::start(Some(free_address())) else {
        assert!(std::env::var_os("WHYBOUNCED_REQUIRE_SERVERS").is_none(), "PostgreSQL is not installed");
        skip("needs PostgreSQL (tests/run installs it)");
        return None;
    };
    let mut desk = Desk::open().without_limits();
    postgres.create_database("journal");
    desk.config.set("journal.url", postgres.url("journal"));
    Some((desk, postgres))
}

/// Everything that was explained, with how often.
fn times(desk: &Desk) -> BTreeMap<String, usize> {
    desk.answered().into_iter().fold(BTreeMap::new(), |mut times, id| {
        *times.entry(id).or_default() += 1;
        times
    })
}

#[track_caller]
fn wait_explained(desk: &Desk, letter: &Letter) {
    wait_longer(&format!("an explanation of {}", letter.message_id), || {
        desk.answered().contains(&letter.message_id).then_some(())
    });
}

#[test]
fn the_daemon_works_on_postgresql_and_goes_on_when_it_comes_back() {
    let Some((desk, mut postgres)) = open() else { return };
    let mut daemon = Daemon::start(&desk.config);
    let first = desk.bounce("chen", "first");
    wait_explained(&desk, &first);
    for command in [
        &["journal", "list", "--text", "first", "--sort", "person"][..],
        &["journal", "show", "1"],
        &["journal", "stats"],
        &["journal", "export", "--format", "csv"],
        &["journal", "follow", "--quiet", "0s"],
    ] {
        let done = desk.config.run(command);
        assert!(done.status == 0 && !done.stdout.is_empty(), "{command:?}: {done:?}");
    }

    postgres.crash();
    let second = desk.bounce("chen", "second");
    daemon.wait_for_log("journal");
    assert!(daemon.is_running());
    let untouched = desk.inbox().mails().into_iter().find(|it| it.text().contains(&second.message_id));
    assert_eq!(untouched.map(|it| it.flags), Some(String::new()), "what is not on record is not touched");
    assert_eq!(desk.out.accepted().len(), 1, "and not answered");
    assert_ne!(desk.config.run(&["journal", "list"]).status, 0, "and looking says so");

    postgres.go();
    wait_explained(&desk, &second);
    let third = desk.bounce("li", "third");
    wait_explained(&desk, &third);
    assert!(daemon.terminate().0.success());
    assert!(times(&desk).values().all(|times| *times == 1), "{:?}", times(&desk));
    let check = desk.config.run(&["check", "--format", "json"]);
    let journal = check.json().into_iter().find(|line| line["check"] == "journal").expect("its line");
    assert_eq!(journal["result"], "fine", "{journal}");
}

#[test]
fn two_daemons_on_one_postgresql_explain_each_bounce_once() {
    let Some((desk, postgres)) = open() else { return };
    let mut other = Config::new();
    other.central(&desk.dovecot, BOUNCES).smtp(desk.out.address).set("mailbox.0.poll_interval", "1s");
    for limit in ["limit_person", "limit_total", "breaker"] {
        other.set(&format!("policy.{limit}"), "off");
    }
    other.set("journal.url", postgres.url("journal"));
    let mut one = Daemon::start(&desk.config);
    let mut two = Daemon::start(&other);
    let letters: Vec<Letter> =
        (0..12).map(|n| desk.bounce(if n % 2 == 0 { "chen" } else { "li" }, &format!("letter-{n}"))).collect();
    for letter in &letters {
        wait_explained(&desk, letter);
    }
    // One dies; the other goes on.
    one.kill();
    let last = desk.bounce("zhao", "the-last-one");
    wait_explained(&desk, &last);
    assert!(two.terminate().0.success());
    let times = times(&desk);
    assert!(times.len() == letters.len() + 1 && times.values().all(|times| *times == 1), "{times:?}");
    let listed = desk.config.run(&["journal", "list", "--all", "--limit", "100", "--format", "json"]).json();
    assert_eq!(listed.len(), letters.len() + 1, "each bounce is on record once");
}

#[test]
fn after_a_lost_journal_the_inbox_is_read_again_and_nothing_goes_out_under_another_message_id() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    let mut daemon = Daemon::start(&desk.config);
    let letters: Vec<Letter> = (0..3).map(|n| desk.bounce("chen", &format!("letter-{n}"))).collect();
    for letter in &letters {
        desk.wait_explained(letter);
    }
    desk.inbox().wait_for("all bounces marked", |it| it.flags.contains('S'));
    assert!(daemon.terminate().0.success());

    // Damaged: told by `check` with the way out, and not worked on.
    let path = desk.config.path("journal.db");
    let file = fs::File::options().write(true).open(&path).expect("the journal");
    let pages = file.metadata().expect("its size").len() / 4096;
    for page in 1..pages {
        file.write_all_at(&[0x5a; 1024], page * 4096).expect("spoilt");
    }
    let check = desk.config.run(&["check", "--format", "json"]);
    let journal = check.json().into_iter().find(|line| line["check"] == "journal").expect("its line");
    assert!(journal["result"] == "failed" && !journal["remedy"].is_null(), "{journal}");
    assert_eq!(check.status, 69);

    // Put aside, as that line says.
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(desk.config.path(name));
    }
    let mut daemon = Daemon::start(&desk.config);
    let new = desk.bounce("li", "new");
    desk.wait_explained(&new);
    let again = 2 * letters.len() + 1;
    wait_for("all others once more", || (desk.out.accepted().len() >= again).then_some(()));
    assert!(daemon.terminate().0.success());
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in desk.out.accepted() {
        ids.entry(mail.header("In-Reply-To")).or_default().push(mail.header("Message-ID"));
    }
    assert_eq!(ids.len(), letters.len() + 1);
    for (about, ids) in &ids {
        assert!(ids.len() <= 2, "{about} was explained {} times", ids.len());
        assert!(ids.windows(2).all(|it| it[0] == it[1]), "under one Message-ID: {ids:?}");
    }
    // Now it is on record again: nothing goes out a third time.
    let before = desk.out.accepted().len();
    let mut daemon = Daemon::start(&desk.config);
    let last = desk.all_dealt_with();
    assert!(daemon.terminate().0.success());
    assert_eq!(desk.out.accepted().len(), before + 1, "only {last:?}");
}

#[test]
fn follow_shows_what_happens_as_it_happens() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let _daemon = Daemon::start(&desk.config);
    let first = desk.bounce("chen", "first");
    desk.wait_explained(&first);
    let log = desk.config.path("followed");
    let mut follow = crate::harness::command(env!("CARGO_BIN_EXE_whybounced"));
    follow.args(["journal", "follow", "--last", "0", "--format", "json", "--config"]).arg(desk.config.file());
    follow.stdout(fs::File::create(&log).expect("our own directory"));
    let mut follow = crate::harness::Process::start("journal follow", &mut follow);
    assert!(follow.wait(Duration::from_millis(100)).is_none(), "it goes on");
    let seen = |step: &str| {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().any(|line| line.contains(&format!("\"step\":\"{step}\"")) && line.contains("nobody@example.net"))
    };
    let mut n = 0;
    wait_for("what happens to be shown", || {
        // It may have begun to look only after some of these.
        n += 1;
        desk.wait_explained(&desk.bounce("li", &format!("next-{n}")));
        (seen("recorded") && seen("sent")).then_some(())
    });
}
