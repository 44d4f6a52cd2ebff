//! A small IMAP server with one folder, whose every answer a test may replace.
//!
//! It speaks the protocol just well enough for our client; what it is there for are the quirks.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::peer::{self, Peer, Scripted};

/// What a rule says instead of the usual answer; `{tag}` stands for the command's tag.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// These bytes, and the conversation goes on.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    ThenClose(Vec<u8>),
    /// These bytes, then silence until the client goes.
    ThenSilence(Vec<u8>),
    /// These bytes in eight pieces, with such a pause before each.
    Slowly(Duration, Vec<u8>),
    /// These bytes, again and again with such a pause before, until the client goes.
    Endlessly(Duration, Vec<u8>),
}

impl Say {
    pub(crate) fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

#[derive(Default)]
struct State {
    rules: Vec<(String, Say)>,
    commands: Vec<String>,
    messages: Vec<(u32, Vec<u8>)>,
    uid_validity: u32,
    capabilities: String,
    greeting: Vec<u8>,
    /// Conversations under way.
    clients: usize,
    /// No SELECT before ID, as at NetEase.
    wants_id: bool,
}

/// A running server.
pub(crate) struct FakeImap {
    pub(crate) server: Scripted,
    state: Arc<Mutex<State>>,
}

impl FakeImap {
    /// Starts one that offers these capabilities besides `IMAP4rev1`.
    pub(crate) fn start(capabilities: &str) -> Self {
        let state = State {
            uid_validity: 1,
            capabilities: format!("IMAP4rev1 {capabilities}").trim_end().to_owned(),
            greeting: b"* OK ready\r\n".to_vec(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Scripted::start(move |peer| {
            let count =
                |change: fn(&mut usize)| change(&mut shared.lock().unwrap_or_else(PoisonError::into_inner).clients);
            count(|it| *it += 1);
            converse(peer, &shared);
            count(|it| *it -= 1);
        });
        Self { server, state }
    }

    /// One that wants to know who we are before SELECT, and has no IDLE, as NetEase.
    pub(crate) fn netease() -> Self {
        let it = Self::start("ID AUTH=PLAIN");
        it.with(|state| state.wants_id = true);
        it
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A command that begins with `start` (without its tag) is answered so; one that ends in `{`
    /// as soon as it announces a literal.
    pub(crate) fn on(&self, start: &str, say: Say) -> &Self {
        self.with(|it| it.rules.push((start.to_owned(), say)));
        self
    }

    /// Behaves again.
    pub(crate) fn forgive(&self) {
        self.with(|it| it.rules.clear());
    }

    pub(crate) fn greet(&self, greeting: &[u8]) -> &Self {
        self.with(|it| it.greeting = greeting.to_vec());
        self
    }

    pub(crate) fn put(&self, uid: u32, message: impl AsRef<[u8]>) -> &Self {
        self.with(|it| it.messages.push((uid, message.as_ref().to_vec())));
        self
    }

    /// A message goes.
    pub(crate) fn take(&self, uid: u32) {
        self.with(|it| it.messages.retain(|message| message.0 != uid));
    }

    pub(crate) fn renumber(&self, uid_validity: u32) {
        self.with(|it| it.uid_validity = uid_validity);
    }

    /// Another UIDVALIDITY, under which the messages are numbered from 1.
    pub(crate) fn number_anew(&self, uid_validity: u32) {
        self.with(|it| {
            it.uid_validity = uid_validity;
            (1..).zip(&mut it.messages).for_each(|(uid, message)| message.0 = uid);
        });
    }

    /// Waits until every client has gone.
    pub(crate) fn until_left(&self) {
        crate::harness::wait_for("the client to go", || self.with(|it| (it.clients == 0).then_some(())));
    }

    /// Every command so far, without its tag.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.with(|it| it.commands.clone())
    }
}

fn converse(peer: &mut Peer, state: &Mutex<State>) -> Option<()> {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let greeting = lock().greeting.clone();
    peer.send(greeting);
    let (mut idling, mut identified) = (String::new(), false);
    loop {
        let mut line = peer.line()?;
        let refused = |line: &str| {
            let command = line.split_once(' ').unwrap_or_default().1;
            lock().rules.iter().any(|(start, _)| start.ends_with('{') && command.starts_with(start.as_str()))
        };
        while let Some(count) = line
            .strip_suffix('}')
            .filter(|_| !refused(&line))
            .and_then(|it| it.rsplit_once('{'))
            .and_then(|it| it.1.parse().ok())
        {
            peer.send("+ go on\r\n");
            line.push_str(&String::from_utf8_lossy(&peer.bytes(count)?));
            line.push_str(&peer.line()?);
        }
        let (tag, command) = match line.split_once(' ') {
            Some(it) => it,
            None => (idling.as_str(), line.as_str()),
        };
        lock().commands.push(command.to_owned());
        let rule = lock().rules.iter().find(|(start, _)| command.starts_with(start.as_str())).map(|it| it.1.clone());
        let fill = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => text.replace("{tag}", tag).into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        identified |= command.starts_with("ID (");
        if lock().wants_id && !identified && ["SELECT", "EXAMINE"].iter().any(|it| command.starts_with(it)) {
            peer.send(format!("{tag} NO SELECT Unsafe Login. Please contact kefu@188.com for help\r\n"));
            continue;
        }
        match rule {
            Some(Say::Bytes(bytes)) => peer.send(fill(&bytes)),
            Some(Say::ThenClose(bytes)) => {
                peer.send(fill(&bytes));
                return None;
            }
            Some(Say::ThenSilence(bytes)) => {
                peer.send(fill(&bytes));
                peer.silence();
                return None;
            }
            Some(Say::Slowly(pause, bytes)) => {
                let bytes = fill(&bytes);
                bytes.chunks(bytes.len().div_ceil(8)).all(|piece| {
                    peer::pause(pause);
                    peer.send(piece)
                })
            }
            Some(Say::Endlessly(pause, bytes)) => {
                while peer.send(fill(&bytes)) {
                    peer::pause(pause);
                }
                return None;
            }
            None => usual(peer, tag, command, &lock)?,
        };
        if command == "IDLE" {
            idling = tag.to_owned();
        }
    }
}

fn usual<'a>(
    peer: &mut Peer,
    tag: &str,
    command: &str,
    lock: &impl Fn() -> std::sync::MutexGuard<'a, State>,
) -> Option<bool> {
    let ok = format!("{tag} OK done\r\n");
    let verb = command.split([' ', '\r']).next().unwrap_or_default();
    Some(match verb {
        "CAPABILITY" => {
            let list = lock().capabilities.clone();
            peer.send(format!("* CAPABILITY {list}\r\n{ok}"))
        }
        "SELECT" | "EXAMINE" => {
            let exists = lock().messages.len();
            let validity = lock().uid_validity;
            let access = if verb == "SELECT" { "READ-WRITE" } else { "READ-ONLY" };
            peer.send(format!(
                "* {exists} EXISTS\r\n* OK [UIDVALIDITY {validity}] valid\r\n{tag} OK [{access}] done\r\n"
            ))
        }
        "AUTHENTICATE" if command.split(' ').count() == 2 => {
            peer.send("+ \r\n");
            peer.line()?;
            peer.send(ok)
        }
        "IDLE" => peer.send("+ idling\r\n"),
        "LOGOUT" => {
            peer.send(format!("* BYE\r\n{ok}"));
            return None;
        }
        "UID" if command.starts_with("UID SEARCH") => {
            // Of one message, or of all: that there are more than were asked for is a quirk, too.
            let only: Option<u32> = command.strip_prefix("UID SEARCH UID ").and_then(|it| it.parse().ok());
            let wanted = |uid| only.is_none_or(|it| it == uid);
            let uids: Vec<String> =
                lock().messages.iter().map(|it| it.0).filter(|uid| wanted(*uid)).map(|it| it.to_string()).collect();
            peer.send(format!("* SEARCH {}\r\n{ok}", uids.join(" ")))
        }
        "UID" if command.starts_with("UID FETCH") => {
            let list = command.split(' ').nth(2)?.split(',').filter_map(|it| it.parse().ok()).collect::<Vec<u32>>();
            let messages = lock().messages.clone();
            for (number, (uid, bytes)) in (1..).zip(messages).filter(|(_, it)| list.contains(&it.0)) {
                let size = bytes.len();
                let date = jiff::Timestamp::now().strftime("%d-%b-%Y %H:%M:%S +0000").to_string();
                peer.send(format!("* {number} FETCH (UID {uid} RFC822.SIZE {size} INTERNALDATE \"{date}\""));
                if command.contains("BODY.PEEK[]") {
                    peer.send(format!(" BODY[]<0> {{{size}}}\r\n"));
                    peer.send(bytes);
                } else if command.contains("HEADER.FIELDS") {
                    peer.send(format!(" BODY[HEADER.FIELDS (FROM)]<0> {{{size}}}\r\n"));
                    peer.send(bytes);
                }
                peer.send(")\r\n");
            }
            peer.send(ok)
        }
        _ => peer.send(ok),
    })
}
