//! The way out is shut, slow or choosy: the channel's trouble ends no explanation, the message's own does.

use crate::harness::{
    Answer, BOUNCES, Bounce, Config, Daemon, Dovecot, Letter, ScriptedSmtp, Step, servers_here, wait_for,
};

fn small() -> (Dovecot, ScriptedSmtp, Config) {
    let dovecot = Dovecot::start(&[BOUNCES]);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.central(&dovecot, BOUNCES).smtp(out.address).set("mailbox.0.poll_interval", "1s");
    (dovecot, out, config)
}

fn bounce(dovecot: &Dovecot, author: &str, name: &str) -> Letter {
    let letter = Letter::new(author, "nobody@example.net", name);
    dovecot.inbox(BOUNCES).deliver(Bounce::of(&letter).text().as_bytes());
    letter
}

#[track_caller]
fn wait_explained(out: &ScriptedSmtp, letter: &Letter) {
    wait_for("the explanation", || {
        out.accepted().iter().any(|it| it.header("In-Reply-To") == letter.message_id).then_some(())
    });
}

#[test]
fn a_channel_that_is_refused_ends_nothing_and_a_restart_finds_it_open_again() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for (step, line) in [
        (Step::Connect, "554 5.3.2 no service for you"),
        (Step::Ehlo, "502 5.5.1 no"),
        (Step::Mail, "550 5.7.1 too many messages from this sender, rate limited"),
        (Step::Rcpt, "451 4.7.1 over the quota of messages an hour, try later"),
    ] {
        let (dovecot, out, mut config) = small();
        config.set("smtp.reverse_path", "null");
        out.reply(step, line);
        let letter = bounce(&dovecot, "chen", "first");
        let mut daemon = Daemon::start(&config);
        wait_for("a connection", || (out.connections() > 0).then_some(()));
        daemon.wait_for_log(line);
        let other = bounce(&dovecot, "li", "other");
        assert!(daemon.terminate().0.success());
        assert_eq!(out.accepted().len(), 0);
        out.forgive();
        let _daemon = Daemon::start(&config);
        wait_explained(&out, &letter);
        wait_explained(&out, &other);
        assert_eq!(out.accepted().len(), 2);
    }
}

#[test]
fn a_refused_person_ends_that_explanation_and_no_other() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let (dovecot, out, config) = small();
    out.on(Step::Rcpt, "<gone@", Answer::Reply("550 5.1.1 no such user here".to_owned()));
    let _daemon = Daemon::start(&config);
    bounce(&dovecot, "gone", "refused");
    wait_for("the refusal", || out.commands().iter().any(|it| it.contains("<gone@")).then_some(()));
    let letter = bounce(&dovecot, "chen", "taken");
    wait_explained(&out, &letter);
    assert_eq!(out.commands().iter().filter(|it| it.contains("<gone@")).count(), 1, "not tried again");
    assert_eq!(out.accepted().len(), 1, "and nobody is told about it by mail");
}

#[test]
fn a_connection_lost_after_the_final_dot_is_tried_once_more_under_the_same_message_id() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let (dovecot, out, config) = small();
    out.on(Step::Dot, "", Answer::AcceptThenDisconnect);
    let letter = bounce(&dovecot, "chen", "first");
    let mut daemon = Daemon::start(&config);
    wait_explained(&out, &letter);
    daemon.wait_for_log("doubt");
    assert!(daemon.terminate().0.success());
    out.forgive();
    let _daemon = Daemon::start(&config);
    let other = bounce(&dovecot, "li", "other");
    wait_explained(&out, &other);
    let ids: Vec<String> = out
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
        let (dovecot, out, config) = small();
        out.on(step, "", Answer::Disconnect);
        let letter = bounce(&dovecot, "chen", "first");
        let mut daemon = Daemon::start(&config);
        wait_for("a connection", || (out.connections() > 0).then_some(()));
        daemon.kill();
        out.forgive();
        let _daemon = Daemon::start(&config);
        wait_explained(&out, &letter);
        assert_eq!(out.accepted().len(), 1, "{step:?}");
    }
}

#[test]
fn a_server_that_offers_no_starttls_gets_no_mail_in_the_clear() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let (dovecot, out, mut config) = small();
    config.set("smtp.tls", "starttls");
    bounce(&dovecot, "chen", "first");
    let daemon = Daemon::start(&config);
    daemon.wait_for_log("STARTTLS");
    assert!(out.commands().iter().all(|it| !it.starts_with("MAIL") && !it.starts_with("AUTH")), "{:?}", out.commands());
}
