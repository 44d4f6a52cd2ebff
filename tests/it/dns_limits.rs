//! What evidence may cost, whom it may trouble, and what it may overturn.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use whybounced::evidence::{Answer, EvidenceRequest, Observed, Settings, dns::Resolver};

use crate::{
    dns::{WORLD, diagnosed, timed_out},
    harness::{Bounce, Config, Knot, Letter, Manner, NameServer, servers_here},
};

#[test]
fn a_thousand_bounces_of_one_outage_ask_each_question_once() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let knot = Knot::start(WORLD);
    let counting = NameServer::start(Manner::Forwarding(knot.address));
    let settings =
        Settings { resolvers: vec![counting.address], budget: Duration::from_secs(20), ..Settings::default() };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let resolver = Resolver::new(&settings).expect("a resolver");
        let mut tasks = Vec::new();
        for _ in 0..1000 {
            let resolver = resolver.clone();
            tasks.push(tokio::spawn(async move {
                let request = EvidenceRequest::MailHosts("alias.example".to_owned());
                resolver.observe(&[request], jiff::Timestamp::now).await.observed
            }));
        }
        let mut first = None;
        for task in tasks {
            let seen = task.await.expect("no panic");
            assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen, "all are told the same");
        }
    });
    let mut asked = counting.asked();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all, "{asked:?}");
    assert!(asked.contains(&"alias.example 15".to_owned()), "{asked:?}");
}

#[test]
fn the_budget_is_kept_with_a_resolver_that_never_answers() {
    let server = NameServer::start(Manner::Silent);
    let settings = Settings { resolvers: vec![server.address], budget: Duration::from_secs(2), ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let requests: Vec<EvidenceRequest> =
        (0..30).map(|it| EvidenceRequest::MailHosts(format!("d{it}.example"))).collect();
    let (took, again) = runtime.block_on(async {
        let resolver = Resolver::new(&settings).expect("a resolver");
        let started = Instant::now();
        resolver.observe(&requests, jiff::Timestamp::now).await;
        let took = started.elapsed();
        let other = [EvidenceRequest::MailHosts("other.example".to_owned())];
        let started = Instant::now();
        resolver.observe(&other, jiff::Timestamp::now).await;
        (took, started.elapsed())
    });
    let _ = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("budget of 2 s: {} ms, then {} ms\n", took.as_millis(), again.as_millis()).as_bytes(),
    );
    // Exact on an idle machine; here only that nobody waits for each question in turn.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(again < Duration::from_secs(10), "{again:?}");
}

/// Asks by a resolver of its own, each list of requests after the other.
fn asked_in_turn(settings: &Settings, turns: &[EvidenceRequest]) -> Vec<Vec<Observed>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let resolver = Resolver::new(settings).expect("a resolver");
        let mut all = Vec::new();
        for request in turns {
            all.push(resolver.observe(std::slice::from_ref(request), jiff::Timestamp::now).await.observed);
        }
        all
    })
}

#[test]
fn an_answer_is_good_for_its_ttl_and_a_list_is_asked_once() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let knot = Knot::start(
        "8.113.0.203.bl.example. 0 A 127.0.0.2\n*.silent.example. CNAME nowhere.broken.example.\n\
         kept.example. 300 MX 0 .\nfleeting.example. 0 MX 0 .\n",
    );
    let counting = NameServer::start(Manner::Forwarding(knot.address));
    let settings =
        Settings { resolvers: vec![counting.address], budget: Duration::from_secs(30), ..Settings::default() };
    let listed = |zone: &str| EvidenceRequest::Blocklist {
        ip: "203.0.113.8".parse().expect("an address"),
        zone: zone.to_owned(),
    };
    let hosts = |domain: &str| EvidenceRequest::MailHosts(domain.to_owned());
    for (request, question, times) in [
        (hosts("kept.example"), "kept.example 15", 1),
        (hosts("fleeting.example"), "fleeting.example 15", 3),
        (listed("bl.example"), "8.113.0.203.bl.example 1", 1),
        (listed("empty.example"), "8.113.0.203.empty.example 1", 1),
        // One server is asked twice for what fails; and then not again.
        (listed("silent.example"), "8.113.0.203.silent.example 1", 2),
    ] {
        let all = asked_in_turn(&settings, &[request.clone(), request.clone(), request]);
        if times < 3 {
            assert_eq!(all[0], all[2], "with the time at which it was asked");
        }
        let asked = counting.asked().iter().filter(|it| *it == question).count();
        assert_eq!(asked, times, "{question}: {:?}", counting.asked());
    }
}

#[test]
fn where_one_server_fails_the_next_is_asked() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let knot = Knot::start(WORLD);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = [Manner::Silent, Manner::Garbling, Manner::Truncating, Manner::Lame].map(|manner| {
        let first = NameServer::start(manner);
        let settings = Settings {
            resolvers: vec![first.address, knot.address],
            budget: Duration::from_secs(15),
            ..Settings::default()
        };
        async move {
            let request = EvidenceRequest::MailHosts("ok.example".to_owned());
            let resolver = Resolver::new(&settings).expect("a resolver");
            let mut seen = resolver.observe(&[request], jiff::Timestamp::now).await.observed;
            (manner, seen.remove(0).observations.remove(0))
        }
    });
    for (manner, seen) in runtime.block_on(futures_util::future::join_all(all)) {
        assert_eq!(seen.answer, Answer::Found(vec!["10 mx.ok.example".to_owned()]), "{manner:?}");
        assert_eq!(seen.resolver, knot.address.to_string(), "{manner:?}");
    }
}

/// A bounce of a letter to this address, with these words.
fn refused(to: &str, status: &'static str, diagnostic: &str) -> String {
    let mut bounce = Bounce::of(&Letter::new("chen", to, "evidence"));
    bounce.status = status;
    diagnostic.clone_into(&mut bounce.diagnostic);
    bounce.text()
}

