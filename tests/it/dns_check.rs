//! `check --dns` against a good and a bad company; and its own advice, taken word for word.

use serde_json::Value;

use crate::harness::{Bounce, Config, Knot, Letter, Manner, NameServer, servers_here};

const KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDHzqqI7gC1BQIDAQAB";

const DOMAINS: [&str; 5] =
    ["corp.example.cn", "second.example.cn", "third.example.cn", "fourth.example.cn", "fifth.example.cn"];

/// Everything wrong that can be with a record, and with a name.
fn bad() -> String {
    let mut zone = String::from(
        "corp.example.cn. MX 10 mx1.corp.example.cn.\nmx1.corp.example.cn. A 203.0.113.20\n\
         corp.example.cn. TXT \"v=spf1 mx -all\"\ncorp.example.cn. TXT \"v=spf1 include:s1.example.net -all\"\n\
         s1.example.net. TXT \"v=spf1 ip4:198.51.100.1 -all\"\n\
         _dmarc.corp.example.cn. TXT \"v=DMARC1; p=\"\n\
         second.example.cn. MX 10 mx1.corp.example.cn.\nsecond.example.cn. TXT \"v=spf1 ip4:203.0.113.300 mx -all\"\n\
         third.example.cn. MX 10 mx1.corp.example.cn.\n\
         s1._domainkey.second.example.cn. TXT \"v=DKIM1; p=\"\n\
         s1._domainkey.third.example.cn. TXT \"v=DKIM1; k=rsa; p=(the key)\"\n\
         _dmarc.second.example.cn. TXT \"v=DMARC1; p=none\"\n_dmarc.second.example.cn. TXT \"v=DMARC1; p=reject\"\n\
         fourth.example.cn. MX 10 mx1.corp.example.cn.\n\
         fifth.example.cn. MX 10 mx1.corp.example.cn.\nfifth.example.cn. TXT \"v=spf1 ip4:198.51.100.7 -all\"\n\
         10.113.0.203.in-addr.arpa. PTR host-10.isp.example.\nhost-10.isp.example. A 203.0.113.99\n\
         9.113.0.203.in-addr.arpa. PTR wrong.corp.example.cn.\nwrong.corp.example.cn. A 203.0.113.99\n\
         0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. TXT \"\"\n",
    );
    let includes: Vec<String> = (0..12).map(|it| format!("include:i{it}.example.net")).collect();
    zone.extend(["fourth.example.cn. TXT \"v=spf1 ", &includes.join(" "), " -all\"\n"]);
    zone.extend((0..12).map(|it| format!("i{it}.example.net. TXT \"v=spf1 ip4:198.51.100.{it} -all\"\n")));
    zone
}

fn config(knot: &Knot) -> Config {
    let mut config = Config::new();
    let out = config.path("out").display().to_string();
    config.set("smtp.from", "why@corp.example.cn").set("smtp.directory", out);
    config.set("domains", DOMAINS.to_vec());
    config.set("evidence.resolvers", vec![knot.address.to_string()]);
    config.set("evidence.sending_ips", vec!["203.0.113.8", "203.0.113.9", "203.0.113.10", "2001:db8::25"]);
    config.set("evidence.dkim_selectors", vec!["s1"]).set("evidence.blocklists", vec!["spamhaus.example"]);
    config
}

/// The lines of `check --dns`, and its exit status.
#[track_caller]
fn check(config: &Config) -> (Vec<Value>, i32) {
    let done = config.run(&["check", "--dns", "--format", "json"]);
    (done.json(), done.status)
}

fn of<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    lines.iter().find(|it| it["check"] == check).unwrap_or_else(|| panic!("{check} is not in {lines:#?}"))
}

/// Takes the advice: what is to be published takes the place of what stood under that name and type.
fn published(zone: &str, lines: &[Value]) -> String {
    let mut zone: Vec<String> = zone.lines().map(str::to_owned).collect();
    let records = lines.iter().filter_map(|it| it["record"].as_str()).flat_map(str::lines);
    for record in records {
        let record = record.replace("p=KEY", &format!("p={KEY}"));
        let mut words = record.split(' ');
        let (name, kind) = (words.next().expect("a name"), words.next().expect("a type"));
        let place = format!("{name} {kind} ");
        zone.retain(|it| !it.starts_with(&place));
        zone.push(record);
    }
    zone.join("\n")
}

