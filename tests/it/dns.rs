//! Evidence against a real name server, and against such as misbehave: what is asked, what is
//! made of the answer, and that nothing that goes wrong keeps a diagnosis from being told.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::harness::{Bounce, Config, Knot, Letter, Manner, NameServer, Scratch, address, run, servers_here};

/// One name for each situation.
pub(crate) const WORLD: &str = "\
ok.example. MX 10 mx.ok.example.\n\
mx.ok.example. A 198.51.100.25\n\
null.example. MX 0 .\n\
six.example. MX 10 mx.six.example.\n\
mx.six.example. AAAA 2001:db8::25\n\
nohost.example. MX 10 gone.nohost.example.\n\
empty.example. TXT \"nothing but this\"\n\
plain.example. A 198.51.100.26\n\
alias.example. CNAME middle.example.\n\
middle.example. CNAME ok.example.\n\
loop.example. CNAME pool.example.\n\
pool.example. CNAME loop.example.\n\
xn--fsqu00a.example. MX 10 mx.ok.example.\n";

/// A bounce of a letter to this address: nobody was reached.
pub(crate) fn timed_out(to: &str) -> String {
    let letter = Letter::new("chen", to, "evidence");
    let mut bounce = Bounce::of(&letter);
    bounce.status = "4.4.1";
    "connect to mx.buyer.example[198.51.100.25]:25: Connection timed out".clone_into(&mut bounce.diagnostic);
    bounce.text()
}

/// A company whose chen has a receipt for mail to zhang.san@buyer.example; and a bounce of chen's
/// next, in which two letters are swapped.
pub(crate) fn delivered() -> (Config, String) {
    let mut config = Config::new();
    let maildir = config.path("Maildir");
    for folder in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(folder)).expect("our own directory");
    }
    let mut receipt = Bounce::of(&Letter::new("chen", "zhang.san@buyer.example", "first"));
    (receipt.action, receipt.status) = ("delivered", "2.1.5");
    "250 2.1.5 Delivered".clone_into(&mut receipt.diagnostic);
    std::fs::write(maildir.join("new/1.1.host"), receipt.text()).expect("our own directory");
    let out = config.path("out").display().to_string();
    config.set("mailbox.0.name", "local").set("mailbox.0.maildir", maildir.display().to_string());
    config.set("smtp.from", "why@corp.example.cn").set("smtp.directory", out);
    let done = config.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    (config, Bounce::of(&Letter::new("chen", "zhang.sna@buyer.example", "second")).text())
}

/// The one recipient of each mail in `diagnose --evidence`, asking this server.
#[track_caller]
pub(crate) fn diagnosed(mails: &[String], server: SocketAddr) -> Vec<Value> {
    let scratch = Scratch::new();
    for (number, mail) in mails.iter().enumerate() {
        scratch.write(&format!("{number:04}.eml"), mail);
    }
    let (folder, server) = (scratch.path().display().to_string(), server.to_string());
    let arguments = ["diagnose", "--evidence", "--resolver", &server, "--format", "json", "--config", "/none", &folder];
    let done = run(&arguments, b"");
    assert_eq!(done.status, 0, "{}", done.stderr);
    let all: Vec<Value> = done.json().into_iter().map(|it| it["bounces"][0].clone()).collect();
    assert_eq!(all.len(), mails.len());
    all
}

/// `check: result` of each observation.
fn seen(recipient: &Value) -> Vec<String> {
    let all = recipient["evidence"].as_array().expect("a list");
    all.iter()
        .map(|it| {
            let words = |it: &Value| it.as_str().expect("words").to_owned();
            format!("{}: {}", words(&it["check"]), words(&it["answer"]["result"]))
        })
        .collect()
}

