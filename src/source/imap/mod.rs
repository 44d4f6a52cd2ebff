//! One IMAP account (RFC 9051, RFC 3501): one connection, its folders one after the other.
//!
//! People's unread mail stays unread: everything is fetched by `BODY.PEEK`, in bounded pieces, and
//! a folder is only examined where `after` is `leave`. Written by hand over async-imap's framing:
//! see `wire` for why.

mod fetch;
mod folders;
mod guard;
mod idle;
mod login;
mod scan;
mod settle;
mod utf7;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_imap::imap_proto::{MailboxDatum, Response, ResponseCode};
use tokio::time::timeout;

use self::{
    login::Capabilities,
    wire::{Command, Fault, Wire},
};
use crate::{
    mail::Role,
    net::Endpoint,
    source::{After, Cursor, Error, Kind, Login},
};

pub use utf7::{decode as decode_folder, encode as encode_folder};

/// One account, as `source::Settings` has it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    pub(super) login: Login,
    pub(super) folders: Vec<String>,
    pub(super) idle: bool,
    pub(super) role: Role,
    pub(super) poll_interval: Duration,
    pub(super) after: After,
}

impl Settings {
    /// A fault of the connection, with its place.
    fn error(&self, command: &str, fault: Fault) -> Error {
        let (kind, reason) = match fault {
            Fault::Refused(refusal) => {
                let word = if refusal.bad { "BAD" } else { "NO" };
                let kind = if refusal.bad { Kind::Protocol } else { Kind::Unavailable };
                (kind, format!("the server answered {word} {}", refusal.text))
            }
            Fault::Bye(text) => (Kind::Lost, format!("the server said goodbye: {text}")),
            Fault::Lost(why) => (Kind::Lost, why),
            Fault::TimedOut(limit) => (Kind::Lost, format!("no answer within {} seconds", limit.as_secs_f32())),
            Fault::Protocol(why) => (Kind::Protocol, why),
        };
        Error::new(&self.name, self.endpoint.place(), kind, format!("{command}: {reason}"))
    }

    /// A folder in which `after` cannot be carried out.
    fn read_only(&self, folder: &str) -> Error {
        self.folder_error(folder, "SELECT", "the folder is read-only")
            .with_hint("give the login write access, or set `after = \"leave\"`")
    }

    /// Trouble with one folder only.
    fn folder_error(&self, folder: &str, command: &str, text: &str) -> Error {
        let place = format!("{}, folder {folder}", self.endpoint.place());
        Error::new(&self.name, place, Kind::Folder, format!("{command}: {text}"))
    }
}

/// One account at work.
#[derive(Debug)]
pub struct Account {
    settings: Settings,
    session: Option<Session>,
    /// IDLE was promised and did not work: not tried again before the next start.
    idle_is_broken: bool,
    /// How far each folder was scanned, in this process.
    scanned: BTreeMap<String, Cursor>,
    /// News in a row that were none.
    fruitless: u32,
    /// The report part of these could not be found: the head must do.
    head_only: BTreeSet<String>,
    warned_of_move: bool,
}

/// A session that is logged in.
#[derive(Debug)]
struct Session {
    wire: Wire,
    capabilities: Capabilities,
    selected: Option<Selected>,
    /// The Sent folders, once they were looked up.
    sent: Option<Vec<String>>,
}

/// The selected folder.
#[derive(Clone, Debug)]
struct Selected {
    folder: String,
    uid_validity: u32,
    exists: u32,
    /// How many there were when the folder was searched last: what came since, even between two
    /// commands, is news.
    searched: u32,
    read_only: bool,
}

impl Selected {
    /// Keeps count of the messages: announced at any time, also while idling.
    fn note(&mut self, response: &Response<'_>) {
        match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => self.exists = *count,
            Response::Expunge(_) => {
                self.exists = self.exists.saturating_sub(1);
                self.searched = self.searched.saturating_sub(1);
            }
            _ => {}
        }
    }
}

impl Session {
    fn new(wire: Wire, capabilities: Capabilities) -> Self {
        Self { wire, capabilities, selected: None, sent: None }
    }
}

