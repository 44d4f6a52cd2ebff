//! Whole messages; those that mean harm are in `bounce::tests`.

use super::*;
use crate::mail::{MessageId, ReferenceId};

pub(in crate::bounce) const REPORT: &str = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: li@corp.example.cn\n\
    Subject: Undelivered Mail Returned to Sender\n\
    Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\n\
    <w@x.example>: host mx.x.example[192.0.2.1] said: 550 5.1.1 no such user\n--b\n\
    Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n\
    Final-Recipient: rfc822; w@x.example\nAction: failed\nStatus: 5.0.0\n\
    Diagnostic-Code: smtp; 550 5.1.1 <w@x.example> no such user\n--b\nContent-Type: message/rfc822\n\n\
    From: li@corp.example.cn\nTo: w@x.example\nSubject: hello\nMessage-ID: <m@corp.example.cn>\n\nbody\n--b--\n";

fn bounce(source: &str) -> Bounce {
    match recognise(source.as_bytes()) {
        Recognition::Bounce(bounce) => bounce,
        Recognition::NotABounce(it) => panic!("{:?}: {source}", it.because),
    }
}

fn no_bounce(source: &str) -> NotABounce {
    match recognise(source.as_bytes()) {
        Recognition::Bounce(bounce) => panic!("{bounce:?}: {source}"),
        Recognition::NotABounce(it) => it,
    }
}

pub(in crate::bounce) fn forward(kind: &str, inner: &str) -> String {
    format!(
        "From: Chen <chen@corp.example.cn>\nTo: why@corp.example.cn\nSubject: Fwd: look\n\
         Content-Type: multipart/mixed; boundary=f\n\n--f\n\nwhat is this?\n--f\n{kind}\n\n{inner}\n--f--\n"
    )
}

#[test]
fn a_report_is_read_whole() {
    let it = bounce(REPORT);
    assert_eq!(it.reporting_mta.as_deref(), Some("mx.example.net"));
    let [recipient] = it.recipients.as_slice() else { panic!("{:?}", it.recipients) };
    assert_eq!(recipient.final_recipient.to_string(), "w@x.example");
    assert_eq!(recipient.status.map(|it| it.to_string()).as_deref(), Some("5.1.1"));
    let original = it.original.expect("returned");
    assert_eq!(original.message_id.map(|it| it.to_string()).as_deref(), Some("<m@corp.example.cn>"));
    assert!(!original.ours && it.forwarded_by.is_none());
}

#[test]
fn a_person_who_attaches_a_bounce_is_named() {
    for kind in ["Content-Type: message/rfc822", "Content-Type: text/plain; name=\"x.eml\""] {
        let it = bounce(&forward(kind, REPORT));
        assert_eq!(it.forwarded_by.map(|it| it.to_string()).as_deref(), Some("chen@corp.example.cn"), "{kind}");
        assert_eq!(it.recipients[0].final_recipient.to_string(), "w@x.example");
        assert_eq!(it.envelope.subject.as_deref(), Some("Fwd: look"));
    }
}

#[test]
fn what_a_provider_passes_on_is_forwarded_by_nobody() {
    let forwarded = forward("Content-Type: message/rfc822", REPORT);
    let it = bounce(&forwarded.replace("Chen <chen@corp.example.cn>", "postmaster@corp.example.cn"));
    assert!(it.forwarded_by.is_none());
}

#[test]
fn a_quoted_bounce_is_none_but_is_read() {
    let quoted = "From: Chen <chen@corp.example.cn>\nSubject: Re: failure notice\n\nwhat is this?\n\
        > Hi. This is the qmail-send program at mx.example.net.\n\
        > I'm afraid I wasn't able to deliver your message to the following addresses.\n\
        > This is a permanent error; I've given up. Sorry it didn't work out.\n>\n\
        > <w@x.example>:\n> 192.0.2.1 does not like recipient.\n> Remote host said: 550 no such user\n";
    let it = no_bounce(quoted);
    assert_eq!(
        (it.because, it.forwarded_by.map(|it| it.to_string())),
        (WhyNot::QuotedBounce, Some("chen@corp.example.cn".to_owned()))
    );
    assert_eq!(it.quoted.expect("read").recipients[0].final_recipient.to_string(), "w@x.example");
}

