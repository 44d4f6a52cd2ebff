//! What a person most probably meant to type. Pure.
//!
//! Only names that are known to be right are ever proposed (`design.md` §3, Privacy): the shipped
//! list (`catalogue/known-domains.txt`), the company's own domains, what enough members have
//! written to for long enough, and for local parts what this author's own mail was delivered to.
//! Nothing is proposed for a name that is itself known, nor for a domain that takes mail, nor
//! where two proposals lie about as near.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Answer, Finding, Observation, Verdict, names, reading};
use crate::{catalogue, diagnosis::Family, mail::Mailbox};

/// What is known to be right, besides the shipped list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Acquaintances {
    /// The company's own domains.
    pub own_domains: Vec<String>,
    /// Domains that three members or more have written to without a bounce over thirty days or more.
    pub domains: Vec<String>,
    /// Addresses that this author's own mail was delivered to.
    pub addresses: Vec<Mailbox>,
}

/// Costs are in tenths of one typing error.
const ONE_ERROR: u32 = 10;
/// An error that fingers make by themselves: a neighbouring key, two letters swapped, one doubled.
const SLIP: u32 = 7;
/// How much farther off the second-best proposal must be.
const MARGIN: u32 = 3;
/// The same for short names, which have near neighbours.
const SHORT_MARGIN: u32 = 5;
/// What costs more is not near at all.
const FARTHEST: u32 = 2 * ONE_ERROR;

/// Adds what the failed address most probably should have been, if anything can be said.
pub fn suggest(finding: &mut Finding, known: &Acquaintances, at: Timestamp) {
    let failed = &finding.report.final_recipient;
    let observation = |check: &str, subject: &str, question: String, answer, resolver: &str| Observation {
        check: check.to_owned(),
        subject: subject.to_owned(),
        question,
        answer,
        verdict: Verdict::Neutral,
        resolver: resolver.to_owned(),
        at,
        ms: 0,
    };
    match wanted(finding) {
        Some(Wanted::Domains) => {
            let domain = failed.domain();
            let proposal = domain_like(domain, known);
            let (answer, resolver) = match proposal {
                Some((domain, source)) => (Answer::Found(vec![domain]), source),
                None if finding.diagnosis.family == Family::Domain => (Answer::NoRecord, "catalogue"),
                None => return,
            };
            let question = format!("known domains like {domain}");
            finding.observations.push(observation("near_miss", domain, question, answer, resolver));
        }
        Some(Wanted::Addresses) if !known.addresses.is_empty() => {
            let question = format!("own addressees like {failed}");
            let answer = address_like(failed, &known.addresses)
                .map_or(Answer::NoRecord, |found| Answer::Found(vec![found.to_string()]));
            let subject = failed.to_string();
            finding.observations.push(observation("near_miss_address", &subject, question, answer, "sent mail"));
        }
        Some(Wanted::Addresses) | None => {}
    }
}

/// What a failed address is to be compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Known domains: nothing is known to take mail for its own.
    Domains,
    /// Known local parts of its domain: the domain is right, the mailbox is not there.
    Addresses,
}

/// What to compare with, if an error in typing can be the cause at all.
#[must_use]
pub fn wanted(finding: &Finding) -> Option<Wanted> {
    let cannot_be_asked = || names::askable(finding.report.final_recipient.domain()).is_err();
    match finding.diagnosis.family {
        Family::Domain | Family::Connection => names_no_exchanger(finding).then_some(Wanted::Domains),
        // Malformed as it stands: what follows the @ is no name at all.
        Family::Address if finding.diagnosis.cause.as_str() == "address_syntax" && cannot_be_asked() => {
            Some(Wanted::Domains)
        }
        Family::Address if finding.diagnosis.cause.as_str() == "user_unknown" => Some(Wanted::Addresses),
        Family::Address
        | Family::Mailbox
        | Family::Size
        | Family::Refused
        | Family::Reputation
        | Family::Authentication
        | Family::Content
        | Family::Throttled
        | Family::System
        | Family::Submission
        | Family::Unknown => None,
    }
}

/// Whether the domain may be a mistake: its server said so or nobody was asked, and the DNS knows
/// no exchanger that takes its mail. For a connection that failed the DNS must have said so.
fn names_no_exchanger(finding: &Finding) -> bool {
    let mx = finding.observations.iter().find(|it| it.check == "mx").map(|it| &it.answer);
    match mx {
        // Null MX, and no MX whose host has an address, have become causes of the family.
        Some(Answer::Found(records)) => {
            reading::is_null_mx(records) || finding.diagnosis.cause.as_str() == "no_mail_host"
        }
        Some(Answer::NoRecord | Answer::NoSuchName) => true,
        // What cannot be a name in the DNS is a mistake whatever the servers said.
        Some(Answer::Unavailable(_)) | None => {
            finding.diagnosis.family == Family::Domain
                || names::askable(finding.report.final_recipient.domain()).is_err()
        }
    }
}

