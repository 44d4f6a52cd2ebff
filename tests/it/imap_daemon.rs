//! The daemon on mailboxes that are in trouble: what can be done is done, and nothing twice.

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{
        BOUNCES, Bounce, CHEN, Config, Daemon, Dovecot, LI, Letter, Maildir, PASSWORD, ScriptedSmtp, servers_here,
        wait_for,
    },
};

/// The daemon's company: a way out, no limits, mailboxes at scripted servers.
struct Office {
    out: ScriptedSmtp,
    config: Config,
}

impl Office {
    fn new() -> Self {
        let out = ScriptedSmtp::start();
        let mut config = Config::new();
        config.smtp(out.address).set("policy.limit_person", "off");
        Self { out, config }
    }

    /// One more mailbox, at a scripted server.
    fn watch(&mut self, number: usize, server: &FakeImap) -> &mut Self {
        let address = server.server.address;
        let at = format!("mailbox.{number}");
        for (key, value) in [
            ("name", format!("box{number}")),
            ("host", address.ip().to_string()),
            ("tls", "none".to_owned()),
            ("user", BOUNCES.to_owned()),
            ("password", PASSWORD.to_owned()),
            ("poll_interval", "1s".to_owned()),
        ] {
            self.config.set(&format!("{at}.{key}"), value);
        }
        self.config.set(&format!("{at}.port"), i64::from(address.port()));
        self
    }

    /// Waits until these letters were explained, and asserts that no other was and none twice.
    #[track_caller]
    fn assert_explained(&self, letters: &[&Letter]) {
        let mut expected: Vec<String> = letters.iter().map(|it| it.message_id.clone()).collect();
        let answered = || self.out.accepted().iter().map(|it| it.header("In-Reply-To")).collect::<Vec<_>>();
        wait_for("all explanations", || (answered().len() >= expected.len()).then_some(()));
        let mut answered = answered();
        answered.sort();
        expected.sort();
        assert_eq!(answered, expected);
    }
}

fn letter(name: &str) -> Letter {
    Letter::new("chen", "nobody@example.net", name)
}

fn put(server: &FakeImap, uid: u32, name: &str) -> Letter {
    let letter = letter(name);
    server.put(uid, Bounce::of(&letter).text().replace('\n', "\r\n"));
    letter
}

fn deliver(inbox: &Maildir, name: &str) -> Letter {
    let letter = letter(name);
    inbox.deliver(Bounce::of(&letter).text().as_bytes());
    letter
}

#[test]
fn a_message_that_fails_three_times_is_set_aside_and_the_scan_goes_on() {
    let mut office = Office::new();
    let endless = [&b"* 7 FETCH (UID 7 BODY[]<0> \""[..], &vec![b'a'; 3 << 20]].concat();
    let answers = [
        Say::text("$%&/( no IMAP at all\r\n"),
        Say::ThenSilence(b"* 1 FETCH (UID 7 RFC822.SIZE 9 BODY[]<0> {600000000}\r\nx".to_vec()),
        Say::ThenSilence(endless),
        Say::text("{tag} NO the message could not be converted\r\n"),
        Say::text("{tag} OK nothing of it\r\n"),
    ];
    let (mut servers, mut letters) = (Vec::new(), Vec::new());
    for (number, answer) in answers.into_iter().enumerate() {
        let server = FakeImap::start("IDLE UIDPLUS AUTH=PLAIN SASL-IR");
        server.put(7, "Subject: poison\r\n\r\nx\r\n");
        letters.push(put(&server, 8, &format!("behind{number}")));
        server.on("UID FETCH 7 (UID RFC822.SIZE INTERNALDATE BODY.PEEK", answer);
        office.watch(number, &server);
        servers.push(server);
    }
    let mut daemon = Daemon::start(&office.config);
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    wait_for("all five set aside", || {
        (daemon.log().matches("set aside after three failures").count() == servers.len()).then_some(())
    });
    for server in &servers {
        let tries =
            server.commands().iter().filter(|it| it.starts_with("UID FETCH 7 ") && it.contains("PEEK[]")).count();
        // The first time nothing else had come yet, so it was not blamed for an answer that broke the session.
        assert!((3..=4).contains(&tries), "{tries}");
        assert!(server.server.connections() <= 5, "{} connections", server.server.connections());
    }
    // Now that the first is out of the way, what comes next is read once and no more.
    let next = put(&servers[0], 9, "next");
    letters.push(next);
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    assert!(daemon.is_running());
    assert!(daemon.peak_memory() < 200, "{} MiB", daemon.peak_memory());
}