#[test]
fn our_mark_comes_before_anything() {
    let ours = format!("wb.{}@corp.example.cn", "0".repeat(32));
    for field in [format!("References: <x@y> <{ours}>"), "X-Whybounced: 1".to_owned(), format!("In-Reply-To: <{ours}>")]
    {
        assert_eq!(no_bounce(&format!("{field}\n{REPORT}")).because, WhyNot::OurOwnReply, "{field}");
    }
    // In the returned original its own Message-ID counts, the thread that it stands in does not.
    assert!(bounce(&REPORT.replace("m@corp.example.cn", &ours)).original.expect("returned").ours);
    let threaded = REPORT.replace("Subject: hello", &format!("Subject: hello\nReferences: <{ours}>"));
    assert!(!bounce(&threaded).original.expect("returned").ours);
    // A gateway that renames what it takes leaves our field, or the footer of a robot's mail.
    let reference = ReferenceId::derive("x");
    let field = REPORT.replace("Subject: hello", &format!("Subject: hello\nX-Whybounced: {reference}"));
    assert!(bounce(&field).original.expect("returned").ours);
    let footer = REPORT.replace("\n\nbody\n", &format!("\nAuto-Submitted: auto-replied\n\nbody\n{reference}\n"));
    assert!(bounce(&footer).original.expect("returned").ours);
    let named = text::Particulars { message_id: MessageId::parse(&ours), ..text::Particulars::default() };
    assert!(original::complete(None, named, None).expect("there is an id").ours, "named in the words alone");
    // The footer in a person's answer is all that some webmails keep.
    let answer = format!("From: li@corp.example.cn\nSubject: Re: your mail\n\nThanks!\n> {reference}\n");
    assert_eq!(no_bounce(&answer).because, WhyNot::OurOwnReply);
}

#[test]
fn the_header_of_a_report_is_a_failure_of_nobody_knows_whom() {
    let (header, _) = REPORT.split_once("\n\n").expect("a header");
    let it = bounce(&format!("{header}\n\n<<< No Message Collected >>>\n"));
    assert_eq!((it.kind(), it.recipients.len()), (Action::Failed, 0));
    // Neither who writes in that dress, nor a person.
    let words = "Please look at the nine words that stand in here";
    assert_eq!(no_bounce(&format!("{header}\n\n--b\n\n{words}\n--b--\n")).because, WhyNot::OrdinaryMail);
    let person = header.replace("MAILER-DAEMON@", "li@").replace("Return-Path: <>\n", "");
    assert_eq!(no_bounce(&format!("{person}\n\n")).because, WhyNot::OrdinaryMail);
}

#[test]
fn at_which_command_it_was_refused_is_told_by_the_words_alone() {
    let stage = "550 5.1.1 <w@x.example> no such user (in reply to end of DATA\n    command)";
    let told = bounce(&REPORT.replace("550 5.1.1 no such user", stage));
    let said = "550 5.1.1 <w@x.example> no such user (in reply to end of DATA command)";
    assert_eq!(told.recipients[0].diagnostic.as_deref(), Some(said));
    let other = bounce(&REPORT.replace("550 5.1.1 no such user", "452 full (in reply to RCPT TO command)"));
    assert_eq!(other.recipients[0].diagnostic.as_deref(), Some("550 5.1.1 <w@x.example> no such user"));
    let greeting = REPORT.replace("said: 550 5.1.1", "refused to talk to me: 550 5.1.1 <w@x.example>");
    assert!(bounce(&greeting).recipients[0].diagnostic.as_deref().unwrap_or_default().starts_with("refused to talk"));
}

