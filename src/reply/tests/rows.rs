//! Each row of the founding document: its words, diagnosed and explained by the real thing, as a
//! table in `docs/explanations-by-row.md` that cannot go stale.
//!
//! `WHYBOUNCED_WRITE=1 cargo test --lib rows` writes the table anew.

use std::fmt::Write as _;

use super::*;
use crate::diagnosis::{Catalogue, Home};

/// Section, words, recipient, cause.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("1", "550 Invalid User", "wang.xm@buyer.example.cn", "user_unknown"),
    ("1", "Connection time out", "liu@factory.example.cn", "connection_timeout"),
    ("2.1", "550 <wang.xm@buyer.example.cn>...User unknow", "wang.xm@buyer.example.cn", "user_unknown"),
    ("2.1", "550 Requested action not taken:mailbox unavailable", "wang.xm@buyer.example.cn", "user_unknown"),
    ("2.1", "550.5.1.1 <wang.xm@buyer.example.cn> is not a valid mailbox", "wang.xm@buyer.example.cn", "user_unknown"),
    ("2.1", "Sorry, no mailbox here by that name", "wang.xm@buyer.example.cn", "user_unknown"),
    ("2.1", "550 Invalid recipient <wang.xm@buyer.example.cn>", "wang.xm@buyer.example.cn", "user_unknown"),
    ("2.1", "wang.xm@buyer.example.cn(user not found)", "wang.xm@buyer.example.cn", "user_unknown"),
    (
        "2.2",
        "552 Message size exceeds fixed maximum message size(5000000)",
        "wang.xm@buyer.example.cn",
        "message_too_large",
    ),
    ("2.2", "552 Message size exceeds maximum message size", "wang.xm@buyer.example.cn", "message_too_large"),
    (
        "2.2",
        "552 Message size exceeds fixed maximum message size:5242880 bytes",
        "wang.xm@buyer.example.cn",
        "message_too_large",
    ),
    ("2.3", "User is over the quota", "zhangsan@partner.example", "mailbox_full"),
    ("2.3", "552 <zhangsan@partner.example>...Mailbox is full", "zhangsan@partner.example", "mailbox_full"),
    ("2.3", "550 <zhangsan@partner.example>...Can't create output", "zhangsan@partner.example", "mailbox_full"),
    ("2.3", "552 Requested mail action aborted: storage allocation", "zhangsan@partner.example", "mailbox_full"),
    (
        "2.4",
        "554 Too many hops 27 (25 max): from zhao@partner.example.cn via mail.example.com, to zhao@partner.example.cn",
        "zhao@partner.example.cn",
        "mail_loop",
    ),
    (
        "2.5",
        "<liu@factory.example.cn>: connect to factory.example.cn timed out",
        "liu@factory.example.cn",
        "connection_timeout",
    ),
    (
        "2.6",
        "554 <wang.xm@buyer.example.cn>: Recipient Address rejected:Relay access denied",
        "wang.xm@buyer.example.cn",
        "relay_denied",
    ),
    (
        "2.7",
        "host alt1.gmail-smtp-in.l.google.com[64.233.167.114] said: 551 User not local; please try",
        "j.smith@gmail.com",
        "cross_border_filtering",
    ),
    (
        "2.7",
        "lost connection with mx21.example.com[65.125.176.131] while sending MAIL FROM",
        "j.smith@buyer.example.com",
        "cross_border_filtering",
    ),
    ("2.7", "AAAAZZZZZAAAAZZZZAAAAZZZZ", "j.smith@buyer.example.com", "cross_border_filtering"),
    ("2.7", "aaazzzaazzzz....", "j.smith@buyer.example.com", "cross_border_filtering"),
    ("2.8", "552 message too large, too many attachments", "wang.xm@buyer.example.cn", "message_too_large"),
    ("3.1", "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)", "li@partner.example", "no_mail_host"),
    ("3.2", "invalid address (#5.5.0)", "wang.xm@buyer.example.cn", "user_unknown"),
    ("3.2", "User unknown", "wang.xm@buyer.example.cn", "user_unknown"),
    ("3.2", "user is not found", "wang.xm@buyer.example.cn", "user_unknown"),
    ("3.3", "Sorry, I couldn't find any host named hichian.example. (#5.1.2)", "li@hichian.example", "host_unknown"),
    ("3.3", "Sorry, I couldn't find any hostnamed hichian.example. (#5.1.2)", "li@hichian.example", "host_unknown"),
    (
        "3.4",
        "I'm not going to try again; this message has been in the queue too long.",
        "liu@factory.example.cn",
        "expired",
    ),
    (
        "3.5",
        "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)",
        "liu@factory.example.cn",
        "connection_failed",
    ),
    ("3.5", "550 System is busy", "liu@factory.example.cn", "system_busy"),
    (
        "3.6",
        "Connected to remote host, but it does not like recipient.",
        "wang.xm@buyer.example.cn",
        "recipient_rejected",
    ),
    ("3.7", "Connected to remote host, but sender was rejected.", "k.tanaka@kunde.example.de", "sender_rejected"),
    (
        "3.8",
        "Connected to remote host, but failed after I sent the message.",
        "wang.xm@buyer.example.cn",
        "rejected_after_data",
    ),
    ("3.9", "552 Message size exceeds fixed limit", "wang.xm@buyer.example.cn", "message_too_large"),
    ("3.9", "552Message size exceeds fixed limit", "wang.xm@buyer.example.cn", "message_too_large"),
    ("3.10", "receiptor's mailbox is full (#5.5.4)", "zhangsan@partner.example", "mailbox_full"),
    ("3.10", "Quota exceed the hard limit for user", "zhangsan@partner.example", "mailbox_full"),
    ("3.11", "553 Invalid sender", "sales@shop.example.cn", "sender_invalid"),
];

