//! Free-text bounces: one engine, driven by descriptors (`catalogue/formats/<name>/`).
//!
//! A format is found by its own marks, never by trying all; the general reader comes last.
//! Reading extracts only. It is asked when a message carries no readable delivery status
//! notification, and for better words where the notification's own are poor.

pub mod codes;
mod descriptor;
mod engine;
mod general;
mod lines;
mod marks;
mod original;
mod shared;
mod transcript;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use crate::{
    bounce::{Action, Provenance},
    catalogue,
    mail::{EnhancedStatusCode, Mail, Mailbox, ReplyCode},
};
use descriptor::{Format, Wrong};
use engine::Found;
use lines::Line;
use marks::{Fields, Marks, Seen, Sign};
use shared::{Shared, SharedPatterns};

/// What the words of a bounce say.
#[derive(Clone, Debug, PartialEq)]
pub struct TextReading {
    /// The format's name: a descriptor's, or `general`.
    pub format: String,
    /// The host that speaks, lower-cased.
    pub reporting_mta: Option<String>,
    /// Each recipient that the text names; may be empty where the text names none.
    pub recipients: Vec<TextRecipient>,
    /// Where in `Mail::text()` (octets) the pasted original, or its header block, begins.
    pub original_at: Option<usize>,
    /// `Text`, or `Guess` where the general reader found it.
    pub provenance: Provenance,
}

/// What the text says of one recipient.
#[derive(Clone, Debug, PartialEq)]
pub struct TextRecipient {
    /// The address that failed.
    pub address: Mailbox,
    /// The address the author wrote to, where the text tells both.
    pub original: Option<Mailbox>,
    /// What became of it.
    pub action: Action,
    /// The words that tell the reason, joined to one line.
    pub diagnostic: Option<String>,
    /// Where the format gives the enhanced code apart from the diagnostic.
    pub status: Option<EnhancedStatusCode>,
    /// Where the format gives the reply code apart from the diagnostic.
    pub reply_code: Option<ReplyCode>,
    /// The host whose words the diagnostic is, lower-cased.
    pub remote_mta: Option<String>,
    /// The text says that delivery was tried for long and given up.
    pub expired: bool,
}

/// Reads the words of a message as a bounce; `None` if they are none.
#[must_use]
pub fn read(mail: &Mail) -> Option<TextReading> {
    let headers: Vec<(String, String)> = mail.headers().iter().map(|it| (it.name.clone(), it.value.clone())).collect();
    let fields = Fields {
        from: mail.header("from").unwrap_or_default(),
        subject: mail.header("subject").unwrap_or_default(),
        headers: &headers,
    };
    FORMATS.read(mail.text(), fields)
}

/// The system that a format's words are those of, as the phrases name it.
#[must_use]
pub fn system(format: &str) -> Option<&'static str> {
    FORMATS.all.iter().find(|it| it.name == format)?.descriptor.system.as_deref()
}

/// The formats of the catalogue; that none is wrong is held by a test.
static FORMATS: LazyLock<Formats> = LazyLock::new(|| Formats::load(&mut |_| ()));

/// Every descriptor, with the marks of all in one automaton.
struct Formats {
    all: Vec<Format>,
    marks: Marks,
    shared: SharedPatterns,
}

impl Formats {
    /// Reads the catalogue; what is wrong is handed to `wrong` and left out.
    fn load(wrong: &mut dyn FnMut(String)) -> Self {
        let mut formats = Vec::new();
        let mut shared = Shared::default();
        for (path, text) in catalogue::folder("formats") {
            match path.split('/').collect::<Vec<_>>().as_slice() {
                [_, "shared.toml"] => match Shared::parse(text) {
                    Ok(it) => shared = it,
                    Err(it) => wrong(format!("catalogue/formats/shared.toml: {it}")),
                },
                [_, name, "format.toml"] => match Format::parse(name, text) {
                    Ok(it) => formats.push(it),
                    Err(it) => wrong(it.to_string()),
                },
                _ => wrong(format!("catalogue/{path}: no part of a format")),
            }
        }
        let marks = Marks::new(&formats, &shared);
        let shared = shared.compile(&mut |it: Wrong| wrong(it.to_string()));
        Self { all: formats, marks, shared }
    }

    fn read(&self, text: &str, fields: Fields<'_>) -> Option<TextReading> {
        let mut lines = lines::lines(text);
        let block = original::header_block(&lines).unwrap_or(lines.len());
        let mut seen = self.marks.scan(&lines, block, fields);
        let cut = seen.first(Sign::Original).unwrap_or(block);
        let original_at = lines.get(cut).map(|it| it.at);
        lines.truncate(cut);
        let human = text.get(..original_at.unwrap_or(text.len())).unwrap_or(text);
        if let Some(decoded) = lines::quoted_printable_remains(human) {
            lines = lines::lines(&decoded);
            seen = self.marks.scan(&lines, lines.len(), fields);
        }
        let (format, provenance, found) = self.recipients(&lines, &seen, fields)?;
        let spoken = Spoken { formats: self, lines: &lines, seen: &seen, format };
        let recipients = found.into_iter().filter_map(|it| spoken.recipient(it, fields));
        let mut recipients = without_repeats(recipients);
        if spoken.expired() && !recipients.iter().any(|it| it.expired) {
            for it in &mut recipients {
                it.expired = it.action == Action::Failed;
            }
        }
        Some(TextReading {
            format: format.map_or("general", |it| &it.name).to_owned(),
            reporting_mta: spoken.reporting_mta(),
            recipients,
            original_at,
            provenance,
        })
    }

