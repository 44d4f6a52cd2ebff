//! One request over our own TLS, its answer bounded: a form to a token server, a file from a web server.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{Endpoint, Error, Kind, Stage, TlsMode};

/// No token, and no file that we ask for, is larger.
const LARGEST_ANSWER: usize = 64 * 1024;

/// A form as a browser sends it; never shown, for it holds secrets.
#[derive(Default)]
pub(super) struct Form(String);

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => self.0.push(char::from(byte)),
                other => {
                    use std::fmt::Write as _;
                    let _ = write!(self.0, "%{other:02X}");
                }
            }
        }
        self
    }
}

/// The URL as a person would write it.
pub(super) fn url(endpoint: &Endpoint, path: &str) -> String {
    let (scheme, usual) = if endpoint.tls == TlsMode::None { ("http", 80) } else { ("https", 443) };
    let port = if endpoint.port == usual { String::new() } else { format!(":{}", endpoint.port) };
    format!("{scheme}://{}{port}{path}", endpoint.host)
}

/// Posts a form; status and body, all within twice the endpoint's time-out.
pub(super) async fn post_form(endpoint: &Endpoint, path: &str, form: Form) -> Result<(u16, Bytes), Error> {
    let request = Request::post(path)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::HOST, &endpoint.host)
        .body(Full::new(Bytes::from(form.0)));
    exchange(endpoint, Stage::Token, request).await
}

/// Fetches a file; status and body, all within twice the endpoint's time-out.
///
/// # Errors
/// Unreachable, too slow, or not HTTP.
pub async fn get(endpoint: &Endpoint, path: &str) -> Result<(u16, Bytes), Error> {
    let request = Request::get(path).header(header::HOST, &endpoint.host).body(Full::new(Bytes::new()));
    exchange(endpoint, Stage::Connect, request).await
}

async fn exchange(
    endpoint: &Endpoint,
    stage: Stage,
    request: hyper::http::Result<Request<Full<Bytes>>>,
) -> Result<(u16, Bytes), Error> {
    let failed = |why: String| Error::new(endpoint, stage, Kind::Unreachable, why);
    let request = request.map_err(|error| failed(error.to_string()))?;
    let stream = super::connect(endpoint).await?;
    let exchange = async {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            body.map(|body| (status, body.to_bytes())).map_err(|error| failed(error.to_string()))
        };
        tokio::pin!(answer, connection);
        // The connection must be driven while the answer is awaited; its end is not ours.
        tokio::select! {
            answer = &mut answer => answer,
            ended = &mut connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(failed(error.to_string())),
            },
        }
    };
    timeout(endpoint.timeout, exchange).await.unwrap_or_else(|_| Err(Error::timed_out(endpoint, stage)))
}