#[test]
fn fields_of_a_list_are_the_originals_where_its_bounces_go() {
    let message = |to: &str| {
        format!(
            "From: <admin@x.example>\nTo: <{to}>\nSubject: Non-Delivery: your offer\nList-Id: <talk.y.example>\n\n\
             The mail below could not be delivered to:\n\n<w@x.example>\n"
        )
    };
    assert_eq!(bounce(&message("talk-bounces@y.example")).recipients[0].final_recipient.to_string(), "w@x.example");
    assert_eq!(no_bounce(&message("talk@y.example")).because, WhyNot::ListNotice);
}

#[test]
fn noise_is_unreadable() {
    for source in ["", "\n\n", "\u{0}\u{0}", "hello", "key: value\n\nx"] {
        assert_eq!(no_bounce(source).because, WhyNot::Unreadable, "{source:?}");
    }
}

#[test]
fn people_who_paste_forward_or_discuss_a_bounce_make_no_bounce() {
    let report =
        "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; w@x.example\nAction: failed\nStatus: 5.1.1\n";
    let qmail = "Hi. This is the qmail-send program at mx.example.net.\n\
        I'm afraid I wasn't able to deliver your message to the following addresses.\n\n<w@x.example>:\n\
        192.0.2.1 does not like recipient.\nRemote host said: 550 no such user\n";
    for (subject, body, expected) in [
        (
            "Fwd: failure notice",
            format!(
                "see below\n\n-----Original Message-----\nFrom: MAILER-DAEMON@mx.example.net\nSent: today\nTo: chen@corp.example.cn\nSubject: failure notice\n\n{qmail}"
            ),
            WhyNot::QuotedBounce,
        ),
        (
            "转发: 系统退信",
            format!(
                "请看\n\n------------------ 原始邮件 ------------------\n发件人: \"MAILER-DAEMON\" <MAILER-DAEMON@mx.example.net>\n主题: failure notice\n\n{qmail}"
            ),
            WhyNot::QuotedBounce,
        ),
        ("help, what is this", format!("I got this:\n\n{qmail}"), WhyNot::QuotedBounce),
        ("help, what is this", format!("I got this:\n\n{report}"), WhyNot::QuotedBounce),
        (
            "Re: Undelivered Mail Returned to Sender",
            format!("begin\n> {}", report.replace('\n', "\n> ")),
            WhyNot::QuotedBounce,
        ),
        (
            "mail to Wang",
            "Hi, mail to w@x.example was refused last week, his mailbox was full.".to_owned(),
            WhyNot::OrdinaryMail,
        ),
        (
            "Delivery failed of the chairs",
            "The parcel could not be delivered to you. Call 550 1234 or contact depot@x.example.".to_owned(),
            WhyNot::OrdinaryMail,
        ),
        ("退信", "王总好，昨天发给 w@x.example 的邮件被退回了，能换个地址吗？".to_owned(), WhyNot::OrdinaryMail),
        ("退信求助", format!("您好，我收到如下退信，请问怎么办：\n\n{qmail}"), WhyNot::QuotedBounce),
    ] {
        let source = format!(
            "Return-Path: <chen@corp.example.cn>\nFrom: Chen <chen@corp.example.cn>\nTo: why@corp.example.cn\n\
             Subject: {subject}\nMessage-ID: <q@corp.example.cn>\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
        );
        let it = no_bounce(&source);
        assert_eq!(it.because, expected, "{source}");
        if expected == WhyNot::QuotedBounce {
            assert_eq!(it.quoted.expect("read").recipients[0].final_recipient.to_string(), "w@x.example", "{source}");
            assert_eq!(it.forwarded_by.map(|it| it.to_string()).as_deref(), Some("chen@corp.example.cn"));
        }
    }
}

