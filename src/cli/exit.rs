//! Exit codes (sysexits) and the one error type of the commands.

use std::{fmt, io, process::ExitCode};

use crate::config::ConfigError;

/// How a command ended, as BSD's sysexits.h numbers it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// `EX_USAGE`: the command line is wrong.
    Usage = 64,
    /// `EX_DATAERR`: something that was to be read could not be.
    UnreadableData = 65,
    /// `EX_UNAVAILABLE`: a server does not answer or refuses us.
    Unavailable = 69,
    /// `EX_SOFTWARE`: a fault of this program.
    Fault = 70,
    /// `EX_TEMPFAIL`: something is left to do; try again.
    TryAgain = 75,
    /// `EX_CONFIG`: the configuration is wrong.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not go on: an exit code, what went wrong, and what to do next.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What, where and why; empty where nothing is to be said (a reader who has gone away).
    pub message: String,
    /// The next step, printed as `hint: …`.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// A failure in words that may hold their hint, as our errors' words do.
    pub fn with_hint(exit: Exit, text: &str) -> Self {
        let (message, hint) = split_hint(text);
        Self { exit, message: message.to_owned(), hint: hint.map(str::to_owned) }
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `what went wrong; hint: the next step` taken apart.
pub(super) fn split_hint(text: &str) -> (&str, Option<&str>) {
    match text.split_once("hint:") {
        Some((what, hint)) => (what.trim_end_matches([' ', ';', '\n']), Some(hint.trim())),
        None => (text, None),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Configuration, error)
    }
}

impl From<io::Error> for Failure {
    /// Only output goes through here: `whybounced … | head` is not an error.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Fine, "")
        } else {
            Self::new(Exit::Fault, format!("cannot write the output: {error}"))
        }
    }
}
