//! Mail that nobody should have sent: whatever it is, it stays where it lies and harms nothing.

use std::fmt::Write as _;

use crate::harness::{BOUNCES, Bounce, CHEN, Company, Daemon, Desk, LI, Letter, StoredMail, servers_here, wait_for};

/// What a running daemon may hold at most, in MiB, whatever lies in the mailbox (unoptimised build).
const MEMORY: u64 = 200;

/// A message of `size` octets with an attachment.
fn large(size: usize) -> Vec<u8> {
    let mut text = String::from(
        "From: it@corp.example.cn\nTo: bounces@corp.example.cn\nSubject: big\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/octet-stream\n\
         Content-Transfer-Encoding: base64\n\n",
    );
    let line = format!("{}\n", "QUJD".repeat(19));
    text.push_str(&line.repeat(size / line.len()));
    text.push_str("--b--\n");
    text.into_bytes()
}

fn ten_thousand_parts() -> Vec<u8> {
    let mut text = String::from(
        "From: a@example.net\nSubject: bomb\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n",
    );
    for number in 0..10_000 {
        write!(text, "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; {number}.example\n\n")
            .expect("a string");
    }
    text.push_str("--b--\n");
    text.into_bytes()
}

fn two_hundred_levels() -> Vec<u8> {
    let mut text = String::from("From: a@example.net\nSubject: deep\nMIME-Version: 1.0\n");
    for level in 0..200 {
        write!(text, "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n").expect("a string");
    }
    text.push_str("Content-Type: message/rfc822\n\n".repeat(200).as_str());
    text.into_bytes()
}

fn broken_charsets() -> Vec<u8> {
    let mut bytes = b"From: =?nonsense?B?//////?= <a@example.net>\nSubject: \xff\xfe\x80 =?gb2312?Q?=C4=E3=BA?=\nMIME-Version: 1.0\n\
        Content-Type: text/html; charset=\"x-no-such-charset\"\nContent-Transfer-Encoding: base64\n\n"
        .to_vec();
    bytes.extend((0..=255_u8).cycle().take(20_000));
    bytes
}

#[test]
fn mail_that_is_no_bounce_or_cannot_be_read_stays_where_it_lies() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let strange: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("a newline", b"\n".to_vec()),
        ("not mail", b"\x7fELF\x02\x01\x01\x00 this is no mail at all \x00\x01\x02".to_vec()),
        ("noise", (0..200_000_u32).map(|it| u8::try_from(it.wrapping_mul(2_654_435_761) >> 24).unwrap_or_default()).collect()),
        ("one long line", vec![b'a'; 1_000_000]),
        ("10,000 parts", ten_thousand_parts()),
        ("200 levels", two_hundred_levels()),
        ("broken charsets", broken_charsets()),
        ("60 MB", large(60 << 20)),
        ("a person's mail", b"From: li@corp.example.cn\nTo: bounces@corp.example.cn\nSubject: hi\nMessage-ID: <p@corp.example.cn>\n\nHello.\n".to_vec()),
    ];
    for (_, bytes) in &strange {
        desk.inbox().deliver(bytes);
    }
    let mut daemon = Daemon::start(&desk.config);
    desk.all_dealt_with();
    assert!(daemon.is_running());
    assert_eq!(desk.out.accepted().len(), 1, "nobody else is written to");
    let left: Vec<StoredMail> = desk.inbox().mails();
    for (name, bytes) in &strange {
        let there = left.iter().find(|it| it.bytes == *bytes);
        assert_eq!(there.map(|it| it.flags.as_str()), Some(""), "{name} is left as it was");
    }
    let journal = desk.journal();
    assert_eq!(journal.lines().count(), strange.len() + 1, "each is on record: {journal}");
    assert!(daemon.peak_memory() < MEMORY, "{} MiB", daemon.peak_memory());
    // Nothing of it is asked for again.
    drop(daemon);
    let _daemon = Daemon::start(&desk.config);
    let second = desk.bounce("li", "second-run");
    desk.wait_explained(&second);
    assert_eq!(desk.journal().lines().count(), strange.len() + 2);
}

#[test]
fn a_bounce_of_60_mb_is_explained_in_bounded_memory() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    // The returned message at the end, as mail systems put it.
    let letter = Letter::new("chen", "nobody@example.net", "huge");
    let bounce = Bounce::of(&letter).text();
    let whole = String::from_utf8(large(60 << 20)).expect("ASCII");
    let (_, body) = whole.split_once("\n\n").expect("a body");
    let with_body = bounce.replace("text/rfc822-headers", "message/rfc822").replace(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n--A1/mail--",
        &format!("Content-Type: multipart/mixed; boundary=b\n\n{body}\n--A1/mail--"),
    );
    assert!(with_body.len() > 60 << 20);
    desk.inbox().deliver(with_body.as_bytes());
    // And one whose report comes after a megabyte of words.
    let late = Letter::new("chen", "other@example.net", "late");
    let words = "This is the mail system. Nothing of interest stands in this line of text.\n".repeat(15_000);
    let with_words =
        Bounce::of(&late).text().replace("This is the mail system", &format!("{words}This is the mail system"));
    desk.inbox().deliver(with_words.as_bytes());
    let mut daemon = Daemon::start(&desk.config);
    desk.all_dealt_with();
    // People do not wait for each other, so those of Chen may come later.
    desk.wait_explained(&letter);
    desk.wait_explained(&late);
    assert!(daemon.is_running());
    assert!(daemon.peak_memory() < MEMORY, "{} MiB", daemon.peak_memory());
}

