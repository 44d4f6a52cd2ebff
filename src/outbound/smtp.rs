//! One SMTP connection, driven by hand (RFC 5321), each step under its own deadline.
//!
//! The greeting and STARTTLS are spoken here and not by lettre, whose buffer would carry plain
//! text across the upgrade; from EHLO on, lettre writes the commands and reads the replies.

use std::time::Duration;

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    commands::{Data, Mail, Noop, Quit, Rcpt, Rset},
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    response::Response,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::{Pass, address, replies::Replies, verdict};
use crate::{
    mail::ReversePath,
    net::{self, Endpoint, Lines, Login, Sasl, Stream, TlsMode},
    outbox::{SmtpReply, Stage},
    reply::Reply,
};

/// RFC 5321 §4.5.3.2.6: the server may think for 10 minutes about the final dot.
const DOT: Duration = Duration::from_mins(10);
/// A kept connection that does not answer RSET by then is given up.
const RESET: Duration = Duration::from_secs(10);
/// Nobody waits long for a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// A connection that is greeted, encrypted as configured, and logged in.
pub(super) struct Connection {
    inner: AsyncSmtpConnection,
    step: Duration,
    /// What `check` shows: TLS version and mechanism.
    pub(super) how: How,
}

/// How a connection was made.
#[derive(Clone, Debug, Default)]
pub(super) struct How {
    pub(super) tls: Option<&'static str>,
    pub(super) mechanism: Option<&'static str>,
    pub(super) server: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("how", &self.how).finish_non_exhaustive()
    }
}

/// A step that failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server answered no.
    Refused(Stage, SmtpReply),
    /// No answer, or none that makes sense.
    Lost(Stage, String),
}

impl From<Failure> for Pass {
    fn from(it: Failure) -> Self {
        match it {
            Failure::Refused(stage, reply) => Self::Refused(stage, reply),
            Failure::Lost(stage, why) => Self::Lost(stage, why),
        }
    }
}

impl From<net::Error> for Failure {
    fn from(it: net::Error) -> Self {
        let stage = match it.stage {
            net::Stage::Resolve | net::Stage::Connect => Stage::Connect,
            net::Stage::Greeting => Stage::Greeting,
            net::Stage::StartTls | net::Stage::Tls => Stage::Tls,
            net::Stage::Token => Stage::Auth,
        };
        let hint = it.hint.map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        Self::Lost(stage, format!("{}{hint}", it.reason))
    }
}

/// Awaits one answer of lettre's under a deadline, and keeps apart "no" and "no answer".
async fn answer(
    stage: Stage,
    limit: Duration,
    step: impl Future<Output = Result<Response, lettre::transport::smtp::Error>>,
) -> Result<SmtpReply, Failure> {
    match timeout(limit, step).await {
        Err(_) => Err(Failure::Lost(stage, format!("no answer within {} seconds", limit.as_secs_f32()))),
        Ok(Ok(response)) => {
            let text = response.message().collect::<Vec<_>>().join(" ");
            Ok(SmtpReply { code: response.code().into(), text: verdict::one_line(&text) })
        }
        Ok(Err(error)) => Err(failure(stage, &error)),
    }
}

/// lettre knows a reply code exactly where the server refused.
fn failure(stage: Stage, error: &lettre::transport::smtp::Error) -> Failure {
    match error.status() {
        Some(code) => {
            let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            Failure::Refused(stage, SmtpReply { code: code.into(), text: verdict::one_line(&text) })
        }
        None => Failure::Lost(stage, verdict::one_line(&error.to_string())),
    }
}

impl Connection {
    pub(super) async fn open(endpoint: &Endpoint, login: Option<&Login>) -> Result<Self, Failure> {
        let step = endpoint.timeout;
        let stream = net::connect(endpoint).await?;
        let helo = client_id(&stream);
        let (stream, greeting) = before_lettre(stream, endpoint, &helo).await?;
        let tls = stream.tls_version();
        let transport = Box::new(Replies::new(stream, &greeting));
        let connected = timeout(step, AsyncSmtpConnection::connect_with_transport(transport, &helo)).await;
        let inner = match connected {
            Err(_) => {
                return Err(Failure::Lost(Stage::Ehlo, format!("no answer within {} seconds", step.as_secs_f32())));
            }
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => return Err(failure(Stage::Ehlo, &error)),
        };
        let server = greeting.chars().skip(4).collect();
        let mut it = Self { inner, step, how: How { tls, mechanism: None, server } };
        if let Some(login) = login {
            it.login(endpoint, login).await?;
        }
        Ok(it)
    }

