//! What the answers say, as types. Pure.

use std::{collections::BTreeSet, net::IpAddr, ops::Range};

use super::{Answer, EvidenceRequest, Observation, names, spf};

/// One request with what was asked for it and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What was to be found out.
    pub request: EvidenceRequest,
    /// The questions and answers, in order; not empty.
    pub observations: Vec<Observation>,
    /// What they say together.
    pub reading: Reading,
}

/// What the answers to one request say together.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Of [`EvidenceRequest::MailHosts`].
    MailHosts(MailHosts),
    /// Of [`EvidenceRequest::Reverse`].
    Reverse(Reverse),
    /// Of [`EvidenceRequest::Helo`].
    Helo(Helo),
    /// Of [`EvidenceRequest::Spf`].
    Spf(Spf),
    /// Of [`EvidenceRequest::Dkim`].
    Dkim(Dkim),
    /// Of [`EvidenceRequest::Dmarc`].
    Dmarc(Dmarc),
    /// Of [`EvidenceRequest::Blocklist`].
    Blocklist(Listing),
    /// Of [`EvidenceRequest::Port25`].
    Port25(Port25),
}

/// Where mail for a domain goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailHosts {
    /// The domain does not exist.
    Missing,
    /// It says that it takes no mail (RFC 7505 §3).
    NullMx,
    /// It exists, and names no host with an address.
    NoHost,
    /// It names a host.
    Mx,
    /// It names none, and has an address itself (RFC 5321 §5.1).
    AddressOnly,
    /// Could not be found out.
    Unknown,
}

/// The name of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reverse {
    /// A name that leads back to the address.
    Confirmed(String),
    /// A name that does not.
    Unconfirmed(String),
    /// None.
    Missing,
    /// Could not be found out.
    Unknown,
}

/// The name in HELO.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Helo {
    /// Leads to the address that the connection came from.
    Leads,
    /// Leads elsewhere, or nowhere.
    Elsewhere,
    /// Is no public name.
    NoName,
    /// Could not be found out.
    Unknown,
}

/// An SPF record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spf {
    /// Whether the domain's TXT records could be read at all.
    pub known: bool,
    /// Every `v=spf1` record of the domain: one, if all is well.
    pub records: Vec<String>,
    /// What it says of our sending address.
    pub evaluation: Option<spf::Evaluation>,
    /// Terms that cost a look-up, in all (RFC 7208 §4.6.4: 10 at most); `None`: not all could be read.
    pub lookups: Option<u32>,
    /// The record with as many includes written out as it takes to stay within the limit.
    pub flattened: Option<String>,
}

/// A DKIM key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dkim {
    /// It is there.
    Present,
    /// It was withdrawn: `p=` is empty (RFC 6376 §3.6.1).
    Revoked,
    /// There is a record that is no key, for this reason.
    Broken(&'static str),
    /// None.
    Missing,
    /// Could not be found out.
    Unknown,
}

/// A DMARC record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dmarc {
    /// Its policy: `none`, `quarantine` or `reject`.
    Policy(String),
    /// More than one: counts as none (RFC 7489 §6.6.3).
    Several,
    /// There is a record that is no policy.
    Broken,
    /// None.
    Missing,
    /// Could not be found out.
    Unknown,
}

/// Whether a list names an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listing {
    /// It does, with these codes.
    Listed(Vec<String>),
    /// It does not.
    NotListed,
    /// The list answers something that is no listing: it refuses us, or is not alive.
    Refused(String),
    /// Could not be asked.
    Unknown,
}

/// Whether port 25 of a mail host answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Port25 {
    /// It does.
    Open,
    /// It does not, while the control host's does.
    Closed,
    /// Nothing can be said: nobody could be tried, or our own way out is closed.
    Unknown,
}

