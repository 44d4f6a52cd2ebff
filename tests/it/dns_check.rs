//! `check --dns` against a good and a bad company; and its own advice, taken word for word.

use serde_json::Value;

use crate::harness::{Config, Knot, Manner, NameServer, servers_here};

const KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDHzqqI7gC1BQIDAQAB";

/// Everything wrong that can be: two SPF records, a bad term, too many look-ups, no key, a wrong policy, no name.
fn bad() -> String {
    let mut zone = String::from(
        "corp.example.cn. MX 10 mx1.corp.example.cn.\nmx1.corp.example.cn. A 203.0.113.20\n\
         corp.example.cn. TXT \"v=spf1 mx -all\"\ncorp.example.cn. TXT \"v=spf1 include:s1.example.net -all\"\n\
         s1.example.net. TXT \"v=spf1 ip4:198.51.100.1 -all\"\n\
         _dmarc.corp.example.cn. TXT \"v=DMARC1; p=\"\n\
         second.example.cn. MX 10 mx1.corp.example.cn.\nsecond.example.cn. TXT \"v=spf1 ip4:203.0.113.300 mx -all\"\n\
         third.example.cn. MX 10 mx1.corp.example.cn.\n\
         fourth.example.cn. MX 10 mx1.corp.example.cn.\n\
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
    config.set("domains", vec!["corp.example.cn", "second.example.cn", "third.example.cn", "fourth.example.cn"]);
    config.set("evidence.resolvers", vec![knot.address.to_string()]);
    config.set("evidence.sending_ips", vec!["203.0.113.8", "203.0.113.9", "2001:db8::25"]);
    config.set("evidence.dkim_selectors", vec!["s1"]).set("evidence.blocklists", vec!["bl.example"]);
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
        ("dkim corp.example.cn s1", "no key"),
        ("dmarc corp.example.cn", "no policy"),
        ("dmarc third.example.cn", "no policy"),
        ("ptr 203.0.113.8", "no name"),
        ("ptr 203.0.113.9", "does not lead back"),
        ("ptr 2001:db8::25", "no name"),
    ] {
        let line = of(&lines, name);
        assert_eq!(line["result"], "failed", "{line}");
        assert!(line["detail"].as_str().unwrap().contains(detail), "{line}");
        assert!(line["record"].is_string() && line["remedy"].is_string(), "{line}");
        let asked = line["asked"].as_str().unwrap();
        assert!(asked.contains(&knot.address.to_string()), "{asked}");
    }
    assert_eq!(of(&lines, "blocklist 203.0.113.8 bl.example")["result"], "fine");
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
    knot.publish(&format!("{first}\n8.113.0.203.bl.example. A 127.0.0.2\n9.113.0.203.bl.example. A 127.255.255.254\n"));
    let (lines, status) = check(&config);
    assert_eq!(status, 69);
    assert_eq!(of(&lines, "blocklist 203.0.113.8 bl.example")["result"], "failed");
    assert_eq!(of(&lines, "blocklist 203.0.113.9 bl.example")["result"], "warning");
    let text = config.run(&["check", "--dns"]).stdout;
    assert!(
        text.contains("FAILED  blocklist 203.0.113.8") && text.contains("asked 8.113.0.203.bl.example A"),
        "{text}"
    );
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
