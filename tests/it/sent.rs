//! The author's Sent folder as the proof that a bounced letter was really written here.

use crate::harness::{BOUNCES, Bounce, CHEN, Config, Dovecot, LI, Letter, ScriptedSmtp, servers_here};

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
