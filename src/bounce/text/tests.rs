//! Every descriptor against its own samples, and the reading against hostile text.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{
    descriptor::{Descriptor, Format},
    shared::Shared,
    *,
};
use crate::catalogue;

/// `NN.expect.toml`: what must be read out of `NN.eml`.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Expected {
    format: String,
    reporting_mta: Option<String>,
    /// The words with which the pasted original begins.
    original: Option<String>,
    /// The original's author, subject and Message-ID where the text tells them.
    from: Option<String>,
    subject: Option<String>,
    message_id: Option<String>,
    recipient: Vec<ExpectedRecipient>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct ExpectedRecipient {
    address: String,
    original: Option<String>,
    action: Option<Action>,
    diagnostic: Option<String>,
    status: Option<String>,
    reply_code: Option<u16>,
    remote_mta: Option<String>,
    #[serde(default)]
    expired: bool,
}

fn described(mail: &Mail, reading: TextReading) -> Expected {
    let recipient = |it: TextRecipient| ExpectedRecipient {
        address: it.address.to_string(),
        original: it.original.map(|it| it.to_string()),
        action: Some(it.action).filter(|it| *it != Action::Failed),
        diagnostic: it.diagnostic,
        status: it.status.map(|it| it.to_string()),
        reply_code: it.reply_code.map(ReplyCode::get),
        remote_mta: it.remote_mta,
        expired: it.expired,
    };
    let original = reading.original_at.and_then(|at| mail.text().get(at..)?.lines().next().map(str::to_owned));
    Expected {
        format: reading.format,
        reporting_mta: reading.reporting_mta,
        original,
        from: reading.particulars.from.map(|it| it.to_string()),
        subject: reading.particulars.subject,
        message_id: reading.particulars.message_id.map(|it| it.to_string()),
        recipient: reading.recipients.into_iter().map(recipient).collect(),
    }
}

/// `(name, sample's path without extension)` of every sample on disk.
fn samples() -> Vec<(String, std::path::PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/formats");
    let mut samples = Vec::new();
    for format in fs::read_dir(root).unwrap().map(|it| it.unwrap()).filter(|it| it.path().is_dir()) {
        let name = format.file_name().into_string().unwrap();
        let Ok(folder) = fs::read_dir(format.path().join("samples")) else { continue };
        let paths = folder.map(|it| it.unwrap().path()).filter(|it| it.extension().is_some_and(|it| it == "eml"));
        samples.extend(paths.map(|it| (name.clone(), it.with_extension(""))));
    }
    samples.sort();
    samples
}

