//! `oauth2` of `[[mailbox]]` and `[smtp]`: where access tokens come from.
//!
//! Which way a token is asked for follows from the secret that is there.

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use toml::Spanned;

use super::{
    file::{InFile, Text},
    reader::Reader,
    secret::Sources,
    values,
};
use crate::net::{
    Endpoint, TlsMode,
    oauth::{Grant, Settings, Tokens},
};

/// Longest wait for the token server.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where most tokens come from: word, token URL, scope of an application's own token.
const PROVIDERS: [(&str, (&str, &str)); 3] = [
    (
        "microsoft",
        ("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", "https://outlook.office365.com/.default"),
    ),
    // Operated by 21Vianet in China.
    (
        "microsoft-cn",
        ("https://login.partner.microsoftonline.cn/{tenant}/oauth2/v2.0/token", "https://partner.outlook.cn/.default"),
    ),
    ("google", ("https://oauth2.googleapis.com/token", "https://mail.google.com/")),
];

/// `oauth2 = { … }` in `[[mailbox]]` and `[smtp]`: where access tokens come from. The secret that
/// is there tells how they are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OAuth2Table {
    /// `microsoft`, `microsoft-cn` (operated by 21Vianet) or `google`; or `token_url` and `scope`.
    provider: Text,
    /// Microsoft: the organisation's directory id or domain.
    tenant: Text,
    /// Where tokens come from, if not from a `provider`.
    token_url: Text,
    /// What the token shall be good for. Default: the provider's for mail; a refresh token stands for the scope it
    /// was given with.
    scope: Text,
    /// A CA bundle (PEM) that is trusted for the token server besides the system's.
    ca_file: Text,
    /// The application's id. Not for a service account.
    client_id: Text,
    /// The application's secret, in the file itself. Alone, without a refresh token, it makes tokens in the
    /// application's own name.
    client_secret: Option<Spanned<InFile>>,
    /// File that holds it.
    client_secret_file: Text,
    /// Environment variable that holds it.
    client_secret_env: Text,
    /// Shell command that prints it.
    client_secret_command: Text,
    /// Name of a systemd credential that holds it.
    client_secret_credential: Text,
    /// The refresh token, where a person has agreed once (`whybounced init`), in the file itself.
    refresh_token: Option<Spanned<InFile>>,
    /// File that holds it.
    refresh_token_file: Text,
    /// Environment variable that holds it.
    refresh_token_env: Text,
    /// Shell command that prints it.
    refresh_token_command: Text,
    /// Name of a systemd credential that holds it.
    refresh_token_credential: Text,
    /// Google: the JSON of a service account with domain-wide delegation.
    service_account_file: Text,
    /// Name of a systemd credential that holds that JSON.
    service_account_credential: Text,
}

/// What matters of the JSON that Google offers for a service account.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: SecretString,
}

/// Reads the table found under `key`.
pub(super) fn read(reader: &mut Reader<'_>, key: &str, table: &Spanned<OAuth2Table>) -> Option<Arc<Tokens>> {
    let (span, it) = (table.span(), table.get_ref());
    let sub = |name: &str| format!("{key}.{name}");
    let preset = reader.choice(&sub("provider"), &it.provider, &PROVIDERS);
    let (url, scope) = match (&it.token_url, preset) {
        (Some(url), _) => (url.get_ref().clone(), String::new()),
        (None, Some((url, scope))) => {
            if url.contains("{tenant}") {
                reader.required(&sub("tenant"), &it.tenant, span.clone(), tenant)?;
            }
            let tenant = it.tenant.as_ref().map_or("", |it| it.get_ref().as_str());
            (url.replace("{tenant}", tenant), scope.to_owned())
        }
        (None, None) => {
            if it.provider.is_none() {
                let hint = "provider = \"microsoft\", \"microsoft-cn\" or \"google\"; or token_url and scope";
                reader.problem(key, Some(span), "needs `provider` or `token_url`", Some(hint));
            }
            return None;
        }
    };
    let url_span = it.token_url.as_ref().map_or(span.clone(), Spanned::span);
    let (endpoint, path) = match endpoint(&url) {
        Ok((endpoint, path)) => (Endpoint { ca_file: reader.file(&it.ca_file), ..endpoint }, path),
        Err(why) => {
            reader.problem(&sub("token_url"), Some(url_span), why, None);
            return None;
        }
    };
    let grant = grant(reader, &sub, it, span.clone())?;
    let client_id = match grant {
        Grant::ServiceAccount { .. } => String::new(),
        Grant::RefreshToken(_) | Grant::ClientCredentials => {
            reader.required(&sub("client_id"), &it.client_id, span, |text| Ok(text.to_owned()))?
        }
    };
    // A refresh token stands for the scope it was given with.
    let usual = if matches!(grant, Grant::RefreshToken(_)) { String::new() } else { scope };
    let scope = it.scope.as_ref().map_or(usual, |scope| scope.get_ref().clone());
    let client_secret = client_secret(it, &sub("client_secret")).read(reader);
    Some(Arc::new(Tokens::new(Settings { grant, endpoint, path, client_id, client_secret, scope })))
}

fn client_secret<'a>(it: &'a OAuth2Table, key: &'a str) -> Sources<'a> {
    Sources {
        key,
        in_file: &it.client_secret,
        file: &it.client_secret_file,
        env: &it.client_secret_env,
        command: &it.client_secret_command,
        credential: &it.client_secret_credential,
    }
}