    /// Who failed: by the format with the longest marks that can tell, else by the general reader.
    fn recipients(
        &self,
        lines: &[Line],
        seen: &Seen,
        fields: Fields<'_>,
    ) -> Option<(Option<&Format>, Provenance, Vec<Found>)> {
        let claims = self.marks.claims(seen);
        let claimed = || claims.iter().filter_map(|it| self.all.get(it.format));
        for format in claimed() {
            let found = engine::read(format, lines);
            if found.iter().any(|it| mailbox(&it.address, format.descriptor.read.bare_names, fields).is_some()) {
                return Some((Some(format), Provenance::Text, found));
            }
        }
        let mut named = general::failed_recipients_field(lines, fields);
        if !named.is_empty() {
            if let Some(said) = claimed().find_map(|it| engine::block(it, lines)) {
                for it in &mut named {
                    it.reason = Some(said.clone());
                }
            }
            return Some((claimed().next(), Provenance::Text, named));
        }
        match general::read(lines, seen, fields, &self.shared) {
            Some(found) => Some((claimed().next(), Provenance::Guess, found)),
            None if general::is_likely(seen, fields) => Some((Some(claimed().next()?), Provenance::Text, Vec::new())),
            None => None,
        }
    }
}

/// A text of which the format is known.
struct Spoken<'a> {
    formats: &'a Formats,
    lines: &'a [Line],
    seen: &'a Seen,
    format: Option<&'a Format>,
}

impl Spoken<'_> {
    fn recipient(&self, found: Found, fields: Fields<'_>) -> Option<TextRecipient> {
        let bare = self.format.is_some_and(|it| it.descriptor.read.bare_names);
        let address = mailbox(&found.address, bare, fields)?;
        let alias = found.alias.as_deref().and_then(Mailbox::parse).filter(|it| !it.same_mailbox(&address));
        let reason = found.reason.unwrap_or_default();
        let status = codes::status(&reason).or_else(|| codes::status(&found.context));
        let reply_code = codes::reply_code(&reason).or_else(|| codes::reply_code(&found.context));
        let remote_mta = self.remote_mta(&reason).or_else(|| self.remote_mta(&found.context)).or(found.host);
        let action = self.action();
        let expired = self.formats.marks.says(Sign::Expired, &format!("{reason}\n{}", found.context));
        Some(TextRecipient {
            address,
            original: alias,
            action,
            diagnostic: (!reason.is_empty()).then_some(reason),
            status,
            reply_code,
            remote_mta: remote_mta.map(|it| host(&it)).filter(|it| !it.is_empty()),
            expired: action == Action::Failed && expired,
        })
    }

    /// Whether the text says of all that they were given up.
    fn expired(&self) -> bool {
        self.seen.first(Sign::Expired).is_some()
    }

    fn action(&self) -> Action {
        if self.seen.first(Sign::Delivered).is_some() {
            Action::Delivered
        } else if self.seen.first(Sign::Delayed).is_some() || self.seen.first(Sign::DelayedSubject).is_some() {
            Action::Delayed
        } else {
            Action::Failed
        }
    }

    fn remote_mta(&self, words: &str) -> Option<String> {
        let of_format = self.format.map_or(&[][..], |it| &it.patterns().remote_mta);
        let mut patterns = of_format.iter().chain(&self.formats.shared.remote_mta);
        patterns.find_map(|it| Some(it.captures(words)?.name("host")?.as_str().to_owned()))
    }

    fn reporting_mta(&self) -> Option<String> {
        let of_format = self.format.map_or(&[][..], |it| &it.patterns().reporting_mta);
        let patterns = || of_format.iter().chain(&self.formats.shared.reporting_mta);
        let spoken =
            |line: &Line| patterns().find_map(|it| Some(it.captures(&line.text)?.name("host")?.as_str().to_owned()));
        self.lines.iter().take(60).find_map(spoken).map(|it| host(&it)).filter(|it| it.contains('.'))
    }
}

fn host(name: &str) -> String {
    name.trim_matches(['.', '[', ']', ' ']).to_lowercase()
}

/// The mailbox that a text names; a local part alone lives at the domain of the From field.
fn mailbox(name: &str, bare: bool, fields: Fields<'_>) -> Option<Mailbox> {
    let name = name.trim().trim_end_matches(['.', '\'']);
    if name.contains('@') || !bare {
        return Mailbox::parse(name);
    }
    let pattern = descriptor::address_pattern()?;
    let from = Mailbox::parse(pattern.captures(fields.from)?.name("addr")?.as_str())?;
    Mailbox::parse(&format!("{name}@{}", from.domain()))
}

/// Each mailbox once; of two the one that says more.
fn without_repeats(recipients: impl Iterator<Item = TextRecipient>) -> Vec<TextRecipient> {
    let says = |it: &TextRecipient| (it.status.is_some(), it.reply_code.is_some(), it.diagnostic.is_some());
    let mut kept: Vec<TextRecipient> = Vec::new();
    for next in recipients {
        match kept.iter_mut().find(|it| it.address.same_mailbox(&next.address)) {
            Some(known) if says(&next) > says(known) => *known = next,
            Some(_) => {}
            None => kept.push(next),
        }
    }
    kept
}
