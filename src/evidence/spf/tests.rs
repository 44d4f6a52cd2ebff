//! The evaluation against the standard, by zones as text.

use super::{
    evaluate::{Run, evaluate, lookups},
    *,
};
use crate::evidence::Answer;

/// `name TYPE value` lines.
fn zone(text: &str) -> Known {
    let mut known = Known::new();
    for line in text.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (name, kind, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
        let question = match kind {
            "TXT" => Question::Txt(name.to_owned()),
            "A" => Question::A(name.to_owned()),
            "AAAA" => Question::Aaaa(name.to_owned()),
            "MX" => Question::Mx(name.to_owned()),
            "PTR" => Question::Ptr(name.parse().unwrap()),
            other => panic!("{other}"),
        };
        let answer = match value {
            "-" => Answer::NoSuchName,
            "!" => Answer::Unavailable("SERVFAIL".to_owned()),
            value => Answer::Found(vec![value.to_owned()]),
        };
        match (known.get_mut(&question), answer) {
            (Some(Answer::Found(all)), Answer::Found(more)) => all.extend(more),
            (_, answer) => drop(known.insert(question, answer)),
        }
    }
    known
}

fn result(zone_text: &str, ip: &str) -> (SpfResult, String) {
    let it = evaluate("corp.example", ip.parse().unwrap(), &zone(zone_text)).unwrap();
    (it.result, it.reason)
}

#[test]
fn each_mechanism_matches_what_it_names() {
    let base = "mail.corp.example A 192.0.2.10\nmail.corp.example AAAA 2001:db8::10\ncorp.example MX 10 mail.corp.example.\n\
                corp.example A 192.0.2.80\n192.0.2.99 PTR host.corp.example.\nhost.corp.example A 192.0.2.99\n\
                99.2.0.192.ok.example A 127.0.0.2\n";
    for (term, ip) in [
        ("mx", "192.0.2.10"),
        ("mx", "2001:db8::10"),
        ("a", "192.0.2.80"),
        ("a/24", "192.0.2.5"),
        ("a:mail.corp.example", "192.0.2.10"),
        ("ip4:192.0.2.0/28", "192.0.2.15"),
        ("ip6:2001:db8::/32", "2001:db8:ffff::1"),
        ("ptr", "192.0.2.99"),
        ("exists:%{ir}.ok.example", "192.0.2.99"),
    ] {
        let zone = format!("{base}corp.example TXT v=spf1 {term} -all");
        assert_eq!(result(&zone, ip), (SpfResult::Pass, term.to_owned()), "{term} {ip}");
    }
    let zone = format!("{base}corp.example TXT v=spf1 ip4:192.0.2.0/28 ~all");
    assert_eq!(result(&zone, "192.0.2.16"), (SpfResult::SoftFail, "~all".to_owned()));
}

#[test]
fn include_and_redirect_go_where_they_point() {
    let zone = "corp.example TXT v=spf1 include:p.example redirect=r.example\n\
                p.example TXT v=spf1 ip4:192.0.2.1 -all\nr.example TXT v=spf1 ip4:192.0.2.2 -all";
    assert_eq!(result(zone, "192.0.2.1").0, SpfResult::Pass);
    assert_eq!(result(zone, "192.0.2.2").0, SpfResult::Pass);
    assert_eq!(result(zone, "192.0.2.3").0, SpfResult::Fail);
    assert_eq!(
        result("corp.example TXT v=spf1 include:p.example -all\np.example TXT -", "192.0.2.1").0,
        SpfResult::PermError
    );
    assert_eq!(
        result("corp.example TXT v=spf1 include:p.example -all\np.example TXT !", "192.0.2.1").0,
        SpfResult::TempError
    );
    assert_eq!(result("corp.example TXT v=spf1 include:corp.example -all", "192.0.2.1").0, SpfResult::PermError);
}

#[test]
fn none_neutral_and_several() {
    assert_eq!(result("corp.example TXT -", "192.0.2.1").0, SpfResult::None);
    assert_eq!(result("corp.example TXT hello", "192.0.2.1").0, SpfResult::None);
    assert_eq!(result("corp.example TXT v=spf1", "192.0.2.1").0, SpfResult::Neutral);
    assert_eq!(
        result("corp.example TXT v=spf1 -all\ncorp.example TXT v=spf1 +all", "192.0.2.1").0,
        SpfResult::PermError
    );
    assert_eq!(result("corp.example TXT v=spf1 +all foo", "192.0.2.1").0, SpfResult::PermError);
}

