//! The forms of an explanation: one recipient or several, failures and delays, asked for, followed up.

use std::fmt::Write as _;

use super::*;

/// Renders for the author with a plan that `change` may alter.
fn written(findings: &[Finding], tags: &[&str], change: impl FnOnce(&mut ReplyPlan, &mut Bounce)) -> Rendered {
    let mut bounce = bounce(findings);
    let mut plan = plan(&bounce, tags);
    change(&mut plan, &mut bounce);
    render_parts(&TEXTS, &settings(), &plan, &[(bounce, findings.to_vec())], Audience::Author, now())
}

fn in_both_languages(name: &str, findings: &[Finding], change: impl Fn(&mut ReplyPlan, &mut Bounce)) {
    let mut all = String::new();
    for tag in LANGUAGES {
        let it = written(findings, &[tag], &change);
        let _ = writeln!(all, "######## {tag}\nSubject: {}\n\n{}", it.subject, it.text);
    }
    insta::assert_snapshot!(name, all);
}

fn delayed(mut finding: Finding) -> Finding {
    finding.report.action = Action::Delayed;
    finding.report.will_retry_until = Some("2026-11-18T01:12:00Z".parse().expect("a sound time"));
    // What is tried again was refused for the time being.
    let for_now = |it: String| it.replace("552 5.2.2", "452 4.2.2");
    finding.report.diagnostic = finding.report.diagnostic.take().map(for_now);
    finding
}

#[test]
fn several_recipients_are_grouped_by_whose_move_it_is() {
    let findings: Vec<Finding> = ["rate_limited", "mailbox_full", "user_unknown", "blocklisted"].map(specimen).to_vec();
    in_both_languages("form_several", &findings, |_, bounce| {
        if let Some(original) = &mut bounce.original {
            original.to.push(mailbox("sun@partner.example"));
        }
    });
}

#[test]
fn several_recipients_with_one_reason_are_one_group() {
    let findings: Vec<Finding> = ["a", "b", "c"]
        .map(|it| finding(&format!("{it}@buyer.example.cn"), "user_unknown", "550 5.1.1 User unknown"))
        .to_vec();
    in_both_languages("form_one_reason", &findings, |_, _| {});
}

#[test]
fn a_delay_asks_for_patience() {
    in_both_languages("form_delay", &[delayed(specimen("mailbox_full"))], |_, _| {});
    in_both_languages(
        "form_delays",
        &[delayed(specimen("mailbox_full")), delayed(specimen("connection_timeout"))],
        |_, _| {},
    );
}

#[test]
fn a_failure_beside_a_delay_tells_of_both() {
    in_both_languages(
        "form_failure_and_delay",
        &[specimen("user_unknown"), delayed(specimen("mailbox_full"))],
        |_, _| {},
    );
}

#[test]
fn who_asks_need_not_be_the_author() {
    in_both_languages("form_asking", &[specimen("mailbox_full")], |plan, _| {
        plan.asked = true;
        plan.grounds = vec![Ground::Asked];
        plan.addressee = mailbox("li.na@corp.example.cn");
    });
    in_both_languages("form_asking_forged", &[specimen("user_unknown")], |plan, _| {
        plan.asked = true;
        plan.grounds = vec![Ground::Asked];
    });
    in_both_languages("form_asking_unreadable", &[], |plan, bounce| {
        plan.asked = true;
        bounce.original = None;
    });
}

#[test]
fn a_later_bounce_is_a_follow_up() {
    in_both_languages("form_follow_up", &[specimen("mailbox_full")], |plan, _| plan.sequence = 1);
}

#[test]
fn a_redirected_explanation_names_whom_it_was_for() {
    let it = written(&[specimen("mailbox_full")], &["zh-CN"], |plan, _| {
        plan.redirect_to = Some(mailbox("admin@corp.example.cn"));
    });
    assert!(it.text.starts_with("【试运行】这份说明本来要发给 chen.jing@corp.example.cn，"), "{}", it.text);
    assert!(it.html.contains("本来要发给"));
}

#[test]
fn an_address_that_the_author_did_not_write_is_masked() {
    let mut forwarded = finding("lisi88@qq.com", "mailbox_full", "552 Mailbox of lisi88@qq.com is full");
    forwarded.report.original_recipient = Some(mailbox("zhao@partner.example.cn"));
    in_both_languages("form_forwarded", std::slice::from_ref(&forwarded), |_, bounce| {
        if let Some(original) = &mut bounce.original {
            original.to = vec![mailbox("zhao@partner.example.cn")];
        }
    });
    forwarded.report.original_recipient = None;
    let it = written(&[forwarded], &["zh-CN"], |_, bounce| {
        if let Some(original) = &mut bounce.original {
            original.to = vec![mailbox("zhao@partner.example.cn")];
        }
    });
    for face in [&it.subject, &it.text, &it.html] {
        assert!(!face.contains("lisi88"), "{face}");
    }
}

