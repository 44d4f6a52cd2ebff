//! Two times fifty typing errors of real mail domains, and fifty right addresses, of which many look
//! like errors: how many are seen through, and that none that is right is called wrong.

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

/// A second fifty, written down before any was tried: confusions of keys, of pinyin, of full-width
/// signs, of one and l, of nought and o.
const MORE_ERRORS: [(&str, &str); 50] = [
    ("gmail.cmo", "gmail.com"),
    ("gmali.com", "gmail.com"),
    ("gmai1.com", "gmail.com"),
    ("gmail,com", "gmail.com"),
    ("gmail..com", "gmail.com"),
    ("gmail.com.", "gmail.com"),
    ("ｇｍａｉｌ.com", "gmail.com"),
    ("gmail．com", "gmail.com"),
    ("hotmali.com", "hotmail.com"),
    ("h0tmail.com", "hotmail.com"),
    ("hotmail.cm", "hotmail.com"),
    ("outlook.con", "outlook.com"),
    ("out1ook.com", "outlook.com"),
    ("outlookcom", "outlook.com"),
    ("outloo.com", "outlook.com"),
    ("yahoo.cmo", "yahoo.com"),
    ("yahho.com", "yahoo.com"),
    ("yahoo.co.jpp", "yahoo.co.jp"),
    ("yahoo.com.hkk", "yahoo.com.hk"),
    ("iclould.com", "icloud.com"),
    ("lcloud.com", "icloud.com"),
    ("foxmai.com", "foxmail.com"),
    ("foxmall.com", "foxmail.com"),
    ("forxmail.com", "foxmail.com"),
    ("qq.come", "qq.com"),
    ("qq.ocm", "qq.com"),
    ("qq,com", "qq.com"),
    ("qq。com", "qq.com"),
    ("l63.com", "163.com"),
    ("163.cpm", "163.com"),
    ("163.comn", "163.com"),
    ("vip.163.con", "vip.163.com"),
    ("vip163.com", "vip.163.com"),
    ("126.cm", "126.com"),
    ("l26.com", "126.com"),
    ("sina.con", "sina.com"),
    ("sohu.cm", "sohu.com"),
    ("souhu.com", "sohu.com"),
    ("aliyum.com", "aliyun.com"),
    ("alibba.com", "alibaba.com"),
    ("hauwei.com", "huawei.com"),
    ("tecent.com", "tencent.com"),
    ("189.con", "189.cn"),
    ("139.con", "139.com"),
    ("tsinghau.edu.cn", "tsinghua.edu.cn"),
    ("zju.edu.con", "zju.edu.cn"),
    ("sjtu.edu,cn", "sjtu.edu.cn"),
    ("pku.edu.cm", "pku.edu.cn"),
    ("googlemial.com", "googlemail.com"),
    ("navr.com", "naver.com"),
];

/// Right, rare, and near to famous ones: another country's, a rival's, one figure beside.
const RARE: [&str; 50] = [
    "gmx.com",
    "gmx.ch",
    "ymail.com",
    "rocketmail.com",
    "qq.co",
    "136.com",
    "164.com",
    "162.com",
    "165.com",
    "188.com",
    "hotmail.de",
    "hotmail.fr",
    "hotmail.it",
    "hotmail.co.uk",
    "hotmail.es",
    "live.cn",
    "live.co.uk",
    "live.de",
    "me.com",
    "mac.com",
    "mail.com",
    "email.cn",
    "foxmail.com",
    "yeah.net",
    "vip.163.com",
    "vip.sina.com",
    "sina.cn",
    "sina.com.hk",
    "sohu.com.cn",
    "vip.sohu.com",
    "aliyun.cn",
    "alibaba.cn",
    "21cn.net",
    "189.com",
    "139.cn",
    "outlook.de",
    "outlook.jp",
    "outlook.com.au",
    "outlook.cn",
    "yahoo.es",
    "yahoo.com.au",
    "yahoo.cn",
    "gmil.com",
    "qq.cn",
    "126.cn",
    "126.net",
    "163.cn",
    "naver.net",
    "mail.de",
    "tencent.cn",
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

/// What is proposed for each of these domains, of which those in the second list exist.
fn proposals(typed: &[&str], existing: &[&str]) -> Vec<Option<String>> {
    let zone = existing.iter().fold(String::new(), |mut zone, it| {
        let _ = writeln!(zone, "{it}. MX 10 mx.mail.example.");
        zone
    });
    let knot = Knot::start(&format!("{zone}mx.mail.example. A 198.51.100.25\n"));
    let mails: Vec<String> = typed.iter().map(|it| timed_out(&format!("wang@{it}"))).collect();
    diagnosed(&mails, knot.address)
        .iter()
        .map(|it| {
            let one = it["evidence"].as_array()?.iter().find(|it| it["check"] == "near_miss")?;
            one["answer"]["detail"][0].as_str().map(str::to_owned)
        })
        .collect()
}

/// How many errors are seen through, of the names that are followed by what was meant, and that
/// nothing else is proposed for any name.
#[track_caller]
fn hits(title: &str, errors: &[(&str, &str)], right: &[&str], gone: &[&str]) -> usize {
    let typed: Vec<&str> = errors.iter().map(|it| &it.0).chain(right).chain(gone).copied().collect();
    let meant = errors.iter().map(|it| Some(it.1)).chain(std::iter::repeat(None));
    let mut missed = Vec::new();
    let mut false_ones = Vec::new();
    for ((written, meant), proposal) in typed.iter().zip(meant).zip(proposals(&typed, right)) {
        match (proposal, meant) {
            (Some(found), meant) if meant != Some(found.as_str()) => false_ones.push(format!("{written} → {found}")),
            (None, Some(_)) => missed.push(*written),
            _ => {}
        }
    }
    let found = errors.len() - missed.len();
    let figures = format!(
        "{title}: {found} of {} typing errors seen through (not {}); {} right names, false proposals: {}\n",
        errors.len(),
        missed.join(", "),
        right.len() + gone.len(),
        false_ones.len()
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), figures.as_bytes());
    assert_eq!(false_ones, Vec::<String>::new());
    found
}

#[test]
fn typing_errors_are_seen_through_and_nothing_right_is_called_wrong() {
    if !servers_here(&["knotd"]) {
        return;
    }
    assert!(hits("first fifty", &ERRORS, &RIGHT, &EXPIRED) >= 45);
    assert!(hits("second fifty", &MORE_ERRORS, &RARE, &[]) >= 40);
}
