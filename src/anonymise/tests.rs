use base64::Engine as _;

use super::*;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: std::sync::OnceLock<Catalogue> = std::sync::OnceLock::new();
    CATALOGUE.get_or_init(|| Catalogue::embedded().unwrap())
}

fn rewritten(message: &str) -> (String, String) {
    let done = anonymise(message.as_bytes(), catalogue(), None).unwrap();
    (String::from_utf8(done.bytes).unwrap(), done.verdict)
}

const QMAIL: &str = "Return-Path: <>\nReceived: from mail.wonderwidgets.com.cn (HELO desk) (203.0.113.7)\n by mx.wonderwidgets.com.cn id 4XyZ12ab; Mon, 16 Nov 2026 09:12:00 +0800\n\
From: MAILER-DAEMON@mail.wonderwidgets.com.cn\nTo: chenwei@wonderwidgets.com.cn\nSubject: failure notice\n\n\
Hi. This is the qmail-send program at mail.wonderwidgets.com.cn.\n\
I'm afraid I wasn't able to deliver your message to the following addresses.\n\
This is a permanent error; I've given up. Sorry it didn't work out.\n\n\
<wangfang@bigbuyer.com>:\n203.0.113.9 does not like recipient.\nRemote host said: 550 wangfang mailbox is full, ticket QX81ZZ02\n\n\
--- Below this line is a copy of the message.\n\n\
Return-Path: <chenwei@wonderwidgets.com.cn>\nFrom: \"Chen Wei\" <chenwei@wonderwidgets.com.cn>\n\
To: =?utf-8?b?546L6Iqz?= <wangfang@bigbuyer.com>\nSubject: =?utf-8?b?5oql5Lu35Y2V?=\n\
Message-ID: <20261116.77@wonderwidgets.com.cn>\n\nDear Ms Wang, the price is 700.\n";

#[test]
fn nothing_personal_is_left_and_the_diagnosis_stays() {
    let (text, verdict) = rewritten(QMAIL);
    assert!(verdict.contains("mailbox_full"), "{verdict}");
    let lower = text.to_lowercase();
    for secret in [
        "wonderwidgets",
        "bigbuyer",
        "chenwei",
        "chen wei",
        "wangfang",
        "203.0.113",
        "qx81zz02",
        "price",
        "5oql",
        "546l",
    ] {
        assert!(!lower.contains(secret), "{secret} in\n{text}");
    }
    for kept in
        ["qmail-send", "failure notice", "does not like recipient", "MAILER-DAEMON@", ".example.cn", "mailbox is full"]
    {
        assert!(text.contains(kept), "{kept} not in\n{text}");
    }
}

#[test]
fn the_same_name_has_the_same_stand_in_everywhere() {
    let (text, _) = rewritten(QMAIL);
    let mail = Mail::parse(text.as_bytes());
    let author = mail.header("to").unwrap().to_owned();
    assert_eq!(text.matches(&author).count(), 3, "{text}");
}

#[test]
fn encodings_charsets_and_boundaries_stay_sound() {
    // "您的邮件没有送达 wangfang@bigbuyer.com: 550 user unknown" in GBK, base64.
    let (gbk, _, _) = encoding_rs::GBK.encode("您的邮件没有送达\n<wangfang@bigbuyer.com>: 550 user unknown\n");
    let body = base64::engine::general_purpose::STANDARD.encode(&gbk);
    let message = format!(
        "From: MAILER-DAEMON@wonderwidgets.cn\nTo: chenwei@wonderwidgets.cn\nSubject: Undelivered\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"4XyZ12ab.17/mail.wonderwidgets.cn\"\n\n\
         --4XyZ12ab.17/mail.wonderwidgets.cn\nContent-Type: text/plain; charset=gbk\nContent-Transfer-Encoding: base64\n\n{body}\n\
         --4XyZ12ab.17/mail.wonderwidgets.cn\nContent-Type: message/delivery-status\n\n\
         Reporting-MTA: dns; mail.wonderwidgets.cn\n\nFinal-Recipient: rfc822; wangfang@bigbuyer.com\nAction: failed\n\
         Status: 5.1.1\nDiagnostic-Code: smtp; 550 user unknown\n\n\
         --4XyZ12ab.17/mail.wonderwidgets.cn\nContent-Type: message/rfc822\n\n\
         From: chenwei@wonderwidgets.cn\nTo: wangfang@bigbuyer.com\nSubject: secret plans\nContent-Type: multipart/mixed; boundary=xx\n\n\
         --xx\nContent-Type: text/plain\n\nsecret words\n--xx\nContent-Type: application/pdf; name=\"secret.pdf\"\n\nsecret\n--xx--\n\n\
         --4XyZ12ab.17/mail.wonderwidgets.cn--\n"
    );
    let (text, verdict) = rewritten(&message);
    assert!(verdict.contains("user_unknown"), "{verdict}");
    assert!(!text.contains("wonderwidgets") && !text.contains("secret"), "{text}");
    let mail = Mail::parse(text.as_bytes());
    assert_eq!(mail.parts().len(), 4);
    let words = &mail.parts()[1];
    assert_eq!(words.parameter("charset"), Some("gbk"));
    assert!(
        words.text().starts_with("您的邮件没有送达\n<u") && words.text().contains("example.com>: 550"),
        "{}",
        words.text()
    );
    let original = mail.parts()[3].message().unwrap();
    assert_eq!(original.parts().len(), 3);
    assert_eq!(original.parts()[2].file_name(), Some("file.pdf"));
}

#[test]
fn providers_and_offices_stay_who_they_are() {
    let (text, _) = rewritten(&QMAIL.replace("bigbuyer.com", "qq.com").replace("203.0.113.9", "mx3.qq.com"));
    assert!(text.contains("mx3.qq.com") && text.contains("@qq.com") && !text.contains("wangfang"), "{text}");
}

#[test]
fn hostile_input_ends_in_a_message_or_a_reason() {
    for message in [
        "",
        "\n",
        "From: a\n",
        "Subject: =?x?b?\u{0}\n\n@@@ http:// ::1 1.1.1.1 %40",
        "Content-Type: multipart/x\n\n--\n",
    ] {
        let _ = anonymise(message.as_bytes(), catalogue(), None);
    }
    for at in (0..QMAIL.len()).step_by(7) {
        let _ = anonymise(&QMAIL.as_bytes()[..at], catalogue(), None).map(|it| it.bytes.len());
    }
}
