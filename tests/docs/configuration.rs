//! `docs/configuration.md` is made from the doc comments of the code that reads the file.

use std::{fmt::Write as _, fs};

use crate::root;

/// Each struct of the file, its heading, and the file that it stands in.
const TABLES: &[(&str, &str, &str)] = &[
    ("File", "The top of the file", "file.rs"),
    ("MailboxTable", "`[[mailbox]]`", "file.rs"),
    ("SmtpTable", "`[smtp]`", "file.rs"),
    ("OAuth2Table", "`oauth2`, in `[[mailbox]]` and `[smtp]`", "oauth2.rs"),
    ("ReplyTable", "`[reply]`", "file.rs"),
    ("PolicyTable", "`[policy]`", "file.rs"),
    ("EvidenceTable", "`[evidence]`", "file.rs"),
    ("JournalTable", "`[journal]`", "file.rs"),
    ("CatalogueTable", "`[catalogue]`", "file.rs"),
    ("ReviewTable", "`[review]`", "file.rs"),
    ("AlertsTable", "`[alerts]`", "file.rs"),
    ("LogTable", "`[log]`", "file.rs"),
];

const INTRODUCTION: &str = "<!-- Made from the doc comments in src/config/; do not edit. After a change there:
     WHYBOUNCED_WRITE_DOCS=1 cargo nextest run --test docs -->

# Configuration

One TOML file, `/etc/whybounced/config.toml` unless `--config` names another. `whybounced init` writes it, `whybounced
check` tries it. Unknown keys are refused, with line, column and the nearest known key. Relative paths start from the
file's own directory. SIGHUP (`systemctl reload whybounced`) reads it again.

[config.example.toml](../config.example.toml) shows the same keys in place.
";

/// A struct's own comment, and its fields with theirs.
struct Table {
    comment: String,
    fields: Vec<(String, String)>,
}

/// Reads a struct with named fields out of Rust source.
fn table(source: &str, name: &str) -> Table {
    let mut table = Table { comment: String::new(), fields: Vec::new() };
    let (mut comment, mut inside) = (String::new(), false);
    for line in source.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            let _ = write!(comment, "{}{}", if comment.is_empty() { "" } else { " " }, text.trim());
        } else if line.starts_with("#[") {
        } else if !inside {
            let opens = line.trim_start_matches("pub(super) ") == format!("struct {name} {{");
            if opens {
                inside = true;
                table.comment = std::mem::take(&mut comment);
            }
            comment.clear();
        } else if line == "}" {
            return table;
        } else if let Some((field, kind)) = line.trim_start_matches("pub(super) ").split_once(": ") {
            // A table within the file has a section of its own.
            if !kind.contains("Table") || kind.contains("OAuth2Table") {
                assert!(!comment.is_empty(), "{name}.{field} has no doc comment: say what it is for, and its default");
                table.fields.push((field.to_owned(), std::mem::take(&mut comment)));
            }
            comment.clear();
        }
    }
    panic!("there is no struct {name}");
}

fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (name, heading, file) in TABLES {
        let source = fs::read_to_string(root().join("src/config").join(file)).expect("our own source");
        let Table { comment, fields } = table(&source, name);
        let _ = write!(text, "\n## {heading}\n\n{comment}\n\n| key | what it is for |\n|---|---|\n");
        for (field, comment) in fields {
            let _ = writeln!(text, "| `{field}` | {} |", comment.replace('|', "\\|"));
        }
    }
    text
}

#[test]
fn the_reference_is_what_the_code_says() {
    let path = root().join("docs/configuration.md");
    let made = reference();
    if std::env::var_os("WHYBOUNCED_WRITE_DOCS").is_some() {
        fs::write(&path, &made).expect("our own file");
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == made,
        "docs/configuration.md is stale; run: WHYBOUNCED_WRITE_DOCS=1 cargo nextest run --test docs"
    );
}

#[test]
fn the_example_shows_every_key() {
    let example = fs::read_to_string(root().join("config.example.toml")).expect("our own file");
    let mut missing = Vec::new();
    for (name, _, file) in TABLES.iter().filter(|it| it.0 != "OAuth2Table") {
        let source = fs::read_to_string(root().join("src/config").join(file)).expect("our own source");
        // `password` itself is named, not shown: nobody shall copy it.
        for (field, _) in table(&source, name).fields.iter().filter(|it| it.0 != "password") {
            let shows = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{field} = "));
            if !example.lines().any(shows) {
                missing.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(missing.is_empty(), "config.example.toml lacks {}", missing.join(", "));
}
