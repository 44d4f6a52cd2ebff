//! One IMAP connection: commands with tags, literals and deadlines, each answer checked.
//!
//! async-imap frames and parses; its own commands are not used, for many of them take NO, BAD and
//! a closed connection for an empty answer. Here a command is done when its tagged OK has come,
//! and anything else is an error. After any error but [`Fault::Refused`] the connection is of no
//! more use: the parser cannot find its place again.

use std::time::Duration;

use async_imap::{
    Client,
    imap_proto::{Outcome, Response, ResponseCode, Status},
};
use tokio::{
    io::{AsyncWriteExt as _, BufWriter},
    time::{Instant, timeout, timeout_at},
};

use super::guard::Guard;
use crate::net::Stream;

/// No command may take longer in all, however it trickles: so many times the longest silence.
const WHOLE_COMMAND: u32 = 10;

/// Why a command did not succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// Tagged NO or BAD; the connection is in step still.
    Refused(Refusal),
    /// `* BYE`.
    Bye(String),
    /// Closed or broken.
    Lost(String),
    /// Silent for longer than the deadline.
    TimedOut(Duration),
    /// Not IMAP, or beyond our bounds.
    Protocol(String),
}

/// What a command has met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Met {
    /// `+`: the server wants more.
    GoAhead,
    /// The tagged OK.
    Done,
}

/// A tagged NO or BAD.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// BAD: the command itself was not understood.
    pub(super) bad: bool,
    /// The text, with its response code in brackets where there is one.
    pub(super) text: String,
}

impl Refusal {
    /// Whether the text begins with this response code (RFC 5530).
    pub(super) fn has_code(&self, code: &str) -> bool {
        let upper = self.text.to_ascii_uppercase();
        upper.strip_prefix('[').and_then(|rest| rest.split([']', ' ']).next()) == Some(code)
    }

    /// Whether the server says that it cannot see to it just now (RFC 5530 §3).
    pub(super) fn is_for_now(&self) -> bool {
        ["UNAVAILABLE", "INUSE", "LIMIT"].iter().any(|code| self.has_code(code))
    }
}

/// A command in the making: text, and strings that may need literals.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// Before each chunk but the first, the server must say `+`.
    chunks: Vec<Vec<u8>>,
}

impl Command {
    pub(super) fn new(text: &str) -> Self {
        Self { chunks: vec![text.as_bytes().to_vec()] }
    }

