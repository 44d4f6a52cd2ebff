//! The way out: a real Postfix, a scripted server that refuses at each verb, and hostile ones.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use whybounced::{
    mail::{Mailbox, MessageId},
    net::{Endpoint, Login, TlsMode},
    outbound::{Attempt, PathChoice, ReversePathMode, Route, Sender, Settings},
    outbox::{Delivery, Stage},
    reply::Reply,
};

use crate::{
    harness::{
        Answer, BOUNCES, CHEN, Company, PASSWORD, Postfix, ScriptedSmtp, Step, WHY, postfix, servers_here, wait_for,
    },
    peer::{Peer, Scripted},
};

fn endpoint(address: SocketAddr, tls: TlsMode) -> Endpoint {
    Endpoint {
        host: address.ip().to_string(),
        port: address.port(),
        tls,
        ca_file: None,
        tls_fingerprint: None,
        timeout: Duration::from_secs(5),
    }
}

fn settings(endpoint: Endpoint, login: Option<&str>, reverse_path: ReversePathMode) -> Settings {
    let login = login.map(|user| Login::Password { user: user.to_owned(), password: SecretString::from(PASSWORD) });
    Settings { route: Route::Smtp { endpoint, login, reverse_path }, from: Mailbox::parse(WHY).expect("an address") }
}

/// A sender without login over plain text, the null path by `auto`.
fn plain(address: SocketAddr) -> Sender {
    Sender::new(settings(endpoint(address, TlsMode::None), None, ReversePathMode::Auto), None)
}

fn reply(to: &str, name: &str) -> Reply {
    let message_id = MessageId::parse(&format!("<{name}@corp.example.cn>")).expect("an id");
    let text = format!("From: {WHY}\r\nMessage-ID: {message_id}\r\nSubject: {name}\r\n\r\n.dot\r\nend\r\n");
    Reply { message_id, to: Mailbox::parse(to).expect("an address"), bytes: text.into_bytes() }
}

async fn deliver(sender: &mut Sender, reply: &Reply) -> Attempt {
    sender.deliver(reply, || async { Ok(()) }).await
}

fn is_accepted(attempt: &Attempt) -> bool {
    matches!(attempt.delivery, Delivery::Accepted(_))
}

#[tokio::test]
async fn postfix_takes_the_null_path_over_both_kinds_of_tls_on_one_connection() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    for (address, tls) in
        [(company.postfix.submission, TlsMode::StartTls), (company.postfix.submissions, TlsMode::Implicit)]
    {
        let mut endpoint = endpoint(address, tls);
        endpoint.ca_file = Some(company.dovecot.authority.ca_file.clone());
        let mut sender = Sender::new(settings(endpoint, Some(WHY), ReversePathMode::Auto), None);
        let first = deliver(&mut sender, &reply(CHEN, &format!("{tls:?}-1"))).await;
        assert!(is_accepted(&first), "{first:?}");
        assert_eq!(first.learned, Some(PathChoice::Null));
        let second = deliver(&mut sender, &reply(CHEN, &format!("{tls:?}-2"))).await;
        assert_eq!((is_accepted(&second), second.learned), (true, None));
        sender.close().await;
        let mail = company.inbox(CHEN).wait_for("the mail", |it| it.header("Subject") == format!("{tls:?}-2"));
        assert_eq!(mail.header("Return-Path"), "<>");
        assert!(mail.text().ends_with("\n.dot\nend\n"), "{}", mail.text());
    }
    // One connection each: `disconnect from … mail=2`.
    let log = company.postfix.log();
    assert_eq!(log.lines().filter(|it| it.contains("disconnect from") && it.contains("mail=2")).count(), 2, "{log}");
}

