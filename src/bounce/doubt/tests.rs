//! Ordinary mail whose reverse-path a gateway took away, beside bounces that look like ordinary mail.

use crate::bounce::{Recognition, WhyNot, recognise};

fn message(fields: &str, text: &str) -> String {
    format!("Return-Path: <>\nTo: li@corp.example.cn\n{fields}\nContent-Type: text/plain; charset=utf-8\n\n{text}\n")
}

fn why_not(fields: &str, text: &str) -> WhyNot {
    match recognise(message(fields, text).as_bytes()) {
        Recognition::NotABounce(it) => it.because,
        Recognition::Bounce(it) => panic!("{fields}\n{text}\n{:?}", it.recipients),
    }
}

fn failed(fields: &str, text: &str) -> Vec<String> {
    match recognise(message(fields, text).as_bytes()) {
        Recognition::Bounce(it) => it.recipients.iter().map(|it| it.final_recipient.to_string()).collect(),
        Recognition::NotABounce(it) => panic!("{:?}: {fields}\n{text}", it.because),
    }
}

#[test]
fn other_things_than_mail_fail_to_arrive() {
    for (fields, text) in [
        (
            "From: Parcels <delivery@parcels.example>\nSubject: Delivery failure notice",
            "We were unable to deliver your shipment.\n\nRecipient: Li\nReason: address not found\nContact: depot@parcels.example",
        ),
        (
            "From: 快递 <notice@kuaidi.example.cn>\nSubject: 快件投递失败通知",
            "您的快件投递失败，将退回。联系：kefu@kuaidi.example.cn",
        ),
        (
            "From: Ann <ann@x.example>\nSubject: Delivery failed",
            "The pumps were returned to sender. Please ask joe@y.example.",
        ),
        (
            "From: Post <noreply@post.example>\nSubject: Zustellung fehlgeschlagen",
            "Ihre Sendung konnte nicht zugestellt werden.\n\nEmpfänger: wang@x.example",
        ),
        ("From: Bank <pay@bank.example>\nSubject: 付款退回通知", "付款因账号不存在被退回，收款人：zhang@x.example"),
    ] {
        assert_eq!(why_not(fields, text), WhyNot::OrdinaryMail);
    }
}

#[test]
fn people_and_programs_tell_of_bounces() {
    for (fields, text) in [
        (
            "From: Ann <ann@x.example>\nSubject: Undeliverable mail to Joe",
            "My mail to joe@y.example could not be delivered (550 5.1.1). Do you have another address?",
        ),
        (
            "From: 王芳 <wang@x.example.cn>\nSubject: 退信的问题",
            "给 joe@y.example 的邮件被退回了，提示 550 User unknown，你那边有新地址吗？",
        ),
        (
            "From: Monitor <alert@mon.example>\nSubject: SMTP is critical",
            "451 4.4.1 Connection timed out to probe@mon.example",
        ),
        (
            "From: CRM <crm@corp.example>\nSubject: Task: bounced mail joe@y.example",
            "A mail to the contact joe@y.example bounced: 550 5.1.1 user unknown",
        ),
    ] {
        let because = why_not(fields, text);
        assert!(matches!(because, WhyNot::OrdinaryMail | WhyNot::QuotedBounce), "{because:?}: {text}");
    }
    let tracker = "From: Git <git@corp.example>\nSubject: mailer | Undeliverable mail to joe@y.example (#118)\n\
                   X-GitLab-Project: mailer\nAuto-Submitted: auto-generated";
    assert_eq!(why_not(tracker, "The mail to joe@y.example got 550 5.1.1"), WhyNot::AutoReply);
    let owner = "From: talk-owner@lists.example\nSubject: joe@y.example's subscription disabled on Talk\n\
                 X-Mailman-Version: 3.3.9\nAuto-Submitted: auto-generated";
    assert_eq!(why_not(owner, "joe@y.example could not be delivered to: 550 5.1.1"), WhyNot::ListNotice);
}

#[test]
fn of_others_a_report_tells_in_rows_and_a_service_in_sentences() {
    let fields = "From: Shop <shop@x.example>\nSubject: Delivery failure: order confirmation";
    assert_eq!(
        why_not(fields, "The mail about the order could not be delivered to joe@y.example: 550 5.1.1"),
        WhyNot::OrdinaryMail
    );
    let text = "The mail could not be delivered.\n\nRecipient: joe@y.example\nCode: 550 5.1.1";
    assert_eq!(failed(fields, text), ["joe@y.example"]);
}

