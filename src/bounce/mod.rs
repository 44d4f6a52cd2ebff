//! Bytes in, `Recognition` out: is this a bounce, whom does it concern, what did the servers say?
//!
//! Pure and total: there is no error, because broken mail is data. Structured reports (RFC 3464,
//! RFC 6522, RFC 6533) are read as such; free-text formats are descriptors
//! (`catalogue/formats/<name>/`) for one engine; a general reader comes last. Reading extracts
//! only: which cause the words mean is for `diagnosis` to say.

mod doubt;
mod dsn;
mod envelope;
mod forwarded;
mod original;
mod reader;
mod senders;
pub mod text;
mod voice;
mod why_not;
mod words;

#[cfg(test)]
mod tests;

pub use reader::recognise;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mail::{EnhancedStatusCode, Mailbox, MessageId, ReplyCode, ReversePath};

/// What a message turned out to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one value a message, never kept in numbers")]
pub enum Recognition {
    /// A delivery status notification in whatever form, of whatever action.
    Bounce(Bounce),
    /// Anything else, with the reason.
    NotABounce(NotABounce),
}

/// A message that is not a bounce (or, for `QuotedBounce`, not one of its own).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotABounce {
    /// Why.
    pub because: WhyNot,
    /// Who forwarded it, if a person did (only with `QuotedBounce`).
    pub forwarded_by: Option<Mailbox>,
    /// What could be read of a bounce that a person quoted inline (only with `QuotedBounce`).
    pub quoted: Option<Box<Bounce>>,
    /// The message's own headers, as far as they matter.
    pub envelope: Envelope,
}

/// Why a message is not taken for a bounce. The names are those of the JSON output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// Mail between people, a newsletter, anything without the marks of a bounce.
    OrdinaryMail,
    /// Vacation, out of office, ticket system (RFC 3834).
    AutoReply,
    /// A read receipt (RFC 8098).
    DispositionNotification,
    /// A spam complaint or authentication report (RFC 5965, RFC 6591), or an aggregate (RFC 7489, RFC 8460).
    FeedbackReport,
    /// A mailing list's notice to a member or an owner.
    ListNotice,
    /// A challenge: "confirm that you are a person".
    Challenge,
    /// A bounce that a person pasted or quoted inline.
    QuotedBounce,
    /// Mail made to look like a bounce: phishing, spam.
    FakeBounce,
    /// Empty, not mail, or broken beyond reading.
    Unreadable,
    /// Carries our mark: an explanation of ours, or an answer to one (`design.md` §3).
    OurOwnReply,
}

/// RFC 3464 §2.3.3 Action. `Failed` alone is a failure, whatever the words say.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// Delivered.
    Delivered,
    /// Handed to a system that sends no reports.
    Relayed,
    /// Delivered to a list or alias, which goes on from there.
    Expanded,
}

/// Where a value was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// A field of a delivery status notification.
    ReportField,
    /// The free text of a format we know, or a header such as X-Failed-Recipients.
    Text,
    /// The general reader's best guess.
    Guess,
}

/// One bounce: a report about one original message and one recipient or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounce {
    /// The format's name: a descriptor's, or `rfc3464`, or `general`.
    pub format: String,
    /// The MTA that made the report (RFC 3464 §2.2.2), lower-cased host name.
    pub reporting_mta: Option<String>,
    /// When the reporting MTA took the original (RFC 3464 §2.2.5).
    pub arrival_date: Option<Timestamp>,
    /// Original-Envelope-Id (RFC 3464 §2.2.1).
    pub original_envelope_id: Option<String>,
    /// Each recipient that the report names, failed ones first; empty only where no more than the
    /// header of a report arrived.
    pub recipients: Vec<RecipientReport>,
    /// The returned original, as far as it was returned.
    pub original: Option<Original>,
    /// The person who forwarded this bounce as an attachment, if one did.
    pub forwarded_by: Option<Mailbox>,
    /// The outermost message's own headers, as far as they matter.
    pub envelope: Envelope,
    /// The returned text begins with filler (AAAAZZZZ…): `design.md` §8.8, row 2.7.
    pub filler_seen: bool,
    /// The report's human-readable text, decoded, at most 16 KB: for review, and for a reason that no recipient's own words give.
    pub human_text: String,
    /// What was wrong with the message's form, for review.
    pub defects: Vec<String>,
}

