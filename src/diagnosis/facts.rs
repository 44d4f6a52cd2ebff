//! Facts that stand in a server's words: sizes, blocklists, links, addresses, times, hops.
//!
//! Where a fact stands beside known words, those words are data (`catalogue/facts.toml`).

use std::borrow::Cow;

use super::{Catalogue, Facts, form::FactName, phrase::Phrase, rule::Words, text::is_host};

/// A fact is looked for within this many octets of its words.
const NEAR: usize = 48;

/// Words beside which a fact stands.
#[derive(Clone, Debug)]
pub(super) struct Extractor {
    pub(super) fact: FactName,
    pub(super) after: Vec<Phrase>,
    pub(super) before: Vec<Phrase>,
}

/// A unit of time in which servers count.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) seconds: f64,
    /// What its name begins with, in lower case.
    pub(super) begin: Cow<'static, str>,
}

impl Catalogue {
    /// All facts in the words; the first extractor that finds one wins.
    pub(super) fn facts(&self, words: &Words<'_>) -> Facts {
        let mut facts = Facts::default();
        let original = words.text.original();
        for extractor in &self.extractors {
            for phrase in &extractor.after {
                if let Some(range) = phrase.find(&words.text, &words.hits) {
                    let rest = original.get(range.end..).unwrap_or_default();
                    extractor.take(near_start(rest), &self.units, &mut facts);
                }
            }
            for phrase in &extractor.before {
                if let Some(range) = phrase.find(&words.text, &words.hits) {
                    let rest = original.get(..range.start).unwrap_or_default();
                    extractor.take_last(near_end(rest), &self.units, &mut facts);
                }
            }
        }
        facts.url = words.text.names().find(|it| it.contains("://")).map(|it| trim_url(it).to_owned());
        facts.ip = facts.ip.or_else(|| words.text.ips().first().copied());
        facts
    }
}

impl Extractor {
    fn take(&self, rest: &str, units: &[Unit], facts: &mut Facts) {
        match self.fact {
            FactName::SizeLimit => facts.size_limit = facts.size_limit.or_else(|| size(rest)),
            FactName::MessageSize => facts.message_size = facts.message_size.or_else(|| size(rest)),
            FactName::Blocklist => facts.blocklist = facts.blocklist.take().or_else(|| list_name(rest)),
            FactName::RetryAfter => facts.retry_after = facts.retry_after.or_else(|| duration(rest, units)),
            FactName::QueueTime => facts.queue_time = facts.queue_time.or_else(|| duration(rest, units)),
            FactName::NewAddress => facts.new_address = facts.new_address.take().or_else(|| address(rest)),
            FactName::Hops => facts.hops = facts.hops.or_else(|| small_number(rest)),
            FactName::HopLimit => facts.hop_limit = facts.hop_limit.or_else(|| small_number(rest)),
            FactName::ComplainedIp => facts.ip = facts.ip.or_else(|| ip(rest)),
        }
    }

    /// The fact is what stands last in `rest`.
    fn take_last(&self, rest: &str, units: &[Unit], facts: &mut Facts) {
        let begin = match self.fact {
            FactName::Blocklist | FactName::NewAddress | FactName::ComplainedIp => last_word(rest),
            FactName::SizeLimit
            | FactName::MessageSize
            | FactName::RetryAfter
            | FactName::QueueTime
            | FactName::Hops
            | FactName::HopLimit => last_number(rest),
        };
        self.take(begin, units, facts);
    }
}

fn near_start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(NEAR)).unwrap_or(text)
}

fn near_end(text: &str) -> &str {
    text.get(text.ceil_char_boundary(text.len().saturating_sub(NEAR))..).unwrap_or(text)
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end();
    text.rsplit(char::is_whitespace).next().unwrap_or(text)
}

fn last_number(text: &str) -> &str {
    let end = text.rfind(|c: char| c.is_ascii_digit()).map_or(0, |it| it + 1);
    let digits = text.get(..end).unwrap_or_default();
    let start = digits.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',').len();
    text.get(start..).unwrap_or_default()
}

/// The first number, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = text.get(start..)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')).unwrap_or(rest.len());
    let digits = rest.get(..end)?.trim_end_matches(['.', ',']).replace(',', "");
    Some((digits.parse().ok()?, rest.get(end..)?))
}

/// `5000000`, `20 MB`, `10240K`: octets. Bare numbers below 1000 are no sizes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
fn size(text: &str) -> Option<u64> {
    let (value, rest) = number(text)?;
    let unit = rest.trim_start().bytes().next().map(|b| b.to_ascii_lowercase());
    let word = rest.trim_start().to_ascii_lowercase();
    let octets = match unit {
        Some(b'k') => value * 1024.0,
        Some(b'm')
            if word.starts_with("mb")
                || word.starts_with("mi")
                || word.starts_with("meg")
                || word == "m"
                || word.starts_with("m)")
                || word.starts_with("m ") =>
        {
            value * 1_048_576.0
        }
        Some(b'g') if word.starts_with("gb") || word.starts_with("gi") => value * 1_073_741_824.0,
        _ if value >= 1000.0 => value,
        _ => return None,
    };
    (octets <= 1e13).then_some(octets as u64)
}

/// `5 minutes`, `10分钟`, `00:05:00`, `60s`: seconds. A bare number counts seconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
fn duration(text: &str, units: &[Unit]) -> Option<u64> {
    let (value, rest) = number(text)?;
    let name = rest.trim_start_matches([' ', '-', '+', '(', '个', '個']).to_lowercase();
    let unit = units.iter().filter(|it| name.starts_with(&*it.begin)).max_by_key(|it| it.begin.len());
    let seconds = match name.strip_prefix(':') {
        Some(rest) => clock(value, rest)?,
        None => value * unit.map_or(1.0, |it| it.seconds),
    };
    (seconds <= 1e8).then_some(seconds as u64)
}

/// What follows the hours of `HH:MM:SS`, or the minutes of `MM:SS`.
fn clock(first: f64, rest: &str) -> Option<f64> {
    let (second, rest) = number(rest)?;
    match rest.strip_prefix(':').and_then(number) {
        Some((third, _)) => Some(first * 3600.0 + second * 60.0 + third),
        None => Some(first * 60.0 + second),
    }
}

fn small_number(text: &str) -> Option<u32> {
    let digits: String = text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|it| *it < 1000)
}

fn address(text: &str) -> Option<String> {
    let word = text.split(|c: char| c.is_whitespace() || "<>()[],;:\"'".contains(c)).find(|it| it.contains('@'))?;
    crate::mail::Mailbox::parse(word.trim_end_matches('.')).map(|it| it.to_string())
}

fn ip(text: &str) -> Option<std::net::IpAddr> {
    text.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':'))
        .find_map(|it| it.trim_end_matches(['.', ':']).parse().ok())
}

/// A zone (`zen.spamhaus.org`) or a name (`Spamhaus`).
fn list_name(text: &str) -> Option<String> {
    let word = text
        .split(|c: char| c.is_whitespace() || "<>()[],;\"'".contains(c))
        .map(|it| it.trim_matches(['.', ':', '-']))
        .find(|it| it.len() > 2)?;
    let host = word.split_once("://").map_or(word, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    let known = is_host(host) || host.starts_with(|c: char| c.is_ascii_uppercase());
    known.then(|| host.trim_start_matches("www.").to_owned())
}

fn trim_url(url: &str) -> &str {
    url.trim_end_matches(['.', ',', ')', ']', ':', ';'])
}