/// The known domain that was most probably meant, and how it is known.
fn domain_like(written: &str, known: &Acquaintances) -> Option<(String, &'static str)> {
    // Full-width letters and dots become plain ones here.
    let ascii = names::askable(written).unwrap_or_else(|_| written.to_lowercase());
    if ascii.len() > 80 {
        return None;
    }
    let shipped = catalogue::list("known-domains.txt");
    let own = known.own_domains.iter().map(String::as_str);
    let met = known.domains.iter().map(String::as_str);
    let all = shipped.map(|it| (it, "catalogue")).chain(own.map(|it| (it, "configuration")));
    let all: Vec<(&str, &'static str)> = all.chain(met.map(|it| (it, "sent mail"))).collect();
    if let Some((same, source)) = all.iter().find(|(it, _)| *it == ascii) {
        return (ascii != written).then(|| ((*same).to_owned(), *source));
    }
    let mut near: Vec<(u32, bool, &str, &'static str)> = all
        .iter()
        .filter_map(|(it, source)| cost(&ascii, it).map(|(cost, believed)| (cost, believed, *it, *source)))
        .collect();
    near.sort_unstable();
    near.dedup_by_key(|it| it.2);
    // What is too far off to be proposed still casts doubt on its neighbour.
    let (first, rival) = (near.iter().position(|it| it.1)?, near.get(1).map(|it| it.0));
    let (cost, _, proposal, source) = *near.get(first)?;
    let margin = if label_of(proposal).chars().count() < 4 { SHORT_MARGIN } else { MARGIN };
    let clear = first == 0 && rival.is_none_or(|rival| rival >= cost + margin);
    clear.then(|| (proposal.to_owned(), source))
}

fn address_like(failed: &Mailbox, known: &[Mailbox]) -> Option<Mailbox> {
    let written = failed.local().to_lowercase();
    let same_domain: Vec<&Mailbox> = known.iter().filter(|it| it.domain() == failed.domain()).collect();
    if same_domain.iter().any(|it| it.local().to_lowercase() == written) {
        return None;
    }
    let near = same_domain.into_iter().filter_map(|it| {
        let right = it.local().to_lowercase();
        let cost = distance(&written, &right);
        let allowed = match right.chars().count() {
            0..4 => 0,
            4..9 => ONE_ERROR,
            _ => 2 * ONE_ERROR,
        };
        (cost <= allowed).then(|| (cost, it.clone()))
    });
    best(near.collect())
}

/// The nearest, if it is nearer than every other by a margin.
fn best<T: Clone + Ord>(near: Vec<(u32, T)>) -> Option<T> {
    let mut near: Vec<(u32, T)> = near.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    near.dedup_by(|a, b| a.1 == b.1);
    let mut near = near.into_iter();
    let first = near.next()?;
    near.next().is_none_or(|second| second.0 >= first.0 + MARGIN).then_some(first.1)
}

/// What it takes to type `written` for `right`, and whether that is little enough to be believed.
fn cost(written: &str, right: &str) -> Option<(u32, bool)> {
    let label = label_of(right);
    let rest = right.get(label.len()..)?;
    for (wrong, cost) in [
        (format!("www.{right}"), SLIP),
        (format!("mail.{right}"), ONE_ERROR),
        (format!("{right}.cn"), SLIP),
        (format!("{right}.com"), SLIP),
        (right.replace('.', ""), SLIP),
        (label.to_owned(), SLIP),
    ] {
        if written == wrong {
            return Some((cost, true));
        }
    }
    // Signs that look alike: nobody sees the error.
    let seen = |it: &str| it.replace('0', "o").replace(['l', 'i'], "1");
    if seen(written) == seen(right) {
        return Some((SLIP, true));
    }
    // The same name under another top.
    let written_label = label_of(written);
    let real_top = psl::suffix(written.as_bytes()).is_some_and(|it| it.is_known());
    if written_label == label && label.len() >= 3 && real_top {
        let edits = distance(written.get(label.len()..)?, rest);
        return Some((edits.min(ONE_ERROR + 2), true));
    }
    let cost = distance(written, right);
    let within_top = written.strip_prefix(label).is_some_and(|it| it.starts_with('.'));
    let allowed = match (label.chars().count(), real_top) {
        // In a short name every letter carries it; under a top that does not exist all is wrong.
        (0..4, _) if within_top => ONE_ERROR,
        (0..4, _) if written.len() == right.len() && sorted(written) != sorted(right) => 0,
        (0..4, _) => SLIP,
        (4..6, true) => ONE_ERROR,
        (4..6, false) | (6.., true) => 2 * SLIP,
        (6.., false) => 2 * ONE_ERROR,
    };
    (cost <= FARTHEST).then_some((cost, cost <= allowed))
}

fn sorted(text: &str) -> Vec<char> {
    let mut all: Vec<char> = text.chars().collect();
    all.sort_unstable();
    all
}

/// What stands before the public suffix: `yahoo` of `yahoo.co.jp`, `vip.163` of `vip.163.com`.
fn label_of(domain: &str) -> &str {
    let suffix = psl::suffix(domain.as_bytes()).map_or(0, |it| it.as_bytes().len() + 1);
    domain.get(..domain.len().saturating_sub(suffix)).unwrap_or(domain)
}

/// Optimal string alignment (Damerau), in tenths, with what fingers do by themselves cheaper.
fn distance(written: &str, right: &str) -> u32 {
    let a: Vec<char> = written.chars().collect();
    let b: Vec<char> = right.chars().collect();
    if a.len().abs_diff(b.len()) > 3 {
        return u32::MAX;
    }
    let at = |chars: &[char], index: Option<usize>| index.and_then(|it| chars.get(it).copied());
    let doubled = |chars: &[char], index: usize| {
        let here = at(chars, Some(index));
        here.is_some() && (here == at(chars, index.checked_sub(1)) || here == at(chars, Some(index + 1)))
    };
    let extra = |chars: &[char], index: usize| if doubled(chars, index) { SLIP } else { ONE_ERROR };
    let mut before: Vec<u32> = Vec::new();
    let mut last: Vec<u32> = vec![0];
    for j in 0..b.len() {
        last.push(last[j] + extra(&b, j));
    }
    for i in 0..a.len() {
        let mut row = vec![last[0] + extra(&a, i)];
        for j in 0..b.len() {
            let substitution = if a[i] == b[j] { 0 } else { slip_of(a[i], b[j]) };
            let mut least = (last[j] + substitution).min(last[j + 1] + extra(&a, i)).min(row[j] + extra(&b, j));
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] && a[i] != a[i - 1] {
                least = least.min(before[j - 1] + SLIP);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(u32::MAX)
}

/// One key for another. Digits are read, not felt: a neighbour among them is no slip.
fn slip_of(a: char, b: char) -> u32 {
    const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    const ALIKE: [(char, char); 5] = [('0', 'o'), ('1', 'l'), ('1', 'i'), ('l', 'i'), (',', '.')];
    let place = |c: char| ROWS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.find(c)?)));
    let alike = ALIKE.iter().any(|pair| *pair == (a, b) || *pair == (b, a));
    let beside = match (place(a), place(b)) {
        (Some((row, column)), Some((other_row, other_column))) => {
            row.abs_diff(other_row) <= 1 && column.abs_diff(other_column) <= 1
        }
        _ => false,
    };
    if alike || beside { SLIP } else { ONE_ERROR }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(written: &str) -> Option<String> {
        let known = Acquaintances {
            own_domains: vec!["corp.example.cn".to_owned()],
            domains: vec!["hichina.example".to_owned()],
            addresses: Vec::new(),
        };
        domain_like(written, &known).map(|it| it.0)
    }

    #[test]
    fn slips_are_seen_through() {
        for (written, right) in [
            ("gmial.com", "gmail.com"),
            ("gmail.con", "gmail.com"),
            ("gmailcom", "gmail.com"),
            ("hotmial.com", "hotmail.com"),
            ("outlok.com", "outlook.com"),
            ("163.con", "163.com"),
            ("1663.com", "163.com"),
            ("163.com.cn", "163.com"),
            ("www.163.com", "163.com"),
            ("qq.cm", "qq.com"),
            ("163。com", "163.com"),
            ("ｑｑ.com", "qq.com"),
            ("corp.exmaple.cn", "corp.example.cn"),
            ("hichian.example", "hichina.example"),
        ] {
            assert_eq!(like(written).as_deref(), Some(right), "{written}");
        }
    }

    #[test]
    fn where_two_are_near_or_none_is_nothing_is_proposed() {
        for written in [
            "162.com",
            "164.com",
            "gmail.com",
            "sina.con.cn.example",
            "buyer.example",
            "qa.com",
            "tt.com",
            "example.org",
            "localhost",
            "",
            "xn--fsqu00a.xn--fiqs8s",
        ] {
            assert_eq!(like(written), None, "{written}");
        }
    }

    #[test]
    fn an_address_is_proposed_only_from_the_authors_own() {
        let known: Vec<Mailbox> = ["zhang.san@buyer.example", "li@buyer.example", "zhang.sen@other.example"]
            .iter()
            .filter_map(|it| Mailbox::parse(it))
            .collect();
        let like = |text: &str| address_like(&Mailbox::parse(text).unwrap(), &known).map(|it| it.to_string());
        assert_eq!(like("zhang.sna@buyer.example").as_deref(), Some("zhang.san@buyer.example"));
        assert_eq!(like("zhangsan@buyer.example").as_deref(), Some("zhang.san@buyer.example"));
        assert_eq!(like("zhang.san@buyer.example"), None);
        assert_eq!(like("l1@buyer.example"), None, "too short to tell");
        assert_eq!(like("zhang.san@third.example"), None);
        assert_eq!(like("wang.wu@buyer.example"), None);
    }

    #[test]
    fn every_known_domain_is_a_domain_and_stands_once() {
        let all: Vec<&str> = catalogue::list("known-domains.txt").collect();
        let unique: BTreeSet<&&str> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
        for domain in all {
            assert_eq!(names::askable(domain).as_deref(), Ok(domain));
        }
    }
}
