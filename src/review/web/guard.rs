//! The one gate of the page: every request but for the style and the monitors' passes it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Extension, Form, FromRequest as _, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use minijinja::{Value, context};

use super::{
    BODY, Page, Problem, Site,
    access::{Login, Visitor},
    page, render,
};

/// What every page needs besides its content.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) visitor: Visitor,
    /// A tag of ours.
    pub(super) lang: &'static str,
    zone: String,
    here: &'static str,
    notice: Option<String>,
    leaves: bool,
}

impl Frame {
    pub(super) fn value(&self) -> Value {
        let visitor = context! {
            role => self.visitor.role.map(|it| format!("{it:?}")),
            acts => self.visitor.acts(),
            token => self.visitor.token.as_str(),
            leaves => self.leaves,
        };
        context! {
            visitor,
            lang => self.lang,
            zone => self.zone.as_str(),
            here => self.here,
            notice => self.notice.as_deref(),
            version => env!("CARGO_PKG_VERSION"),
        }
    }

    /// One of `SAID` in the reader's language.
    pub(super) fn said(&self, key: &str) -> String {
        render::word(self.lang, key)
    }
}

/// A form's fields, after the token was checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    pub(super) fn take(&self, name: &str) -> Result<&str, Problem> {
        let value = self.0.get(name).map(|it| it.trim()).filter(|it| !it.is_empty());
        value.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "said_forbidden", &format!("{name} is missing")))
    }
}

/// Lets a request pass, or says why not, in the reader's language.
pub(super) async fn guard(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let query = query(&parts.uri);
    if let Some(lang) = query.get("lang").and_then(|it| render::known(it))
        && parts.method == Method::GET
    {
        return in_language(&parts.uri, lang);
    }
    let visitor = site.gate.visitor(peer.ip(), &parts.headers, Instant::now());
    let frame = frame(&site, &parts, &query, visitor);
    let response = match admit(&site, &parts, &frame) {
        Err(problem) => problem.into_response(),
        Ok(Admitted::Elsewhere) => Redirect::to("/login").into_response(),
        Ok(Admitted::Welcome) => match fields(&parts, body, &frame).await {
            Err(problem) => problem.into_response(),
            Ok((fields, body)) => {
                parts.extensions.insert(frame.clone());
                parts.extensions.insert(fields);
                next.run(Request::from_parts(parts, body)).await
            }
        },
    };
    match response.extensions().get::<Problem>() {
        Some(problem) => explain(problem, &frame),
        None => response,
    }
}

enum Admitted {
    Welcome,
    Elsewhere,
}

fn admit(site: &Site, parts: &Parts, frame: &Frame) -> Result<Admitted, Problem> {
    let host = parts.headers.get(header::HOST).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if !is_ours(host, site.config.review.name.as_deref()) {
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "said_forbidden", "said_host"));
    }
    let looks = matches!(parts.method, Method::GET | Method::HEAD);
    if !looks && !from_here(&parts.headers, host) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "said_forbidden", "said_forged"));
    }
    let at_the_door = matches!(parts.uri.path(), "/login" | "/logout");
    match frame.visitor.role {
        None if !at_the_door => Ok(Admitted::Elsewhere),
        Some(_) if !looks && !at_the_door && !frame.visitor.acts() => {
            Err(Problem::new(StatusCode::FORBIDDEN, "said_forbidden", "said_reader"))
        }
        None | Some(_) => Ok(Admitted::Welcome),
    }
}

/// The form, if there is one, with its token checked.
async fn fields(parts: &Parts, body: Body, frame: &Frame) -> Result<(Fields, Body), Problem> {
    if parts.method != Method::POST {
        return Ok((Fields::default(), body));
    }
    let forged = || Problem::new(StatusCode::FORBIDDEN, "said_forbidden", "said_forged");
    let octets = to_bytes(body, BODY).await.map_err(|_| forged())?;
    let request = Request::from_parts(parts.clone(), Body::from(octets));
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, &()).await.map_err(|_| forged())?;
    let fields = Fields(pairs.into_iter().collect());
    // Tokens are random and long; how fast they differ tells nothing that could be used.
    if fields.0.get("token") != Some(&frame.visitor.token) {
        return Err(forged());
    }
    Ok((fields, Body::empty()))
}

fn frame(site: &Site, parts: &Parts, query: &HashMap<String, String>, visitor: Visitor) -> Frame {
    let header = |name: header::HeaderName| parts.headers.get(name).and_then(|it| it.to_str().ok());
    let cookies = header(header::COOKIE).unwrap_or_default();
    let chosen = cookies.split(';').find_map(|it| render::known(it.trim().strip_prefix("lang=")?));
    let lang = chosen.unwrap_or_else(|| render::preferred(header(header::ACCEPT_LANGUAGE).unwrap_or_default()));
    let done = query.get("done").map(|it| format!("said_done_{it}"));
    let done = done.filter(|it| super::SAID.contains(&it.as_str()));
    let here = match parts.uri.path().split('/').nth(1).unwrap_or_default() {
        "" => "overview",
        "bounces" => "bounces",
        "undetermined" => "undetermined",
        "rules" => "rules",
        "outbox" => "outbox",
        "settings" => "settings",
        _ => "",
    };
    Frame {
        leaves: visitor.role.is_some() && site.gate.asks_for_a_password(),
        visitor,
        lang,
        zone: site.config.reply.timezone.iana_name().unwrap_or("UTC").to_owned(),
        here,
        notice: done.map(|key| render::word(lang, &key)),
    }
}

