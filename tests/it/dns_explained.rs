//! What of the evidence a reader gets to see: each check with each of its outcomes, asked of a
//! real name server.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use regex::Regex;
use tokio::runtime::Runtime;
use whybounced::{
    app::Checked,
    bounce::Recognition,
    diagnosis::{Catalogue, Home},
    evidence::{Settings, dns::Resolver},
    journal::{Access, Journal},
    mail::{Language, Mailbox},
    reply::{self, Audience, Texts},
};

use crate::{
    dns::{delivered, timed_out},
    harness::{Bounce, Knot, Letter, Manner, NameServer, address, run, servers_here},
};

/// The company with everything in order, and with nothing so.
const GOOD: &str = "\
corp.example.cn. MX 10 mail.corp.example.cn.\n\
mail.corp.example.cn. A 203.0.113.8\n\
corp.example.cn. TXT \"v=spf1 ip4:203.0.113.8 -all\"\n\
s1._domainkey.corp.example.cn. TXT \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ\"\n\
_dmarc.corp.example.cn. TXT \"v=DMARC1; p=none\"\n\
8.113.0.203.in-addr.arpa. PTR mail.corp.example.cn.\n";
const BAD: &str = "\
corp.example.cn. MX 10 mail.corp.example.cn.\n\
mail.corp.example.cn. A 203.0.113.9\n\
corp.example.cn. TXT \"v=spf1 ip4:203.0.113.9 -all\"\n\
8.113.0.203.bl.example. A 127.0.0.2\n\
8.113.0.203.refusing.example. A 127.255.255.254\n";
/// What more can be wrong with a record, each laid over the company that is in order.
const FAULTS: [(&str, &str, &str, &str); 10] = [
    ("no SPF", "corp.example.cn. TXT", "", "spf"),
    ("SPF of two records", "corp.example.cn. TXT", "\"v=spf1 mx -all\"\ncorp.example.cn. TXT \"v=spf1 -all\"", "spf"),
    ("SPF with an error", "corp.example.cn. TXT", "\"v=spf1 ip4:203.0.113.300 -all\"", "spf"),
    (
        "SPF over ten look-ups",
        "corp.example.cn. TXT",
        "\"v=spf1 a a a a a a a a a a a -all\"\ncorp.example.cn. A 203.0.113.20",
        "spf",
    ),
    ("SPF in doubt", "corp.example.cn. TXT", "\"v=spf1 ?all\"", "spf"),
    ("key withdrawn", "s1._domainkey.corp.example.cn. TXT", "\"v=DKIM1; p=\"", "dkim"),
    ("key broken", "s1._domainkey.corp.example.cn. TXT", "\"v=DKIM1; k=rsa\"", "dkim"),
    ("policy broken", "_dmarc.corp.example.cn. TXT", "\"v=DMARC1; p=maybe\"", "dmarc"),
    ("name leads elsewhere", "mail.corp.example.cn. A", "203.0.113.99", "ptr"),
    ("another's name", "8.113.0.203.in-addr.arpa. PTR", "host-8.isp.example.", "ptr"),
];
const WORLD: &str = "\
ok.example. MX 10 mx.ok.example.\nmx.ok.example. A 198.51.100.25\n\
plain.example. A 198.51.100.26\nnull.example. MX 0 .\nempty.example. TXT \"nothing\"\n\
alias.example. CNAME ok.example.\n";

/// Asks this server, also about our own side.
fn settings(knot: &Knot) -> Settings {
    Settings {
        resolvers: vec![knot.address],
        budget: Duration::from_secs(30),
        sending_ips: vec!["203.0.113.8".parse().expect("an address")],
        dkim_selectors: vec!["s1".to_owned()],
        blocklists: vec!["bl.example".to_owned(), "refusing.example".to_owned()],
        ..Settings::default()
    }
}

