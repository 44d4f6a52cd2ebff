//! What a person or a script sees of the commands that need no server: words, JSON, exit codes.

use serde_json::Value;

use crate::harness::{Bounce, Letter, Scratch, run};

/// The commands of the contract (`design.md` §5) that there are.
const COMMANDS: &[&str] = &[
    "demo",
    "init",
    "check",
    "run",
    "ingest",
    "diagnose",
    "explain",
    "journal",
    "rules",
    "anonymise",
    "replay",
    "completions",
    "man",
];

#[test]
fn help_names_each_command_and_each_command_has_help() {
    let help = run(&["--help"], b"");
    assert_eq!(help.status, 0);
    assert!(help.stderr.is_empty());
    for &command in COMMANDS {
        assert!(
            help.stdout.lines().any(|line| line.split_whitespace().next() == Some(command)),
            "{command} is missing from\n{}",
            help.stdout
        );
        let own = run(&[command, "--help"], b"");
        assert_eq!(own.status, 0, "{command} --help: {}", own.stderr);
        assert!(own.stdout.contains("Usage:"), "{command} --help: {}", own.stdout);
    }
}

#[test]
fn a_wrong_command_line_ends_with_64_and_says_what_is_meant() {
    for arguments in [&["diagnos", "x"][..], &["diagnose", "--nonsense"], &["explain"], &[]] {
        let done = run(arguments, b"");
        assert_eq!(done.status, 64, "{arguments:?}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{arguments:?}: {}", done.stdout);
    }
    assert!(run(&["diagnos", "x"], b"").stderr.contains("diagnose"));
}

#[test]
fn a_command_that_needs_a_configuration_says_which_file_it_missed() {
    for command in [&["run", "--once"][..], &["check"], &["journal", "list"]] {
        let mut arguments = command.to_vec();
        arguments.extend(["--config", "/nonexistent/config.toml"]);
        let done = run(&arguments, b"");
        assert_eq!(done.status, 78, "{command:?}: {}", done.stderr);
        // `check` prints its findings, each with its remedy; the others complain.
        let said = done.stdout + &done.stderr;
        assert!(said.contains("/nonexistent/config.toml"), "{command:?}: {said}");
        assert!(said.contains("hint:") || said.contains('→'), "{command:?}: {said}");
    }
}

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

const MESSAGE: [&str; 8] =
    ["bounces", "format", "forwarded_by", "kind", "not_a_bounce_because", "original", "reporting_mta", "source"];
const RECIPIENT: [&str; 15] = [
    "acts",
    "action",
    "cause",
    "confidence",
    "diagnostic",
    "expired",
    "matched",
    "original_recipient",
    "permanent",
    "recipient",
    "remote_mta",
    "reply_code",
    "rule",
    "status",
    "wait",
];
const ORIGINAL: [&str; 6] = ["date", "from", "message_id", "return_path", "subject", "to"];

#[test]
fn diagnose_prints_every_key_of_the_contract_for_every_file() {
    let scratch = Scratch::new();
    let letter = Letter::new("chen", "nobody@example.net", "first");
    scratch.write("1-bounce.eml", Bounce::of(&letter).text());
    scratch.write("2-letter.eml", letter.text());
    scratch.write("3-empty.eml", "");
    scratch.write("4-noise.eml", [0xff_u8, 0, 1, 2, 0xfe].repeat(500));
    scratch.write(
        "5.mbox",
        format!(
            "From MAILER-DAEMON Tue Nov 24 00:00:00 2026\n{}\nFrom a Tue Nov 24 00:00:01 2026\n{}\n",
            Bounce::of(&letter).text(),
            letter.text()
        ),
    );
    let done = run(&["diagnose", "--format", "json", &scratch.path().display().to_string()], b"");
    assert_eq!(done.status, 0, "{}", done.stderr);
    let lines = done.json();
    let kinds: Vec<&str> = lines.iter().filter_map(|it| it["kind"].as_str()).collect();
    assert_eq!(kinds, ["failed", "not_a_bounce", "not_a_bounce", "not_a_bounce", "failed", "not_a_bounce"]);
    for line in &lines {
        assert_eq!(keys(line), MESSAGE);
    }
    let why: Vec<&str> = lines.iter().filter_map(|it| it["not_a_bounce_because"].as_str()).collect();
    assert_eq!(why, ["ordinary_mail", "unreadable", "unreadable", "ordinary_mail"]);
    assert!(lines[4]["source"].as_str().is_some_and(|it| it.ends_with("5.mbox#1")), "{}", lines[4]["source"]);

    let bounce = &lines[0];
    assert_eq!(bounce["reporting_mta"], "mail.corp.example.cn");
    let recipient = &bounce["bounces"][0];
    for key in RECIPIENT.iter().filter(|key| **key != "wait") {
        assert!(recipient.get(key).is_some(), "{key} is missing from {recipient}");
    }
    assert_eq!(recipient["recipient"], "nobody@example.net");
    assert_eq!(recipient["action"], "failed");
    assert_eq!(recipient["status"], "5.1.1");
    assert_eq!(recipient["reply_code"], 550);
    assert_eq!(recipient["remote_mta"], "mx.example.net");
    assert_eq!(recipient["cause"], "user_unknown");
    assert_eq!(recipient["permanent"], true);
    assert_eq!(recipient["expired"], false);
    assert_eq!(recipient["acts"], "sender");
    let original = &bounce["original"];
    assert_eq!(keys(original), ORIGINAL);
    assert_eq!(original["message_id"], letter.message_id.as_str());
    assert_eq!(original["subject"], "报价单 first");
    assert_eq!(original["from"], letter.from.as_str());
}

