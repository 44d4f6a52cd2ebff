//! The way in, against a real Dovecot: logins, folders, fetching without a trace, `after`, IDLE.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use whybounced::{
    mail::{Mailbox as Address, MessageId, Recorded, Role},
    net::{Endpoint, TlsMode},
    source::{After, Cursor, Found, Kind, Login, Mailbox, Outcome, Place, Settings, Settled, Wake},
};

use crate::harness::{
    BOUNCES, Bounce, CHEN, Dovecot, Letter, MASTER, MASTER_PASSWORD, PASSWORD, servers_here, wait_for,
};

/// One watched INBOX over plain IMAP.
pub(crate) fn settings(address: SocketAddr, user: &str, password: &str) -> Settings {
    let endpoint = Endpoint {
        host: address.ip().to_string(),
        port: address.port(),
        tls: TlsMode::None,
        ca_file: None,
        tls_fingerprint: None,
        timeout: Duration::from_secs(5),
    };
    Settings {
        name: "central".to_owned(),
        place: Place::Imap {
            endpoint,
            login: Login::Password { user: user.to_owned(), password: SecretString::from(password) },
            folders: vec!["INBOX".to_owned()],
            idle: true,
        },
        role: Role::Central,
        poll_interval: Duration::from_mins(1),
        after: After::Seen,
    }
}

pub(crate) async fn connected(settings: Settings) -> Mailbox {
    let mut mailbox = Mailbox::new(settings);
    mailbox.connect().await.expect("connects");
    mailbox
}

/// Everything that a first look finds.
pub(crate) async fn all(mailbox: &mut Mailbox) -> Vec<Found> {
    mailbox.scan("INBOX", None, None).await.expect("scans").found
}

fn bounce(name: &str) -> Vec<u8> {
    Bounce::of(&Letter::new("chen", "nobody@example.net", name)).text().into_bytes()
}

fn recorded(found: &Found) -> Recorded {
    Recorded::by_journal(found.reference.clone())
}

#[tokio::test]
async fn a_message_is_fetched_unread_and_marked_only_once_it_is_on_record() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let inbox = dovecot.inbox(BOUNCES);
    inbox.deliver(&bounce("first"));
    inbox.deliver(b"Subject: private\r\n\r\nlunch?\r\n");
    let mut mailbox = connected(settings(dovecot.imap, BOUNCES, PASSWORD)).await;
    let scan = mailbox.scan("INBOX", None, None).await.expect("scans");
    assert_eq!((scan.found.len(), scan.more, scan.renumbered), (2, false, false));
    let cursor = scan.cursor.expect("an IMAP folder has one");
    for found in &scan.found {
        let message = mailbox.fetch(found).await.expect("fetches").expect("is there");
        assert_eq!((message.size, message.bytes.len() as u64), (found.size, found.size));
        assert!(message.received.as_second() > 1_700_000_000);
    }
    assert!(inbox.mails().iter().all(|it| !it.flags.contains('S')), "PEEK sets nothing");

    let outcomes = [Outcome::Bounce, Outcome::Other];
    for (found, outcome) in scan.found.iter().zip(outcomes) {
        assert_eq!(mailbox.settle(&recorded(found), outcome).await.expect("settles"), Settled::Done);
    }
    let flags: Vec<String> = inbox.mails().into_iter().map(|it| it.flags).collect();
    assert_eq!(flags.iter().filter(|it| it.contains('S')).count(), 1, "{flags:?}");

    assert_eq!(mailbox.scan("INBOX", Some(cursor), None).await.expect("scans").found, []);
    let other = Cursor { uid_validity: cursor.uid_validity.wrapping_add(1), uid: 9 };
    let again = mailbox.scan("INBOX", Some(other), None).await.expect("scans");
    assert_eq!((again.found.len(), again.renumbered), (2, true));
    mailbox.close().await;
    assert!(wait_for("the logout", || dovecot.log().contains("Logged out").then_some(true)));
}

#[tokio::test]
async fn odd_passwords_and_folder_names_work_by_plain_and_by_login() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let odd = "pa$$ \"quoted\\ 密码}";
    std::fs::write(dovecot.users_file(), format!("{BOUNCES}:{{PLAIN}}{odd}\n")).expect("our own file");
    for folder in ["垃圾邮件", "A&B \"c\""] {
        let mut settings = settings(dovecot.imap, BOUNCES, odd);
        settings.after = After::Move(folder.to_owned());
        dovecot.inbox(BOUNCES).deliver(&bounce("first"));
        let mut mailbox = connected(settings.clone()).await;
        let found = all(&mut mailbox).await;
        assert_eq!(mailbox.settle(&recorded(&found[0]), Outcome::Bounce).await.expect("moves"), Settled::Done);
        assert_eq!(all(&mut mailbox).await, []);
        let survey = mailbox.survey().await.expect("surveys");
        assert!(survey.all_folders.iter().any(|it| it == folder), "{survey:?}");
        let Place::Imap { folders, .. } = &mut settings.place else { unreachable!() };
        *folders = vec![folder.to_owned()];
        let mut moved = connected(settings).await;
        assert_eq!(moved.scan(folder, None, None).await.expect("scans").found.len(), 1);
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_refused_login_and_a_missing_folder_only_a_missing_folder() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let error = Mailbox::new(settings(dovecot.imap, BOUNCES, "wrong")).connect().await.expect_err("refused");
    assert_eq!(error.kind, Kind::LoginRefused);
    assert!(error.to_string().contains("hint: ") && !error.to_string().contains("wrong"), "{error}");
    let mut mailbox = connected(settings(dovecot.imap, BOUNCES, PASSWORD)).await;
    let error = mailbox.scan("没有", None, None).await.expect_err("no such folder");
    assert_eq!(error.kind, Kind::Folder);
    assert_eq!(all(&mut mailbox).await, [], "the session lives on");
}

