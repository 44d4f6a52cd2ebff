//! Bytes → recognition → diagnosis → explanation, and the same rewritten: nothing may panic.
#![no_main]

use std::sync::LazyLock;

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use whybounced::{
    anonymise::anonymise,
    bounce::{self, Recognition},
    diagnosis::{Catalogue, Home},
    evidence::Finding,
    mail::{Language, Mailbox},
    reply::{self, Audience, Texts},
};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().expect("sound"));
static TEXTS: LazyLock<Texts> = LazyLock::new(Texts::embedded);

fuzz_target!(|bytes: &[u8]| {
    let bounce = match bounce::recognise(bytes) {
        Recognition::Bounce(bounce) => Some(bounce),
        Recognition::NotABounce(other) => other.quoted.map(|it| *it),
    };
    let _ = anonymise(bytes, &CATALOGUE, None);
    let Some(bounce) = bounce else { return };
    assert!(!bounce.recipients.is_empty());
    let diagnose = |report: &bounce::RecipientReport| Finding {
        report: report.clone(),
        diagnosis: CATALOGUE.diagnose(&bounce, report, Home::MainlandChina),
        observations: Vec::new(),
    };
    let findings: Vec<Finding> = bounce.recipients.iter().map(diagnose).collect();
    let now = Timestamp::from_second(1_790_000_000).expect("in range");
    let plan = reply::preview_plan(&bounce, vec![Language::zh_cn(), Language::en()], now);
    let from = Mailbox::parse("whybounced@corp.example.cn").expect("an address");
    let settings = reply::Settings::plain(from, TimeZone::UTC);
    let cases = [(bounce, findings)];
    let mail = reply::render(&TEXTS, &settings, &plan, &cases, now);
    assert!(mail.bytes.is_ascii() && mail.bytes.split(|&b| b == b'\n').all(|line| line.len() <= 999));
    let _ = reply::render_parts(&TEXTS, &settings, &plan, &cases, Audience::Administrator, now);
});