/// The lines of an explanation that tell what was checked, made the same on every run.
fn checked(explanation: &str) -> String {
    let marks = ["Looked up (", "查过（", "1. Did you mean", "1. 要发的是", "1. Your mail to", "1. 您以前发给"];
    let kept = explanation.lines().map(str::trim).filter(|it| marks.iter().any(|mark| it.starts_with(mark)));
    let mut text = kept.collect::<Vec<_>>().join("\n");
    for (pattern, instead) in [
        (r"127\.\d+\.\d+\.\d+:\d+", "NAMESERVER"),
        (r"wb-[0-9a-f]{32}", "wb-RANDOM"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d", "TIME"),
        (r"\d\d:\d\d", "TIME"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, instead).into_owned();
    }
    text
}

/// Who asks and explains, loaded once.
struct Desk {
    catalogue: Catalogue,
    texts: Texts,
    runtime: Runtime,
}

impl Desk {
    fn open() -> Self {
        // Where our documentation networks stand.
        let catalogue = Catalogue::with_overlay(&[("cn-ranges.txt", "192.0.2.0 192.0.2.255\n")]).expect("sound");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { catalogue, texts: Texts::embedded(), runtime }
    }

    /// The evidence in the administrator's explanation and in the author's, in both languages.
    #[track_caller]
    fn explained(&self, settings: &Settings, mail: &str) -> String {
        self.explained_to(settings, mail, None)
    }

    #[track_caller]
    fn explained_to(&self, settings: &Settings, mail: &str, delivered: Option<(&Journal, &Mailbox)>) -> String {
        let Recognition::Bounce(bounce) = whybounced::bounce::recognise(mail.as_bytes()) else { panic!("{mail}") };
        let resolver = Resolver::new(settings).expect("a resolver");
        let domains = ["corp.example.cn".to_owned()];
        let checked_by =
            Checked { catalogue: &self.catalogue, resolver: Some(&resolver), settings, domains: &domains, delivered };
        let findings = self.runtime.block_on(checked_by.findings(&bounce, Home::MainlandChina));
        let cause = findings[0].diagnosis.cause.as_str().to_owned();
        let mut all = format!("cause: {cause}\n");
        let cases = [(bounce.clone(), findings)];
        let readers = [
            ("admin", Audience::Administrator, Language::en()),
            ("admin", Audience::Administrator, Language::zh_cn()),
            ("author", Audience::Author, Language::en()),
            ("author", Audience::Author, Language::zh_cn()),
        ];
        for (reader, audience, language) in readers {
            let now = Timestamp::now();
            let tag = language.as_str().to_owned();
            let plan = reply::preview_plan(&bounce, vec![language], now);
            let text = reply::render_parts(&self.texts, &company(), &plan, &cases, audience, now).text;
            let _ = writeln!(all, "[{reader}, {tag}]\n{}", checked(&text));
        }
        all
    }
}

fn company() -> reply::Settings {
    reply::Settings::plain(Mailbox::parse("why@corp.example.cn").expect("an address"), TimeZone::UTC)
}

fn refused(status: &'static str, diagnostic: &str) -> String {
    let mut letter = Letter::new("chen", "wang@ok.example", "refused");
    "Received: from mail.corp.example.cn (mail.corp.example.cn [203.0.113.8])\n by mx.ok.example (Postfix) with ESMTP id 7\n for <wang@ok.example>\n".clone_into(&mut letter.more);
    let mut bounce = Bounce::of(&letter);
    bounce.status = status;
    diagnostic.clone_into(&mut bounce.diagnostic);
    bounce.text()
}

#[test]
fn checks_of_the_recipients_domain() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let knot = Knot::start(WORLD);
    let settings = settings(&knot);
    let desk = Desk::open();
    let mut all = String::new();
    for to in [
        "wang@ok.example",
        "wang@alias.example",
        "wang@plain.example",
        "wang@empty.example",
        "wang@null.example",
        "wang@none.example",
        "wang@gmial.com",
        "wang@broken.example",
    ] {
        let _ = writeln!(all, "######## {to}\n{}", desk.explained(&settings, &timed_out(to)));
    }
    let inside = timed_out("wang@ok.example").replace("[198.51.100.25]", "[192.0.2.25]");
    let _ = writeln!(all, "######## inside\n{}", desk.explained(&settings, &inside));
    for (title, manner) in [("silent", Manner::Silent), ("refusing", Manner::Lame), ("lying", Manner::Lying)] {
        let server = NameServer::start(manner);
        let budget = Duration::from_millis(500);
        let settings = Settings { resolvers: vec![server.address], budget, ..settings.clone() };
        let _ = writeln!(all, "######## {title}\n{}", desk.explained(&settings, &timed_out("wang@ok.example")));
    }
    insta::assert_snapshot!("checks_of_the_recipients_domain", all);
}