#[test]
fn a_looked_up_domain_is_said_to_be_looked_up() {
    use crate::evidence::{Answer, Observation, Verdict};
    let mut finding = specimen("host_unknown");
    let observation = |check: &str, answer, verdict| Observation {
        check: check.to_owned(),
        subject: "hichian.example".to_owned(),
        question: "hichian.example MX".to_owned(),
        answer,
        verdict,
        resolver: "192.0.2.53:53".to_owned(),
        at: now(),
        ms: 12,
    };
    finding.observations = vec![
        observation("mx", Answer::NoSuchName, Verdict::Confirms),
        observation("near_miss", Answer::Found(vec!["hichina.example".to_owned()]), Verdict::Neutral),
    ];
    in_both_languages("form_looked_up", &[finding], |_, _| {});
}

#[test]
fn sureness_is_in_the_words() {
    let mut finding = specimen("mailbox_full");
    let mut said = Vec::new();
    for confidence in [Confidence::Certain, Confidence::Likely, Confidence::Guess] {
        finding.diagnosis.confidence = confidence;
        let text = written(&[finding.clone()], &["zh-CN"], |_, _| {}).text;
        said.push(text.lines().filter(|it| it.contains("邮箱满了")).take(2).collect::<Vec<_>>().join("\n"));
    }
    assert_eq!(
        said,
        [
            "您发给 zhangsan@partner.example 的邮件没有送到：对方邮箱满了。\n\
             对方服务器说，这个邮箱满了，暂时收不下新邮件。地址和内容都不用改。",
            "邮件没有送到 zhangsan@partner.example：多半是对方邮箱满了。\n\
             从对方服务器的回复看，多半是这个邮箱满了，暂时收不下新邮件。地址和内容都不用改。",
            "邮件没有送到 zhangsan@partner.example：可能是对方邮箱满了。\n\
             可能是这个邮箱满了，暂时收不下新邮件，还不能确定。",
        ]
    );
}

#[test]
fn only_a_told_administrator_is_said_to_be_told() {
    let finding = specimen("blocklisted");
    let bounce = bounce(std::slice::from_ref(&finding));
    let plan = plan(&bounce, &LANGUAGES);
    let untold = Settings { administrator_is_told: false, ..settings() };
    let it = render_parts(&TEXTS, &untold, &plan, &[(bounce, vec![finding])], Audience::Author, now());
    assert!(!it.text.contains("已通知") && !it.text.contains("has been told"), "{}", it.text);
    assert!(it.text.contains("请把本邮件转给 IT 服务台（分机 8001），编号 WB-"), "{}", it.text);
}

#[test]
fn a_new_address_is_left_out_unless_the_bounce_is_verified() {
    let it = written(&[specimen("moved")], &LANGUAGES, |plan, _| plan.grounds = vec![Ground::MessageIdOfOurDomain]);
    assert!(!it.text.contains("liu@new") && !it.text.contains("new[.]example"), "{}", it.text);
    let it = written(&[specimen("moved")], &LANGUAGES, |plan, _| plan.grounds = vec![Ground::JournalKnows]);
    assert!(it.text.contains("liu[at]new[.]example"), "{}", it.text);
}

#[test]
fn the_end_of_a_delay_refers_back_and_tells_all() {
    in_both_languages("form_after_delay", &[specimen("mailbox_full")], |plan, _| {
        plan.sequence = 1;
        plan.after_delay = true;
    });
}

