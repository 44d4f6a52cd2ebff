//! `whybounced init` as a person and as a script use it: against a real Dovecot and Postfix, and
//! against scripted servers for what providers refuse.

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{
        Authority, BOUNCES, Bounce, CHEN, Company, Letter, Outcome, PASSWORD, Scratch, address, free_address, run,
        servers_here,
    },
    peer::Scripted,
};

/// One place to write to, and a password in a file of its own.
struct Place {
    scratch: Scratch,
    password: PathBuf,
}

impl Place {
    fn new(password: &str) -> Self {
        let scratch = Scratch::new();
        let password = scratch.write("typed.password", format!("{password}\n"));
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("our own file");
        Self { scratch, password }
    }

    fn config(&self) -> PathBuf {
        self.scratch.path().join("etc/config.toml")
    }

    /// Runs `init` with these arguments, to which the place is added.
    fn init(&self, arguments: &[&str], typed: &str) -> Outcome {
        let config = self.config().display().to_string();
        let mut all = vec!["init", "--config", config.as_str()];
        // No name server outside is asked: nobody listens there.
        let silent = free_address().to_string();
        if !arguments.contains(&"--resolver") {
            all.extend(["--resolver", silent.as_str()]);
        }
        all.extend(arguments);
        run(&all, typed.as_bytes())
    }

    /// Answers nothing: everything is given, the password by file.
    fn quietly(&self, arguments: &[&str]) -> Outcome {
        let password = self.password.display().to_string();
        let mut all = vec!["--yes", "--domain", "corp.example.cn", "--password-file", password.as_str()];
        all.extend(arguments);
        self.init(&all, "")
    }

    fn command(&self, arguments: &[&str]) -> Outcome {
        let config = self.config().display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", config.as_str()]);
        run(&all, b"")
    }
}

#[test]
fn a_script_comes_from_nothing_to_a_configuration_that_check_accepts() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    let letter = company.write_in_vain(CHEN, "first");
    company.inbox(BOUNCES).wait_for("the bounce", |it| it.text().contains(&letter.message_id));
    let place = Place::new(PASSWORD);
    let (imap, smtp) = (company.dovecot.imap.to_string(), company.postfix.smtp.to_string());
    let done = place.quietly(&[
        "--imap",
        &imap,
        "--imap-tls",
        "none",
        "--user",
        BOUNCES,
        "--smtp",
        &smtp,
        "--smtp-tls",
        "none",
        "--smtp-user",
        "none",
        "--from",
        "why@corp.example.cn",
        "--helpdesk",
        "IT 服务台（分机 8001）",
        "--language",
        "zh-CN",
    ]);
    assert_eq!(done.status, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("1 of 1") && done.stdout.contains("没有送到"), "{}", done.stdout);
    assert!(done.stdout.contains(&letter.to) && done.stdout.contains("to chen@corp.example.cn"), "{}", done.stdout);
    assert!(!done.stdout.contains(PASSWORD));
    assert!(company.postfix.log().matches("from=<why@").count() == 0, "nothing was sent");

    let text = fs::read_to_string(place.config()).expect("written");
    assert!(text.contains("mode = \"dry_run\"") && text.contains("folder = [\"INBOX\", \"Junk\"]"), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    let mode = fs::metadata(place.config()).expect("written").permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
    let check = place.command(&["check"]);
    assert_eq!(check.status, 0, "{}{}", check.stdout, check.stderr);

    let once = place.command(&["run", "--once"]);
    assert_eq!(once.status, 0, "{}", once.stderr);
    let rows = place.command(&["journal", "list", "--format", "json"]).json();
    assert_eq!((rows.len(), &rows[0]["cause"]), (1, &"user_unknown".into()), "{rows:?}");

    let again = place.quietly(&["--imap", &imap]);
    assert_eq!(again.status, 78, "a configuration is not overwritten: {}", again.stdout);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
}

