//! The explanations as a reader gets them.

mod administrator;
mod forms;
mod hostile;
mod overlay;
mod properties;
mod reading;
mod rows;
mod specimens;
mod variants;
mod whose;

use specimens::*;

use std::{fmt::Write as _, sync::LazyLock};

use super::*;
use crate::{
    bounce::{Action, Envelope},
    diagnosis::Confidence,
};

const LANGUAGES: [&str; 2] = ["zh-CN", "en"];

/// Read once: a test renders hundreds.
static TEXTS: LazyLock<Texts> = LazyLock::new(Texts::embedded);

fn explain(finding: &Finding, tag: &str, audience: Audience) -> Rendered {
    let bounce = specimen_bounce(finding);
    let mut plan = plan(&bounce, &[tag]);
    plan.grounds = vec![Ground::FoundInSent];
    render_parts(&TEXTS, &settings(), &plan, &[(bounce, vec![finding.clone()])], audience, now())
}

#[test]
fn every_cause_reads_as_it_was_read_last() {
    for (cause, ..) in SPECIMENS {
        let mut all = String::new();
        for tag in LANGUAGES {
            for audience in [Audience::Author, Audience::Administrator] {
                let it = explain(&specimen(cause), tag, audience);
                let _ = writeln!(all, "######## {tag}, {audience:?}\nSubject: {}\n\n{}", it.subject, it.text);
            }
        }
        insta::assert_snapshot!(*cause, all);
    }
}

#[test]
fn the_mail_is_seven_bit_and_threaded_and_marked_as_automatic() {
    let finding = finding("wang.xm@buyer.example.cn", "user_unknown", "550 5.1.1 User unknown");
    let bounce = bounce(std::slice::from_ref(&finding));
    let plan = plan(&bounce, &LANGUAGES);
    let reply = render(&TEXTS, &settings(), &plan, &[(bounce, vec![finding])], now());
    assert!(reply.bytes.is_ascii());
    assert!(!String::from_utf8_lossy(&reply.bytes).replace("\r\n", "").contains(['\r', '\n']));
    let parsed = mail_parser::MessageParser::default().parse(&reply.bytes).expect("a message");
    let header = |name: &str| parsed.header_raw(name).map(str::trim).unwrap_or_default().to_owned();
    assert_eq!(header("In-Reply-To"), "<m1@corp.example.cn>");
    assert_eq!(header("Auto-Submitted"), "auto-replied");
    assert_eq!(header("X-Auto-Response-Suppress"), "All");
    assert_eq!(header("Precedence"), "bulk");
    assert_eq!(header("X-Whybounced"), plan.reference_id.as_str());
    assert!(header("References").ends_with("<m1@corp.example.cn>"));
    assert!(crate::mail::mark::is_our_message_id(&reply.message_id));
    let text = parsed.body_text(0).expect("a text part");
    assert!(text.contains("您发给 wang.xm@buyer.example.cn 的邮件没有送到：没有这个邮箱。"), "{text}");
    assert!(text.contains("Your mail to wang.xm@buyer.example.cn didn't arrive"), "{text}");
    assert!(parsed.body_html(0).is_some_and(|it| it.contains("<strong>wang.xm@buyer.example.cn</strong>")));
}