/// How often this message was asked for.
fn tries(server: &FakeImap, uid: u32) -> usize {
    let start = format!("UID FETCH {uid} (UID RFC822.SIZE INTERNALDATE BODY.PEEK");
    server.commands().iter().filter(|it| it.starts_with(&start)).count()
}

/// This message is not handed over but answered so.
fn refuse(server: &FakeImap, uid: u32, answer: Say) {
    server.on(&format!("UID FETCH {uid} (UID RFC822.SIZE INTERNALDATE BODY.PEEK"), answer);
}

/// A reload begins anew: nobody waits out what the failures have made long.
fn begin_anew(daemon: &mut Daemon) {
    daemon.signal("HUP");
    daemon.wait_for_notice("READY=1");
}

#[test]
fn a_server_that_gives_nothing_at_all_sets_no_message_aside() {
    for answer in ["$%&/( no IMAP at all\r\n", "{tag} NO the store is away\r\n"] {
        let mut office = Office::new();
        let server = FakeImap::start("IDLE UIDPLUS AUTH=PLAIN SASL-IR");
        let letters = [7, 8].map(|uid| put(&server, uid, &format!("uid{uid}")));
        for uid in [7, 8] {
            refuse(&server, uid, Say::text(answer));
        }
        office.watch(0, &server);
        let mut daemon = Daemon::start(&office.config);
        for round in 1..=4 {
            wait_for("one more try", || (tries(&server, 7) >= round).then_some(()));
            begin_anew(&mut daemon);
        }
        server.forgive();
        begin_anew(&mut daemon);
        office.assert_explained(&letters.iter().collect::<Vec<_>>());
        assert!(!daemon.log().contains("set aside"), "{answer}");
    }
}

#[test]
fn a_message_that_lies_alone_and_is_not_handed_over_is_set_aside_all_the_same() {
    let mut office = Office::new();
    let server = FakeImap::start("IDLE UIDPLUS AUTH=PLAIN SASL-IR");
    put(&server, 7, "alone");
    refuse(&server, 7, Say::text("{tag} NO the message could not be converted\r\n"));
    office.watch(0, &server);
    let daemon = Daemon::start(&office.config);
    daemon.wait_for_log("set aside after three failures");
    assert_eq!(tries(&server, 7), 3);
}

#[test]
fn a_connection_that_is_lost_now_and_then_is_hardly_held_against_a_message() {
    let mut office = Office::new();
    let server = FakeImap::start("IDLE UIDPLUS AUTH=PLAIN SASL-IR");
    let letters = [7, 8].map(|uid| put(&server, uid, &format!("uid{uid}")));
    refuse(&server, 7, Say::ThenClose(Vec::new()));
    office.watch(0, &server);
    let mut daemon = Daemon::start(&office.config);
    for round in 1..=4 {
        // At first it comes before the others; then it is tried last, while others are given.
        wait_for("two more tries", || (tries(&server, 7) >= 2 * round).then_some(()));
        begin_anew(&mut daemon);
    }
    server.forgive();
    begin_anew(&mut daemon);
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    assert!(!daemon.log().contains("set aside"));
}