#[test]
fn how_others_fared_is_told_where_it_helps() {
    let week = |cause: &str, domain: &str| crate::policy::DomainWeek {
        domain: domain.to_owned(),
        cause: cause.to_owned(),
        mails: 14,
        people: 6,
        first: Some(now()),
        mails_of_others: 13,
        others: 5,
        seen_of_others: 13,
        whole: true,
        ..Default::default()
    };
    let text = |cause: &str, week: crate::policy::DomainWeek| {
        written(&[specimen(cause)], &["zh-CN"], |plan, _| plan.weeks = vec![week]).text
    };
    let others = text("blocklisted", week("blocklisted", "kunde.example.de"));
    assert!(others.contains("最近 7 天另有 5 位同事的 13 封邮件，发往 kunde.example.de 时也因此退回"), "{others}");
    let misspelt = text("user_unknown", week("user_unknown", "buyer.example.cn"));
    assert!(!misspelt.contains("同事"), "a wrong letter is one's own: {misspelt}");
    let silent = |whole| crate::policy::DomainWeek {
        whole,
        domain: "qq.com".to_owned(),
        cause: "rate_limited".to_owned(),
        ..Default::default()
    };
    assert!(text("rate_limited", silent(true)).contains("没有其他同事发往 qq.com 的邮件因此退回"));
    assert!(!text("rate_limited", silent(false)).contains("同事"), "a young journal proves nothing");
    let bounce = bounce(&[specimen("blocklisted")]);
    let plan = ReplyPlan { weeks: vec![week("blocklisted", "kunde.example.de")], ..plan(&bounce, &["en"]) };
    let cases = [(bounce, vec![specimen("blocklisted")])];
    let it = render_parts(&TEXTS, &settings(), &plan, &cases, Audience::Administrator, now());
    let expected =
        "this domain and cause 14 mails, 6 authors, since 2026-11-16 09:15 +08:00; this cause at other domains 0";
    assert!(it.text.contains(expected), "{}", it.text);
}

#[test]
fn a_click_writes_only_to_an_address_of_our_own_suggestion() {
    use crate::evidence::{Answer, Observation, Verdict};
    let html = |finding: &Finding| {
        written(std::slice::from_ref(finding), &["zh-CN"], |plan, _| {
            plan.grounds = vec![Ground::FoundInSent];
        })
        .html
    };
    for (cause, ..) in SPECIMENS {
        assert!(!html(&specimen(cause)).contains("mailto:"), "{cause}");
    }
    let mut it = specimen("host_unknown");
    it.observations = vec![Observation {
        check: "near_miss".to_owned(),
        subject: "hichian.example".to_owned(),
        question: "hichian.example".to_owned(),
        answer: Answer::Found(vec!["hichina.example".to_owned()]),
        verdict: Verdict::Neutral,
        resolver: "catalogue".to_owned(),
        at: now(),
        ms: 0,
    }];
    let html = html(&it);
    let links: Vec<&str> = html.split("href=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    let [link] = links[..] else { panic!("{links:?}") };
    assert!(link.starts_with("mailto:li@hichina.example?subject=%E5%85%B3"), "{link}");
}

#[test]
fn a_delay_of_which_little_is_sure_is_a_delay_all_the_same() {
    for confidence in [Confidence::Likely, Confidence::Guess] {
        for cause in ["sender_rejected", "expired", "undetermined"] {
            let mut finding = delayed(specimen(cause));
            finding.diagnosis.confidence = confidence;
            let chinese = written(std::slice::from_ref(&finding), &["zh-CN"], |_, _| {}).text;
            assert!(chinese.contains("还没有送到，正在自动重试") && !chinese.contains("已经停止"), "{chinese}");
            let english = written(std::slice::from_ref(&finding), &["en"], |_, _| {}).text;
            assert!(english.contains("hasn't got through yet") && !english.contains("gave up"), "{english}");
        }
        let mut finding = specimen("mailbox_full");
        finding.diagnosis.confidence = confidence;
        let follow_up = written(&[finding], &["zh-CN"], |plan, _| plan.sequence = 1).text;
        assert!(follow_up.contains("同一封邮件的后续"), "{follow_up}");
    }
}

#[test]
fn nothing_is_written_to_pass_on_to_an_address_that_nobody_wrote_to() {
    let mut forwarded = finding("lisi88@qq.com", "undetermined", "550 no");
    forwarded.report.original_recipient = None;
    let text = written(&[forwarded], &["en"], |_, bounce| {
        if let Some(original) = &mut bounce.original {
            original.to = vec![mailbox("zhao@partner.example.cn")];
        }
    })
    .text;
    assert!(text.contains("l***@qq.com") && !text.contains("text message"), "{text}");
}

#[test]
fn a_connection_that_failed_is_told_by_our_side() {
    let mut it = specimen("connection_failed");
    it.report.remote_mta = Some("mx.factory.example.cn".to_owned());
    it.report.diagnostic = Some("The recipient server did not accept our requests to connect.".to_owned());
    let text = written(&[it], &["zh-CN"], |_, _| {}).text;
    assert!(text.contains("我方服务器说，对方服务器连不上"), "{text}");
    assert!(text.contains("我方服务器（连接 mx.factory.example.cn 时）的原话："), "{text}");
}