#[test]
fn a_forward_is_a_persons_though_its_path_is_null() {
    let fields = "From: Li <li@corp.example.cn>\nSubject: Fwd: failure notice";
    let text = "see below\n\n---------- Forwarded message ---------\nFrom: <MAILER-DAEMON@qm.example>\n\
                Subject: failure notice\n\nHi. This is the qmail-send program at qm.example.\n\
                I'm afraid I wasn't able to deliver your message to the following addresses.\n\n\
                <joe@y.example>:\nRemote host said: 550 no such user\n";
    assert_eq!(why_not(fields, text), WhyNot::QuotedBounce);
}

#[test]
fn a_link_beside_no_word_of_a_server_is_bait() {
    for (fields, text) in [
        (
            "From: 系统退信 <postmaster@evil.example>\nSubject: 系统退信",
            "您的邮件未能送达以下收件人：\n\n收件人：zhang@x.example.cn\n退信原因：账号未验证\n点击验证账号 http://evil.example/l",
        ),
        (
            "From: Mail Server <no-reply@evil.example>\nSubject: Undeliverable: your mail",
            "Your message to zhang@x.example could not be delivered. Verify your account: http://evil.example/v",
        ),
        (
            "From: Postmaster <postmaster@corp.example.cn>\nSubject: Mail delivery failed",
            "li@corp.example.cn could not send messages (error 553). Re-validate to retrieve them: http://evil.example",
        ),
    ] {
        assert_eq!(why_not(fields, text), WhyNot::FakeBounce, "{text}");
    }
}

#[test]
fn answers_and_challenges_are_told_in_many_languages() {
    for subject in ["Автоответ: Договор", "Automatisch antwoord: Offerte", "자동 회신: 견적서", "Abwesenheitsnotiz"]
    {
        let fields = format!("From: Jan <jan@x.example>\nSubject: {subject}");
        assert_eq!(why_not(&fields, "info@x.example"), WhyNot::AutoReply, "{subject}");
    }
    let left =
        "From: Ann <ann@x.example>\nSubject: Undeliverable: Ann is no longer with us\nAuto-Submitted: auto-replied";
    assert_eq!(why_not(left, "Your message was not delivered. Resend it to desk@x.example."), WhyNot::AutoReply);
    let challenge = "From: Ann <ann@x.example>\nSubject: Re: Offer (Verify your email address)";
    assert_eq!(why_not(challenge, "Your message was received but not delivered yet."), WhyNot::Challenge);
}

#[test]
fn receipts_and_answers_are_told_by_their_words_and_aggregates_by_their_subject() {
    let receipt = "From: 张三 <zhang@x.example>\nSubject: 已读：报价单";
    assert_eq!(why_not(receipt, "您的邮件已被收件人阅读。"), WhyNot::DispositionNotification);
    let answer = "From: 刘洋 <liu@x.example>\nSubject: Re: 询价单";
    assert_eq!(why_not(answer, "来信已收到。这是自动回复，请勿回复。"), WhyNot::AutoReply);
    let aggregate =
        "From: DMARC <noreply@x.example>\nSubject: Report Domain: corp.example.cn Submitter: x.example Report-ID: 7";
    assert_eq!(why_not(aggregate, "3 messages failed, 2 were rejected."), WhyNot::FeedbackReport);
}

#[test]
fn a_friendly_bounce_is_one() {
    for (fields, text) in [
        (
            "From: Acme Helpdesk <helpdesk@x.example>\nSubject: Your message to joe@x.example could not be delivered",
            "Dear sender,\n\nyour message to joe@x.example could not be delivered.\n\nError: 550 5.2.1 disabled",
        ),
        (
            "From: 企业邮箱 <service@x.example>\nSubject: 邮件发送失败提醒",
            "您好，您发送给 joe@x.example 的邮件发送失败。\n服务器返回：550 5.1.1 user unknown",
        ),
        (
            "From: Mejl <mejl@bolag.example>\nSubject: Kan inte levereras: Offert",
            "Ditt meddelande till joe@x.example kan inte levereras.\n\nFel: 550 5.1.1",
        ),
        (
            "From: Joe <joe@x.example>\nSubject: Undeliverable: Re: Backup job failed\nAuto-Submitted: auto-replied",
            "Your message to joe@x.example could not be delivered: the mailbox is full.\n\n552 5.2.2 over quota",
        ),
    ] {
        assert_eq!(failed(fields, text), ["joe@x.example"], "{text}");
    }
}