#[test]
fn each_situation_of_a_domain_is_told_apart() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let huge: String = (0..200).map(|it| format!("huge.example. MX {it} mx-{it:0>60}.ok.example.\n")).collect();
    let knot = Knot::start(&format!("{WORLD}{huge}"));
    let situations = [
        ("ok.example", "connection_timeout", &["mx: found", "mx_host: found", "registry: found"][..]),
        ("none.example", "host_unknown", &["mx: no_such_name", "near_miss: no_record"]),
        ("null.example", "null_mx", &["mx: found", "near_miss: no_record"]),
        (
            "six.example",
            "connection_timeout",
            &["mx: found", "mx_host: no_record", "mx_host: found", "registry: found"],
        ),
        (
            "nohost.example",
            "no_mail_host",
            &["mx: found", "mx_host: no_such_name", "mx_host: no_such_name", "near_miss: no_record"],
        ),
        (
            "empty.example",
            "no_mail_host",
            &["mx: no_record", "address: no_record", "address: no_record", "near_miss: no_record"],
        ),
        ("plain.example", "connection_timeout", &["mx: no_record", "address: found", "registry: found"]),
        ("alias.example", "connection_timeout", &["mx: found", "cname: found", "mx_host: found", "registry: found"]),
        ("broken.example", "connection_timeout", &["mx: unavailable", "registry: found"]),
        ("例.example", "host_unknown", &["mx: no_such_name", "near_miss: no_record"]),
        ("例子.example", "connection_timeout", &["mx: found", "mx_host: found", "registry: found"]),
        // A chain without end leads to no host.
        (
            "loop.example",
            "no_mail_host",
            &["mx: no_record", "address: no_record", "address: no_record", "near_miss: no_record"],
        ),
    ];
    let mails: Vec<String> = situations.iter().map(|it| timed_out(&format!("wang@{}", it.0))).collect();
    for ((domain, cause, expected), it) in situations.iter().zip(diagnosed(&mails, knot.address)) {
        let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!((it["cause"].as_str(), seen(&it)), (Some(*cause), expected), "{domain}: {it:#}");
        let all = it["evidence"].as_array().unwrap();
        for one in all {
            for key in ["check", "subject", "question", "answer", "verdict", "resolver", "at", "ms"] {
                assert!(!one[key].is_null(), "{key} of {one}");
            }
            let by = one["resolver"].as_str().unwrap();
            assert!(
                by == "catalogue" || one["answer"]["result"] == "unavailable" || by == knot.address.to_string(),
                "{by}"
            );
        }
    }
    // An answer that takes TCP, and is cut to what is shown.
    let it = &diagnosed(&[timed_out("wang@huge.example")], knot.address)[0];
    assert_eq!(it["cause"], "connection_timeout", "{it:#}");
    assert_eq!(it["evidence"][0]["answer"]["detail"].as_array().map(Vec::len), Some(16));
}

#[test]
fn a_server_that_misbehaves_takes_nothing_away() {
    let plain = run(&["diagnose", "--format", "json", "-"], timed_out("wang@buyer.example").as_bytes());
    let plain = &plain.json()[0]["bounces"][0];
    for manner in [Manner::Silent, Manner::Garbling, Manner::Lame, Manner::Truncating, Manner::Guessing, Manner::Lying]
    {
        let server = NameServer::start(manner);
        let it = &diagnosed(&[timed_out("wang@buyer.example")], server.address)[0];
        for key in ["cause", "confidence", "acts", "permanent", "rule"] {
            assert_eq!(it[key], plain[key], "{manner:?} {key}: {it:#}");
        }
        let told = it["evidence"].to_string();
        match manner {
            Manner::Lying => assert!(told.contains("\"check\":\"resolver\""), "{told}"),
            Manner::Lame => assert!(told.contains("REFUSED"), "{told}"),
            Manner::Silent | Manner::Garbling | Manner::Truncating | Manner::Guessing | Manner::Forwarding(_) => {
                assert!(told.contains("\"result\":\"unavailable\""), "{manner:?} {told}");
            }
        }
        let text = run(
            &[
                "explain",
                "--evidence",
                "--resolver",
                &server.address.to_string(),
                "--config",
                "/none",
                "--lang",
                "en",
                "-",
            ],
            timed_out("wang@buyer.example").as_bytes(),
        );
        assert_eq!(text.status, 0, "{}", text.stderr);
        assert!(text.stdout.contains("wang@buyer.example"), "{}", text.stdout);
    }
}

