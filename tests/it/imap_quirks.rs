//! IMAP as it is out there: each quirk, and each lie, of a scripted server.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use whybounced::{
    mail::Recorded,
    net::TlsMode,
    source::{After, Cursor, Error, Kind, Mailbox, Outcome, Place, Settings, Settled, Wake},
};

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{BOUNCES, PASSWORD},
    imap::{all, connected},
    peer::Scripted,
};

const MODERN: &str = "AUTH=PLAIN SASL-IR IDLE UIDPLUS MOVE ID";

fn settings(server: &FakeImap) -> Settings {
    let mut settings = crate::imap::settings(server.server.address, BOUNCES, PASSWORD);
    let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
    endpoint.timeout = Duration::from_millis(500);
    settings
}

/// A server with one message, and a mailbox that is connected to it.
async fn with_one_message(capabilities: &str) -> (FakeImap, Mailbox) {
    let server = FakeImap::start(capabilities);
    server.put(7, "Subject: x\r\n\r\nbody\r\n");
    let mailbox = connected(settings(&server)).await;
    (server, mailbox)
}

async fn refusal(server: &FakeImap) -> Error {
    Mailbox::new(settings(server)).connect().await.expect_err("must not connect")
}

#[tokio::test]
async fn no_bad_eof_and_bye_to_a_search_are_never_no_messages() {
    let answers = [
        (Say::text("{tag} NO [UNAVAILABLE] later\r\n"), Kind::Folder),
        (Say::text("{tag} BAD what\r\n"), Kind::Folder),
        (Say::ThenClose(Vec::new()), Kind::Lost),
        (Say::ThenClose(b"* SEARCH 7".to_vec()), Kind::Lost),
        (Say::text("* BYE shutting down\r\n"), Kind::Lost),
        (Say::ThenSilence(Vec::new()), Kind::Lost),
        (Say::text("* SEARCH 7 $%&/(\r\n{tag} OK done\r\n"), Kind::Protocol),
    ];
    for (command, (say, kind)) in
        ["UID SEARCH", "UID FETCH"].into_iter().flat_map(|it| answers.clone().map(|row| (it, row)))
    {
        let (server, mut mailbox) = with_one_message(MODERN).await;
        server.on(command, say.clone());
        let begun = Instant::now();
        let error = mailbox.scan("INBOX", None, None).await.expect_err("an outage");
        assert_eq!(error.kind, kind, "{say:?}: {error}");
        assert!(!error.to_string().contains("$%&"), "what may be mail is not shown: {error}");
        assert!(begun.elapsed() < Duration::from_secs(3));
        server.forgive();
        if kind != Kind::Folder {
            assert!(mailbox.scan("INBOX", None, None).await.is_err(), "a broken session is not used again");
            mailbox.connect().await.expect("connects again");
        }
        assert_eq!(all(&mut mailbox).await.len(), 1);
    }
}

#[tokio::test]
async fn a_folder_without_uidvalidity_is_not_worked_on() {
    let (server, mut mailbox) = with_one_message(MODERN).await;
    server.on("SELECT", Say::text("* 0 EXISTS\r\n{tag} OK done\r\n"));
    let error = mailbox.scan("INBOX", None, None).await.expect_err("no UIDVALIDITY");
    assert_eq!(error.kind, Kind::Protocol);
}

#[tokio::test]
async fn a_connection_cut_anywhere_in_a_message_gives_no_message() {
    let whole = b"* 1 FETCH (UID 7 RFC822.SIZE 20 INTERNALDATE \"17-Jul-2026 02:44:25 +0800\" BODY[]<0> {20}\r\nSubject: x\r\n\r\nbody\r\n)\r\n";
    for end in [0, 10, 60, 90, 104, whole.len() - 1, whole.len()] {
        let (server, mut mailbox) = with_one_message(MODERN).await;
        let found = all(&mut mailbox).await;
        server.on("UID FETCH", Say::ThenClose(whole[..end].to_vec()));
        let error = mailbox.fetch(&found[0]).await.expect_err("the connection was cut");
        assert_eq!(error.kind, Kind::Lost, "cut at {end}: {error}");
    }
}

