//! The daemon on mailboxes of mixed kinds that fail in every way: nothing lost, nothing told twice, no hot loop.

use std::{collections::BTreeMap, net::SocketAddr, time::Instant};

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{
        BOUNCES, Bounce, CHEN, Config, Daemon, Dovecot, Letter, MASTER, MASTER_PASSWORD, PASSWORD, ScriptedSmtp,
        servers_here, wait_for,
    },
    peer::CuttingProxy,
};

/// One more mailbox, at any address.
fn mailbox(config: &mut Config, number: usize, server: SocketAddr, user: &str, password: &str) {
    let mut set = |key: &str, value: &str| {
        config.set(&format!("mailbox.{number}.{key}"), value);
    };
    set("name", &format!("box{number}"));
    set("host", &server.ip().to_string());
    set("tls", "none");
    set("user", user);
    set("password", password);
    set("poll_interval", "1s");
    config.set(&format!("mailbox.{number}.port"), i64::from(server.port()));
}

#[test]
fn mixed_mailboxes_under_faults_lose_nothing_and_repeat_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES, CHEN]);
    let letters: Vec<Letter> =
        (0..12).map(|number| Letter::new("chen", "nobody@example.net", &format!("letter{number}"))).collect();
    let bounces: Vec<String> = letters.iter().map(|it| Bounce::of(it).text()).collect();

    // A real server, each connection cut at another byte.
    let cut = CuttingProxy::start(dovecot.imap, &[150, 900, 2_600, 7_000]);
    for bounce in &bounces[..4] {
        dovecot.inbox(BOUNCES).deliver(bounce.as_bytes());
    }
    // A member's own mailbox, by the master user.
    dovecot.inbox(CHEN).deliver(bounces[4].as_bytes());
    // Numbered anew at each connect, and dropped in each IDLE.
    let forgetful = FakeImap::start("IDLE UIDPLUS");
    forgetful.on("IDLE", Say::ThenClose(b"+ idling\r\n".to_vec()));
    // Without IDLE, as NetEase: no SELECT before ID.
    let plain = FakeImap::start("ID AUTH=PLAIN");
    // Idles, and lies: wrong counts, answers about other messages.
    let lying = FakeImap::start("IDLE MOVE AUTH=PLAIN SASL-IR");
    lying.on(
        "NOOP",
        Say::text("* 4000000 EXISTS\r\n* 9 FETCH (UID 99 FLAGS (\\Seen))\r\n* 3 EXPUNGE\r\n{tag} OK done\r\n"),
    );
    for (uid, bounce) in (1..).zip(&bounces[5..]) {
        [&forgetful, &plain, &lying][uid as usize % 3].put(uid, bounce.replace('\n', "\r\n"));
    }

    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    mailbox(&mut config, 0, cut.server.address, BOUNCES, PASSWORD);
    mailbox(&mut config, 1, dovecot.imap, CHEN, MASTER_PASSWORD);
    config.set("mailbox.1.role", "member").set("mailbox.1.master_user", MASTER);
    for (number, server) in [(2, &forgetful), (3, &plain), (4, &lying)] {
        mailbox(&mut config, number, server.server.address, BOUNCES, PASSWORD);
    }
    config.smtp(out.address).set("policy.limit_person", "off");
    let begun = Instant::now();
    let mut daemon = Daemon::start(&config);
    let mut validity = 1;
    wait_for("all explanations", || {
        // Nothing stays as it was for the forgetful server.
        validity += 1;
        forgetful.renumber(validity);
        (out.accepted().len() >= letters.len()).then_some(())
    });
    // One more renumbering is worked off before we look.
    let seen = forgetful.server.connections();
    wait_for("another connection", || (forgetful.server.connections() > seen).then_some(()));
    assert!(daemon.is_running(), "{}", daemon.log());

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for mail in out.accepted() {
        *times.entry(mail.header("In-Reply-To")).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = letters.into_iter().map(|it| (it.message_id, 1)).collect();
    assert_eq!(times, expected);
    let most = 8 + begun.elapsed().as_secs();
    for connections in [cut.server.connections(), forgetful.server.connections(), plain.server.connections()] {
        assert!((connections as u64) < most, "{connections} connections in {:?}", begun.elapsed());
    }
}
