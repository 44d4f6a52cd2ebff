//! Our mark: how we know our own mail again (`design.md` §3, *Our mark*).
//!
//! Pattern only, never a journal look-up: a lost journal must not start a loop.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::MessageId;

/// Crockford's base 32: no I, L, O, U, so that it survives the telephone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The reference id of an explanation: `WB-` and eight characters, the last a check character.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReferenceId(String);

impl ReferenceId {
    /// Derives the id from what identifies the explanation; the same input gives the same id.
    #[must_use]
    pub fn derive(identity: &str) -> Self {
        let digest = Sha256::digest(identity.as_bytes());
        let body: Vec<u8> = digest.iter().take(7).map(|byte| ALPHABET[usize::from(byte & 31)]).collect();
        let mut id: String = body.iter().map(|&b| char::from(b)).collect();
        id.push(check_character(&body));
        Self(format!("WB-{id}"))
    }

    /// The first valid reference id that stands in `text`, if any; a wrong check character is none.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        text.match_indices("WB-").find_map(|(at, _)| {
            let body = text.as_bytes().get(at + 3..at + 11)?;
            let after = text.as_bytes().get(at + 11);
            let ends = after.is_none_or(|b| !b.is_ascii_alphanumeric());
            let sound =
                ends && body.iter().all(|b| ALPHABET.contains(b)) && check_character(&body[..7]) == char::from(body[7]);
            sound.then(|| Self(format!("WB-{}", String::from_utf8_lossy(body))))
        })
    }

    /// The id as printed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A weighted sum modulo 31 (a prime): finds each wrong character and each swap of neighbours.
fn check_character(body: &[u8]) -> char {
    let sum: usize =
        body.iter().zip(2..).map(|(b, weight)| weight * ALPHABET.iter().position(|a| a == b).unwrap_or(0)).sum();
    char::from(ALPHABET[sum % 31])
}

/// The deterministic Message-ID of our explanation: `<wb.{hash}@domain of from>` (`design.md` §8.3).
#[must_use]
pub fn message_id(identity: &str, domain: &str) -> Option<MessageId> {
    use std::fmt::Write as _;
    let mut hash = String::new();
    for byte in Sha256::digest(identity.as_bytes()).iter().take(16) {
        let _ = write!(hash, "{byte:02x}");
    }
    MessageId::parse(&format!("wb.{hash}@{domain}"))
}

/// Whether a Message-ID is one of ours, by its form: `wb.` and 32 hexadecimal digits before the `@`.
#[must_use]
pub fn is_our_message_id(id: &MessageId) -> bool {
    let left = id.as_str().split('@').next().unwrap_or_default();
    left.strip_prefix("wb.").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_id_is_found_again_and_a_typing_error_is_not() {
        let id = ReferenceId::derive("chen@corp.example.cn|<m1@corp.example.cn>");
        assert_eq!(ReferenceId::find(&format!("编号 {id}。")), Some(id.clone()));
        let mut wrong = id.as_str().to_owned();
        let last = wrong.pop().expect("an id is never empty");
        wrong.push(if last == 'A' { 'B' } else { 'A' });
        assert_eq!(ReferenceId::find(&wrong), None);
    }

    #[test]
    fn our_message_id_is_known_by_its_form() {
        let id = message_id("x", "corp.example.cn").expect("well formed");
        assert!(is_our_message_id(&id));
        assert!(!is_our_message_id(&MessageId::parse("<wb.1@corp.example.cn>").expect("well formed")));
    }
}