#[test]
fn the_dns_overturns_only_what_it_settles() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let knot = Knot::start(WORLD);
    let unknown = |domain: &str| {
        let words =
            format!("Host or domain name not found. Name service error for name={domain} type=A: Host not found");
        refused(&format!("wang@{domain}"), "5.4.4", &words)
    };
    let null = |domain: &str| {
        let words = format!("556 5.1.10 Domain {domain} does not accept mail (nullMX)");
        refused(&format!("wang@{domain}"), "5.1.10", &words)
    };
    let full = |domain: &str| refused(&format!("wang@{domain}"), "5.2.2", "552 5.2.2 Mailbox full");
    let late = |domain: &str| timed_out(&format!("wang@{domain}"));
    let table: &[(String, &str, &str, &str)] = &[
        // What was said, what it comes to, how sure, and what the MX says about it.
        (unknown("none.example"), "host_unknown", "certain", "confirms"),
        (unknown("ok.example"), "host_unknown", "likely", "contradicts"),
        (unknown("plain.example"), "host_unknown", "likely", "neutral"),
        (unknown("broken.example"), "host_unknown", "likely", "neutral"),
        (unknown("null.example"), "null_mx", "certain", "confirms"),
        (unknown("empty.example"), "no_mail_host", "certain", "confirms"),
        (unknown("nohost.example"), "no_mail_host", "certain", "confirms"),
        (null("none.example"), "host_unknown", "certain", "confirms"),
        (null("null.example"), "null_mx", "certain", "confirms"),
        (null("ok.example"), "null_mx", "certain", "neutral"),
        (late("none.example"), "host_unknown", "certain", "confirms"),
        (late("null.example"), "null_mx", "certain", "confirms"),
        (late("empty.example"), "no_mail_host", "certain", "confirms"),
        (late("six.example"), "connection_timeout", "certain", "neutral"),
        (late("plain.example"), "connection_timeout", "certain", "neutral"),
        (late("broken.example"), "connection_timeout", "certain", "neutral"),
        (full("none.example"), "mailbox_full", "certain", ""),
    ];
    let mails: Vec<String> = table.iter().map(|it| it.0.clone()).collect();
    let outcome = |server: SocketAddr| {
        let tell = |it: &serde_json::Value| {
            let words = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
            let all = it["evidence"].as_array().expect("a list");
            let mx = all.iter().find(|it| it["check"] == "mx").map(|it| words(&it["verdict"]));
            (words(&it["cause"]), words(&it["confidence"]), mx.unwrap_or_default())
        };
        diagnosed(&mails, server).iter().map(tell).collect::<Vec<_>>()
    };
    let subject = |mail: &String| mail.lines().find(|it| it.starts_with("Diagnostic-Code")).map(str::to_owned);
    let expected = table.iter().map(|it| (subject(&it.0), it.1.to_owned(), it.2.to_owned(), it.3.to_owned()));
    let found = table.iter().zip(outcome(knot.address)).map(|(row, it)| (subject(&row.0), it.0, it.1, it.2));
    let wrong: Vec<_> = expected.zip(found).enumerate().filter(|(_, (expected, found))| expected != found).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Before and after a resolver whose word counts for nothing.
    let lying = outcome(NameServer::start(Manner::Lying).address);
    let lame = outcome(NameServer::start(Manner::Lame).address);
    assert_eq!(lying, lame);
    assert!(lame.iter().zip(table).all(|(it, (mail, ..))| mail.contains("Host or") == (it.0 == "host_unknown")));
}

#[test]
fn nothing_private_is_asked_of_anybody() {
    let server = NameServer::start(Manner::Lame);
    let mut config = Config::new();
    let out = config.path("out").display().to_string();
    config.set("smtp.from", "why@corp.example.cn").set("smtp.directory", out);
    config.set("domains", vec!["corp.example.cn", "corp.internal"]);
    config.set("evidence.resolvers", vec![server.address.to_string()]);
    config.set("evidence.sending_ips", vec!["10.1.2.3", "192.168.7.7", "fd00::25", "100.64.1.1"]);
    config.set("evidence.blocklists", vec!["bl.example"]).set("evidence.dkim_selectors", vec!["s1"]);
    config.run(&["check", "--dns"]);
    let mut listed = Letter::new("secret.person", "customer.name@ok.example", "listed");
    "Received: from mail.corp.example.cn (mail.corp.example.cn [10.1.2.3])\n by mx.ok.example with ESMTP id 7\n"
        .clone_into(&mut listed.more);
    let mut bounce = Bounce::of(&listed);
    bounce.status = "5.7.1";
    "554 5.7.1 Client host [10.1.2.3] blocked using bl.example".clone_into(&mut bounce.diagnostic);
    let unknown = Bounce::of(&Letter::new("secret.person", "customer.name@ok.example", "unknown"));
    let file = config.file().display().to_string();
    for mail in [bounce.text(), unknown.text()] {
        let done = crate::harness::run(
            &["diagnose", "--evidence", "--format", "json", "--config", &file, "-"],
            mail.as_bytes(),
        );
        assert_eq!(done.status, 0, "{}", done.stderr);
    }
    let asked = server.asked();
    let mut names: Vec<&str> = asked.iter().filter_map(|it| it.split(' ').next()).collect();
    names.retain(|it| !it.starts_with("wb-"));
    assert!(names.contains(&"corp.example.cn") && names.contains(&"ok.example"), "{names:?}");
    for name in names {
        let public = name.ends_with("corp.example.cn") || name == "_dmarc.example.cn" || name == "ok.example";
        assert!(public, "{name} was asked");
    }
}
