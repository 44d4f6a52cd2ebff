//! The catalogue's files as they are written, and where in them a mistake stands.
//!
//! Only the form: what a phrase, system or cause of that name is, `catalogue` decides.

use std::ops::Range;

use serde::{Deserialize, de::DeserializeOwned};
use toml::Spanned;

use super::{Acts, Confidence, Family};

/// A mistake in a file of the catalogue or of `rules.d`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}\n\nhint: {hint}")]
pub struct CatalogueError {
    /// The file, as its name was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, with the name of the thing.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// `causes/<cause>/cause.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CauseForm {
    pub(super) family: Family,
    pub(super) acts: Acts,
    pub(super) permanent: Option<bool>,
    #[serde(default)]
    pub(super) rule: Vec<RuleForm>,
}

/// A file of the administrator's `rules.d`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OverlayForm {
    /// Ids of built-in rules that are not to be asked.
    #[serde(default)]
    pub(super) off: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) rule: Vec<RuleForm>,
}

/// One `[[rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) id: Spanned<String>,
    /// Only in `rules.d`, where no folder says it.
    pub(super) cause: Option<Spanned<String>>,
    /// One of these phrases must be there.
    #[serde(default)]
    pub(super) any: Vec<Spanned<String>>,
    /// Each of these must be there.
    #[serde(default)]
    pub(super) all: Vec<Spanned<String>>,
    /// None of these may be there.
    #[serde(default)]
    pub(super) none: Vec<Spanned<String>>,
    /// One of these enhanced codes must be there (`5.1.1`, `x.1.1`, `5.7.606-649`).
    #[serde(default)]
    pub(super) enhanced: Vec<Spanned<String>>,
    /// One of these reply codes must be there.
    #[serde(default)]
    pub(super) reply: Vec<u16>,
    /// One of these systems must speak.
    #[serde(default)]
    pub(super) system: Vec<Spanned<String>>,
    /// The words name no reason: a code that does goes before them.
    #[serde(default)]
    pub(super) vague: bool,
    /// The words tell only at which command the refusal came; any other words or codes but bare
    /// reply codes go before them.
    #[serde(default)]
    pub(super) stage: bool,
    /// Never wins: it is only listed beside the rule that does.
    #[serde(default)]
    pub(super) rival: bool,
    /// Only towards a host outside mainland China from a side inside.
    #[serde(default)]
    pub(super) abroad: bool,
    /// Not of a recipient in the reporting server's own domain.
    #[serde(default)]
    pub(super) foreign: bool,
    /// What the text as a whole looks like.
    pub(super) shape: Option<Shape>,
    pub(super) acts: Option<Acts>,
    pub(super) confidence: Option<Confidence>,
    pub(super) permanent: Option<bool>,
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    pub(super) samples: Vec<Spanned<String>>,
}

/// What a text can look like as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    /// `AAAAZZZZAAAA…` in place of the text.
    Filler,
}

/// `codes/*.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodesForm {
    #[serde(default)]
    pub(super) code: Vec<CodeForm>,
}

/// One code: enhanced (`x.1.1`) or reply (`550`, `500-504`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeForm {
    pub(super) code: Spanned<String>,
    pub(super) cause: Spanned<String>,
    pub(super) system: Option<Spanned<String>>,
    pub(super) acts: Option<Acts>,
    /// It says no more than its class and subject: words that name no reason go before it.
    #[serde(default)]
    pub(super) vague: bool,
    /// In our words; for `rules show`.
    pub(super) meaning: String,
    pub(super) source: String,
}

/// `facts.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactsForm {
    pub(super) fact: Vec<FactForm>,
}

/// Words beside which a fact stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactForm {
    pub(super) fact: FactName,
    /// The fact follows one of these phrases.
    #[serde(default)]
    pub(super) after: Vec<Spanned<String>>,
    /// The fact stands before one of these phrases.
    #[serde(default)]
    pub(super) before: Vec<Spanned<String>>,
}

/// What facts can be drawn out beside words.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FactName {
    SizeLimit,
    MessageSize,
    Blocklist,
    RetryAfter,
    NewAddress,
    Hops,
    HopLimit,
    QueueTime,
    ComplainedIp,
}

/// A file being read: its name and text, for error messages.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The file as its form; unknown keys are refused.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, CatalogueError> {
        toml::from_str(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let hint = "compare with the built-in rules: `whybounced rules show ID`";
            self.mistake(&span, error.message(), hint)
        })
    }

    /// An error at a place in this file.
    pub(super) fn mistake(&self, span: &Range<usize>, reason: &str, hint: &str) -> CatalogueError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        CatalogueError { file: self.name.to_owned(), line, column, reason: reason.to_owned(), hint: hint.to_owned() }
    }
}
