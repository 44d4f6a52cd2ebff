//! The layout as a test: who may import whom, what is pure, and the habits that no lint knows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// What each module may import; data flows left to right (`ARCHITECTURE.md`).
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("catalogue", &[]),
    ("literals", &[]),
    ("mail", &[]),
    ("net", &[]),
    ("bounce", &["catalogue", "literals", "mail"]),
    ("diagnosis", &["catalogue", "literals", "mail", "bounce"]),
    ("evidence", &["catalogue", "mail", "bounce", "diagnosis"]),
    ("anonymise", &["catalogue", "mail", "bounce", "diagnosis"]),
    ("policy", &["catalogue", "mail", "bounce", "diagnosis", "evidence"]),
    ("reply", &["catalogue", "mail", "bounce", "diagnosis", "evidence", "policy"]),
    ("outbox", &["mail", "policy", "reply"]),
    // Of `source` and `outbound` only the values that it keeps for them: a cursor, a path choice.
    (
        "journal",
        &["catalogue", "mail", "bounce", "diagnosis", "evidence", "policy", "reply", "outbox", "source", "outbound"],
    ),
    ("source", &["catalogue", "mail", "net"]),
    ("outbound", &["mail", "net", "reply", "outbox"]),
    (
        "config",
        &[
            "catalogue",
            "mail",
            "bounce",
            "diagnosis",
            "evidence",
            "policy",
            "reply",
            "outbox",
            "journal",
            "source",
            "outbound",
            "net",
        ],
    ),
    (
        "review",
        &[
            "catalogue",
            "mail",
            "bounce",
            "diagnosis",
            "evidence",
            "policy",
            "reply",
            "outbox",
            "journal",
            "source",
            "config",
        ],
    ),
    ("init", &["catalogue", "net", "config"]),
];

/// Imports everything below it; `main.rs` calls `cli`, and nothing imports `cli`.
const WIRING: &[&str] = &["app", "cli"];

/// Bytes and facts in, values out.
const PURE: &[&str] = &["mail", "bounce", "diagnosis", "anonymise", "evidence", "policy", "reply", "outbox"];
/// The one resolver.
const IMPURE_BY_DESIGN: &[&str] = &["src/evidence/dns.rs", "src/evidence/dns/"];
const NOT_PURE: &[&str] = &[
    "tokio",
    "sqlx",
    "hickory_resolver",
    "async_imap",
    "std::fs",
    "fs::",
    "File::open",
    "std::env",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "ZonedDateTime::now",
    "rand::",
    "async fn",
    ".await",
    "stdin()",
    "stdout()",
];

/// Each of these belongs to one module; the rest sees that module's own types.
const BELONGS_TO: &[(&str, &[&str])] = &[
    ("sqlx::", &["src/journal/"]),
    ("async_imap::", &["src/source/"]),
    ("AsyncSmtpConnection", &["src/outbound/"]),
    ("hickory_resolver::", &["src/evidence/dns", "src/init/names.rs"]),
    ("axum::", &["src/review/"]),
    ("Recorded::by_journal", &["src/journal/"]),
    // Whatever is sent passes the outbox's gate first.
    // `check --probe` sends one message of its own, to where the administrator says.
    ("sender.deliver(", &["src/app/post.rs", "src/cli/check/probe.rs"]),
    ("INSERT INTO outbox", &["src/journal/record.rs", "src/journal/notices.rs", "src/journal/review.rs"]),
];

/// Lines a file may have; tables are exempt by name.
const LONGEST_FILE: usize = 500;
const TABLES: &[&str] = &[];

/// Where a wait is wanted that no event ends: the server says nothing when it begins to idle.
const MAY_SLEEP: &[&str] = &["tests/it/harness/", "tests/it/imap.rs"];

/// A source file: its path from the root, and its lines with comments kept.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Code without comments and without the unit tests at the bottom.
    fn code(&self) -> String {
        let code = self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        code.lines().map(|line| line.split("// ").next().unwrap_or_default()).fold(String::new(), |mut all, line| {
            if !line.trim_start().starts_with("//") {
                all.push_str(line);
            }
            all.push('\n');
            all
        })
    }

    /// The module of `src` it lies in.
    fn module(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or_default();
        rest.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// Whether it holds nothing but tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

/// All Rust files of `folders`.
fn sources(folders: &[&str]) -> Vec<Source> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(!found.is_empty(), "no sources in {folders:?}");
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("a source file"),
        path: path.strip_prefix(root).expect("below the root").display().to_string(),
    };
    found.into_iter().map(read).collect()
}

/// Fails with all offences at once.
#[track_caller]
fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// The modules of this crate that `code` names by `crate::…`, grouped imports included.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(first_names(group));
        } else {
            found.extend(name(rest));
        }
    }
    found
}

/// The first name of each member of `{a, b::{c, d}, e}`; `group` begins after the brace.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.extend(name(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[test]
fn grouped_imports_are_read() {
    let read = imports("use crate::{mail::{A, B}, net, bounce::c::D};\nlet x = crate::policy::decide();");
    assert_eq!(read, ["mail", "net", "bounce", "policy"]);
}