/// What observations say, each reading with the observations that it rests on; those of no check
/// known here are passed over. From the observations alone, so that the journal's are read alike.
pub(super) fn readings(observations: &[Observation]) -> Vec<(Range<usize>, Reading)> {
    let mut all = Vec::new();
    let mut begin = 0;
    while let Some(first) = observations.get(begin) {
        let follows: &[&str] = match first.check.as_str() {
            "mx" => &["cname", "mx_host", "address"],
            "ptr" => &["fcrdns"],
            "dmarc" => &["dmarc"],
            _ => &[],
        };
        let rest = observations.get(begin + 1..).unwrap_or_default();
        let more = rest.iter().take_while(|it| it.subject == first.subject && follows.contains(&it.check.as_str()));
        let end = begin + 1 + more.count();
        let group = observations.get(begin..end).unwrap_or_default();
        let last = group.last().unwrap_or(first);
        let reading = match first.check.as_str() {
            "mx" => Some(Reading::MailHosts(mail_hosts(group))),
            "ptr" => Some(Reading::Reverse(reverse(group))),
            "helo" => Some(Reading::Helo(helo(first))),
            "spf" => Some(Reading::Spf(spf_again(first))),
            "dkim" => Some(Reading::Dkim(dkim(&first.answer))),
            "dmarc" => Some(Reading::Dmarc(dmarc(&last.answer))),
            "blocklist" => Some(Reading::Blocklist(listing(&first.answer))),
            "port_25" => Some(Reading::Port25(port_25(&first.answer))),
            _ => None,
        };
        all.extend(reading.map(|it| (begin..end, it)));
        begin = end;
    }
    all
}

/// The addresses in an answer.
pub(super) fn addresses(answer: &Answer) -> Vec<IpAddr> {
    match answer {
        Answer::Found(records) => records.iter().filter_map(|it| it.parse().ok()).collect(),
        Answer::NoRecord | Answer::NoSuchName | Answer::Unavailable(_) => Vec::new(),
    }
}

/// `mx`, and the `mx_host` or `address` look-ups that followed (RFC 5321 §5.1).
pub(super) fn mail_hosts(group: &[Observation]) -> MailHosts {
    let mx = group.iter().find(|it| it.check == "mx");
    let further = || group.iter().filter(|it| matches!(it.check.as_str(), "mx_host" | "address"));
    let some = further().any(|it| !addresses(&it.answer).is_empty());
    let none = further().all(|it| it.answer.is_absent());
    match mx.map(|it| &it.answer) {
        Some(Answer::NoSuchName) => MailHosts::Missing,
        Some(Answer::Found(records)) if is_null_mx(records) => MailHosts::NullMx,
        Some(Answer::Found(records)) => {
            let asked: BTreeSet<&str> = further().filter_map(|it| it.question.split(' ').next()).collect();
            if none && asked.len() == exchangers(records).len() { MailHosts::NoHost } else { MailHosts::Mx }
        }
        Some(Answer::NoRecord) if some => MailHosts::AddressOnly,
        // A and AAAA.
        Some(Answer::NoRecord) if none && further().count() == 2 => MailHosts::NoHost,
        Some(Answer::NoRecord | Answer::Unavailable(_)) | None => MailHosts::Unknown,
    }
}

/// `ptr`, and the look-ups of its names.
pub(super) fn reverse(group: &[Observation]) -> Reverse {
    let Some((ptr, forward)) = group.split_first() else { return Reverse::Unknown };
    let Ok(ip) = ptr.subject.parse::<IpAddr>() else { return Reverse::Unknown };
    let named = match &ptr.answer {
        Answer::NoRecord | Answer::NoSuchName => return Reverse::Missing,
        Answer::Unavailable(_) => return Reverse::Unknown,
        Answer::Found(names) => names,
    };
    let host = |it: &Observation| it.question.split(' ').next().unwrap_or_default().to_owned();
    // A name that is no public name leads nowhere; a server that is silent says nothing.
    let silent = |it: &Observation| matches!(it.answer, Answer::Unavailable(_)) && names::askable(&host(it)).is_ok();
    match (forward.iter().find(|it| addresses(&it.answer).contains(&ip)), named.first()) {
        (Some(it), _) => Reverse::Confirmed(host(it)),
        (None, Some(name)) if !forward.iter().any(silent) => Reverse::Unconfirmed(name.clone()),
        (None, _) => Reverse::Unknown,
    }
}

pub(super) fn helo(it: &Observation) -> Helo {
    let name = it.question.split(' ').next().unwrap_or_default();
    let leads = it.subject.parse::<IpAddr>().is_ok_and(|ip| addresses(&it.answer).contains(&ip));
    match &it.answer {
        _ if names::askable(name).is_err() => Helo::NoName,
        Answer::Found(_) if leads => Helo::Leads,
        Answer::Found(_) | Answer::NoRecord | Answer::NoSuchName => Helo::Elsewhere,
        Answer::Unavailable(_) => Helo::Unknown,
    }
}

