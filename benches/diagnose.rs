//! What reading and diagnosing cost: beside the parser alone, by the size of the message, by the
//! number of rules, and once at the start. `cargo bench`; `docs/performance.md` tells the figures.

use std::{fs, hint::black_box, path::PathBuf};

use divan::{Bencher, counter::BytesCount};
use jiff::{Timestamp, tz::TimeZone};
use whybounced::{
    bounce::{self, Recognition},
    catalogue,
    cli::diagnose::Knowledge,
    diagnosis::{Catalogue, Home},
    mail::{Language, Mailbox},
    reply::{self, Settings, Texts},
};

fn main() {
    divan::main();
}

/// The corpus where it is there (`WHYBOUNCED_CORPUS`, default `../shared/corpus/mail`), else our own samples.
fn messages() -> Vec<Vec<u8>> {
    let corpus =
        std::env::var_os("WHYBOUNCED_CORPUS").map_or_else(|| PathBuf::from("../shared/corpus/mail"), PathBuf::from);
    let folder = if corpus.is_dir() { corpus } else { PathBuf::from("catalogue") };
    let mut paths = vec![folder];
    let mut found = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            paths.extend(entries.map(|it| it.path()));
        } else if path.extension().is_none_or(|it| it == "eml") {
            found.extend(fs::read(&path));
        }
    }
    found
}

fn octets(messages: &[Vec<u8>]) -> BytesCount {
    BytesCount::new(messages.iter().map(Vec::len).sum::<usize>())
}

/// (a) of the comparison: the same bytes through mail-parser, bodies decoded.
#[divan::bench(sample_count = 20)]
fn corpus_mail_parser_alone(bencher: Bencher<'_, '_>) {
    let messages = messages();
    bencher.counter(octets(&messages)).bench_local(|| {
        for message in &messages {
            black_box(mail_parser::MessageParser::default().parse(black_box(message)));
        }
    });
}

/// Our own reading without the diagnosis.
#[divan::bench(sample_count = 20)]
fn corpus_recognise(bencher: Bencher<'_, '_>) {
    let messages = messages();
    bencher.counter(octets(&messages)).bench_local(|| {
        for message in &messages {
            black_box(bounce::recognise(black_box(message)));
        }
    });
}

/// The words of the explanations of all samples, in two languages: text, HTML, MIME.
#[divan::bench(sample_count = 20)]
fn demo_explained(bencher: Bencher<'_, '_>) {
    let knowledge = Knowledge::embedded().expect("the catalogue is sound");
    let texts = Texts::embedded();
    let samples = catalogue::folder("demo").filter_map(|(_, text)| match bounce::recognise(text.as_bytes()) {
        Recognition::Bounce(bounce) => Some([(bounce.clone(), knowledge.findings(&bounce, None))]),
        Recognition::NotABounce(_) => None,
    });
    let samples: Vec<_> = samples.collect();
    let from = Mailbox::parse("whybounced@example.cn").expect("an address");
    let settings = Settings::plain(from, TimeZone::UTC);
    bencher.bench_local(|| {
        for case in &samples {
            let languages = vec![Language::zh_cn(), Language::en()];
            let plan = reply::preview_plan(&case[0].0, languages, Timestamp::UNIX_EPOCH);
            black_box(reply::render(&texts, &settings, &plan, case, Timestamp::UNIX_EPOCH));
        }
    });
}

/// All that `diagnose` does but for files and JSON.
#[divan::bench(sample_count = 20)]
fn corpus_diagnose(bencher: Bencher<'_, '_>) {
    let messages = messages();
    let catalogue = Catalogue::embedded().expect("the catalogue is sound");
    bencher.counter(octets(&messages)).bench_local(|| {
        for message in &messages {
            diagnose(&catalogue, black_box(message));
        }
    });
}

fn diagnose(catalogue: &Catalogue, message: &[u8]) {
    if let Recognition::Bounce(bounce) = bounce::recognise(message) {
        for report in &bounce.recipients {
            black_box(catalogue.diagnose(&bounce, report, Home::Elsewhere));
        }
    }
}

/// Once at the start and at each reload.
#[divan::bench(sample_count = 50)]
fn catalogue_load() -> Catalogue {
    Catalogue::embedded().expect("the catalogue is sound")
}

