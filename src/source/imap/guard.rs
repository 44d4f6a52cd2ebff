//! Bounds what a server can make us hold: lines and literals are measured before they are parsed.
//!
//! async-imap reserves whatever a literal announces, up to 512 MiB, and reads a line to its end
//! however long it is. This sits below it and ends the connection first.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest line, literals not counted: a SEARCH answer about `scan`'s window. The parser begins
/// anew with each piece of a line that comes, so that the time goes with the square of this.
const LONGEST_LINE: usize = 256 * 1024;
/// The largest literal: we never ask for more than 256 KiB at once.
const LARGEST_LITERAL: u64 = 1024 * 1024;

/// The deepest nesting: each MIME level of a BODYSTRUCTURE is one.
const DEEPEST: u32 = 100;

/// A stream whose reading side is measured.
#[derive(Debug)]
pub(super) struct Guard<S> {
    stream: S,
    /// All octets read so far: shows whether a slow answer still moves.
    pub(super) received: u64,
    line: usize,
    literal_left: u64,
    tail: Tail,
    first_bracket_closed: bool,
    previous: u8,
    depth: u32,
    quoted: bool,
}

/// How much of a `{digits}` at the end of a line has been seen.
#[derive(Clone, Copy, Debug)]
enum Tail {
    None,
    Digits(u64),
    Closed(u64),
}

impl<S> Guard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            received: 0,
            line: 0,
            literal_left: 0,
            tail: Tail::None,
            first_bracket_closed: false,
            previous: 0,
            depth: 0,
            quoted: false,
        }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The parser calls itself for each bracket: a line of nothing else would overflow the stack.
    fn nest(&mut self, byte: u8) -> io::Result<()> {
        match byte {
            b'"' if self.previous != b'\\' => self.quoted = !self.quoted,
            b'(' if !self.quoted => self.depth += 1,
            b')' if !self.quoted => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.depth > DEEPEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server's answer is nested too deeply"));
        }
        Ok(())
    }

    fn measure(&mut self, bytes: &[u8]) -> io::Result<()> {
        let invalid = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        self.received = self.received.saturating_add(bytes.len() as u64);
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.literal_left > 0 {
                let skipped = usize::try_from(self.literal_left).unwrap_or(usize::MAX).min(rest.len());
                self.literal_left -= skipped as u64;
                rest = rest.get(skipped..).unwrap_or_default();
                continue;
            }
            rest = after;
            self.line += 1;
            if self.line > LONGEST_LINE {
                return invalid(format!("the server's line is longer than {LONGEST_LINE} octets"));
            }
            // imap-proto cuts one octet after a response code's bracket, and panics inside a character.
            if byte >= 0x80 && self.previous == b']' && !self.first_bracket_closed {
                return invalid("the server's response code is not followed by a blank".to_owned());
            }
            self.nest(byte)?;
            self.first_bracket_closed |= self.previous == b']';
            self.previous = byte;
            self.tail = match (byte, self.tail) {
                (b'{', _) => Tail::Digits(0),
                (b'0'..=b'9', Tail::Digits(n)) => {
                    Tail::Digits(n.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
                }
                (b'}', Tail::Digits(n)) | (b'\r', Tail::Closed(n)) => Tail::Closed(n),
                (b'\n', tail) => {
                    if let Tail::Closed(announced) = tail {
                        if announced > LARGEST_LITERAL {
                            return invalid(format!("the server announces a literal of {announced} octets"));
                        }
                        self.literal_left = announced;
                    } else {
                        (self.line, self.depth) = (0, 0);
                    }
                    self.quoted = false;
                    self.first_bracket_closed = false;
                    self.previous = 0;
                    Tail::None
                }
                _ => Tail::None,
            };
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.measure(fresh))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(parts: &[&[u8]]) -> Result<(), String> {
        let mut guard = Guard::new(());
        parts.iter().try_for_each(|part| guard.measure(part)).map_err(|error| error.to_string())
    }

    #[test]
    fn literals_are_skipped_and_huge_ones_refused_however_they_are_cut() {
        assert_eq!(measured(&[b"* 1 FETCH (BODY[] {5}\r\n{999", b"9)\r\n* OK\r\n"]), Ok(()));
        assert_eq!(measured(&[b"* 1 FETCH (BODY[] {262144}\r", b"\n", &vec![b'x'; 262_144], b")\r\n"]), Ok(()));
        assert!(measured(&[b"* 1 FETCH (BODY[] {6000", b"00000}\r\n"]).is_err());
    }

    #[test]
    fn a_line_has_an_end() {
        assert!(measured(&[&vec![b'a'; LONGEST_LINE + 1]]).is_err());
        assert_eq!(measured(&[&[b'a'; 4096], b"\r\n", &[b'a'; 4096]]), Ok(()));
    }

    #[test]
    fn a_character_right_after_a_response_code_is_refused() {
        assert!(measured(&["* OK [ALERT]邮箱\r\n".as_bytes()]).is_err());
        assert_eq!(measured(&["* OK [ALERT] 邮箱\r\n* OK a]b]邮\r\n".as_bytes()]), Ok(()));
    }
}