#[test]
fn the_limits_are_ten_and_two() {
    let names = |n: usize| (0..n).map(|it| format!("a:h{it}.example")).collect::<Vec<_>>().join(" ");
    let hosts: String = (0..12).map(|it| format!("h{it}.example A 198.51.100.{it}\n")).collect();
    let ten = format!("corp.example TXT v=spf1 {} -all\n{hosts}", names(10));
    assert_eq!(result(&ten, "192.0.2.1").0, SpfResult::Fail);
    let eleven = format!("corp.example TXT v=spf1 {} -all\n{hosts}", names(11));
    assert_eq!(result(&eleven, "192.0.2.1").0, SpfResult::PermError);
    assert_eq!(lookups("corp.example", &zone(&eleven)), Ok(Some(11)));
    let void = "corp.example TXT v=spf1 a:x.example a:y.example -all\nx.example A -\ny.example A -";
    assert_eq!(result(void, "192.0.2.1").0, SpfResult::Fail);
    let void =
        "corp.example TXT v=spf1 a:x.example a:y.example a:z.example -all\nx.example A -\ny.example A -\nz.example A -";
    assert_eq!(result(void, "192.0.2.1").0, SpfResult::PermError);
}

#[test]
fn what_is_missing_is_asked_for() {
    let known = zone("corp.example TXT v=spf1 mx -all");
    let ip = "192.0.2.1".parse().unwrap();
    assert_eq!(evaluate("corp.example", ip, &Known::new()), Err(Question::Txt("corp.example".to_owned())));
    assert_eq!(evaluate("corp.example", ip, &known), Err(Question::Mx("corp.example".to_owned())));
}

#[test]
fn macros_are_expanded() {
    let known = Known::new();
    let run = Run { ip: "192.0.2.3".parse().unwrap(), sender: "email.example.com", known: &known, lookups: 0, void: 0 };
    for (spec, expected) in [
        ("%{d4}.x", "email.example.com.x"),
        ("%{d1}.x", "com.x"),
        ("%{d2r}.x", "example.email.x"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{l}.%{o}", "postmaster.email.example.com"),
    ] {
        assert_eq!(run.expanded(spec, "email.example.com").ok().as_deref(), Some(expected), "{spec}");
    }
    for spec in ["%{x}", "%{d0}", "%(d)", "%{d"] {
        assert!(run.expanded(spec, "email.example.com").is_err(), "{spec}");
    }
}

#[test]
fn records_are_read_as_the_standard_writes_them() {
    let text = "v=spf1 +mx a:colo.example.com/28 -ptr ~exists:%{ir}.x.example ?ip4:192.0.2.0/24 \
                ip6:2001:db8::/32 a/24//64 include:y.example redirect=_spf.example.com exp=e.example x=y";
    let record = Record::parse(&text.split_whitespace().collect::<Vec<_>>().join(" ")).expect("well formed");
    assert_eq!(record.redirect.as_deref(), Some("_spf.example.com"));
    let kinds: Vec<&Mechanism> = record.directives.iter().map(|it| &it.mechanism).collect();
    assert_eq!(kinds[0], &Mechanism::Mx(None, 32, 128));
    assert_eq!(kinds[1], &Mechanism::A(Some("colo.example.com".to_owned()), 28, 128));
    assert_eq!(kinds[5], &Mechanism::Ip6("2001:db8::".parse().expect("an address"), 32));
    assert_eq!(kinds[6], &Mechanism::A(None, 24, 64));
    assert_eq!(record.directives[2].qualifier, Qualifier::Fail);
}

#[test]
fn a_wrong_term_is_named() {
    for term in ["ip4:203.0.113.300", "ip4:192.0.2.0/33", "include:", "include", "mxx", "all:x", "a:", "ip4", "-"] {
        let error = Record::parse(&format!("v=spf1 mx {term} -all")).expect_err(term);
        assert_eq!(error, term);
    }
    assert!(Record::parse("v=spf1 redirect=a.example redirect=b.example").is_err());
    assert!(!is_record("v=spf10 all") && !is_record("spf2.0/pra all") && is_record("v=SPF1"));
}
