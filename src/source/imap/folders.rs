//! What folders there are, for `check`; and the Sent folder, asked for one message.

use async_imap::imap_proto::{MailboxDatum, NameAttribute, Response};

use super::{
    Account, Session, Settings, utf7,
    wire::{Command, Fault},
};
use crate::{
    catalogue,
    mail::MessageId,
    source::{After, Error, Survey},
};

/// No server has that many folders; a hostile one shall not fill our memory.
const MOST_FOLDERS: usize = 10_000;

/// A folder as LIST shows it, name decoded.
#[derive(Clone, Debug)]
struct Listed {
    name: String,
    last_part: String,
    selectable: bool,
    sent: bool,
}

impl Account {
    /// Looks at every watched folder, and at what the server can do.
    pub(in crate::source) async fn survey(&mut self) -> Result<Survey, Error> {
        self.connect().await?;
        let mut session = self.take()?;
        let result = session.survey(&self.settings).await;
        self.keep(session, result)
    }

    /// Whether the Sent folder holds a message with this Message-ID; `None` if there is no such folder.
    pub(in crate::source) async fn find_sent(&mut self, id: &MessageId) -> Result<Option<bool>, Error> {
        let mut session = self.take()?;
        let result = session.find_sent(&self.settings, id).await;
        self.keep(session, result)
    }
}

impl Session {
    async fn list(&mut self, settings: &Settings) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        let mut each = |response: &Response<'_>| {
            let Response::MailboxData(MailboxDatum::List(data)) = response else { return };
            if listed.len() < MOST_FOLDERS {
                // The parser leaves the escapes of a quoted name as they are.
                let name = utf7::decode(&data.name.replace("\\\"", "\"").replace("\\\\", "\\"));
                let last_part = match data.delimiter.as_deref() {
                    Some(delimiter) if !delimiter.is_empty() => name.rsplit(delimiter).next().unwrap_or_default(),
                    _ => name.as_str(),
                };
                listed.push(Listed {
                    last_part: last_part.to_lowercase(),
                    selectable: !data.name_attributes.contains(&NameAttribute::NoSelect),
                    sent: data.name_attributes.contains(&NameAttribute::Sent),
                    name,
                });
            }
        };
        match self.run(settings, &Command::new("LIST \"\" \"*\""), &mut each).await {
            Ok(()) | Err(Fault::Refused(_)) => Ok(listed),
            Err(fault) => Err(settings.error("LIST", fault)),
        }
    }

    async fn survey(&mut self, settings: &Settings) -> Result<Survey, Error> {
        let mut folders = Vec::new();
        for folder in &settings.folders {
            let selected = match self.select(settings, folder).await {
                Ok(selected) if selected.read_only && settings.after != After::Leave => {
                    Err(settings.read_only(folder).to_string())
                }
                Ok(selected) => Ok(selected.exists),
                Err(error) if error.session_lives() => Err(error.to_string()),
                Err(error) => return Err(error),
            };
            folders.push((folder.clone(), selected));
        }
        let listed = self.list(settings).await?;
        Ok(Survey {
            tls: self.wire.tls_version(),
            idle: self.capabilities.has("IDLE"),
            can_move: self.capabilities.has("MOVE") || self.capabilities.has("UIDPLUS"),
            folders,
            all_folders: listed.into_iter().filter(|it| it.selectable).map(|it| it.name).collect(),
        })
    }

    async fn find_sent(&mut self, settings: &Settings, id: &MessageId) -> Result<Option<bool>, Error> {
        let folders = match self.sent.take() {
            Some(folders) => folders,
            None => sent_folders(self.list(settings).await?),
        };
        self.sent = Some(folders.clone());
        let mut looked = None;
        for folder in &folders {
            // Only ever examined: nothing in it is ours to touch.
            match self.open(settings, folder, true).await {
                Ok(_) => {}
                Err(error) if error.session_lives() => continue,
                Err(error) => return Err(error),
            }
            let mut met = false;
            let mut each = |response: &Response<'_>| {
                met |= matches!(response, Response::MailboxData(MailboxDatum::Search(uids)) if !uids.is_empty());
            };
            let command = Command::new("UID SEARCH HEADER Message-ID").string(id.as_str());
            match self.run(settings, &command, &mut each).await {
                Ok(()) if met => return Ok(Some(true)),
                Ok(()) => looked = Some(false),
                Err(Fault::Refused(_)) => {}
                Err(fault) => return Err(settings.error("UID SEARCH", fault)),
            }
        }
        Ok(looked)
    }
}

/// Those that the server marks, else those whose name says it.
fn sent_folders(mut listed: Vec<Listed>) -> Vec<String> {
    listed.retain(|it| it.selectable);
    if listed.iter().any(|it| it.sent) {
        listed.retain(|it| it.sent);
    } else {
        listed.retain(|it| catalogue::list("sent-folders.txt").any(|name| name == it.last_part));
    }
    listed.into_iter().map(|it| it.name).collect()
}