    /// AUTH (RFC 4954), by password or token; what the server repeats of it is not shown.
    async fn login(&mut self, endpoint: &Endpoint, login: &Login) -> Result<(), Failure> {
        let (user, secret, result) = match login {
            Login::Password { user, password } => (user, password.clone(), self.by_password(user, password).await),
            Login::OAuth2 { user, tokens } => {
                let token = tokens.token(user).await?;
                // lettre knows no OAUTHBEARER: where XOAUTH2 is not offered, that is tried.
                let sasl = if self.inner.server_info().supports_auth_mechanism(Mechanism::Xoauth2) {
                    Sasl::xoauth2(user, &token)
                } else {
                    Sasl::oauthbearer(user, endpoint, &token)
                };
                let result = self.by_sasl(&sasl).await;
                if let Err(Failure::Refused(..)) = result {
                    tokens.forget().await;
                }
                (user, token, result)
            }
        };
        result.map_err(|failure| match failure {
            Failure::Refused(stage, mut reply) => {
                reply.text = net::without_secret(&reply.text, user, &secret);
                Failure::Refused(stage, reply)
            }
            Failure::Lost(stage, why) => Failure::Lost(stage, net::without_secret(&why, user, &secret)),
        })
    }

    async fn by_password(&mut self, user: &str, password: &SecretString) -> Result<(), Failure> {
        const KNOWN: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
        let Some(mechanism) = self.inner.server_info().get_auth_mechanism(&KNOWN) else {
            let why = "the server offers neither AUTH PLAIN nor AUTH LOGIN on this connection; hint: it may do so only \
                       with TLS (`tls`), or only on port 465 or 587";
            return Err(Failure::Lost(Stage::Auth, why.to_owned()));
        };
        self.how.mechanism = Some(if mechanism == Mechanism::Plain { "PLAIN" } else { "LOGIN" });
        let credentials = Credentials::new(user.to_owned(), password.expose_secret().to_owned());
        answer(Stage::Auth, self.step, self.inner.auth(&[mechanism], &credentials)).await.map(drop)
    }

    async fn by_sasl(&mut self, sasl: &Sasl) -> Result<(), Failure> {
        self.how.mechanism = Some(sasl.mechanism);
        let command = format!("AUTH {} {}\r\n", sasl.mechanism, sasl.response.expose_secret());
        let mut reply = answer(Stage::Auth, self.step, self.inner.command(command)).await?;
        if reply.code == 334 {
            let rest = format!("{}\r\n", sasl.to_challenge);
            reply = answer(Stage::Auth, self.step, self.inner.command(rest)).await?;
        }
        if reply.code == 235 { Ok(()) } else { Err(Failure::Lost(Stage::Auth, format!("answered {}", reply.code))) }
    }

    /// RSET: puts an old transaction away and shows that the server still listens.
    pub(super) async fn reset(&mut self) -> bool {
        answer(Stage::Mail, RESET, self.inner.command(Rset)).await.is_ok()
    }

    /// QUIT, without waiting long for the answer.
    pub(super) async fn quit(mut self) {
        let _ = timeout(GOODBYE, self.inner.command(Quit)).await;
    }

    /// NOOP, for `check`.
    pub(super) async fn noop(&mut self) -> Result<SmtpReply, Failure> {
        answer(Stage::Ehlo, self.step, self.inner.command(Noop)).await
    }

