//! Who we are to a mailbox or a submission server, and what of it goes over the wire.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Endpoint, oauth};

/// How we log in, to a mailbox or a submission server.
#[derive(Clone, Debug)]
pub enum Login {
    /// User and password, by the best mechanism the server offers.
    Password {
        /// The login name (for a Dovecot master user: `member*master`).
        user: String,
        /// The password; never shown.
        password: SecretString,
    },
    /// An access token, by XOAUTH2 or OAUTHBEARER.
    OAuth2 {
        /// The login name.
        user: String,
        /// Where tokens come from.
        tokens: Arc<oauth::Tokens>,
    },
}

impl Login {
    /// The login name.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Password { user, .. } | Self::OAuth2 { user, .. } => user,
        }
    }
}

/// A SASL mechanism with its one message.
#[derive(Debug)]
pub struct Sasl {
    /// As AUTH and AUTHENTICATE name it.
    pub mechanism: &'static str,
    /// The initial response in base64.
    pub response: SecretString,
    /// What answers a further challenge, so that the refusal proper follows.
    pub to_challenge: &'static str,
}

impl Sasl {
    /// RFC 4616: carries every password.
    #[must_use]
    pub fn plain(user: &str, password: &SecretString) -> Self {
        let response = STANDARD.encode(format!("\0{user}\0{}", password.expose_secret())).into();
        Self { mechanism: "PLAIN", response, to_challenge: "*" }
    }

    /// As Microsoft and Google have it.
    #[must_use]
    pub fn xoauth2(user: &str, token: &SecretString) -> Self {
        let text = format!("user={user}\u{1}auth=Bearer {}\u{1}\u{1}", token.expose_secret());
        Self { mechanism: "XOAUTH2", response: STANDARD.encode(text).into(), to_challenge: "" }
    }

    /// RFC 7628 §3.1; the user is escaped as RFC 5801 §4 asks.
    #[must_use]
    pub fn oauthbearer(user: &str, endpoint: &Endpoint, token: &SecretString) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let (host, port, token) = (&endpoint.host, endpoint.port, token.expose_secret());
        let text = format!("n,a={user},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}");
        // RFC 7628 §3.2.3: one ^A.
        Self { mechanism: "OAUTHBEARER", response: STANDARD.encode(text).into(), to_challenge: "AQ==" }
    }
}

/// A server's words without our secret, plain or as it went over the wire: some repeat what they refuse.
#[must_use]
pub fn without_secret(text: &str, user: &str, secret: &SecretString) -> String {
    let exposed = secret.expose_secret();
    if exposed.is_empty() {
        return text.to_owned();
    }
    let wire = [Sasl::plain(user, secret).response, Sasl::xoauth2(user, secret).response];
    let text = wire.iter().fold(text.to_owned(), |text, it| text.replace(it.expose_secret(), "****"));
    text.replace(&STANDARD.encode(exposed), "****").replace(exposed, "****")
}