/// From the records and the line behind them ([`spf_summary`]).
fn spf_again(it: &Observation) -> Spf {
    let texts = match &it.answer {
        Answer::Found(texts) => texts.as_slice(),
        Answer::NoRecord | Answer::NoSuchName => &[],
        Answer::Unavailable(_) => return Spf::default(),
    };
    let records: Vec<String> = texts.iter().filter(|it| spf::is_record(it)).cloned().collect();
    let summary = texts.iter().find(|it| !spf::is_record(it));
    let evaluation = summary.and_then(|it| {
        let (result, reason) = it.split_once(": ")?.1.split_once(" (")?;
        let (reason, _) = reason.rsplit_once(')')?;
        Some(spf::Evaluation { result: result.parse().ok()?, reason: reason.to_owned() })
    });
    let lookups = summary.and_then(|it| {
        let before = it.rsplit_once(" of ")?.0;
        before.rsplit(' ').next()?.parse().ok()
    });
    Spf { known: true, records, evaluation, lookups, flattened: None }
}

/// What a record comes to, as a line behind it: `203.0.113.8: fail (-all); 4 of 10 look-ups`.
pub(super) fn spf_summary(spf: &Spf, ip: Option<IpAddr>) -> Option<String> {
    let result = spf.evaluation.as_ref().zip(ip).map(|(it, ip)| format!("{ip}: {} ({})", it.result, it.reason));
    let lookups = spf.lookups.map(|it| format!("{it} of {} look-ups", spf::MOST_LOOKUPS));
    let parts: Vec<String> = [result, lookups].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

pub(super) fn port_25(answer: &Answer) -> Port25 {
    match answer {
        Answer::Found(_) => Port25::Open,
        Answer::NoRecord | Answer::NoSuchName => Port25::Closed,
        Answer::Unavailable(_) => Port25::Unknown,
    }
}

/// Whether this is the one record by which a domain says that it takes no mail (RFC 7505 §3).
pub(super) fn is_null_mx(records: &[String]) -> bool {
    matches!(records, [only] if only.split_whitespace().nth(1) == Some("."))
}

/// Exchangers by preference, without their final dots.
pub(super) fn exchangers(records: &[String]) -> Vec<String> {
    let mut hosts: Vec<(u16, String)> = records
        .iter()
        .filter_map(|record| {
            let (preference, host) = record.split_once(' ')?;
            let host = host.trim().trim_end_matches('.');
            (!host.is_empty()).then(|| (preference.parse().unwrap_or(u16::MAX), host.to_ascii_lowercase()))
        })
        .collect();
    hosts.sort();
    hosts.into_iter().map(|it| it.1).collect()
}

/// RFC 6376 §3.6.1: tags, of which `p` must be there.
pub(super) fn dkim(answer: &Answer) -> Dkim {
    let records = match answer {
        Answer::Found(records) => records,
        Answer::NoRecord | Answer::NoSuchName => return Dkim::Missing,
        Answer::Unavailable(_) => return Dkim::Unknown,
    };
    let Some(record) = records.iter().find(|it| tag(it, "p").is_some()).or(records.first()) else {
        return Dkim::Missing;
    };
    if tag(record, "v").is_some_and(|it| it != "DKIM1") {
        return Dkim::Broken("v= is not DKIM1");
    }
    match tag(record, "p") {
        None => Dkim::Broken("there is no p= with the key"),
        Some("") => Dkim::Revoked,
        Some(key) if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/= \t".contains(&b)) => {
            Dkim::Broken("p= is not a key in base64")
        }
        Some(_) => Dkim::Present,
    }
}

/// RFC 7489 §6.3: the version first, then a policy.
pub(super) fn dmarc(answer: &Answer) -> Dmarc {
    let records = match answer {
        Answer::Found(records) => records,
        Answer::NoRecord | Answer::NoSuchName => return Dmarc::Missing,
        Answer::Unavailable(_) => return Dmarc::Unknown,
    };
    let mut right = records.iter().filter(|it| it.split(';').next().is_some_and(|first| first.trim() == "v=DMARC1"));
    match (right.next(), right.next()) {
        (None, _) if records.iter().any(|it| it.to_ascii_lowercase().contains("dmarc")) => Dmarc::Broken,
        (None, _) => Dmarc::Missing,
        (Some(_), Some(_)) => Dmarc::Several,
        (Some(record), None) => match tag(record, "p").map(str::to_ascii_lowercase) {
            Some(policy) if matches!(policy.as_str(), "none" | "quarantine" | "reject") => Dmarc::Policy(policy),
            _ => Dmarc::Broken,
        },
    }
}