    /// MAIL and RCPT: all of a transaction but the message.
    pub(super) async fn envelope(
        &mut self,
        path: &ReversePath,
        to: &crate::mail::Mailbox,
        eight_bit: bool,
    ) -> Result<(), Failure> {
        let international = self.inner.server_info().supports_feature(Extension::SmtpUtfEight);
        let refused = |stage, text: String| Failure::Refused(stage, SmtpReply { code: 553, text });
        let to = address::for_smtp(to, international).map_err(|why| refused(Stage::Rcpt, why))?;
        let from = match path {
            ReversePath::Null => None,
            ReversePath::Mailbox(mailbox) => {
                Some(address::for_smtp(mailbox, international).map_err(|why| refused(Stage::Mail, why))?)
            }
        };
        let mut parameters = Vec::new();
        let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        if !is_ascii(&to) || !from.as_ref().is_none_or(is_ascii) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if eight_bit && self.inner.server_info().supports_feature(Extension::EightBitMime) {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        answer(Stage::Mail, self.step, self.inner.command(Mail::new(from, parameters))).await?;
        answer(Stage::Rcpt, self.step, self.inner.command(Rcpt::new(to, vec![]))).await?;
        Ok(())
    }

    /// One whole transaction (RFC 5321 §3.3).
    pub(super) async fn transaction<F, W>(&mut self, reply: &Reply, path: &ReversePath, body_started: &mut F) -> Pass
    where
        F: FnMut() -> W + Send,
        W: Future<Output = Result<(), String>> + Send,
    {
        if let Err(failure) = self.envelope(path, &reply.to, !reply.bytes.is_ascii()).await {
            return failure.into();
        }
        match answer(Stage::Data, self.step, self.inner.command(Data)).await {
            Ok(go_ahead) if go_ahead.code == 354 => {}
            Ok(other) => return Pass::Lost(Stage::Data, format!("answered {} to DATA", other.code)),
            Err(failure) => return failure.into(),
        }
        if let Err(why) = body_started().await {
            return Pass::Lost(Stage::Data, format!("nothing sent: the journal did not take `body started`: {why}"));
        }
        match answer(Stage::Dot, DOT, self.inner.message(body(&reply.bytes))).await {
            Ok(reply) if (200..300).contains(&reply.code) => Pass::Accepted(reply),
            Ok(reply) => Pass::InDoubt(format!("answered {} {} to the final dot", reply.code, reply.text)),
            Err(Failure::Refused(stage, reply)) => Pass::Refused(stage, reply),
            Err(Failure::Lost(_, why)) => Pass::InDoubt(why),
        }
    }
}

/// lettre adds the line end before the final dot itself: a message that ends in one would get a blank line more.
fn body(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r\n").unwrap_or(bytes)
}

/// The greeting, and STARTTLS where configured; returns the stream that lettre goes on with.
async fn before_lettre(stream: Stream, endpoint: &Endpoint, helo: &ClientId) -> Result<(Stream, String), Failure> {
    let mut lines = Lines::new(stream, endpoint);
    let greeting = read_reply(&mut lines, net::Stage::Greeting).await?;
    expect(&greeting, 220, Stage::Greeting)?;
    let greeting = format!("220 {}", greeting.text);
    if endpoint.tls != TlsMode::StartTls {
        return Ok((lines.finish()?, greeting));
    }
    lines.write(net::Stage::StartTls, &format!("EHLO {helo}")).await?;
    expect(&read_reply(&mut lines, net::Stage::StartTls).await?, 250, Stage::Ehlo)?;
    // Asked for whether it is offered or not: a stripped offer must not become plain text.
    lines.write(net::Stage::StartTls, "STARTTLS").await?;
    let answer = read_reply(&mut lines, net::Stage::StartTls).await?;
    if answer.code != 220 {
        return Err(lines.no_starttls(&format!("{} {}", answer.code, answer.text)).into());
    }
    Ok((lines.upgrade().await?, greeting))
}

fn expect(reply: &SmtpReply, code: u16, stage: Stage) -> Result<(), Failure> {
    match reply.code {
        found if found == code => Ok(()),
        400..600 => Err(Failure::Refused(stage, reply.clone())),
        other => {
            let said = if other == 0 { reply.text.clone() } else { format!("{other} {}", reply.text) };
            let why = format!(
                "this is not an SMTP server: it said {said}; hint: mail is taken on port 465 (`tls = \"implicit\"`), 587 \
                 (`tls = \"starttls\"`) or 25"
            );
            Err(Failure::Lost(stage, why))
        }
    }
}

/// One reply of one or more lines (RFC 5321 §4.2.1); code 0 where there is none.
async fn read_reply(lines: &mut Lines<'_>, stage: net::Stage) -> Result<SmtpReply, Failure> {
    let mut text = String::new();
    for _ in 0..100 {
        let line = lines.read(stage).await?;
        let code = line.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let rest = if code == 0 { line.as_str() } else { line.get(4..).unwrap_or_default() };
        text.push_str(rest);
        if code == 0 || line.as_bytes().get(3) != Some(&b'-') {
            return Ok(SmtpReply { code, text: verdict::one_line(&text) });
        }
        text.push(' ');
    }
    Err(Failure::Lost(Stage::Greeting, "the server's reply has no end".to_owned()))
}

/// Our name in EHLO: this host's where it is a domain name, else the address we come from (RFC 5321 §4.1.4).
fn client_id(stream: &Stream) -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if name.contains('.') && name.is_ascii() => ClientId::Domain(name),
        other => match stream.local_addr().map(|address| address.ip()) {
            Ok(std::net::IpAddr::V4(ip)) => ClientId::Ipv4(ip),
            Ok(std::net::IpAddr::V6(ip)) => ClientId::Ipv6(ip),
            Err(_) => other,
        },
    }
}
