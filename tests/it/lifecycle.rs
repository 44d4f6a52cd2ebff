//! Start, stop, reload, and the machine's ways to interrupt us.

use std::{collections::BTreeMap, time::Duration};

use crate::harness::{
    Answer, BOUNCES, Bounce, CHEN, Company, Config, Daemon, Desk, Letter, PASSWORD, ScriptedSmtp, Step, free_address,
    servers_here, wait_for,
};

/// How often each letter was explained, and under how many Message-IDs.
fn explained(out: &ScriptedSmtp) -> BTreeMap<String, (usize, usize)> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in out.accepted() {
        ids.entry(mail.header("In-Reply-To")).or_default().push(mail.header("Message-ID"));
    }
    let count = |mut ids: Vec<String>| {
        let all = ids.len();
        ids.sort();
        ids.dedup();
        (all, ids.len())
    };
    ids.into_iter().map(|(letter, ids)| (letter, count(ids))).collect()
}

#[test]
fn sigterm_ends_it_within_five_seconds_while_it_idles() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open().without_limits();
    desk.config.set("mailbox.0.poll_interval", "10m");
    let mut daemon = Daemon::start(&desk.config);
    let letter = desk.bounce("chen", "first");
    desk.wait_explained(&letter);
    let (status, took) = daemon.terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "took {took:?}");
    daemon.wait_for_notice("STOPPING=1");
}

#[test]
fn sigterm_ends_it_within_five_seconds_while_a_server_says_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for step in [Step::Connect, Step::Ehlo, Step::Mail, Step::Rcpt] {
        let desk = Desk::open().without_limits();
        desk.out.on(step, "", Answer::Silence);
        let mut daemon = Daemon::start(&desk.config);
        desk.bounce("chen", "first");
        wait_for("a connection", || (desk.out.connections() > 0).then_some(()));
        let (_, took) = daemon.terminate();
        assert!(took < Duration::from_secs(5), "at {step:?} it took {took:?}");
    }
}

#[test]
fn it_says_ready_once_it_works_and_alive_as_long_as_it_does() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let mut daemon = Daemon::spawn_watched(&desk.config, Duration::from_secs(2));
    daemon.wait_for_notice("READY=1");
    daemon.wait_for_notice("WATCHDOG=1");
    daemon.wait_for_notice("WATCHDOG=1");
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open().without_limits();
    let letter = desk.bounce("chen", "first");
    desk.dovecot.stop();
    let mut daemon = Daemon::start(&desk.config);
    daemon.wait_for_log(&desk.dovecot.imap.port().to_string());
    let checked = desk.config.run(&["check"]);
    assert_eq!(checked.status, 69, "{}{}", checked.stdout, checked.stderr);
    assert!(daemon.is_running());
    desk.dovecot.start_again();
    desk.wait_explained(&letter);
    // And away once more, between two bounces.
    desk.dovecot.stop();
    let letter = desk.bounce("chen", "second");
    desk.dovecot.start_again();
    desk.wait_explained(&letter);
    assert_eq!(desk.config.run(&["check"]).status, 0);
}

#[test]
fn a_reload_takes_the_new_configuration_and_keeps_the_old_one_if_the_new_one_is_wrong() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open().without_limits();
    desk.config.set("policy.mode", "dry_run");
    let mut daemon = Daemon::start(&desk.config);
    let first = desk.bounce("chen", "first");
    wait_for("the journal's entry", || {
        desk.config.run(&["journal", "list", "--format", "json"]).stdout.contains(&first.to).then_some(())
    });

    desk.config.set("policy.mode", "live");
    desk.config.file();
    daemon.signal("HUP");
    daemon.wait_for_notice("READY=1");
    let second = desk.bounce("chen", "second");
    desk.wait_explained(&second);

    desk.config.set("policy.nonsense", 1);
    desk.config.file();
    daemon.signal("HUP");
    daemon.wait_for_log("nonsense");
    let third = desk.bounce("chen", "third");
    desk.wait_explained(&third);
    assert!(daemon.is_running());
    assert!(!explained(&desk.out).contains_key(&first.message_id), "what a dry run saw stays unanswered");
}

