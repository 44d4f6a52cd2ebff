//! The commands in the documents. A block marked `console run` is run, line after line, and what it
//! shows must come; in every other block each call of `whybounced` must at least be one that is
//! understood.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::documents;

const PROGRAM: &str = env!("CARGO_BIN_EXE_whybounced");

/// The mail that lies in each sandbox as `bounce.eml`, and in its Maildir.
const BOUNCE: &str = include_str!("bounce.eml");

/// A fenced block: the words after its fence, and its lines.
struct Block {
    kind: String,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            if !open {
                found.push(Block { kind: kind.trim().to_owned(), lines: Vec::new() });
            }
            open = !open;
        } else if open && let Some(block) = found.last_mut() {
            block.lines.push(line.to_owned());
        }
    }
    assert!(!open, "a block is not closed");
    found
}

/// A directory with a bounce, a Maildir that holds it, and a configuration that needs no server.
fn sandbox() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for folder in ["maildir/new", "maildir/cur", "maildir/tmp", "bin"] {
        fs::create_dir_all(dir.path().join(folder)).expect("our own directory");
    }
    fs::write(dir.path().join("bounce.eml"), BOUNCE).expect("our own directory");
    fs::write(dir.path().join("maildir/new/1.a.b"), BOUNCE).expect("our own directory");
    std::os::unix::fs::symlink(PROGRAM, dir.path().join("bin/whybounced")).expect("our own directory");
    dir
}

/// What a command printed on either stream, and how it ended. Where that may be (root), it has no
/// network, so that no name server is asked.
fn run(line: &str, sandbox: &Path) -> (String, i32) {
    let alone = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    let shell: &[&str] = match alone {
        Ok(status) if status.success() => &["timeout", "60", "unshare", "--net", "/bin/sh", "-c"],
        _ => &["timeout", "60", "/bin/sh", "-c"],
    };
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", sandbox.join("bin").display());
    let done = Command::new(shell[0])
        .args(&shell[1..])
        .arg(format!("exec 2>&1; {line}"))
        .current_dir(sandbox)
        .env_clear()
        .envs([("PATH", path.as_str()), ("NO_COLOR", "1"), ("LC_ALL", "C.UTF-8"), ("TZ", "Asia/Shanghai")])
        .env("HOME", sandbox)
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    (String::from_utf8_lossy(&done.stdout).into_owned(), done.status.code().unwrap_or(-1))
}

/// Words, one blank between them.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs a block: `$ ` begins a command, `# exits N` ends one that is to fail; the other lines are
/// what it shows, `…` standing for anything.
fn run_block(path: &str, block: &Block, sandbox: &Path, offences: &mut Vec<String>) {
    let mut output = String::new();
    for line in &block.lines {
        let Some(command) = line.strip_prefix("$ ") else {
            let shown = squeezed(line);
            let mut rest = output.as_str();
            let found =
                shown.split('…').map(str::trim).filter(|it| !it.is_empty()).all(|piece| match rest.find(piece) {
                    Some(at) => {
                        rest = &rest[at + piece.len()..];
                        true
                    }
                    None => false,
                });
            if !found {
                offences.push(format!("{path}: {shown:?} was not printed; but:\n{output}"));
            }
            continue;
        };
        let (command, wanted) = match command.split_once("  # exits ") {
            Some((command, code)) => (command, code.trim().parse().expect("a number after `# exits`")),
            None => (command, 0),
        };
        let (printed, status) = run(command, sandbox);
        if status != wanted {
            offences.push(format!("{path}: `{command}` ended with {status}, not {wanted}:\n{printed}"));
        }
        output = squeezed(&printed);
    }
}

#[test]
fn what_is_shown_at_a_prompt_is_what_happens() {
    let mut offences = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        // One sandbox a document: its blocks follow one another.
        let sandbox = sandbox();
        for block in blocks(&text).iter().filter(|it| it.kind == "console run") {
            count += 1;
            run_block(&path, block, sandbox.path(), &mut offences);
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n\n"));
    assert!(count >= 4, "only {count} blocks were found: is the fence still called `console run`?");
}

/// The help of a command, by its words; asked once.
fn help(words: &[&str], known: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let key = words.join(" ");
    known
        .entry(key)
        .or_insert_with(|| {
            let done = Command::new(PROGRAM).args(words).arg("--help").output().expect("it runs");
            done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
        })
        .clone()
}

/// What is wrong with one call: a command that is not there, or an option that it has not.
fn misunderstood(call: &str, known: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let words: Vec<&str> =
        call.split_whitespace().take_while(|it| !matches!(*it, "|" | "&&" | ";" | "#" | ">")).collect();
    let is_name =
        |it: &&&str| !it.is_empty() && it.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !it.starts_with('-');
    let top = help(&[], known).unwrap_or_default();
    let lists = |help: &str, name: &str| help.lines().any(|line| line.split_whitespace().next() == Some(name));
    let mut names: Vec<&str> = Vec::new();
    let mut text = top;
    for word in words.iter().take_while(is_name).take(2) {
        if !lists(&text, word) {
            break;
        }
        names.push(word);
        text = help(&names, known)?;
    }
    if names.is_empty() && words.first().is_some_and(|it| !it.starts_with('-')) {
        return Some(format!("there is no command `{}`", words.first().copied().unwrap_or_default()));
    }
    let option = |word: &&str| word.strip_prefix("--").map(|it| it.split('=').next().unwrap_or_default().to_owned());
    let unknown = words.iter().filter_map(option).find(|it| {
        let it = it.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        !it.is_empty() && !text.contains(&format!("--{it}"))
    })?;
    Some(format!("`whybounced {}` has no --{unknown}", names.join(" ")))
}

#[test]
fn every_call_in_the_documents_is_understood() {
    let mut known = BTreeMap::new();
    let mut offences = Vec::new();
    for (path, text) in documents() {
        for block in blocks(&text) {
            if !["", "sh", "console", "console run", "bash", "shell", "text"].contains(&block.kind.as_str()) {
                continue;
            }
            for line in &block.lines {
                let line = line.trim().trim_start_matches("$ ");
                let starts = [
                    "whybounced ",
                    "sudo whybounced ",
                    "runuser -u whybounced -- whybounced ",
                    "sudo -u whybounced whybounced ",
                ];
                if let Some(call) = starts.iter().find_map(|it| line.strip_prefix(it))
                    && let Some(offence) = misunderstood(call, &mut known)
                {
                    offences.push(format!("{path}: {line}: {offence}"));
                }
            }
        }
    }
    assert!(offences.is_empty(), "calls that are not understood:\n  {}", offences.join("\n  "));
}

#[test]
fn a_call_that_is_not_understood_is_found() {
    let mut known = BTreeMap::new();
    for call in ["diagnos x.eml", "diagnose --nonsense x.eml", "journal lists"] {
        let found = misunderstood(call, &mut known);
        assert!(found.is_some() || call == "journal lists", "{call}");
    }
    for call in
        ["--version", "diagnose --format json x.eml | head", "journal list --config x", "check", "rules test 'TEXT'"]
    {
        assert_eq!(misunderstood(call, &mut known), None, "{call}");
    }
}
