//! What a server does not offer is not asked for, what was not asked for is not taken, and nothing is waited for without an end.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use whybounced::{
    mail::Recorded,
    source::{Kind, Login, Mailbox, Outcome, Place, Settings, Wake},
};

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{BOUNCES, PASSWORD},
    imap::{all, connected},
};

const MODERN: &str = "AUTH=PLAIN SASL-IR IDLE UIDPLUS MOVE ID";
const ORDINARY: &str = "Subject: x\r\n\r\nbody\r\n";

/// One folder, looked at each half second.
fn settings(server: &FakeImap) -> Settings {
    let mut settings = crate::imap::settings(server.server.address, BOUNCES, PASSWORD);
    let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
    endpoint.timeout = Duration::from_millis(500);
    Settings { poll_interval: Duration::from_millis(500), ..settings }
}

/// The same with a watch on more folders.
fn with_folders(server: &FakeImap, names: &[&str]) -> Settings {
    let mut settings = settings(server);
    let Place::Imap { folders, .. } = &mut settings.place else { unreachable!() };
    *folders = names.iter().map(|&it| it.to_owned()).collect();
    settings
}

/// Waits for news, and never for an hour.
async fn wait(mailbox: &mut Mailbox) -> Result<Wake, Kind> {
    let token = CancellationToken::new();
    let waited = tokio::time::timeout(Duration::from_secs(30), mailbox.wait(&token)).await;
    waited.expect("it waits no longer").map_err(|it| it.kind)
}

#[tokio::test]
async fn what_is_not_offered_is_not_asked_for() {
    let server = FakeImap::start("");
    server.put(7, ORDINARY);
    let mut mailbox = connected(settings(&server)).await;
    all(&mut mailbox).await;
    assert_eq!(wait(&mut mailbox).await, Ok(Wake::Poll));
    let commands = server.commands();
    for word in ["IDLE", "ID (", "AUTHENTICATE", "ENABLE", "CONDSTORE", "QRESYNC", "LIST", "+}"] {
        assert!(!commands.iter().any(|it| it.contains(word)), "{word}: {commands:?}");
    }
    // What is offered and then refused does no harm.
    let server = FakeImap::start(MODERN);
    server.on("ID (", Say::text("{tag} NO not you\r\n"));
    connected(settings(&server)).await;
}

#[tokio::test]
async fn a_password_that_takes_a_literal_is_sent_once_the_server_wants_it() {
    let with_password = |server: &FakeImap| {
        let mut settings = settings(server);
        let Place::Imap { login, .. } = &mut settings.place else { unreachable!() };
        *login = Login::Password { user: BOUNCES.to_owned(), password: SecretString::from("密码") };
        settings
    };
    let server = FakeImap::start("");
    connected(with_password(&server)).await;
    let announced = format!("LOGIN \"{BOUNCES}\" {{6}}");
    assert!(server.commands().contains(&format!("{announced}密码")), "{:?}", server.commands());
    let server = FakeImap::start("");
    server.on(&format!("LOGIN \"{BOUNCES}\" {{"), Say::text("{tag} NO no literals\r\n* OK still here\r\n"));
    let error = Mailbox::new(with_password(&server)).connect().await.expect_err("refused");
    assert_eq!(error.kind, Kind::LoginRefused);
    // The server reads on until we are gone.
    server.until_left();
    assert_eq!(server.commands().last(), Some(&announced), "nothing follows a refusal");
}

