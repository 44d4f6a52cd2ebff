//! What is worth asking about one recipient, and where our own mail leaves from. Pure.

use std::net::IpAddr;

use super::{EvidenceRequest, Settings, names};
use crate::{
    bounce::{Action, Bounce, RecipientReport},
    diagnosis::{Diagnosis, Family},
};

/// Sending addresses that are looked into for one bounce.
const MOST_HOSTS: usize = 3;
/// Lists that are asked about each.
const MOST_LISTS: usize = 8;

/// A host of ours that hands mail to others.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct SendingHost {
    /// Its address, as others see it.
    pub ip: IpAddr,
    /// Its name in HELO, where a Received field tells it.
    pub helo: Option<String>,
}

/// Our side of one bounce.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// `[evidence]`.
    pub settings: &'a Settings,
    /// The domain of the original's author.
    pub domain: Option<&'a str>,
    /// Where the original left from.
    pub hosts: &'a [SendingHost],
}

/// The hosts that a bounce's original may have left from: those of the configuration, and the one
/// whose connection another's server noted in a Received field (RFC 5321 §4.4).
#[must_use]
pub fn sending_hosts(settings: &Settings, our_domains: &[&str], bounce: &Bounce) -> Vec<SendingHost> {
    let mut received = bounce.original.iter().flat_map(|it| &it.received);
    let learned = received.find_map(|line| handed_over(line, settings, our_domains));
    let configured = settings.sending_ips.iter().map(|ip| SendingHost { ip: *ip, helo: None });
    let mut hosts: Vec<SendingHost> = configured.collect();
    if let Some(learned) = learned {
        match hosts.iter_mut().find(|it| it.ip == learned.ip) {
            Some(known) => known.helo = learned.helo,
            None if settings.sending_ips.is_empty() => hosts.push(learned),
            // The administrator knows better what is ours.
            None => {}
        }
    }
    hosts
}

/// One of our hosts, in a line that another's server wrote about its connection.
fn handed_over(line: &str, settings: &Settings, our_domains: &[&str]) -> Option<SendingHost> {
    let (from, by) = line.split_once(" by ")?;
    let writer = by.split_whitespace().next()?;
    if is_ours(writer, our_domains) {
        return None;
    }
    let mut words = from.split_whitespace();
    let helo = words.find(|it| it.eq_ignore_ascii_case("from")).and_then(|_| words.next())?;
    let inside = from.rsplit_once('[')?.1.split_once(']')?.0;
    let ip: IpAddr = inside.strip_prefix("IPv6:").unwrap_or(inside).parse().ok()?;
    let named_ours = from.split([' ', '(', ')', '=']).any(|word| is_ours(word, our_domains));
    let ours = settings.sending_ips.contains(&ip) || named_ours;
    let helo = names::askable(helo).ok();
    (ours && names::is_public(ip)).then_some(SendingHost { ip, helo })
}

fn is_ours(name: &str, our_domains: &[&str]) -> bool {
    let name = name.trim_end_matches(['.', ';']).to_lowercase();
    our_domains.iter().any(|domain| {
        name.strip_suffix(&domain.to_lowercase()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The questions worth asking about one recipient.
#[must_use]
pub fn requests(report: &RecipientReport, diagnosis: &Diagnosis, side: Side<'_>) -> Vec<EvidenceRequest> {
    if !matches!(report.action, Action::Failed | Action::Delayed) {
        return Vec::new();
    }
    let domain = report.final_recipient.domain().to_owned();
    match diagnosis.family {
        Family::Connection if side.settings.probe_port_25 => {
            vec![EvidenceRequest::MailHosts(domain.clone()), EvidenceRequest::Port25(domain)]
        }
        Family::Address | Family::Domain | Family::Connection | Family::Unknown | Family::Refused => {
            vec![EvidenceRequest::MailHosts(domain)]
        }
        Family::Reputation => reputation(diagnosis, side),
        Family::Authentication => authentication(diagnosis, side),
        Family::Mailbox | Family::Size | Family::Content | Family::Throttled | Family::System | Family::Submission => {
            Vec::new()
        }
    }
}

/// Our hosts; where none is known, the address of which the server complains.
fn hosts(diagnosis: &Diagnosis, side: Side<'_>) -> Vec<SendingHost> {
    let known: Vec<SendingHost> = side.hosts.iter().take(MOST_HOSTS).cloned().collect();
    match diagnosis.facts.ip.filter(|ip| names::is_public(*ip)) {
        Some(ip) if known.is_empty() => vec![SendingHost { ip, helo: None }],
        _ => known,
    }
}

fn reputation(diagnosis: &Diagnosis, side: Side<'_>) -> Vec<EvidenceRequest> {
    let mut requests = Vec::new();
    for SendingHost { ip, .. } in hosts(diagnosis, side) {
        let zones = side.settings.blocklists.iter().take(MOST_LISTS).cloned();
        requests.extend(zones.map(|zone| EvidenceRequest::Blocklist { ip, zone }));
        requests.push(EvidenceRequest::Reverse(ip));
    }
    requests
}

fn authentication(diagnosis: &Diagnosis, side: Side<'_>) -> Vec<EvidenceRequest> {
    let hosts = hosts(diagnosis, side);
    let mut requests = Vec::new();
    if diagnosis.cause.as_str() == "ptr_missing" {
        for SendingHost { ip, helo } in hosts {
            requests.push(EvidenceRequest::Reverse(ip));
            requests.extend(helo.map(|name| EvidenceRequest::Helo { name, ip }));
        }
        return requests;
    }
    let Some(domain) = side.domain else { return requests };
    let spf = |ip| EvidenceRequest::Spf { domain: domain.to_owned(), ip };
    if hosts.is_empty() {
        requests.push(spf(None));
    }
    requests.extend(hosts.iter().map(|host| spf(Some(host.ip))));
    let selectors = side.settings.dkim_selectors.iter().take(MOST_HOSTS);
    requests.extend(selectors.map(|it| EvidenceRequest::Dkim { domain: domain.to_owned(), selector: it.clone() }));
    requests.push(EvidenceRequest::Dmarc(domain.to_owned()));
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sending_host_is_learned_from_what_another_server_noted() {
        let settings = Settings::default();
        let learn = |line: &str| handed_over(line, &settings, &["corp.example.cn"]);
        let other =
            "from mail.corp.example.cn (mail.corp.example.cn [203.0.113.8]) by mx.buyer.example with ESMTP id 7";
        let host = SendingHost { ip: "203.0.113.8".parse().unwrap(), helo: Some("mail.corp.example.cn".to_owned()) };
        assert_eq!(learn(other), Some(host));
        let own = "from pc.corp.example.cn (unknown [203.0.113.9]) by mail.corp.example.cn with ESMTPSA";
        assert_eq!(learn(own), None, "our own server saw a desktop");
        let inside = "from mail.corp.example.cn ([10.0.0.8]) by mx.buyer.example with ESMTP";
        assert_eq!(learn(inside), None, "nobody's address");
        let stranger = "from mail.evilcorp.example.cn (evil [203.0.113.66]) by mx.buyer.example with ESMTP";
        assert_eq!(learn(stranger), None);
        assert_eq!(learn("from [ by ["), None);
    }
}
