//! What can go wrong before a protocol is spoken, and what to do about it.

use std::{fmt, io};

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::{Endpoint, TlsMode};

/// How far the connection had come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Looking the name up.
    Resolve,
    /// TCP.
    Connect,
    /// The first words, before or without TLS.
    Greeting,
    /// Asking for TLS on a plain connection.
    StartTls,
    /// TLS itself.
    Tls,
    /// Asking for an access token.
    Token,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name lookup",
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::StartTls => "STARTTLS",
            Self::Tls => "TLS",
            Self::Token => "OAuth 2",
        })
    }
}

/// What kind of failure it was, for those who must decide what follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The other side is away, or the way there: may heal by itself.
    Unreachable,
    /// Not in time: may heal by itself.
    TimedOut,
    /// The other side is not whom we trust, or does not speak TLS as we need it: the administrator must act.
    Untrusted,
    /// The token server refuses us: the administrator must act.
    Refused,
    /// Something on this machine is wrong, such as an unreadable `ca_file`: the administrator must act.
    Local,
}

/// A connection that did not come about.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {stage}: {reason}{}", hint.as_ref().map(|it| format!("; hint: {it}")).unwrap_or_default())]
pub struct Error {
    /// `host:port`.
    pub place: String,
    /// How far it had come.
    pub stage: Stage,
    /// What kind of failure.
    pub kind: Kind,
    /// Why.
    pub reason: String,
    /// What to do next, where that can be said.
    pub hint: Option<String>,
}

impl Error {
    pub(super) fn new(endpoint: &Endpoint, stage: Stage, kind: Kind, reason: impl Into<String>) -> Self {
        Self { place: endpoint.place(), stage, kind, reason: reason.into(), hint: None }
    }

    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn unresolved(endpoint: &Endpoint, reason: &str) -> Self {
        Self::new(endpoint, Stage::Resolve, Kind::Unreachable, reason)
            .with_hint(format!("is `host = \"{}\"` right, and does this machine's resolver work?", endpoint.host))
    }

    pub(super) fn unconnected(endpoint: &Endpoint, error: &io::Error) -> Self {
        let it = Self::new(endpoint, Stage::Connect, Kind::Unreachable, error.to_string());
        if error.kind() == io::ErrorKind::ConnectionRefused {
            it.with_hint("nothing listens there: check `host` and `port`, and that the server runs")
        } else {
            it
        }
    }

    pub(super) fn timed_out(endpoint: &Endpoint, stage: Stage) -> Self {
        let it = Self::new(
            endpoint,
            stage,
            Kind::TimedOut,
            format!("no answer within {} seconds", endpoint.timeout.as_secs_f32()),
        );
        match (stage, endpoint.tls) {
            (Stage::Connect, _) => it.with_hint("a firewall drops the packets, or `port` is wrong"),
            (Stage::Greeting, TlsMode::StartTls | TlsMode::None) => {
                it.with_hint("a port that expects TLS at once stays silent: try `tls = \"implicit\"`")
            }
            (Stage::Tls, TlsMode::Implicit) => {
                it.with_hint("the port may not speak TLS at once: try `tls = \"starttls\"`")
            }
            _ => it,
        }
    }

    /// The stream ended or broke in the middle of the first words.
    pub(super) fn lost(endpoint: &Endpoint, stage: Stage, reason: &str) -> Self {
        let it = Self::new(endpoint, stage, Kind::Unreachable, reason);
        if stage == Stage::Greeting && endpoint.tls != TlsMode::Implicit {
            it.with_hint(
                "the server may have too many connections of ours, or expect TLS at once (`tls = \"implicit\"`)",
            )
        } else {
            it
        }
    }

    /// The handshake failed; the reason is rustls's, put into the administrator's words.
    pub(super) fn handshake(endpoint: &Endpoint, error: &io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
            return Self::new(endpoint, Stage::Tls, Kind::Unreachable, error.to_string());
        };
        let untrusted = |reason: String| Self::new(endpoint, Stage::Tls, Kind::Untrusted, reason);
        match tls {
            TlsError::InvalidCertificate(why) => certificate(endpoint, why),
            TlsError::InvalidMessage(_) => {
                let it = untrusted("the server does not answer in TLS".to_owned());
                match endpoint.tls {
                    TlsMode::Implicit => it.with_hint(
                        "this port speaks plain text first: set `tls = \"starttls\"`, or the provider's TLS port",
                    ),
                    TlsMode::StartTls | TlsMode::None => it.with_hint(
                        "text was found where TLS should begin: something between here and there interferes",
                    ),
                }
            }
            TlsError::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
            | TlsError::PeerIncompatible(_) => untrusted(format!("no common TLS version or cipher ({tls})")).with_hint(
                "TLS 1.2 with ECDHE is the least we speak: use the provider's TLS port or have the server updated",
            ),
            other => untrusted(other.to_string()),
        }
    }
}

/// How a certificate is trusted that no public CA has signed. What `init` asks of these keys are flags.
const OWN_CERTIFICATE: &str = "`ca_file` (--ca-file) names the company's CA; a self-signed certificate is trusted by \
                               `tls_fingerprint` (--imap-fingerprint, --smtp-fingerprint), which the server's \
                               `openssl x509 -in CERTIFICATE.pem -noout -fingerprint -sha256` prints";
const SELF_SIGNED: &str = "trust it by `tls_fingerprint` (--imap-fingerprint, --smtp-fingerprint), which the server's \
                           `openssl x509 -in CERTIFICATE.pem -noout -fingerprint -sha256` prints";

/// A certificate that was not accepted.
fn certificate(endpoint: &Endpoint, why: &CertificateError) -> Error {
    let untrusted = |reason: String| Error::new(endpoint, Stage::Tls, Kind::Untrusted, reason);
    match why {
        CertificateError::UnknownIssuer => {
            untrusted("the certificate is signed by a CA we do not know".to_owned()).with_hint(OWN_CERTIFICATE)
        }
        // webpki's own error, which rustls passes on in a box: what `openssl req -x509` makes is a CA.
        CertificateError::Other(why) if format!("{why:?}").contains("CaUsedAsEndEntity") => {
            untrusted("the certificate is self-signed".to_owned()).with_hint(SELF_SIGNED)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            untrusted(format!("the certificate is not for `{}` ({why})", endpoint.host))
                .with_hint("set `host` to a name the certificate bears")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            untrusted(format!("the certificate has expired ({why})"))
                .with_hint("have the server's certificate renewed, and check this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            untrusted(format!("the certificate is not valid yet ({why})")).with_hint("check this machine's clock")
        }
        CertificateError::ApplicationVerificationFailure => {
            untrusted("the certificate is not the one pinned by `tls_fingerprint`".to_owned())
                .with_hint("if the server got a new certificate, set its fingerprint; if not, someone is in between")
        }
        other => untrusted(format!("the certificate was refused: {other}")),
    }
}