/// Reports and pasted bounces in mail of lists and ticket systems are others' bounces.
#[test]
fn lists_and_tickets_that_tell_of_a_bounce_make_none() {
    let pasted = "This is the mail system at host mx.example.net.\n\nI'm sorry to have to inform you that your message could not\n\
        be delivered to one or more recipients.\n\n<w@x.example>: host mx.example.net[192.0.2.1] said: 550 5.1.1 no\n";
    let mixed =
        |part: &str| format!("Content-Type: multipart/mixed; boundary=o\n\n--o\n\nsee below\n--o\n{part}\n--o--\n");
    let attached = mixed(&format!("Content-Type: message/rfc822\n\n{REPORT}"));
    let digest = mixed(&format!("Content-Type: multipart/digest; boundary=d\n\n--d\n\n{REPORT}\n--d--"));
    for (source, expected) in [
        (
            format!("From: Li <li@x.example>\nSubject: strange bounce\nList-Id: <talk.x.example>\n\n{pasted}"),
            WhyNot::ListNotice,
        ),
        (
            format!("From: dev <notifications@hub.example>\nSubject: Re: bounces (#550)\nPrecedence: list\n\n{pasted}"),
            WhyNot::ListNotice,
        ),
        (
            format!(
                "From: Help <help@x.example>\nSubject: [12] failure notice\nAuto-Submitted: auto-replied\n\n{pasted}"
            ),
            WhyNot::AutoReply,
        ),
        (
            format!(
                "From: mailman@x.example\nSubject: Bounce action notification\nX-List-Administrivia: yes\n{attached}"
            ),
            WhyNot::ListNotice,
        ),
        (
            format!("From: talk-request@x.example\nSubject: Talk Digest\nList-Id: <talk.x.example>\n{digest}"),
            WhyNot::ListNotice,
        ),
    ] {
        assert_eq!(no_bounce(&source).because, expected, "{source}");
    }
}

#[test]
fn a_postmasters_letters_and_notices_about_ones_own_mailbox_are_no_bounces() {
    for (head, text) in [
        (
            "From: Postmaster <postmaster@x.example>\nSubject: Your mail to our users",
            "your server still sends mail to li@x.example, who left. We answer 550 5.1.1.",
        ),
        (
            "From: Postmaster <postmaster@x.example>\nSubject: Your messages",
            "3 of your messages to li@x.example could not be delivered since Monday, his mailbox is full (552 5.2.2).",
        ),
        (
            "From: postmaster@corp.example.cn\nSubject: Quota warning\nAuto-Submitted: auto-generated",
            "Your mailbox chen@corp.example.cn is 95% full. Then mail is rejected with 552 5.2.2.",
        ),
        (
            "From: an@corp.example.cn\nSubject: 客户邮箱退信的问题\nContent-Type: text/plain; charset=utf-8",
            "发给 li@x.example 的邮件又被退信了，退信原因是邮箱已满（552 5.2.2）。",
        ),
        (
            "From: 系统管理员 <admin@bulk.example>\nSubject: 退信通知\nContent-Type: text/plain; charset=utf-8",
            "您的邮箱容量已满，5封邮件被退回：http://bulk.example/login?u=chen@corp.example.cn",
        ),
        (
            "From: 邮箱管理员 <admin@bulk.example>\nSubject: 邮件投递失败，请处理\nContent-Type: text/plain; charset=utf-8",
            "您发往 li@x.example 的邮件投递失败，账号异常，请登录 http://bulk.example/a 解除。",
        ),
        (
            "From: 培训部 <train@corp.example.cn>\nSubject: 识别假退信\nContent-Type: text/plain; charset=utf-8",
            "正文称“退信原因：邮箱已满”，收件人请勿点击，并转发给 sec@corp.example.cn。",
        ),
        (
            "From: Mail System <notice@bulk.example>\nSubject: 系统退信\nContent-Type: text/html; charset=utf-8",
            "<p>收件人：chen@corp.example.cn</p><p>退信原因：邮箱空间不足</p><a href='http://bulk.example/'>扩容</a>",
        ),
    ] {
        let source = format!("{head}\nTo: chen@corp.example.cn\n\n{text}\n");
        let because = no_bounce(&source).because;
        assert!(
            matches!(because, WhyNot::OrdinaryMail | WhyNot::FakeBounce | WhyNot::AutoReply),
            "{because:?}: {source}"
        );
    }
}

