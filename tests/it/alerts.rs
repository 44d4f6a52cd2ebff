//! What the administrator is told, and what people are told together: once, with its end, to nobody else.

use crate::harness::{Answer, BOUNCES, CHEN, Daemon, Desk, Step, servers_here, wait_for};

const IT: &str = "it@admin.example";

/// A desk whose administrator is told.
fn desk() -> Desk {
    let mut desk = Desk::open();
    desk.config.set("alerts.to", IT).set("language", "en");
    desk
}

/// The subjects of what the administrator got.
fn told(desk: &Desk) -> Vec<String> {
    let mine = desk.out.accepted().into_iter().filter(|it| it.to == [IT.to_owned()]);
    let subject = |text: &str| {
        let parsed = mail_parser::MessageParser::default().parse(text.as_bytes()).expect("a message");
        parsed.subject().unwrap_or_default().to_owned()
    };
    mine.map(|it| subject(&it.text)).collect()
}

#[track_caller]
fn wait_told(desk: &Desk, what: &str) {
    wait_for(&format!("the alert {what:?}"), || told(desk).iter().any(|it| it.contains(what)).then_some(()));
}

#[test]
fn a_shut_channel_is_told_once_with_its_end() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = desk();
    desk.out.reply(Step::Mail, "550 5.7.1 not from you");
    let letter = desk.bounce("chen", "first");
    let mut daemon = Daemon::start(&desk.config);
    daemon.wait_for_log("the administrator is told");
    assert!(daemon.terminate().0.success());
    desk.out.forgive();
    // A restart probes at once, and tells nothing twice.
    let _daemon = Daemon::start(&desk.config);
    desk.wait_explained(&letter);
    wait_told(&desk, "over: No explanation can be sent");
    assert_eq!(told(&desk).len(), 2, "{:?}", told(&desk));
    let alert = desk.out.accepted().into_iter().find(|it| it.to == [IT.to_owned()]).expect("an alert");
    assert!(!alert.header("X-Whybounced").is_empty() && alert.header("Auto-Submitted") == "auto-replied");
    assert_eq!(alert.from, "", "a null reverse-path, as all our mail");
}

#[test]
fn a_refused_login_is_told_with_its_end() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = desk();
    let right = std::fs::read_to_string(desk.dovecot.users_file()).expect("our own file");
    let wrong = right.replace(crate::harness::PASSWORD, "another password");
    std::fs::write(desk.dovecot.users_file(), wrong).expect("our own file");
    let mut daemon = Daemon::start(&desk.config);
    wait_told(&desk, "is refused");
    assert!(told(&desk)[0].contains(BOUNCES), "{:?}", told(&desk));
    assert!(daemon.terminate().0.success());
    std::fs::write(desk.dovecot.users_file(), right).expect("our own file");
    desk.config.set("mailbox.0.poll_interval", "2s");
    let _daemon = Daemon::start(&desk.config);
    wait_told(&desk, "over: ");
    assert_eq!(told(&desk).len(), 2, "{:?}", told(&desk));
}

#[test]
fn a_refused_explanation_is_told_to_the_administrator_and_to_nobody_else() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = desk();
    desk.out.on(Step::Rcpt, "<gone@", Answer::Reply("550 5.1.1 no such user here".to_owned()));
    // Nor is a refused alert told: that would be a loop.
    desk.out.on(Step::Rcpt, "<it@", Answer::Reply("550 5.1.1 no such administrator".to_owned()));
    let _daemon = Daemon::start(&desk.config);
    desk.bounce("gone", "refused");
    let alerts = || desk.out.commands().iter().filter(|it| it.contains(IT)).count();
    wait_for("the alert's attempt", || (alerts() == 1).then_some(()));
    let letter = desk.bounce("chen", "taken");
    desk.wait_explained(&letter);
    let story = desk.config.run(&["journal", "list", "--format", "json"]).stdout;
    assert!(story.contains("gone@"), "{story}");
    assert_eq!((desk.out.accepted().len(), alerts()), (1, 1));
}

