//! SPF (RFC 7208): the record as terms, what it says of an address, and the record to publish.
//!
//! Pure: the answers that are known come in, and where one is missing the question goes out, to
//! be asked by `dns` and begun again with. So the limits and the order are the standard's, and
//! tests need no server.

mod advice;
mod evaluate;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use advice::{flattened, merged, with_address, without_wrong_terms};
pub use evaluate::{Evaluation, Known, Question, SpfResult, evaluate, lookups};

/// Terms that may cost a look-up, in all (RFC 7208 §4.6.4).
pub const MOST_LOOKUPS: u32 = 10;

/// What a match means (RFC 7208 §4.6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

/// RFC 7208 §5.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mechanism {
    All,
    Include(String),
    /// A domain-spec, if not the current domain; prefix lengths for IPv4 and IPv6.
    A(Option<String>, u8, u8),
    Mx(Option<String>, u8, u8),
    Ptr(Option<String>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(String),
}

/// One directive, with its own words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Directive {
    pub(super) qualifier: Qualifier,
    pub(super) mechanism: Mechanism,
    pub(super) words: String,
}

/// A record that can be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<String>,
}

/// Whether a TXT record is an SPF record (RFC 7208 §4.5).
pub(super) fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

impl Record {
    /// Reads a record; the error is the term that is wrong (RFC 7208 §4.6: then nothing counts).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        for words in text.split(' ').skip(1).filter(|it| !it.is_empty()) {
            let wrong = || words.to_owned();
            if let Some(value) = modifier(words, "redirect") {
                if record.redirect.is_some() || value.is_empty() {
                    return Err(wrong());
                }
                record.redirect = Some(value.to_owned());
            } else if let Some((name, _)) = words.split_once('=').filter(|(name, _)| !name.contains([':', '/'])) {
                // RFC 7208 §6: unknown modifiers are passed over, if they are well formed.
                if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return Err(wrong());
                }
            } else {
                record.directives.push(directive(words).ok_or_else(wrong)?);
            }
        }
        Ok(record)
    }
}

fn modifier<'t>(words: &'t str, name: &str) -> Option<&'t str> {
    let (found, value) = words.split_once('=')?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

fn directive(words: &str) -> Option<Directive> {
    let (qualifier, rest) = match words.as_bytes().first()? {
        b'+' => (Qualifier::Pass, words.get(1..)?),
        b'-' => (Qualifier::Fail, words.get(1..)?),
        b'~' => (Qualifier::SoftFail, words.get(1..)?),
        b'?' => (Qualifier::Neutral, words.get(1..)?),
        _ => (Qualifier::Pass, words),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, argument) = rest.split_at(end);
    let argument = argument.strip_prefix(':').map_or_else(|| (None, argument), |it| (Some(it), ""));
    let mechanism = match (name.to_ascii_lowercase().as_str(), argument) {
        ("all", (None, "")) => Mechanism::All,
        ("include", (Some(domain), _)) if !domain.is_empty() => Mechanism::Include(domain.to_owned()),
        ("exists", (Some(domain), _)) if !domain.is_empty() => Mechanism::Exists(domain.to_owned()),
        ("ptr", (None, "")) => Mechanism::Ptr(None),
        ("ptr", (Some(domain), _)) if !domain.is_empty() => Mechanism::Ptr(Some(domain.to_owned())),
        ("a", (spec, prefix)) => host(spec, prefix).map(|(domain, v4, v6)| Mechanism::A(domain, v4, v6))?,
        ("mx", (spec, prefix)) => host(spec, prefix).map(|(domain, v4, v6)| Mechanism::Mx(domain, v4, v6))?,
        ("ip4", (Some(network), _)) => {
            let (ip, prefix) = network.split_once('/').map_or((network, "32"), |it| it);
            Mechanism::Ip4(ip.parse().ok()?, length(prefix, 32)?)
        }
        ("ip6", (Some(network), _)) => {
            let (ip, prefix) = network.split_once('/').map_or((network, "128"), |it| it);
            Mechanism::Ip6(ip.parse().ok()?, length(prefix, 128)?)
        }
        _ => return None,
    };
    Some(Directive { qualifier, mechanism, words: words.to_owned() })
}

/// `domain/24//64`, each part optional (RFC 7208 §5.3).
fn host(spec: Option<&str>, prefix: &str) -> Option<(Option<String>, u8, u8)> {
    let whole = spec.unwrap_or(prefix);
    let (domain, prefixes) = whole.split_at(whole.find('/').unwrap_or(whole.len()));
    if spec.is_some() == domain.is_empty() {
        return None;
    }
    let (v4, v6) = prefixes.split_once("//").map_or((prefixes, None), |(v4, v6)| (v4, Some(v6)));
    let v4 = v4.strip_prefix('/').map_or(Some(32), |it| length(it, 32))?;
    let v6 = v6.map_or(Some(128), |it| length(it, 128))?;
    Some(((!domain.is_empty()).then(|| domain.to_owned()), v4, v6))
}

fn length(text: &str, most: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|it| digits && *it <= most)
}

/// Whether an address lies in a network; never across the families.
pub(super) fn contains(network: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    match (network, ip.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let shift = 32_u32.saturating_sub(u32::from(prefix));
            (network.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let shift = 128_u32.saturating_sub(u32::from(prefix));
            (network.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
