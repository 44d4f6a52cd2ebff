//! Logins by access token: a small token server, Dovecot's own oauth2 passdb, Postfix behind it.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::Engine as _;
use secrecy::SecretString;
use whybounced::{
    mail::{Mailbox as Address, MessageId},
    net::{
        Endpoint, Login, TlsMode,
        oauth::{Grant, Settings as OAuth, Tokens},
    },
    outbound::{ReversePathMode, Route, Sender, Settings as Outbound},
    outbox::Delivery,
    reply::Reply,
    source::{Kind, Mailbox, Place},
};

use crate::{
    harness::{BOUNCES, CHEN, Dovecot, PASSWORD, Postfix, postfix, servers_here},
    imap::settings,
    peer::{Peer, Scripted},
};

/// A token server, which also tells Dovecot whose a token is.
pub(crate) struct TokenServer {
    pub(crate) server: Scripted,
    state: Arc<Mutex<State>>,
    directory: tempfile::TempDir,
}

#[derive(Default)]
struct State {
    /// The forms that were sent to `/token`.
    asked: Vec<BTreeMap<String, String>>,
    /// What `/token` answers next, instead of a token.
    refusal: Option<(u16, String)>,
    /// Tokens are not good for the mail server.
    revoked: bool,
}

impl TokenServer {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Scripted::start(move |peer| while answer(peer, &shared).is_some() {});
        Self { server, state, directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.with(|it| it.asked.clone())
    }

    fn tokens(&self, grant: Grant) -> Arc<Tokens> {
        let endpoint = Endpoint {
            host: self.server.address.ip().to_string(),
            port: self.server.address.port(),
            tls: TlsMode::None,
            ca_file: None,
            tls_fingerprint: None,
            timeout: Duration::from_secs(5),
        };
        let client_secret = Some(SecretString::from("s3cret&="));
        let (path, scope) = ("/token".to_owned(), "mail:all".to_owned());
        Arc::new(Tokens::new(OAuth { grant, endpoint, path, client_id: "app".to_owned(), client_secret, scope }))
    }

    fn login(&self, grant: Grant) -> Login {
        Login::OAuth2 { user: BOUNCES.to_owned(), tokens: self.tokens(grant) }
    }

    /// A Dovecot that takes this server's tokens by these mechanisms.
    fn dovecot(&self, mechanisms: &str) -> Dovecot {
        Dovecot::start_with(&[BOUNCES, CHEN], &self.passdb(mechanisms))
    }

    /// What makes a Dovecot take them.
    pub(crate) fn passdb(&self, mechanisms: &str) -> String {
        let args = self.directory.path().join("oauth2.conf");
        let text = format!(
            "introspection_mode = post\nintrospection_url = http://{}/introspect\nactive_attribute = active\n\
             active_value = true\nusername_attribute = email\n",
            self.server.address
        );
        std::fs::write(&args, text).expect("our own directory");
        format!(
            "auth_mechanisms = plain {mechanisms}\npassdb {{\n  driver = oauth2\n  mechanisms = {mechanisms}\n  args = {}\n}}\n",
            args.display()
        )
    }
}

/// One HTTP request; `None` when the client has gone.
fn answer(peer: &mut Peer, state: &Mutex<State>) -> Option<()> {
    let request = peer.line()?;
    let mut length = 0;
    loop {
        let line = peer.line()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let form = form(&String::from_utf8(peer.bytes(length)?).ok()?);
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, json) = if request.contains("/introspect") {
        // An application that is named as a mailbox speaks for that one.
        let number = form.get("token").and_then(|it| it.strip_prefix("tok-")?.parse::<usize>().ok()).unwrap_or(0);
        let asked = number.checked_sub(1).and_then(|it| state.asked.get(it)?.get("client_id"));
        let email = asked.filter(|it| it.contains('@')).map_or(BOUNCES, String::as_str);
        (200, format!("{{\"active\":{},\"email\":\"{email}\"}}", !state.revoked))
    } else {
        state.asked.push(form);
        let number = state.asked.len();
        state.refusal.take().unwrap_or_else(|| {
            (
                200,
                format!(
                    "{{\"access_token\":\"tok-{number}\",\"expires_in\":\"3600\",\"refresh_token\":\"next-{number}\"}}"
                ),
            )
        })
    };
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", json.len());
    peer.send(head + &json).then_some(())
}

fn form(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), plain(value)))
        .collect()
}

/// Undoes the escapes of a form.
fn plain(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("a number")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("text")
}

fn mailbox(dovecot: &Dovecot, login: Login) -> Mailbox {
    let mut settings = settings(dovecot.imap, BOUNCES, PASSWORD);
    let Place::Imap { login: slot, .. } = &mut settings.place else { unreachable!() };
    *slot = login;
    Mailbox::new(settings)
}

