//! TCP with deadlines and verified TLS, for IMAP and SMTP alike.
//!
//! One TLS provider (ring), TLS 1.2 at least, the system's roots plus a private CA, or one pinned
//! certificate. What is spoken over the stream is for `source` and `outbound`; `Lines` is the few
//! words before TLS that both need (a greeting, STARTTLS).

mod error;
pub mod http;
mod lines;
mod login;
pub mod oauth;
mod stream;
mod tls;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

pub use error::{Error, Kind, Stage};
pub use lines::Lines;
pub use login::{Login, Sasl, without_secret};
pub use stream::Stream;

/// How a connection is secured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsMode {
    /// TLS from the first byte (RFC 8314 §3).
    Implicit,
    /// Plain greeting, then STARTTLS; without it, no connection.
    StartTls,
    /// No TLS: loopback, or the host named in `tls_none_to`; `config` sees to that.
    None,
}

/// Where to connect and whom to trust.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address literal, as verified in the certificate.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: TlsMode,
    /// Trust this CA bundle (PEM) besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Trust exactly the certificate with this SHA-256 fingerprint (32 octets), whoever signed it.
    pub tls_fingerprint: Option<[u8; 32]>,
    /// Longest wait for connecting, and for each answer.
    pub timeout: Duration,
}

impl Endpoint {
    /// `host:port`, as errors and logs name it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host as the resolver and the certificate check want it: without brackets, in A-labels.
    fn plain_host(&self) -> String {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        if bare.is_ascii() { bare.to_owned() } else { idna::domain_to_ascii(bare).unwrap_or_else(|_| bare.to_owned()) }
    }
}

/// Connects within `endpoint.timeout`; for `TlsMode::Implicit` the stream is encrypted and
/// verified when this returns. For `StartTls` it is plain still: see [`Lines::upgrade`].
///
/// # Errors
/// No address, refused, unreachable, too slow, or TLS failed; each with its next step.
pub async fn connect(endpoint: &Endpoint) -> Result<Stream, Error> {
    let tcp = connect_tcp(endpoint).await?;
    // One small command per packet is what both protocols send; Nagle only delays it.
    let _ = tcp.set_nodelay(true);
    match endpoint.tls {
        TlsMode::Implicit => tls::handshake(endpoint, tcp).await,
        TlsMode::StartTls | TlsMode::None => Ok(Stream::plain(tcp)),
    }
}

/// Tries each address of the host in turn; each gets its share of the time that is left.
async fn connect_tcp(endpoint: &Endpoint) -> Result<TcpStream, Error> {
    let deadline = Instant::now() + endpoint.timeout;
    let lookup = tokio::net::lookup_host((endpoint.plain_host(), endpoint.port));
    let addresses: Vec<_> = match tokio::time::timeout(endpoint.timeout, lookup).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(Error::unresolved(endpoint, &error.to_string())),
        Err(_) => return Err(Error::unresolved(endpoint, "the resolver did not answer in time")),
    };
    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / others;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => last = Some(Error::unconnected(endpoint, &error)),
            Err(_) => last = Some(Error::timed_out(endpoint, Stage::Connect)),
        }
    }
    Err(last.unwrap_or_else(|| Error::unresolved(endpoint, "the name has no address")))
}