#[test]
fn modules_import_only_earlier_stages() {
    let mut offences = Vec::new();
    for source in sources(&["src"]).iter().filter(|it| !it.is_test()) {
        let module = source.module();
        if WIRING.contains(&module) || ["lib", "main"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(it, _)| *it == module) else {
            offences.push(format!("{}: no line for `{module}` in MAY_IMPORT", source.path));
            continue;
        };
        for import in imports(&source.code()) {
            let known = MAY_IMPORT.iter().any(|(it, _)| *it == import) || WIRING.contains(&import.as_str());
            if known && import != module && !allowed.contains(&import.as_str()) {
                offences.push(format!("{}: `{module}` may not import `{import}`", source.path));
            }
        }
    }
    assert_none("imports point one way (ARCHITECTURE.md)", &offences);
}

#[test]
fn pure_stages_do_no_io_and_read_no_clock() {
    let mut offences = Vec::new();
    for source in sources(&["src"]).iter().filter(|it| PURE.contains(&it.module()) && !it.is_test()) {
        if IMPURE_BY_DESIGN.iter().any(|it| source.path.starts_with(it)) {
            continue;
        }
        for (number, line) in source.code().lines().enumerate() {
            for word in NOT_PURE.iter().filter(|word| stands_alone(line, word)) {
                offences.push(format!("{}:{}: `{word}` in a pure stage", source.path, number + 1));
            }
        }
    }
    assert_none("pure stages take facts and `now` as arguments", &offences);
}

/// Whether `word` stands in `line` and is not the end of a longer name.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let begun_before = letter(before) && word.starts_with(char::is_alphabetic);
        let goes_on = letter(after) && word.ends_with(char::is_alphanumeric);
        !begun_before && !goes_on
    })
}

#[test]
fn each_library_is_behind_one_module() {
    let mut offences = Vec::new();
    for source in sources(&["src"]).iter().filter(|it| !it.is_test()) {
        let code = source.code();
        for (word, places) in BELONGS_TO {
            if stands_alone(&code, word) && !places.iter().any(|it| source.path.starts_with(it)) {
                offences.push(format!("{}: `{word}` belongs to {}", source.path, places.join(", ")));
            }
        }
    }
    assert_none("one module knows each library, and only the journal mints `Recorded`", &offences);
}

#[test]
fn files_can_be_held_in_the_head() {
    let mut offences = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE && !TABLES.contains(&source.path.as_str()) {
            offences.push(format!("{}: {lines} lines", source.path));
        }
        if source.path.starts_with("src/") && source.path.split('/').count() > 5 {
            offences.push(format!("{}: more than 3 folders deep", source.path));
        }
    }
    assert_none("500 lines a file, three folders deep", &offences);
}

#[test]
fn nothing_is_put_off_or_silenced_without_a_reason() {
    // Written so that this file does not find itself.
    let banned = [
        (concat!("#[", "ignore"), "a test that does not run says nothing"),
        (concat!("todo", "!("), "finish it or leave it out"),
        (concat!("unimplemented", "!("), "finish it or leave it out"),
        (concat!("#[", "allow("), "`#[expect(…, reason = \"…\")]`"),
        (concat!("#![", "allow("), "`#![expect(…, reason = \"…\")]`"),
    ];
    let silenced = Regex::new(r"(?s)#!?\[expect\((.*?)\)\]").expect("a pattern");
    let mut offences = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        for (number, line) in source.text.lines().enumerate() {
            for (_, why) in banned.iter().filter(|(word, _)| line.contains(word)) {
                offences.push(format!("{}:{}: {why}", source.path, number + 1));
            }
        }
        if source.path != "tests/tidy.rs" {
            for found in silenced.captures_iter(&source.text).filter(|it| !it[1].contains("reason")) {
                offences.push(format!("{}: {} has no reason", source.path, &found[0]));
            }
        }
    }
    assert_none("nothing is put off or silenced", &offences);
}

#[test]
fn stories_wait_for_events_and_never_for_time() {
    let mut offences = Vec::new();
    for source in sources(&["tests"]) {
        if MAY_SLEEP.iter().any(|it| source.path.starts_with(it)) {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            if line.contains(concat!("sleep", "(")) {
                offences.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    assert_none("no sleeps in tests", &offences);
}

#[test]
fn standards_are_cited_in_one_form() {
    let cited = Regex::new(r"RFC[ -]?(\d+)(.{0,12})").expect("a pattern");
    let section = Regex::new(r"(?i)^,?\s*(§|sec)").expect("a pattern");
    let right = Regex::new(r"^ §[0-9A-Z]").expect("a pattern");
    let mut offences = Vec::new();
    for source in sources(&["src", "tests", "benches"]).iter().filter(|it| it.path != "tests/tidy.rs") {
        for (number, line) in source.text.lines().enumerate() {
            let Some((_, comment)) = line.split_once("//") else { continue };
            for found in cited.captures_iter(comment) {
                let (whole, rfc, rest) = (&found[0], &found[1], &found[2]);
                // `RFC822.SIZE` and its like are names of the IMAP protocol.
                let glued = !whole.starts_with(&format!("RFC {rfc}")) && rfc != "822";
                if glued || (section.is_match(rest) && !right.is_match(rest)) {
                    offences.push(format!("{}:{}: {whole}", source.path, number + 1));
                }
            }
        }
    }
    assert_none("standards are cited as `RFC 3834 §2`", &offences);
}