fn grant(
    reader: &mut Reader<'_>,
    sub: &impl Fn(&str) -> String,
    it: &OAuth2Table,
    span: std::ops::Range<usize>,
) -> Option<Grant> {
    let key = sub("service_account");
    let account = Sources {
        key: &key,
        in_file: &None,
        file: &it.service_account_file,
        env: &None,
        command: &None,
        credential: &it.service_account_credential,
    };
    let key = sub("refresh_token");
    let refresh = Sources {
        key: &key,
        in_file: &it.refresh_token,
        file: &it.refresh_token_file,
        env: &it.refresh_token_env,
        command: &it.refresh_token_command,
        credential: &it.refresh_token_credential,
    };
    if account.any() {
        let json = account.read(reader)?;
        if !reader.secrets {
            return Some(Grant::ServiceAccount { issuer: String::new(), key: json });
        }
        if let Ok(it) = serde_json::from_str::<ServiceAccount>(json.expose_secret()) {
            return Some(Grant::ServiceAccount { issuer: it.client_email, key: it.private_key });
        }
        // The parser's words would quote the key.
        let why = "is not the JSON of a service account (client_email, private_key)";
        reader.problem(&sub("service_account"), Some(span), why, None);
        return None;
    }
    if refresh.any() {
        return Some(Grant::RefreshToken(refresh.read(reader)?));
    }
    if client_secret(it, "").any() {
        return Some(Grant::ClientCredentials);
    }
    let hint = "set refresh_token_file, client_secret_file or service_account_file";
    reader.problem(&sub("client_secret"), Some(span), "no secret to ask for tokens with", Some(hint));
    None
}

fn tenant(text: &str) -> Result<(), String> {
    let sound = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if sound { Ok(()) } else { Err(format!("expected a directory id or a domain, found \"{text}\"")) }
}

/// `https://host[:port]/path`; `http` on this machine only.
pub fn endpoint(url: &str) -> Result<(Endpoint, String), String> {
    let wrong = || format!("expected https://HOST/PATH, found \"{url}\"");
    let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (TlsMode::Implicit, rest),
        (None, Some(rest)) => (TlsMode::None, rest),
        (None, None) => return Err(wrong()),
    };
    let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
    let sound = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let usual = if tls == TlsMode::None { 80 } else { 443 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().map_err(|_| wrong())?),
        _ => (authority, usual),
    };
    let host = values::host(host).map_err(|_| wrong())?;
    if tls == TlsMode::None && !super::connection::is_loopback(&host) {
        return Err("without https the secret would be readable on the way".to_owned());
    }
    let endpoint = Endpoint { host, port, tls, ca_file: None, tls_fingerprint: None, timeout: TIMEOUT };
    if sound { Ok((endpoint, format!("/{path}"))) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use crate::{
        config::{Secrets, parse},
        net::Login,
        source::Place,
    };

    /// What becomes of an `oauth2` table: a login, or the words of the error.
    fn read(table: &str, directory: &Path) -> Result<String, String> {
        let text = format!(
            "domains = ['a.example']\n[smtp]\ndirectory = 'out'\nfrom = 'a@a.example'\n[[mailbox]]\nhost = 'h'\nuser = 'u'\noauth2 = {table}\n"
        );
        let config = parse(&text, &directory.join("config.toml"), Secrets::Read, &|_| None);
        let config = config.map_err(|error| error.to_string())?;
        let Place::Imap { login: Login::OAuth2 { tokens, .. }, .. } = &config.mailboxes[0].place else {
            panic!("a login by token")
        };
        Ok(format!("{tokens:?}"))
    }

    #[test]
    fn the_secret_that_is_there_tells_how_tokens_are_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("secret"), "hunter2\n").expect("written");
        fs::write(folder.path().join("key.json"), r#"{"client_email":"bot@p.example","private_key":"PEM"}"#)
            .expect("written");
        for (table, wanted) in [
            (
                "{ provider = 'microsoft', tenant = 't.example', client_id = 'i', client_secret_file = 'secret' }",
                &["ClientCredentials", "login.microsoftonline.com", "/t.example/oauth2", "office365.com/.default"][..],
            ),
            (
                "{ provider = 'microsoft-cn', tenant = 't', client_id = 'i', client_secret_file = 'secret' }",
                &["login.partner.microsoftonline.cn", "partner.outlook.cn"],
            ),
            (
                "{ provider = 'google', client_id = 'i', client_secret_file = 'secret', refresh_token_file = 'secret' }",
                &["RefreshToken", "oauth2.googleapis.com", "scope: \"\""],
            ),
            (
                "{ provider = 'google', service_account_file = 'key.json' }",
                &["ServiceAccount", "bot@p.example", "https://mail.google.com/"],
            ),
            (
                "{ token_url = 'http://127.0.0.1:8080/t', scope = 's', client_id = 'i', client_secret_file = 'secret' }",
                &["127.0.0.1", "8080", "path: \"/t\"", "scope: \"s\""],
            ),
        ] {
            let shown = read(table, folder.path()).unwrap_or_else(|error| panic!("{table}: {error}"));
            assert!(wanted.iter().all(|it| shown.contains(it)), "{shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("PEM"), "{shown}");
        }
        for (table, wanted) in [
            ("{ client_secret_file = 'secret' }", "provider"),
            ("{ provider = 'microsoft', client_id = 'i', client_secret_file = 'secret' }", "oauth2.tenant"),
            ("{ provider = 'google', client_id = 'i' }", "no secret to ask for tokens with"),
            ("{ provider = 'google', client_secret_file = 'secret' }", "oauth2.client_id"),
            ("{ provider = 'google', service_account_file = 'secret' }", "service account"),
            (
                "{ token_url = 'http://t.example/t', client_id = 'i', client_secret_file = 'secret' }",
                "readable on the way",
            ),
            ("{ provider = 'gogle' }", "google"),
        ] {
            let error = read(table, folder.path()).expect_err(table);
            assert!(error.contains(wanted), "{table}: {error}");
        }
    }
}