#[tokio::test]
async fn of_a_large_report_the_parts_of_other_messages_are_not_taken() {
    let server = FakeImap::start(MODERN);
    let mut large = b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n".to_vec();
    large.resize(256 * 1024, b'x');
    server.put(7, &large);
    let text = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 10 1)";
    let report = "(\"message\" \"delivery-status\" NIL NIL NIL \"7bit\" 100)";
    server.on(
        "UID FETCH 7 (UID BODYSTRUCTURE)",
        Say::text(&format!(
            "* 2 FETCH (UID 8 BODYSTRUCTURE {report})\r\n\
             * 1 FETCH (UID 7 BODYSTRUCTURE ({text}{report} \"report\"))\r\n{{tag}} OK done\r\n"
        )),
    );
    for (section, right) in [("2.MIME", "Content-Type: message/delivery-status\r\n\r\n"), ("2", "Action: failed\r\n")] {
        let length = right.len();
        server.on(
            &format!("UID FETCH 7 (UID BODY.PEEK[{section}]<0."),
            Say::text(&format!(
                "* 1 FETCH (UID 7 BODY[{section}]<0> {{{length}}}\r\n{right})\r\n\
                 * 2 FETCH (UID 8 BODY[{section}]<0> {{5}}\r\nwrong)\r\n{{tag}} OK done\r\n"
            )),
        );
    }
    let mut head = format!("* 1 FETCH (UID 7 RFC822.SIZE 900000 BODY[]<0> {{{}}}\r\n", large.len()).into_bytes();
    head.extend_from_slice(&large);
    head.extend_from_slice(b")\r\n{tag} OK done\r\n");
    server.on("UID FETCH 7 (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.262144>)", Say::Bytes(head));
    let mut mailbox = connected(settings(&server)).await;
    let found = all(&mut mailbox).await;
    let message = mailbox.fetch(&found[0]).await.expect("fetches").expect("is there");
    let got = String::from_utf8_lossy(&message.bytes).into_owned();
    assert!(got.contains("Action: failed") && !got.contains("wrong"), "{:?}", server.commands());
    let bodies = server.commands().into_iter().filter(|it| it.contains("BODY.PEEK[")).collect::<Vec<_>>();
    assert!(bodies.len() == 3 && bodies.iter().all(|it| it.contains("]<0.")), "each has a bound: {bodies:?}");
}

#[tokio::test]
async fn an_empty_message_is_a_message() {
    let server = FakeImap::start(MODERN);
    server.put(7, "");
    let mut mailbox = connected(settings(&server)).await;
    let found = all(&mut mailbox).await;
    server.on("UID FETCH", Say::text("* 1 FETCH (UID 7 RFC822.SIZE 0 BODY[]<0> NIL)\r\n{tag} OK done\r\n"));
    assert_eq!(mailbox.fetch(&found[0]).await.expect("fetches").expect("is there").bytes, b"");
}

#[tokio::test]
async fn a_very_large_folder_is_searched_by_windows_from_its_end() {
    let server = FakeImap::start(MODERN);
    server.put(7, ORDINARY);
    server.on("SELECT", Say::text("* 45000 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n{tag} OK [READ-WRITE] done\r\n"));
    assert_eq!(all(&mut connected(settings(&server)).await).await.len(), 1);
    let searches: Vec<String> = server.commands().into_iter().filter(|it| it.starts_with("UID SEARCH")).collect();
    let windows = ["40001:45000", "20001:40000", "1:20000"].map(|it| format!("UID SEARCH {it} UID 1:*"));
    assert_eq!(searches, windows);
}

#[tokio::test]
async fn of_endless_folders_so_many_are_kept() {
    let server = FakeImap::start(MODERN);
    let list = (0..10_100).map(|it| format!("* LIST () \"/\" \"f{it}\"\r\n")).collect::<String>();
    server.on("LIST", Say::text(&format!("{list}{{tag}} OK done\r\n")));
    let survey = Mailbox::new(settings(&server)).survey().await.expect("surveys");
    assert_eq!(survey.all_folders.len(), 10_000);
}

#[tokio::test]
async fn what_came_while_something_else_was_done_is_news_at_once() {
    // While another folder was looked at.
    let server = FakeImap::start(MODERN);
    server.put(7, ORDINARY);
    let hour = Duration::from_hours(1);
    let mut mailbox = connected(Settings { poll_interval: hour, ..with_folders(&server, &["INBOX", "Junk"]) }).await;
    for folder in ["INBOX", "Junk"] {
        mailbox.scan(folder, None, None).await.expect("scans");
    }
    server.put(8, ORDINARY);
    assert_eq!(wait(&mut mailbox).await, Ok(Wake::News));
    // The folder was numbered anew meanwhile: what its numbers meant is over.
    for folder in ["INBOX", "Junk"] {
        mailbox.scan(folder, None, None).await.expect("scans");
    }
    server.renumber(2);
    assert_eq!(wait(&mut mailbox).await, Ok(Wake::News));
    // One came and one went while a message was marked: there are as many as before.
    let server = FakeImap::start(MODERN);
    server.put(7, ORDINARY);
    server.on("UID STORE", Say::text("* 1 EXPUNGE\r\n* 1 EXISTS\r\n{tag} OK done\r\n"));
    let mut mailbox = connected(Settings { poll_interval: hour, ..settings(&server) }).await;
    let found = all(&mut mailbox).await;
    let recorded = Recorded::by_journal(found[0].reference.clone());
    mailbox.settle(&recorded, Outcome::Bounce).await.expect("settles");
    assert_eq!(wait(&mut mailbox).await, Ok(Wake::News));
    // At the very end of an IDLE.
    let server = FakeImap::start(MODERN);
    server.put(7, ORDINARY);
    server.on("DONE", Say::text("* 2 EXISTS\r\n{tag} OK done\r\n"));
    let mut mailbox = connected(settings(&server)).await;
    all(&mut mailbox).await;
    assert_eq!(wait(&mut mailbox).await, Ok(Wake::News));
}

