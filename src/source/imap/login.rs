//! From a TCP connection to a session that is logged in.

use std::collections::BTreeSet;

use async_imap::imap_proto::{Capability, Response, ResponseCode, Status};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;

use super::{
    Session, Settings,
    wire::{Command, Fault, Refusal, Wire, text_of},
};
use crate::{
    net::{self, Lines, Stream, TlsMode},
    source::{Error, Kind, Login},
};

/// What the server says it can do, in capitals.
#[derive(Clone, Debug, Default)]
pub(super) struct Capabilities(BTreeSet<String>);

impl Capabilities {
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn of(list: &[Capability<'_>]) -> Self {
        let name = |capability: &Capability<'_>| match capability {
            Capability::Imap4rev1 => "IMAP4REV1".to_owned(),
            Capability::Auth(mechanism) => format!("AUTH={}", mechanism.to_ascii_uppercase()),
            Capability::Atom(name) => name.to_ascii_uppercase(),
        };
        Self(list.iter().map(name).collect())
    }
}

/// Connects, encrypts, logs in, says who we are.
pub(super) async fn open(settings: &Settings) -> Result<Session, Error> {
    let failed = |error: net::Error| Error::from_net(&settings.name, error);
    let stream = net::connect(&settings.endpoint).await.map_err(failed)?;
    let stream = match settings.endpoint.tls {
        TlsMode::StartTls => starttls(stream, settings).await?,
        TlsMode::Implicit | TlsMode::None => stream,
    };
    let mut wire = Wire::new(stream, settings.endpoint.timeout);
    let greeted = settings.endpoint.tls != TlsMode::StartTls && greeting(&mut wire, settings).await?;
    let capabilities = capability(&mut wire).await.map_err(|fault| settings.error("CAPABILITY", fault))?;
    if !greeted {
        log_in(&mut wire, &capabilities, settings).await?;
    }
    let capabilities = capability(&mut wire).await.map_err(|fault| settings.error("CAPABILITY", fault))?;
    if capabilities.has("ID") {
        identify(&mut wire).await.map_err(|fault| settings.error("ID", fault))?;
    }
    Ok(Session::new(wire, capabilities))
}

/// RFC 9051 §6.2.1. A greeting that says PREAUTH cannot be encrypted any more, and is refused.
async fn starttls(stream: Stream, settings: &Settings) -> Result<Stream, Error> {
    let failed = |error: net::Error| Error::from_net(&settings.name, error);
    let mut lines = Lines::new(stream, &settings.endpoint);
    let greeting = lines.read(net::Stage::Greeting).await.map_err(failed)?;
    if !greeting.to_ascii_uppercase().starts_with("* OK") {
        return Err(failed(lines.refused(&greeting)));
    }
    lines.write(net::Stage::StartTls, "S1 STARTTLS").await.map_err(failed)?;
    for _ in 0..20 {
        let answer = lines.read(net::Stage::StartTls).await.map_err(failed)?;
        if let Some(result) = answer.strip_prefix("S1 ") {
            if result.to_ascii_uppercase().starts_with("OK") {
                return lines.upgrade().await.map_err(failed);
            }
            return Err(failed(lines.no_starttls(result)));
        }
    }
    Err(failed(lines.no_starttls("it talks of other things")))
}

/// Reads the greeting; true if the server says that we are logged in already.
async fn greeting(wire: &mut Wire, settings: &Settings) -> Result<bool, Error> {
    let read = wire.read(|response| match response {
        Response::Data { status: Status::Ok, .. } => Ok(false),
        Response::Data { status: Status::PreAuth, .. } => Ok(true),
        _ => Err(Fault::Protocol("this is not an IMAP server".to_owned())),
    });
    let hint = "nothing came: a port that expects TLS at once stays silent (`tls = \"implicit\"`)";
    match read.await {
        Ok(result) => result.map_err(|fault| settings.error("greeting", fault)),
        Err(fault @ Fault::TimedOut(_)) if settings.endpoint.tls == TlsMode::None => {
            Err(settings.error("greeting", fault).with_hint(hint))
        }
        Err(fault) => Err(settings.error("greeting", fault)),
    }
}