#[test]
fn a_forged_bounce_is_answered_to_nobody() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    // A spammer wrote in Chen's name; nothing says that it was sent here.
    let mut forged = Letter::new("chen", "victim@example.net", "forged");
    forged.message_id = "<20261124.77@spam.example>".to_owned();
    let mut bounce = Bounce::of(&forged);
    bounce.reporting_mta = "mx.example.org".to_owned();
    let text = bounce.text().replace("mail.corp.example.cn", "bot.example.org");
    desk.inbox().deliver(text.as_bytes());
    // A stranger's mail, bounced to us.
    let mut strange = Letter::new("chen", "victim@example.net", "strange");
    strange.from = "someone@elsewhere.example".to_owned();
    desk.inbox().deliver(Bounce::of(&strange).text().as_bytes());
    // A robot of ours, and a newsletter.
    let mut robot = Letter::new("chen", "victim@example.net", "robot");
    robot.more = "Auto-Submitted: auto-generated\n".to_owned();
    desk.inbox().deliver(Bounce::of(&robot).text().as_bytes());
    let mut list = Letter::new("chen", "victim@example.net", "list");
    list.more = "List-Id: <news.corp.example.cn>\nPrecedence: list\n".to_owned();
    desk.inbox().deliver(Bounce::of(&list).text().as_bytes());
    // A warning that the server still tries.
    let mut delayed = Bounce::of(&Letter::new("chen", "slow@example.net", "delayed"));
    (delayed.action, delayed.status) = ("delayed", "4.4.1");
    delayed.diagnostic = "451 4.4.1 no answer yet".to_owned();
    desk.inbox().deliver(delayed.text().as_bytes());

    let _daemon = Daemon::start(&desk.config);
    let last = desk.all_dealt_with();
    assert_eq!(desk.answered(), [last.message_id]);
    let journal = desk.journal();
    for reason in ["unproven_origin", "not_our_domain", "automated_original", "list_bounce", "delay_not_configured"] {
        assert!(journal.contains(reason), "{reason} is on record: {journal}");
    }
}

#[test]
fn our_own_explanation_bounced_back_starts_no_loop() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    // Watched mailbox, login and sender are one address, as at many hosters they must be.
    let mut config = company.config();
    config.set("smtp.from", BOUNCES);
    let _daemon = Daemon::start(&config);
    company.write_in_vain(CHEN, "first");
    let explanation = company.inbox(CHEN).wait_for_explanation();

    // Chen's mailbox refuses it, and the whole of it comes back, as a report and in plain words.
    let mut letter = Letter::new("bounces", CHEN, "again");
    letter.message_id = explanation.header("Message-ID");
    letter.more = format!("X-Whybounced: {}\nAuto-Submitted: auto-replied\n", explanation.header("X-Whybounced"));
    company.inbox(BOUNCES).deliver(Bounce::of(&letter).text().as_bytes());
    letter.more = String::new();
    company.inbox(BOUNCES).deliver(Bounce::of(&letter).text().as_bytes());
    let plain = format!(
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: {BOUNCES}\nSubject: failure notice\n\n\
         Hi. This is the qmail-send program at mx.example.net.\n<{CHEN}>:\nUser unknown.\n\n\
         --- Below this line is a copy of the message.\n\n{}",
        explanation.text()
    );
    company.inbox(BOUNCES).deliver(plain.as_bytes());
    // And the explanation itself, filed into the watched mailbox.
    company.inbox(BOUNCES).deliver(&explanation.bytes);

    let last = company.write_in_vain(LI, "last");
    company.inbox(LI).wait_for("the last explanation", |it| it.header("In-Reply-To") == last.message_id);
    assert_eq!(company.inbox(CHEN).explanations().len(), 1);
    assert_eq!(company.inbox(LI).explanations().len(), 1);
    let ours = company
        .inbox(BOUNCES)
        .mails()
        .iter()
        .filter(|it| it.header("To").contains(BOUNCES) && it.is_explanation())
        .count();
    assert_eq!(ours, 0, "nothing was sent to ourselves");
    let journal = config.run(&["journal", "list", "--all", "--format", "json"]).stdout;
    assert!(journal.matches("our_own_reply").count() >= 4, "{journal}");
}

#[test]
fn a_colleague_who_answers_in_the_thread_of_an_explanation_is_a_colleague() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let desk = Desk::open();
    let mut letter = Letter::new("chen", "nobody@example.net", "threaded");
    letter.more =
        "In-Reply-To: <wb.0123456789abcdef0123456789abcdef@corp.example.cn>\nReferences: <wb.0123456789abcdef0123456789abcdef@corp.example.cn>\n"
            .to_owned();
    desk.inbox().deliver(Bounce::of(&letter).text().as_bytes());
    let _daemon = Daemon::start(&desk.config);
    desk.wait_explained(&letter);
}

#[test]
fn many_bounces_at_once_reach_a_person_at_most_as_often_as_the_limit_says() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    desk.config.set("policy.limit_person", "3/1d");
    for number in 0..8 {
        desk.bounce("chen", &format!("burst-{number}"));
    }
    let _daemon = Daemon::start(&desk.config);
    desk.all_dealt_with();
    // Two people are written to side by side.
    wait_for("three explanations", || (desk.out.accepted().len() >= 4).then_some(()));
    let to_chen = desk.out.accepted().iter().filter(|it| it.to == [CHEN.to_owned()]).count();
    assert!((3..=4).contains(&to_chen), "the limit, and one digest at most: {to_chen}");
    // Several are in hand at once: the last one in is not the last on record.
    wait_for("all on record", || (desk.journal().lines().count() == 9).then_some(()));
    assert_eq!(desk.journal().matches("rate_limited_person").count(), 5);
}
