//! One message on standard input, as an MTA's pipe delivers it.

use std::{
    fmt::Write as _,
    io::{self, BufReader, Read},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{HEAD, Role, stitch};
use crate::mail::{MessageRef, RawMessage};

/// The account under which the journal has what came by the pipe.
/// for another reading of it, for its folder is empty.
pub const ACCOUNT: &str = "ingest";

/// Reads one message to its end, and keeps of it what is kept of every message: its head, and the
/// report part where that lies beyond. The key is a digest of all its bytes, so that a message that
/// the MTA hands over twice is known again. `received` is now, in the caller's clock.
///
/// # Errors
/// The input cannot be read.
pub fn read(input: impl Read, received: Timestamp, role: Role) -> io::Result<RawMessage> {
    let mut input = Digesting { input, digest: Sha256::new(), size: 0 };
    let mut bytes = Vec::new();
    input.by_ref().take(HEAD as u64).read_to_end(&mut bytes)?;
    if bytes.len() == HEAD
        && stitch::report_may_follow(&bytes)
        && let Some(pieces) = stitch::search(BufReader::new(input.by_ref()))?
    {
        bytes = stitch::stitch(&bytes, &pieces);
    }
    io::copy(&mut input, &mut io::sink())?;
    let mut key = String::new();
    for byte in input.digest.finalize().iter().take(16) {
        let _ = write!(key, "{byte:02x}");
    }
    let reference = MessageRef { account: ACCOUNT.to_owned(), folder: String::new(), key };
    Ok(RawMessage { reference, received, size: input.size.max(bytes.len() as u64), bytes, role })
}

/// Passes on what it reads, and keeps count of it.
struct Digesting<R> {
    input: R,
    digest: Sha256,
    size: u64,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.digest.update(buffer.get(..count).unwrap_or_default());
        self.size = self.size.saturating_add(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe(message: &str) -> RawMessage {
        read(message.as_bytes(), Timestamp::UNIX_EPOCH, Role::Central).expect("reads")
    }

    #[test]
    fn the_same_message_is_known_again_and_another_is_another() {
        let keys = ["Subject: a\n\nx\n", "Subject: a\n\nx\n", "Subject: a\n\ny\n"].map(|it| pipe(it).reference.key);
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
    }

    #[test]
    fn of_a_large_message_the_head_is_kept_and_the_report_behind_it() {
        let filler = "filler filler filler\n".repeat(HEAD / 10);
        let plain = format!("Subject: large\n\n{filler}");
        let kept = pipe(&plain);
        assert_eq!((kept.bytes.len(), kept.size), (HEAD, plain.len() as u64));
        let report = "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.cn\n\n--b\nContent-Type: text/rfc822-headers\n\nSubject: offer\n\n--b--\n";
        let large = format!("Content-Type: multipart/report; boundary=b\n\n--b\n\n{filler}{report}{filler}");
        let kept = pipe(&large);
        assert_eq!(kept.size, large.len() as u64);
        assert!(kept.bytes.len() < HEAD);
        let text = String::from_utf8_lossy(&kept.bytes);
        assert!(text.contains("Reporting-MTA") && text.contains("Subject: offer"), "{text}");
        // What lies behind the report counts for the key.
        assert_ne!(pipe(&format!("{large}x")).reference.key, kept.reference.key);
    }
}