/// RFC 5782 §2.1: listings are in 127/8. In practice 127.255.255.x says that the list refuses to
/// answer us, and any other address that somebody answers for names that do not exist.
pub(super) fn listing(answer: &Answer) -> Listing {
    match answer {
        Answer::NoRecord | Answer::NoSuchName => Listing::NotListed,
        Answer::Unavailable(_) => Listing::Unknown,
        Answer::Found(records) => {
            let odd = records.iter().find(|it| !it.starts_with("127.") || it.starts_with("127.255.255."));
            match odd {
                Some(odd) => Listing::Refused(odd.clone()),
                None => Listing::Listed(records.clone()),
            }
        }
    }
}

/// The value of one tag of a tag list (RFC 6376 §3.2).
fn tag<'r>(record: &'r str, name: &str) -> Option<&'r str> {
    record.split(';').find_map(|it| {
        let (key, value) = it.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(records: &[&str]) -> Answer {
        Answer::Found(records.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn a_key_is_a_key() {
        assert_eq!(dkim(&found(&["v=DKIM1; k=rsa; p=MIGfMA0G"])), Dkim::Present);
        assert_eq!(dkim(&found(&["other text", "p=MIGfMA0G"])), Dkim::Present);
        assert_eq!(dkim(&found(&["v=DKIM1; p="])), Dkim::Revoked);
        assert!(matches!(dkim(&found(&["v=DKIM1; k=rsa"])), Dkim::Broken(_)));
        assert!(matches!(dkim(&found(&["v=DKIM1; p=(key)"])), Dkim::Broken(_)));
        assert_eq!(dkim(&Answer::NoSuchName), Dkim::Missing);
        assert_eq!(dkim(&Answer::Unavailable("timed out".to_owned())), Dkim::Unknown);
    }

    #[test]
    fn a_policy_is_one_record_with_a_policy() {
        assert_eq!(
            dmarc(&found(&["v=DMARC1; p=Reject; rua=mailto:x@example.com"])),
            Dmarc::Policy("reject".to_owned())
        );
        assert_eq!(dmarc(&found(&["v=DMARC1; p=none", "v=DMARC1; p=reject"])), Dmarc::Several);
        assert_eq!(dmarc(&found(&["p=none; v=DMARC1"])), Dmarc::Broken);
        assert_eq!(dmarc(&found(&["v=DMARC1; p=maybe"])), Dmarc::Broken);
        assert_eq!(dmarc(&found(&["v=spf1 -all"])), Dmarc::Missing);
    }

    #[test]
    fn a_refusal_to_answer_is_no_listing() {
        assert!(matches!(listing(&found(&["127.0.0.2", "127.0.0.4"])), Listing::Listed(_)));
        assert_eq!(listing(&found(&["127.255.255.254"])), Listing::Refused("127.255.255.254".to_owned()));
        assert!(matches!(listing(&found(&["203.0.113.80"])), Listing::Refused(_)));
        assert_eq!(listing(&Answer::NoSuchName), Listing::NotListed);
    }

    #[test]
    fn what_an_spf_record_comes_to_is_read_back() {
        let spf = Spf {
            known: true,
            records: vec!["v=spf1 -all".to_owned()],
            evaluation: Some(spf::Evaluation { result: spf::SpfResult::SoftFail, reason: "~all (x)".to_owned() }),
            lookups: Some(4),
            flattened: None,
        };
        let ip = "2001:db8::1".parse().expect("an address");
        let texts = spf.records.iter().cloned().chain(spf_summary(&spf, Some(ip))).collect();
        let observation = Observation {
            check: "spf".to_owned(),
            subject: "corp.example".to_owned(),
            question: "corp.example TXT".to_owned(),
            answer: Answer::Found(texts),
            verdict: crate::evidence::Verdict::Neutral,
            resolver: "192.0.2.53:53".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            ms: 1,
        };
        assert_eq!(spf_again(&observation), spf);
        assert_eq!(readings(&[observation]), [(0..1, Reading::Spf(spf))]);
    }

    #[test]
    fn exchangers_come_by_preference() {
        let records = ["20 b.example.".to_owned(), "10 A.example.".to_owned(), "0 .".to_owned()];
        assert_eq!(exchangers(&records), ["a.example", "b.example"]);
        assert!(is_null_mx(&records[2..]));
        assert!(!is_null_mx(&records));
    }
}
