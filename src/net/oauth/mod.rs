//! Access tokens (RFC 6749) for mailboxes and submission servers that take no password.
//!
//! One [`Tokens`] per login: it asks the token server, keeps the answer until shortly before it
//! expires, and forgets it when the mail server refuses it. Nothing is written down: a refresh
//! token that the server replaces is kept for this process, and the configured one serves the next.

mod device;
mod jwt;

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{Endpoint, Error, Kind, Stage, http};

pub use device::{Device, Invitation};

/// How the token server is asked.
#[derive(Clone, Debug)]
pub enum Grant {
    /// RFC 6749 §6: a person has once agreed.
    RefreshToken(SecretString),
    /// RFC 6749 §4.4: the administrator has agreed for the application (Microsoft 365).
    ClientCredentials,
    /// RFC 7523 §2.1: a service account acts for the user (Google, domain-wide delegation).
    ServiceAccount {
        /// The service account's own address.
        issuer: String,
        /// Its private key, PEM (PKCS #8).
        key: SecretString,
    },
}

/// Where tokens come from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the token server is asked.
    pub grant: Grant,
    /// The token server.
    pub endpoint: Endpoint,
    /// The path of the token URL, with its leading slash.
    pub path: String,
    /// The application's id; empty for a service account.
    pub client_id: String,
    /// The application's secret, where it has one.
    pub client_secret: Option<SecretString>,
    /// What the token shall be good for.
    pub scope: String,
}

/// Tokens of one login.
#[derive(Debug)]
pub struct Tokens {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<(SecretString, Instant)>,
    /// Replaces the configured one.
    refresh_token: Option<SecretString>,
}

/// What a token server answers, as far as it matters.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<SecretString>,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<SecretString>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Tokens {
    /// Nothing is asked for yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// A token that is good for a while yet, for this user.
    ///
    /// # Errors
    /// The token server is away, or refuses (`Kind::Refused`).
    pub async fn token(&self, user: &str) -> Result<SecretString, Error> {
        let mut state = self.state.lock().await;
        if let Some((token, until)) = &state.current
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let form = self.form(user, state.refresh_token.as_ref(), Timestamp::now())?;
        let endpoint = &self.settings.endpoint;
        let (status, body) = http::post_form(endpoint, &self.settings.path, form).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            Error::new(
                endpoint,
                Stage::Token,
                Kind::Unreachable,
                format!("the token server answered {status}, not JSON"),
            )
        })?;
        let Some(token) = answer.access_token.filter(|_| status == 200) else {
            return Err(self.refused(status, answer.error, answer.error_description));
        };
        if answer.refresh_token.is_some() {
            state.refresh_token = answer.refresh_token;
        }
        let lifetime = Duration::from_secs(seconds(answer.expires_in.as_ref()));
        state.current = Some((token.clone(), Instant::now() + good_for(lifetime)));
        Ok(token)
    }

    /// The mail server refused the token: the next one is asked for anew.
    pub async fn forget(&self) {
        self.state.lock().await.current = None;
    }

    fn form(&self, user: &str, newer: Option<&SecretString>, now: Timestamp) -> Result<http::Form, Error> {
        let Settings { grant, endpoint, path, client_id, client_secret, scope } = &self.settings;
        let mut form = http::Form::default();
        match grant {
            Grant::RefreshToken(configured) => {
                let token = newer.unwrap_or(configured);
                form.add("grant_type", "refresh_token").add("refresh_token", token.expose_secret());
            }
            Grant::ClientCredentials => {
                form.add("grant_type", "client_credentials");
            }
            Grant::ServiceAccount { issuer, key } => {
                let claims = jwt::Claims { issuer, subject: user, scope, audience: &http::url(endpoint, path), now };
                let assertion = jwt::assertion(&claims, key).map_err(|why| {
                    Error::new(endpoint, Stage::Token, Kind::Local, why)
                        .with_hint("the key file is the JSON that Google offers for a service account")
                })?;
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.add("assertion", assertion.expose_secret());
                return Ok(form);
            }
        }
        form.add("client_id", client_id);
        if let Some(secret) = client_secret {
            form.add("client_secret", secret.expose_secret());
        }
        if !scope.is_empty() {
            form.add("scope", scope);
        }
        Ok(form)
    }

    fn refused(&self, status: u16, error: Option<String>, description: Option<String>) -> Error {
        let words = [error.unwrap_or_default(), description.unwrap_or_default()].join(": ");
        let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        // 429 and 5xx say nothing against the login.
        let kind = if (400..500).contains(&status) && status != 429 { Kind::Refused } else { Kind::Unreachable };
        Error::new(&self.settings.endpoint, Stage::Token, kind, format!("the token server answered {status}: {words}"))
            .with_hint("check client_id, its secret or key, the scope, and that the administrator has given consent")
    }
}

/// Some servers write the number as a string; without one, a short life is assumed.
fn seconds(expires_in: Option<&serde_json::Value>) -> u64 {
    match expires_in {
        Some(serde_json::Value::Number(number)) => number.as_u64().unwrap_or(300),
        Some(serde_json::Value::String(text)) => text.parse().unwrap_or(300),
        _ => 300,
    }
    .min(86_400)
}

/// Renewed well before the end: a session may be opened with it a moment later.
fn good_for(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(Duration::from_mins(5)).max(lifetime / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let minutes = Duration::from_mins;
        assert_eq!(good_for(minutes(60)), minutes(55));
        assert_eq!(good_for(minutes(4)), minutes(2));
        assert_eq!(good_for(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_lifetime_is_a_number_a_string_or_assumed_and_never_endless() {
        for (answer, expected) in
            [("3600", 3600), ("\"3600\"", 3600), ("null", 300), ("-1", 300), ("1e99", 300), ("99999999", 86_400)]
        {
            let value: serde_json::Value = serde_json::from_str(answer).expect("JSON");
            assert_eq!(seconds(Some(&value)), expected, "{answer}");
        }
        assert_eq!(seconds(None), 300);
    }
}