impl Account {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            session: None,
            idle_is_broken: false,
            scanned: BTreeMap::new(),
            fruitless: 0,
            head_only: BTreeSet::new(),
            warned_of_move: false,
        }
    }

    pub(super) fn folders(&self) -> &[String] {
        &self.settings.folders
    }

    pub(super) async fn connect(&mut self) -> Result<(), Error> {
        if self.session.is_none() {
            self.session = Some(login::open(&self.settings).await?);
        }
        Ok(())
    }

    pub(super) async fn close(&mut self) {
        if let Some(mut session) = self.session.take() {
            let logout = Command::new("LOGOUT");
            let _ = timeout(Duration::from_secs(2), session.wire.command(&logout, &mut |_| ())).await;
        }
    }

    /// Takes the session out for one piece of work. It is put back only by `keep`: work that fails,
    /// or whose future is dropped, takes the session with it.
    fn take(&mut self) -> Result<Session, Error> {
        self.session.take().ok_or_else(|| {
            Error::new(&self.settings.name, self.settings.endpoint.place(), Kind::Lost, "there is no session")
        })
    }

    /// Puts the session back unless the work broke it.
    fn keep<T>(&mut self, session: Session, result: Result<T, Error>) -> Result<T, Error> {
        if result.as_ref().err().is_none_or(Error::session_lives) {
            self.session = Some(session);
        }
        result
    }
}

impl Session {
    /// Runs a command; the server's alerts are logged.
    async fn run(
        &mut self,
        settings: &Settings,
        command: &Command,
        each: &mut (dyn FnMut(&Response<'_>) + Send),
    ) -> Result<(), Fault> {
        let selected = &mut self.selected;
        let mut each = |response: &Response<'_>| {
            if let Some(text) = login::alert(response) {
                tracing::warn!(mailbox = %settings.name, alert = %text, "the server asks for attention");
            }
            if let Some(selected) = selected {
                selected.note(response);
            }
            each(response);
        };
        self.wire.command(command, &mut each).await
    }

    /// Selects a folder, only to read where nothing is to be set; one that is selected already stays so.
    async fn select(&mut self, settings: &Settings, folder: &str) -> Result<Selected, Error> {
        if let Some(selected) = self.selected.as_ref().filter(|it| it.folder == folder) {
            return Ok(selected.clone());
        }
        self.open(settings, folder, settings.after == After::Leave).await
    }

    /// SELECT, or EXAMINE: then nothing can be set in it (RFC 9051 §6.3.3).
    async fn open(&mut self, settings: &Settings, folder: &str, examine: bool) -> Result<Selected, Error> {
        self.selected = None;
        let verb = if examine { "EXAMINE" } else { "SELECT" };
        let (mut uid_validity, mut exists, mut read_only) = (None, 0, examine);
        let mut each = |response: &Response<'_>| match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => exists = *count,
            Response::Data { outcome, .. } | Response::Done { outcome, .. } => match &outcome.code {
                Some(ResponseCode::UidValidity(number)) => uid_validity = Some(*number),
                Some(ResponseCode::ReadOnly) => read_only = true,
                _ => {}
            },
            _ => {}
        };
        let command = Command::new(verb).string(&utf7::encode(folder));
        match self.run(settings, &command, &mut each).await {
            Ok(()) => {}
            Err(Fault::Refused(refusal)) if !refusal.bad => {
                let error = settings.folder_error(folder, verb, &refusal.text);
                return Err(error.with_hint(hint_for_select(&refusal.text)));
            }
            Err(fault) => return Err(settings.error(&format!("{verb} {folder}"), fault)),
        }
        // Without it no message could be named for good; a closed connection looks like that, too.
        let Some(uid_validity) = uid_validity else {
            return Err(settings.error(verb, Fault::Protocol("no UIDVALIDITY".to_owned())));
        };
        let selected = Selected { folder: folder.to_owned(), uid_validity, exists, searched: 0, read_only };
        self.selected = Some(selected.clone());
        Ok(selected)
    }
}

fn hint_for_select(text: &str) -> &'static str {
    if text.to_ascii_lowercase().contains("unsafe login") {
        "the provider distrusts this client: switch IMAP on and use an app password (授权码); we have sent our ID"
    } else {
        "`whybounced check` lists the folders that are there; names are case-sensitive"
    }
}
