//! What the administrator is told to publish and to paste.

use super::*;
use crate::evidence::{Answer, Observation, Verdict};

#[test]
fn the_spf_line_to_publish_keeps_what_is_there() {
    let mut it = specimen("auth_failure");
    let spf = |answer| Observation {
        check: "spf".to_owned(),
        subject: "corp.example.cn".to_owned(),
        question: "corp.example.cn TXT".to_owned(),
        answer,
        verdict: Verdict::Confirms,
        resolver: "192.0.2.53:53".to_owned(),
        at: now(),
        ms: 9,
    };
    it.observations = vec![spf(Answer::Found(vec!["v=spf1 ip4:203.0.113.5 include:spf.example -all".to_owned()]))];
    let text = explain(&it, "zh-CN", Audience::Administrator).text;
    assert!(text.contains("把值改成 v=spf1 ip4:203.0.113.5 include:spf.example ip4:203.0.113.8 -all"), "{text}");
    it.observations = vec![spf(Answer::Found(vec!["v=spf1 ip4:203.0.113.8 -all".to_owned()]))];
    let text = explain(&it, "zh-CN", Audience::Administrator).text;
    assert!(text.contains("里面已经有 ip4:203.0.113.8，不用改") && !text.contains("不在 SPF 记录里"), "{text}");
    it.observations = vec![spf(Answer::Unavailable("timed out".to_owned()))];
    let text = explain(&it, "zh-CN", Audience::Administrator).text;
    assert!(text.contains("all 前面加上 ip4:203.0.113.8"), "an unseen record must not be replaced: {text}");
}

#[test]
fn the_reverse_name_is_that_of_the_address() {
    let mut it = specimen("ptr_missing");
    let text = explain(&it, "en", Audience::Administrator).text;
    assert!(text.contains("8.113.0.203.in-addr.arpa. PTR mail.corp.example.cn."), "{text}");
    it.diagnosis.facts.ip = Some("2001:db8::25".parse().expect("an address"));
    let text = explain(&it, "en", Audience::Administrator).text;
    let nibbles = format!("5.2.{}8.b.d.0.1.0.0.2.ip6.arpa. PTR", "0.".repeat(22));
    assert!(text.contains(&nibbles) && text.contains("AAAA 2001:db8::25"), "{text}");
}

#[test]
fn the_text_to_paste_has_all_that_the_other_side_asks_for() {
    let text = explain(&specimen("blocklisted"), "zh-CN", Audience::Administrator).text;
    let paste = text.lines().find(|it| it.starts_with("  Hello")).expect("in the language that they read");
    for fact in [
        "203.0.113.5",
        "chen.jing@corp.example.cn",
        "k.tanaka@kunde.example.de",
        "2026-11-16 09:14 +08:00",
        "4Bx7Qz1",
        "554 5.7.1 Service unavailable",
    ] {
        assert!(paste.contains(fact), "{fact} is not in {paste}");
    }
    let chinese = explain(&specimen("content_rejected"), "en", Audience::Administrator).text;
    assert!(chinese.contains("  您好，贵方把我方一封正常的业务邮件"), "{chinese}");
}