#[tokio::test]
async fn a_folder_that_stays_selected_is_asked_before_it_is_searched() {
    let server = FakeImap::start(MODERN);
    let mut mailbox = connected(settings(&server)).await;
    all(&mut mailbox).await;
    all(&mut mailbox).await;
    let commands = server.commands();
    let last = commands.len();
    assert!(commands[last - 2] == "NOOP" && commands[last - 1].starts_with("UID SEARCH"), "{commands:?}");
}

#[tokio::test]
async fn an_answer_that_moves_may_take_longer_than_one_step_but_not_for_ever() {
    let server = FakeImap::start(MODERN);
    server.put(7, ORDINARY);
    let mut settings = settings(&server);
    let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
    endpoint.timeout = Duration::from_millis(400);
    let mut mailbox = connected(settings).await;
    let found = all(&mut mailbox).await;
    let answer = "* 1 FETCH (UID 7 RFC822.SIZE 20 BODY[]<0> {20}\r\nSubject: x\r\n\r\nbody\r\n)\r\n{tag} OK done\r\n";
    server.on("UID FETCH", Say::Slowly(Duration::from_millis(100), answer.into()));
    assert!(mailbox.fetch(&found[0]).await.expect("it moves").is_some());
    server.on("UID SEARCH", Say::Endlessly(Duration::from_millis(50), b"* OK Still here\r\n".to_vec()));
    let begun = Instant::now();
    let error = mailbox.scan("INBOX", None, None).await.expect_err("no end");
    assert_eq!(error.kind, Kind::Lost, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_that_is_closed_while_idling_is_no_reason_to_idle_no_more() {
    let server = FakeImap::start(MODERN);
    server.on("IDLE", Say::ThenClose(b"+ idling\r\n".to_vec()));
    let mut mailbox = connected(settings(&server)).await;
    all(&mut mailbox).await;
    let error = mailbox.wait(&CancellationToken::new()).await.expect_err("closed");
    assert!(error.to_string().contains("closed the connection"), "{error}");
    server.forgive();
    mailbox.connect().await.expect("connects again");
    all(&mut mailbox).await;
    assert_eq!(wait(&mut mailbox).await, Ok(Wake::Poll));
    assert_eq!(server.commands().iter().filter(|it| *it == "IDLE").count(), 2);
}

#[tokio::test]
async fn a_server_that_only_pretends_idle_is_left_soon_and_polled_from_then_on() {
    let pretends = async |command: &str, say: Say| {
        let server = FakeImap::start(MODERN);
        server.on(command, say);
        let mut settings = settings(&server);
        let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
        // It says something now and then, so that no step is ever too long.
        endpoint.timeout = Duration::from_mins(1);
        let mut mailbox = connected(settings).await;
        all(&mut mailbox).await;
        assert_eq!(wait(&mut mailbox).await, Err(Kind::Lost), "{command}");
        mailbox.connect().await.expect("connects again");
        all(&mut mailbox).await;
        assert_eq!(wait(&mut mailbox).await, Ok(Wake::Poll), "{command}");
        assert_eq!(server.commands().iter().filter(|it| *it == "IDLE").count(), 1, "asked once: {command}");
    };
    let still = || Say::Endlessly(Duration::from_millis(100), b"* OK Still here\r\n".to_vec());
    tokio::join!(pretends("IDLE", still()), pretends("DONE", still()));
}