#[test]
fn every_descriptor_is_sound() {
    for (path, _) in catalogue::folder("formats") {
        if path.ends_with("/shared.toml") {
            catalogue::written::<Shared>(path);
        } else {
            catalogue::written::<Descriptor>(path);
        }
    }
    let mut wrong = Vec::new();
    let formats = Formats::load(&mut |it| wrong.push(it));
    wrong.extend(formats.all.iter().flat_map(Format::check).chain(formats.shared.check()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(formats.all.iter().all(|it| !it.descriptor.source.is_empty()));
}

#[test]
fn every_descriptor_has_a_sample_and_reads_it_as_expected() {
    let samples = samples();
    let mut wrong = Vec::new();
    for format in &FORMATS.all {
        if !samples.iter().any(|(name, _)| *name == format.name) {
            wrong.push(format!("{}: no sample", format.name));
        }
    }
    for (name, path) in samples {
        let mail = Mail::parse(&fs::read(path.with_extension("eml")).unwrap());
        let expected = fs::read_to_string(path.with_extension("expect.toml")).unwrap_or_default();
        let expected: Result<Expected, _> = toml::from_str(&expected);
        let read = read(&mail).map(|it| described(&mail, it)).unwrap_or_default();
        match expected {
            Ok(it) if it == read && it.format == name && FORMATS.is_clear(&mail) => {}
            other => wrong.push(format!("{}\nexpected {other:#?}\nread {read:#?}", path.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A text as it might arrive, of a daemon, with a subject of bounces.
fn read_hostile(text: &str) -> Option<TextReading> {
    let fields =
        "From: MAILER-DAEMON@mail.example.cn\nSubject: failure notice\nContent-Type: text/plain; charset=utf-8\n\n";
    read(&Mail::parse(format!("{fields}{text}").as_bytes()))
}

#[test]
fn hostile_text_is_read_in_bounded_time() {
    let started = std::time::Instant::now();
    for unit in [
        "<a@b.example>:\n",
        "a@",
        "@",
        "\"",
        "550-",
        "=3D=\n",
        "\0",
        "\n",
        ">>> RCPT To:<a@b.example>\n<<< 550-x\n",
        "收件人：",
        // Each address asks about all the other lines.
        "4 messages could not be delivered to <a@b.example> because of 5\n",
    ] {
        let preamble = "Hi. This is the qmail-send program at mail.example.cn.\n";
        read_hostile(&format!("{preamble}{}", unit.repeat(200_000 / unit.len())));
        read_hostile(&unit.repeat(200_000 / unit.len()));
    }
    assert!(started.elapsed() < std::time::Duration::from_mins(1), "{:?}", started.elapsed());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Samples cut, doubled and spoilt anywhere are read without a panic.
    #[test]
    fn nothing_panics(sample in 0_usize..200, at in 0_usize..4000, junk in "\\PC{0,40}", again in 0_usize..4000) {
        static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
            let read = |(_, path): (String, std::path::PathBuf)| fs::read(path.with_extension("eml")).unwrap();
            samples().into_iter().map(read).map(|it| Mail::parse(&it).text().to_owned()).collect()
        });
        let text: Vec<char> = TEXTS[sample % TEXTS.len()].chars().collect();
        let (at, again) = (at % text.len(), again % text.len());
        let spoilt: String = text[..at].iter().chain(&junk.chars().collect::<Vec<_>>()).chain(&text[again..]).collect();
        read_hostile(&spoilt);
    }
}

#[test]
fn ordinary_mail_gives_nothing() {
    for (from, subject, text) in [
        (
            "Wang <wang@example.org>",
            "Re: Offer",
            "Dear Li,\n\nthe parcel could not be delivered to\nzhou@example.com\n",
        ),
        ("Postmaster <postmaster@example.org>", "Friday", "Bob's mailbox was full; write to bob@example.org again."),
        ("Wang <wang@example.org>", "Re: 退信", "我收到退信了，请改发 wang2@example.org"),
        ("Shop <noreply@example.org>", "Your order has shipped", "Questions? support@example.org"),
    ] {
        let mail = format!("From: {from}\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{text}");
        assert_eq!(read(&Mail::parse(mail.as_bytes())), None, "{subject}");
    }
}

#[test]
fn the_general_reader_guesses_and_says_so() {
    let text =
        "We are sorry.\n\nwang@example.org\n   no such mailbox here\n\nContact postmaster@example.org for help.\n";
    let reading = read_hostile(text).unwrap();
    assert_eq!((reading.format.as_str(), reading.provenance), ("general", Provenance::Guess));
    let addresses: Vec<_> = reading.recipients.iter().map(|it| it.address.to_string()).collect();
    assert_eq!(addresses, ["wang@example.org"]);
    assert_eq!(reading.recipients[0].diagnostic.as_deref(), Some("no such mailbox here"));
    let reading = read_hostile("We are sorry.\n\n'wang@example.org', not collected after 30 days\n").unwrap();
    assert_eq!(reading.recipients[0].diagnostic.as_deref(), Some("not collected after 30 days"));
}

#[test]
fn what_daemons_write_in_a_language_nobody_knows_is_read_by_its_form() {
    let read = |from: &str, text: &str| {
        let fields = "Return-Path: <>\nSubject: Zvgrvyhat\nContent-Type: text/plain; charset=utf-8\n\n";
        read(&Mail::parse(format!("From: {from}\n{fields}{text}").as_bytes()))
    };
    let text = "Vuer Anpuevpug:\n\n  wang@example.org 3/3/2026 9:12\n    Xrva Cbfgsnpu.\n    <mx.example.org #5.1.1>\n";
    let reading = read("postmaster@example.org", text).unwrap();
    assert_eq!(reading.recipients[0].address.to_string(), "wang@example.org");
    assert_eq!(reading.recipients[0].status.map(|it| it.to_string()).as_deref(), Some("5.1.1"));
    let alone = "Rzcsnatre:\n\n  wang@example.org\n  zhou@example.org\n\nTehaq: ibyy.\n";
    let reading = read("MAILER-DAEMON@mx.example", alone).unwrap();
    assert_eq!(read("MAILER-DAEMON@example.org", alone), None);
    assert_eq!(reading.recipients.len(), 2);
    assert_eq!(read("Wang <wang@example.net>", alone), None);
    assert_eq!(read("postmaster@example.org", "Fpuervora Fvr na wang@example.org, jvexyvpu.\n"), None);
}

#[test]
fn every_row_of_a_list_is_read_with_its_own_reason() {
    for (rows, reasons) in [
        ("1. <wang@example.org> (no such user)\n2. <zhou@example.com> (quota)\n", ["no such user", "quota"]),
        ("wang@example.org --> no such user\nzhou@example.com --> timed out\n", ["no such user", "timed out"]),
        ("| wang@example.org | 550 no |\n| zhou@example.com | timed out |\n", ["550 no", "timed out"]),
        ("Address=wang@example.org; 550 no\nAddress=zhou@example.com; quota\n", ["550 no", "quota"]),
        ("[wang@example.org]\n\n550 no\n\n[zhou@example.com]\n\nMailbox full\n", ["550 no", "Mailbox full"]),
    ] {
        let reading = read_hostile(&format!("The mail system gave up on your mail:\n\n{rows}")).unwrap();
        let told: Vec<_> = reading
            .recipients
            .iter()
            .map(|it| (it.address.to_string(), it.diagnostic.as_deref().unwrap_or_default()))
            .collect();
        let [first, second] = reasons;
        let expected = [("wang@example.org".to_owned(), first), ("zhou@example.com".to_owned(), second)];
        assert_eq!(told, expected, "{rows}");
    }
}

/// What gateways put around mail that comes from outside, as staff see it.
const BANNER: &str = "【外部邮件】此邮件来自公司外部，请谨慎点击链接和附件。\n\
    CAUTION: This email originated from outside of the organization.\n\
    Do not click links unless you recognise the sender.\n\n";
const NOTICE: &str = "\n\n-- \nThis e-mail and any attachments are confidential. If you are not the intended recipient,\n\
    please tell the sender and delete it.\n\n本邮件及其附件含有保密信息，仅限于发送给上面地址中列出的个人。\n";

#[test]
fn what_gateways_put_around_a_bounce_tells_nothing_of_it() {
    let words = "Your message could not be delivered to:\n\n    li@example.org\n\nThe following is said of it:\n\n    mailbox gone away\n";
    let read = |body: &str| {
        let head = "Return-Path: <>\nFrom: MAILER-DAEMON@example.org\nSubject: Undelivered mail\nContent-Type: text/plain; charset=utf-8\n\n";
        read(&Mail::parse(format!("{head}{body}").as_bytes())).map(|it| it.recipients)
    };
    let plain = read(words);
    assert_eq!(plain.as_ref().map(Vec::len), Some(1));
    assert_eq!(read(&format!("{BANNER}{words}")), plain);
    assert_eq!(read(&format!("{words}{NOTICE}")), plain);
    assert_eq!(without_asides(words), words);
    assert_eq!(without_asides(&format!("{BANNER}{words}{NOTICE}")).trim().lines().last(), Some("mailbox gone away"));
}

#[test]
fn every_sample_of_plain_text_reads_the_same_behind_a_banner() {
    let banner = BANNER.split_once('\n').unwrap().1;
    let (mut tried, mut wrong) = (0, Vec::new());
    for (_, path) in samples() {
        let bytes = fs::read(path.with_extension("eml")).unwrap();
        let Ok(written) = String::from_utf8(bytes) else { continue };
        let Some((head, body)) = written.split_once("\n\n") else { continue };
        let folded = head.to_lowercase();
        if ["multipart", "text/html", "base64", "quoted-printable", "message/"].iter().any(|it| folded.contains(it)) {
            continue;
        }
        tried += 1;
        let read = |text: &str| read(&Mail::parse(text.as_bytes())).map(|it| (it.format, it.recipients));
        if read(&format!("{head}\n\n{banner}{body}")) != read(&written) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(tried > 40 && wrong.is_empty(), "{tried} tried, {wrong:#?}");
}

#[test]
fn a_reply_that_speaks_of_mail_from_outside_is_no_banner() {
    for reply in ["550 5.7.1 This message originated from outside: not allowed here", "该邮件组不接收外部邮件"]
    {
        assert_eq!(without_asides(reply), reply);
    }
}
