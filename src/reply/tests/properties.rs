//! What `explanations.md` asks of every sentence, held for every cause, sureness and speaker.

use regex::Regex;

use super::*;

/// Every cause in Chinese for the author: each sureness, told by them and by us.
fn in_chinese() -> Vec<(String, Rendered)> {
    let mut all = Vec::new();
    for (cause, ..) in SPECIMENS {
        for confidence in [Confidence::Certain, Confidence::Likely, Confidence::Guess] {
            // Our own server does not speak in guesses.
            for ours in [false, true].into_iter().filter(|it| !it || confidence == Confidence::Certain) {
                let mut it = specimen(cause);
                it.diagnosis.confidence = confidence;
                it.report.remote_mta = (!ours).then(|| "mx.example.cn".to_owned());
                if ours {
                    it.report.diagnostic = Some("Sorry, I couldn't do it.".to_owned());
                    it.report.reply_code = None;
                }
                all.push((format!("{cause}, {confidence:?}, ours: {ours}"), explain(&it, "zh-CN", Audience::Author)));
            }
        }
    }
    all
}

/// The words above the line, without what to pass on, which may be in another language.
fn words(rendered: &Rendered) -> String {
    let above = rendered.text.split("-----").next().unwrap_or_default();
    above.lines().filter(|it| !it.starts_with("  ")).collect::<Vec<_>>().join("\n")
}

fn line_of(text: &str, at: usize) -> &str {
    let begin = text[..at].rfind('\n').map_or(0, |it| it + 1);
    text[begin..].lines().next().unwrap_or_default()
}

fn without_addresses(text: &str) -> String {
    static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"[\p{L}\p{N}.]+@[\p{L}\p{N}.]*[\p{L}\p{N}]|[a-z]+(\.[a-z]+)+|[a-z]+\[at\]\S+";
        Regex::new(pattern).expect("a sound pattern")
    });
    ADDRESS.replace_all(text, "").into_owned()
}

