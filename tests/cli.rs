//! The command line as scripts see it: exit codes, lines, order, nulls (`design.md` §5).

use std::{fs, path::Path};

use assert_cmd::Command;
use serde_json::Value;

const BOUNCE: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@mail.corp.example.cn\nTo: chen@corp.example.cn\n\
Subject: failure notice\nDate: Mon, 16 Nov 2026 09:12:00 +0800\n\n\
Hi. This is the qmail-send program at mail.corp.example.cn.\n\
I'm afraid I wasn't able to deliver your message to the following addresses.\n\
This is a permanent error; I've given up. Sorry it didn't work out.\n\n\
<wang@Buyer.Example.cn>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n\
--- Below this line is a copy of the message.\n\n\
Return-Path: <chen@corp.example.cn>\nFrom: chen@corp.example.cn\nTo: wang@buyer.example.cn\n\
Subject: =?utf-8?b?5oql5Lu3?=\nMessage-ID: <m1@corp.example.cn>\nDate: Mon, 16 Nov 2026 09:11:00 +0800\n\n";
const ORDINARY: &str =
    "From: a@b.example\nTo: c@d.example\nSubject: lunch\nDate: Mon, 16 Nov 2026 09:12:00 +0800\n\nToday?\n";

fn whybounced() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whybounced"));
    command.env_remove("RUST_BACKTRACE").env_remove("WHYBOUNCED_LOG");
    command
}

fn lines(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(output.to_vec()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        fs::write(path, content).expect("written");
    }
    root
}

#[test]
fn every_file_gives_one_line_in_order_and_an_unreadable_path_does_not_end_the_rest() {
    let mbox = format!("From x\n{BOUNCE}\nFrom y\n{ORDINARY}");
    let root = folder(&[
        ("a.eml", BOUNCE.as_bytes()),
        ("b/empty", b""),
        ("b/noise", &[0xff, 0, 1, 2, 200]),
        ("c/mbox", mbox.as_bytes()),
        ("d.eml", ORDINARY.as_bytes()),
    ]);
    let output = whybounced()
        .args(["diagnose", "--format", "json", "/does/not/exist"])
        .arg(root.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(65));
    let lines = lines(&output.stdout);
    assert_eq!(lines[0]["source"], "/does/not/exist");
    assert!(lines[0]["error"].is_string() && lines[0].get("kind").is_none());
    let at = |name: &str| root.path().join(name).display().to_string();
    let sources: Vec<&str> = lines[1..].iter().map(|line| line["source"].as_str().expect("a source")).collect();
    assert_eq!(
        sources,
        [
            at("a.eml"),
            at("b/empty"),
            at("b/noise"),
            format!("{}#1", at("c/mbox")),
            format!("{}#2", at("c/mbox")),
            at("d.eml")
        ]
    );
    let kinds: Vec<&str> = lines[1..].iter().map(|line| line["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["failed", "not_a_bounce", "not_a_bounce", "failed", "not_a_bounce", "not_a_bounce"]);
    for (line, because) in [(2, "unreadable"), (3, "unreadable"), (6, "ordinary_mail")] {
        assert_eq!(lines[line]["not_a_bounce_because"], because);
    }
}

#[test]
fn a_line_is_complete() {
    let output =
        whybounced().args(["diagnose", "--format", "json", "-"]).write_stdin(BOUNCE).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line: Value = serde_json::from_str(&text).expect("JSON");
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let mut expected =
        ["source", "kind", "forwarded_by", "not_a_bounce_because", "reporting_mta", "format", "bounces", "original"];
    expected.sort_unstable();
    assert_eq!(keys(&line), expected);
    assert_eq!(line["source"], "-");
    assert_eq!(
        (&line["kind"], &line["forwarded_by"], &line["not_a_bounce_because"]),
        (&"failed".into(), &Value::Null, &Value::Null)
    );
    let bounce = &line["bounces"][0];
    assert_eq!(keys(bounce).len(), 14);
    assert_eq!(bounce["recipient"], "wang@buyer.example.cn");
    assert_eq!((&bounce["cause"], &bounce["acts"]), (&"user_unknown".into(), &"sender".into()));
    assert_eq!(
        (&bounce["permanent"], &bounce["expired"], &bounce["status"]),
        (&true.into(), &false.into(), &"5.1.1".into())
    );
    assert_eq!(bounce["original_recipient"], Value::Null);
    let original = &line["original"];
    assert_eq!(original["subject"], "报价");
    assert_eq!(original["message_id"], "<m1@corp.example.cn>");
    assert_eq!(original["date"], "2026-11-16T01:11:00Z");
    assert_eq!(original["to"][0], "wang@buyer.example.cn");
}

#[test]
fn explain_needs_no_configuration_and_writes_text_or_mail() {
    let output = whybounced().args(["explain", "-", "--lang", "zh"]).write_stdin(BOUNCE).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("wang@buyer.example.cn") && text.contains("没有这个邮箱"), "{text}");
    let output = whybounced().args(["explain", "-", "--eml"]).write_stdin(BOUNCE).output().expect("it runs");
    let mail = String::from_utf8(output.stdout).expect("7-bit");
    assert!(mail.contains("\r\nIn-Reply-To: <m1@corp.example.cn>\r\n"), "{mail}");
    let output = whybounced().args(["explain", "-"]).write_stdin(ORDINARY).output().expect("it runs");
    assert_eq!(output.status.code(), Some(65));
}

#[test]
fn mistakes_on_the_command_line_are_64_and_in_the_configuration_78() {
    let code = |arguments: &[&str]| whybounced().args(arguments).output().expect("it runs").status.code();
    assert_eq!(code(&["nonsense"]), Some(64));
    assert_eq!(code(&["diagnose"]), Some(64));
    assert_eq!(code(&["diagnose", "--home-country", "China", "-"]), Some(64));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["check", "--config", "/does/not/exist"]), Some(78));
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-configs/01-unknown-key/config.toml");
    let output = whybounced().arg("check").arg("--config").arg(&bad).output().expect("it runs");
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        text.contains("config.toml:5:1: mailbox.usr: unknown key") && text.contains("did you mean `user`?"),
        "{text}"
    );
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let script = format!(
        "set -o pipefail; '{0}' completions bash | head -c 1 >/dev/null && '{0}' --help | head -c 1 >/dev/null",
        env!("CARGO_BIN_EXE_whybounced")
    );
    let status = Command::new("bash").args(["-c", &script]).output().expect("it runs").status;
    assert_eq!(status.code(), Some(0));
}