#[tokio::test]
async fn huge_literals_endless_lines_and_deep_nests_are_cut_off() {
    let nest = format!("* 1 FETCH (UID 7 BODYSTRUCTURE {}", "(".repeat(200_000));
    for (announced, reason) in [
        (b"* 1 FETCH (UID 7 BODY[]<0> {600000000}\r\n".to_vec(), "literal"),
        ([&b"* OK "[..], &vec![b'a'; 3 << 20]].concat(), "longer than"),
        (nest.into_bytes(), "nested"),
    ] {
        let (server, mut mailbox) = with_one_message(MODERN).await;
        let found = all(&mut mailbox).await;
        server.on("UID FETCH", Say::ThenSilence(announced));
        let error = mailbox.fetch(&found[0]).await.expect_err("beyond all bounds");
        assert_eq!(error.kind, Kind::Protocol);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn answers_about_other_messages_are_not_taken_for_ours() {
    let (server, mut mailbox) = with_one_message(MODERN).await;
    let found = all(&mut mailbox).await;
    server.on(
        "UID FETCH",
        Say::text("* 9 EXISTS\r\n* 2 FETCH (UID 8 BODY[]<0> {5}\r\nwrong)\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 3 EXPUNGE\r\n{tag} OK done\r\n"),
    );
    assert_eq!(mailbox.fetch(&found[0]).await.expect_err("nothing of ours").kind, Kind::Folder);
    server.forgive();
    assert!(mailbox.fetch(&found[0]).await.expect("fetches").is_some());
    server.on(
        "UID FETCH",
        Say::text("* 2 FETCH (UID 8 RFC822.SIZE 5)\r\n* 1 FETCH (UID 7 RFC822.SIZE 5)\r\n{tag} OK done\r\n"),
    );
    assert_eq!(all(&mut mailbox).await.len(), 1, "the one that was searched for");
}

#[tokio::test]
async fn a_folder_that_is_numbered_anew_is_read_anew_and_old_places_are_not_touched() {
    let (server, mut mailbox) = with_one_message(MODERN).await;
    let first = mailbox.scan("INBOX", None, None).await.expect("scans");
    assert_eq!(first.cursor, Some(Cursor { uid_validity: 1, uid: 7 }));
    mailbox.close().await;
    server.renumber(2);
    mailbox.connect().await.expect("connects");
    let again = mailbox.scan("INBOX", first.cursor, None).await.expect("scans");
    assert!(again.renumbered && again.found.len() == 1);
    let old = Recorded::by_journal(first.found[0].reference.clone());
    assert_eq!(mailbox.settle(&old, Outcome::Bounce).await.expect("settles"), Settled::Stale);
    assert!(mailbox.fetch(&first.found[0]).await.expect("answers").is_none());
    assert!(!server.commands().iter().any(|it| it.starts_with("UID STORE")));
}

#[tokio::test]
async fn without_move_a_message_is_copied_and_expunged_alone_and_without_uidplus_marked() {
    for (capabilities, settled, expected) in [
        (
            "UIDPLUS",
            Settled::Done,
            &[
                "UID STORE 7 +FLAGS.SILENT (\\Seen)",
                "UID COPY 7 \"Done\"",
                "UID STORE 7 +FLAGS.SILENT (\\Deleted)",
                "UID EXPUNGE 7",
            ][..],
        ),
        ("", Settled::MarkedInstead, &["UID STORE 7 +FLAGS.SILENT (\\Seen)"]),
        ("MOVE", Settled::Done, &["UID MOVE 7 \"Done\""]),
    ] {
        let server = FakeImap::start(capabilities);
        server.put(7, "Subject: x\r\n\r\nbody\r\n");
        let mut settings = settings(&server);
        settings.after = After::Move("Done".to_owned());
        let mut mailbox = connected(settings).await;
        let found = all(&mut mailbox).await;
        let recorded = Recorded::by_journal(found[0].reference.clone());
        assert_eq!(mailbox.settle(&recorded, Outcome::Bounce).await.expect("settles"), settled);
        let commands: Vec<String> = server
            .commands()
            .into_iter()
            .filter(|it| {
                ["UID STORE", "UID COPY", "UID MOVE", "UID EXPUNGE", "EXPUNGE"].iter().any(|verb| it.starts_with(verb))
            })
            .collect();
        assert_eq!(commands, expected);
    }
}

#[tokio::test]
async fn netease_gets_our_id_before_the_first_select() {
    let (server, mut mailbox) = with_one_message(MODERN).await;
    all(&mut mailbox).await;
    let commands = server.commands();
    let at = |start: &str| commands.iter().position(|it| it.starts_with(start)).expect(start);
    assert!(at("AUTHENTICATE") < at("ID (") && at("ID (") < at("SELECT"), "{commands:?}");
    server.on("SELECT", Say::text("{tag} NO SELECT Unsafe Login. Please contact kefu@188.com for help\r\n"));
    let mut mailbox = connected(settings(&server)).await;
    let error = mailbox.scan("INBOX", None, None).await.expect_err("refused");
    assert_eq!(error.kind, Kind::Folder);
    assert!(error.to_string().contains("授权码"), "{error}");
}

#[tokio::test]
async fn greetings_of_all_kinds() {
    let gbk = [&b"* OK "[..], &[0xBB, 0xB6, 0xD3, 0xAD], b"\r\n"].concat();
    for (greeting, kind) in [
        (&gbk[..], None),
        (b"* OK one\r\n* OK two\r\n", None),
        (b"* PREAUTH welcome\r\n", None),
        (b"* BYE too many connections\r\n", Some(Kind::Lost)),
        (b"220 mail ESMTP\r\n", Some(Kind::Protocol)),
        (b"", Some(Kind::Lost)),
        ("* OK [ALERT]邮箱\r\n".as_bytes(), Some(Kind::Protocol)),
    ] {
        let server = FakeImap::start(MODERN);
        server.greet(greeting);
        let result = Mailbox::new(settings(&server)).connect().await;
        assert_eq!(result.as_ref().err().map(|it| it.kind), kind, "{}: {result:?}", String::from_utf8_lossy(greeting));
        let logs_in = server.commands().iter().any(|it| it.starts_with("AUTHENTICATE"));
        assert_eq!(logs_in, kind.is_none() && !greeting.starts_with(b"* PREAUTH"), "{:?}", server.commands());
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_seen_to_just_now_is_not_a_refused_login() {
    for (answer, kind) in [
        ("{tag} NO [UNAVAILABLE] try later\r\n", Kind::Unavailable),
        ("{tag} NO [LIMIT] too many\r\n", Kind::Unavailable),
        ("{tag} NO [INUSE] another session\r\n", Kind::Unavailable),
        ("{tag} NO [SERVERBUG] our fault\r\n", Kind::Unavailable),
        ("{tag} NO [AUTHENTICATIONFAILED] no\r\n", Kind::LoginRefused),
        ("{tag} NO ERR.LOGIN.PASSERR\r\n", Kind::LoginRefused),
    ] {
        let server = FakeImap::start(MODERN);
        server.on("AUTHENTICATE", Say::text(answer));
        assert_eq!(refusal(&server).await.kind, kind, "{answer}");
    }
    let server = FakeImap::start("LOGINDISABLED");
    let error = refusal(&server).await;
    assert_eq!(error.kind, Kind::Setup);
    assert!(!server.commands().iter().any(|it| it.starts_with("LOGIN")));
}

#[tokio::test]
async fn every_way_of_login_carries_the_password_and_errors_do_not() {
    // The initial response only where the server takes one (RFC 4959).
    for (capabilities, expected, words) in [
        ("AUTH=PLAIN SASL-IR", "AUTHENTICATE PLAIN ", 3),
        ("AUTH=PLAIN", "AUTHENTICATE PLAIN", 2),
        ("", "LOGIN \"bounces@", 5),
    ] {
        let server = FakeImap::start(capabilities);
        connected(settings(&server)).await;
        let fits = |it: &String| it.starts_with(expected) && it.split(' ').count() == words;
        assert!(server.commands().iter().any(fits), "{:?}", server.commands());
    }
    let server = FakeImap::start("AUTH=PLAIN");
    server.on("AUTHENTICATE", Say::text("{tag} BAD what\r\n"));
    connected(settings(&server)).await;
    server.on("LOGIN", Say::text(&format!("{{tag}} NO you said {PASSWORD}\r\n")));
    let error = refusal(&server).await;
    assert!(!error.to_string().contains(PASSWORD) && error.to_string().contains("****"), "{error}");
}

#[tokio::test]
async fn starttls_is_never_done_without() {
    for (answer, reason) in
        [("S1 NO not here\r\n", "STARTTLS"), ("S1 OK go\r\nW1 OK [CAPABILITY IMAP4rev1] injected\r\n", "out of turn")]
    {
        let server = Scripted::start(move |peer| {
            peer.send("* OK ready\r\n");
            while let Some(line) = peer.line() {
                assert_eq!(line, "S1 STARTTLS", "sent in plain text");
                peer.send(answer);
            }
        });
        let mut settings = crate::imap::settings(server.address, BOUNCES, PASSWORD);
        let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
        endpoint.tls = TlsMode::StartTls;
        let error = Mailbox::new(settings).connect().await.expect_err("refused");
        assert_eq!(error.kind, Kind::Setup);
        assert!(error.to_string().contains(reason), "{error}");
    }
    // A session that is logged in already cannot be encrypted any more: somebody made it so.
    let server = FakeImap::start(MODERN);
    server.greet(b"* PREAUTH welcome\r\n");
    let mut settings = settings(&server);
    let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
    endpoint.tls = TlsMode::StartTls;
    let error = Mailbox::new(settings).connect().await.expect_err("refused");
    assert!(error.to_string().contains("PREAUTH"), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_or_forgets_idle_is_polled() {
    for answer in ["{tag} NO not now\r\n", "{tag} BAD what\r\n", "+ idling\r\n{tag} OK done already\r\n"] {
        let server = FakeImap::start(MODERN);
        server.on("IDLE", Say::text(answer));
        let mut settings = settings(&server);
        settings.poll_interval = Duration::from_millis(300);
        let mut mailbox = connected(settings).await;
        for _ in 0..3 {
            all(&mut mailbox).await;
            let begun = Instant::now();
            assert_eq!(mailbox.wait(&CancellationToken::new()).await.expect("waits"), Wake::Poll, "{answer}");
            assert!(begun.elapsed() >= Duration::from_millis(250));
        }
        assert_eq!(server.commands().iter().filter(|it| *it == "IDLE").count(), 1, "asked once: {answer}");
        assert_eq!(server.server.connections(), 1);
    }
}

#[tokio::test]
async fn in_idle_news_are_news_and_a_lost_connection_is_an_error() {
    for (say, expected) in [
        (Say::text("+ idling\r\n* 2 EXISTS\r\n"), Ok(Wake::News)),
        (Say::text("* 2 EXISTS\r\n+ idling\r\n"), Ok(Wake::News)),
        (Say::text("+ idling\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 1 EXPUNGE\r\n* OK Still here\r\n"), Ok(Wake::Poll)),
        (Say::ThenClose(b"+ idling\r\n".to_vec()), Err(Kind::Lost)),
        (Say::text("+ idling\r\n* BYE autologout\r\n"), Err(Kind::Lost)),
        (Say::text("+ idling\r\n$%&/(\r\n"), Err(Kind::Protocol)),
        // Half open: the server hears nothing of DONE.
        (Say::ThenSilence(b"+ idling\r\n".to_vec()), Err(Kind::Lost)),
    ] {
        let server = FakeImap::start(MODERN);
        server.on("IDLE", say.clone());
        let mut settings = settings(&server);
        settings.poll_interval = Duration::from_millis(500);
        let mut mailbox = connected(settings).await;
        all(&mut mailbox).await;
        let begun = Instant::now();
        let result = mailbox.wait(&CancellationToken::new()).await.map_err(|it| it.kind);
        assert_eq!(result, expected, "{say:?}; {:?}", server.commands());
        assert!(begun.elapsed() < Duration::from_secs(12));
    }
}

#[tokio::test]
async fn a_structure_that_cannot_be_read_costs_one_connection_and_not_the_message() {
    let server = FakeImap::start(MODERN);
    let mut large = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n".to_vec();
    large.resize(256 * 1024, b'x');
    server.put(7, &large);
    let size = "* 1 FETCH (UID 7 RFC822.SIZE 900000)\r\n{tag} OK done\r\n";
    server.on("UID FETCH 7 (UID BODYSTRUCTURE)", Say::text("%&/(\r\n{tag} OK done\r\n"));
    server.on("UID FETCH 7 (UID RFC822.SIZE INTERNALDATE)", Say::text(size));
    let mut head = format!("* 1 FETCH (UID 7 RFC822.SIZE 900000 BODY[]<0> {{{}}}\r\n", large.len()).into_bytes();
    head.extend_from_slice(&large);
    head.extend_from_slice(b")\r\n{tag} OK done\r\n");
    server.on("UID FETCH 7 (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]", Say::Bytes(head));
    let mut mailbox = connected(settings(&server)).await;
    let found = all(&mut mailbox).await;
    assert_eq!(mailbox.fetch(&found[0]).await.expect_err("unreadable").kind, Kind::Protocol);
    mailbox.connect().await.expect("connects");
    let message = mailbox.fetch(&found[0]).await.expect("fetches").expect("is there");
    assert_eq!((message.size, message.bytes.len()), (900_000, large.len()));
}

#[tokio::test]
async fn a_large_folder_is_worked_off_in_pieces_the_oldest_first() {
    let server = FakeImap::start(MODERN);
    for uid in 1..=1200 {
        server.put(uid, "Subject: x\r\n\r\nbody\r\n");
    }
    let mut mailbox = connected(settings(&server)).await;
    let (mut cursor, mut counts) = (None, Vec::new());
    loop {
        let scan = mailbox.scan("INBOX", cursor, None).await.expect("scans");
        counts.push(scan.found.len());
        cursor = scan.cursor;
        if !scan.more {
            break;
        }
    }
    assert_eq!(counts, [500, 500, 200]);
    assert_eq!(cursor, Some(Cursor { uid_validity: 1, uid: 1200 }));
    assert_eq!(mailbox.scan("INBOX", cursor, None).await.expect("scans").found, []);
}
