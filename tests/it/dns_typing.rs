//! Fifty typing errors of real mail domains, and fifty right addresses, of which many look like
//! errors: how many are seen through, and that none that is right is called wrong.

use std::fmt::Write as _;

use crate::{
    dns::{diagnosed, timed_out},
    harness::{Knot, servers_here},
};

/// What was typed, and what was meant.
const ERRORS: [(&str, &str); 50] = [
    ("gmial.com", "gmail.com"),
    ("gmal.com", "gmail.com"),
    ("gmaill.com", "gmail.com"),
    ("gamil.com", "gmail.com"),
    ("gmail.con", "gmail.com"),
    ("gmail.cm", "gmail.com"),
    ("gmail.comm", "gmail.com"),
    ("gmail.co", "gmail.com"),
    ("gmailcom", "gmail.com"),
    ("gnail.com", "gmail.com"),
    ("hotmial.com", "hotmail.com"),
    ("hotmai.com", "hotmail.com"),
    ("hotmaill.com", "hotmail.com"),
    ("hotmall.com", "hotmail.com"),
    ("hotmail.con", "hotmail.com"),
    ("hotmil.com", "hotmail.com"),
    ("homtail.com", "hotmail.com"),
    ("outlok.com", "outlook.com"),
    ("outllook.com", "outlook.com"),
    ("outloook.com", "outlook.com"),
    ("outlook.cmo", "outlook.com"),
    ("oulook.com", "outlook.com"),
    ("yaho.com", "yahoo.com"),
    ("yahooo.com", "yahoo.com"),
    ("yhaoo.com", "yahoo.com"),
    ("yahoo.con", "yahoo.com"),
    ("163.con", "163.com"),
    ("163.cm", "163.com"),
    ("1163.com", "163.com"),
    ("163.comm", "163.com"),
    ("163com", "163.com"),
    ("163.com.cn", "163.com"),
    ("163.ocm", "163.com"),
    ("126.con", "126.com"),
    ("126.vom", "126.com"),
    ("qq.con", "qq.com"),
    ("qq.cm", "qq.com"),
    ("qqq.com", "qq.com"),
    ("qq.cpm", "qq.com"),
    ("www.qq.com", "qq.com"),
    ("foxmial.com", "foxmail.com"),
    ("foxmail.cn", "foxmail.com"),
    ("sian.com", "sina.com"),
    ("sohu.con", "sohu.com"),
    ("aliyun.con", "aliyun.com"),
    ("alyun.com", "aliyun.com"),
    ("hichian.com", "hichina.com"),
    ("icluod.com", "icloud.com"),
    ("huawie.com", "huawei.com"),
    ("naver.con", "naver.com"),
];

/// Right, and taking mail: known ones, and such as lie near to known ones.
const RIGHT: [&str; 35] = [
    "gmail.com",
    "hotmail.com",
    "outlook.com",
    "yahoo.com",
    "163.com",
    "126.com",
    "qq.com",
    "foxmail.com",
    "sina.cn",
    "139.com",
    "189.cn",
    "mail.com",
    "email.com",
    "ymail.com",
    "gmx.net",
    "gmx.at",
    "live.cn",
    "live.fr",
    "outlook.fr",
    "hotmail.de",
    "yahoo.ca",
    "sina.com.cn",
    "sohu.net",
    "163.net",
    "136.com",
    "qq.cc",
    "tt.com",
    "aol.de",
    "mac.com",
    "me.com",
    "naver.cn",
    "huawei.de",
    "aliyun-inc.com",
    "outlook-trade.example",
    "gmail-import.example",
];

/// Right when they were written, and gone from the DNS since: nobody is to be sent elsewhere.
const EXPIRED: [&str; 15] = [
    "sinotrade.com",
    "163logistics.com",
    "qqtrade.cn",
    "gmall-import.com",
    "hotmetal.com",
    "yahoomotors.com",
    "outlast.com",
    "aliyuan-textile.com",
    "livewire.cn",
    "maersk-agent.net",
    "buyer.example",
    "t-offline.de",
    "fastmold.com",
    "terrace.com.br",
    "comfort.net",
];

#[test]
fn typing_errors_are_seen_through_and_nothing_right_is_called_wrong() {
    if !servers_here(&["knotd"]) {
        return;
    }
    let zone = RIGHT.iter().fold(String::new(), |mut zone, it| {
        let _ = writeln!(zone, "{it}. MX 10 mx.mail.example.");
        zone
    });
    let knot = Knot::start(&format!("{zone}mx.mail.example. A 198.51.100.25\n"));
    let typed: Vec<&str> = ERRORS.iter().map(|it| it.0).chain(RIGHT).chain(EXPIRED).collect();
    let mails: Vec<String> = typed.iter().map(|it| timed_out(&format!("wang@{it}"))).collect();
    let proposals: Vec<Option<String>> = diagnosed(&mails, knot.address)
        .iter()
        .map(|it| {
            let one = it["evidence"].as_array()?.iter().find(|it| it["check"] == "near_miss")?;
            one["answer"]["detail"][0].as_str().map(str::to_owned)
        })
        .collect();
    let meant = ERRORS.iter().map(|it| Some(it.1)).chain(std::iter::repeat(None));
    let mut missed = Vec::new();
    let mut false_ones = Vec::new();
    for ((written, meant), proposal) in typed.iter().zip(meant).zip(proposals) {
        match (proposal, meant) {
            (Some(found), meant) if meant != Some(found.as_str()) => false_ones.push(format!("{written} → {found}")),
            (None, Some(_)) => missed.push(*written),
            _ => {}
        }
    }
    let hits = ERRORS.len() - missed.len();
    let figures = format!(
        "{hits} of 50 typing errors seen through (not {}); false proposals: {}\n",
        missed.join(", "),
        false_ones.len()
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), figures.as_bytes());
    assert_eq!(false_ones, Vec::<String>::new());
    assert!(hits >= 45, "{figures}");
}
