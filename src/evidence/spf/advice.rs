//! The record to publish: what is there is kept, and only what is wrong is changed.

use std::net::IpAddr;

use super::{
    MOST_LOOKUPS, Mechanism, Record, directive,
    evaluate::{Known, lookups, networks},
};

/// What a record allows an address with.
fn term(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(it) => format!("ip4:{it}"),
        IpAddr::V6(it) => format!("ip6:{it}"),
    }
}

fn is_last(term: &str) -> bool {
    term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all")
        || term.to_ascii_lowercase().starts_with("redirect=")
}

/// The record with the addresses allowed. Terms are read from the left, and the first that
/// matches decides (RFC 7208 §4.6.2): so they stand before everything that could refuse them.
/// Without a record, a cautious first one.
#[must_use]
pub fn with_address(now: Option<&str>, ips: &[IpAddr]) -> String {
    let mut terms: Vec<String> = now.unwrap_or("v=spf1 mx ~all").split_whitespace().map(str::to_owned).collect();
    for ip in ips {
        let term = term(*ip);
        if !terms.iter().any(|it| it.eq_ignore_ascii_case(&term)) {
            let refusing = |it: &String| is_last(it) || it.starts_with(['-', '~', '?']);
            let at = terms.iter().position(refusing).unwrap_or(terms.len());
            terms.insert(at, term);
        }
    }
    terms.join(" ")
}

/// One record from several: every term once, in order, and one end, the most cautious.
#[must_use]
pub fn merged(records: &[String]) -> String {
    let mut terms: Vec<&str> = vec!["v=spf1"];
    let mut ends: Vec<&str> = Vec::new();
    for term in records.iter().flat_map(|it| it.split_whitespace().skip(1)) {
        if is_last(term) {
            ends.push(term);
        } else if !terms.contains(&term) {
            terms.push(term);
        }
    }
    let end = ["?all", "~all", "-all"].into_iter().find(|it| ends.contains(it)).or(ends.first().copied());
    terms.push(end.unwrap_or("~all"));
    terms.join(" ")
}

/// The record without the terms that make all of it void.
#[must_use]
pub fn without_wrong_terms(record: &str) -> String {
    let kept = record.split_whitespace().enumerate().filter(|(index, term)| {
        let modifier = term.split_once('=').is_some_and(|(name, _)| !name.contains([':', '/']));
        *index == 0 || modifier || directive(term).is_some()
    });
    kept.map(|it| it.1).collect::<Vec<_>>().join(" ")
}

