//! A private certificate authority, as a company without a public one has.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{Scratch, address};

/// A CA and the certificate it gave the servers of this story.
pub(crate) struct Authority {
    /// Bundle to trust (`ca_file`).
    pub(crate) ca_file: PathBuf,
    /// The servers' certificate, for this process's address and `localhost`.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Key and certificate in one file, as Postfix wants them.
    pub(crate) chain: PathBuf,
}

impl Authority {
    /// Makes one; the files lie in `scratch` and begin with `name`.
    pub(crate) fn new(scratch: &Scratch, name: &str) -> Self {
        Self::until(scratch, name, 4096)
    }

    /// The server's certificate is its own authority, as `openssl req -x509` makes it.
    pub(crate) fn self_signed(scratch: &Scratch, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut own = CertificateParams::new(vec![address().to_string()]).expect("sound names");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = own.self_signed(&key).expect("a certificate").pem();
        let key = key.serialize_pem();
        Self {
            ca_file: scratch.write(&format!("{name}-ca.pem"), &pem),
            certificate: scratch.write(&format!("{name}.pem"), &pem),
            chain: scratch.write(&format!("{name}-chain.pem"), format!("{key}{pem}")),
            key: scratch.write(&format!("{name}.key"), key),
        }
    }

    /// The SHA-256 of the server's certificate, as openssl prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let pem = std::fs::read(&self.certificate).expect("our own file");
        let certificate = CertificateDer::from_pem_slice(&pem).expect("PEM");
        let digits: Vec<String> = Sha256::digest(&certificate).iter().map(|it| format!("{it:02X}")).collect();
        format!("sha256 Fingerprint={}", digits.join(":"))
    }

    /// Makes one whose server certificate ends with this year.
    pub(crate) fn until(scratch: &Scratch, name: &str, year: i32) -> Self {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, format!("{name} of Example Company"));
        let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
        let key = KeyPair::generate().expect("a key");
        let names = vec![address().to_string(), "localhost".to_owned()];
        let mut server = CertificateParams::new(names).expect("sound names");
        server.not_after = rcgen::date_time_ymd(year, 12, 31);
        let issuer = Issuer::new(ca, ca_key);
        let pem = server.signed_by(&key, &issuer).expect("a certificate").pem();
        let key = key.serialize_pem();
        Self {
            ca_file: scratch.write(&format!("{name}-ca.pem"), ca_pem),
            certificate: scratch.write(&format!("{name}.pem"), &pem),
            chain: scratch.write(&format!("{name}-chain.pem"), format!("{key}{pem}")),
            key: scratch.write(&format!("{name}.key"), key),
        }
    }
}
