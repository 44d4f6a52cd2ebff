//! Whatever a bounce says, the mail stays readable, harmless and small.

use super::*;

fn mail(findings: Vec<Finding>, change: impl FnOnce(&mut Bounce)) -> (Reply, String, String) {
    let mut bounce = bounce(&findings);
    change(&mut bounce);
    let mut plan = plan(&bounce, &LANGUAGES);
    plan.grounds = vec![Ground::FoundInSent];
    let reply = render(&TEXTS, &settings(), &plan, &[(bounce, findings)], now());
    let parsed = mail_parser::MessageParser::default().parse(&reply.bytes).expect("a message");
    let text = parsed.body_text(0).expect("a text part").into_owned();
    let html = parsed.body_html(0).expect("an HTML part").into_owned();
    (reply, text, html)
}

#[test]
fn five_hundred_recipients_fit_into_64_kilobytes() {
    let causes: Vec<&str> = SPECIMENS.iter().map(|it| it.0).collect();
    let findings: Vec<Finding> = (0..500)
        .map(|number| {
            let mut it = specimen(causes[number % causes.len()]);
            it.report.final_recipient = mailbox(&format!("{}{number}@{}.example.cn", "x".repeat(60), "y".repeat(150)));
            it.report.diagnostic = Some("550 你 <b>&amp;</b> ".repeat(200));
            it
        })
        .collect();
    let (reply, text, html) = mail(findings, |_| {});
    assert!(reply.bytes.len() <= MAX_OCTETS, "{} octets", reply.bytes.len());
    assert!(text.contains("500 位收件人") && text.contains("500 recipients") && html.contains("</html>"), "{text}");
}

#[test]
fn markup_controls_and_direction_marks_of_others_are_text() {
    let hostile = "550 <script>alert(1)</script> {{ 7*7 }} **bold** `x` \u{202e}gnp.exe\u{0}\u{7}\r\nBcc: x@y.example\n1. click http://evil.example/a\u{e000}";
    let mut it = finding("wang@buyer.example.cn", "undetermined", hostile);
    it.report.remote_mta = Some("<img src=x>".to_owned());
    let (reply, text, html) = mail(vec![it], |bounce| {
        if let Some(original) = &mut bounce.original {
            original.subject = Some("a\r\nBcc: all@corp.example.cn\r\n\r\n<b>x</b>\u{202e}".to_owned());
            original.from_name = Some("\"><img src=//evil.example>".to_owned());
            original.message_id = MessageId::parse("<m1@corp.example.cn>");
        }
    });
    let raw = String::from_utf8_lossy(&reply.bytes).into_owned();
    let head = raw.split("\r\n\r\n").next().unwrap_or_default();
    assert!(!head.contains("\r\nBcc:"), "{head}");
    for forbidden in ["<script", "<img", "<b>x", "href=\"http://evil", "\u{202e}", "\u{e000}", "\u{0}", "\u{7}"] {
        assert!(!html.contains(forbidden), "{forbidden:?} in {html}");
    }
    for forbidden in ["http://evil", "\u{202e}", "\u{e000}", "\nBcc", "\n1. click", "49"] {
        assert!(!text.contains(forbidden), "{forbidden:?} in {text}");
    }
    assert!(
        text.contains("**bold** `x`") && text.contains("{{ 7*7 }}") && text.contains("hxxp://evil[.]example"),
        "{text}"
    );
}

#[test]
fn an_original_without_anything_still_gives_a_readable_mail() {
    for cause in SPECIMENS.iter().map(|it| it.0) {
        let mut it = specimen(cause);
        it.report.diagnostic = None;
        it.report.reply_code = None;
        it.diagnosis.facts = crate::diagnosis::Facts::default();
        let (_, text, _) = mail(vec![it], |bounce| {
            bounce.original = None;
            bounce.reporting_mta = None;
            bounce.envelope = Envelope::default();
        });
        for trace in ["none", "None", "，，", "。。", "（）", "undefined", "  。"] {
            assert!(!text.contains(trace), "{cause}: {trace:?} in {text}");
        }
    }
}

#[test]
fn odd_addresses_go_through() {
    for address in ["\"a b\"@buyer.example.cn", "用户@例子.中国", "x@[192.0.2.1]", "o'brien+tag@buyer.example.cn"]
    {
        let (reply, text, _) = mail(vec![finding(address, "user_unknown", "550 5.1.1 User unknown")], |_| {});
        assert!(text.contains(address), "{text}");
        assert!(reply.bytes.is_ascii());
    }
    let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(250));
    let (reply, ..) = mail(vec![finding(&long, "user_unknown", "550 5.1.1 User unknown")], |_| {});
    let longest = reply.bytes.split(|it| *it == b'\n').map(<[u8]>::len).max();
    assert!(longest.is_some_and(|it| it <= 998), "{longest:?}"); // RFC 5322 §2.1.1
}

#[test]
fn ids_that_no_header_can_hold_and_our_own_are_left_out() {
    let unknown = || vec![finding("wang@buyer.example.cn", "user_unknown", "550 5.1.1 User unknown")];
    let ours = crate::mail::mark::message_id("x", "corp.example.cn").expect("sound").to_string();
    let long = format!("<{}@x.example>", "a".repeat(300));
    let ids = ["<邮件@corp.example.cn>", &long, &ours, "<m0@corp.example.cn>"];
    let (reply, ..) = mail(unknown(), |bounce| {
        bounce.original.as_mut().expect("one").references = ids.iter().filter_map(|it| MessageId::parse(it)).collect();
    });
    let text = String::from_utf8_lossy(&reply.bytes).into_owned();
    assert!(text.contains("\r\nReferences: <m0@corp.example.cn>\r\n <m1@corp.example.cn>\r\n"), "{text}");
    let (reply, ..) = mail(unknown(), |bounce| {
        bounce.original.as_mut().expect("one").message_id = MessageId::parse("<邮件@corp.example.cn>");
    });
    assert!(reply.bytes.is_ascii() && !String::from_utf8_lossy(&reply.bytes).contains("In-Reply-To"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn any_words_give_a_sound_mail(words in ".{0,600}", subject in ".{0,200}", name in ".{0,80}", which in 0..SPECIMENS.len()) {
        let mut it = specimen(SPECIMENS[which].0);
        it.report.diagnostic = Some(words);
        let (reply, _, html) = mail(vec![it], |bounce| if let Some(original) = &mut bounce.original {
            original.subject = Some(subject);
            original.from_name = Some(name);
        });
        proptest::prop_assert!(reply.bytes.is_ascii() && reply.bytes.len() <= MAX_OCTETS);
        proptest::prop_assert!(html.trim_end().ends_with("</html>"));
        let lines = reply.bytes.split(|it| *it == b'\n').all(|it| it.len() <= 999);
        proptest::prop_assert!(lines);
    }
}
