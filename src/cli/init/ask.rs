//! Questions and their answers: from a person, from a pipe, or none at all (`--yes`).

use std::{
    io::{self, BufRead, IsTerminal as _, Read as _},
    process::{Command, Stdio},
};

use secrecy::SecretString;

use crate::{
    cli::{Exit, Failure, Terminal},
    init::Trouble,
    review::printable,
};

/// More is no answer.
const LONGEST: u64 = 4096;

/// One dialogue.
pub(super) struct Ask<'a> {
    pub(super) terminal: &'a mut Terminal,
    input: Box<dyn BufRead>,
    /// Whether a person sits there, whose typing shows by itself.
    person: bool,
    /// Nothing is asked: every question takes its default.
    pub(super) silent: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(terminal: &'a mut Terminal, silent: bool) -> Self {
        let input = io::stdin();
        Self { terminal, person: input.is_terminal(), input: Box::new(input.lock()), silent }
    }

    /// A line of text; an empty answer takes the default. `flag` would have given it.
    pub(super) fn text(&mut self, question: &str, flag: &str, default: Option<&str>) -> Result<String, Failure> {
        if self.silent {
            return default.map(str::to_owned).ok_or_else(|| missing(question, flag));
        }
        loop {
            let shown =
                default.filter(|it| !it.is_empty()).map(|it| format!(" [{}]", printable(it))).unwrap_or_default();
            write!(self.terminal.out(), "{question}{shown}: ")?;
            self.terminal.flush()?;
            let line = self.line(question, flag)?;
            if !line.is_empty() {
                return Ok(line);
            }
            if let Some(default) = default {
                return Ok(default.to_owned());
            }
        }
    }

    /// A line that may stay empty.
    pub(super) fn optional(&mut self, question: &str, flag: &str) -> Result<Option<String>, Failure> {
        let answer = self.text(question, flag, Some(""))?;
        Ok((!answer.is_empty()).then_some(answer))
    }

    /// One of these words.
    pub(super) fn choice(
        &mut self,
        question: &str,
        flag: &str,
        words: &[&str],
        default: &str,
    ) -> Result<String, Failure> {
        loop {
            let answer = self.text(&format!("{question} ({})", words.join(", ")), flag, Some(default))?;
            if words.contains(&answer.as_str()) {
                return Ok(answer);
            }
            self.say(&format!("  `{}` is none of them", printable(&answer)))?;
        }
    }

    /// A password, which is not shown. The shell reads it, for it can put the echo back even when interrupted.
    pub(super) fn secret(&mut self, question: &str, flag: &str) -> Result<SecretString, Failure> {
        if self.silent {
            return Err(missing(question, flag));
        }
        write!(self.terminal.out(), "{question} (not shown): ")?;
        self.terminal.flush()?;
        let answer = if self.person { self.hidden()? } else { self.line(question, flag)? };
        if answer.is_empty() { Err(missing(question, flag)) } else { Ok(answer.into()) }
    }

    fn hidden(&mut self) -> Result<String, Failure> {
        const SCRIPT: &str =
            "trap 'stty echo' EXIT; trap 'exit 130' INT TERM; stty -echo; IFS= read -r line; printf %s \"$line\"";
        let failed = |error: io::Error| Failure::new(Exit::Fault, format!("cannot ask for a password: {error}"));
        let read =
            Command::new("/bin/sh").args(["-c", SCRIPT]).stdin(Stdio::inherit()).stderr(Stdio::inherit()).output();
        let read = read.map_err(failed)?;
        writeln!(self.terminal.out())?;
        String::from_utf8(read.stdout).map_err(|_| Failure::new(Exit::Usage, "the password is not UTF-8"))
    }

    fn line(&mut self, question: &str, flag: &str) -> Result<String, Failure> {
        let mut line = String::new();
        let read = self.input.by_ref().take(LONGEST).read_line(&mut line);
        match read {
            Ok(0) => {
                writeln!(self.terminal.out())?;
                return Err(missing(question, flag));
            }
            Ok(_) => {}
            Err(error) => return Err(Failure::new(Exit::Usage, format!("cannot read the answer: {error}"))),
        }
        if !self.person {
            writeln!(self.terminal.out())?;
        }
        Ok(line.trim().to_owned())
    }

    pub(super) fn say(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.terminal.out(), "{line}")?;
        Ok(self.terminal.flush()?)
    }

    pub(super) fn heading(&mut self, line: &str) -> Result<(), Failure> {
        let line = self.terminal.bold(line).into_owned();
        self.say(&format!("\n{line}"))
    }

    /// Something went wrong: one sentence with cause and remedy, and what the server said. Without
    /// anybody to ask again, that is the end.
    pub(super) fn trouble(&mut self, place: &str, trouble: &Trouble, said: &str) -> Result<(), Failure> {
        let sentence = format!("{place}: {}", trouble.because);
        if self.silent {
            let message = if said.is_empty() { sentence } else { format!("{sentence} (the server said: {said})") };
            return Err(Failure::new(Exit::Unavailable, printable(&message)).hint(&trouble.remedy));
        }
        let word = self.terminal.styled("FAILED", "31").into_owned();
        let remedy = trouble.remedy.trim_end_matches(['.', '?']);
        self.say(&format!("  {word}  {}: {remedy}.", printable(&sentence)))?;
        if !said.is_empty() {
            let said = format!("          the server said: {}", printable(said));
            let said = self.terminal.dim(&said).into_owned();
            self.say(&said)?;
        }
        Ok(())
    }
}

fn missing(question: &str, flag: &str) -> Failure {
    Failure::new(Exit::Usage, format!("no answer to: {question}")).hint(format!("give it with {flag}"))
}
