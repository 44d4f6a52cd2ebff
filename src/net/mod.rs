//! TCP with deadlines and verified TLS, for IMAP and SMTP alike.
//!
//! One TLS provider (ring), TLS 1.2 at least, the system's roots plus a private CA, or one pinned
//! certificate. What is spoken over the stream is for `source` and `outbound`.

use std::{path::PathBuf, time::Duration};

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