#[test]
fn a_bounce_that_names_nobody_is_a_failure_all_the_same() {
    let it = bounce(
        "Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nSubject: Mail delivery failed\n\nYour message could not be delivered: the mailbox is full.\n",
    );
    assert!(it.recipients.is_empty());
}

/// What a mixed report says of those who failed is not said of the others in it.
#[test]
fn the_reason_of_one_who_failed_is_nobody_elses() {
    let other = "Final-Recipient: rfc822; z@y.example\nAction: delivered\nStatus: 2.1.5\n\nFinal-Recipient: rfc822; w@x.example";
    let mixed = REPORT.replace("Final-Recipient: rfc822; w@x.example", other);
    let it = bounce(&mixed);
    let delivered = it.recipients.iter().find(|it| it.action == Action::Delivered).expect("listed");
    assert_eq!((delivered.reply_code, &delivered.diagnostic), (None, &None));
}

#[test]
fn a_forward_of_a_forward_is_that_of_the_last_who_forwarded() {
    let once = forward("Content-Type: message/rfc822", REPORT);
    let it = bounce(&forward(
        "Content-Type: message/rfc822",
        &once.replace("boundary=f", "boundary=g").replace("--f", "--g"),
    ));
    assert_eq!(it.recipients[0].final_recipient.to_string(), "w@x.example");
    assert_eq!(it.forwarded_by.map(|it| it.to_string()).as_deref(), Some("chen@corp.example.cn"));
}

#[test]
fn a_transcripts_commands_are_no_quotation() {
    let source = "From: Li <li@corp.example.cn>\nSubject: what is this\n\nI got:\n\nThis is a delivery status notification from c.example.org,\nrunning the Courier mail server, version 0.78.2.\n\nUNDELIVERABLE MAIL\n\nYour message to the following recipients cannot be delivered:\n\n<w@x.example>:\n    mx.x.example [192.0.2.4]:\n>>> RCPT TO:<w@x.example>\n<<< 550 User unknown.\n";
    let quoted = no_bounce(source).quoted.expect("read");
    assert_eq!(quoted.recipients[0].reply_code.map(crate::mail::ReplyCode::get), Some(550));
}

#[test]
fn a_forward_is_known_by_the_header_pasted_into_it() {
    let it = no_bounce(
        "From: Li <li@corp.example.cn>\nSubject: Fw: 系统退信\nContent-Type: text/plain; charset=utf-8\n\n什么意思？\n\n发件人： Postmaster@163.com\n发送时间： 2026-08-17 09:12\n收件人： li@corp.example.cn\n主题： 系统退信\n抱歉，您的邮件被退回来了\n收件人：w@x.example\n退信原因：\n英文说明:SMTP error, RCPT TO: Host x.example(192.0.2.4) said: 550 User not found\n",
    );
    assert_eq!(it.because, WhyNot::QuotedBounce);
    assert_eq!(it.quoted.expect("read").recipients[0].final_recipient.to_string(), "w@x.example");
}