#[tokio::test]
async fn a_postfix_that_refuses_the_null_path_gets_the_login_in_the_same_attempt_and_from_then_on() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::with(postfix::Options { strict_senders: true, ..postfix::Options::default() });
    let Postfix { submission, .. } = company.postfix;
    let mut endpoint = endpoint(submission, TlsMode::StartTls);
    endpoint.ca_file = Some(company.dovecot.authority.ca_file.clone());
    let mut sender = Sender::new(settings(endpoint, Some(BOUNCES), ReversePathMode::Auto), None);

    let probe = sender.probe().await;
    assert!(probe.is_good(), "{probe:?}");
    assert_eq!(probe.learned, Some(PathChoice::Login));

    let first = deliver(&mut sender, &reply(CHEN, "first")).await;
    assert!(is_accepted(&first), "{first:?}");
    assert_eq!(first.learned, Some(PathChoice::Login));
    assert!(is_accepted(&deliver(&mut sender, &reply(CHEN, "second")).await));
    let mail = company.inbox(CHEN).wait_for("the second mail", |it| it.header("Subject") == "second");
    assert_eq!(mail.header("Return-Path"), format!("<{BOUNCES}>"));
    let refused = company.postfix.log().matches("Sender address rejected").count();
    assert_eq!(refused, 2, "the probe and the first attempt, no more: {}", company.postfix.log());
}

