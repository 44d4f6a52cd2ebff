//! What is wrong with a configuration, where, what was expected, and the next step.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Every problem found in one file.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// At least one problem, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One problem. Never holds a secret's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Line and column, from 1; `None` where the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// The key, with its table: `policy.max_age`; empty where there is none.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.path.display())?;
            if let Some((line, column)) = problem.at {
                write!(f, ":{line}:{column}")?;
            }
            if !problem.key.is_empty() {
                write!(f, ": {}", problem.key)?;
            }
            write!(f, ": {}", problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// The file cannot be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "copy config.example.toml there, or name another file with --config",
            std::io::ErrorKind::PermissionDenied => "run as the user `whybounced`, or let it read the file",
            _ => "name a readable file with --config",
        };
        let problem =
            Problem { at: None, key: String::new(), message: format!("cannot read: {error}"), hint: Some(hint.into()) };
        Self { path: path.to_owned(), problems: vec![problem] }
    }

    /// What the TOML reader says, in our words: the snippet is left out, since it may show a secret.
    pub(super) fn from_toml(path: &Path, text: &str, mut error: toml::de::Error) -> Self {
        let at = error.span().map(|span| position(text, span.start));
        let message = error.message().to_owned();
        error.set_input(None);
        let shown = error.to_string();
        let table = shown.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`')).unwrap_or_default();
        let (mut key, message, hint) = reword(table, &message);
        if key.is_empty() && message == "duplicate key" {
            text.get(error.span().unwrap_or_default()).unwrap_or_default().clone_into(&mut key);
        }
        Self { path: path.to_owned(), problems: vec![Problem { at, key, message, hint }] }
    }
}

/// Line and column, both from 1, of a byte in a text; columns count characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// serde's words for an unknown key or value, made ours: key, message, hint.
fn reword(table: &str, message: &str) -> (String, String, Option<String>) {
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let unknown = |kind: &str| {
        message.strip_prefix(kind).and_then(|_| quoted(message).split_first().map(|(a, b)| (a.clone(), b.to_vec())))
    };
    if let Some((key, known)) = unknown("unknown field ") {
        // The path of an unknown key ends with that key itself.
        let table = table.strip_suffix(&key).unwrap_or(table).trim_end_matches('.');
        let full = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
        let hint = match nearest(&key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match home_of(&key) {
                Some(home) => format!("`{key}` belongs into {home}"),
                None => format!("known here: {}", known.join(", ")),
            },
        };
        return (full, "unknown key".to_owned(), Some(hint));
    }
    let expected = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "));
    let message = expected.map_or(message.to_owned(), |(found, expected)| {
        let expected = if expected == "a string" { "text in quotes" } else { expected };
        format!("expected {expected}, found {found}")
    });
    (table.to_owned(), message, None)
}

/// The table that knows a key which stands in the wrong one.
fn home_of(key: &str) -> Option<&'static str> {
    let example = include_str!("../../config.example.toml");
    let mut table = "the top of the file, before the first table";
    for line in example.lines() {
        if line.starts_with('[') {
            table = line;
        } else if let Some((name, _)) = line.trim_start_matches(['#', ' ']).split_once(" = ")
            && name == key
        {
            return Some(table);
        }
    }
    None
}

/// The known word nearest to what was typed, if any is near.
pub(super) fn nearest<'a>(typed: &str, known: &'a [impl AsRef<str>]) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    known
        .iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(&typed, &word.as_ref().to_lowercase()), word.as_ref()))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
