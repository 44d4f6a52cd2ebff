//! What happens to a service over the years: clocks jump, certificates end, names cannot be asked,
//! a journal is damaged, rights are few.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
};

use crate::harness::{
    Authority, BOUNCES, Bounce, CHEN, Config, Daemon, Desk, Letter, PASSWORD, Scratch, Step, free_address,
    servers_here, skip, wait_for, wait_longer,
};

/// Debian's place for it, on the machines that CI has.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
fn a_clock_that_jumps_silences_nothing_and_repeats_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    if !Path::new(FAKETIME).exists() {
        assert!(std::env::var_os("WHYBOUNCED_REQUIRE_SERVERS").is_none(), "libfaketime is not installed");
        skip("libfaketime is not installed");
        return;
    }
    let mut desk = Desk::open().without_limits();
    desk.config.set("policy.max_age", "30d");
    let clock = desk.config.path("clock");
    // Renamed into place: it is read at every look at the clock.
    let set = |offset: &str| {
        let aside = desk.config.path("clock.new");
        fs::write(&aside, format!("{offset}\n")).expect("our own directory");
        fs::rename(aside, &clock).expect("our own directory");
    };
    set("+0");
    let environment = [
        ("LD_PRELOAD", FAKETIME.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ];
    let mut daemon = Daemon::spawn_through(&desk.config, &[], &environment);
    daemon.wait_for_notice("READY=1");
    let mut letters = Vec::new();
    for (offset, name) in [("+0", "now"), ("+5d", "days-ahead"), ("-3d", "days-back"), ("+0", "now-again")] {
        set(offset);
        let letter = desk.bounce("chen", name);
        desk.wait_explained(&letter);
        letters.push(letter);
    }
    // The way out is shut five days ahead; then the clock is set right, and the pause lies in the future.
    set("+5d");
    desk.out.reply(Step::Mail, "451 4.3.0 not now");
    letters.push(desk.bounce("chen", "held-up"));
    daemon.wait_for_log("the outbox pauses");
    set("+0");
    desk.out.forgive();
    wait_longer("what was put off into the far future", || {
        desk.answered().contains(&letters[4].message_id).then_some(())
    });
    assert!(daemon.is_running());
    let answered = desk.answered();
    assert_eq!(answered.len(), letters.len(), "each once: {answered:?}");
}

#[test]
fn a_certificate_is_replaced_or_expires_and_the_mailbox_waits_untouched() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    let scratch = Scratch::new();
    let trusted = desk.config.path("trusted.pem");
    fs::copy(&desk.dovecot.authority.ca_file, &trusted).expect("our own directory");
    desk.config.set("mailbox.0.tls", "implicit").set("mailbox.0.port", i64::from(desk.dovecot.imaps.port()));
    desk.config.set("mailbox.0.ca_file", trusted.display().to_string());
    let mut daemon = Daemon::start(&desk.config);
    let first = desk.bounce("chen", "first");
    desk.wait_explained(&first);

    let expired = Authority::until(&scratch, "expired", 2020);
    let newer = Authority::new(&scratch, "newer");
    for (authority, said) in [(&expired, "expired"), (&newer, "certificate")] {
        desk.dovecot.stop();
        let letter = desk.bounce("chen", said);
        desk.dovecot.replace_certificate(authority);
        // The authority is trusted in the first case: it is the date that is wrong.
        if said == "expired" {
            fs::copy(&authority.ca_file, &trusted).expect("our own directory");
        }
        desk.dovecot.start_again();
        let checked = desk.config.run(&["check"]);
        let told = checked.stdout + &checked.stderr;
        assert!(checked.status == 69 && told.contains(said), "{told}");
        let lies = desk.inbox().mails().into_iter().find(|it| it.text().contains(&letter.message_id));
        assert_eq!(lies.map(|it| it.flags), Some(String::new()), "untouched");
        assert!(daemon.is_running());
    }
    fs::copy(&newer.ca_file, &trusted).expect("our own directory");
    daemon.signal("HUP");
    daemon.wait_for_notice("READY=1");
    let last = desk.bounce("chen", "last");
    desk.wait_explained(&last);
    wait_for("what came meanwhile", || (desk.out.accepted().len() == 4).then_some(()));
}

#[test]
fn without_dns_the_explanation_comes_all_the_same() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    desk.config.set("evidence.enabled", true).set("evidence.budget", "2s");
    desk.config.set("evidence.resolvers", vec![free_address().to_string()]);
    let mut letter = Letter::new("chen", "nobody@buyer-of-ours.com", "first");
    letter.more = String::new();
    let mut bounce = Bounce::of(&letter);
    (bounce.status, bounce.diagnostic) = ("5.1.2", "550 5.1.2 Host unknown (Name server: host not found)".to_owned());
    desk.inbox().deliver(bounce.text().as_bytes());
    let mut daemon = Daemon::start(&desk.config);
    desk.wait_explained(&letter);
    assert!(daemon.is_running());
}