#[test]
fn robots_receipts_complaints_and_lures_are_told_apart() {
    let report = |kind: &str, part: &str| {
        format!(
            "Return-Path: <>\nFrom: r@x.example\nContent-Type: multipart/report; report-type={kind}; boundary=b\n\n--b\n\nnot displayed\n--b\nContent-Type: message/{part}\n\nFinal-Recipient: rfc822; a@x.example\nAction: failed\nFeedback-Type: abuse\n--b--\n"
        )
    };
    for (source, expected) in [
        (report("disposition-notification", "disposition-notification"), WhyNot::DispositionNotification),
        (report("feedback-report", "feedback-report"), WhyNot::FeedbackReport),
        ("Return-Path: <>\nFrom: Bob <bob@x.example>\nSubject: Automatic reply: offer\nAuto-Submitted: auto-replied\n\nYour mail to bob@x.example will not be delivered to anybody else.\n".to_owned(), WhyNot::AutoReply),
        ("Return-Path: <>\nFrom: wang@x.example\nSubject: 自动回复: 报价\nContent-Type: text/plain; charset=utf-8\n\n您好，我在休假，邮件暂时无法处理，急事请联系 li@x.example。\n".to_owned(), WhyNot::AutoReply),
        ("Return-Path: <>\nFrom: Li <li@x.example>\nSubject: Automatic reply: offer\nAuto-Submitted: auto-replied\n\nI am away. My mailbox li@x.example is not read. Your message was not delivered to my deputy zhang@x.example.\n".to_owned(), WhyNot::AutoReply),
        ("Return-Path: <mailman-bounces@x.example>\nFrom: mailman-bounces@x.example\nSubject: Bounce action notification\nList-Id: <talk.x.example>\n\nMember: li@x.example\nAction: Subscription disabled.\nReason: Excessive or fatal bounces.\n".to_owned(), WhyNot::ListNotice),
        ("Return-Path: <wang@corp.example.cn>\nFrom: 小王 <wang@corp.example.cn>\nSubject: 退信\nContent-Type: text/plain; charset=utf-8\n\n我昨天发给 li@x.example 的邮件被退回了，提示无法投递，用户不存在。你有新地址吗？\n".to_owned(), WhyNot::OrdinaryMail),
        ("Return-Path: <postmaster@corp.example.cn>\nFrom: Postmaster <postmaster@corp.example.cn>\nSubject: Maintenance\n\nOn Sunday mail cannot be delivered. If a message to a user was rejected, say li@x.example, write to help@corp.example.cn.\n".to_owned(), WhyNot::OrdinaryMail),
        ("From: Gate <gate@x.example>\nSubject: Please confirm your message to bob@x.example\nAuto-Submitted: auto-replied\n\nYour message was not delivered yet. Prove that you are a person.\n".to_owned(), WhyNot::Challenge),
        ("Return-Path: <x@bulk.example>\nFrom: Mail Delivery System <s@bulk.example>\nTo: li@corp.example.cn\nSubject: Mail delivery failed: 4 messages pending\nContent-Type: text/html\n\n<p>4 messages could not be delivered to <b>li@corp.example.cn</b>.<br><a href=\"http://bulk.example/login\">Release messages</a></p>\n".to_owned(), WhyNot::FakeBounce),
        ("Return-Path: <x@bulk.example>\nFrom: 邮件系统管理员 <admin@bulk.example>\nTo: li@corp.example.cn\nSubject: 系统退信：您有 3 封邮件被退回\nContent-Type: text/html; charset=utf-8\n\n<p>发往 li@corp.example.cn 的 3 封邮件无法投递，因为空间不足。<a href=\"https://bulk.example/x\">点击登录</a></p>\n".to_owned(), WhyNot::FakeBounce),
    ] {
        assert_eq!(no_bounce(&source).because, expected, "{source}");
    }
}

