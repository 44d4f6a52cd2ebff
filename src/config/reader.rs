//! What all tables share: collecting problems with their place, defaults, paths.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use toml::Spanned;

use super::{
    error::{Problem, nearest, position},
    file::{Number, Text},
};

/// Where the values come from, and what was found wrong so far.
pub(super) struct Reader<'a> {
    /// The file's text, for line and column.
    pub(super) text: &'a str,
    /// The file.
    pub(super) path: &'a Path,
    /// Environment variables.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether secrets are read; without, each is empty.
    pub(super) secrets: bool,
    /// Problems with the byte where they stand, for the order.
    problems: Vec<(usize, Problem)>,
    /// What works and yet should be seen to.
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, path: &'a Path, variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { text, path, variable, secrets: true, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Notes a problem at a place of the file.
    pub(super) fn problem(
        &mut self,
        key: &str,
        span: Option<Range<usize>>,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let problem = Problem {
            at: span.clone().map(|span| position(self.text, span.start)),
            key: key.to_owned(),
            message: message.into(),
            hint: hint.map(str::to_owned),
        };
        self.problems.push((span.map_or(0, |span| span.start), problem));
    }

    /// Everything that was wrong, in the order of the file.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|(offset, _)| *offset);
        self.problems.into_iter().map(|(_, problem)| problem).collect()
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// A value, read by `parse`; `None` if it is absent or wrong.
    pub(super) fn value<T>(&mut self, key: &str, text: &Text, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = text.as_ref()?;
        match parse(text.get_ref()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(key, Some(text.span()), message, None);
                None
            }
        }
    }

    /// A value without which nothing goes; `home` is the table that lacks it.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        text: &Text,
        home: Range<usize>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if text.is_none() {
            self.problem(key, Some(home), "is missing, and there is no default", None);
        }
        self.value(key, text, parse)
    }

    /// One of several words.
    pub(super) fn choice<T: Clone>(&mut self, key: &str, text: &Text, words: &[(&str, T)]) -> Option<T> {
        let text = text.as_ref()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text.get_ref()) {
            return Some(value.clone());
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = nearest(text.get_ref(), &known).map(|near| format!("did you mean \"{near}\"?"));
        let expected = known.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        self.problem(
            key,
            Some(text.span()),
            format!("expected one of {expected}, found \"{}\"", text.get_ref()),
            hint.as_deref(),
        );
        None
    }

    /// A TCP port.
    pub(super) fn port(&mut self, key: &str, number: &Number) -> Option<u16> {
        let number = number.as_ref()?;
        match u16::try_from(*number.get_ref()) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                self.problem(
                    key,
                    Some(number.span()),
                    format!("expected a port from 1 to 65535, found {}", number.get_ref()),
                    None,
                );
                None
            }
        }
    }

    /// A list, each entry read by `parse`; wrong ones are left out.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        list: Option<&[Spanned<String>]>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut values = Vec::new();
        for text in list.unwrap_or_default() {
            match parse(text.get_ref()) {
                Ok(value) => values.push(value),
                Err(message) => self.problem(key, Some(text.span()), message, None),
            }
        }
        values
    }

    /// A path; relative ones start from the configuration's directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// A path as a value of the file.
    pub(super) fn file(&self, text: &Text) -> Option<PathBuf> {
        text.as_ref().map(|text| self.resolve(text.get_ref()))
    }
}