#[test]
fn what_only_we_can_mend_is_told_to_the_administrator() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = desk();
    for name in ["one", "two", "three"] {
        let letter = crate::harness::Letter::new("chen", "nobody@example.net", name);
        let mut bounce = crate::harness::Bounce::of(&letter);
        bounce.status = "5.7.1";
        bounce.diagnostic =
            "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org".to_owned();
        desk.inbox().deliver(bounce.text().as_bytes());
    }
    let _daemon = Daemon::start(&desk.config);
    wait_told(&desk, "blocklisted");
    desk.all_dealt_with();
    assert_eq!(told(&desk).len(), 1, "{:?}", told(&desk));
    let alert = desk.out.accepted().into_iter().find(|it| it.to == [IT.to_owned()]).expect("an alert");
    let body = mail_parser::MessageParser::default().parse(alert.text.as_bytes()).expect("a message");
    let body = body.body_text(0).expect("text").into_owned();
    assert!(!body.contains("chen@"), "people are named only if that is wanted: {body}");
}

#[test]
fn the_breaker_holds_everything_tells_the_administrator_and_each_person_gets_one_mail() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = desk();
    desk.config.set("policy.breaker", "3/10m").set("policy.gather", "1s");
    for number in 0..6 {
        desk.bounce("chen", &format!("burst-{number}"));
    }
    desk.bounce("li", "li-alone");
    let _daemon = Daemon::start(&desk.config);
    wait_told(&desk, "Explanations are held");
    wait_for("all on record", || (desk.journal().lines().count() == 7).then_some(()));
    assert_eq!(told(&desk).len(), desk.out.accepted().len(), "nobody else gets a mail");
    let released = desk.config.run(&["journal", "retry", "--held"]);
    assert_eq!(released.status, 0, "{}", released.stderr);
    wait_told(&desk, "over: ");
    let to =
        |person: &str| desk.out.accepted().into_iter().filter(|it| it.to == [person.to_owned()]).collect::<Vec<_>>();
    wait_for("one mail each", || (to(CHEN).len() == 1 && to("li@corp.example.cn").len() == 1).then_some(()));
    assert_eq!(to(CHEN)[0].header("Subject"), "6 mails of yours could not be delivered");
    assert!(!to("li@corp.example.cn")[0].header("In-Reply-To").is_empty(), "a single one is the explanation itself");
    assert_eq!(desk.journal().matches("digested").count(), 6, "{}", desk.journal());
}

#[test]
fn in_a_dry_run_nobody_gets_a_digest() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = desk();
    desk.config.set("policy.breaker", "1/10m").set("policy.gather", "1s");
    for number in 0..3 {
        desk.bounce("chen", &format!("burst-{number}"));
    }
    let mut daemon = Daemon::start(&desk.config);
    wait_told(&desk, "Explanations are held");
    wait_for("all on record", || (desk.journal().lines().count() == 3).then_some(()));
    assert!(daemon.terminate().0.success());
    desk.config.set("policy.mode", "dry_run");
    assert_eq!(desk.config.run(&["journal", "retry", "--held"]).status, 0);
    let mut daemon = Daemon::start(&desk.config);
    wait_told(&desk, "over: ");
    // Whoever tells the end looks for digests next, and finishes what it has begun.
    assert!(daemon.terminate().0.success());
    assert_eq!(desk.journal().matches("digested").count(), 0, "{}", desk.journal());
    desk.config.set("policy.mode", "live");
    let _daemon = Daemon::start(&desk.config);
    wait_for("the digest", || desk.out.accepted().iter().any(|it| it.to == [CHEN.to_owned()]).then_some(()));
}

#[test]
fn without_alerts_to_the_administrator_gets_no_mail() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    desk.config.set("policy.breaker", "1/10m").set("policy.gather", "1s");
    for number in 0..3 {
        desk.bounce("chen", &format!("burst-{number}"));
    }
    let daemon = Daemon::start(&desk.config);
    daemon.wait_for_log("recorded; held");
    drop(daemon);
    let mut daemon = Daemon::start(&desk.config);
    assert!(daemon.terminate().0.success());
    assert_eq!(desk.out.accepted().len(), 0);
    // Nor does it count as told: whoever is named later hears of it.
    desk.config.set("alerts.to", IT).set("language", "en");
    let _daemon = Daemon::start(&desk.config);
    wait_told(&desk, "Explanations are held");
}