#[test]
fn a_folder_that_takes_no_marks_holds_nothing_up_and_is_not_read_again_and_again() {
    let mut office = Office::new();
    let server = FakeImap::start("IDLE UIDPLUS AUTH=PLAIN SASL-IR");
    server.on("SELECT", Say::text("* 30 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n{tag} OK [READ-ONLY] done\r\n"));
    let mut letters: Vec<Letter> = (1..=30).map(|uid| put(&server, uid, &format!("read-only{uid}"))).collect();
    office.watch(0, &server);
    for limit in ["limit_total", "breaker"] {
        office.config.set(&format!("policy.{limit}"), "off");
    }
    let daemon = Daemon::start(&office.config);
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    daemon.wait_for_log("the folder is read-only");
    letters.push(put(&server, 31, "one-more"));
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    let fetched = server.commands().iter().filter(|it| it.contains("BODY.PEEK[]")).count();
    assert_eq!(fetched, 31, "each once");
    assert_eq!(server.server.connections(), 1);
}

#[test]
fn folders_may_be_renamed_deleted_and_come_again() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let mut office = Office::new();
    office.config.central(&dovecot, BOUNCES).set("mailbox.0.poll_interval", "1s");
    // Rejected mail in Chinese, as a hoster names it; it comes first and is not there yet.
    office.config.set("mailbox.0.folder", vec!["异常邮件", "INBOX"]);
    let inbox = dovecot.inbox(BOUNCES);
    let rejected = inbox.folder("&XwJeOJCuTvY-");
    let mut letters = vec![deliver(&inbox, "without-folder")];
    let daemon = Daemon::start(&office.config);
    office.assert_explained(&[&letters[0]]);
    daemon.wait_for_log("异常邮件");
    letters.push(deliver(&rejected, "folder-made"));
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    let away = rejected.rename(&inbox.folder("Old"));
    letters.push(deliver(&inbox, "folder-renamed"));
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    away.rename(&rejected);
    letters.push(deliver(&rejected, "folder-back"));
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
}

#[test]
fn a_folder_that_is_numbered_anew_at_each_connect_is_read_anew_and_explained_once() {
    let mut office = Office::new();
    let server = FakeImap::start("IDLE UIDPLUS AUTH=PLAIN SASL-IR");
    let mut letters = vec![put(&server, 100, "first")];
    office.watch(0, &server);
    let daemon = Daemon::start(&office.config);
    office.assert_explained(&[&letters[0]]);
    for turn in 2..=4 {
        server.number_anew(turn);
        // Its number lies below those that were read.
        letters.push(put(&server, 10 + turn, &format!("turn{turn}")));
        server.on("NOOP", Say::ThenClose(Vec::new()));
        office.assert_explained(&letters.iter().collect::<Vec<_>>());
        server.forgive();
    }
    assert!(daemon.log().contains("numbered anew"));
}

#[test]
fn each_mailbox_has_its_own_after_and_its_name_in_each_line() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES, LI, CHEN]);
    let mut office = Office::new();
    office.config.central(&dovecot, BOUNCES).central(&dovecot, LI).member(&dovecot, CHEN);
    office.config.set("mailbox.0.after", "move:Done");
    let letters: Vec<Letter> = [BOUNCES, LI, CHEN].map(|it| deliver(&dovecot.inbox(it), &it[..4])).into();
    let daemon = Daemon::start(&office.config);
    office.assert_explained(&letters.iter().collect::<Vec<_>>());
    dovecot.inbox(BOUNCES).folder("Done").wait_for("the moved bounce", |_| true);
    dovecot.inbox(LI).wait_for("the marked bounce", |it| it.flags.contains('S'));
    assert!(dovecot.inbox(CHEN).mails().iter().all(|it| it.flags.is_empty()), "a member's stays as it was");
    for name in [BOUNCES, LI, CHEN] {
        assert!(daemon.log().contains(&format!("connected mailbox=\"{name}\"")), "{name}");
    }
}

#[test]
fn what_a_server_wants_people_to_know_is_in_the_log() {
    let mut office = Office::new();
    let server = FakeImap::start("AUTH=PLAIN SASL-IR");
    server.on("NOOP", Say::text("* OK [ALERT] the mailbox is nearly full\r\n{tag} OK done\r\n"));
    office.watch(0, &server);
    let daemon = Daemon::start(&office.config);
    daemon.wait_for_log("the mailbox is nearly full");
    assert!(!daemon.log().contains(PASSWORD));
}
