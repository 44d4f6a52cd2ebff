//! Where output goes: results to standard output, complaints to standard error, colour only where
//! a person looks (`NO_COLOR` and `TERM=dumb` are honoured).

use std::{
    borrow::Cow,
    env,
    io::{self, BufWriter, IsTerminal as _, Write},
};

use super::{Exit, Failure};

/// The two streams, and whether colour is wanted on the first.
pub struct Terminal {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    colour: bool,
}

impl Terminal {
    /// The process's own streams.
    #[must_use]
    pub fn standard() -> Self {
        let unset = |name: &str| env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            colour: io::stdout().is_terminal() && unset("NO_COLOR") && !dumb,
        }
    }

    /// Other streams, without colour: for tests.
    #[must_use]
    pub fn plain(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { out, err, colour: false }
    }

    /// Standard output, buffered; `flush` when something should be seen at once.
    pub fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// One JSON object on a line of its own.
    pub fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }

    /// Standard error.
    pub fn err(&mut self) -> &mut dyn Write {
        &mut self.err
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// `text` in bold, where colour is wanted.
    #[must_use]
    pub fn bold<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.styled(text, "1")
    }

    /// `text` dimmed, where colour is wanted.
    #[must_use]
    pub fn dim<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.styled(text, "2")
    }

    /// `text` in one of the terminal's colours (an SGR code), where colour is wanted.
    #[must_use]
    pub fn styled<'a>(&self, text: &'a str, code: &str) -> Cow<'a, str> {
        if self.colour { Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m")) } else { Cow::Borrowed(text) }
    }

    /// Prints a failure as `error: …`, blank line, `hint: …`, and gives the exit code.
    pub fn report(&mut self, failure: &Failure) -> Exit {
        if !failure.message.is_empty() {
            let _ = self.out.flush();
            let _ = writeln!(self.err, "error: {}", failure.message);
            if let Some(hint) = &failure.hint {
                let _ = writeln!(self.err, "\nhint: {hint}");
            }
        }
        failure.exit
    }
}
