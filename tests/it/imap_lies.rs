//! Servers that refuse what they offer, keep silent, or do not tell the truth; scripted.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use whybounced::{
    mail::{Mailbox as Address, MessageId, Recorded, Role},
    source::{After, Kind, Mailbox, Outcome, Place, Settings},
};

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{BOUNCES, CHEN, PASSWORD},
    imap::{all, connected},
};

const MODERN: &str = "AUTH=PLAIN SASL-IR IDLE UIDPLUS MOVE ID";
const PRIVATE: &str =
    "From: li@corp.example.cn\r\nReturn-Path: <li@corp.example.cn>\r\nSubject: private\r\n\r\nlunch?\r\n";
const BOUNCE: &str = "From: MAILER-DAEMON@mx.example.net\r\nSubject: Undelivered Mail\r\n\r\nUser unknown\r\n";

fn settings(server: &FakeImap) -> Settings {
    let mut settings = crate::imap::settings(server.server.address, BOUNCES, PASSWORD);
    let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
    endpoint.timeout = Duration::from_millis(500);
    settings
}

fn member(server: &FakeImap) -> Settings {
    let role = Role::Member(Address::parse(CHEN).expect("an address"));
    Settings { role, after: After::Leave, ..settings(server) }
}

async fn settle(mailbox: &mut Mailbox) -> Result<(), whybounced::source::Error> {
    let found = all(mailbox).await;
    let recorded = Recorded::by_journal(found[0].reference.clone());
    mailbox.settle(&recorded, Outcome::Bounce).await.map(|_| ())
}

#[tokio::test]
async fn of_other_mail_in_a_members_mailbox_the_headers_are_peeked_at_and_nothing_is_touched() {
    let server = FakeImap::start(MODERN);
    server.put(3, PRIVATE).put(4, BOUNCE);
    let mut mailbox = connected(member(&server)).await;
    let found = all(&mut mailbox).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(mailbox.fetch(&found[0]).await.expect("fetches").is_some());
    mailbox.settle(&Recorded::by_journal(found[0].reference.clone()), Outcome::Bounce).await.expect("leaves");
    let commands = server.commands();
    let whole: Vec<&String> = commands.iter().filter(|it| it.contains("BODY.PEEK[]")).collect();
    assert!(whole.len() == 1 && whole[0].starts_with("UID FETCH 4 "), "{commands:?}");
    assert!(commands.iter().any(|it| it.contains("BODY.PEEK[HEADER.FIELDS")), "{commands:?}");
    for word in ["SELECT", "STORE", "COPY", "MOVE", "EXPUNGE", "BODY["] {
        assert!(!commands.iter().any(|it| it.contains(word)), "{word}: {commands:?}");
    }
}

#[tokio::test]
async fn the_sent_folder_is_found_by_its_mark_or_by_its_name_in_either_language() {
    for (listed, asked) in [
        ("* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n* LIST () \"/\" \"&XfJT0ZAB-\"\r\n", "\"&XfJT0ZAB-\""),
        ("* LIST () \".\" \"INBOX.&XfJT0ZCuTvY-\"\r\n* LIST () \".\" \"INBOX.Drafts\"\r\n", "\"INBOX.&XfJT0ZCuTvY-\""),
        ("* LIST () \"/\" \"Sent Messages\"\r\n", "\"Sent Messages\""),
        ("* LIST () \"/\" \"Sent\"\r\n* LIST (\\Sent) \"/\" \"Post\"\r\n", "\"Post\""),
        ("* LIST (\\NoSelect) \"/\" \"Sent\"\r\n* LIST () \"/\" \"Sent Mail\"\r\n", "\"Sent Mail\""),
    ] {
        let server = FakeImap::start(MODERN);
        server.on("LIST", Say::text(&format!("{listed}{{tag}} OK done\r\n")));
        server.on("UID SEARCH HEADER", Say::text("* SEARCH 3\r\n{tag} OK done\r\n"));
        let mut mailbox = connected(member(&server)).await;
        let id = MessageId::parse("<sent.1@corp.example.cn>").expect("an id");
        assert_eq!(mailbox.find_sent(&id).await.expect("asks"), Some(true), "{listed}");
        let commands = server.commands();
        let looked: Vec<&String> = commands.iter().filter(|it| it.starts_with("EXAMINE")).collect();
        assert_eq!(looked, [&format!("EXAMINE {asked}")], "{commands:?}");
        assert!(!commands.iter().any(|it| it.starts_with("SELECT")), "{commands:?}");
    }
    // One of two that is not given is passed over.
    let server = FakeImap::start(MODERN);
    server.on("LIST", Say::text("* LIST () \"/\" \"Sent\"\r\n* LIST () \"/\" \"Sent Mail\"\r\n{tag} OK done\r\n"));
    server.on("EXAMINE \"Sent\"", Say::text("{tag} NO no\r\n"));
    server.on("UID SEARCH HEADER", Say::text("* SEARCH 3\r\n{tag} OK done\r\n"));
    let id = MessageId::parse("<sent.1@corp.example.cn>").expect("an id");
    assert_eq!(connected(member(&server)).await.find_sent(&id).await.expect("asks"), Some(true));
    let server = FakeImap::start(MODERN);
    server.on("LIST", Say::text("* LIST () \"/\" \"INBOX\"\r\n{tag} OK done\r\n"));
    let mut mailbox = connected(member(&server)).await;
    let id = MessageId::parse("<sent.1@corp.example.cn>").expect("an id");
    assert_eq!(mailbox.find_sent(&id).await.expect("asks"), None, "there is none to ask");
}