#[test]
fn checks_of_port_25() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let IpAddr::V4(own) = address() else { panic!("an IPv4 address") };
    let open = TcpListener::bind((own, 25)).expect("it is free, and we are root");
    // The next address of this process's own block: nobody listens there.
    let closed = Ipv4Addr::from_bits(own.to_bits() ^ 0x0080_0000);
    let knot = Knot::start(&format!(
        "open.example. MX 10 mx.open.example.\nmx.open.example. A {own}\n\
         closed.example. MX 10 mx.closed.example.\nmx.closed.example. A {closed}\n"
    ));
    let control = Some(SocketAddr::new(IpAddr::V4(own), 25));
    let settings = Settings { probe_port_25: true, probe_control: control, ..settings(&knot) };
    let desk = Desk::open();
    let mut all = String::new();
    for to in ["wang@open.example", "wang@closed.example"] {
        let _ = writeln!(all, "######## {to}\n{}", desk.explained(&settings, &timed_out(to)));
    }
    drop(open);
    let dead = desk.explained(&settings, &timed_out("wang@closed.example"));
    let _ = writeln!(all, "######## wang@closed.example, control host dead\n{dead}");
    let all = all.replace(&own.to_string(), "OPEN").replace(&closed.to_string(), "CLOSED");
    insta::assert_snapshot!("checks_of_port_25", all);
}

#[test]
fn checks_of_the_local_part() {
    let (config, mail) = delivered();
    let desk = Desk::open();
    let server = NameServer::start(Manner::Lame);
    let settings = Settings { resolvers: vec![server.address], ..Settings::default() };
    let mut all = String::new();
    for person in ["chen@corp.example.cn", "li@corp.example.cn"] {
        let path = config.path("journal.db").display().to_string();
        let journal = whybounced::journal::Settings {
            url: format!("sqlite:{path}").into(),
            retain: jiff::SignedDuration::from_hours(24),
        };
        let journal = desk.runtime.block_on(Journal::open(&journal, Access::Read)).expect("the journal");
        let person = Mailbox::parse(person).expect("an address");
        let said = desk.explained_to(&settings, &mail, Some((&journal, &person)));
        let _ = writeln!(all, "######## {person}\n{said}");
    }
    insta::assert_snapshot!("checks_of_the_local_part", all);
}

#[test]
fn checks_of_our_own_side() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let desk = Desk::open();
    let mut all = String::new();
    for (state, zone) in [("in order", GOOD), ("out of order", BAD)] {
        let knot = Knot::start(zone);
        let settings = settings(&knot);
        for (charge, mail) in [
            (
                "listed",
                refused("5.7.1", "554 5.7.1 Service unavailable; Client host [203.0.113.8] blocked using bl.example"),
            ),
            ("no name", refused("5.7.25", "550 5.7.25 Client host rejected: cannot find your hostname, [203.0.113.8]")),
            ("not authenticated", refused("5.7.23", "550 5.7.23 SPF validation failed")),
        ] {
            let _ = writeln!(all, "######## {state}, {charge}\n{}", desk.explained(&settings, &mail));
        }
    }
    insta::assert_snapshot!("checks_of_our_own_side", all);
}

#[test]
fn faults_of_our_own_side() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let desk = Desk::open();
    let mut all = String::new();
    let mut knot = Knot::start(GOOD);
    let settings = settings(&knot);
    for (title, place, value, charge) in FAULTS {
        let mut zone: Vec<String> =
            GOOD.lines().filter(|it| !it.starts_with(&format!("{place} "))).map(str::to_owned).collect();
        zone.extend((!value.is_empty()).then(|| format!("{place} {value}")));
        knot.publish(&zone.join("\n"));
        let mail = match charge {
            "ptr" => refused("5.7.25", "550 5.7.25 Client host rejected: cannot find your hostname, [203.0.113.8]"),
            _ => refused("5.7.23", "550 5.7.23 SPF validation failed"),
        };
        let said = desk.explained(&settings, &mail);
        let marks: &[&str] = match charge {
            "spf" => &["cause", "[", "(SPF)", "（SPF）"],
            "dkim" => &["cause", "[", "(DKIM)", "（DKIM）"],
            "dmarc" => &["cause", "[", "(DMARC)", "DMARC"],
            _ => &[""],
        };
        let kept: Vec<&str> = said.lines().filter(|it| marks.iter().any(|mark| it.contains(mark))).collect();
        let _ = writeln!(all, "######## {title}\n{}\n", kept.join("\n"));
    }
    insta::assert_snapshot!("faults_of_our_own_side", all);
}

#[test]
fn an_explanation_without_answers_says_so() {
    let server = NameServer::start(Manner::Lame);
    let mail = timed_out("wang@ok.example");
    let address = server.address.to_string();
    for language in ["en", "zh-CN"] {
        let done = run(
            &["explain", "--evidence", "--resolver", &address, "--config", "/none", "--lang", language, "-"],
            mail.as_bytes(),
        );
        let told =
            if language == "en" { "no answer about ok.example" } else { "域名 ok.example 这次没有查到结果" };
        assert!(done.stdout.contains(told), "{}", done.stdout);
    }
}
