//! The way out is shut, slow or choosy: the channel's trouble ends no explanation, the message's own does.

use crate::harness::{Answer, Daemon, Desk, Step, servers_here, wait_for};

#[test]
fn a_channel_that_is_refused_ends_nothing_and_a_restart_finds_it_open_again() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for (step, line) in [
        (Step::Connect, "554 5.3.2 no service for you"),
        (Step::Ehlo, "502 5.5.1 no"),
        (Step::Mail, "550 5.7.1 too many messages from this sender, rate limited"),
        (Step::Rcpt, "451 4.7.1 rate limit exceeded, try later"),
    ] {
        let mut desk = Desk::open();
        desk.config.set("smtp.reverse_path", "null");
        desk.out.reply(step, line);
        let letter = desk.bounce("chen", "first");
        let mut daemon = Daemon::start(&desk.config);
        wait_for("a connection", || (desk.out.connections() > 0).then_some(()));
        daemon.wait_for_log(line);
        let other = desk.bounce("li", "other");
        assert!(daemon.terminate().0.success());
        assert_eq!(desk.out.accepted().len(), 0);
        desk.out.forgive();
        let _daemon = Daemon::start(&desk.config);
        desk.wait_explained(&letter);
        desk.wait_explained(&other);
        assert_eq!(desk.out.accepted().len(), 2);
    }
}

#[test]
fn a_refused_person_ends_that_explanation_and_no_other() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    desk.out.on(Step::Rcpt, "<gone@", Answer::Reply("550 5.1.1 no such user here".to_owned()));
    let _daemon = Daemon::start(&desk.config);
    desk.bounce("gone", "refused");
    wait_for("the refusal", || desk.out.commands().iter().any(|it| it.contains("<gone@")).then_some(()));
    let letter = desk.bounce("chen", "taken");
    desk.wait_explained(&letter);
    assert_eq!(desk.out.commands().iter().filter(|it| it.contains("<gone@")).count(), 1, "not tried again");
    assert_eq!(desk.out.accepted().len(), 1, "and nobody is told about it by mail");
}

#[test]
fn a_connection_lost_after_the_final_dot_is_tried_once_more_under_the_same_message_id() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    desk.out.on(Step::Dot, "", Answer::AcceptThenDisconnect);
    let letter = desk.bounce("chen", "first");
    let mut daemon = Daemon::start(&desk.config);
    desk.wait_explained(&letter);
    daemon.wait_for_log("the final dot was lost");
    assert!(daemon.terminate().0.success());
    desk.out.forgive();
    let _daemon = Daemon::start(&desk.config);
    let other = desk.bounce("li", "other");
    desk.wait_explained(&other);
    let ids: Vec<String> = desk
        .out
        .accepted()
        .iter()
        .filter(|it| it.header("In-Reply-To") == letter.message_id)
        .map(|it| it.header("Message-ID"))
        .collect();
    assert!(ids.len() <= 2 && ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[test]
fn a_connection_lost_earlier_leaves_no_doubt_and_one_explanation() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for step in [Step::Connect, Step::Ehlo, Step::Mail, Step::Rcpt, Step::Data] {
        let desk = Desk::open();
        desk.out.on(step, "", Answer::Disconnect);
        let letter = desk.bounce("chen", "first");
        let mut daemon = Daemon::start(&desk.config);
        wait_for("a connection", || (desk.out.connections() > 0).then_some(()));
        daemon.kill();
        desk.out.forgive();
        let _daemon = Daemon::start(&desk.config);
        desk.wait_explained(&letter);
        assert_eq!(desk.out.accepted().len(), 1, "{step:?}");
    }
}

#[test]
fn a_server_that_offers_no_starttls_gets_no_mail_in_the_clear() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    desk.config.set("smtp.tls", "starttls");
    desk.bounce("chen", "first");
    let daemon = Daemon::start(&desk.config);
    daemon.wait_for_log("STARTTLS");
    assert!(
        desk.out.commands().iter().all(|it| !it.starts_with("MAIL") && !it.starts_with("AUTH")),
        "{:?}",
        desk.out.commands()
    );
}

#[test]
fn what_waited_leaves_only_if_the_configuration_of_now_lets_it() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let list = |text: &str| toml::Value::from(vec![text]);
    for (key, value, why) in [
        ("policy.opt_out", list("chen@corp.example.cn"), "policy.opt_out"),
        ("domains", list("other.example.cn"), "not in domains"),
        ("policy.mode", toml::Value::from("dry_run"), "dry_run"),
    ] {
        let mut desk = Desk::open();
        desk.out.reply(Step::Mail, "451 4.3.0 not now");
        desk.bounce("chen", "held-up");
        let mut daemon = Daemon::start(&desk.config);
        daemon.wait_for_log("the outbox pauses");
        assert!(daemon.terminate().0.success());
        desk.out.forgive();
        desk.config.set(key, value);
        let daemon = Daemon::start(&desk.config);
        daemon.wait_for_log("a mail was not let out");
        assert!(daemon.log().contains(why), "{key}: {}", daemon.log());
        assert_eq!(desk.out.accepted().len(), 0, "{key}");
    }
}
