//! From the bounce's octets to the explanation: charsets, languages, odd originals.

use super::*;
use crate::{
    bounce,
    diagnosis::{Catalogue, home_of},
};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().expect("what ships"));

/// A report about one recipient, with this header block (octets) of the original.
fn report(recipient: &str, original: &[u8]) -> Vec<u8> {
    let mut raw = format!(
        "From: MAILER-DAEMON@mail.corp.example.cn\r\nTo: chen.jing@corp.example.cn\r\nSubject: Undelivered Mail\r\n\
         Date: Mon, 16 Nov 2026 09:14:00 +0800\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nYour message could not be delivered.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.corp.example.cn\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; mx.buyer.example.cn\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    )
    .into_bytes();
    raw.extend_from_slice(original);
    raw.extend_from_slice(b"\r\n--b--\r\n");
    raw
}

fn explained(raw: &[u8], tag: Option<&str>) -> Rendered {
    let bounce::Recognition::Bounce(bounce) = bounce::recognise(raw) else { panic!("a bounce") };
    let findings: Vec<Finding> = bounce
        .recipients
        .iter()
        .map(|report| Finding {
            report: report.clone(),
            diagnosis: CATALOGUE.diagnose(&bounce, report, home_of(None, None)),
            observations: Vec::new(),
        })
        .collect();
    let written_in = bounce.original.as_ref().and_then(|it| it.language.clone()).unwrap_or_default();
    let plan = plan(&bounce, &[tag.unwrap_or(&written_in)]);
    render_parts(&TEXTS, &settings(), &plan, &[(bounce, findings)], Audience::Author, now())
}

fn original(subject: &[u8], more: &str) -> Vec<u8> {
    let mut raw = b"From: chen.jing@corp.example.cn\r\nTo: wang.xm@buyer.example.cn\r\n".to_vec();
    raw.extend_from_slice(more.as_bytes());
    raw.extend_from_slice(b"Subject: ");
    raw.extend_from_slice(subject);
    raw.extend_from_slice(b"\r\nMessage-ID: <m1@corp.example.cn>\r\n");
    raw
}

#[test]
fn subjects_in_twelve_charsets_read_as_they_were_written() {
    let subjects: [(&[u8], &str); 14] = [
        (b"Quotation", "Quotation"),
        (b"=?utf-8?B?5oql5Lu35Y2V?=", "报价单"),
        (b"=?gb2312?B?sai827Wl?=", "报价单"),
        (b"=?gbk?Q?=B1=A8=BC=DB=B5=A5?=", "报价单"),
        (b"=?gb18030?B?sai827Wl?=", "报价单"),
        (b"=?big5?B?s/i7+bPm?=", "報價單"),
        (b"=?iso-2022-jp?B?GyRCOCtAUT1xGyhC?=", "見積書"),
        (b"=?shift_jis?B?jKmQz4+R?=", "見積書"),
        (b"=?euc-jp?B?uKvA0b3x?=", "見積書"),
        (b"=?euc-kr?B?sN/A+7yt?=", "견적서"),
        (b"=?koi8-r?B?897F1A==?=", "Счет"),
        (b"=?windows-1251?B?0ffl8g==?=", "Счет"),
        (b"=?iso-8859-1?Q?Angebot_f=FCr_M=FCller?=", "Angebot für Müller"),
        (b"=?windows-1252?Q?Price_=80_5?=", "Price € 5"),
    ];
    for (octets, subject) in subjects {
        let it = explained(&report("wang.xm@buyer.example.cn", &original(octets, "")), Some("zh-CN"));
        let name = String::from_utf8_lossy(octets).into_owned();
        assert!(it.text.contains(&format!("“{subject}”")), "{name}: {}", it.text);
    }
    // Raw octets without any encoded word, and a charset that nobody knows: readable all the same.
    for octets in [&b"\xb1\xa8\xbc\xdb\xb5\xa5"[..], b"\xff\xfe\x00", b"=?x-unknown?B?sai828Wl?=", b"=?utf-8?B?broken"]
    {
        let it = explained(&report("wang.xm@buyer.example.cn", &original(octets, "")), Some("zh-CN"));
        assert!(it.text.contains("没有送到：没有这个邮箱。") && !it.text.contains('\u{0}'), "{}", it.text);
    }
}

#[test]
fn the_language_is_that_of_the_original() {
    let subject =
        |octets: &[u8], more: &str| explained(&report("wang.xm@buyer.example.cn", &original(octets, more)), None).text;
    let chinese = |text: &str| text.contains("没有送到");
    assert!(chinese(&subject(b"Quotation", "Content-Language: zh-CN\r\n")), "its Content-Language");
    assert!(!chinese(&subject(b"=?utf-8?B?5oql5Lu35Y2V?=", "Content-Language: en\r\n")), "its Content-Language");
    let charset = "Content-Type: text/plain; charset=gb18030\r\n";
    assert!(chinese(&subject(b"Quotation", charset)), "its charset");
    assert!(chinese(&subject(b"=?utf-8?B?5oql5Lu35Y2V?=", "")), "the script of its subject");
    assert!(!chinese(&subject(b"Quotation for November", "")), "the script of its subject");
    let whole = report("wang.xm@buyer.example.cn", &original(b"RE", "Content-Type: text/plain; charset=utf-8\r\n"));
    let whole = String::from_utf8(whole).expect("text").replace("text/rfc822-headers", "message/rfc822");
    let whole = whole.replace("\r\n--b--", "\r\n您好，报价见附件。\r\n--b--");
    assert!(chinese(&explained(whole.as_bytes(), None).text), "the script of its body");
}

#[test]
fn odd_originals_and_recipients_are_explained() {
    for recipient in
        ["用户@例子.中国", "wang@xn--fsqu00a.xn--fiqs8s", "\"wang xm\"@buyer.example.cn", "wang@[192.0.2.1]"]
    {
        let it = explained(&report(recipient, &original(b"x", "")), Some("zh-CN"));
        assert!(it.text.contains("没有送到"), "{recipient}: {}", it.text);
        assert!(it.text.len() < MAX_OCTETS);
    }
    for header in [&b""[..], b"X: y\r\n", b"From:\r\nTo:\r\nSubject:\r\nDate: never\r\n"] {
        let it = explained(&report("wang.xm@buyer.example.cn", header), Some("zh-CN"));
        assert!(it.text.contains("您发给 wang.xm@buyer.example.cn 的邮件没有送到：没有这个邮箱。"), "{}", it.text);
        assert!(!it.text.contains("（）") && !it.text.contains("没有主题"), "{}", it.text);
    }
    let unknown = explained(&report("wang.xm@buyer.example.cn", &original(b"x", "")), Some("tlh"));
    assert!(
        unknown.text.contains("didn't arrive: no such mailbox."),
        "an unknown language is English: {}",
        unknown.text
    );
}