#[tokio::test]
async fn no_command_waits_longer_than_its_deadline() {
    for silent in ["CAPABILITY", "AUTHENTICATE", "ID", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "NOOP"] {
        let server = FakeImap::start(MODERN);
        server.put(7, BOUNCE);
        server.on(silent, Say::ThenSilence(Vec::new()));
        let begun = Instant::now();
        let mut mailbox = Mailbox::new(settings(&server));
        let all_of_it = async {
            mailbox.connect().await?;
            let found = mailbox.scan("INBOX", None, None).await?.found;
            mailbox.settle(&Recorded::by_journal(found[0].reference.clone()), Outcome::Bounce).await?;
            mailbox.scan("INBOX", None, None).await.map(|_| ())
        };
        let error = all_of_it.await.expect_err(silent);
        assert_eq!(error.kind, Kind::Lost, "{silent}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{silent}: {:?}", begun.elapsed());
        assert!(mailbox.scan("INBOX", None, None).await.is_err(), "{silent}: the session is not used again");
    }
}

#[tokio::test]
async fn a_refusal_to_mark_or_to_move_is_the_folders_trouble_and_says_why() {
    for (after, command, answer) in [
        (After::Seen, "UID STORE", "{tag} NO [OVERQUOTA] mailbox is full\r\n"),
        (After::Move("Done".to_owned()), "UID MOVE", "{tag} NO [OVERQUOTA] mailbox is full\r\n"),
        (After::Move("Done".to_owned()), "UID MOVE", "{tag} NO [NOPERM] mailbox is full\r\n"),
    ] {
        let server = FakeImap::start(MODERN);
        server.put(7, BOUNCE).on(command, Say::text(answer));
        let mut mailbox = connected(Settings { after, ..settings(&server) }).await;
        let error = settle(&mut mailbox).await.expect_err("refused");
        assert_eq!(error.kind, Kind::Folder);
        assert!(error.to_string().contains("mailbox is full"), "{error}");
        server.forgive();
        settle(&mut mailbox).await.expect("the session lives on");
    }
    let server = FakeImap::start(MODERN);
    server.put(7, BOUNCE);
    server.on("SELECT", Say::text("* 1 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n{tag} OK [READ-ONLY] done\r\n"));
    let error = settle(&mut connected(settings(&server)).await).await.expect_err("read-only");
    assert!(error.kind == Kind::Folder && error.to_string().contains("read-only"), "{error}");
    assert!(!server.commands().iter().any(|it| it.starts_with("UID STORE")), "not even tried");
    // `check` says so beforehand, where it matters.
    let survey = Mailbox::new(settings(&server)).survey().await.expect("surveys");
    assert!(survey.folders[0].1.as_ref().is_err_and(|why| why.contains("read-only")), "{survey:?}");
    let survey = Mailbox::new(member(&server)).survey().await.expect("surveys");
    assert!(survey.folders[0].1.is_ok(), "{survey:?}");
}

#[tokio::test]
async fn a_message_that_is_not_handed_over_is_not_taken_for_one_that_has_gone() {
    for (answer, kind) in [
        ("{tag} NO cannot convert this message\r\n", Some(Kind::Folder)),
        ("{tag} BAD cannot convert this message\r\n", Some(Kind::Folder)),
        ("{tag} NO [UNAVAILABLE] later\r\n", Some(Kind::Unavailable)),
        // Answers out of order: what belongs to this command comes after its end.
        ("W99 OK done\r\n{tag} OK done\r\n* 1 FETCH (UID 7 BODY[]<0> {1}\r\nx)\r\n", Some(Kind::Folder)),
    ] {
        let server = FakeImap::start(MODERN);
        server.put(7, BOUNCE);
        let mut mailbox = connected(settings(&server)).await;
        let found = all(&mut mailbox).await;
        server.on("UID FETCH", Say::text(answer));
        let error = mailbox.fetch(&found[0]).await.expect_err("it is there");
        assert_eq!(Some(error.kind), kind, "{answer}: {error}");
        server.forgive();
        mailbox.connect().await.expect("connects");
        assert!(mailbox.fetch(&found[0]).await.expect("fetches").is_some(), "{answer}");
        server.take(7);
        assert!(mailbox.fetch(&found[0]).await.expect("answers").is_none(), "gone is gone");
    }
}

#[tokio::test]
async fn news_that_are_none_make_no_hot_loop() {
    for (command, lie) in [
        ("IDLE", "+ idling\r\n* 2 EXISTS\r\n"),
        ("UID SEARCH", "* SEARCH 7\r\n* 4000000 EXISTS\r\n{tag} OK done\r\n"),
        ("NOOP", "* 1 EXISTS\r\n* 7 RECENT\r\n{tag} OK done\r\n* 3 EXISTS\r\n"),
    ] {
        let server = FakeImap::start(MODERN);
        server.put(7, BOUNCE).on(command, Say::text(lie));
        let mut mailbox = connected(Settings { poll_interval: Duration::from_secs(1), ..settings(&server) }).await;
        let mut cursor = None;
        let (begun, mut looks) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(3) {
            cursor = mailbox.scan("INBOX", cursor, None).await.expect("scans").cursor;
            mailbox.wait(&CancellationToken::new()).await.expect("waits");
            looks += 1;
        }
        assert!(looks < 60, "{looks} looks in {:?}: {command}", begun.elapsed());
        assert_eq!(server.server.connections(), 1);
    }
}
