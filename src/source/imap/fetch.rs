//! Fetches one message in bounded pieces: its head, and the report part where that lies beyond.

use async_imap::imap_proto::{AttributeValue, BodyStructure, MailboxDatum, MessageSection, Response, SectionPath};
use jiff::Timestamp;

use super::{
    Account, Session, Settings,
    scan::{internal_date, uid_of},
    wire::{Command, Fault},
};
use crate::{
    mail::RawMessage,
    source::{
        Cursor, Error, Found, HEAD,
        stitch::{self, Pieces},
    },
};

/// Nested parts are looked into no deeper.
const DEEPEST: usize = 20;

impl Account {
    pub(in crate::source) async fn fetch(&mut self, found: &Found) -> Result<Option<RawMessage>, Error> {
        let Ok(place) = found.reference.key.parse::<Cursor>() else { return Ok(None) };
        let mut session = self.take()?;
        let name = format!("{}/{}", found.reference.folder, found.reference.key);
        let mut result = session.head(&self.settings, found, place).await;
        if let Ok(Some(message)) = &mut result
            && message.size > message.bytes.len() as u64
            && stitch::report_may_follow(&message.bytes)
            && !self.head_only.contains(&name)
        {
            // If the structure breaks the session, the next try makes do with the head.
            self.head_only.insert(name.clone());
            match session.report_pieces(&self.settings, place.uid).await {
                Ok(pieces) => {
                    self.head_only.remove(&name);
                    if let Some(pieces) = pieces {
                        message.bytes = stitch::stitch(&message.bytes, &pieces);
                    }
                }
                Err(error) => result = Err(error),
            }
        }
        self.keep(session, result)
    }
}

