//! A scripted SMTP server: it fakes failures, never the protocol.
//!
//! Threads and blocking sockets, so that stories with and without a runtime can use it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{free_address, mailbox::header};

/// A point of the conversation where a script may step in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Before the greeting.
    Connect,
    /// EHLO or HELO.
    Ehlo,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// The command DATA.
    Data,
    /// After the final dot.
    Dot,
}

/// What the server does there instead of accepting.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This reply line.
    Reply(String),
    /// The connection is closed without a word.
    Disconnect,
    /// The message is taken, and the connection closed before the answer.
    AcceptThenDisconnect,
    /// The message is taken, and nothing is said any more.
    AcceptThenSilence,
    /// Nothing more is said until the client goes.
    Silence,
    /// It is fine, but that is said only once the server is forgiven.
    Late,
}

/// A message that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// The argument of MAIL FROM, between the angle brackets.
    pub(crate) from: String,
    /// Those of RCPT TO.
    pub(crate) to: Vec<String>,
    /// The message, without the dots of the transfer.
    pub(crate) text: String,
}

impl Accepted {
    /// A header field's body, unfolded.
    pub(crate) fn header(&self, name: &str) -> String {
        header(&self.text, name)
    }
}

#[derive(Default)]
struct State {
    rules: Vec<(Step, String, Answer)>,
    commands: Vec<String>,
    connections: usize,
    accepted: Vec<Accepted>,
    closed: bool,
}

/// A running server; dropped, it takes no more connections.
pub(crate) struct ScriptedSmtp {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl ScriptedSmtp {
    /// Starts one that accepts everything.
    pub(crate) fn start() -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).expect("a free address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                if lock(&shared).closed {
                    return;
                }
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || drop(converse(stream, &shared)));
            }
        });
        Self { address, state }
    }

    /// From now on, where a command at `step` contains `needle`, this is done. The first rule that fits counts.
    pub(crate) fn on(&self, step: Step, needle: &str, answer: Answer) -> &Self {
        lock(&self.state).rules.push((step, needle.to_owned(), answer));
        self
    }

    /// From now on this reply line is given at `step`.
    pub(crate) fn reply(&self, step: Step, line: &str) -> &Self {
        self.on(step, "", Answer::Reply(line.to_owned()))
    }

    /// Accepts everything again.
    pub(crate) fn forgive(&self) {
        lock(&self.state).rules.clear();
    }

    /// What it took so far.
    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        lock(&self.state).accepted.clone()
    }

    /// What `read` makes of all that it took, without copying it.
    pub(crate) fn of_accepted<T>(&self, read: impl FnOnce(&[Accepted]) -> T) -> T {
        read(&lock(&self.state).accepted)
    }

    /// How many connections it saw.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// Every command line it read, in the order of arrival.
    pub(crate) fn commands(&self) -> Vec<String> {
        lock(&self.state).commands.clone()
    }
}

impl Drop for ScriptedSmtp {
    fn drop(&mut self) {
        lock(&self.state).closed = true;
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection, from the greeting to its end.
fn converse(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let (mut from, mut to) = (String::new(), Vec::new());
    lock(state).connections += 1;
    if !answer(&mut out, &mut lines, state, Step::Connect, "", "220 mx.example.net ESMTP")? {
        return Ok(());
    }
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        lock(state).commands.push(line.to_owned());
        let (step, good) = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => {
                (Step::Ehlo, "250-mx.example.net\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN")
            }
            "AUTH" => (Step::Auth, "235 2.7.0 fine"),
            "MAIL" => (Step::Mail, "250 2.1.0 fine"),
            "RCPT" => (Step::Rcpt, "250 2.1.5 fine"),
            "DATA" => (Step::Data, "354 go on"),
            "QUIT" => return out.write_all(b"221 bye\r\n"),
            _ => {
                out.write_all(b"250 fine\r\n")?;
                continue;
            }
        };
        if !answer(&mut out, &mut lines, state, step, line, good)? {
            continue;
        }
        match step {
            Step::Mail => (from, to) = (argument(line), Vec::new()),
            Step::Rcpt => to.push(argument(line)),
            Step::Data => {
                let text = body(&mut lines)?;
                let accepted = Accepted { from: from.clone(), to: to.clone(), text };
                if matches!(
                    rule(state, Step::Dot, &accepted.text),
                    Some(Answer::AcceptThenDisconnect | Answer::AcceptThenSilence)
                ) {
                    lock(state).accepted.push(accepted.clone());
                }
                if answer(&mut out, &mut lines, state, Step::Dot, &accepted.text, "250 2.0.0 queued")? {
                    lock(state).accepted.push(accepted);
                }
            }
            Step::Connect | Step::Ehlo | Step::Auth | Step::Dot => {}
        }
    }
}

/// Says what the script says, else `good`; whether that was an acceptance. An end is an error.
fn answer(
    out: &mut TcpStream,
    lines: &mut BufReader<TcpStream>,
    state: &Mutex<State>,
    step: Step,
    line: &str,
    good: &str,
) -> std::io::Result<bool> {
    match rule(state, step, line) {
        None => out.write_all(format!("{good}\r\n").as_bytes()).map(|()| true),
        Some(Answer::Reply(reply)) => {
            out.write_all(format!("{reply}\r\n").as_bytes())?;
            Ok(reply.starts_with(['2', '3']))
        }
        Some(Answer::Late) => {
            lock(state).commands.push("(waits)".to_owned());
            super::wait_for("forgiveness", || rule(state, step, line).is_none().then_some(()));
            out.write_all(format!("{good}\r\n").as_bytes()).map(|()| true)
        }
        Some(Answer::Silence | Answer::AcceptThenSilence) => {
            std::io::copy(&mut lines.by_ref(), &mut std::io::sink())?;
            Err(std::io::ErrorKind::ConnectionAborted.into())
        }
        Some(Answer::Disconnect | Answer::AcceptThenDisconnect) => {
            out.shutdown(std::net::Shutdown::Both)?;
            Err(std::io::ErrorKind::ConnectionAborted.into())
        }
    }
}

fn rule(state: &Mutex<State>, step: Step, line: &str) -> Option<Answer> {
    let state = lock(state);
    let found = state.rules.iter().find(|(at, needle, _)| *at == step && line.contains(needle.as_str()));
    found.map(|(_, _, answer)| answer.clone())
}

/// What stands between the angle brackets of MAIL or RCPT.
fn argument(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(inside, _)| inside).to_owned()
}

/// The message up to the final dot (RFC 5321 §4.5.2).
fn body(lines: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut text = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
