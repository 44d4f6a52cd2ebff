//! The device flow (RFC 8628): a person agrees in a browser elsewhere, we wait for the token.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{Endpoint, Error, Kind, Stage, http};

/// Where the flow begins and ends, and for whom.
#[derive(Clone, Debug)]
pub struct Device {
    /// Where it begins, with its path.
    pub device: (Endpoint, String),
    /// Where the token comes from, with its path.
    pub token: (Endpoint, String),
    /// The application's id.
    pub client_id: String,
    /// What the token shall be good for, a refresh token included.
    pub scope: String,
}

/// What the person is to do (RFC 8628 §3.2).
#[derive(Clone, Debug, Deserialize)]
pub struct Invitation {
    device_code: SecretString,
    /// To be typed at `verification_uri`.
    pub user_code: String,
    /// To be opened in any browser.
    pub verification_uri: String,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    interval: Option<u64>,
}

/// What the token server says while we wait (RFC 8628 §3.5).
#[derive(Deserialize)]
struct Answer {
    refresh_token: Option<SecretString>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Device {
    /// Asks for a code that a person can type.
    ///
    /// # Errors
    /// The server is away, or knows no such application.
    pub async fn begin(&self) -> Result<Invitation, Error> {
        let mut form = http::Form::default();
        form.add("client_id", &self.client_id).add("scope", &self.scope);
        let (endpoint, path) = &self.device;
        let (status, body) = http::post_form(endpoint, path, form).await?;
        match serde_json::from_slice::<Invitation>(&body) {
            Ok(invitation) if status == 200 => Ok(invitation),
            _ => Err(refused(endpoint, status, serde_json::from_slice(&body).ok())),
        }
    }

    /// Waits until the person has agreed; the refresh token.
    ///
    /// # Errors
    /// Declined, too late, or the server is away.
    pub async fn wait(&self, invitation: &Invitation) -> Result<SecretString, Error> {
        let end = Instant::now() + Duration::from_secs(invitation.expires_in.unwrap_or(900).min(3600));
        let mut interval = Duration::from_secs(invitation.interval.unwrap_or(5).min(60));
        let (endpoint, path) = &self.token;
        loop {
            sleep(interval).await;
            let mut form = http::Form::default();
            form.add("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
            form.add("device_code", invitation.device_code.expose_secret()).add("client_id", &self.client_id);
            let (status, body) = http::post_form(endpoint, path, form).await?;
            let answer: Option<Answer> = serde_json::from_slice(&body).ok();
            let word = answer.as_ref().and_then(|it| it.error.as_deref());
            match word {
                Some("authorization_pending") if Instant::now() < end => {}
                Some("slow_down") if Instant::now() < end => interval += Duration::from_secs(5),
                None if status == 200 => {
                    return answer.and_then(|it| it.refresh_token).ok_or_else(|| {
                        Error::new(endpoint, Stage::Token, Kind::Refused, "the token server gives no refresh token")
                            .with_hint("the scope must hold offline_access")
                    });
                }
                _ => return Err(refused(endpoint, status, answer)),
            }
        }
    }
}

fn refused(endpoint: &Endpoint, status: u16, answer: Option<Answer>) -> Error {
    let (error, description) = answer.map(|it| (it.error, it.error_description)).unwrap_or_default();
    let words = [error.unwrap_or_default(), description.unwrap_or_default()].join(": ");
    let words: String = words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    Error::new(endpoint, Stage::Token, Kind::Refused, format!("the token server answered {status}: {words}"))
        .with_hint("check client id and tenant, and that the application allows public client flows")
}