impl Session {
    async fn head(&mut self, settings: &Settings, found: &Found, place: Cursor) -> Result<Option<RawMessage>, Error> {
        let folder = &found.reference.folder;
        let selected = self.select(settings, folder).await?;
        if selected.uid_validity != place.uid_validity {
            return Ok(None);
        }
        let (mut bytes, mut size, mut received) = (None, found.size, None);
        let mut each = |response: &Response<'_>| {
            let Response::Fetch(_, attributes) = response else { return };
            if uid_of(attributes) != Some(place.uid) {
                return;
            }
            for attribute in attributes {
                match attribute {
                    AttributeValue::Rfc822Size(octets) => size = u64::from(*octets),
                    AttributeValue::InternalDate(date) => received = internal_date(date),
                    // A NIL body is an empty message, not a missing one.
                    AttributeValue::BodySection { section: None, data, .. } => {
                        bytes = Some(data.as_deref().unwrap_or_default().to_vec());
                    }
                    _ => {}
                }
            }
        };
        let uid = place.uid;
        let command = Command::new(&format!("UID FETCH {uid} (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.{HEAD}>)"));
        match self.run(settings, &command, &mut each).await {
            Ok(()) => {}
            // The server's trouble of the moment is no fault of the message's.
            Err(Fault::Refused(refusal)) if !refusal.is_for_now() => {
                return Err(settings.folder_error(folder, "UID FETCH", &refusal.text));
            }
            Err(fault) => return Err(settings.error("UID FETCH", fault)),
        }
        if bytes.is_none() && self.is_there(settings, uid).await? {
            return Err(settings.folder_error(
                folder,
                "UID FETCH",
                "the server shows nothing of a message that is there",
            ));
        }
        Ok(bytes.map(|bytes| RawMessage {
            reference: found.reference.clone(),
            received: received.or(Some(found.received)).unwrap_or(Timestamp::UNIX_EPOCH),
            size: size.max(bytes.len() as u64),
            bytes,
            role: settings.role.clone(),
        }))
    }

    /// Whether the selected folder still holds this message.
    async fn is_there(&mut self, settings: &Settings, uid: u32) -> Result<bool, Error> {
        let mut there = false;
        let mut each = |response: &Response<'_>| {
            there |= matches!(response, Response::MailboxData(MailboxDatum::Search(uids)) if uids.contains(&uid));
        };
        match self.run(settings, &Command::new(&format!("UID SEARCH UID {uid}")), &mut each).await {
            Ok(()) | Err(Fault::Refused(_)) => Ok(there),
            Err(fault) => Err(settings.error("UID SEARCH", fault)),
        }
    }

    /// Looks the report part up in the message's structure, and fetches it and the original's header.
    async fn report_pieces(&mut self, settings: &Settings, uid: u32) -> Result<Option<Pieces>, Error> {
        let mut places = Places::default();
        let mut each = |response: &Response<'_>| {
            let Response::Fetch(_, attributes) = response else { return };
            for attribute in attributes.iter().filter(|_| uid_of(attributes) == Some(uid)) {
                if let AttributeValue::BodyStructure(structure) = attribute {
                    places.search(structure, &mut Vec::new());
                }
            }
        };
        let command = Command::new(&format!("UID FETCH {uid} (UID BODYSTRUCTURE)"));
        match self.run(settings, &command, &mut each).await {
            Ok(()) => {}
            Err(Fault::Refused(_)) => return Ok(None),
            Err(fault) => return Err(settings.error("UID FETCH BODYSTRUCTURE", fault)),
        }
        let Some(report) = places.report else { return Ok(None) };
        let report_header = self.section(settings, uid, &format!("{report}.MIME")).await?;
        let report_body = self.section(settings, uid, &report).await?;
        let original = match places.original {
            Some(Original::Message(path)) => self.section(settings, uid, &format!("{path}.HEADER")).await?,
            Some(Original::Headers(path)) => self.section(settings, uid, &path).await?,
            None => Vec::new(),
        };
        Ok(Some(Pieces { report_header, report_body, original }))
    }

    async fn section(&mut self, settings: &Settings, uid: u32, section: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut each = |response: &Response<'_>| {
            let Response::Fetch(_, attributes) = response else { return };
            for attribute in attributes.iter().filter(|_| uid_of(attributes) == Some(uid)) {
                if let AttributeValue::BodySection { section: Some(path), data: Some(data), .. } = attribute
                    && matches!(path, SectionPath::Part(..) | SectionPath::Full(MessageSection::Text))
                {
                    bytes = data.to_vec();
                }
            }
        };
        let limit = stitch::PIECE;
        let command = Command::new(&format!("UID FETCH {uid} (UID BODY.PEEK[{section}]<0.{limit}>)"));
        match self.run(settings, &command, &mut each).await {
            Ok(()) | Err(Fault::Refused(_)) => Ok(bytes),
            Err(fault) => Err(settings.error("UID FETCH", fault)),
        }
    }
}

/// Where the parts of a report lie (RFC 9051 §6.4.5, part numbers).
#[derive(Debug, Default)]
struct Places {
    report: Option<String>,
    original: Option<Original>,
}

#[derive(Debug)]
enum Original {
    Message(String),
    Headers(String),
}

impl Places {
    /// The first report, and the first returned message after it.
    fn search(&mut self, structure: &BodyStructure<'_>, path: &mut Vec<u32>) {
        if path.len() > DEEPEST {
            return;
        }
        let name = || {
            let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
            if numbers.is_empty() { "1".to_owned() } else { numbers.join(".") }
        };
        match structure {
            BodyStructure::Multipart { bodies, .. } => {
                for (part, number) in bodies.iter().zip(1_u32..) {
                    path.push(number);
                    self.search(part, path);
                    path.pop();
                }
            }
            BodyStructure::Message { body, .. } => {
                if self.report.is_some() {
                    self.original.get_or_insert_with(|| Original::Message(name()));
                } else if let BodyStructure::Multipart { .. } = **body {
                    // A forwarded bounce: the parts of the message within are numbered below it.
                    self.search(body, path);
                }
            }
            BodyStructure::Basic { common, .. } | BodyStructure::Text { common, .. } => {
                let kind = format!("{}/{}", common.ty.ty, common.ty.subtype).to_ascii_lowercase();
                if stitch::REPORTS.contains(&kind.as_str()) {
                    self.report.get_or_insert_with(name);
                } else if stitch::HEADERS.contains(&kind.as_str()) && self.report.is_some() {
                    self.original.get_or_insert_with(|| Original::Headers(name()));
                }
            }
        }
    }
}