#[test]
fn a_damaged_journal_is_refused_and_a_new_one_is_filled_from_the_inbox() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let mut daemon = Daemon::start(&desk.config);
    let first = desk.bounce("chen", "first");
    desk.wait_explained(&first);
    desk.inbox().wait_for("the bounce marked", |it| it.flags.contains('S'));
    assert!(daemon.terminate().0.success());
    let journal = desk.config.path("journal.db");
    let sound = fs::read(&journal).expect("the journal");
    fs::write(&journal, vec![0x5a; sound.len()]).expect("our own file");
    let second = desk.bounce("chen", "second");
    for command in [&["run"][..], &["check"], &["journal", "list"]] {
        let done = desk.config.run(command);
        let said = done.stdout + &done.stderr;
        assert!(done.status != 0 && said.contains("the journal is damaged"), "{command:?}: {said}");
    }
    assert_eq!(desk.out.accepted().len(), 1, "nothing is sent that is not on record");
    // As docs/operations.md says: aside with it, and start.
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(desk.config.path(name));
    }
    let _daemon = Daemon::start(&desk.config);
    desk.wait_explained(&second);
    wait_for("both on record again", || (desk.journal().lines().count() == 2).then_some(()));
    let ids: BTreeSet<(String, String)> =
        desk.out.accepted().iter().map(|it| (it.header("In-Reply-To"), it.header("Message-ID"))).collect();
    assert_eq!(ids.len(), 2, "what is told again has the same Message-ID: {ids:?}");
}

#[test]
fn two_daemons_with_journals_of_their_own_write_under_one_message_id() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let mut other = Config::new();
    other.central(&desk.dovecot, BOUNCES).smtp(desk.out.address).set("mailbox.0.poll_interval", "1s");
    let (_one, _two) = (Daemon::start(&desk.config), Daemon::start(&other));
    let letter = desk.bounce("chen", "first");
    desk.wait_explained(&letter);
    desk.all_dealt_with();
    wait_for("both to have it on record", || {
        let listed = other.run(&["journal", "list", "--all", "--format", "json"]).stdout;
        (listed.lines().count() == 2).then_some(())
    });
    let ids: BTreeSet<String> = desk
        .out
        .accepted()
        .iter()
        .filter(|it| it.header("In-Reply-To") == letter.message_id)
        .map(|it| it.header("Message-ID"))
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

/// `nobody`, on every Debian.
const NOBODY: u32 = 65_534;

#[test]
fn it_works_for_a_user_without_any_rights_and_keeps_its_secrets() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    let state = desk.config.path("home");
    fs::create_dir(&state).expect("our own directory");
    chown(&state, Some(NOBODY), Some(NOBODY)).expect("root may");
    desk.config.set("journal.url", format!("sqlite:{}", state.join("state/journal.db").display()));
    desk.config.smtp_login("why@corp.example.cn", PASSWORD).set("smtp.tls", "none").set("log.filter", "trace");
    desk.config.file();
    let root = state.parent().expect("a parent").to_owned();
    for entry in fs::read_dir(&root).expect("our own directory").flatten() {
        chown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    chown(&root, Some(NOBODY), Some(NOBODY)).expect("root may");
    let unprivileged = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ];
    let letter = desk.bounce("chen", "first");
    let mut daemon = Daemon::spawn_through(&desk.config, &unprivileged, &[]);
    desk.wait_explained(&letter);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let field = |name: &str| status.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert_eq!((field("NoNewPrivs:").as_str(), field("CapEff:").trim_matches('0')), ("1", ""), "{status}");
    assert!(field("Uid:").starts_with("65534"), "{status}");

    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&state.join("state")), 0o700);
    let mut seen = vec![daemon.log().into_bytes(), daemon.command_line().into_bytes()];
    seen.push(fs::read(format!("/proc/{}/environ", daemon.pid())).expect("it runs"));
    for entry in fs::read_dir(state.join("state")).expect("its own directory").flatten() {
        let path = entry.path();
        assert_eq!((mode(&path), fs::metadata(&path).expect("there").uid()), (0o600, NOBODY), "{}", path.display());
        seen.push(fs::read(path).expect("a file"));
    }
    // Passwords as they are and as AUTH PLAIN carries them, and what the letter said.
    for secret in [PASSWORD, "Y29ycmVjdCBob3JzZSA0Mg", "AGNvcnJlY3QgaG9yc2UgNDI", "SECRET-BODY-WORDS"] {
        let found = seen.iter().any(|it| it.windows(secret.len()).any(|part| part == secret.as_bytes()));
        assert!(!found, "{secret} was found");
    }
    assert!(daemon.terminate().0.success());
    // Root, who is not the owner, is told how to ask as the owner.
    let refused = desk.config.run(&["journal", "list"]);
    assert!(refused.status != 0 && refused.stderr.contains("hint: runuser -u nobody -- "), "{}", refused.stderr);
    assert_eq!(desk.out.accepted()[0].to, [CHEN]);
}
