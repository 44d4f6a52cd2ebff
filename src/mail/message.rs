//! A message as it came from a mailbox, where it lies, and the proof that it is on record.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Mailbox;

/// A Message-ID without its angle brackets (RFC 5322 §3.6.4). `Display` writes the brackets.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// Takes `<left@right>` or `left@right`, tolerant of what real mail holds; `None` if nothing
    /// is left between the brackets or it holds blanks or controls.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('<').trim_end_matches('>').trim();
        let sound = !text.is_empty()
            && text.len() <= 900
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '<' || c == '>');
        sound.then(|| Self(text.to_owned()))
    }

    /// The id without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.0)
    }
}

/// Where a message lies: account, folder, and a key that names it there for good.
///
/// For IMAP the key is `UIDVALIDITY:UID` (RFC 9051 §2.3.1.1), for a Maildir the unique part of
/// the file name, for a pipe a digest of the bytes.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// The mailbox's `name` in the configuration.
    pub account: String,
    /// The folder, decoded; empty for a pipe.
    pub folder: String,
    /// The key within the folder.
    pub key: String,
}

/// How far a folder has been worked off: all UIDs up to `uid` are on record (RFC 9051 §2.3.1.1).
/// As text `UIDVALIDITY:UID`, which is also a message's key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The folder's numbering; another one makes the cursor void.
    pub uid_validity: u32,
    /// The last UID.
    pub uid: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid_validity, self.uid)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields = text.split_once(':').and_then(|(validity, uid)| Some((validity.parse().ok()?, uid.parse().ok()?)));
        let (uid_validity, uid) = fields.ok_or_else(|| format!("`{text}` is not UIDVALIDITY:UID"))?;
        Ok(Self { uid_validity, uid })
    }
}

/// What kind of mailbox a message was found in (`design.md` §2).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// A central bounce mailbox: the author of the returned message is answered.
    Central,
    /// A member's own mailbox: that member is answered.
    Member(Mailbox),
}

/// A message handed over by `source`: never more than the size limit, maybe less than the whole.
#[derive(Clone)]
pub struct RawMessage {
    /// Where it lies.
    pub reference: MessageRef,
    /// When the server received it (INTERNALDATE, or the file's time).
    pub received: Timestamp,
    /// Octets as stored; of a large message the head, and the report part where that lies later.
    pub bytes: Vec<u8>,
    /// The whole message's size in octets, which may exceed `bytes.len()`.
    pub size: u64,
    /// The kind of mailbox it was found in.
    pub role: Role,
}

/// Where it lies and how large it is: what people write is shown nowhere.
impl fmt::Debug for RawMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reference, received, bytes, size, role } = self;
        f.debug_struct("RawMessage")
            .field("reference", reference)
            .field("received", received)
            .field("bytes", &bytes.len())
            .field("size", size)
            .field("role", role)
            .finish()
    }
}

/// Proof that the journal has committed a message: only with it may the mailbox be touched.
///
/// It lives here so that `source` need not know the journal; `Recorded::by_journal` is called
/// in `src/journal` alone, which a test holds.
#[derive(Debug)]
pub struct Recorded {
    reference: MessageRef,
}

impl Recorded {
    /// Called by the journal after its commit, and nowhere else.
    #[must_use]
    pub fn by_journal(reference: MessageRef) -> Self {
        Self { reference }
    }

    /// The message that is on record.
    #[must_use]
    pub fn reference(&self) -> &MessageRef {
        &self.reference
    }
}