#[test]
fn a_headline_is_at_most_twenty_characters_or_twelve_words() {
    let mut wrong = Vec::new();
    for (cause, ..) in SPECIMENS {
        for confidence in [Confidence::Certain, Confidence::Likely, Confidence::Guess] {
            let mut it = specimen(cause);
            it.diagnosis.confidence = confidence;
            let headline = |tag: &str| {
                let text = explain(&it, tag, Audience::Author).text;
                without_addresses(
                    text.lines()
                        .find(|it| {
                            it.contains("没有送到") || it.contains("didn't arrive") || it.starts_with("Not delivered")
                        })
                        .unwrap_or_default(),
                )
            };
            let chinese = headline("zh-CN");
            let length = chinese.chars().filter(|it| it.is_alphanumeric()).count();
            if !(8..=20).contains(&length) {
                wrong.push(format!("{cause}: {length}: {chinese}"));
            }
            let english = headline("en");
            let length = english.split_whitespace().filter(|it| it.chars().any(char::is_alphanumeric)).count();
            if !(5..=12).contains(&length) {
                wrong.push(format!("{cause}: {length}: {english}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn chinese_and_latin_are_spaced_and_punctuation_is_full_width() {
    let mut wrong = Vec::new();
    let tight = Regex::new(r"\p{Han}[A-Za-z0-9]|[A-Za-z0-9]\p{Han}").expect("a sound pattern");
    let loose = Regex::new(r"\p{Han} \p{Han}|[，。；：！？、）”] |[^\n] [，。；：！？、（]").expect("a sound pattern");
    let narrow = Regex::new(r#"\p{Han}[,;:!?()"']|[,;!?]\p{Han}"#).expect("a sound pattern");
    for (name, rendered) in in_chinese() {
        let words = words(&rendered).replace("用户@例子.中国", "yh@example.cn");
        for (fault, pattern) in [("no blank", &tight), ("a blank too many", &loose), ("half-width", &narrow)] {
            if let Some(found) = pattern.find(&words) {
                wrong.push(format!("{name}: {fault} at {:?} in {}", found.as_str(), line_of(&words, found.start())));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The right-hand column of the Words table, and what the principles forbid.
const NOT_OUR_WORDS: &[&str] = &[
    "投递失败",
    "投递不成功",
    "退件",
    "弹回",
    "反弹",
    "收信方",
    "投递方",
    "用户",
    "远程",
    "本地",
    "第三方",
    "远程主机",
    "MTA",
    "MX",
    "用户不存在",
    "未知用户",
    "账户",
    "失效账号",
    "超出配额",
    "配额",
    "溢出",
    "爆满",
    "阈值",
    "体积过大",
    "主机名",
    "后缀",
    "RBL",
    "DNSBL",
    "反垃圾组织",
    "信头域",
    "源站",
    "逆向域名",
    "反解",
    "节流",
    "流控",
    "限流",
    "会话",
    "握手",
    "跳数",
    "蹦跳",
    "封锁",
    "屏蔽",
    "国外",
    "重新投递",
    "诊断代码",
    "检测结果",
    "SMTP",
    "NDR",
    "DSN",
    "进行",
    "您的邮件被",
    "非常抱歉",
    "不便",
    "违反",
    "你的",
    "你 ",
    "防火墙",
    "GFW",
    "长城",
    "PTR",
    "SPF",
    "DKIM",
    "DMARC",
    "TLS",
    "IMAP",
    "550",
    "DNS",
];

#[test]
fn the_words_are_those_of_the_office() {
    let mut wrong = Vec::new();
    for (name, rendered) in in_chinese() {
        let words = words(&rendered);
        let words =
            without_addresses(&words.lines().filter(|it| !it.contains("只回了一句")).collect::<Vec<_>>().join("\n"));
        let found: Vec<_> = NOT_OUR_WORDS.iter().filter(|it| words.contains(*it)).collect();
        let lines: Vec<_> = found.iter().filter_map(|it| words.find(**it)).map(|at| line_of(&words, at)).collect();
        wrong.extend((!found.is_empty()).then(|| format!("{name}: {found:?} in {lines:?}")));
        assert!(words.contains("您") && (words.contains("对方") || words.contains("我方")), "{name}: {words}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_english_is_left_in_chinese() {
    let mut wrong = Vec::new();
    let latin = Regex::new(r"[A-Za-z]{2,}").expect("a sound pattern");
    let known = ["IT", "PDF", "QQ", "MB", "KB", "zip", "Gmail", "Outlook", "WB", "Spamhaus", "pdf", "jpg"];
    for (name, rendered) in in_chinese() {
        let words = words(&rendered);
        for line in words.lines().filter(|it| !it.contains("只回了一句") && !it.contains("编号 WB-")) {
            let locals: Vec<&str> = SPECIMENS.iter().map(|it| it.1.split('@').next().unwrap_or_default()).collect();
            let line = locals
                .iter()
                .filter(|it| it.len() > 1)
                .fold(without_addresses(line), |line, local| line.replace(local, ""));
            let found: Vec<_> = latin.find_iter(&line).map(|it| it.as_str()).filter(|it| !known.contains(it)).collect();
            wrong.extend((!found.is_empty()).then(|| format!("{name}: {found:?} in {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Not an error: the list shows where a sentence grew long, so that the next edit may cut it.
#[test]
fn long_sentences_are_listed() {
    let mut long: Vec<String> = in_chinese()
        .iter()
        .flat_map(|(_, it)| {
            let words = without_addresses(&words(it).replace('\n', "。"));
            let sentences = words.split(['。', '？', '！', '；', '：']).map(str::trim).map(str::to_owned);
            sentences.filter(|it| it.chars().filter(|c| c.is_alphanumeric()).count() > 30).collect::<Vec<_>>()
        })
        .collect();
    long.sort();
    long.dedup();
    insta::assert_snapshot!("long_sentences", long.join("\n"));
}

#[test]
fn english_is_plain() {
    let forbidden = [
        "NDR",
        "DSN",
        "MTA",
        "RCPT",
        "SMTP",
        "blacklist",
        "undeliverable",
        "delivery failure",
        "sorry",
        "remote host",
        "invalid user",
    ];
    for (cause, ..) in SPECIMENS {
        let words = words(&explain(&specimen(cause), "en", Audience::Author));
        let lower =
            words.lines().filter(|it| !it.contains("only answered")).collect::<Vec<_>>().join("\n").to_lowercase();
        let found: Vec<_> = forbidden.iter().filter(|it| lower.contains(&it.to_lowercase())).collect();
        assert!(found.is_empty(), "{cause}: {found:?} in {words}");
        assert!(!words.chars().any(|it| "，。；：".contains(it) && !words.contains("IT 服务台")), "{cause}: {words}");
    }
}

#[test]
fn nothing_is_promised_that_nobody_does() {
    for (cause, ..) in SPECIMENS {
        for (tag, promises) in [
            ("zh-CN", &["恢复后通知", "会通知您", "会再通知", "稍后告知"][..]),
            ("en", &["we'll let you know", "we will inform", "you'll be told"]),
        ] {
            let text = explain(&specimen(cause), tag, Audience::Author).text.to_lowercase();
            assert!(promises.iter().all(|it| !text.contains(it)), "{cause}: {text}");
        }
    }
}