#[tokio::test]
async fn a_token_opens_the_mailbox_by_either_mechanism_and_is_asked_for_once() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for mechanism in ["xoauth2", "oauthbearer"] {
        let tokens = TokenServer::start();
        let dovecot = tokens.dovecot(mechanism);
        let mut mailbox = mailbox(&dovecot, tokens.login(Grant::ClientCredentials));
        for _ in 0..2 {
            mailbox.connect().await.expect("connects");
            assert_eq!(mailbox.scan("INBOX", None, None).await.expect("scans").found, []);
            mailbox.close().await;
        }
        let asked = tokens.asked();
        assert_eq!(asked.len(), 1);
        let sent: Vec<(&str, &str)> = asked[0].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("client_id", "app"),
            ("client_secret", "s3cret&="),
            ("grant_type", "client_credentials"),
            ("scope", "mail:all"),
        ];
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn a_refused_token_is_a_refused_login_and_forgotten() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let tokens = TokenServer::start();
    let dovecot = tokens.dovecot("xoauth2");
    let mut mailbox = mailbox(&dovecot, tokens.login(Grant::RefreshToken("first".to_owned().into())));
    tokens.with(|it| it.revoked = true);
    let error = mailbox.connect().await.expect_err("refused");
    assert_eq!(error.kind, Kind::LoginRefused);
    assert!(!error.to_string().contains("tok-1"), "{error}");
    tokens.with(|it| it.revoked = false);
    mailbox.connect().await.expect("a new token is good");
    let refresh: Vec<String> = tokens.asked().into_iter().map(|it| it["refresh_token"].clone()).collect();
    assert_eq!(refresh, ["first", "next-1"], "a refresh token that was replaced is used from then on");
}

#[tokio::test]
async fn a_token_server_that_refuses_says_why_and_one_that_is_away_is_no_refusal() {
    let tokens = TokenServer::start();
    let login = tokens.tokens(Grant::ClientCredentials);
    for (status, kind) in [(400, "Refused"), (401, "Refused"), (429, "Unreachable"), (503, "Unreachable")] {
        let json = "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: wrong secret\"}";
        tokens.with(|it| it.refusal = Some((status, json.to_owned())));
        let error = login.token(BOUNCES).await.expect_err("no token");
        assert_eq!(format!("{:?}", error.kind), kind);
        assert!(error.to_string().contains("AADSTS7000215") && !error.to_string().contains("s3cret"), "{error}");
    }
    tokens.with(|it| it.refusal = Some((200, "x".repeat(1 << 20))));
    assert!(login.token(BOUNCES).await.is_err(), "a huge answer is not read");
    assert!(login.token(BOUNCES).await.is_ok());
    assert!(!format!("{login:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_service_account_signs_for_the_user() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = directory.path().join("key.pem");
    let made = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|it| it.success()) && !servers_here(&["openssl"]) {
        return;
    }
    let pem = std::fs::read_to_string(&key).expect("a key");
    let tokens = TokenServer::start();
    let grant = Grant::ServiceAccount { issuer: "bot@project.example".to_owned(), key: pem.into() };
    tokens.tokens(grant).token(CHEN).await.expect("a token");
    let asked = tokens.asked();
    assert_eq!(asked[0]["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = &asked[0]["assertion"];
    let (signed, signature) = assertion.rsplit_once('.').expect("three parts");
    let decode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64");
    let claims: serde_json::Value =
        serde_json::from_slice(&decode(signed.split_once('.').expect("two parts").1)).expect("JSON");
    assert_eq!((claims["sub"].as_str(), claims["iss"].as_str()), (Some(CHEN), Some("bot@project.example")));
    assert_eq!(claims["aud"], format!("http://{}/token", tokens.server.address));
    assert_eq!(claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(end, start)| end - start), Some(3600));
    // OpenSSL agrees with the signature.
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("our own directory");
        path
    };
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-prverify"])
        .arg(&key)
        .arg("-signature")
        .arg(file("signature", &decode(signature)))
        .arg(file("signed", signed.as_bytes()))
        .output()
        .expect("openssl runs");
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test]
async fn a_token_is_good_for_submission_too() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let tokens = TokenServer::start();
    for mechanism in ["xoauth2", "oauthbearer"] {
        let dovecot = tokens.dovecot(mechanism);
        let postfix = Postfix::start(&dovecot, &postfix::Options::default());
        let endpoint = Endpoint {
            host: postfix.submission.ip().to_string(),
            port: postfix.submission.port(),
            tls: TlsMode::StartTls,
            ca_file: Some(dovecot.authority.ca_file.clone()),
            tls_fingerprint: None,
            timeout: Duration::from_secs(10),
        };
        let login = Some(tokens.login(Grant::ClientCredentials));
        let route = Route::Smtp { endpoint, login, reverse_path: ReversePathMode::Auto };
        let mut sender = Sender::new(Outbound { route, from: Address::parse(BOUNCES).expect("an address") }, None);
        let message_id = MessageId::parse(&format!("<{mechanism}@corp.example.cn>")).expect("an id");
        let bytes = format!("From: {BOUNCES}\r\nMessage-ID: {message_id}\r\n\r\nx\r\n").into_bytes();
        let reply = Reply { message_id, to: Address::parse(CHEN).expect("an address"), bytes };
        let attempt = sender.deliver(&reply, || async { Ok(()) }).await;
        assert!(matches!(attempt.delivery, Delivery::Accepted(_)), "{attempt:?}");
        tokens.with(|it| it.revoked = true);
        sender.close().await;
        let attempt = sender.deliver(&reply, || async { Ok(()) }).await;
        let Delivery::ChannelRefused(whybounced::outbox::Stage::Auth, why) = &attempt.delivery else {
            panic!("{attempt:?}")
        };
        assert!(!why.contains("tok-"), "{why}");
        tokens.with(|it| it.revoked = false);
    }
}
