//! Composes the explanation: what happened, whose move it is, what to do, what was checked.
//!
//! Pure: findings and a plan in, a finished MIME message out. The words are data
//! (`catalogue/causes/<cause>/<language>.md`, `catalogue/languages/<language>/`), overlaid by the
//! company's own directory.

use serde::{Deserialize, Serialize};

use crate::mail::{Mailbox, MessageId};

/// A finished mail: what `outbound` sends is exactly these bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Deterministic (`design.md` §8.3).
    pub message_id: MessageId,
    /// The one recipient of the envelope.
    pub to: Mailbox,
    /// The message with CRLF line ends, 7-bit clean.
    pub bytes: Vec<u8>,
}

/// `[reply]`, `timezone` and what of `[smtp]` shows in a mail.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From: the configured address, with a display name or none.
    pub from: Mailbox,
    /// From's display name; without one, each language's own.
    pub from_name: Option<String>,
    /// Reply-To, if any.
    pub reply_to: Option<Mailbox>,
    /// The company's name in the signature.
    pub company: Option<String>,
    /// Where to ask: "IT 服务台（分机 8001）".
    pub helpdesk: Option<String>,
    /// The zone that times are shown in; an IANA name.
    pub timezone: jiff::tz::TimeZone,
    /// `alerts.to` is set: the administrator is told of what is theirs to do.
    pub administrator_is_told: bool,
}
