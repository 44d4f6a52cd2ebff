//! A signed assertion of a service account (RFC 7523 §3, RS256).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_rustls::rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

/// What is asserted.
pub(super) struct Claims<'a> {
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
    pub(super) scope: &'a str,
    pub(super) audience: &'a str,
    pub(super) now: Timestamp,
}

/// Header, claims and signature, joined by dots.
///
/// # Errors
/// A sentence that says what is wrong with the key; nothing of it is shown.
pub(super) fn assertion(claims: &Claims<'_>, key: &SecretString) -> Result<SecretString, String> {
    let unusable = || "the service account's key is not an RSA key in PEM".to_owned();
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| unusable())?;
    let key = any_supported_type(&key).map_err(|_| unusable())?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(unusable)?;
    let Claims { issuer, subject, scope, audience, now } = claims;
    let issued = now.as_second();
    let body = serde_json::json!({
        "iss": issuer, "sub": subject, "scope": scope, "aud": audience, "iat": issued, "exp": issued + 3600,
    });
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body.to_string()));
    let signature = signer.sign(signed.as_bytes()).map_err(|_| unusable())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}