#[tokio::test]
async fn a_refusal_is_told_apart_by_verb_and_words() {
    let cases = [
        (Step::Connect, "421 4.3.2 busy", "channel Greeting"),
        (Step::Connect, "554 no SMTP here", "channel Greeting"),
        (Step::Ehlo, "502 what", "channel Ehlo"),
        (Step::Auth, "535 5.7.8 no", "channel Auth"),
        (Step::Mail, "452 4.3.1 full", "channel Mail"),
        (Step::Rcpt, "550 5.1.1 unknown", "rejected Rcpt 550"),
        (Step::Rcpt, "450 4.2.0 greylisted", "deferred Rcpt 450"),
        (Step::Rcpt, "421 4.7.0 closing", "channel Rcpt"),
        (Step::Rcpt, "450 4.7.1 too many messages", "channel Rcpt"),
        (Step::Data, "554 5.5.1 no", "rejected Data 554"),
        (Step::Dot, "554 5.7.1 spam", "rejected Dot 554"),
        (Step::Dot, "451 4.3.0 later", "deferred Dot 451"),
    ];
    for (step, line, expected) in cases {
        let server = ScriptedSmtp::start();
        server.reply(step, line);
        let settings = settings(endpoint(server.address, TlsMode::None), Some(WHY), ReversePathMode::Auto);
        let mut sender = Sender::new(settings, None);
        let attempt = deliver(&mut sender, &reply(CHEN, "x")).await;
        let found = match &attempt.delivery {
            Delivery::ChannelRefused(stage, text) => {
                assert!(text.contains(&line[..3]) && text.contains(&server.address.to_string()), "{text}");
                format!("channel {stage:?}")
            }
            Delivery::Rejected(stage, it) => format!("rejected {stage:?} {}", it.code),
            Delivery::Deferred(stage, it) => format!("deferred {stage:?} {}", it.code),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{line}");
        server.forgive();
        assert!(is_accepted(&deliver(&mut sender, &reply(CHEN, "y")).await), "the next mail goes out after {line}");
        wait_for("the message", || (server.accepted().len() == 1).then_some(()));
    }
}

#[tokio::test]
async fn the_null_path_refused_at_rcpt_or_at_the_dot_is_replaced_at_once() {
    for (step, line) in [
        (Step::Mail, "440 mail from account doesn't conform with authentication"),
        (Step::Rcpt, "554 5.7.1 <>: Sender address rejected: Access denied"),
        (Step::Dot, "554 5.2.252 SendAsDenied; not allowed to send as <>"),
    ] {
        let server = ScriptedSmtp::start();
        // The first transaction is refused, whatever the path; the second is not.
        let started = AtomicUsize::new(0);
        let needle = if step == Step::Mail { "<>" } else { "" };
        server.on(step, needle, Answer::Reply(line.to_owned()));
        let settings = settings(endpoint(server.address, TlsMode::None), Some(WHY), ReversePathMode::Auto);
        let mut sender = Sender::new(settings, None);
        let attempt = sender
            .deliver(&reply(CHEN, "x"), || {
                started.fetch_add(1, Ordering::SeqCst);
                async { Ok(()) }
            })
            .await;
        let senders: Vec<String> = server.commands().into_iter().filter(|it| it.starts_with("MAIL")).collect();
        assert_eq!(senders, ["MAIL FROM:<>".to_owned(), format!("MAIL FROM:<{WHY}>")], "{step:?}");
        assert_eq!(server.connections(), 1);
        if step == Step::Mail {
            assert_eq!(attempt.learned, Some(PathChoice::Login));
        }
        if step == Step::Dot {
            assert_eq!(started.load(Ordering::SeqCst), 2, "each body is announced");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_final_dot_is_a_doubt_and_any_earlier_loss_is_none() {
    for (step, answer, expected) in [
        (Step::Dot, Answer::AcceptThenDisconnect, None),
        (Step::Dot, Answer::Disconnect, None),
        (Step::Rcpt, Answer::Disconnect, Some(Stage::Rcpt)),
        (Step::Data, Answer::Disconnect, Some(Stage::Data)),
        (Step::Connect, Answer::Disconnect, Some(Stage::Greeting)),
    ] {
        let server = ScriptedSmtp::start();
        server.on(step, "", answer.clone());
        let attempt = deliver(&mut plain(server.address), &reply(CHEN, "x")).await;
        match (expected, &attempt.delivery) {
            (None, Delivery::InDoubt(_)) => {}
            (Some(stage), Delivery::ChannelRefused(found, _)) => assert_eq!(stage, *found),
            (_, other) => panic!("{step:?} {answer:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_out_of_step_is_not_used_again() {
    let server = ScriptedSmtp::start();
    server.reply(Step::Dot, "354 go on");
    let mut sender = plain(server.address);
    let doubtful = deliver(&mut sender, &reply(CHEN, "x")).await;
    assert!(matches!(doubtful.delivery, Delivery::InDoubt(_)), "{doubtful:?}");
    server.forgive();
    assert!(is_accepted(&deliver(&mut sender, &reply(CHEN, "y")).await));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_silent_server_is_left_after_the_deadline_of_the_step() {
    for (step, stage) in [(Step::Connect, Stage::Greeting), (Step::Ehlo, Stage::Ehlo), (Step::Mail, Stage::Mail)] {
        let server = ScriptedSmtp::start();
        server.on(step, "", Answer::Silence);
        let mut short = endpoint(server.address, TlsMode::None);
        short.timeout = Duration::from_millis(300);
        let mut sender = Sender::new(settings(short, None, ReversePathMode::Null), None);
        let begun = Instant::now();
        let attempt = deliver(&mut sender, &reply(CHEN, "x")).await;
        assert!(matches!(attempt.delivery, Delivery::ChannelRefused(found, _) if found == stage), "{attempt:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn nothing_is_sent_when_the_journal_cannot_record_the_start() {
    let server = ScriptedSmtp::start();
    let mut sender = plain(server.address);
    let attempt = sender.deliver(&reply(CHEN, "x"), || async { Err("disk full".to_owned()) }).await;
    assert!(matches!(&attempt.delivery, Delivery::ChannelRefused(Stage::Data, why) if why.contains("disk full")));
    assert_eq!(server.accepted().len(), 0);
    assert!(is_accepted(&deliver(&mut sender, &reply(CHEN, "x")).await));
}

#[tokio::test]
async fn a_dropped_attempt_never_meets_the_next_mail() {
    let server = ScriptedSmtp::start();
    server.on(Step::Dot, "Subject: slow", Answer::AcceptThenSilence);
    let mut sender = plain(server.address);
    assert!(is_accepted(&deliver(&mut sender, &reply(CHEN, "first")).await));
    let slow = reply(CHEN, "slow");
    let cut = tokio::time::timeout(Duration::from_millis(300), deliver(&mut sender, &slow)).await;
    assert!(cut.is_err());
    server.reply(Step::Dot, "554 5.7.1 spam");
    let next = deliver(&mut sender, &reply(CHEN, "next")).await;
    assert!(matches!(next.delivery, Delivery::Rejected(Stage::Dot, _)), "{next:?}");
}

#[tokio::test]
async fn a_stripped_starttls_is_refused_and_injected_answers_are_not_read() {
    /// Greets, offers nothing, and counts what follows EHLO.
    fn without_starttls(peer: &mut Peer) {
        peer.send("220 mx ESMTP\r\n");
        while let Some(line) = peer.line() {
            assert!(!line.starts_with("AUTH") && !line.starts_with("MAIL"), "sent in plain text: {line}");
            peer.send(if line.starts_with("EHLO") { "250 mx\r\n" } else { "502 5.5.1 what\r\n" });
        }
    }
    /// Answers STARTTLS together with more, in plain text.
    fn injecting(peer: &mut Peer) {
        peer.send("220 mx ESMTP\r\n");
        while let Some(line) = peer.line() {
            peer.send(if line.starts_with("EHLO") {
                "250-mx\r\n250 STARTTLS\r\n"
            } else {
                "220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n235 fine\r\n"
            });
        }
    }
    for (script, expected) in [(without_starttls as fn(&mut Peer), "STARTTLS"), (injecting, "out of turn")] {
        let server = Scripted::start(script);
        let settings = settings(endpoint(server.address, TlsMode::StartTls), Some(WHY), ReversePathMode::Auto);
        let attempt = deliver(&mut Sender::new(settings, None), &reply(CHEN, "x")).await;
        let Delivery::ChannelRefused(Stage::Tls, text) = &attempt.delivery else { panic!("{attempt:?}") };
        assert!(text.contains(expected) && text.contains("hint: "), "{text}");
    }
}

#[tokio::test]
async fn replies_in_gbk_without_cr_and_without_end_are_read_or_refused() {
    let refusal = [&b"550 5.7.1 "[..], &[0xD3, 0xCA, 0xCF, 0xE4, 0xB2, 0xBB, 0xB4, 0xE6, 0xD4, 0xDA], b"\n"].concat();
    let server = Scripted::start(move |peer| {
        peer.send("220-mx\n220 ESMTP\n");
        while let Some(line) = peer.line() {
            if line.starts_with("RCPT") {
                peer.send(&refusal);
            } else if line.starts_with("NOOP") {
                while peer.send([b'2'; 4096]) {}
            } else {
                peer.send("250 ok\n");
            }
        }
    });
    let attempt = deliver(&mut plain(server.address), &reply(CHEN, "x")).await;
    let Delivery::Rejected(Stage::Rcpt, answer) = &attempt.delivery else { panic!("{attempt:?}") };
    assert_eq!(answer.text, "5.7.1 邮箱不存在");
    let probe = plain(server.address).probe().await;
    let (_, last) = probe.steps.last().expect("steps");
    assert!(last.as_ref().is_err_and(|why| why.contains("has no end")), "{probe:?}");
    let endless = Scripted::start(|peer| while peer.send([b'2'; 4096]) {});
    let attempt = deliver(&mut plain(endless.address), &reply(CHEN, "x")).await;
    let Delivery::ChannelRefused(Stage::Greeting, why) = &attempt.delivery else { panic!("{attempt:?}") };
    assert!(why.contains("has no end"), "{why}");
}

#[tokio::test]
async fn a_server_that_repeats_our_secret_does_not_bring_it_into_an_error() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let server = Scripted::start(move |peer| {
            peer.send("220 mx\r\n");
            let mut login = 0;
            while let Some(line) = peer.line() {
                if line.starts_with("EHLO") {
                    peer.send(format!("250-mx\r\n250 AUTH {mechanism}\r\n"));
                } else if line == "AUTH LOGIN" {
                    login = 1;
                    peer.send("334 VXNlcm5hbWU6\r\n");
                } else if login == 1 {
                    login = 2;
                    peer.send("334 UGFzc3dvcmQ6\r\n");
                } else {
                    peer.send(format!("535 5.7.8 you said {line} and {PASSWORD}\r\n"));
                }
            }
        });
        let settings = settings(endpoint(server.address, TlsMode::None), Some(WHY), ReversePathMode::Auto);
        let attempt = deliver(&mut Sender::new(settings, None), &reply(CHEN, "x")).await;
        let Delivery::ChannelRefused(Stage::Auth, text) = &attempt.delivery else { panic!("{attempt:?}") };
        for secret in [PASSWORD, "Y29ycmVjdCBob3JzZSA0Mg", "Y29ycmVjdCBob3JzZSA0Mg=="] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("****") && text.contains("hint: "), "{text}");
    }
}

#[tokio::test]
async fn international_addressees_are_written_as_the_server_can_take_them() {
    let server = ScriptedSmtp::start();
    let mut sender = plain(server.address);
    assert!(is_accepted(&deliver(&mut sender, &reply("chen@例子.中国", "a")).await));
    assert!(is_accepted(&deliver(&mut sender, &reply("用户@例子.中国", "b")).await));
    let lines: Vec<String> = server.commands().into_iter().filter(|it| it.starts_with(['M', 'R'])).collect();
    assert_eq!(
        lines,
        [
            "MAIL FROM:<>",
            "RCPT TO:<chen@xn--fsqu00a.xn--fiqs8s>",
            "RSET",
            "MAIL FROM:<> SMTPUTF8",
            "RCPT TO:<用户@xn--fsqu00a.xn--fiqs8s>"
        ]
    );
    let old = Scripted::start(|peer| {
        peer.send("220 mx\r\n");
        while peer.line().is_some() && peer.send("250 mx\r\n") {}
    });
    let attempt = deliver(&mut plain(old.address), &reply("用户@例子.中国", "c")).await;
    assert!(matches!(&attempt.delivery, Delivery::Rejected(Stage::Rcpt, it) if it.text.contains("SMTPUTF8")));
}

#[tokio::test]
async fn trust_and_modes_that_are_wrong_say_what_to_set() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = crate::harness::Dovecot::start(&[WHY]);
    let certificate = std::fs::read(&dovecot.authority.certificate).expect("a certificate");
    let certificate = <tokio_rustls::rustls::pki_types::CertificateDer<'_> as
        tokio_rustls::rustls::pki_types::pem::PemObject>::from_pem_slice(&certificate)
    .expect("PEM");
    let fingerprint: [u8; 32] = Sha256::digest(&certificate).into();
    let imaps = endpoint(dovecot.imaps, TlsMode::Implicit);

    let error = whybounced::net::connect(&imaps).await.expect_err("the CA is unknown");
    assert!(error.to_string().contains("ca_file"), "{error}");
    let pinned = Endpoint { tls_fingerprint: Some(fingerprint), ..imaps.clone() };
    assert!(whybounced::net::connect(&pinned).await.is_ok());
    let strange = Endpoint { tls_fingerprint: Some([7; 32]), ..imaps.clone() };
    let error = whybounced::net::connect(&strange).await.expect_err("another certificate");
    assert!(error.to_string().contains("tls_fingerprint"), "{error}");
    let trusted = Endpoint { ca_file: Some(dovecot.authority.ca_file.clone()), ..imaps };
    assert!(whybounced::net::connect(&trusted).await.is_ok());
    let plain_port = Endpoint { port: dovecot.imap.port(), ..trusted.clone() };
    let error = whybounced::net::connect(&plain_port).await.expect_err("no TLS there");
    assert!(error.to_string().contains("starttls"), "{error}");
    let missing = Endpoint { ca_file: Some("/nowhere.pem".into()), ..trusted.clone() };
    let error = whybounced::net::connect(&missing).await.expect_err("no such file");
    assert!(error.to_string().contains("/nowhere.pem"), "{error}");
    let closed = Endpoint { port: crate::harness::free_address().port(), ..trusted };
    let error = whybounced::net::connect(&closed).await.expect_err("nobody listens");
    assert!(error.to_string().contains("hint: "), "{error}");
}

#[tokio::test]
async fn explanations_as_files_appear_whole_under_their_message_id() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("out");
    let settings = Settings { route: Route::Directory(path.clone()), from: Mailbox::parse(WHY).expect("an address") };
    let mut sender = Sender::new(settings, None);
    assert!(sender.probe().await.is_good());
    let reply = reply(CHEN, "../x/y");
    for _ in 0..2 {
        assert!(is_accepted(&deliver(&mut sender, &reply).await));
    }
    let names: Vec<_> = std::fs::read_dir(&path).expect("created").map(|it| it.expect("an entry").path()).collect();
    let [file] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!(std::fs::read(file).expect("readable"), reply.bytes);
    assert_eq!(std::fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
}
