//! The few lines that are spoken before TLS: a greeting, EHLO, STARTTLS.
//!
//! Nothing read in plain text outlives the upgrade: bytes that arrive together with the answer to
//! STARTTLS are an injection (CVE-2011-0411) and end the connection.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{Endpoint, Error, Kind, Stage, Stream, tls};

/// The longest line taken, in octets; RFC 5321 §4.5.3.1.5 asks for 512.
const LONGEST: u64 = 8192;

/// A line-wise dialogue over a fresh stream, each line under `endpoint.timeout`.
#[derive(Debug)]
pub struct Lines<'a> {
    stream: BufReader<Stream>,
    endpoint: &'a Endpoint,
}

impl<'a> Lines<'a> {
    /// Takes a fresh stream.
    #[must_use]
    pub fn new(stream: Stream, endpoint: &'a Endpoint) -> Self {
        Self { stream: BufReader::with_capacity(1024, stream), endpoint }
    }

    /// Reads one line, without its end; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// Closed, broken, too slow or too long.
    pub async fn read(&mut self, stage: Stage) -> Result<String, Error> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST);
        let read = limited.read_until(b'\n', &mut line);
        match tokio::time::timeout(self.endpoint.timeout, read).await {
            Err(_) => return Err(Error::timed_out(self.endpoint, stage)),
            Ok(Err(error)) => return Err(Error::lost(self.endpoint, stage, &error.to_string())),
            Ok(Ok(_)) => {}
        }
        if line.last() != Some(&b'\n') {
            let reason = if line.is_empty() {
                "the server closed the connection"
            } else {
                "the server's line has no end, or the connection was cut in it"
            };
            return Err(Error::lost(self.endpoint, stage, reason));
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Writes one line; the end of line is added.
    ///
    /// # Errors
    /// Broken or too slow.
    pub async fn write(&mut self, stage: Stage, line: &str) -> Result<(), Error> {
        let bytes = format!("{line}\r\n");
        let write = async {
            self.stream.write_all(bytes.as_bytes()).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(self.endpoint.timeout, write).await {
            Err(_) => Err(Error::timed_out(self.endpoint, stage)),
            Ok(result) => result.map_err(|error| Error::lost(self.endpoint, stage, &error.to_string())),
        }
    }

    /// The server said yes to STARTTLS: the same connection, encrypted and verified.
    ///
    /// # Errors
    /// Bytes were sent ahead of TLS, or TLS failed.
    pub async fn upgrade(self) -> Result<Stream, Error> {
        let endpoint = self.endpoint;
        let tcp = self
            .finish()?
            .into_tcp()
            .ok_or_else(|| Error::new(endpoint, Stage::StartTls, Kind::Local, "the connection is encrypted already"))?;
        tls::handshake(endpoint, tcp).await
    }

    /// The stream itself, where no TLS is to follow.
    ///
    /// # Errors
    /// The server spoke out of turn.
    pub fn finish(self) -> Result<Stream, Error> {
        if self.stream.buffer().is_empty() {
            return Ok(self.stream.into_inner());
        }
        let it = Error::new(self.endpoint, Stage::StartTls, Kind::Untrusted, "the server sent text out of turn");
        Err(it.with_hint("someone may be injecting answers into the connection; nothing was sent"))
    }

    /// The server does not do STARTTLS.
    #[must_use]
    pub fn no_starttls(&self, answer: &str) -> Error {
        let reason = format!("the server refuses STARTTLS: {answer}");
        Error::new(self.endpoint, Stage::StartTls, Kind::Untrusted, reason).with_hint(
            "use the provider's TLS port with `tls = \"implicit\"`; if it used to work, someone may be stripping TLS",
        )
    }

    /// The server's first words were a refusal, or not those of this protocol.
    #[must_use]
    pub fn refused(&self, answer: &str) -> Error {
        Error::new(self.endpoint, Stage::Greeting, Kind::Unreachable, format!("the server said: {answer}"))
    }
}
