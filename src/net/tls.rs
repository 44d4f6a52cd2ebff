//! The TLS client: whom to trust, and the handshake under a deadline.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    },
};

use super::{Endpoint, Error, Kind, Stage, Stream};

/// The one provider; named explicitly so that a second one in the tree can never be taken by chance.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// The system's roots, read once: a thousand mailboxes share them.
static SYSTEM_ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
});

/// What a configuration was made from: the CA file's digest, or the pin.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
enum Trust {
    System,
    Besides(PathBuf, [u8; 32]),
    Pinned([u8; 32]),
}

/// Made once per trust, so that sessions resume and a thousand mailboxes share one root store.
static CONFIGS: LazyLock<Mutex<HashMap<Trust, Arc<ClientConfig>>>> = LazyLock::new(Mutex::default);

/// TLS over a fresh TCP connection, verified, within `endpoint.timeout`.
pub(super) async fn handshake(endpoint: &Endpoint, tcp: TcpStream) -> Result<Stream, Error> {
    let name = ServerName::try_from(endpoint.plain_host()).map_err(|_| {
        Error::new(endpoint, Stage::Tls, Kind::Local, "`host` is neither a host name nor an IP address")
    })?;
    let owned = endpoint.clone();
    let config = tokio::task::spawn_blocking(move || client_config(&owned))
        .await
        .map_err(|error| Error::new(endpoint, Stage::Tls, Kind::Local, error.to_string()))??;
    match tokio::time::timeout(endpoint.timeout, TlsConnector::from(config).connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(Stream::tls(stream)),
        Ok(Err(error)) => Err(Error::handshake(endpoint, &error)),
        Err(_) => Err(Error::timed_out(endpoint, Stage::Tls)),
    }
}

fn client_config(endpoint: &Endpoint) -> Result<Arc<ClientConfig>, Error> {
    let (trust, extra) = match (&endpoint.tls_fingerprint, &endpoint.ca_file) {
        (Some(pin), _) => (Trust::Pinned(*pin), Vec::new()),
        (None, Some(path)) => {
            let pem = read_ca(endpoint, path)?;
            (Trust::Besides(path.clone(), Sha256::digest(&pem).into()), pem)
        }
        (None, None) => (Trust::System, Vec::new()),
    };
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = configs.get(&trust) {
        return Ok(Arc::clone(config));
    }
    let local = |reason: String| Error::new(endpoint, Stage::Tls, Kind::Local, reason);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .map_err(|error| local(error.to_string()))?;
    let config = match &trust {
        Trust::Pinned(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { fingerprint: *pin }))
            .with_no_client_auth(),
        Trust::System | Trust::Besides(..) => {
            let mut roots = SYSTEM_ROOTS.clone();
            if let Trust::Besides(path, _) = &trust {
                add_ca(endpoint, path, &extra, &mut roots)?;
            }
            if roots.is_empty() {
                return Err(local("this machine has no CA certificates".to_owned())
                    .with_hint("install the package `ca-certificates`, or set `ca_file`"));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    let config = Arc::new(config);
    // A CA file that was replaced leaves its old configuration behind: drop it.
    if let Trust::Besides(path, _) = &trust {
        configs.retain(|other, _| !matches!(other, Trust::Besides(old, _) if old == path));
    }
    configs.insert(trust, Arc::clone(&config));
    Ok(config)
}

fn read_ca(endpoint: &Endpoint, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| {
        Error::new(endpoint, Stage::Tls, Kind::Local, format!("ca_file {}: {error}", path.display()))
            .with_hint("the file must be readable by the user that whybounced runs as")
    })
}

fn add_ca(endpoint: &Endpoint, path: &Path, pem: &[u8], roots: &mut RootCertStore) -> Result<(), Error> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added > 0 {
        return Ok(());
    }
    Err(Error::new(endpoint, Stage::Tls, Kind::Local, format!("ca_file {}: no certificate in it", path.display()))
        .with_hint("it must hold PEM: `-----BEGIN CERTIFICATE-----`"))
}

/// Accepts one certificate, by its fingerprint; name, dates and issuer do not matter then, the
/// proof that the server holds its key does.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        if found == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}
