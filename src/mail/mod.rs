//! The vocabulary of mail that every stage shares: addresses, ids, status codes, MIME.
//!
//! Pure. It knows what a mailbox, a Message-ID or an enhanced status code is, how bytes become
//! headers and decoded text, and what our own mark looks like. It knows nothing of bounces.

mod address;
pub mod charset;
pub mod header;
pub mod html;
mod language;
pub mod mark;
mod message;
pub mod mime;
mod status;
mod structure;
mod transfer;

pub use address::{Mailbox, ReversePath};
pub use language::Language;
pub use mark::ReferenceId;
pub use message::{Cursor, MessageId, MessageRef, RawMessage, Recorded, Role};
pub use mime::{Mail, Part};
pub use status::{EnhancedStatusCode, ReplyCode};
