//! `check_host()` of RFC 7208 §4, begun anew with each further answer; and the count of look-ups.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use super::{Directive, MOST_LOOKUPS, Mechanism, Qualifier, Record, contains, is_record};
use crate::evidence::{Answer, names};

/// Look-ups that may find nothing (RFC 7208 §4.6.4).
const MOST_VOID: u32 = 2;
/// Names of one MX or PTR answer that are looked at (RFC 7208 §4.6.4).
const MOST_NAMES: usize = 10;
/// `lookups` goes no further than this: the record is beyond repair by counting.
const MOST_COUNTED: u32 = 60;

/// What has to be asked.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum Question {
    /// TXT of a name.
    Txt(String),
    /// A of a name.
    A(String),
    /// AAAA of a name.
    Aaaa(String),
    /// MX of a name.
    Mx(String),
    /// PTR of an address.
    Ptr(IpAddr),
}

/// The answers so far.
pub type Known = HashMap<Question, Answer>;

/// RFC 7208 §2.6.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfResult {
    /// No record.
    None,
    /// The record says nothing of the address.
    Neutral,
    /// The address may send.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// Could not be found out now.
    TempError,
    /// The record is wrong.
    PermError,
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

impl std::str::FromStr for SpfResult {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::None, Self::Neutral, Self::Pass, Self::Fail, Self::SoftFail, Self::TempError, Self::PermError];
        all.into_iter().find(|it| it.to_string() == text).ok_or(())
    }
}

/// What a record says of an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evaluation {
    /// The result.
    pub result: SpfResult,
    /// The term that decided, or what is wrong.
    pub reason: String,
}

/// Why the evaluation cannot go on.
pub(super) enum Stop {
    Ask(Question),
    Wrong(String),
    Later(String),
}

pub(super) type Step<T> = Result<T, Stop>;

/// What `domain`'s record says of `ip`, for mail from `postmaster@domain` (RFC 7208 §2.4).
///
/// # Errors
/// The question whose answer is missing in `known`.
pub fn evaluate(domain: &str, ip: IpAddr, known: &Known) -> Result<Evaluation, Question> {
    let mut run = Run { ip: ip.to_canonical(), sender: domain, known, lookups: 0, void: 0 };
    match run.check_host(domain, 0) {
        Ok((result, reason)) => Ok(Evaluation { result, reason }),
        Err(Stop::Ask(question)) => Err(question),
        Err(Stop::Wrong(reason)) => Ok(Evaluation { result: SpfResult::PermError, reason }),
        Err(Stop::Later(reason)) => Ok(Evaluation { result: SpfResult::TempError, reason }),
    }
}

pub(super) struct Run<'a> {
    pub(super) ip: IpAddr,
    pub(super) sender: &'a str,
    pub(super) known: &'a Known,
    pub(super) lookups: u32,
    pub(super) void: u32,
}