#[tokio::test]
async fn a_members_mailbox_is_entered_by_the_master_user_and_only_bounces_are_looked_at() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[CHEN]);
    let inbox = dovecot.inbox(CHEN);
    inbox.deliver(b"From: li@corp.example.cn\r\nSubject: private\r\n\r\nlunch?\r\n");
    inbox.deliver(&bounce("first"));
    let mut settings = settings(dovecot.imap, &format!("{CHEN}*{MASTER}"), MASTER_PASSWORD);
    settings.role = Role::Member(Address::parse(CHEN).expect("an address"));
    settings.after = After::Leave;
    let mut mailbox = connected(settings).await;
    let found = all(&mut mailbox).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let message = mailbox.fetch(&found[0]).await.expect("fetches").expect("is there");
    assert!(String::from_utf8_lossy(&message.bytes).contains("nobody@example.net"));
    mailbox.settle(&recorded(&found[0]), Outcome::Bounce).await.expect("leaves");
    assert!(inbox.mails().iter().all(|it| it.flags.is_empty()));
    // Its Sent folder knows what was sent.
    dovecot.inbox(CHEN).folder("Sent").deliver(b"Message-ID: <sent.1@corp.example.cn>\r\nSubject: x\r\n\r\nx\r\n");
    for (id, expected) in [("sent.1@corp.example.cn", true), ("forged@corp.example.cn", false)] {
        let id = MessageId::parse(id).expect("an id");
        assert_eq!(mailbox.find_sent(&id).await.expect("asks"), Some(expected));
    }
}

#[tokio::test]
async fn news_end_the_waiting_at_once_and_so_does_cancelling() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let mut mailbox = connected(settings(dovecot.imap, BOUNCES, PASSWORD)).await;
    let cursor = mailbox.scan("INBOX", None, None).await.expect("scans").cursor;
    let cancel = CancellationToken::new();
    let delivered = async {
        dovecot.inbox(BOUNCES).deliver(&bounce("first"));
        Instant::now()
    };
    let (wake, delivered) = tokio::join!(mailbox.wait(&cancel), delivered);
    assert_eq!(wake.expect("waits"), Wake::News);
    assert!(delivered.elapsed() < Duration::from_secs(2), "{:?}", delivered.elapsed());
    assert_eq!(mailbox.scan("INBOX", cursor, None).await.expect("scans").found.len(), 1);

    let stop = async {
        cancel.cancel();
        Instant::now()
    };
    let (wake, stopped) = tokio::join!(mailbox.wait(&cancel), stop);
    assert_eq!(wake.expect("waits"), Wake::Stopped);
    assert!(stopped.elapsed() < Duration::from_secs(1));
    assert_eq!(all(&mut mailbox).await.len(), 1, "the session is in step still");
}

#[tokio::test]
async fn a_poll_comes_in_time_with_and_without_idle() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    for with_idle in [true, false] {
        let mut settings = settings(dovecot.imap, BOUNCES, PASSWORD);
        settings.poll_interval = Duration::from_millis(400);
        let Place::Imap { idle, folders, .. } = &mut settings.place else { unreachable!() };
        *idle = with_idle;
        folders.push("Junk".to_owned());
        let mut mailbox = connected(settings).await;
        for folder in mailbox.folders() {
            mailbox.scan(&folder, None, None).await.expect("scans");
        }
        let begun = Instant::now();
        assert_eq!(mailbox.wait(&CancellationToken::new()).await.expect("waits"), Wake::Poll);
        assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test]
async fn of_a_large_report_the_part_that_matters_is_fetched() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let text = String::from_utf8(bounce("large")).expect("ASCII");
    let at = text.find("message/delivery-status").expect("a report");
    let at = text[..at].rfind("\n--").expect("a boundary") + 1;
    let filler = "filler filler filler filler\r\n".repeat(20_000);
    let large = format!("{}{filler}{}", &text[..at], &text[at..]);
    dovecot.inbox(BOUNCES).deliver(large.as_bytes());
    let mut mailbox = connected(settings(dovecot.imap, BOUNCES, PASSWORD)).await;
    let found = all(&mut mailbox).await;
    let message = mailbox.fetch(&found[0]).await.expect("fetches").expect("is there");
    assert!(message.size > 500_000 && message.bytes.len() < 256 * 1024);
    let got = String::from_utf8_lossy(&message.bytes);
    for wanted in ["Final-Recipient", "Reporting-MTA", "Message-ID: <large", "Content-Type: message/delivery-status"] {
        assert!(got.contains(wanted), "{wanted} is missing in {}", &got[got.len().saturating_sub(3000)..]);
    }
}

#[tokio::test]
async fn starttls_and_implicit_tls_reach_the_same_mailbox() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    for (address, mode) in [(dovecot.imap, TlsMode::StartTls), (dovecot.imaps, TlsMode::Implicit)] {
        let mut settings = settings(address, BOUNCES, PASSWORD);
        let Place::Imap { endpoint, .. } = &mut settings.place else { unreachable!() };
        (endpoint.tls, endpoint.ca_file) = (mode, Some(dovecot.authority.ca_file.clone()));
        let survey = Mailbox::new(settings).survey().await.expect("surveys");
        assert_eq!(survey.tls, Some("TLS 1.3"));
        assert!(survey.idle && survey.can_move);
        assert_eq!(survey.folders, [("INBOX".to_owned(), Ok(0))]);
    }
}