#[test]
fn a_person_s_wrong_answers_are_told_and_asked_again() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    let place = Place::new("");
    let (imap, smtp) = (company.dovecot.imap.to_string(), company.postfix.smtp.to_string());
    let nowhere = free_address().to_string();
    let typed = [
        "qq.com",
        "corp.example.cn",
        "de",
        "auto",
        // IMAP and SMTP servers; the first listens nowhere.
        &nowhere,
        &smtp,
        // A login for the server that is not there, then the right server and a wrong password.
        BOUNCES,
        "wrong",
        &imap,
        BOUNCES,
        PASSWORD,
        // Folders: one that is missing, then the usual ones.
        "INBOX, 退信",
        "",
        // The way out, mode, helpdesk.
        "why@corp.example.cn",
        "redirect",
        "nobody",
        "it@corp.example.cn",
        "",
        "",
    ];
    let done = place.init(
        &["--provider", "local", "--imap-tls", "none", "--smtp-tls", "none", "--smtp-user", "none"],
        &typed.join("\n"),
    );
    let said = &done.stdout;
    assert_eq!(done.status, 0, "{said}{}", done.stderr);
    for sentence in [
        "qq.com",                                // a public mail domain
        "`de` is none of them",                  // no such language
        "nothing listens there",                 // wrong port
        "the user or the password is not right", // wrong password
        "there is no folder `退信`",
        "`nobody` is not an address",
    ] {
        assert!(said.contains(sentence), "{sentence} is missing from\n{said}");
    }
    let secret = place.scratch.path().join("etc/mailbox.password");
    assert_eq!(fs::read_to_string(&secret).expect("written"), format!("{PASSWORD}\n"));
    assert_eq!(fs::metadata(&secret).expect("written").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(place.config()).expect("written");
    assert!(text.contains("redirect_to = \"it@corp.example.cn\""), "{text}");
    assert_eq!(place.command(&["check"]).status, 0);
}

/// A provider's server that answers one command so; what a script then reads, cause and remedy.
fn refused(provider: &str, command: &str, answer: &str) -> String {
    let imap = FakeImap::start("ID");
    imap.on(command, Say::text(&format!("{{tag}} NO {answer}\r\n")));
    let place = Place::new("hunter2");
    let server = imap.server.address.to_string();
    let done = place.quietly(&["--provider", provider, "--imap", &server, "--imap-tls", "none", "--user", BOUNCES]);
    assert_eq!(done.status, 69, "{provider} {answer}: {}{}", done.stdout, done.stderr);
    assert!(!place.config().exists(), "nothing is written");
    assert!(!done.stderr.contains("hunter2") && !done.stdout.contains("hunter2"));
    done.stderr
}

#[test]
fn every_refusal_is_one_sentence_with_the_provider_s_own_remedy() {
    for (provider, command, answer, because, remedy) in [
        (
            "netease",
            "EXAMINE",
            "EXAMINE Unsafe Login. Please contact kefu@188.com for help",
            "NetEase distrusts",
            "IMAP ID",
        ),
        ("netease", "LOGIN", "LOGIN Login error or password error", "user or the password", "授权码"),
        ("exmail", "LOGIN", "Login fail. Please using authorized code to login.", "app password", "客户端专用密码"),
        (
            "exmail",
            "LOGIN",
            "Login fail. Account is abnormal, service is not open",
            "IMAP is switched off",
            "IMAP/SMTP 服务",
        ),
        ("aliyun", "LOGIN", "[AUTHENTICATIONFAILED] LOGIN failed", "user or the password", "三方客户端安全密码"),
        ("google", "LOGIN", "[ALERT] Application-specific password required", "app password", "apppasswords"),
        (
            "google",
            "LOGIN",
            "[ALERT] Your account is not enabled for IMAP use.",
            "switched off",
            "Forwarding and POP/IMAP",
        ),
        ("263", "LOGIN", "second factor required", "two-step", "客户端授权码"),
        ("coremail", "LOGIN", "too many failed logins", "locked", "wait an hour"),
    ] {
        let said = refused(provider, command, answer);
        assert!(said.contains(because), "{provider} {answer}: {because} is missing from {said}");
        let hint = said.split("hint: ").nth(1).unwrap_or_default();
        assert!(hint.contains(remedy), "{provider} {answer}: {remedy} is missing from {hint}");
    }
}