/// The explanation above the line, in one table cell.
fn cell(finding: &Finding, tag: &str, audience: Audience) -> String {
    let text = explain(finding, tag, audience).text;
    let above = text.split("-----").next().unwrap_or_default();
    let lines = above.lines().map(str::trim).filter(|it| !it.is_empty() && !it.contains("WB-") && !it.contains('→'));
    lines.skip(usize::from(audience == Audience::Author)).collect::<Vec<_>>().join("<br>").replace('|', "\\|")
}

fn table() -> String {
    let catalogue = Catalogue::embedded().expect("a sound catalogue");
    let mut wrong = Vec::new();
    let mut out = String::from(
        "# What becomes of each row of the founding document\n\n\
         Made by the test `src/reply/tests/rows.rs` from the real diagnosis and the real renderer; do not edit.\n\
         Look-ups are left out, and an administrator is told. The picture, the helpdesk line and what stands below\n\
         the line are the same for all and left out too.\n\n\
         | § | the bounce says | cause | the author reads | in English | the administrator reads |\n\
         |---|---|---|---|---|---|\n",
    );
    for (row, words, recipient, cause) in ROWS {
        let mut it = finding(recipient, cause, words);
        let bounce = bounce(std::slice::from_ref(&it));
        it.diagnosis = catalogue.diagnose(&bounce, &it.report, Home::MainlandChina);
        if it.diagnosis.cause.as_str() != *cause {
            wrong.push(format!("§{row} `{words}`: {} and not {cause}", it.diagnosis.cause.as_str()));
        }
        let cells = [("zh-CN", Audience::Author), ("en", Audience::Author), ("zh-CN", Audience::Administrator)];
        let cells = cells.map(|(tag, audience)| cell(&it, tag, audience));
        let _ = writeln!(out, "| {row} | `{words}` | `{}` | {} |", it.diagnosis.cause.as_str(), cells.join(" | "));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    out
}

#[test]
fn each_row_of_the_founding_document_is_explained() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/explanations-by-row.md");
    let table = table();
    if std::env::var_os("WHYBOUNCED_WRITE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).expect("a folder");
        std::fs::write(path, &table).expect("a file");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let stale = table.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(now, then)| now != then);
    assert!(
        written == table,
        "docs/explanations-by-row.md is stale at {stale:?}\n\nhint: WHYBOUNCED_WRITE=1 cargo test --lib rows"
    );
}
