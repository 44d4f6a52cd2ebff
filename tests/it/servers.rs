//! The harness itself: if these fail, no other story says anything.

use crate::harness::{Answer, DOMAIN, Dovecot, Letter, Postfix, ScriptedSmtp, Step, postfix, send_mail, servers_here};

#[test]
fn a_refused_letter_comes_back_to_its_author_and_a_copy_to_the_central_mailbox() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let chen = format!("chen@{DOMAIN}");
    let bounces = format!("bounces@{DOMAIN}");
    let remote = ScriptedSmtp::start();
    remote.on(Step::Rcpt, "nobody@", Answer::Reply("550 5.1.1 <nobody@example.net>: no such user".to_owned()));
    let dovecot = Dovecot::start(&[&chen, &bounces]);
    let options = postfix::Options {
        relay: Some(remote.address),
        copies_to: Some(bounces.clone()),
        ..postfix::Options::default()
    };
    let postfix = Postfix::start(&dovecot, &options);

    let good = Letter::new("chen", "lee@example.net", "good");
    send_mail(postfix.smtp, &chen, &[&good.to], &good.text());
    let bad = Letter::new("chen", "nobody@example.net", "bad");
    send_mail(postfix.smtp, &chen, &[&bad.to], &bad.text());

    let own = dovecot.inbox(&chen).wait_for("the bounce", |it| it.text().contains("no such user"));
    assert_eq!(own.header("Return-Path"), "<>");
    let copy = dovecot.inbox(&bounces).wait_for("the copy", |it| it.text().contains("no such user"));
    assert!(copy.text().contains(&bad.message_id));
    let accepted = crate::harness::wait_for("the good letter", || remote.accepted().pop());
    assert_eq!(accepted.header("Message-ID"), good.message_id);
}