#[test]
fn a_wrong_host_port_or_tls_mode_names_its_remedy() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = crate::harness::Dovecot::start(&[BOUNCES]);
    let place = Place::new(PASSWORD);
    let (plain, tls, nowhere) = (dovecot.imap.to_string(), dovecot.imaps.to_string(), free_address().to_string());
    for (server, mode, because, remedy) in [
        (nowhere.as_str(), "implicit", "refused", "nothing listens there"),
        (plain.as_str(), "implicit", "does not answer in TLS", "starttls"),
        (tls.as_str(), "none", "no answer", "implicit"),
        (tls.as_str(), "implicit", "signed by a CA we do not know", "ca_file"),
    ] {
        let done = place.quietly(&["--imap", server, "--imap-tls", mode, "--user", BOUNCES, "--directory", "/tmp"]);
        assert_eq!(done.status, 69, "{server} {mode}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(because), "{server} {mode}: {}", done.stderr);
        let hint = done.stderr.split("hint: ").nth(1).unwrap_or_default();
        assert!(hint.contains(remedy), "{server} {mode}: {hint}");
    }
    // A mail server where IMAP was expected.
    let mail = Scripted::start(|peer| {
        peer.send("220 mx.corp.example.cn ESMTP\r\n");
        while peer.line().is_some() {}
    });
    for mode in ["none", "starttls"] {
        let at = mail.address.to_string();
        let done = place.quietly(&["--imap", &at, "--imap-tls", mode, "--user", BOUNCES, "--directory", "/tmp"]);
        assert!(done.stderr.contains("IMAP is on port 993"), "{mode}: {}", done.stderr);
    }
    // A known provider's servers are named where another was typed.
    let done = place.quietly(&["--provider", "exmail", "--imap", &nowhere, "--user", BOUNCES, "--directory", "/tmp"]);
    assert!(done.stderr.contains("imap.exmail.qq.com:993"), "{}", done.stderr);
}

#[test]
fn a_self_signed_certificate_is_named_and_trusted_by_its_fingerprint() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let (mut dovecot, scratch) = (crate::harness::Dovecot::start(&[BOUNCES]), Scratch::new());
    let own = Authority::self_signed(&scratch, "own");
    dovecot.replace_certificate(&own);
    dovecot.stop();
    dovecot.start_again();
    let place = Place::new(PASSWORD);
    let tls = dovecot.imaps.to_string();
    let arguments = ["--imap", &tls, "--imap-tls", "implicit", "--user", BOUNCES, "--directory", "/tmp"];
    let refused = place.quietly(&arguments);
    assert!(refused.stderr.contains("is self-signed") && refused.stderr.contains("--imap-fingerprint"), "{refused:?}");
    let done = place.quietly(&[&arguments[..], &["--imap-fingerprint", &own.fingerprint()]].concat());
    assert_eq!(done.status, 0, "{}{}", done.stdout, done.stderr);
}

/// A name server that knows one name of each kind: `(question's first labels, type, record data)`.
fn name_server(records: Vec<(&'static str, u16, Vec<u8>)>) -> String {
    let socket = UdpSocket::bind((address(), 0)).expect("our own address");
    let at = socket.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let query = &buffer[..length];
            // RFC 1035 §4.1: the question follows twelve octets, its name ends with a null label.
            let end = 12 + query[12..].iter().position(|&it| it == 0).unwrap_or(0) + 1;
            let name = String::from_utf8_lossy(&query[12..end]).to_lowercase();
            let kind = u16::from_be_bytes([query[end], query[end + 1]]);
            let found = records.iter().find(|(labels, it, _)| *it == kind && name.contains(labels));
            let mut answer = query[..2].to_vec();
            answer.extend([
                0x81,
                if found.is_some() { 0x80 } else { 0x83 },
                0,
                1,
                0,
                u8::from(found.is_some()),
                0,
                0,
                0,
                0,
            ]);
            answer.extend(&query[12..end + 4]);
            if let Some((_, _, data)) = found {
                answer.extend([0xc0, 12]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
                answer.extend(data);
            }
            let _ = socket.send_to(&answer, peer);
        }
    });
    at
}

