//! From a TCP connection to a session that is logged in.

use std::collections::BTreeSet;

use async_imap::imap_proto::{Capability, Response, ResponseCode, Status};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Session, Settings,
    wire::{Command, Fault, Met, Refusal, Wire, text_of},
};
use crate::{
    net::{self, Lines, Login, Sasl, Stream, TlsMode, without_secret},
    source::{Error, Kind},
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

/// What answers is no IMAP server, or one that none of our modes fits.
const OTHER_PORT: &str =
    "another service answers there: IMAP is on port 993 (`tls = \"implicit\"`) or 143 (`tls = \"starttls\"`)";

/// RFC 9051 §6.2.1. A greeting that says PREAUTH cannot be encrypted any more, and is refused.
async fn starttls(stream: Stream, settings: &Settings) -> Result<Stream, Error> {
    let failed = |error: net::Error| Error::from_net(&settings.name, error);
    let mut lines = Lines::new(stream, &settings.endpoint);
    let greeting = lines.read(net::Stage::Greeting).await.map_err(failed)?;
    if !greeting.to_ascii_uppercase().starts_with("* OK") {
        let error = failed(lines.refused(&greeting));
        return Err(if greeting.starts_with("* ") { error } else { error.with_hint(OTHER_PORT) });
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
        Ok(result) => result.map_err(|fault| settings.error("greeting", fault).with_hint(OTHER_PORT)),
        Err(fault @ Fault::TimedOut(_)) if settings.endpoint.tls == TlsMode::None => {
            Err(settings.error("greeting", fault).with_hint(hint))
        }
        Err(fault @ Fault::Protocol(_)) => Err(settings.error("greeting", fault).with_hint(OTHER_PORT)),
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

async fn log_in(wire: &mut Wire, capabilities: &Capabilities, settings: &Settings) -> Result<(), Error> {
    match &settings.login {
        Login::Password { user, password } => by_password(wire, capabilities, settings, user, password)
            .await?
            .map_err(|fault| refused(settings, fault, user, password)),
        Login::OAuth2 { user, tokens } => {
            let token = tokens.token(user).await.map_err(|error| Error::from_net(&settings.name, error))?;
            let sasl = if capabilities.has("AUTH=OAUTHBEARER") && !capabilities.has("AUTH=XOAUTH2") {
                Sasl::oauthbearer(user, &settings.endpoint, &token)
            } else {
                Sasl::xoauth2(user, &token)
            };
            let result = authenticate(wire, capabilities, &sasl).await;
            if let Err(Fault::Refused(_)) = result {
                tokens.forget().await;
            }
            result.map_err(|fault| refused(settings, fault, user, &token))
        }
    }
}

/// PLAIN where it is offered, for it carries every password; else LOGIN.
async fn by_password(
    wire: &mut Wire,
    capabilities: &Capabilities,
    settings: &Settings,
    user: &str,
    password: &SecretString,
) -> Result<Result<(), Fault>, Error> {
    if capabilities.has("AUTH=PLAIN") {
        let result = authenticate(wire, capabilities, &Sasl::plain(user, password)).await;
        // BAD: it is not understood, for all that was promised.
        if !matches!(result, Err(Fault::Refused(Refusal { bad: true, .. }))) {
            return Ok(result);
        }
    }
    if capabilities.has("LOGINDISABLED") {
        let why = "the server takes no password on this connection (LOGINDISABLED)";
        let hint = "set `tls = \"implicit\"` or `\"starttls\"`, or `oauth2` where the provider wants that";
        return Err(Error::new(&settings.name, settings.endpoint.place(), Kind::Setup, why).with_hint(hint));
    }
    Ok(wire.command(&Command::new("LOGIN").string(user).string(password.expose_secret()), &mut |_| ()).await)
}

/// AUTHENTICATE, with the initial response where the server takes one (RFC 4959).
async fn authenticate(wire: &mut Wire, capabilities: &Capabilities, sasl: &Sasl) -> Result<(), Fault> {
    let command = Command::new("AUTHENTICATE ").text(sasl.mechanism);
    let response = sasl.response.expose_secret();
    let tag = if capabilities.has("SASL-IR") {
        wire.begin(&command.text(" ").text(response), &mut |_| ()).await?
    } else {
        let tag = wire.begin(&command, &mut |_| ()).await?;
        wire.go_ahead(&tag, &mut |_| ()).await?;
        wire.write_line(response.as_bytes()).await?;
        tag
    };
    // A challenge more is an error in disguise (RFC 7628 §3.2.3): answered once, so that it is said.
    match wire.answer(&tag, &mut |_| ()).await? {
        Met::Done => Ok(()),
        Met::GoAhead => {
            wire.write_line(sasl.to_challenge.as_bytes()).await?;
            wire.finish(&tag, &mut |_| ()).await
        }
    }
}

/// Says whether the login was refused, or the server could not see to it just now (RFC 5530 §3).
fn refused(settings: &Settings, fault: Fault, user: &str, secret: &SecretString) -> Error {
    let Fault::Refused(refusal) = fault else { return settings.error("login", fault) };
    let text = without_secret(&refusal.text, user, secret);
    let for_now = refusal.is_for_now() || refusal.has_code("SERVERBUG");
    let reason = format!("login of {user}: {text}");
    let place = settings.endpoint.place();
    if for_now {
        return Error::new(&settings.name, place, Kind::Unavailable, reason);
    }
    Error::new(&settings.name, place, Kind::LoginRefused, reason).with_hint(
        "check `user` and the password; many providers want an app password (授权码) and IMAP switched on in the web mail",
    )
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