/// The record with includes written out as networks, the costliest first, until it takes no more
/// look-ups than allowed. `None` if it need not, or cannot, be done.
#[must_use]
pub fn flattened(domain: &str, record: &str, known: &Known) -> Option<String> {
    let count = |it: &str| lookups(it, known).ok().flatten();
    let mut all = count(domain)?;
    let parsed = Record::parse(record).ok()?;
    let mut includes: Vec<(u32, &str, Vec<String>)> = parsed
        .directives
        .iter()
        .filter_map(|it| match &it.mechanism {
            Mechanism::Include(name) => {
                let name = name.to_ascii_lowercase();
                Some((count(&name)? + 1, it.words.as_str(), networks(&name, known, 0)?))
            }
            Mechanism::All
            | Mechanism::A(..)
            | Mechanism::Mx(..)
            | Mechanism::Ptr(_)
            | Mechanism::Ip4(..)
            | Mechanism::Ip6(..)
            | Mechanism::Exists(_) => None,
        })
        .collect();
    includes.sort_by_key(|it| std::cmp::Reverse(it.0));
    let mut terms: Vec<String> = record.split_whitespace().map(str::to_owned).collect();
    let mut changed = false;
    for (cost, words, networks) in includes {
        if all <= MOST_LOOKUPS {
            break;
        }
        let at = terms.iter().position(|it| it == words)?;
        terms.splice(at..=at, networks);
        all = all.saturating_sub(cost);
        changed = true;
    }
    let mut seen = std::collections::HashSet::new();
    terms.retain(|it| seen.insert(it.clone()));
    (changed && all <= MOST_LOOKUPS).then(|| terms.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{
        Answer,
        spf::{Question, SpfResult, evaluate},
    };

    fn zone(records: &[(&str, &str)]) -> Known {
        let txt =
            |(name, text): &(&str, &str)| (Question::Txt((*name).to_owned()), Answer::Found(vec![(*text).to_owned()]));
        records.iter().map(txt).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_address_stands_before_what_refuses() {
        let now = "v=spf1 ip4:192.0.2.1 -ip4:192.0.2.0/24 include:a.example -all";
        assert_eq!(
            with_address(Some(now), &[ip("192.0.2.9")]),
            "v=spf1 ip4:192.0.2.1 ip4:192.0.2.9 -ip4:192.0.2.0/24 include:a.example -all"
        );
        assert_eq!(with_address(None, &[ip("2001:db8::1")]), "v=spf1 mx ip6:2001:db8::1 ~all");
        assert_eq!(
            with_address(Some("v=spf1 redirect=x.example"), &[ip("192.0.2.9")]),
            "v=spf1 ip4:192.0.2.9 redirect=x.example"
        );
        let twice = with_address(Some(now), &[ip("192.0.2.1")]);
        assert_eq!(twice, now);
    }

    #[test]
    fn two_records_become_one() {
        let records = ["v=spf1 mx ip4:192.0.2.1 -all".to_owned(), "v=spf1 mx include:a.example ~all".to_owned()];
        assert_eq!(merged(&records), "v=spf1 mx ip4:192.0.2.1 include:a.example ~all");
        assert_eq!(without_wrong_terms("v=spf1 mx ip4:1.2.3 exp=x.example -all"), "v=spf1 mx exp=x.example -all");
    }

    #[test]
    fn too_many_look_ups_are_written_out_until_they_are_few_enough() {
        let many: String = (0..9).map(|it| format!("include:s{it}.example ")).collect();
        let record = format!("v=spf1 mx include:big.example include:small.example a:x.example {many}-all");
        let mut all = vec![
            ("corp.example".to_owned(), record.clone()),
            ("big.example".to_owned(), "v=spf1 include:b1.example include:b2.example ~all".to_owned()),
            ("b1.example".to_owned(), "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all".to_owned()),
            ("b2.example".to_owned(), "v=spf1 ip6:2001:db8::/32 -all".to_owned()),
            ("small.example".to_owned(), "v=spf1 mx -all".to_owned()),
        ];
        all.extend((0..9).map(|it| (format!("s{it}.example"), format!("v=spf1 ip4:198.51.100.{it} -all"))));
        let borrowed: Vec<(&str, &str)> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let mut known = zone(&borrowed);
        assert_eq!(lookups("corp.example", &known), Ok(Some(1 + 3 + 2 + 1 + 9)));
        let nobody = ip("203.0.113.8");
        known.insert(Question::Mx("corp.example".to_owned()), Answer::NoRecord);
        known.insert(Question::A("x.example".to_owned()), Answer::Found(vec!["203.0.113.9".to_owned()]));
        known.insert(Question::Mx("small.example".to_owned()), Answer::Found(vec!["10 x.example.".to_owned()]));
        assert_eq!(evaluate("corp.example", nobody, &known).map(|it| it.result), Ok(SpfResult::PermError));
        let better = flattened("corp.example", &record, &known).expect("it can be written out");
        assert!(better.contains("ip4:192.0.2.1 ip4:192.0.2.2 ip6:2001:db8::/32 include:small.example"), "{better}");
        known.insert(Question::Txt("corp.example".to_owned()), Answer::Found(vec![better.clone()]));
        assert!(lookups("corp.example", &known).expect("known").expect("read") <= MOST_LOOKUPS, "{better}");
        assert_eq!(evaluate("corp.example", nobody, &known).map(|it| it.result), Ok(SpfResult::Fail), "{better}");
        assert_eq!(flattened("corp.example", &better, &known), None, "enough is enough");
    }
}