async fn capability(wire: &mut Wire) -> Result<Capabilities, Fault> {
    let mut found = Capabilities::default();
    let mut each = |response: &Response<'_>| {
        if let Response::Capabilities(list) = response {
            found = Capabilities::of(list);
        }
    };
    wire.command(&Command::new("CAPABILITY"), &mut each).await?;
    Ok(found)
}

/// PLAIN where it is offered, for it carries every password; else LOGIN.
async fn log_in(wire: &mut Wire, capabilities: &Capabilities, settings: &Settings) -> Result<(), Error> {
    let Login::Password { user, password } = &settings.login;
    let password = password.expose_secret();
    let mut result = None;
    if capabilities.has("AUTH=PLAIN") {
        result = Some(plain(wire, capabilities, user, password).await);
    }
    if result.as_ref().is_none_or(|it| matches!(it, Err(Fault::Refused(Refusal { bad: true, .. })))) {
        if capabilities.has("LOGINDISABLED") {
            let why = "the server takes no password on this connection (LOGINDISABLED)";
            let hint = "set `tls = \"implicit\"` or `\"starttls\"`, or `oauth2` where the provider wants that";
            return Err(Error::new(&settings.name, settings.endpoint.place(), Kind::Setup, why).with_hint(hint));
        }
        result = Some(wire.command(&Command::new("LOGIN").string(user).string(password), &mut |_| ()).await);
    }
    result.unwrap_or(Ok(())).map_err(|fault| refused(settings, fault, user, password))
}

/// RFC 4616, with the initial response where the server takes one (RFC 4959).
async fn plain(wire: &mut Wire, capabilities: &Capabilities, user: &str, password: &str) -> Result<(), Fault> {
    let response = STANDARD.encode(format!("\0{user}\0{password}"));
    if capabilities.has("SASL-IR") {
        return wire.command(&Command::new("AUTHENTICATE PLAIN ").text(&response), &mut |_| ()).await;
    }
    let tag = wire.begin(&Command::new("AUTHENTICATE PLAIN"), &mut |_| ()).await?;
    wire.go_ahead(&tag, &mut |_| ()).await?;
    wire.write_line(response.as_bytes()).await?;
    wire.finish(&tag, &mut |_| ()).await
}

/// Says whether the login was refused, or the server could not see to it just now (RFC 5530 §3).
fn refused(settings: &Settings, fault: Fault, user: &str, password: &str) -> Error {
    let Fault::Refused(refusal) = fault else { return settings.error("login", fault) };
    let text = without_secret(&refusal.text, user, password);
    let for_now = ["UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"].iter().any(|code| refusal.has_code(code));
    let reason = format!("login of {user}: {text}");
    let place = settings.endpoint.place();
    if for_now {
        return Error::new(&settings.name, place, Kind::Unavailable, reason);
    }
    Error::new(&settings.name, place, Kind::LoginRefused, reason).with_hint(
        "check `user` and the password; many providers want an app password (授权码) and IMAP switched on in the web mail",
    )
}

/// Some servers repeat what they refuse.
fn without_secret(text: &str, user: &str, password: &str) -> String {
    if password.is_empty() {
        return text.to_owned();
    }
    text.replace(&STANDARD.encode(format!("\0{user}\0{password}")), "****").replace(password, "****")
}

/// RFC 2971: before the first SELECT, or NetEase answers `Unsafe Login`. A refusal does no harm.
async fn identify(wire: &mut Wire) -> Result<(), Fault> {
    let version = env!("CARGO_PKG_VERSION");
    let command = format!("ID (\"name\" \"whybounced\" \"version\" \"{version}\" \"vendor\" \"whybounced\")");
    match wire.command(&Command::new(&command), &mut |_| ()).await {
        Ok(()) | Err(Fault::Refused(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// A server's `[ALERT]` must be shown to a person (RFC 9051 §7.1).
pub(super) fn alert(response: &Response<'_>) -> Option<String> {
    match response {
        Response::Data { outcome, .. } | Response::Done { outcome, .. } => {
            matches!(outcome.code, Some(ResponseCode::Alert)).then(|| text_of(outcome))
        }
        _ => None,
    }
}