#[test]
fn diagnose_goes_on_after_a_path_that_cannot_be_read_and_ends_with_65() {
    let scratch = Scratch::new();
    let letter = Letter::new("chen", "nobody@example.net", "first");
    let path = scratch.write("bounce.eml", Bounce::of(&letter).text());
    let done = run(&["diagnose", "--format", "json", "/nonexistent", &path.display().to_string()], b"");
    assert_eq!(done.status, 65);
    let lines = done.json();
    assert_eq!(keys(&lines[0]), ["error", "source"]);
    assert_eq!(lines[1]["kind"], "failed");
}

#[test]
fn diagnose_reads_standard_input_and_speaks_to_people_too() {
    let text = Bounce::of(&Letter::new("chen", "nobody@example.net", "first")).text();
    let json = run(&["diagnose", "--format", "json", "-"], text.as_bytes());
    assert_eq!(json.status, 0, "{}", json.stderr);
    assert_eq!(json.json()[0]["source"], "-");
    let human = run(&["diagnose", "-"], text.as_bytes());
    assert_eq!(human.status, 0);
    assert!(human.stdout.contains("nobody@example.net") && human.stdout.contains("user_unknown"), "{}", human.stdout);
    assert!(!human.stdout.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn the_three_line_ends_read_alike() {
    let text = Bounce::of(&Letter::new("chen", "nobody@example.net", "first")).text();
    let diagnose = |text: &str| {
        let mut line = run(&["diagnose", "--format", "json", "-"], text.as_bytes()).json().remove(0);
        // Raw text that is quoted keeps its line ends.
        line["bounces"][0].as_object_mut().expect("an object").remove("diagnostic");
        line
    };
    let lf = diagnose(&text);
    assert_eq!(lf["kind"], "failed");
    assert_eq!(diagnose(&text.replace('\n', "\r\n")), lf);
    assert_eq!(diagnose(&text.replace('\n', "\r")), lf);
}

#[test]
fn explain_writes_what_the_author_would_get() {
    let letter = Letter::new("chen", "nobody@example.net", "first");
    let scratch = Scratch::new();
    let path = scratch.write("bounce.eml", Bounce::of(&letter).text()).display().to_string();
    let chinese = run(&["explain", "--lang", "zh-CN", &path], b"");
    assert_eq!(chinese.status, 0, "{}", chinese.stderr);
    assert!(chinese.stdout.contains("nobody@example.net") && chinese.stdout.contains("没有送到"), "{}", chinese.stdout);
    let english = run(&["explain", "--lang", "en", &path], b"");
    assert!(english.stdout.contains("didn't arrive") || english.stdout.contains("didn’t arrive"), "{}", english.stdout);
    let mail = run(&["explain", "--eml", &path], b"");
    assert!(mail.stdout.contains(&format!("In-Reply-To: {}", letter.message_id)), "{}", mail.stdout);
    let none = run(&["explain", &scratch.write("letter.eml", letter.text()).display().to_string()], b"");
    assert_eq!(none.status, 65, "an ordinary letter has nothing to explain: {}", none.stderr);
}

#[test]
fn the_demo_shows_every_founding_row_in_both_languages() {
    for (language, word) in [("zh-CN", "没有送到"), ("en", "arrive")] {
        let demo = run(&["demo", "--lang", language], b"");
        assert_eq!(demo.status, 0, "{}", demo.stderr);
        assert!(demo.stdout.contains(word), "{}", demo.stdout);
        for cause in [
            "user_unknown",
            "connection_timeout",
            "message_too_large",
            "mailbox_full",
            "mail_loop",
            "relay_denied",
            "cross_border_filtering",
        ] {
            assert!(demo.stdout.contains(cause), "{cause} is missing from the demo in {language}");
        }
    }
}
