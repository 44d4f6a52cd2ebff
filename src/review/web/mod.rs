//! The review page: what happened, what is wrong with our mail, and making it better, in a browser.
//!
//! Server-rendered HTML that needs no script. Every request passes `guard`: which name it came by
//! (DNS rebinding), who asks, and for what changes anything a token, the same origin and the
//! administrator's role. It reads the journal and acts through it; it decides nothing about mail.
//! Who starts it (`app`, `serve`) says through `Running` how the daemon is.

mod access;
mod actions;
mod bounces;
mod charts;
mod guard;
mod metrics;
mod outbox;
mod overview;
mod remedy;
mod render;
mod rules;
mod settings;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use minijinja::{Value, context};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tower_http::{limit::RequestBodyLimitLayer, timeout::TimeoutLayer};

pub use self::access::Sessions;
use self::{access::Gate, guard::Frame};
use crate::{config::Config, diagnosis::Catalogue, journal::Journal, reply::Texts};

/// Words that are said from code, not from a template.
const SAID: &[&str] = &[
    "said_wrong_password",
    "said_wait",
    "said_not_found",
    "said_not_found_what",
    "said_forbidden",
    "said_forged",
    "said_reader",
    "said_host",
    "said_trouble",
    "said_done_sent",
    "said_done_marked",
    "said_done_muted",
    "said_done_unmuted",
    "said_done_saved",
    "said_done_released",
    "said_wrong_filter",
    "said_not_loaded",
];

/// A form's size.
const BODY: usize = 256 * 1024;
/// One request.
const PATIENCE: Duration = Duration::from_secs(30);

/// How one mailbox is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MailboxState {
    /// Its `name`.
    pub name: String,
    /// What is wrong, if anything.
    pub trouble: Option<String>,
}

/// The daemon that the page belongs to.
pub trait Running: Send + Sync {
    /// Each mailbox.
    fn mailboxes(&self) -> Vec<MailboxState>;
    /// A row of the outbox may have fallen due.
    fn wake(&self);
    /// Rules were changed: read the configuration again.
    fn reload(&self);
}

/// What the pages are made from.
pub struct Site {
    journal: Journal,
    config: Arc<Config>,
    gate: Gate,
    texts: Texts,
    running: Option<Arc<dyn Running>>,
}

impl Site {
    /// `running` is `None` where no daemon is in this process.
    ///
    /// # Errors
    /// A password file that cannot be read.
    pub fn new(
        config: Arc<Config>,
        journal: Journal,
        running: Option<Arc<dyn Running>>,
        sessions: Arc<Sessions>,
    ) -> Result<Self, io::Error> {
        let gate = Gate::new(&config.review, sessions)?;
        Ok(Self { journal, config, gate, texts: Texts::embedded(), running })
    }

    /// The name of a cause in a few words.
    fn title(&self, cause: &str, frame: &Frame) -> String {
        let name = self.texts.cause_name(cause, &render::as_language(frame.lang));
        if name.is_empty() { cause.to_owned() } else { name }
    }

    /// The catalogue with the administrator's rules as they lie on disk; where those are broken,
    /// what ships, and what is wrong. Read when it is asked for: nobody looking costs nothing.
    fn catalogue(&self) -> (Catalogue, Option<String>) {
        let laid_over = crate::config::overlay(&self.config.rules_dir, &[".toml"]).map_err(|why| why.to_string());
        let own = laid_over.and_then(|files| {
            let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            Catalogue::with_overlay(&files).map_err(|why| why.to_string())
        });
        match own {
            Ok(catalogue) => (catalogue, None),
            Err(why) => (Catalogue::embedded().unwrap_or_else(|_| unreachable!("held by a test")), Some(why)),
        }
    }

    /// Every cause with its name, for a choice.
    fn causes(&self, frame: &Frame) -> Vec<Value> {
        let names = crate::reply::cause_names();
        let mut causes: Vec<(String, String)> = names.map(|it| (self.title(it, frame), it.to_owned())).collect();
        causes.sort();
        causes.into_iter().map(|(title, name)| context! { title, name }).collect()
    }

    /// A row of the outbox may have fallen due.
    fn wake(&self) {
        if let Some(running) = &self.running {
            running.wake();
        }
    }

    /// The rules have changed.
    fn reload(&self) {
        if let Some(running) = &self.running {
            running.reload();
        }
    }

    /// The moment, for all that a request looks at.
    fn now() -> Timestamp {
        Timestamp::now()
    }
}

