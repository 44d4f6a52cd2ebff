//! A real Chromium, spoken to by `WebDriver` (W3C, §7 to §13) through Debian's chromedriver.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    PATIENCE, Scratch,
    process::{Process, command},
    wait_for,
};

/// One window.
pub(crate) struct Browser {
    driver: SocketAddr,
    session: String,
    _process: Process,
    scratch: Scratch,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// One HTTP request (RFC 9112 §3) on a connection of its own.
#[track_caller]
pub(crate) fn http(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(server).expect("it listens");
    stream.set_read_timeout(Some(2 * PATIENCE)).expect("a socket");
    let named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = if named { String::new() } else { format!("Host: {server}\r\n") };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    // chromedriver keeps the connection whatever it is asked, so its length is believed.
    let mut answer = Vec::new();
    let mut octets = [0; 4096];
    while !is_whole(&answer) {
        match stream.read(&mut octets).expect("an answer") {
            0 => break,
            length => answer.extend_from_slice(&octets[..length]),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status line");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Whether the header and as many octets as it promises are there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

impl Browser {
    /// Starts one that prefers `language`.
    pub(crate) fn start(language: &str) -> Self {
        let scratch = Scratch::new();
        let log = scratch.path().join("chromedriver.log");
        let mut command = command("chromedriver");
        command.arg("--port=0").env("HOME", scratch.path());
        command.stdout(fs::File::create(&log).expect("our own directory"));
        let process = Process::start("chromedriver", &mut command);
        // It listens on 127.0.0.1 alone, and says on which port.
        let port = wait_for("chromedriver", || {
            let said = fs::read_to_string(&log).ok()?;
            said.split("successfully on port ").nth(1)?.split('.').next()?.parse::<u16>().ok()
        });
        let driver = SocketAddr::from(([127, 0, 0, 1], port));
        let profile = format!("--user-data-dir={}", scratch.path().join("profile").display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &profile,
        ];
        let preferences = json!({ "intl.accept_languages": language });
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": arguments, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let mut it = Self { driver, session: String::new(), _process: process, scratch };
        let session = it.ask("POST", "/session", &capabilities);
        it.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        it
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let path = format!("{}{path}", self.session);
        let answer = http(self.driver, method, &path, &[("Content-Type", "application/json")], &body);
        let value: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body));
        assert_eq!(answer.status, 200, "{method} {path}: {}", value["value"]["message"]);
        value["value"].clone()
    }

    /// Opens an address.
    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    /// The window's size: a desk's 1280, a telephone's 375.
    #[track_caller]
    pub(crate) fn resize(&self, width: u32, height: u32) {
        // The window itself cannot be so narrow; the page in it can.
        let metrics = json!({ "cmd": "Emulation.setDeviceMetricsOverride",
            "params": { "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false } });
        self.ask("POST", "/goog/cdp/execute", &metrics);
    }

    /// Runs a script in the page.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that calls its last argument when it is done.
    #[track_caller]
    pub(crate) fn run_async(&self, script: &str) -> Value {
        self.ask("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// A cookie's value, also of one that scripts cannot see.
    #[track_caller]
    pub(crate) fn cookie(&self, name: &str) -> String {
        let it = self.ask("GET", &format!("/cookie/{name}"), &Value::Null);
        it["value"].as_str().unwrap_or_default().to_owned()
    }

    /// The page's text as a person sees it.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Fills in a field, by its id.
    #[track_caller]
    pub(crate) fn fill(&self, id: &str, value: &str) {
        let script =
            format!("const it = document.getElementById({}); it.value = {}; return true", json!(id), json!(value));
        assert_eq!(self.run(&script), json!(true), "no field {id}");
    }

    /// Presses the button of the form that leads to `action`, and waits for the page after it.
    #[track_caller]
    pub(crate) fn submit(&self, action: &str) {
        let mark = "window.left_behind = true; return true";
        self.run(mark);
        let css = format!("form[action='{action}'] button");
        let found = self.ask("POST", "/element", &json!({ "using": "css selector", "value": css }));
        let element = found.as_object().and_then(|it| it.values().next()).and_then(Value::as_str).expect("a button");
        self.ask("POST", &format!("/element/{element}/click"), &json!({}));
        wait_for(&format!("the page after {action}"), || {
            let there = self.run("return !window.left_behind && document.readyState === 'complete'");
            (there == json!(true)).then_some(())
        });
    }

    /// What the page wrote to the console, errors and warnings.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|it| format!("{}: {}", it["level"], it["message"])).collect()
    }

    /// Serious findings of axe-core on this page; the file is put there by tests/run.
    #[track_caller]
    pub(crate) fn barriers(&self, axe: &str) -> Vec<String> {
        self.run(axe);
        let script = "const done = arguments[arguments.length - 1]; axe.run(document).then(it => done(\
                      it.violations.filter(it => ['serious', 'critical'].includes(it.impact)).map(it => \
                      it.id + ': ' + it.nodes.map(it => it.target.join(' ')).slice(0, 3).join(' | '))))";
        let found = self.run_async(script);
        found.as_array().expect("a list").iter().map(|it| it.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Keeps a picture under target/review for people to look at.
    #[track_caller]
    pub(crate) fn picture(&self, name: &str) {
        use base64::Engine as _;
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/review");
        fs::create_dir_all(&directory).expect("our own directory");
        let picture = self.ask("GET", "/screenshot", &Value::Null);
        let octets = base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap_or_default());
        fs::write(directory.join(format!("{name}.png")), octets.expect("base64")).expect("our own directory");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.scratch.path().join("chromedriver.log")).unwrap_or_default();
            super::show("chromedriver", &log);
        }
        // Asked to, Chromium ends; chromedriver then ends with its process.
        if let Ok(mut stream) = TcpStream::connect_timeout(&self.driver, Duration::from_secs(1)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let end = format!("DELETE {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.session, self.driver);
            let _ = stream.write_all(end.as_bytes());
            let _ = stream.read(&mut [0; 4096]);
        }
    }
}
