//! Free-text bounces: one engine, driven by descriptors (`catalogue/formats/<name>/`).
//!
//! A format is found by its own marks, never by trying all; the general reader comes last.
//! Reading extracts only. It is asked when a message carries no readable delivery status
//! notification, and for better words where the notification's own are poor.

mod aside;
pub mod codes;
mod descriptor;
mod engine;
mod general;
mod lines;
mod marks;
mod original;
mod particulars;
mod pattern;
mod patterns;
mod reader;
mod rows;
mod search;
mod shared;
mod syntax;
mod transcript;
mod weighing;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::LazyLock};

use crate::{
    bounce::{Action, Provenance},
    mail::{EnhancedStatusCode, Mail, Mailbox, ReplyCode},
};
pub(super) use lines::squeeze;
pub use particulars::Particulars;
use reader::Formats;

/// What the words of a bounce say.
#[derive(Clone, Debug, PartialEq)]
pub struct TextReading {
    /// The format's name: a descriptor's, or `general`.
    pub format: String,
    /// The host that speaks, lower-cased.
    pub reporting_mta: Option<String>,
    /// What became of the message, as far as the text says it of all recipients.
    pub action: Action,
    /// Each recipient that the text names; may be empty where the text names none.
    pub recipients: Vec<TextRecipient>,
    /// Where in `Mail::text()` (octets) the pasted original, or its header block, begins.
    pub original_at: Option<usize>,
    /// What the text tells of the original, which matters where the original was not returned.
    pub particulars: Particulars,
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

impl TextRecipient {
    /// Whether no code, and so no server's reply, is told of it.
    pub(super) fn is_quiet(&self) -> bool {
        self.reply_code.is_none() && self.status.is_none()
    }
}

/// Reads the words of a message as a bounce; `None` if they are none.
#[must_use]
pub fn read(mail: &Mail) -> Option<TextReading> {
    FORMATS.read(mail)
}

/// Reads the formats of the catalogue now rather than with the first message.
pub fn load() {
    LazyLock::force(&FORMATS);
}

/// The system that a format's words are those of, as the phrases name it.
#[must_use]
pub fn system(format: &str) -> Option<&'static str> {
    FORMATS.system(format)
}

/// Whether a format's system returns a temporary failure only when the queue's limit is reached.
#[must_use]
pub fn returns_late(format: &str) -> bool {
    FORMATS.returns_late(format)
}

/// The words of a bounce without what gateways and mail programs put around them.
#[must_use]
pub fn without_asides(human: &str) -> Cow<'_, str> {
    FORMATS.without_asides(human)
}

/// Whether a subject is of the kind that bounces bear.
#[must_use]
pub fn is_bounce_subject(subject: &str) -> bool {
    FORMATS.is_bounce_subject(subject)
}

/// Whether words are those of bounces alone.
#[must_use]
pub fn tells_failure(words: &str) -> bool {
    FORMATS.tells_failure(words)
}

/// Whether the subject of a message is that of a warning.
#[must_use]
pub fn is_warning_subject(mail: &Mail) -> bool {
    FORMATS.is_warning_subject(mail.header("subject").unwrap_or_default())
}

/// Whether words say that delivery was tried for long and given up.
#[must_use]
pub fn tells_expiry(words: &str) -> bool {
    FORMATS.tells_expiry(words)
}

/// The formats of the catalogue; that none is wrong is held by a test.
static FORMATS: LazyLock<Formats> = LazyLock::new(|| Formats::load(&mut |_| ()));