/// The site that is served now; another can take its place while requests come in.
pub struct Current(RwLock<Router>);

impl Current {
    /// Begins with this one.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self(RwLock::new(router(Arc::new(site))))
    }

    /// From the next request on, another.
    pub fn replace(&self, site: Site) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = router(Arc::new(site));
    }

    fn router(&self) -> Router {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, site: Arc<Current>, stop: impl Future<Output = ()> + Send + 'static) {
    let address = listener.local_addr().map(|it| it.to_string()).unwrap_or_default();
    tracing::info!(address, "the review page listens");
    let service = Router::new().fallback(|State(site): State<Arc<Current>>, request: Request| async move {
        let Ok(response) = site.router().oneshot(request).await;
        response
    });
    let service = service.with_state(site).into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the review page ended");
    }
}

/// All pages.
fn router(site: Arc<Site>) -> Router {
    let guarded = Router::new()
        .route("/", get(overview::overview))
        .route("/bounces", get(bounces::list))
        .route("/bounces/{id}", get(bounces::one))
        .route("/bounces/{id}/send", post(actions::send))
        .route("/bounces/{id}/send-to", post(actions::send_to))
        .route("/bounces/{id}/wrong", post(actions::wrong))
        .route("/domains/mute", post(actions::mute))
        .route("/domains/unmute", post(actions::unmute))
        .route("/undetermined", get(rules::undetermined))
        .route("/samples.jsonl", get(rules::samples))
        .route("/rules", get(rules::rules))
        .route("/rules/new", get(rules::new))
        .route("/rules/preview", post(rules::preview))
        .route("/rules/save", post(rules::save))
        .route("/outbox", get(outbox::outbox))
        .route("/outbox/release", post(actions::release))
        .route("/settings", get(settings::settings))
        .route("/login", get(guard::login_form).post(guard::login))
        .route("/logout", post(guard::logout))
        .fallback(|| async { Problem::not_found() })
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard::guard));
    Router::new()
        .merge(guarded)
        .route("/style.css", get(style))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz))
        .layer(RequestBodyLimitLayer::new(BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PATIENCE))
        .layer(middleware::map_response(headers))
        .with_state(site)
}

async fn style(State(_): State<Arc<Site>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("templates/style.css")).into_response()
}

/// Nothing of the page may run, be framed, be kept, or tell others where we are.
async fn headers(mut response: Response) -> Response {
    let policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
                  frame-ancestors 'none'";
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-store"));
    response
}

/// A page, or why there is none.
type Page = Result<Response, Problem>;

fn page(name: &str, frame: &Frame, content: Value) -> Page {
    render::page(name, &frame.value(), content).map(|html| Html(html).into_response()).map_err(|error| {
        tracing::error!(name, %error, "a page could not be made");
        Problem::trouble("the page could not be made; the log says why")
    })
}

/// Why a request is refused. `guard` makes a page of it in the reader's language.
#[derive(Clone, Debug)]
struct Problem {
    status: StatusCode,
    /// A word of `SAID`.
    heading: &'static str,
    /// A word of `SAID`, or the program's own words.
    what: String,
    hint: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, heading: &'static str, what: &str) -> Self {
        Self { status, heading, what: what.to_owned(), hint: None }
    }

    fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "said_not_found", "said_not_found_what")
    }

    fn trouble(what: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "said_trouble", what)
    }

    fn invalid(what: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "said_wrong_filter", what)
    }
}

impl From<crate::journal::Error> for Problem {
    fn from(error: crate::journal::Error) -> Self {
        use crate::journal::Error;
        let text = error.to_string();
        let (what, hint) = text.split_once("\n\nhint: ").unwrap_or((&text, ""));
        let (status, heading) = match &error {
            Error::Unknown { .. } => return Self::not_found(),
            Error::State { .. } => (StatusCode::CONFLICT, "said_forbidden"),
            _ if error.is_temporary() => (StatusCode::SERVICE_UNAVAILABLE, "said_trouble"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "said_trouble"),
        };
        Self { status, heading, what: what.to_owned(), hint: Some(hint.to_owned()).filter(|it| !it.is_empty()) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A value of ours as the templates take it: as in JSON.
fn told(value: &impl serde::Serialize) -> Value {
    Value::from(minijinja::value::Serde(value))
}

/// An enum's name as in JSON.
fn name_of(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(map)) => map.keys().next().cloned().unwrap_or_default(),
        Ok(_) | Err(_) => String::new(),
    }
}