#[test]
fn check_names_each_thing_with_its_remedy_and_tells_a_server_that_is_away() {
    let root = folder(&[("secret", b"x\n")]);
    let config = "domains = ['corp.example.cn']\n[[mailbox]]\nname = 'away'\nhost = '127.0.0.1'\nport = 1\ntls = 'none'\n\
        user = 'b'\npassword_file = 'secret'\n[smtp]\ndirectory = '.'\nfrom = 'b@corp.example.cn'\n\
        [evidence]\nenabled = false\n[journal]\nurl = 'sqlite:journal.db'\n";
    let path = root.path().join("config.toml");
    fs::write(&path, config).expect("written");
    let output = whybounced().args(["check", "--format", "json", "--config"]).arg(&path).output().expect("it runs");
    assert_eq!(output.status.code(), Some(69));
    let lines = lines(&output.stdout);
    let line =
        |check: &str| lines.iter().find(|it| it["check"] == check).unwrap_or_else(|| panic!("{check}: {lines:#?}"));
    assert_eq!(line("configuration")["result"], "fine");
    assert_eq!(line("rules")["result"], "fine");
    assert_eq!(line("journal")["result"], "fine");
    let away = line("mailbox away");
    assert_eq!(away["result"], "failed");
    assert!(away["detail"].as_str().is_some_and(|it| it.contains("127.0.0.1:1")), "{away}");
    assert!(away["remedy"].as_str().is_some_and(|it| it.contains("`port`")), "{away}");
}

#[test]
fn a_pass_over_a_maildir_explains_a_bounce_and_the_journal_tells_of_it() {
    let root =
        folder(&[("maildir/new/1.a.b", BOUNCE.as_bytes()), ("maildir/cur/.keep", b""), ("maildir/tmp/.keep", b"")]);
    let config = "domains = ['corp.example.cn']\nlanguage = 'zh-CN'\n[[mailbox]]\nmaildir = 'maildir'\n\
        [smtp]\ndirectory = 'out'\nfrom = 'b@corp.example.cn'\n[policy]\nmax_age = '36500d'\ngather = '0s'\n\
        [evidence]\nenabled = false\n[journal]\nurl = 'sqlite:journal.db'\n[log]\nto = 'stderr'\n";
    let path = root.path().join("config.toml");
    fs::write(&path, config).expect("written");
    let run = |arguments: &[&str]| whybounced().args(arguments).arg("--config").arg(&path).output().expect("it runs");
    for pass in 0..2 {
        let output = run(&["run", "--once"]);
        assert_eq!(output.status.code(), Some(0), "pass {pass}: {}", String::from_utf8_lossy(&output.stderr));
        let mails = fs::read_dir(root.path().join("out")).expect("written").count();
        assert_eq!(mails, 1, "explained once");
    }
    let rows = lines(&run(&["journal", "list", "--format", "json"]).stdout);
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["cause"], &rows[0]["state"]), (&"user_unknown".into(), &"sent".into()));
    let reference = rows[0]["reference_id"].as_str().expect("a reference");
    let story = String::from_utf8(run(&["journal", "show", reference]).stdout).expect("UTF-8");
    assert!(story.contains("wang@buyer.example.cn: failed, user_unknown"), "{story}");
    let mail = String::from_utf8(run(&["journal", "show", reference, "--eml"]).stdout).expect("7-bit");
    assert!(mail.contains("In-Reply-To: <m1@corp.example.cn>"), "{mail}");
    let table = String::from_utf8(run(&["journal", "list"]).stdout).expect("UTF-8");
    assert!(table.contains("chen@corp.example.cn") && table.contains("报价"), "{table}");
    assert_eq!(run(&["journal", "show", "WB-00000000"]).status.code(), Some(65));
}
