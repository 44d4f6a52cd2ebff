//! Free-text bounces: one engine, driven by descriptors (`catalogue/formats/<name>/`).
//!
//! A format is found by its own marks, never by trying all; the general reader comes last.
//! Reading extracts only. It is asked when a message carries no readable delivery status
//! notification, and for better words where the notification's own are poor.

use crate::{
    bounce::{Action, Provenance},
    mail::{EnhancedStatusCode, Mail, Mailbox, ReplyCode},
};

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
pub fn read(_mail: &Mail) -> Option<TextReading> {
    None
}