fn labels(name: &str) -> Vec<u8> {
    let mut octets: Vec<u8> = Vec::new();
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).expect("short"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

#[test]
fn the_provider_is_known_by_its_mx_and_servers_by_srv_and_autoconfig() {
    const MX: u16 = 15;
    const SRV: u16 = 33;
    let place = Place::new("p");
    // Nobody is there to log in to: what was found stands in the error, with the provider's name before it.
    let mx = name_server(vec![("corp", MX, [vec![0, 5], labels("mxbiz1.qq.com")].concat())]);
    let done = place.init(&["--domain", "corp.example.cn", "--resolver", &mx, "--language", "en", "--print"], "\n\n");
    assert!(done.stdout.contains("Tencent Exmail") && done.stdout.contains("MX mxbiz1.qq.com"), "{}", done.stdout);
    assert!(done.stdout.contains("[imap.exmail.qq.com:993]"), "{}", done.stdout);
    assert!(done.stdout.contains("[smtp.exmail.qq.com:465]"), "{}", done.stdout);
    assert_eq!(done.status, 64, "the login is not answered: {}", done.stderr);

    let record = |port: u16, host: &str| [vec![0, 0, 0, 1], port.to_be_bytes().to_vec(), labels(host)].concat();
    let srv = name_server(vec![
        ("_imaps", SRV, record(10_993, "imap.corp.example.cn")),
        ("_submission\u{4}", SRV, record(587, "smtp.corp.example.cn")),
    ]);
    let done = place.init(&["--domain", "corp.example.cn", "--resolver", &srv, "--language", "en", "--print"], "\n\n");
    assert!(done.stdout.contains("SRV records"), "{}", done.stdout);
    assert!(done.stdout.contains("[imap.corp.example.cn:10993]"), "{}", done.stdout);
    assert!(done.stdout.contains("[smtp.corp.example.cn:587]"), "{}", done.stdout);

    let web = Scripted::start(|peer| {
        while peer.line().is_some_and(|line| !line.is_empty()) {}
        let xml = "<incomingServer type=\"imap\"><hostname>in.%EMAILDOMAIN%</hostname><port>993</port>\
                   <socketType>SSL</socketType></incomingServer>";
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{xml}", xml.len()));
    });
    let nothing = name_server(Vec::new());
    let url = format!("http://{}/config.xml", web.address);
    let arguments = ["--domain", "corp.example.cn", "--resolver", &nothing, "--language", "en", "--autoconfig", &url];
    let done = place.init(&arguments, "\n\n");
    assert!(done.stdout.contains("autoconfig") && done.stdout.contains("[in.corp.example.cn:993]"), "{}", done.stdout);
}

#[test]
fn a_person_agrees_in_a_browser_and_the_refresh_token_is_kept() {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let tokens = Scripted::start(move |peer| {
        let Some(first) = peer.line() else { return };
        let mut length = 0;
        while let Some(line) = peer.line().filter(|it| !it.is_empty()) {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let form = String::from_utf8_lossy(&peer.bytes(length).unwrap_or_default()).into_owned();
        let (status, body) = if first.contains("/device") {
            (
                200,
                r#"{"device_code":"d3vice","user_code":"ABCD-1234","verification_uri":"https://login.example/device","interval":0,"expires_in":60}"#,
            )
        } else if form.contains("grant_type=refresh_token") && form.contains("refresh_token=r3fresh") {
            (200, r#"{"access_token":"t0ken","expires_in":3600}"#)
        } else if form.contains("device_code=d3vice") && counter.fetch_add(1, Ordering::SeqCst) > 1 {
            (200, r#"{"access_token":"t0ken","refresh_token":"r3fresh","expires_in":3600}"#)
        } else {
            (400, r#"{"error":"authorization_pending"}"#)
        };
        peer.send(format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
    });
    let imap = FakeImap::start("AUTH=XOAUTH2 SASL-IR ID");
    let letter = Letter::new("chen", "nobody@example.net", "first");
    imap.put(1, Bounce::of(&letter).text());
    let place = Place::new("");
    let (base, server) = (format!("http://{}", tokens.address), imap.server.address.to_string());
    let done = place.init(
        &[
            "--yes",
            "--domain",
            "corp.example.cn",
            "--provider",
            "microsoft365",
            "--imap",
            &server,
            "--imap-tls",
            "none",
            "--user",
            BOUNCES,
            "--directory",
            "out",
            "--oauth-client-id",
            "app",
            "--oauth-tenant",
            "corp.example.cn",
            "--oauth-device-url",
            &format!("{base}/device"),
            "--oauth-token-url",
            &format!("{base}/token"),
        ],
        "",
    );
    assert_eq!(done.status, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("ABCD-1234") && done.stdout.contains("https://login.example/device"),
        "{}",
        done.stdout
    );
    assert_eq!(asked.load(Ordering::SeqCst), 3, "twice pending, then agreed");
    let token = fs::read_to_string(place.scratch.path().join("etc/mailbox.refresh-token")).expect("written");
    assert_eq!(token, "r3fresh\n");
    let text = fs::read_to_string(place.config()).expect("written");
    assert!(text.contains("refresh_token_file = \"mailbox.refresh-token\"") && !text.contains("r3fresh"), "{text}");
    assert!(imap.commands().iter().any(|it| it.starts_with("AUTHENTICATE XOAUTH2 ")), "{:?}", imap.commands());
    assert!(!imap.commands().iter().any(|it| it.starts_with("SELECT")), "only examined: {:?}", imap.commands());
}

#[test]
fn a_probe_that_must_bounce_is_waited_for() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    config.set("smtp.from", BOUNCES);
    let done = config.run(&["check", "--format", "json", "--probe", "nobody@example.net", "--patience", "60s"]);
    let lines = done.json();
    let probe: Vec<_> = lines.iter().filter(|it| it["check"] == "probe").collect();
    assert_eq!(done.status, 0, "{lines:#?}");
    assert_eq!(probe.len(), 2, "{lines:#?}");
    assert!(probe[1]["detail"].as_str().is_some_and(|it| it.contains("folder INBOX")), "{}", probe[1]);
    // A daemon that sees it explains it to nobody.
    let once = config.run(&["run", "--once"]);
    assert_eq!(once.status, 0, "{}", once.stderr);
    let rows = config.run(&["journal", "list", "--all", "--format", "json"]).json();
    assert!(rows.iter().all(|it| it["state"] != "sent"), "{rows:#?}");
    assert!(!company.postfix.log().contains("WB-"), "no explanation went out");

    // Who does exist sends nothing back.
    let in_vain = config.run(&["check", "--format", "json", "--probe", "lee@example.net", "--patience", "0s"]);
    assert_eq!(in_vain.status, 75, "{}", in_vain.stdout);
}

#[test]
fn check_tells_a_refused_login_with_the_provider_s_remedy_and_a_second_daemon() {
    let imap = FakeImap::start("ID");
    imap.on("LOGIN", Say::text("{tag} NO Please using authorized code to login\r\n"));
    let place = Place::new("hunter2");
    let config = place.scratch.write(
        "config.toml",
        format!(
            "domains = ['corp.example.cn']\n[[mailbox]]\nhost = '{}'\nport = {}\ntls = 'none'\nuser = '{BOUNCES}'\n\
             password_file = 'typed.password'\n[smtp]\ndirectory = 'out'\nfrom = '{BOUNCES}'\n\
             [evidence]\nenabled = false\n[journal]\nurl = 'sqlite:journal.db'\n",
            imap.server.address.ip(),
            imap.server.address.port()
        ),
    );
    let done = run(&["check", "--format", "json", "--config", &config.display().to_string()], b"");
    assert_eq!(done.status, 69, "{}", done.stdout);
    let lines = done.json();
    let of =
        |check: &str| lines.iter().find(|it| it["check"] == check).unwrap_or_else(|| panic!("{check}: {lines:#?}"));
    let mailbox = of(&format!("mailbox {BOUNCES}"));
    assert!(mailbox["detail"].as_str().is_some_and(|it| it.contains("wants an app password")), "{mailbox}");
    assert!(mailbox["remedy"].is_string(), "{mailbox}");
    assert_eq!(of("disk")["result"], "fine");
    assert_eq!(of("daemons")["result"], "fine");
    for check in ["configuration", "rules", "texts", "clock", "smtp directory", "journal"] {
        of(check);
    }
}
