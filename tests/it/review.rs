//! The review page: in a real Chromium as people use it, and by hand-made requests as others might.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use super::harness::{
    Bounce, Daemon, Desk, Letter,
    browser::{Browser, http},
    free_address, servers_here, wait_for,
};

const PASSWORD: &str = "review \"opens\" 开门";
const READER: &str = "only looks";

/// A desk with a page: bounces of several kinds, one that is not understood twice over, one hostile.
struct Page {
    desk: Desk,
    daemon: Daemon,
    listen: std::net::SocketAddr,
}

impl Page {
    fn open() -> Self {
        let mut desk = Desk::open().without_limits();
        let listen = free_address();
        for (name, secret) in [("page.secret", PASSWORD), ("reader.secret", READER)] {
            fs::write(desk.config.path(name), format!("{secret}\n")).expect("our own directory");
        }
        let path = |name: &str| desk.config.path(name).display().to_string();
        let (page, reader, rules) = (path("page.secret"), path("reader.secret"), path("rules.d"));
        desk.config.set("review.listen", listen.to_string()).set("review.password_file", page);
        desk.config.set("review.reader_password_file", reader).set("catalogue.rules_dir", rules);
        let daemon = Daemon::start(&desk.config);
        desk.bounce("chen", "unknown-user");
        for name in ["riddle-one", "riddle-two"] {
            let mut bounce = Bounce::of(&Letter::new("chen", &format!("{name}@riddle.example"), name));
            bounce.status = "5.0.0";
            bounce.diagnostic = format!("554 The velvet turnstile declines parcel {name}77123 this evening");
            desk.inbox().deliver(bounce.text().as_bytes());
        }
        let mut ours = Bounce::of(&Letter::new("chen", "anna@strict.example", "ours"));
        ours.status = "5.7.1";
        ours.diagnostic = String::from("554 5.7.1 Client host [192.0.2.9] blocked using bl.example.org");
        desk.inbox().deliver(ours.text().as_bytes());
        let mut hostile = Letter::new("chen", "wang@evil.example", "hostile");
        hostile.subject = String::from("<script>document.title='owned'</script><img src=x onerror=alert(1)>");
        let mut bounce = Bounce::of(&hostile);
        bounce.diagnostic = String::from("550 5.1.1 <b onmouseover=alert(1)>User unknown</b> \u{202e}gnp.exe");
        desk.inbox().deliver(bounce.text().as_bytes());
        desk.all_dealt_with();
        wait_for("the page", || std::net::TcpStream::connect(listen).ok());
        Self { desk, daemon, listen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// The row of the bounce at this recipient.
    fn row(&self, recipient: &str) -> String {
        let rows = self.desk.config.run(&["journal", "list", "--recipient", recipient, "--format", "json"]).json();
        rows.first().unwrap_or_else(|| panic!("{recipient} is not in the journal"))["id"].to_string()
    }
}

/// axe-core's script (npm), fetched once.
fn axe() -> &'static str {
    static AXE: OnceLock<String> = OnceLock::new();
    AXE.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/axe");
        let file = root.join("node_modules/axe-core/axe.min.js");
        if !file.exists() {
            fs::create_dir_all(&root).expect("our own directory");
            let done = Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--prefix"])
                .arg(&root)
                .arg("axe-core@4")
                .output();
            let done = done.expect("npm is there");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        fs::read_to_string(file).expect("axe-core holds it")
    })
}

/// Looks at one view at both widths: no barrier, no complaint, nothing wider than the window.
#[track_caller]
fn inspect(browser: &Browser, page: &Page, path: &str, name: &str) {
    for (width, height, kind) in [(1280, 1000, "desk"), (375, 800, "phone")] {
        browser.resize(width, height);
        browser.open(&page.url(path));
        assert_eq!(browser.barriers(axe()), Vec::<String>::new(), "{path} at {width}");
        let over = browser.run("return document.scrollingElement.scrollWidth - window.innerWidth");
        assert!(over.as_i64().is_some_and(|it| it <= 0), "{path} at {width} is {over} too wide");
        browser.picture(&format!("{name}-{kind}"));
    }
    browser.resize(1280, 1000);
}