/// The built-in rules, and beside them nine times as many that never apply.
#[divan::bench(args = [1, 10], sample_count = 50)]
fn diagnose_with_times_the_rules(bencher: Bencher<'_, '_>, times: usize) {
    let written = |path: &str| fs::read_to_string(PathBuf::from("catalogue").join(path)).expect("a file of ours");
    let mut files: Vec<(&str, String)> = catalogue::FILES.iter().map(|(path, _)| (*path, written(path))).collect();
    let built_in = files.iter().map(|(_, text)| text.matches("[[rule]]").count()).sum::<usize>();
    let more: String = (0..built_in * (times - 1))
        .map(|number| {
            let word: String = format!("{number:x}").chars().map(|c| char::from_digit(c.to_digit(16).unwrap_or(0) + 16, 36).unwrap_or('x')).collect();
            format!("[[rule]]\nid = \"more/{number}\"\nany = [\"mailbox {word} of user {word} rejected\"]\nsource = \"made\"\nsamples = [\"x\"]\n")
        })
        .collect();
    if let Some((_, text)) = files.iter_mut().find(|(path, _)| *path == "causes/policy/cause.toml") {
        text.push_str(&more);
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let catalogue = Catalogue::from_files(&files).expect("sound rules");
    let texts = [
        "550 5.1.1 <li@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
        "552 5.2.2 The email account that you tried to reach is over quota",
        "554 Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/q/192.0.2.1",
        "host mx.example.org[192.0.2.7] said: 450 4.7.1 greylisted, try again later (in reply to RCPT TO command)",
        "nothing here that any rule of any kind would know by these words, however long they go on about it",
    ];
    bencher.bench_local(|| {
        for text in texts {
            black_box(catalogue.diagnose_text(black_box(text), None, Home::Elsewhere));
        }
    });
}

/// A report whose returned message is as long as asked for.
#[divan::bench(args = [16, 64, 256, 1024, 4096], sample_count = 20)]
fn report_of_kilobytes(bencher: Bencher<'_, '_>, kilobytes: usize) {
    let head = "From: MAILER-DAEMON@mail.example.cn\nTo: chen@corp.example.cn\nSubject: Undelivered Mail Returned to Sender\n\
        MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\n\
        This is the mail system at host mail.example.cn.\n\n<li@example.org>: host mx.example.org[192.0.2.7] said:\n    550 5.1.1 User unknown\n\n\
        --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.cn\n\nFinal-Recipient: rfc822; li@example.org\n\
        Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n\n--b\nContent-Type: message/rfc822\n\n\
        From: chen@corp.example.cn\nTo: li@example.org\nSubject: hello\nMessage-ID: <1@corp.example.cn>\n\n";
    let mut message = head.as_bytes().to_vec();
    while message.len() < kilobytes * 1024 {
        message.extend_from_slice(b"Dear Li, here is what we talked about, with all that belongs to it and more.\n");
    }
    message.extend_from_slice(b"\n--b--\n");
    let catalogue = Catalogue::embedded().expect("the catalogue is sound");
    bencher.counter(BytesCount::new(message.len())).bench_local(|| diagnose(&catalogue, black_box(&message)));
}

/// 256 KB made to be slow: none may take longer than 50 ms.
#[divan::bench(args = ["one line", "nested", "boundaries", "addresses", "headers", "html", "NULs"], sample_count = 20)]
fn hostile_256_kilobytes(bencher: Bencher<'_, '_>, kind: &str) {
    let head = "From: MAILER-DAEMON@mail.example.cn\nSubject: failure notice\nMIME-Version: 1.0\n";
    let many = |piece: &str| piece.repeat(256 * 1024 / piece.len());
    let message = match kind {
        "one line" => format!("{head}\n{}", many("550 5.1.1 user unknown <a@b.example> ")),
        "nested" => format!("{head}{}", many("Content-Type: multipart/mixed; boundary=b\n\n--b\n")),
        "boundaries" => format!("{head}Content-Type: multipart/report; boundary=b\n\n{}", many("--b\n\nx\n")),
        "addresses" => format!("{head}\n{}", many("<a@b.example>:\n550 no\n\n")),
        "headers" => format!("{head}{}\n\nx\n", many("Received: from a.example by b.example; x\n")),
        "html" => format!("{head}Content-Type: text/html\n\n{}", many("<table><tr><td>a@b.example &nbsp;")),
        _ => format!("{head}\n{}", many("\0")),
    };
    let catalogue = Catalogue::embedded().expect("the catalogue is sound");
    bencher.counter(BytesCount::new(message.len())).bench_local(|| diagnose(&catalogue, black_box(message.as_bytes())));
}
