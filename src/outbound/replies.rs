//! A server's replies as lettre can read them: bounded, in UTF-8, with CRLF.
//!
//! lettre reads a line to its end however long it is, takes one in GBK for a broken connection,
//! and waits for ever for the CR that some servers leave out. It also wants to read the greeting
//! itself: it is given the one that was read before.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;

/// The longest reply line taken; RFC 5321 §4.5.3.1.5 asks for 512 octets.
const LONGEST: usize = 8192;

/// A stream whose reading side has been put in order.
#[derive(Debug)]
pub(super) struct Replies {
    stream: Stream,
    ready: VecDeque<u8>,
    line: Vec<u8>,
}

impl Replies {
    pub(super) fn new(stream: Stream, greeting: &str) -> Self {
        let mut ready: VecDeque<u8> = greeting.bytes().filter(|&b| b != b'\r' && b != b'\n').collect();
        ready.extend(b"\r\n");
        Self { stream, ready, line: Vec::new() }
    }

    /// Moves what was read into whole lines.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            self.line.push(byte);
            if self.line.len() > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the server's reply line has no end"));
            }
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                self.ready.extend(readable(line).bytes());
                self.ready.extend(b"\r\n");
            }
        }
        Ok(())
    }
}

/// UTF-8 as it is, else GB18030, which is what else is met in refusals.
fn readable(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(line).0.into_owned(),
    }
}

impl AsyncRead for Replies {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let mut space = [0; 1024];
            let mut chunk = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.take(chunk.filled())?;
        }
        let count = buf.remaining().min(self.ready.len());
        for byte in self.ready.drain(..count) {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replies {
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

impl AsyncTokioStream for Replies {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}