impl Run<'_> {
    fn check_host(&mut self, domain: &str, depth: u32) -> Step<(SpfResult, String)> {
        if depth > MOST_LOOKUPS {
            return Err(Stop::Wrong("its records include each other".to_owned()));
        }
        let Some(text) = self.record(domain)? else {
            return Ok((SpfResult::None, format!("{domain} has no SPF record")));
        };
        let record =
            Record::parse(&text).map_err(|term| Stop::Wrong(format!("`{term}` of {domain} is not a term of SPF")))?;
        for directive in &record.directives {
            if self.matches(directive, domain, depth)? {
                let result = match directive.qualifier {
                    Qualifier::Pass => SpfResult::Pass,
                    Qualifier::Fail => SpfResult::Fail,
                    Qualifier::SoftFail => SpfResult::SoftFail,
                    Qualifier::Neutral => SpfResult::Neutral,
                };
                return Ok((result, directive.words.clone()));
            }
        }
        let Some(target) = &record.redirect else {
            return Ok((SpfResult::Neutral, "no term matches".to_owned()));
        };
        self.count()?;
        let target = self.expanded(target, domain)?;
        match self.check_host(&target, depth + 1)? {
            // RFC 7208 §6.1.
            (SpfResult::None, reason) => Err(Stop::Wrong(format!("redirect: {reason}"))),
            other => Ok(other),
        }
    }

    /// The one SPF record of a domain (RFC 7208 §4.5).
    fn record(&self, domain: &str) -> Step<Option<String>> {
        let question = Question::Txt(domain.to_owned());
        let texts = match self.known.get(&question) {
            None => return Err(Stop::Ask(question)),
            Some(Answer::Unavailable(why)) => return Err(Stop::Later(format!("{domain} TXT: {why}"))),
            Some(Answer::NoRecord | Answer::NoSuchName) => return Ok(None),
            Some(Answer::Found(texts)) => texts,
        };
        let mut records = texts.iter().filter(|it| is_record(it));
        match (records.next(), records.next()) {
            (_, Some(_)) => Err(Stop::Wrong(format!("{domain} has more than one SPF record"))),
            (one, None) => Ok(one.cloned()),
        }
    }

    fn matches(&mut self, directive: &Directive, domain: &str, depth: u32) -> Step<bool> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, prefix) => Ok(contains(IpAddr::V4(*network), *prefix, self.ip)),
            Mechanism::Ip6(network, prefix) => Ok(contains(IpAddr::V6(*network), *prefix, self.ip)),
            Mechanism::A(spec, v4, v6) => {
                self.count()?;
                let name = self.target(spec.as_deref(), domain)?;
                let found = self.addresses(&name)?;
                self.note_void(found.is_empty())?;
                Ok(self.among(&found, *v4, *v6))
            }
            Mechanism::Mx(spec, v4, v6) => {
                self.count()?;
                let name = self.target(spec.as_deref(), domain)?;
                let hosts = self.ask(Question::Mx(name))?;
                self.note_void(hosts.is_empty())?;
                let hosts = crate::evidence::reading::exchangers(&hosts);
                if hosts.len() > MOST_NAMES {
                    return Err(Stop::Wrong(format!("`{}` names more than {MOST_NAMES} hosts", directive.words)));
                }
                for host in hosts {
                    let found = self.addresses(&host)?;
                    if self.among(&found, *v4, *v6) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Include(spec) => {
                self.count()?;
                let name = self.expanded(spec, domain)?;
                match self.check_host(&name, depth + 1)? {
                    (SpfResult::Pass, _) => Ok(true),
                    (SpfResult::None, reason) => Err(Stop::Wrong(format!("include: {reason}"))),
                    _ => Ok(false),
                }
            }
            Mechanism::Exists(spec) => {
                self.count()?;
                let name = self.expanded(spec, domain)?;
                let found = self.ask(Question::A(name))?;
                self.note_void(found.is_empty())?;
                Ok(!found.is_empty())
            }
            Mechanism::Ptr(spec) => {
                self.count()?;
                let below = self.target(spec.as_deref(), domain)?;
                let names = self.ask(Question::Ptr(self.ip))?;
                self.note_void(names.is_empty())?;
                for name in names.iter().take(MOST_NAMES) {
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    let under = name.strip_suffix(&below).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                    if under && self.addresses(&name)?.contains(&self.ip) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn count(&mut self) -> Step<()> {
        self.lookups += 1;
        if self.lookups > MOST_LOOKUPS {
            return Err(Stop::Wrong(format!("it takes more than {MOST_LOOKUPS} look-ups")));
        }
        Ok(())
    }

    fn note_void(&mut self, void: bool) -> Step<()> {
        self.void += u32::from(void);
        if self.void > MOST_VOID {
            return Err(Stop::Wrong(format!("more than {MOST_VOID} of its look-ups find nothing")));
        }
        Ok(())
    }

    fn ask(&self, question: Question) -> Step<Vec<String>> {
        match self.known.get(&question) {
            None => Err(Stop::Ask(question)),
            Some(Answer::Unavailable(why)) => Err(Stop::Later(why.clone())),
            Some(Answer::NoRecord | Answer::NoSuchName) => Ok(Vec::new()),
            Some(Answer::Found(records)) => Ok(records.clone()),
        }
    }

    /// The addresses of a name in the family of ours.
    fn addresses(&self, name: &str) -> Step<Vec<IpAddr>> {
        let question = match self.ip {
            IpAddr::V4(_) => Question::A(name.to_owned()),
            IpAddr::V6(_) => Question::Aaaa(name.to_owned()),
        };
        Ok(self.ask(question)?.iter().filter_map(|it| it.parse().ok()).collect())
    }

    fn among(&self, found: &[IpAddr], v4: u8, v6: u8) -> bool {
        let prefix = if self.ip.is_ipv4() { v4 } else { v6 };
        found.iter().any(|it| contains(*it, prefix, self.ip))
    }

    fn target(&self, spec: Option<&str>, domain: &str) -> Step<String> {
        spec.map_or_else(|| Ok(domain.to_owned()), |spec| self.expanded(spec, domain))
    }

    /// Macros (RFC 7208 §7), for the sender `postmaster@domain`.
    pub(super) fn expanded(&self, spec: &str, domain: &str) -> Step<String> {
        let wrong = || Stop::Wrong(format!("`{spec}` of {domain} holds a macro that is not one"));
        let mut out = String::new();
        let mut rest = spec;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            rest = match after.as_bytes().first() {
                Some(b'%') => {
                    out.push('%');
                    after.get(1..).unwrap_or_default()
                }
                Some(b'_') => {
                    out.push(' ');
                    after.get(1..).unwrap_or_default()
                }
                Some(b'-') => {
                    out.push_str("%20");
                    after.get(1..).unwrap_or_default()
                }
                Some(b'{') => {
                    let (inside, end) = after.get(1..).and_then(|it| it.split_once('}')).ok_or_else(wrong)?;
                    out.push_str(&self.macro_value(inside, domain).ok_or_else(wrong)?);
                    end
                }
                _ => return Err(wrong()),
            };
        }
        out.push_str(rest);
        let mut name = out.trim_end_matches('.').to_ascii_lowercase();
        // RFC 7208 §7.3: too long a name loses labels on the left.
        while name.len() > 253 {
            name = name.split_once('.').map(|it| it.1.to_owned()).ok_or_else(wrong)?;
        }
        Ok(name)
    }

    fn macro_value(&self, inside: &str, domain: &str) -> Option<String> {
        let letter = inside.chars().next()?;
        let rest = inside.get(letter.len_utf8()..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = rest.split_at(digits);
        let (reverse, delimiters) = rest.strip_prefix(['r', 'R']).map_or((false, rest), |it| (true, it));
        let value = match letter.to_ascii_lowercase() {
            's' => format!("postmaster@{}", self.sender),
            'l' => "postmaster".to_owned(),
            'o' | 'h' => self.sender.to_owned(),
            'd' => domain.to_owned(),
            'p' => "unknown".to_owned(),
            'v' => if self.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'i' => match self.ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => names::nibbles(ip).join("."),
            },
            _ => return None,
        };
        let split = |c: char| if delimiters.is_empty() { c == '.' } else { delimiters.contains(c) };
        let mut parts: Vec<&str> = value.split(split).collect();
        if reverse {
            parts.reverse();
        }
        let keep = if digits.is_empty() { parts.len() } else { digits.parse().ok().filter(|it| *it > 0)? };
        Some(parts.split_off(parts.len().saturating_sub(keep)).join("."))
    }
}

/// How many terms of `domain`'s record, with all that it includes, cost a look-up: what a receiver
/// counts when nothing matches before. `Ok(None)`: some of it cannot be read.
///
/// # Errors
/// The question whose answer is missing in `known`.
pub fn lookups(domain: &str, known: &Known) -> Result<Option<u32>, Question> {
    let mut all = 0;
    let read = count(domain, known, &mut all, 0)?;
    Ok(read.then_some(all))
}

fn count(domain: &str, known: &Known, all: &mut u32, depth: u32) -> Result<bool, Question> {
    // An address that no record names: only the structure matters.
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let run = Run { ip: nobody, sender: domain, known, lookups: 0, void: 0 };
    let text = match run.record(domain) {
        Ok(Some(text)) => text,
        Err(Stop::Ask(question)) => return Err(question),
        Ok(None) | Err(Stop::Wrong(_) | Stop::Later(_)) => return Ok(false),
    };
    let Ok(record) = Record::parse(&text) else { return Ok(false) };
    let mut further = Vec::new();
    for directive in &record.directives {
        match &directive.mechanism {
            Mechanism::Include(spec) => further.push(spec),
            Mechanism::A(..) | Mechanism::Mx(..) | Mechanism::Ptr(_) | Mechanism::Exists(_) => *all += 1,
            Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..) => {}
        }
    }
    let has_all = record.directives.iter().any(|it| it.mechanism == Mechanism::All);
    // RFC 7208 §6.1: with `all`, redirect is ignored.
    further.extend(record.redirect.as_ref().filter(|_| !has_all));
    for spec in further {
        *all += 1;
        let known_target = !spec.contains('%');
        if *all > MOST_COUNTED || depth > MOST_LOOKUPS || !known_target {
            continue;
        }
        if !count(&spec.trim_end_matches('.').to_ascii_lowercase(), known, all, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The networks that a record allows, if it is made of nothing else: `None` where anything in it
/// depends on a look-up at the time, or on more than can be written out.
pub(super) fn networks(domain: &str, known: &Known, depth: u32) -> Option<Vec<String>> {
    let nobody = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let run = Run { ip: nobody, sender: domain, known, lookups: 0, void: 0 };
    let record = Record::parse(&run.record(domain).ok()??).ok()?;
    let mut all = Vec::new();
    for directive in &record.directives {
        match (&directive.mechanism, directive.qualifier) {
            (Mechanism::Ip4(..) | Mechanism::Ip6(..), Qualifier::Pass) => {
                all.push(directive.words.trim_start_matches('+').to_owned());
            }
            (Mechanism::Include(spec), Qualifier::Pass) if depth < MOST_LOOKUPS && !spec.contains('%') => {
                all.extend(networks(&spec.to_ascii_lowercase(), known, depth + 1)?);
            }
            // What comes after is never reached.
            (Mechanism::All, Qualifier::Pass) => return None,
            (Mechanism::All, _) => return Some(all),
            _ => return None,
        }
    }
    record.redirect.is_none().then_some(all)
}