impl Bounce {
    /// `Failed` if any recipient failed, else the first recipient's action.
    #[must_use]
    pub fn kind(&self) -> Action {
        self.recipients.iter().map(|it| it.action).min().unwrap_or(Action::Failed)
    }
}

/// What the report says of one recipient (RFC 3464 §2.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecipientReport {
    /// Final-Recipient: the address that failed in the end.
    pub final_recipient: Mailbox,
    /// Original-Recipient: the address the author wrote to, where the report gives it.
    pub original_recipient: Option<Mailbox>,
    /// What became of it.
    pub action: Action,
    /// Status, or the enhanced code in the text; `None` if none stood anywhere (never invented).
    pub status: Option<EnhancedStatusCode>,
    /// The reply code in the diagnostic text.
    pub reply_code: Option<ReplyCode>,
    /// Diagnostic-Code or the line of the text that tells the reason: decoded, entities resolved,
    /// replies of several lines joined, one line, at most 4 KB.
    pub diagnostic: Option<String>,
    /// The host whose words the diagnostic is (RFC 3464 §2.3.5), lower-cased.
    pub remote_mta: Option<String>,
    /// RFC 3464 §2.3.8.
    pub last_attempt_date: Option<Timestamp>,
    /// RFC 3464 §2.3.9: until when a delayed message will be tried.
    pub will_retry_until: Option<Timestamp>,
    /// The reporting MTA gave up after trying for long (its words or 4.4.7): `expired` in the JSON.
    pub expired: bool,
    /// Where recipient and diagnostic were read.
    pub provenance: Provenance,
}

/// The message that bounced, as far as the bounce returned it. Never its body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Original {
    /// From, the first address.
    pub from: Option<Mailbox>,
    /// From's display name, decoded.
    pub from_name: Option<String>,
    /// Return-Path within the returned headers, or the envelope sender the report names.
    pub return_path: Option<ReversePath>,
    /// To and Cc, in order.
    pub to: Vec<Mailbox>,
    /// Subject, decoded; one line.
    pub subject: Option<String>,
    /// Message-ID.
    pub message_id: Option<MessageId>,
    /// References, in order, for threading.
    pub references: Vec<MessageId>,
    /// Date.
    pub date: Option<Timestamp>,
    /// Size in octets of the original where the report tells it or all of it was returned.
    pub size: Option<u64>,
    /// Attachments of a wholly returned original: file name and decoded size in octets.
    pub attachments: Vec<Attachment>,
    /// Content-Language, or the script of subject and body: a BCP 47 tag.
    pub language: Option<String>,
    /// Received fields, topmost first, unfolded: grounds of origin.
    pub received: Vec<String>,
    /// The signs of an automatic or list mail among its headers (RFC 3834 §2), `name: value`.
    pub automatic: Vec<String>,
    /// Carries our mark in its own Message-ID, `X-Whybounced` or footer (`design.md` §3).
    pub ours: bool,
    /// The returned header block, as text, at most 16 KB; for journal and review.
    pub header_text: String,
}

/// A file that the original carried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name, decoded.
    pub name: Option<String>,
    /// Decoded size in octets.
    pub size: u64,
}

/// The headers of the message that lay in the mailbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Return-Path, written by the final delivery; absent is not null.
    pub return_path: Option<ReversePath>,
    /// From.
    pub from: Option<Mailbox>,
    /// From's display name, decoded.
    pub from_name: Option<String>,
    /// To.
    pub to: Vec<Mailbox>,
    /// Subject, decoded.
    pub subject: Option<String>,
    /// Message-ID.
    pub message_id: Option<MessageId>,
    /// Date.
    pub date: Option<Timestamp>,
    /// Received fields, topmost first, unfolded.
    pub received: Vec<String>,
    /// Authentication-Results, topmost first, unfolded (RFC 8601).
    pub authentication_results: Vec<String>,
    /// The signs of automatic or list mail among its headers (RFC 3834 §2), `name: value`.
    pub automatic: Vec<String>,
    /// The whole header block as text, at most 16 KB; for journal and review.
    pub header_text: String,
}