#[test]
fn every_view_and_action_works_in_a_browser() {
    if !servers_here(&["dovecot", "chromium", "chromedriver"]) {
        return;
    }
    let page = Page::open();
    let browser = Browser::start("en");
    browser.resize(1280, 1000);
    browser.open(&page.url("/bounces"));
    assert!(browser.run("return location.pathname") == "/login", "the list is not shown to strangers");
    inspect(&browser, &page, "/login", "login");
    browser.fill("password", "guess");
    browser.submit("/login");
    assert!(browser.text().contains("That password is wrong."), "{}", browser.text());
    // The refusal itself is what the console tells of.
    browser.complaints();
    browser.fill("password", PASSWORD);
    browser.submit("/login");
    assert!(browser.text().contains("Overview"), "{}", browser.text());

    let (known, riddle) = (page.row("nobody@example.net"), page.row("riddle-one@riddle.example"));
    let hostile = page.row("wang@evil.example");
    for (path, name) in [
        ("/", "overview"),
        ("/?span=month", "overview-month"),
        ("/bounces", "bounces"),
        ("/bounces?text=hostile", "bounces-none"),
        (&*format!("/bounces/{known}"), "bounce"),
        (&*format!("/bounces/{hostile}"), "hostile"),
        ("/undetermined", "undetermined"),
        ("/rules", "rules"),
        ("/rules?text=mailbox%20is%20full", "rules-try"),
        (&*format!("/rules/new?bounce={riddle}"), "rule"),
        ("/outbox", "outbox"),
        ("/outbox?state=sent", "outbox-sent"),
        ("/settings", "settings"),
    ] {
        inspect(&browser, &page, path, name);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    hostile_mail_stays_text(&browser, &page, &hostile);
    what_is_ours_to_mend_comes_with_its_steps(&browser, &page);
    a_riddle_becomes_a_rule(&browser, &page, &riddle);
    people_are_written_to(&browser, &page, &known);
    chinese_is_one_click_away(&browser, &page);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    browser.open(&page.url("/"));
    browser.submit("/logout");
    browser.open(&page.url("/settings"));
    assert!(browser.run("return location.pathname") == "/login", "logged out");
}

fn what_is_ours_to_mend_comes_with_its_steps(browser: &Browser, page: &Page) {
    browser.open(&page.url("/"));
    assert!(browser.text().contains("192.0.2.9") && browser.text().contains("What to do"), "{}", browser.text());
    let way = browser.run("return document.querySelector('a[href*=\"#remedy\"]').getAttribute('href')");
    browser.open(&page.url(way.as_str().expect("a link")));
    let text = browser.text();
    assert!(text.contains("What to do on our side") && text.contains("1. "), "{text}");
}

fn hostile_mail_stays_text(browser: &Browser, page: &Page, id: &str) {
    for path in ["/bounces".to_owned(), format!("/bounces/{id}")] {
        browser.open(&page.url(&path));
        assert!(browser.text().contains("<script>document.title="), "{}", browser.text());
        assert_ne!(browser.run("return document.title"), "owned");
        assert_eq!(browser.run("return document.querySelectorAll('script, main img, main b').length"), 0);
        assert!(!browser.text().contains('\u{202e}'));
    }
}

fn a_riddle_becomes_a_rule(browser: &Browser, page: &Page, id: &str) {
    browser.open(&page.url("/undetermined"));
    assert!(browser.text().contains("2×"), "both are one group: {}", browser.text());
    browser.open(&page.url(&format!("/bounces/{id}")));
    browser.fill("right", "greylisted");
    browser.submit(&format!("/bounces/{id}/wrong"));
    assert!(browser.text().contains("Marked as wrong."), "{}", browser.text());
    browser.open(&page.url(&format!("/rules/new?bounce={id}")));
    browser.fill("cause", "greylisted");
    browser.fill("phrase", "no such words in it");
    browser.submit("/rules/preview");
    assert!(browser.text().contains("does not "), "{}", browser.text());
    browser.fill("phrase", "velvet turnstile declines");
    browser.submit("/rules/preview");
    browser.picture("rule-preview");
    assert!(browser.text().contains("2 bounces would be told otherwise"), "{}", browser.text());
    browser.submit("/rules/save");
    assert!(browser.text().contains("saved and in force"), "{}", browser.text());
    page.daemon.wait_for_log("the configuration was read again");
    let letter = Letter::new("chen", "third@riddle.example", "riddle-three");
    let mut bounce = Bounce::of(&letter);
    bounce.status = "5.0.0";
    bounce.diagnostic = String::from("554 The velvet turnstile declines parcel 9 today");
    page.desk.inbox().deliver(bounce.text().as_bytes());
    page.desk.wait_explained(&letter);
    let row =
        page.desk.config.run(&["journal", "list", "--recipient", "third@riddle.example", "--format", "json"]).json();
    assert_eq!(row[0]["cause"], "greylisted", "{row:?}");
    let cookie = format!("whybounced_session={}", browser.cookie("whybounced_session"));
    let samples = http(page.listen, "GET", "/samples.jsonl", &[("Cookie", &cookie)], "").body;
    assert!(samples.contains("\"right\":\"greylisted\"") && !samples.contains("riddle.example"), "{samples}");
}

fn people_are_written_to(browser: &Browser, page: &Page, id: &str) {
    let before = page.desk.out.accepted().len();
    browser.open(&page.url(&format!("/bounces/{id}")));
    browser.submit(&format!("/bounces/{id}/send"));
    wait_for("the explanation once more", || (page.desk.out.accepted().len() > before).then_some(()));
    browser.open(&page.url(&format!("/bounces/{id}")));
    browser.fill("member", "li@corp.example.cn");
    browser.submit(&format!("/bounces/{id}/send-to"));
    let copy = wait_for("the copy", || page.desk.out.accepted().into_iter().find(|it| it.to == ["li@corp.example.cn"]));
    assert!(copy.header("To").contains("li@corp.example.cn"), "{}", copy.text);
    browser.open(&page.url(&format!("/bounces/{id}")));
    assert!(browser.text().contains("review: administrator"), "who did it is on record: {}", browser.text());
    browser.submit("/domains/mute");
    assert!(browser.text().contains("Muted."), "{}", browser.text());
    let letter = Letter::new("chen", "muted@example.net", "muted");
    page.desk.inbox().deliver(Bounce::of(&letter).text().as_bytes());
    let row = wait_for("its row", || {
        let rows =
            page.desk.config.run(&["journal", "list", "--recipient", "muted@example.net", "--format", "json"]).json();
        rows.into_iter().next()
    });
    assert_eq!(row["reasons"][0], "domain_muted", "{row}");
    browser.open(&page.url("/settings"));
    assert!(browser.text().contains("example.net"), "{}", browser.text());
    browser.submit("/domains/unmute");
    assert!(browser.text().contains("Explained again"), "{}", browser.text());
    for secret in [PASSWORD, READER, "correct horse"] {
        assert!(!browser.text().contains(secret), "a secret is shown");
    }
}

fn chinese_is_one_click_away(browser: &Browser, page: &Page) {
    browser.open(&page.url("/bounces?lang=zh-CN"));
    assert!(browser.text().contains("没收到的人"), "{}", browser.text());
    inspect(browser, page, "/", "overview-zh");
    inspect(browser, page, "/bounces", "bounces-zh");
    browser.open(&page.url("/?lang=en"));
}

#[test]
fn strangers_forgers_and_readers_are_kept_out() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let page = Page::open();
    let host = page.listen.to_string();
    let get = |path: &str, headers: &[(&str, &str)]| http(page.listen, "GET", path, headers, "");
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        http(page.listen, "POST", path, &[&form, headers].concat(), body)
    };
    let token = |html: &str| {
        let (_, rest) = html.split_once("name=\"token\" value=\"").expect("a form");
        rest.split_once('"').expect("a value").0.to_owned()
    };
    // Without a session, by a stranger's name, from another site, without the token.
    assert_eq!(get("/bounces", &[]).status, 303);
    assert_eq!(get("/", &[("Host", "evil.example")]).status, 421);
    let login = get("/login", &[]);
    let fresh = token(&login.body);
    assert_eq!(post("/login", &[("Origin", "http://evil.example")], &format!("token={fresh}&password=x")).status, 403);
    assert_eq!(post("/login", &[], "password=x").status, 403);
    assert_eq!(post("/login", &[], &format!("token={fresh}&password=x")).status, 401);
    let policy = login.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(login.header("x-frame-options"), Some("DENY"));
    // Readers look and change nothing.
    let welcome =
        post("/login", &[("Origin", &format!("http://{host}"))], &format!("token={fresh}&password=only+looks"));
    assert_eq!(welcome.status, 303, "{}", welcome.body);
    let set = welcome.header("set-cookie").expect("a session").to_owned();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = set.split(';').next().expect("a pair").to_owned();
    let id = page.row("nobody@example.net");
    let shown = get(&format!("/bounces/{id}"), &[("Cookie", &cookie)]);
    assert_eq!(shown.status, 200);
    assert!(!shown.body.contains(&format!("/bounces/{id}/send")), "no action is offered");
    let own = token(&get("/", &[("Cookie", &cookie)]).body);
    let refused = post(&format!("/bounces/{id}/send"), &[("Cookie", &cookie)], &format!("token={own}"));
    assert_eq!(refused.status, 403, "{}", refused.body);
    for path in ["/bounces/999999", "/bounces/nonsense", "/nothing", "/bounces/%00"] {
        assert_eq!(get(path, &[("Cookie", &cookie)]).status, 404, "{path}");
    }
    assert_eq!(get("/bounces?before=x", &[("Cookie", &cookie)]).status, 400);
    // Five wrong ones, and even the right one waits.
    for _ in 0..5 {
        post("/login", &[], &format!("token={fresh}&password=guess"));
    }
    assert_eq!(post("/login", &[], &format!("token={fresh}&password=only+looks")).status, 429);
    // Monitors need no session and learn nothing personal.
    assert_eq!(get("/healthz", &[]).status, 200);
    wait_for("readiness", || (get("/readyz", &[]).status == 200).then_some(()));
    let metrics = get("/metrics", &[]);
    assert!(metrics.body.contains("whybounced_bounces_last_day{name=\"user_unknown\"}"), "{}", metrics.body);
    assert!(metrics.body.ends_with("# EOF\n") && !metrics.body.contains('@'), "{}", metrics.body);
}

#[test]
fn the_page_is_served_alone_beside_a_daemon_and_refuses_to_be_open_to_others() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let mut desk = Desk::open();
    desk.config.set("review.listen", "0.0.0.0:8025");
    let refused = desk.config.run(&["check"]);
    assert_eq!(refused.status, 78, "{}{}", refused.stdout, refused.stderr);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("there is no password"), "{said}");
    let listen = free_address();
    desk.config.set("review.listen", listen.to_string());
    let mut daemon = Daemon::start(&desk.config);
    desk.all_dealt_with();
    wait_for("the page", || std::net::TcpStream::connect(listen).ok());
    assert_eq!(http(listen, "GET", "/bounces", &[], "").status, 200, "open on loopback without a password");
    // A page that is looked at does not hold up the end.
    let _idle = std::net::TcpStream::connect(listen).expect("it listens");
    let (status, took) = daemon.terminate();
    assert!(status.success() && took.as_secs() < 5, "{status} after {took:?}");
}
