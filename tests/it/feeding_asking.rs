//! A member forwards a bounce to the address and is told why; nobody else is.

use std::time::Duration;

use secrecy::SecretString;
use whybounced::{
    mail::{Mailbox as Address, MessageId},
    net::{Endpoint, Login, TlsMode},
    outbound::{ReversePathMode, Route, Sender, Settings as Outbound},
    outbox::Delivery,
    reply::Reply,
};

use crate::harness::{BOUNCES, Bounce, CHEN, Company, Daemon, LI, Letter, PASSWORD, send_mail, servers_here, wait_for};

/// A mail that forwards a bounce as an attachment, or quoted in its text; its Message-ID.
fn forward(from: &str, name: &str, inline: bool) -> (String, String) {
    let letter = Letter::new("chen", "nobody@example.net", name);
    let bounce = Bounce::of(&letter).text();
    let id = format!("<forward.{name}.{}@corp.example.cn>", std::process::id());
    let head =
        format!("From: {from}\nTo: {BOUNCES}\nSubject: Fwd: Undelivered Mail\nMessage-ID: {id}\nMIME-Version: 1.0\n");
    let text = if inline {
        format!(
            "{head}Content-Type: text/plain; charset=utf-8\n\nwhat is this?\n\n-------- Forwarded Message --------\n\
             Subject: Undelivered Mail Returned to Sender\nDate: Tue, 24 Nov 2026 09:00:00 +0800\n\
             From: MAILER-DAEMON@mail.corp.example.cn (Mail Delivery System)\nTo: chen@corp.example.cn\n\n\
             This is the mail system at host mail.corp.example.cn.\n\nI'm sorry to have to inform you that your message could not\n\
             be delivered to one or more recipients. It's attached below.\n\n\
             <nobody@example.net>: host mx.example.net[192.0.2.25] said: 550 5.1.1\n    <nobody@example.net>: Recipient address rejected: User unknown (in reply to\n    RCPT TO command)\n"
        )
    } else {
        format!(
            "{head}Content-Type: multipart/mixed; boundary=f\n\n--f\nContent-Type: text/plain\n\nwhat is this?\n\
             --f\nContent-Type: message/rfc822\n\n{bounce}\n--f--\n"
        )
    };
    (id, text)
}

/// Submits as a member does: STARTTLS and a login.
async fn submit(company: &Company, member: &str, message: &str) {
    let endpoint = Endpoint {
        host: company.postfix.submission.ip().to_string(),
        port: company.postfix.submission.port(),
        tls: TlsMode::StartTls,
        ca_file: Some(company.dovecot.authority.ca_file.clone()),
        tls_fingerprint: None,
        timeout: Duration::from_secs(10),
    };
    let login = Login::Password { user: member.to_owned(), password: SecretString::from(PASSWORD) };
    let route = Route::Smtp { endpoint, login: Some(login), reverse_path: ReversePathMode::From };
    let from = Address::parse(member).expect("an address");
    let reply = Reply {
        message_id: MessageId::parse("<unused@corp.example.cn>").expect("an id"),
        to: Address::parse(BOUNCES).expect("an address"),
        bytes: message.replace('\n', "\r\n").into_bytes(),
    };
    let attempt = Sender::new(Outbound { route, from }, None).deliver(&reply, || async { Ok(()) }).await;
    assert!(matches!(attempt.delivery, Delivery::Accepted(_)), "{attempt:?}");
}

#[tokio::test]
async fn a_member_who_forwards_a_bounce_is_answered_and_nobody_else() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let mut company = Company::open();
    // The last server's Received line is on top: one machine, one name.
    company.dovecot.add("hostname = mail.corp.example.cn\n");
    let mut config = company.config();
    config.set("policy.our_servers", vec!["mail.corp.example.cn"]);
    let _daemon = Daemon::start(&config);
    let answers = |member: &str| -> Vec<String> {
        company.inbox(member).explanations().iter().map(|it| it.header("In-Reply-To")).collect()
    };

    let (attached, text) = forward(LI, "attached", false);
    submit(&company, LI, &text).await;
    let (inline, text) = forward(CHEN, "inline", true);
    submit(&company, CHEN, &text).await;
    for (member, id) in [(LI, &attached), (CHEN, &inline)] {
        let answer = company.inbox(member).wait_for("the answer", |it| it.header("In-Reply-To") == *id);
        assert!(answer.body().contains("nobody@example.net"), "{}", answer.body());
    }

    // A stranger; and someone outside who calls himself Li.
    let (_, text) = forward("someone@example.net", "stranger", false);
    send_mail(company.postfix.smtp, "someone@example.net", &[BOUNCES], &text);
    let (_, text) = forward(LI, "unvouched", false);
    send_mail(company.postfix.smtp, LI, &[BOUNCES], &text);
    // Li asks on, and has five answers a day.
    for number in 1..=6 {
        let (_, text) = forward(LI, &format!("more{number}"), false);
        submit(&company, LI, &text).await;
    }
    let journal = || config.run(&["journal", "list", "--all", "--format", "json"]).stdout;
    wait_for("everything on record", || (journal().lines().count() >= 10).then_some(()));
    wait_for("the fifth answer", || (answers(LI).len() >= 5).then_some(()));
    let journal = journal();
    for reason in ["not_our_domain", "unproven_origin", "rate_limited_person"] {
        assert!(journal.contains(reason), "{reason}: {journal}");
    }
    assert_eq!((answers(LI).len(), answers(CHEN)), (5, vec![inline]));
    assert!(company.world.accepted().is_empty(), "nothing leaves the company");
}
