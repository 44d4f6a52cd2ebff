//! Whose matter it is: a company with an IT department, a public mail service without one for its
//! users, or our own server; and what may be said of words that no rule knows.

use super::*;
use crate::diagnosis::Family;

fn of(cause: &str, change: impl Fn(&mut Finding)) -> Finding {
    let mut it = specimen(cause);
    change(&mut it);
    it
}

#[test]
fn nobody_at_a_public_mail_service_is_sent_to_an_it_department() {
    let mut wrong = Vec::new();
    for (cause, ..) in SPECIMENS {
        let it = of(cause, |it| it.report.final_recipient = mailbox("lihua@163.com"));
        if it.diagnosis.family == Family::Domain {
            continue; // the domain is the spelling, not the service
        }
        for (tag, forbidden) in [
            ("zh-CN", &["他们的 IT", "对方的 IT", "你们的 IT", "公司的 IT", "对方公司"][..]),
            ("en", &["their IT", "your IT"]),
        ] {
            let text = explain(&it, tag, Audience::Author).text;
            let found: Vec<_> = forbidden.iter().filter(|word| text.contains(*word)).collect();
            wrong.extend((!found.is_empty()).then(|| format!("{cause}: {found:?} in {text}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_our_own_server_refused_is_not_theirs_to_mend() {
    let own: [fn(&mut Finding); 2] = [
        |it| it.report.remote_mta = Some("mail.corp.example.cn".to_owned()),
        |it| it.report.final_recipient = mailbox("wang@corp.example.cn"),
    ];
    for cause in ["recipient_rejected", "rejected_after_data", "policy", "system_error", "system_full"] {
        for change in own {
            let it = of(cause, |it| {
                it.report.diagnostic = Some("554 no".to_owned());
                change(it);
            });
            let text = explain(&it, "zh-CN", Audience::Author).text;
            assert!(text.contains("我方服务器 ✗") || text.contains("您 → 我方服务器 ✓ → 收件人邮箱 ✗"), "{text}");
            assert!(text.contains("【我方管理员处理，请您转告】") && !text.contains("的 IT"), "{cause}: {text}");
            assert!(!text.contains("已通知管理员"), "no alert counts it: {cause}: {text}");
            let text = explain(&it, "en", Audience::Administrator).text;
            assert!(text.contains("--- Your move (administrator) ---"), "{cause}: {text}");
        }
    }
}

#[test]
fn a_refusal_in_unknown_words_is_not_said_to_be_without_a_reason() {
    for cause in ["recipient_rejected", "sender_rejected", "rejected_after_data"] {
        for confidence in [Confidence::Certain, Confidence::Likely, Confidence::Guess] {
            let it = of(cause, |it| {
                it.diagnosis.confidence = confidence;
                it.report.remote_mta = Some("mx.buyer.example.cn".to_owned());
                it.report.diagnostic = Some("554 Kunde ist König (in reply to RCPT TO command)".to_owned());
            });
            for (tag, untrue) in [("zh-CN", ["没有说原因", "没说原因"]), ("en", ["told why", "without a reason"])]
            {
                for audience in [Audience::Author, Audience::Administrator] {
                    let text = explain(&it, tag, audience).text;
                    assert!(untrue.iter().all(|word| !text.contains(word)), "{cause}, {confidence:?}: {text}");
                    assert!(text.contains("Kunde ist König"), "{text}");
                }
            }
        }
    }
}

#[test]
fn words_to_pass_on_in_another_language_are_announced() {
    let announced = [
        ("zh-CN", "blocklisted", "下面这段英文"),
        ("en", "system_error", "It's in Chinese"),
        ("zh-CN", "system_error", "下面这段话"),
        ("en", "blocklisted", "this by text message or chat:\n"),
    ];
    for (tag, cause, words) in announced {
        let text = explain(&specimen(cause), tag, Audience::Author).text;
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_limit_is_told_as_what_it_limits() {
    let limits = [
        ("550 5.4.5 Daily user sending limit exceeded", "发信数量到了上限", "明天上午"),
        ("452 4.5.3 Too many recipients", "一封的收件人太多", "分成几批"),
        (
            "450 4.2.1 The user you are trying to contact is receiving mail at a rate that",
            "这个邮箱来信太多",
            "以后再发一次",
        ),
        ("550 frequency of receiving messages is limited", "这个邮箱来信太多", "以后再发一次"),
        ("550 Sender frequency limited", "对方限制了发件地址", "以后再发一次"),
        ("421 Too many connections", "对方限制了我方服务器", "以后再发一次"),
    ];
    for (words, reason, step) in limits {
        let it = of("rate_limited", |it| it.report.diagnostic = Some(words.to_owned()));
        let text = explain(&it, "zh-CN", Audience::Author).text;
        assert!(text.contains(&format!("没有送到：{reason}。")) && text.contains(step), "{words}: {text}");
    }
}

#[test]
fn every_mark_names_a_condition_and_every_cause_of_the_list_exists() {
    let knowledge = &TEXTS.knowledge;
    assert!(knowledge.marked.keys().all(|it| section::CONDITIONS.contains(&it.as_str())), "{:?}", knowledge.marked);
    let lower = |it: &String| *it == it.to_lowercase();
    assert!(knowledge.marked.values().flatten().all(lower), "words are compared in lower case");
    let named =
        knowledge.passes_at_public.iter().chain(&knowledge.stops_at_mailbox).chain(knowledge.resend_after.keys());
    for cause in named {
        assert!(SPECIMENS.iter().any(|it| it.0 == cause), "{cause}");
    }
}

#[test]
fn only_what_the_alert_counts_is_said_to_have_been_told() {
    let text = |causes: [&str; 2]| {
        let findings = causes.map(specimen).to_vec();
        let bounce = bounce(&findings);
        let plan = plan(&bounce, &["zh-CN"]);
        render_parts(&TEXTS, &settings(), &plan, &[(bounce, findings)], Audience::Author, now()).text
    };
    let first = text(["blocklisted", "mailbox_full"]);
    assert!(first.contains("已通知管理员"), "{first}");
    let second = text(["mailbox_full", "blocklisted"]);
    assert!(!second.contains("已通知管理员") && second.contains("请把本邮件转给 IT 服务台"), "{second}");
}

#[test]
fn the_label_itself_tells_what_to_do() {
    let labelled = |it: &Finding, tag: &str| explain(it, tag, Audience::Author).text;
    let later = specimen("rate_limited");
    assert!(labelled(&later, "zh-CN").contains("【暂时不用处理，11:30 以后再发一次】"));
    assert!(labelled(&later, "en").contains("--- Nothing to do yet; send it again after 11:30 ---"));
    let tried = of("rate_limited", |it| it.report.action = Action::Delayed);
    assert!(labelled(&tried, "zh-CN").contains("【暂时不用处理，等一等】"));
    let theirs = specimen("mailbox_full");
    assert!(labelled(&theirs, "zh-CN").contains("【需要对方处理，请您告诉对方】"));
    assert!(labelled(&theirs, "en").contains("--- Their move, but they don't know yet ---"));
}

#[test]
fn what_our_server_reports_names_theirs() {
    for (cause, words) in [
        ("user_unknown", "我方服务器说，对方服务器没有 wang.xm 这个邮箱"),
        ("system_busy", "我方服务器说，对方服务器现在太忙"),
        ("blocklisted", "我方服务器说，对方服务器不接收我们公司服务器发出的邮件"),
    ] {
        let it = of(cause, |it| {
            it.report.diagnostic = Some("Sorry, I couldn't do it.".to_owned());
            it.report.reply_code = None;
        });
        let text = explain(&it, "zh-CN", Audience::Author).text;
        assert!(text.contains(words), "{cause}: {text}");
    }
}

#[test]
fn a_domain_that_surely_exists_is_our_own_matter() {
    for (cause, recipient) in [
        ("host_unknown", "wang@corp.example.cn"),
        ("no_mail_host", "wang@corp.example.cn"),
        ("null_mx", "wang@corp.example.cn"),
        ("host_unknown", "lihua@163.com"),
        ("no_mail_host", "lihua@163.com"),
    ] {
        let it = of(cause, |it| it.report.final_recipient = mailbox(recipient));
        let text = explain(&it, "zh-CN", Audience::Author).text;
        assert!(text.contains("【我方管理员处理，请您转告】") && text.contains("我方服务器 ✗"), "{cause}: {text}");
        assert!(!text.contains("逐个字母") && !text.contains("发给对方"), "{cause}: {text}");
    }
}

#[test]
fn forgery_and_missing_encryption_are_told_only_by_words_that_say_so() {
    let text = |cause: &str, words: &str| {
        let it = of(cause, |it| {
            it.report.diagnostic = Some(words.to_owned());
            words.clone_into(&mut it.diagnosis.matched);
        });
        explain(&it, "zh-CN", Audience::Author).text
    };
    assert!(!text("sender_invalid", "553 Invalid sender").contains("冒用"));
    assert!(text("sender_invalid", "550 Sender looks spoofed").contains("像是别人冒用的"));
    assert!(text("tls_required", "530 5.7.0 Must issue a STARTTLS command first").contains("我方这次没有加密"));
    assert!(text("tls_required", "454 4.7.5 Certificate validation failure").contains("没能建立加密连接"));
}

#[test]
fn that_a_message_expired_is_said_by_the_queue_it_lay_in() {
    let it = of("expired", |it| {
        it.report.reply_code = crate::mail::ReplyCode::new(550);
        it.report.diagnostic = Some("550 5.4.300 Message expired".to_owned());
    });
    let text = explain(&it, "zh-CN", Audience::Author).text;
    assert!(text.contains("我方服务器的原话：550 5.4.300 Message expired"), "{text}");
}