#[test]
fn a_sieve_refusal_is_a_bounce_and_a_mail_deleted_unread_is_none() {
    let notice = |words: &str, field: &str| {
        format!(
            "Return-Path: <>\nFrom: Mail Delivery Subsystem <postmaster@x.example>\nTo: li@corp.example.cn\n{field}\
             Subject: a notice\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\n\
             {words}\n--b\nContent-Type: message/disposition-notification\n\nReporting-UA: x.example; Mail Agent\n\
             Final-Recipient: rfc822; w@x.example\nOriginal-Message-ID: <m@corp.example.cn>\n\
             Disposition: automatic-action/MDN-sent-automatically; deleted\n--b\nContent-Type: message/rfc822\n\n\
             From: li@corp.example.cn\nTo: w@x.example\nSubject: hello\nMessage-ID: <m@corp.example.cn>\n\nbody\n--b--\n"
        )
    };
    let plain = notice("Your message to <w@x.example> was automatically rejected:\nNo offers, please.", "");
    let local = notice("您的邮件已被拒收：不收报价。", "Auto-Submitted: auto-replied (rejected)\n");
    for source in [&plain, &local] {
        let it = bounce(source);
        assert_eq!(it.recipients[0].final_recipient.to_string(), "w@x.example");
        assert_eq!(it.recipients[0].action, Action::Failed);
        assert!(it.original.is_some_and(|it| it.message_id.is_some()));
    }
    let words = bounce(&plain).recipients[0].diagnostic.clone();
    assert_eq!(words.as_deref(), Some("Your message to <w@x.example> was automatically rejected: No offers, please."));
    let unread = notice("Your message was deleted without being read.", "");
    assert_eq!(no_bounce(&unread).because, WhyNot::DispositionNotification);
}

#[test]
fn what_postfix_puts_off_and_then_returns_has_expired() {
    let postfix = |text: &str| {
        let text = text.replace("--b\n\n", "--b\n\nThis is the mail system at host mx.example.net.\n\n");
        bounce(&text).recipients[0].expired
    };
    assert!(!postfix(REPORT));
    let late = REPORT.replace("550 5.1.1", "450 4.7.1").replace("Status: 5.0.0", "Status: 4.7.1");
    assert!(postfix(&late));
    assert!(!bounce(&late).recipients[0].expired, "another system's");
    let own_template = late.replacen("\nReporting-MTA:", "\nX-Postfix-Queue-ID: 4X\nReporting-MTA:", 1);
    assert!(bounce(&own_template).recipients[0].expired && bounce(&own_template).format == "postfix");
}

#[test]
fn of_a_pasted_original_the_header_is_kept_and_its_body_has_no_fields() {
    let it = bounce(
        "Return-Path: <>\nFrom: Mailer-Daemon@mx.example.net\nSubject: Mail delivery failed\n\nA message could not be \
         delivered.\n\n  w@x.example\n    550 no such user\n\n------ This is a copy of the message, including all the \
         headers. ------\n\nReturn-path: <li@corp.example.cn>\nReceived: from pc by mx.example.net\n\
         From: li@corp.example.cn\nSubject: hello\n\nTo: nobody@y.example\nAuto-Submitted: auto-replied\n",
    );
    let it = it.original.expect("pasted");
    assert!(it.header_text.starts_with("Return-path:") && it.header_text.ends_with("hello"), "{it:?}");
    assert!(it.to.is_empty() && it.automatic.is_empty(), "{it:?}");
}

#[test]
fn exim_names_the_command_before_the_reply() {
    let exim = REPORT
        .replace("host mx.x.example[192.0.2.1] said: 550 5.1.1 no such user", "x")
        .replace(
            "<w@x.example>: x",
            "This message was created automatically by mail delivery software.\n\nA message that you sent could not be \
             delivered to one or more of its\nrecipients. The following address(es) failed:\n\n  w@x.example\n    \
             host mx.x.example [192.0.2.1]\n    SMTP error from remote mail server after end of data:\n    554 no\n",
        )
        .replace("smtp; 550 5.1.1 <w@x.example> no such user", "smtp; 554 no");
    let words = bounce(&exim).recipients[0].diagnostic.clone();
    assert_eq!(words.as_deref(), Some("SMTP error from remote mail server after end of data: 554 no"));
}
