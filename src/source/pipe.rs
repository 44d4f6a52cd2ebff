//! One message on standard input, as an MTA's pipe delivers it.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Error, HEAD, Kind, Role};
use crate::mail::{MessageRef, RawMessage};

/// Reads one message to its end, keeping its head; the key is a digest of all its bytes.
/// `received` is now, in the caller's clock.
///
/// # Errors
/// The input cannot be read.
pub async fn read(
    account: &str,
    mut input: impl AsyncRead + Unpin,
    received: Timestamp,
    role: Role,
) -> Result<RawMessage, Error> {
    let (mut digest, mut bytes, mut size) = (Sha256::new(), Vec::new(), 0_u64);
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let count = input
            .read(&mut chunk)
            .await
            .map_err(|error| Error::new(account, "standard input", Kind::Unavailable, error.to_string()))?;
        let Some(part) = chunk.get(..count).filter(|part| !part.is_empty()) else { break };
        digest.update(part);
        size = size.saturating_add(part.len() as u64);
        let room = HEAD.saturating_sub(bytes.len());
        bytes.extend(part.iter().take(room));
    }
    let mut key = String::new();
    for byte in digest.finalize().iter().take(16) {
        let _ = write!(key, "{byte:02x}");
    }
    let reference = MessageRef { account: account.to_owned(), folder: String::new(), key };
    Ok(RawMessage { reference, received, bytes, size, role })
}
