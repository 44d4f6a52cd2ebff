//! The wire to the mailbox and to the submission server is cut, noised and held: nothing lost, nothing twice.

use std::{collections::BTreeSet, time::Duration};

use crate::harness::{
    BOUNCES, Bounce, CHEN, Company, Config, Daemon, Desk, Dovecot, Fault, Letter, Maildir, Proxy, ScriptedSmtp, Way,
    servers_here, wait_for, wait_longer,
};

/// Points of an IMAP conversation, in bytes from the server: greeting, login, SELECT, search, fetch.
const IMAP_CUTS: [usize; 12] = [0, 1, 60, 150, 400, 700, 1000, 1300, 1700, 2200, 3000, 4000];
/// Points of an SMTP conversation, in bytes to the server: EHLO, MAIL, RCPT, DATA.
const SMTP_CUTS: [usize; 4] = [0, 8, 20, 45];

/// A mailbox behind a proxy with three bounces in it.
fn behind(faults: &[Fault]) -> (Dovecot, Proxy, ScriptedSmtp, Config, BTreeSet<String>) {
    let dovecot = Dovecot::start(&[BOUNCES]);
    let proxy = Proxy::start(dovecot.imap, faults);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.central(&dovecot, BOUNCES).smtp(out.address);
    config.set("mailbox.0.port", i64::from(proxy.address.port())).set("mailbox.0.poll_interval", "1s");
    let letters = ["one", "two", "three"].map(|name| Letter::new("chen", "nobody@example.net", name));
    for letter in &letters {
        dovecot.inbox(BOUNCES).deliver(Bounce::of(letter).text().as_bytes());
    }
    let ids = letters.iter().map(|it| it.message_id.clone()).collect();
    (dovecot, proxy, out, config, ids)
}

/// Waits until each letter is explained, then for the flags, and that nothing was said twice.
#[track_caller]
fn assert_each_explained_once(inbox: &Maildir, out: &ScriptedSmtp, letters: &BTreeSet<String>, what: &str) {
    wait_for(&format!("all explanations ({what})"), || {
        let answered: BTreeSet<String> = out.accepted().iter().map(|it| it.header("In-Reply-To")).collect();
        letters.is_subset(&answered).then_some(())
    });
    wait_for(&format!("all bounces marked ({what})"), || {
        inbox.mails().iter().all(|it| it.flags.contains('S')).then_some(())
    });
    assert_eq!(out.accepted().len(), letters.len(), "{what}");
}

#[test]
fn a_mailbox_connection_cut_at_any_byte_loses_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for cuts in IMAP_CUTS.chunks(3) {
        let faults: Vec<Fault> = cuts.iter().map(|bytes| Fault::Cut(Way::FromServer, *bytes)).collect();
        let (dovecot, proxy, out, config, letters) = behind(&faults);
        let mut daemon = Daemon::start(&config);
        assert_each_explained_once(&dovecot.inbox(BOUNCES), &out, &letters, &format!("{cuts:?}"));
        assert!(proxy.connections() > 0 && daemon.is_running());
    }
}

#[test]
fn a_command_to_the_mailbox_cut_in_the_middle_loses_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for cuts in [[5, 60, 110], [150, 200, 260]] {
        let (dovecot, _proxy, out, config, letters) = behind(&cuts.map(|bytes| Fault::Cut(Way::ToServer, bytes)));
        let _daemon = Daemon::start(&config);
        assert_each_explained_once(&dovecot.inbox(BOUNCES), &out, &letters, &format!("{cuts:?}"));
    }
}

#[test]
fn noise_from_the_mailbox_server_harms_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for points in [[0, 300], [900, 1500]] {
        let (dovecot, _proxy, out, config, letters) = behind(&points.map(Fault::Garbage));
        let mut daemon = Daemon::start(&config);
        assert_each_explained_once(&dovecot.inbox(BOUNCES), &out, &letters, &format!("{points:?}"));
        assert!(daemon.is_running());
        assert!(daemon.peak_memory() < 200, "{} MiB", daemon.peak_memory());
    }
}

#[test]
fn sigterm_ends_it_within_five_seconds_while_the_mailbox_says_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for bytes in [0, 60, 700, 1500] {
        let (_dovecot, proxy, _out, config, _letters) = behind(&[Fault::Stall(bytes)]);
        let mut daemon = Daemon::start(&config);
        wait_for("a connection", || (proxy.connections() > 0).then_some(()));
        let (_, took) = daemon.terminate();
        assert!(took < Duration::from_secs(5), "stalled after {bytes} bytes, it took {took:?}");
    }
}

#[test]
fn a_submission_cut_at_any_byte_loses_nothing() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    for bytes in SMTP_CUTS {
        let company = Company::open();
        let proxy = Proxy::start(company.postfix.smtp, &[Fault::Cut(Way::ToServer, bytes)]);
        let mut config = company.config();
        config.smtp(proxy.address);
        let letter = company.write_in_vain(CHEN, "first");
        let mut daemon = Daemon::start(&config);
        wait_for("a connection", || (proxy.connections() > 0).then_some(()));
        // A new process does not wait out the pause that the loss began.
        assert!(daemon.terminate().0.success());
        let _daemon = Daemon::start(&config);
        let explained = company.inbox(CHEN).wait_for_explanation();
        assert_eq!(explained.header("In-Reply-To"), letter.message_id, "cut after {bytes} bytes");
        assert_eq!(company.inbox(CHEN).explanations().len(), 1, "cut after {bytes} bytes");
    }
}

#[test]
fn a_submission_cut_inside_the_message_is_repeated_under_the_same_message_id() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let proxy = Proxy::start(desk.out.address, &[Fault::Cut(Way::ToServer, 600)]);
    let mut config = Config::new();
    config.central(&desk.dovecot, BOUNCES).smtp(proxy.address);
    let letter = desk.bounce("chen", "first");
    let _daemon = Daemon::start(&config);
    // The repetition waits a minute: whether the server has the message, nobody can tell.
    wait_longer("the repetition", || desk.answered().contains(&letter.message_id).then_some(()));
    assert_eq!(desk.out.accepted().len(), 1);
}
