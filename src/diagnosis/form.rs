//! The catalogue's files as they are written, and where in them a mistake stands.
//!
//! Only the form: what a phrase, system or cause of that name is, `catalogue` decides.

use std::{borrow::Cow, fmt, ops::Range};

use serde::{Deserialize, Deserializer, de};
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
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct CauseForm<W> {
    pub(super) family: Family,
    pub(super) acts: Acts,
    pub(super) permanent: Option<bool>,
    /// It says what was refused: a reason told behind it goes before it.
    #[serde(default)]
    pub(super) reason_follows: bool,
    #[serde(default)]
    pub(super) rule: Vec<RuleForm<W>>,
}

/// A file of the administrator's `rules.d`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct OverlayForm<W> {
    /// Ids of built-in rules that are not to be asked.
    #[serde(default)]
    pub(super) off: Vec<W>,
    #[serde(default)]
    pub(super) rule: Vec<RuleForm<W>>,
}

/// One `[[rule]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct RuleForm<W> {
    pub(super) id: W,
    /// Only in `rules.d`, where no folder says it.
    pub(super) cause: Option<W>,
    /// One of these phrases must be there.
    #[serde(default)]
    pub(super) any: Vec<W>,
    /// Each of these must be there.
    #[serde(default)]
    pub(super) all: Vec<W>,
    /// One of each of these lists must be there, all in the same sentence.
    #[serde(default)]
    pub(super) together: Vec<Vec<W>>,
    /// None of these may be there.
    #[serde(default)]
    pub(super) none: Vec<W>,
    /// One of these enhanced codes must be there (`5.1.1`, `x.1.1`, `5.7.606-649`).
    #[serde(default)]
    pub(super) enhanced: Vec<W>,
    /// One of these reply codes must be there.
    #[serde(default)]
    pub(super) reply: Vec<u16>,
    /// One of these systems must speak.
    #[serde(default)]
    pub(super) system: Vec<W>,
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
    pub(super) source: Option<W>,
    #[serde(default)]
    pub(super) samples: Vec<W>,
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
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct CodesForm<W> {
    #[serde(default)]
    pub(super) code: Vec<CodeForm<W>>,
}

/// One code: enhanced (`x.1.1`) or reply (`550`, `500-504`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct CodeForm<W> {
    pub(super) code: W,
    pub(super) cause: W,
    pub(super) system: Option<W>,
    pub(super) acts: Option<Acts>,
    /// It says no more than its class and subject: words that name no reason go before it.
    #[serde(default)]
    pub(super) vague: bool,
    /// In our words; for `rules show`.
    pub(super) meaning: W,
    pub(super) source: W,
}

/// `facts.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct FactsForm<W> {
    pub(super) fact: Vec<FactForm<W>>,
    pub(super) unit: Vec<UnitForm<W>>,
}

/// A unit of time, with what its names begin with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct UnitForm<W> {
    pub(super) seconds: f64,
    pub(super) begins: Vec<W>,
}

/// Words beside which a fact stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "W: Word<'de>")]
pub(super) struct FactForm<W> {
    pub(super) fact: FactName,
    /// The fact follows one of these phrases.
    #[serde(default)]
    pub(super) after: Vec<W>,
    /// The fact stands before one of these phrases.
    #[serde(default)]
    pub(super) before: Vec<W>,
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

/// A word of a file. Those of `rules.d` know where they stand; those of the catalogue, which the tests
/// have read as it is written, lie in the program and are not copied.
pub(super) trait Word<'t>: Deserialize<'t> {
    /// A file as its form; unknown keys are refused.
    fn read<T: Deserialize<'t>>(source: Source<'t>) -> Result<T, CatalogueError>;
    fn text(&self) -> &str;
    fn span(&self) -> Range<usize>;
    fn into_text(self) -> Cow<'static, str>;
}

impl<'t> Word<'t> for Spanned<String> {
    fn read<T: Deserialize<'t>>(source: Source<'t>) -> Result<T, CatalogueError> {
        toml::from_str(source.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let hint = "compare with the built-in rules: `whybounced rules show ID`";
            source.mistake(&span, error.message(), hint)
        })
    }

    fn text(&self) -> &str {
        self.get_ref()
    }

    fn span(&self) -> Range<usize> {
        Self::span(self)
    }

    fn into_text(self) -> Cow<'static, str> {
        Cow::Owned(self.into_inner())
    }
}

/// A word of the catalogue, as `build.rs` has embedded it.
#[derive(Debug)]
pub(super) struct Embedded(Cow<'static, str>);

impl Word<'static> for Embedded {
    fn read<T: Deserialize<'static>>(source: Source<'static>) -> Result<T, CatalogueError> {
        serde_json::from_str(source.text).map_err(|error| source.mistake(&(0..0), &error.to_string(), ""))
    }

    fn text(&self) -> &str {
        &self.0
    }

    fn span(&self) -> Range<usize> {
        0..0
    }

    fn into_text(self) -> Cow<'static, str> {
        self.0
    }
}

impl<'de: 'static> Deserialize<'de> for Embedded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de: 'static> de::Visitor<'de> for Visitor {
            type Value = Embedded;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Embedded, E> {
                Ok(Embedded(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Embedded, E> {
                Ok(Embedded(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl Source<'_> {
    /// An error at a place in this file.
    pub(super) fn mistake(&self, span: &Range<usize>, reason: &str, hint: &str) -> CatalogueError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        CatalogueError { file: self.name.to_owned(), line, column, reason: reason.to_owned(), hint: hint.to_owned() }
    }
}
