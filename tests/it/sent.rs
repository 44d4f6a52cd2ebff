//! The author's Sent folder as the proof that a bounced letter was really written here.

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{
        BOUNCES, Bounce, CHEN, Config, Daemon, Dovecot, LI, Letter, PASSWORD, ScriptedSmtp, servers_here, wait_for,
    },
};

#[test]
fn only_what_lies_in_the_authors_sent_folder_is_verified() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES, CHEN, LI]);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.central(&dovecot, BOUNCES).member(&dovecot, CHEN).smtp(out.address).set("policy.proof", "verified");
    let real = Letter::new("chen", "nobody@example.net", "real");
    let forged = Letter::new("chen", "nobody@example.net", "forged");
    // Her mailbox is not configured: it cannot be asked.
    let unknown = Letter::new("li", "nobody@example.net", "unknown");
    for letter in [&real, &unknown] {
        dovecot.inbox(&letter.from).folder("Sent").deliver(letter.text().as_bytes());
    }
    for letter in [&forged, &real, &unknown] {
        dovecot.inbox(BOUNCES).deliver(Bounce::of(letter).text().as_bytes());
    }

    let ran = config.run(&["run", "--once"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let explained: Vec<String> = out.accepted().iter().map(|it| it.header("In-Reply-To")).collect();
    assert_eq!(explained, [real.message_id]);
    assert_eq!(dovecot.log().matches("method=PLAIN").count(), 3, "one session asks for all: {}", dovecot.log());
    assert!(dovecot.inbox(CHEN).folder("Sent").mails().iter().all(|it| it.flags.is_empty()));
}

#[test]
fn a_sent_folder_whose_login_is_refused_is_not_asked_for_each_bounce() {
    let (central, hers) = (FakeImap::start("AUTH=PLAIN SASL-IR"), FakeImap::start("AUTH=PLAIN SASL-IR"));
    hers.on("AUTHENTICATE", Say::text("{tag} NO [AUTHENTICATIONFAILED] no\r\n"));
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.smtp(out.address).set("policy.proof", "verified");
    for (number, (server, user, role)) in
        [(&central, BOUNCES, "central"), (&hers, CHEN, "member")].into_iter().enumerate()
    {
        let (at, address) = (format!("mailbox.{number}"), server.server.address);
        for (key, value) in
            [("user", user), ("role", role), ("password", PASSWORD), ("tls", "none"), ("poll_interval", "1s")]
        {
            config.set(&format!("{at}.{key}"), value);
        }
        config.set(&format!("{at}.host"), address.ip().to_string());
        config.set(&format!("{at}.port"), i64::from(address.port()));
    }
    for uid in 1..=8 {
        let letter = Letter::new("chen", "nobody@example.net", &format!("forged{uid}"));
        central.put(uid, Bounce::of(&letter).text().replace('\n', "\r\n"));
    }
    let _daemon = Daemon::start(&config);
    wait_for("all on record", || {
        let listed = config.run(&["journal", "list", "--all", "--format", "json"]).stdout;
        (listed.matches("unproven_origin").count() == 8).then_some(())
    });
    // Two logins for the bounces at most, and two for the mailbox itself: then it is an hour's wait.
    assert!(hers.server.connections() <= 4, "{} logins", hers.server.connections());
    assert!(out.accepted().is_empty());
}