/// A `Problem` as a page.
fn explain(problem: &Problem, frame: &Frame) -> Response {
    let said = |text: &str| if super::SAID.contains(&text) { frame.said(text) } else { text.to_owned() };
    let content =
        context! { heading => said(problem.heading), what => said(&problem.what), hint => problem.hint.as_deref() };
    match page("problem.html", frame, content) {
        Ok(html) => (problem.status, html).into_response(),
        Err(again) => (problem.status, again.what).into_response(),
    }
}

fn query(uri: &Uri) -> HashMap<String, String> {
    axum::extract::Query::try_from_uri(uri).map(|it| it.0).unwrap_or_default()
}

/// The same page, in another language from now on.
fn in_language(uri: &Uri, lang: &str) -> Response {
    let rest: Vec<&str> =
        uri.query().unwrap_or_default().split('&').filter(|it| !it.starts_with("lang=") && !it.is_empty()).collect();
    // A path with two slashes at its start would lead to another host.
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    let to = if rest.is_empty() { path } else { format!("{path}?{}", rest.join("&")) };
    let cookie = format!("lang={lang}; Path=/; SameSite=Lax; Max-Age=31536000");
    ([(header::SET_COOKIE, cookie)], Redirect::to(&to)).into_response()
}

/// Whether the page may be reached by this name: an address, `localhost` or `review.name`. Any
/// other name may be a stranger's that points here (DNS rebinding).
fn is_ours(host: &str, name: Option<&str>) -> bool {
    let host = host.to_ascii_lowercase();
    if host.parse::<SocketAddr>().is_ok() || host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let bare =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|it| it.is_ascii_digit())).map_or(&*host, |it| it.0);
    let bracketed = bare.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare == "localhost" || bracketed.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok()) || name == Some(bare)
}

/// Whether a form was sent from a page of this host, as far as the browser tells.
fn from_here(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let site = text("sec-fetch-site").is_none_or(|it| matches!(it, "same-origin" | "none"));
    let origin = text("origin").is_none_or(|it| it.split_once("://").is_some_and(|(_, authority)| authority == host));
    site && origin
}

/// GET /login
pub(super) async fn login_form(Extension(frame): Extension<Frame>) -> Page {
    if frame.visitor.role.is_some() {
        return Ok(Redirect::to("/").into_response());
    }
    page("login.html", &frame, context! {})
}

/// POST /login
pub(super) async fn login(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
) -> Page {
    let password = fields.0.get("password").cloned().unwrap_or_default();
    let tried = {
        let site = Arc::clone(&site);
        tokio::task::spawn_blocking(move || site.gate.log_in(peer.ip(), &password, Instant::now())).await
    };
    let tried = tried.map_err(|_| Problem::trouble("the password could not be checked"))?;
    let (status, key) = match tried {
        Login::Welcome(cookie) => {
            tracing::info!(peer = %peer.ip(), "someone logged in to the review page");
            return Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response());
        }
        Login::Refused => (StatusCode::UNAUTHORIZED, "said_wrong_password"),
        Login::Wait(_) => (StatusCode::TOO_MANY_REQUESTS, "said_wait"),
    };
    tracing::warn!(peer = %peer.ip(), "a password for the review page was refused");
    let html = page("login.html", &frame, context! { wrong => frame.said(key) })?;
    Ok((status, html).into_response())
}

/// POST /logout
pub(super) async fn logout(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    ([(header::SET_COOKIE, site.gate.log_out(&headers))], Redirect::to("/login")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_name_for_our_address_is_refused() {
        for host in
            ["127.0.0.1:8025", "127.0.0.1", "[::1]:8025", "localhost", "localhost:8025", "Review.corp.example.cn:443"]
        {
            assert!(is_ours(host, Some("review.corp.example.cn")), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8025",
            "localhost.evil.example",
            "review.corp.example.cn.evil.example",
            "[evil]",
        ] {
            assert!(!is_ours(host, Some("review.corp.example.cn")), "{host}");
        }
    }

    #[test]
    fn a_form_from_another_site_is_refused() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().expect("name"), value.parse().expect("value")))
                .collect::<HeaderMap>()
        };
        assert!(from_here(
            &headers(&[("origin", "http://127.0.0.1:8025"), ("sec-fetch-site", "same-origin")]),
            "127.0.0.1:8025"
        ));
        assert!(from_here(&headers(&[]), "127.0.0.1:8025"));
        for pairs in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(!from_here(&headers(pairs), "127.0.0.1:8025"), "{pairs:?}");
        }
    }
}