#[test]
fn killed_before_the_message_was_sent_it_explains_exactly_once() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for step in [Step::Connect, Step::Mail, Step::Rcpt, Step::Data] {
        let desk = Desk::open().without_limits();
        desk.out.on(step, "", Answer::Silence);
        let mut daemon = Daemon::start(&desk.config);
        let letter = desk.bounce("chen", "first");
        wait_for("a connection", || (desk.out.connections() > 0).then_some(()));
        daemon.kill();
        desk.out.forgive();
        let _daemon = Daemon::start(&desk.config);
        desk.wait_explained(&letter);
        let last = desk.bounce("chen", "last");
        desk.wait_explained(&last);
        assert_eq!(
            explained(&desk.out),
            BTreeMap::from([(letter.message_id, (1, 1)), (last.message_id, (1, 1))]),
            "{step:?}"
        );
    }
}

#[test]
fn killed_while_the_final_dot_is_unanswered_it_sends_once_more_under_the_same_message_id() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open().without_limits();
    desk.out.on(Step::Dot, "", Answer::AcceptThenSilence);
    let mut daemon = Daemon::start(&desk.config);
    let letter = desk.bounce("chen", "first");
    desk.wait_explained(&letter);
    daemon.kill();
    desk.out.forgive();
    let _daemon = Daemon::start(&desk.config);
    wait_for("the second copy", || (desk.out.accepted().len() > 1).then_some(()));
    let last = desk.bounce("chen", "last");
    desk.wait_explained(&last);
    assert_eq!(explained(&desk.out), BTreeMap::from([(letter.message_id, (2, 1)), (last.message_id, (1, 1))]));
}

#[test]
fn killed_again_and_again_under_load_it_loses_nothing_and_explains_nothing_twice() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    let mut config = company.config_with_login();
    config.set("smtp.user", BOUNCES).smtp_login(BOUNCES, PASSWORD);
    for limit in ["limit_person", "limit_total", "breaker"] {
        config.set(&format!("policy.{limit}"), "off");
    }
    let letters: Vec<Letter> =
        (0..24).map(|number| Letter::new("chen", "nobody@example.net", &format!("number-{number}"))).collect();
    let inbox = company.inbox(CHEN);
    let mut kills = 0;
    for batch in letters.chunks(6) {
        let before = inbox.explanations().len();
        for letter in batch {
            company.inbox(BOUNCES).deliver(Bounce::of(letter).text().as_bytes());
        }
        let mut daemon = Daemon::start(&config);
        // In the midst of the batch, wherever it is by then.
        wait_for("some explanations", || (inbox.explanations().len() >= before + 2).then_some(()));
        daemon.kill();
        kills += 1;
    }
    let _daemon = Daemon::start(&config);
    for letter in &letters {
        inbox.wait_for("the explanation", |it| it.is_explanation() && it.header("In-Reply-To") == letter.message_id);
    }
    let mut ids: Vec<String> = inbox.explanations().iter().map(|it| it.header("Message-ID")).collect();
    let copies = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), letters.len(), "one Message-ID a letter");
    assert!(copies - ids.len() <= kills, "at most one copy more a kill, and only if it fell inside the final dot");
}

#[test]
fn a_wrong_configuration_is_told_with_its_place_and_status_78() {
    let mut config = Config::new();
    config.smtp(free_address()).set("mailbox.0.host", "127.0.0.1").set("mailbox.0.user", BOUNCES);
    config.set("mailbox.0.password_file", "/nonexistent").set("policy.max_agee", "3d");
    for command in [&["run"][..], &["check"], &["journal", "list"]] {
        let done = config.run(command);
        assert_eq!(done.status, 78, "{command:?}: {}", done.stderr);
        let place = format!("{}:", config.path("config.toml").display());
        let said = done.stdout + &done.stderr;
        assert!(said.contains(&place) && said.contains("max_agee"), "{said}");
        assert!(said.contains("max_age`"), "the nearest key is named: {said}");
    }
    for (key, value) in [("domains", "*"), ("domains", "qq.com")] {
        let mut config = Config::new();
        config.set("mailbox.0.maildir", "/nonexistent").set("smtp.directory", "/nonexistent");
        config.set("smtp.from", "why@corp.example.cn").set(key, vec![value]);
        let done = config.run(&["run", "--once"]);
        assert_eq!(done.status, 78, "{value}: {}", done.stderr);
    }
}