#[test]
fn names_from_a_hostile_bounce_are_never_asked() {
    let server = NameServer::start(Manner::Lame);
    let long = format!("{}.example", "a".repeat(300));
    let deep = format!("{}.example", "a.b.c".repeat(100));
    let domains = ["localhost", "[10.0.0.1]", "127.0.0.1", "mail.local", "router.lan", &long, &deep];
    diagnosed(&domains.map(|it| timed_out(&format!("wang@{it}"))), server.address);
    let asked = server.asked();
    let others: Vec<&String> = asked.iter().filter(|it| !it.starts_with("wb-")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn evidence_is_kept_with_the_bounce() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let knot = Knot::start(WORLD);
    let mut config = Config::new();
    let maildir = config.path("Maildir");
    for folder in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(folder)).expect("our own directory");
    }
    std::fs::write(maildir.join("new/1.1.host"), timed_out("wang@none.example")).expect("our own directory");
    let out = config.path("out").display().to_string();
    config.set("mailbox.0.name", "local").set("mailbox.0.maildir", maildir.display().to_string());
    config.set("smtp.from", "why@corp.example.cn").set("smtp.directory", out);
    config.set("evidence.enabled", true).set("evidence.resolvers", vec![knot.address.to_string()]);
    let done = config.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let listed = config.run(&["journal", "list", "--format", "json"]);
    assert_eq!(listed.json()[0]["cause"], "host_unknown", "{}", listed.stdout);
    let id = listed.json()[0]["id"].to_string();
    let shown = config.run(&["journal", "show", &id]);
    let line = format!("mx: none.example MX: no such name ({}", knot.address);
    assert!(shown.stdout.contains(&line), "{}", shown.stdout);
    // Weighed again from the journal it comes to the same.
    let again = config.run(&["replay"]);
    assert!(again.stdout.contains("0 differ"), "{}", again.stdout);
}

#[test]
fn what_a_person_wrote_to_before_is_proposed_to_that_person_and_asked_of_nobody() {
    let server = NameServer::start(Manner::Lame);
    let (mut config, chens) = delivered();
    config.set("evidence.enabled", true).set("evidence.resolvers", vec![server.address.to_string()]);
    let lis = Bounce::of(&Letter::new("li", "zhang.sna@buyer.example", "third")).text();
    for (number, mail) in [(2, chens), (3, lis)] {
        std::fs::write(config.path(&format!("Maildir/new/{number}.1.host")), mail).expect("our own directory");
    }
    let done = config.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let rows = config.run(&["journal", "list", "--format", "json"]).json();
    let told = |author: &str| {
        let row = rows.iter().find(|it| it["person"] == author && it["cause"] == "user_unknown");
        let row = row.unwrap_or_else(|| panic!("{author} is not in {rows:#?}"));
        config.run(&["journal", "show", &row["id"].to_string()]).stdout
    };
    let (chen, li) = (told("chen@corp.example.cn"), told("li@corp.example.cn"));
    assert!(chen.contains("您以前发给 zhang.san@buyer.example 的邮件是送到了的"), "{chen}");
    assert!(!li.contains("zhang.san"), "{li}");
    let asked = server.asked();
    assert!(!asked.is_empty() && asked.iter().all(|it| !it.contains("zhang")), "{asked:?}");
}

#[test]
fn port_25_counts_only_while_the_control_host_answers() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let own = address();
    let Ok(open) = TcpListener::bind((own, 25)) else { panic!("port 25 of {own} is free, and we are root") };
    // The next address of this process's own block: nobody listens there.
    let std::net::IpAddr::V4(four) = own else { panic!("an IPv4 address") };
    let closed = std::net::Ipv4Addr::from_bits(four.to_bits() ^ 0x0080_0000);
    let zone = format!(
        "open.example. MX 10 mx.open.example.\nmx.open.example. A {own}\n\
         closed.example. MX 10 mx.closed.example.\nmx.closed.example. A {closed}\n"
    );
    let knot = Knot::start(&zone);
    let mut config = Config::new();
    let out = config.path("out").display().to_string();
    config.set("smtp.from", "why@corp.example.cn").set("smtp.directory", out);
    config.set("evidence.resolvers", vec![knot.address.to_string()]).set("evidence.probe_port_25", true);
    let probe = |config: &Config, domain: &str| {
        let file = config.file().display().to_string();
        let mail = timed_out(&format!("wang@{domain}"));
        let done = run(&["diagnose", "--evidence", "--format", "json", "--config", &file, "-"], mail.as_bytes());
        assert_eq!(done.status, 0, "{}", done.stderr);
        let all = done.json()[0]["bounces"][0]["evidence"].clone();
        let one = all.as_array().unwrap().iter().find(|it| it["check"] == "port_25").cloned().expect("a probe");
        format!("{} {}", one["answer"]["result"].as_str().unwrap(), one["verdict"].as_str().unwrap())
    };
    config.set("evidence.probe_control", format!("{own}:25"));
    assert_eq!(probe(&config, "open.example"), "found contradicts");
    assert_eq!(probe(&config, "closed.example"), "no_record confirms");
    drop(open);
    assert_eq!(probe(&config, "closed.example"), "unavailable neutral");
}
