//! A piece of text with its names replaced: known names first, then whatever has the form of an
//! address, a link, an IP address, a host or an id.

use std::{net::IpAddr, sync::LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Captures, Regex};

use super::names::{Names, is_personal};

/// In this order, for an address holds a host and a link anything. ASCII only: Chinese prose stands
/// right beside addresses; addresses in other scripts are known names.
const FORMS: &str = concat!(
    r#"(?P<url>(?i:https?|ftp)://[^\s<>"'\x{80}-\x{10ffff}]+)"#,
    r"|(?P<address>[A-Za-z0-9.%+\-=/!#$*?^_`|~&']*[A-Za-z0-9.%+\-=$_~]@(?:\[[0-9A-Fa-f.:]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?))",
    r"|(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7})",
    r"|(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)+)",
    r"|(?P<phone>\b\+?\d[\d-]{9,}\d\b)",
    r"|(?P<id>[A-Za-z0-9]{8,})",
);

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(FORMS).ok());

/// Rewrites text for as long as it lives; built once a message.
pub(super) struct Rewriter<'a> {
    names: &'a mut Names,
    literals: Option<AhoCorasick>,
    inside: &'a dyn Fn(IpAddr) -> bool,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(names: &'a mut Names, inside: &'a dyn Fn(IpAddr) -> bool) -> Self {
        let literals = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(names.literals().iter().map(|(it, _)| it))
            .ok();
        Self { names, literals, inside }
    }

    /// The text with stand-ins.
    pub(super) fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (range, number) in self.known(text) {
            if range.start < at {
                continue;
            }
            let before = self.forms(text.get(at..range.start).unwrap_or_default());
            out.push_str(&before);
            out.push_str(self.names.literals().get(number).map_or("", |(_, new)| new));
            at = range.end;
        }
        let rest = self.forms(text.get(at..).unwrap_or_default());
        out.push_str(&rest);
        out
    }

    /// What a person is called beside an address; the servers' own names stay.
    pub(super) fn display_name(&mut self, name: &str) -> String {
        let new = self.text(name);
        if new != name || !is_personal(name) {
            return new;
        }
        if name.is_ascii() { "Person".to_owned() } else { "某人".to_owned() }
    }

    /// A host that names itself without a domain, as workstations do.
    pub(super) fn bare_host(&mut self, name: &str) -> String {
        let plain = name.is_empty()
            || !is_personal(name)
            || name.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        if plain { name.to_owned() } else { self.names.label(&name.to_lowercase()) }
    }

    /// Where known names stand as words of their own, and not within an address or a host.
    fn known(&self, text: &str) -> Vec<(std::ops::Range<usize>, usize)> {
        let Some(literals) = &self.literals else { return Vec::new() };
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || "@_".contains(c));
        let stands = |range: &std::ops::Range<usize>| {
            let ascii = text.get(range.clone()).is_some_and(str::is_ascii);
            let before = text.get(..range.start).unwrap_or_default().chars().next_back();
            let mut after = text.get(range.end..).unwrap_or_default().chars();
            let (next, further) = (after.next(), after.next());
            let domain =
                matches!(next, Some('.' | '-' | '+' | '%')) && further.is_some_and(|c| c.is_ascii_alphanumeric());
            let host = matches!(before, Some('.' | '-' | '+' | '%' | '='));
            !ascii || !(letter(before) || letter(next) || domain || host)
        };
        let found = literals.find_iter(text).map(|it| (it.range(), it.pattern().as_usize()));
        found.filter(|(range, _)| stands(range)).collect()
    }

    fn forms(&mut self, text: &str) -> String {
        let Some(form) = FORM.as_ref() else { return text.to_owned() };
        form.replace_all(text, |it: &Captures<'_>| self.form(it)).into_owned()
    }

    fn form(&mut self, it: &Captures<'_>) -> String {
        let group = |name| it.name(name).map(|it| it.as_str());
        if let Some(url) = group("url") {
            return self.url(url);
        }
        if let Some(address) = group("address") {
            return self.names.address(address);
        }
        if let Some(ip) = group("ip") {
            return match ip.parse::<IpAddr>() {
                Ok(ip) => self.names.ip(ip, (self.inside)(ip)),
                Err(_) => ip.to_owned(),
            };
        }
        if let Some(host) = group("host") {
            let new = self.names.host(host);
            if new != host {
                return new;
            }
            let pieces = host.split('.').map(|it| if is_id(it) { self.names.id(it) } else { it.to_owned() });
            return pieces.collect::<Vec<_>>().join(".");
        }
        if let Some(phone) = group("phone") {
            return phone.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        }
        let Some(id) = group("id") else { return it[0].to_owned() };
        if is_id(id) { self.names.id(id) } else { id.to_owned() }
    }

    /// Scheme and host; of a link whose host the catalogue knows its path too, for it may be what is known.
    fn url(&mut self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let new = self.names.host(host);
        if new != host {
            return format!("{scheme}://{new}/");
        }
        let decoded = path.replace("%40", "@");
        let path = decoded.split_inclusive(['/', '?', '&', '=', '#', ';']).map(|piece| self.forms(piece));
        format!("{scheme}://{host}{}", path.collect::<String>())
    }
}

/// Letters and digits that change again and again: no word and no number.
fn is_id(word: &str) -> bool {
    let turns = word.as_bytes().windows(2).filter(|it| it[0].is_ascii_digit() != it[1].is_ascii_digit()).count();
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    turns >= 2 && digits >= 2 && digits < word.len() || word.len() > 40
}