    /// Adds text as it is: never anything from outside.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.append(text.as_bytes());
        self
    }

    /// Adds a blank and a string: quoted where it is printable ASCII, else as a literal, so that no
    /// string can end the command and begin another.
    pub(super) fn string(mut self, value: &str) -> Self {
        if value.bytes().all(|b| matches!(b, b' '..=b'~')) && value.len() <= 1000 {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            self.append(format!(" \"{quoted}\"").as_bytes());
        } else {
            self.append(format!(" {{{}}}", value.len()).as_bytes());
            self.chunks.push(value.as_bytes().to_vec());
        }
        self
    }

    fn append(&mut self, bytes: &[u8]) {
        if let Some(last) = self.chunks.last_mut() {
            last.extend_from_slice(bytes);
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    client: Client<BufWriter<Guard<Stream>>>,
    tag: u32,
    /// Longest silence within a command.
    pub(super) step: Duration,
}

impl Wire {
    pub(super) fn new(stream: Stream, step: Duration) -> Self {
        Self { client: Client::new(BufWriter::with_capacity(512, Guard::new(stream))), tag: 0, step }
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        self.client.get_ref().get_ref().stream().tls_version()
    }

    /// Reads one answer; `Ok(None)` when nothing came until `deadline`. Cancel-safe.
    pub(super) async fn read_until<R>(
        &mut self,
        deadline: Instant,
        look: impl FnOnce(&Response<'_>) -> R,
    ) -> Result<Option<R>, Fault> {
        match timeout_at(deadline, self.client.read_response()).await {
            Err(_) => Ok(None),
            Ok(Err(error)) => Err(match error.kind() {
                std::io::ErrorKind::Other | std::io::ErrorKind::InvalidData => Fault::Protocol(parse_error(&error)),
                _ => Fault::Lost(error.to_string()),
            }),
            Ok(Ok(None)) => Err(Fault::Lost("the server closed the connection".to_owned())),
            Ok(Ok(Some(data))) => match data.parsed() {
                Response::Data { status: Status::Bye, outcome } => Err(Fault::Bye(text_of(outcome))),
                other => Ok(Some(look(other))),
            },
        }
    }

    /// Reads one answer; an answer that is still moving may take longer than `step`.
    pub(super) async fn read<R>(&mut self, look: impl FnOnce(&Response<'_>) -> R) -> Result<R, Fault> {
        let mut look = Some(look);
        loop {
            let before = self.client.get_ref().get_ref().received;
            let deadline = Instant::now() + self.step;
            let read = self.read_until(deadline, |response| look.take().map(|look| look(response)));
            match read.await? {
                Some(Some(result)) => return Ok(result),
                Some(None) => return Err(Fault::Protocol("an answer was read twice".to_owned())),
                None if self.client.get_ref().get_ref().received == before => return Err(Fault::TimedOut(self.step)),
                None => {}
            }
        }
    }

    /// Writes one line, untagged: DONE, or an answer to a challenge.
    pub(super) async fn write_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let step = self.step;
        let stream = self.client.get_mut();
        let write = async {
            stream.write_all(line).await?;
            stream.write_all(b"\r\n").await?;
            stream.flush().await
        };
        match timeout(step, write).await {
            Err(_) => Err(Fault::TimedOut(step)),
            Ok(result) => result.map_err(|error| Fault::Lost(error.to_string())),
        }
    }

    /// Begins a command and returns its tag; untagged answers that come between literals go to `each`.
    pub(super) async fn begin(
        &mut self,
        command: &Command,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<String, Fault> {
        self.tag = self.tag.wrapping_add(1);
        let tag = format!("W{}", self.tag);
        for (index, chunk) in command.chunks.iter().enumerate() {
            if index == 0 {
                let mut line = format!("{tag} ").into_bytes();
                line.extend_from_slice(chunk);
                self.write_line(&line).await?;
            } else {
                self.go_ahead(&tag, each).await?;
                self.write_line(chunk).await?;
            }
        }
        Ok(tag)
    }

    /// Waits for `+`.
    pub(super) async fn go_ahead(
        &mut self,
        tag: &str,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<(), Fault> {
        match self.answer(tag, each).await? {
            Met::GoAhead => Ok(()),
            Met::Done => Err(Fault::Refused(Refusal { bad: false, text: "done, but nothing was begun".to_owned() })),
        }
    }

    /// Reads to the tagged answer; `Ok` only for its OK.
    pub(super) async fn finish(
        &mut self,
        tag: &str,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<(), Fault> {
        while self.answer(tag, each).await? != Met::Done {}
        Ok(())
    }

    /// Reads to `+` or to the tagged answer, whichever comes first; a tagged NO or BAD is a refusal.
    pub(super) async fn answer(
        &mut self,
        tag: &str,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<Met, Fault> {
        let whole = self.step.saturating_mul(WHOLE_COMMAND);
        let deadline = Instant::now() + whole;
        while Instant::now() < deadline {
            let met = self
                .read(|response| match response {
                    Response::Continue(_) => Some(Ok(Met::GoAhead)),
                    Response::Done { tag: found, status, outcome } if found.0 == tag => {
                        each(response);
                        let ok = *status == Status::Ok;
                        Some(if ok { Ok(Met::Done) } else { Err(Fault::Refused(refusal(status, outcome))) })
                    }
                    other => {
                        each(other);
                        None
                    }
                })
                .await?;
            if let Some(result) = met {
                return result;
            }
        }
        Err(Fault::TimedOut(whole))
    }

    /// A whole command; every answer but the refusal goes to `each`, the tagged OK included.
    pub(super) async fn command(
        &mut self,
        command: &Command,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<(), Fault> {
        let tag = self.begin(command, each).await?;
        self.finish(&tag, each).await
    }
}

fn refusal(status: &Status, outcome: &Outcome<'_>) -> Refusal {
    Refusal { bad: *status == Status::Bad, text: text_of(outcome) }
}

/// The server's words, one line, with the response code where the parser took it off.
pub(super) fn text_of(outcome: &Outcome<'_>) -> String {
    let code = match &outcome.code {
        Some(ResponseCode::Alert) => "[ALERT] ",
        Some(ResponseCode::TryCreate) => "[TRYCREATE] ",
        Some(ResponseCode::ReadOnly) => "[READ-ONLY] ",
        Some(_) | None => "",
    };
    let text = outcome.information.as_deref().unwrap_or_default();
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    format!("{code}{}", words.join(" ")).chars().take(1000).collect()
}

/// The parser's error quotes everything it could not read, mail included: only that it failed is said.
fn parse_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    if text.contains("during parsing of") { "the server's answer is not IMAP".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(value: &str) -> Vec<String> {
        let command = Command::new("LOGIN").string(value);
        command.chunks.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect()
    }

    #[test]
    fn no_string_can_end_its_command_and_begin_another() {
        assert_eq!(chunks(r#"a"b\c"#), [r#"LOGIN "a\"b\\c""#]);
        for value in ["a\r\nW9 DELETE INBOX", "密码", "\0", &"x".repeat(1001)] {
            assert_eq!(chunks(value), [format!("LOGIN {{{}}}", value.len()), value.to_owned()]);
        }
    }
}