#[test]
fn its_advice_applied_turns_every_verdict() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let zone = bad();
    let mut knot = Knot::start(&zone);
    let config = config(&knot);
    let (lines, status) = check(&config);
    assert_eq!(status, 69, "{lines:#?}");
    for (name, detail) in [
        ("spf corp.example.cn", "2 SPF records"),
        ("spf second.example.cn", "`ip4:203.0.113.300`"),
        ("spf third.example.cn", "no SPF record"),
        ("spf fourth.example.cn", "12 look-ups"),
        ("spf fifth.example.cn", "fail: -all"),
        ("dkim corp.example.cn s1", "no key"),
        ("dkim second.example.cn s1", "withdrawn"),
        ("dkim third.example.cn s1", "not a key"),
        ("dmarc corp.example.cn", "no policy"),
        ("dmarc second.example.cn", "several"),
        ("dmarc third.example.cn", "no policy"),
        ("ptr 203.0.113.8", "no name"),
        ("ptr 203.0.113.9", "does not lead back"),
        ("ptr 203.0.113.10", "is not ours"),
        ("ptr 2001:db8::25", "no name"),
    ] {
        let line = of(&lines, name);
        assert_eq!(line["result"], "failed", "{line}");
        assert!(line["detail"].as_str().unwrap().contains(detail), "{line}");
        assert!(line["record"].is_string() && line["remedy"].is_string(), "{line}");
        let asked = line["asked"].as_str().unwrap();
        assert!(asked.contains(&knot.address.to_string()), "{asked}");
    }
    assert_eq!(of(&lines, "blocklist 203.0.113.8 spamhaus.example")["result"], "fine");
    // Where mail comes in stays as it is.
    let all = lines.iter().filter_map(|it| it["record"].as_str()).collect::<Vec<_>>().join("\n");
    assert!(!all.contains("mx1.corp.example.cn. A"), "{all}");
    // Once is enough for all but a record that two things are wrong with.
    let better = published(&zone, &lines);
    knot.publish(&better);
    let (lines, status) = check(&config);
    let wrong: Vec<&Value> = lines.iter().filter(|it| it["result"] != "fine").collect();
    assert_eq!((wrong, status), (Vec::new(), 0), "{better}");
    let kept = of(&lines, "spf corp.example.cn")["detail"].as_str().unwrap();
    assert!(kept.contains("include:s1.example.net"), "what was allowed stays allowed: {kept}");
}

#[test]
fn a_listing_is_told_and_a_refusal_is_none() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let zone = bad();
    let mut knot = Knot::start(&zone);
    let config = config(&knot);
    let first = published(&zone, &check(&config).0);
    knot.publish(&format!(
        "{first}\n8.113.0.203.spamhaus.example. A 127.0.0.2\n9.113.0.203.spamhaus.example. A 127.255.255.254\n"
    ));
    let (lines, status) = check(&config);
    assert_eq!(status, 69);
    let listed = of(&lines, "blocklist 203.0.113.8 spamhaus.example");
    assert_eq!(listed["result"], "failed");
    assert!(listed["remedy"].as_str().unwrap().contains("https://check.spamhaus.org/"), "{listed}");
    assert_eq!(of(&lines, "blocklist 203.0.113.9 spamhaus.example")["result"], "warning");
    let text = config.run(&["check", "--dns"]).stdout;
    assert!(
        text.contains("FAILED  blocklist 203.0.113.8") && text.contains("asked 8.113.0.203.spamhaus.example A"),
        "{text}"
    );
    // The list was asked for removal.
    knot.publish(&first);
    assert_eq!(check(&config).1, 0);
}

#[test]
fn the_host_of_a_bounce_is_looked_into_and_its_name_set_right() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let zone = "corp.example.cn. MX 10 mx1.corp.example.cn.\nmx1.corp.example.cn. A 203.0.113.20\n\
                corp.example.cn. TXT \"v=spf1 mx ip4:203.0.113.8 -all\"\n_dmarc.corp.example.cn. TXT \"v=DMARC1; p=none\"\n\
                gw.corp.example.cn. A 203.0.113.7\n8.113.0.203.in-addr.arpa. PTR gw.corp.example.cn.";
    let mut knot = Knot::start(zone);
    let mut config = config(&knot);
    let maildir = config.path("Maildir");
    for folder in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(maildir.join(folder)).expect("our own directory");
    }
    let mut letter = Letter::new("chen", "wang@ok.example", "refused");
    "Received: from gw.corp.example.cn (gw.corp.example.cn [203.0.113.8])\n by mx.ok.example (Postfix) with ESMTP id 7\n"
        .clone_into(&mut letter.more);
    std::fs::write(maildir.join("new/1.1.host"), Bounce::of(&letter).text()).expect("our own directory");
    config.set("mailbox.0.name", "local").set("mailbox.0.maildir", maildir.display().to_string());
    config.set("domains", vec!["corp.example.cn"]).set("evidence.sending_ips", Vec::<String>::new());
    config.set("evidence.dkim_selectors", Vec::<String>::new());
    let done = config.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let (lines, status) = check(&config);
    assert_eq!(status, 69, "{lines:#?}");
    assert!(of(&lines, "sending_ips")["detail"].as_str().unwrap().starts_with("203.0.113.8"));
    assert_eq!(of(&lines, "helo 203.0.113.8")["record"], "gw.corp.example.cn. A 203.0.113.8");
    assert_eq!(of(&lines, "ptr 203.0.113.8")["record"], "gw.corp.example.cn. A 203.0.113.8");
    knot.publish(&published(zone, &lines));
    let (lines, status) = check(&config);
    assert_eq!((of(&lines, "helo 203.0.113.8")["result"].as_str(), status), (Some("fine"), 0), "{lines:#?}");
    assert_eq!(of(&lines, "ptr 203.0.113.8")["result"], "fine");
}

#[test]
fn what_cannot_be_asked_is_not_called_wrong() {
    let server = NameServer::start(Manner::Lame);
    let mut config = Config::new();
    let out = config.path("out").display().to_string();
    config.set("smtp.from", "why@corp.example.cn").set("smtp.directory", out);
    config.set("evidence.resolvers", vec![server.address.to_string()]).set("evidence.sending_ips", vec!["203.0.113.8"]);
    let (lines, status) = check(&config);
    assert_eq!(status, 75, "{lines:#?}");
    assert!(lines.iter().all(|it| it["result"] != "failed"), "{lines:#?}");
}
