//! Holding the catalogue against one server's words.
//!
//! One pass over the squeezed text finds every literal of every rule; only rules
//! whose key literal was found are looked at. So the cost follows the text, not the catalogue.

use std::{cmp::Reverse, net::IpAddr};

use super::{
    Catalogue, CauseId, Confidence, Diagnosis, Facts, Family, Home,
    code::{enhanced_codes, reply_code},
    noun::leads_to_reason,
    place::Whereabouts,
    rule::{Level, Match, Rule, Words},
    text::Text,
    together::Sentences,
};
use crate::bounce::{Bounce, RecipientReport, text};

/// More rivals than this help nobody.
const RIVALS: usize = 8;
/// The words that decided are quoted up to this many octets.
const QUOTED: usize = 240;
/// As many words behind a refusal may still give no reason ("access denied", "Please try again").
const REASONLESS: usize = 3;
/// A single word of fewer octets ("spam") is no reason given.
const TELLING: usize = 9;

/// How specific a rule is: its level, whether it is the administrator's, how much it says.
pub(super) type Rank = (Level, bool, usize);

/// A rule that applies to a text, and what its place among the others follows from.
#[derive(Clone, Copy, Debug)]
pub struct Applying<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Whether it is the administrator's own.
    pub own: bool,
    /// How much it says: the octets of its phrases, a little more for codes and placeholders.
    pub weight: usize,
}

/// A rule that applies.
struct Candidate<'a> {
    rule: &'a Rule,
    found: Match,
}

impl Candidate<'_> {
    /// Whether a colon and a few words more stand behind the words that it found.
    fn is_followed_by_words(&self, words: &Words<'_>) -> bool {
        let rest = self.found.place.as_ref().and_then(|it| words.text.original().get(it.end..));
        let Some(rest) = rest.and_then(|it| it.strip_prefix(": ")) else { return false };
        let told = rest.split("(in reply to").next().unwrap_or_default();
        let is_word = |it: &&str| it.chars().any(char::is_alphabetic) && !it.contains([':', '/', '@', '=', '_']);
        told.split_whitespace().filter(is_word).count() > REASONLESS
    }

    fn rank(&self) -> Rank {
        (self.rule.level, self.rule.overlay, self.found.weight)
    }
}

impl Catalogue {
    /// Why one recipient was not reached. Pure and total: at worst `undetermined`.
    #[must_use]
    pub fn diagnose(&self, bounce: &Bounce, report: &RecipientReport, home: Home) -> Diagnosis {
        let text = report.diagnostic.as_deref().unwrap_or_default();
        let mut words = self.words(text);
        words.systems.extend(self.speakers(bounce, report));
        if let Some(status) = report.status.filter(|it| !words.enhanced.iter().any(|(code, _)| code == it)) {
            words.enhanced.push((status, None));
        }
        words.reply = report.reply_code.or(words.reply);
        let remote = report.remote_mta.as_deref();
        words.abroad = home == Home::MainlandChina && self.whereabouts(&words, remote) == Whereabouts::Outside;
        words.domains = bounce.reporting_mta.as_deref().map(|it| (it, report.final_recipient.domain()));
        let mut diagnosis = self.judge(&words, bounce.filler_seen);
        if diagnosis.cause.is_undetermined() || self.tells_only_where(&diagnosis) {
            diagnosis = self.told_around(bounce, &words).unwrap_or(diagnosis);
        }
        diagnosis.expired |= report.expired;
        diagnosis
    }

    /// Decided by words that tell only where it failed, not why.
    fn tells_only_where(&self, diagnosis: &Diagnosis) -> bool {
        self.rules.iter().any(|it| it.id == diagnosis.rule && it.level == Level::Stage)
    }

    /// Where the words picked for the recipient say nothing: what the text around them says, if it
    /// says one thing only and there is but one recipient that it can be about. Never certain.
    fn told_around(&self, bounce: &Bounce, picked: &Words<'_>) -> Option<Diagnosis> {
        let [_] = bounce.recipients[..] else { return None };
        // A refused RCPT makes the DATA after it fail too: the reply to that is no reason.
        let human = text::without_asides(&bounce.human_text);
        let lines = human.split_inclusive('\n').filter(|it| !it.starts_with("<<< 503"));
        let human: String = lines.flat_map(str::chars).take(HUMAN_TEXT).collect();
        let mut words = self.words(&human);
        words.abroad = picked.abroad;
        for system in &picked.systems {
            if !words.systems.contains(system) {
                words.systems.push(*system);
            }
        }
        let candidates = self.candidates(&words);
        // That it was given up is said of every failure (qmail), so it says nothing here.
        let plain =
            |it: &&Candidate<'_>| it.rule.level >= Level::Phrase && !it.rule.rival && !self.is(it.rule, "expired");
        let mut causes: Vec<usize> = candidates.iter().filter(plain).map(|it| it.rule.cause).collect();
        causes.sort_unstable();
        causes.dedup();
        let [_] = causes[..] else { return None };
        let winner = candidates.iter().find(plain)?;
        let mut diagnosis = self.verdict(winner, &candidates, &words);
        diagnosis.confidence = diagnosis.confidence.min(Confidence::Likely);
        diagnosis.facts = self.facts(&words);
        diagnosis.system = words.systems.first().and_then(|it| self.systems.name(*it)).map(str::to_owned);
        Some(diagnosis)
    }

    /// What the catalogue says of a server's bare words, spoken by `system` if that is known.
    #[must_use]
    pub fn diagnose_text(&self, text: &str, system: Option<&str>, home: Home) -> Diagnosis {
        self.judge(&self.bare_words(text, system, home), false)
    }

    /// All rules that apply to a server's bare words, best first, those that never win among them.
    #[must_use]
    pub fn applying(&self, text: &str, system: Option<&str>, home: Home) -> Vec<Applying<'_>> {
        let ranked = self.rank_text(text, system, home);
        ranked.into_iter().map(|(rule, (_, own, weight))| Applying { rule, own, weight }).collect()
    }

    /// All rules that apply to bare words with their ranks, best first; for proofs.
    pub(super) fn rank_text(&self, text: &str, system: Option<&str>, home: Home) -> Vec<(&Rule, Rank)> {
        let candidates = self.candidates(&self.bare_words(text, system, home));
        candidates.into_iter().map(|it| (it.rule, it.rank())).collect()
    }

    fn bare_words<'a>(&self, text: &'a str, system: Option<&str>, home: Home) -> Words<'a> {
        let mut words = self.words(text);
        if let Some(system) = system.and_then(|it| self.systems.named(it)) {
            words.systems.insert(0, system);
        }
        words.abroad = home == Home::MainlandChina && self.whereabouts(&words, None) == Whereabouts::Outside;
        words
    }

    /// The text squeezed and searched, with the codes and systems that it names itself.
    fn words<'a>(&self, text: &'a str) -> Words<'a> {
        let text = Text::new(text);
        let hits = self.finder.find(text.squeezed());
        let enhanced = enhanced_codes(text.original()).into_iter().map(|(code, at)| (code, Some(at)));
        let enhanced = enhanced.filter(|(code, _)| !code.says_nothing()).collect();
        let reply = reply_code(text.original());
        let mut systems = Vec::new();
        for (system, mark) in &self.marks {
            if !systems.contains(system) && mark.find(&text, &hits).is_some() {
                systems.push(*system);
            }
        }
        for host in text.names().map(host_of) {
            systems.extend(self.systems.of_host(host).filter(|it| !systems.contains(it)));
        }
        Words { text, hits, sentences: Sentences::default(), enhanced, reply, systems, abroad: false, domains: None }
    }

    /// Whose words the report quotes, beside what the words themselves tell.
    fn speakers(&self, bounce: &Bounce, report: &RecipientReport) -> Vec<usize> {
        let reporting = || bounce.reporting_mta.as_deref().and_then(|it| self.systems.of_host(it));
        let domain = || self.systems.of_domain(report.final_recipient.domain());
        match report.remote_mta.as_deref() {
            Some(remote) => self.systems.of_host(remote).or_else(domain).into_iter().collect(),
            None => {
                let own = [self.systems.of_format(&bounce.format), reporting(), domain()];
                own.into_iter().flatten().collect()
            }
        }
    }

    /// Where the far end stands: by an IP literal that the words or the report name, else by its provider.
    fn whereabouts(&self, words: &Words<'_>, remote: Option<&str>) -> Whereabouts {
        let named = remote.and_then(|it| it.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        let by_address = |ip: &IpAddr| self.ranges().whereabouts(*ip);
        let known = |it: &Whereabouts| *it != Whereabouts::Unknown;
        if let Some(place) = words.text.ips().iter().chain(&named).map(by_address).find(known) {
            return place;
        }
        let abroad = words.systems.iter().filter_map(|it| self.systems.list.get(*it)?.abroad);
        match abroad.max() {
            Some(true) => Whereabouts::Outside,
            Some(false) => Whereabouts::Inside,
            None => Whereabouts::Unknown,
        }
    }

    fn judge(&self, words: &Words<'_>, filler: bool) -> Diagnosis {
        let candidates = self.candidates(words);
        let gave_up = candidates.iter().any(|it| self.is(it.rule, "expired") && it.rule.level >= Level::Phrase);
        let winner = self.winner(&candidates);
        let winner = winner.and_then(|it| self.given_as_reason(&candidates, it, words)).or(winner);
        let mut diagnosis = match winner.and_then(|at| candidates.get(at)) {
            Some(winner) => self.verdict(winner, &candidates, words),
            None => self.nothing_known(words),
        };
        diagnosis.expired = gave_up;
        diagnosis.facts = self.facts(words);
        diagnosis.system = words.systems.first().and_then(|it| self.systems.name(*it)).map(str::to_owned);
        let losers = candidates.iter().enumerate().filter(|(at, _)| Some(*at) != winner);
        diagnosis.rivals = losers.map(|(_, it)| it.rule.id.clone()).take(RIVALS).collect();
        if filler && !diagnosis.rule.ends_with("/filler") && diagnosis.cause.as_str() != FILLER_CAUSE {
            self.apply_filler(&mut diagnosis);
        }
        diagnosis
    }

    /// All rules that apply, best first.
    fn candidates<'a>(&'a self, words: &Words<'_>) -> Vec<Candidate<'a>> {
        let by_literal = words.hits.literals().flat_map(|it| self.triggered_by(it));
        let by_enhanced =
            words.enhanced.iter().filter_map(|(it, _)| self.by_enhanced.get(&(it.subject(), it.detail())));
        let by_reply = words.reply.iter().filter_map(|it| self.by_reply.get(&it.get()));
        let mut numbers: Vec<u32> = by_enhanced.chain(by_reply).flatten().copied().chain(by_literal).collect();
        numbers.extend((0_u32..).zip(&self.rules).filter(|(_, it)| it.shape.is_some()).map(|(number, _)| number));
        numbers.sort_unstable();
        numbers.dedup();
        let rules = numbers.into_iter().filter_map(|it| self.rules.get(usize::try_from(it).ok()?));
        let apply = |rule: &'a Rule| Some(Candidate { found: rule.apply(words)?, rule });
        let (together, others): (Vec<&Rule>, Vec<&Rule>) = rules.partition(|it| it.level == Level::Together);
        let mut candidates: Vec<_> = others.into_iter().filter_map(apply).collect();
        // Beside a phrase they could only lose.
        let is_told = |it: &Candidate<'_>| it.rule.level >= Level::Phrase && !self.is(it.rule, "expired");
        if !candidates.iter().any(is_told) {
            candidates.extend(together.into_iter().filter_map(apply));
        }
        candidates.sort_by(|a, b| Reverse(a.rank()).cmp(&Reverse(b.rank())).then_with(|| a.rule.id.cmp(&b.rule.id)));
        candidates
    }

    /// The most specific; but of a message that expired, the cause of the last attempt if that is told.
    fn winner(&self, candidates: &[Candidate<'_>]) -> Option<usize> {
        let first = candidates.iter().position(|it| !it.rule.rival)?;
        let expired = candidates.get(first).map(|it| it.rule).filter(|it| self.is(it, "expired"));
        let Some(expired) = expired else { return Some(first) };
        // Beside a code that says no more than "expired" even vague words tell something; beside the
        // queue's own words ("I'm not going to try again") they, or words that only stand together, may be those very words.
        let least = if expired.level >= Level::Phrase { Level::SystemCode } else { Level::VaguePhrase };
        let told = |it: &Candidate<'_>| {
            let says_more = !self.is(it.rule, "expired") && !self.is(it.rule, CauseId::UNDETERMINED);
            let may_be_those = expired.level >= Level::Phrase && it.rule.level == Level::Together;
            says_more && !may_be_those && !it.rule.rival && it.rule.level >= least
        };
        Some(candidates.iter().position(told).unwrap_or(first))
    }

    /// Where a phrase tells what was refused, and another behind it why: the other.
    /// `Connection refused: your IP is blacklisted`.
    fn given_as_reason(&self, candidates: &[Candidate<'_>], first: usize, words: &Words<'_>) -> Option<usize> {
        let top = candidates.get(first).filter(|it| matches!(it.rule.level, Level::Phrase | Level::VaguePhrase))?;
        self.causes.get(top.rule.cause).filter(|it| it.reason_follows)?;
        let said = top.found.place.as_ref()?;
        candidates.iter().position(|it| {
            let Some(at) = it.found.place.as_ref().filter(|at| at.start >= said.end) else { return false };
            let between = words.text.original().get(said.end..at.start).unwrap_or_default();
            let as_good = it.rule.level == top.rule.level && it.rule.cause != top.rule.cause;
            let telling = as_good && it.found.weight >= TELLING && !self.is(it.rule, "expired");
            telling && !words.text.inside_name(at) && leads_to_reason(between)
        })
    }

    fn is(&self, rule: &Rule, cause: &str) -> bool {
        self.causes.get(rule.cause).is_some_and(|it| it.id.as_str() == cause)
    }

    fn verdict(&self, winner: &Candidate<'_>, candidates: &[Candidate<'_>], words: &Words<'_>) -> Diagnosis {
        let rule = winner.rule;
        let Some(cause) = self.causes.get(rule.cause) else { return self.nothing_known(words) };
        let contested = candidates
            .iter()
            .any(|it| it.rule.cause != rule.cause && it.rule.level >= Level::Phrase && !self.is(it.rule, "expired"));
        let told = rule.level == Level::VaguePhrase && winner.is_followed_by_words(words);
        let confidence = rule.confidence.unwrap_or(match rule.level {
            _ if told => Confidence::Guess, // a reason, in words that no rule knows
            Level::Phrase | Level::SystemPhrase if contested => Confidence::Likely,
            Level::Phrase | Level::SystemPhrase => Confidence::Certain,
            Level::VaguePhrase | Level::VaguePhraseWithCode | Level::Together => Confidence::Likely,
            Level::Shape
            | Level::ReplyCode
            | Level::Stage
            | Level::VagueCode
            | Level::RegistryCode
            | Level::SystemCode => Confidence::Guess,
        });
        Diagnosis {
            cause: cause.id.clone(),
            family: cause.family,
            permanent: rule.permanent.or(cause.permanent),
            expired: false,
            acts: rule.acts.unwrap_or(cause.acts),
            confidence,
            rule: rule.id.clone(),
            matched: quote(winner, words),
            facts: Facts::default(),
            rivals: Vec::new(),
            system: None,
        }
    }

    fn nothing_known(&self, words: &Words<'_>) -> Diagnosis {
        let acts = self.cause(CauseId::UNDETERMINED).map_or(super::Acts::OwnAdmin, |it| it.acts);
        Diagnosis {
            cause: CauseId::new(CauseId::UNDETERMINED),
            family: Family::Unknown,
            permanent: None,
            expired: false,
            acts,
            confidence: Confidence::Guess,
            rule: NO_RULE.to_owned(),
            matched: clip(words.text.original()).to_owned(),
            facts: Facts::default(),
            rivals: Vec::new(),
            system: None,
        }
    }

    /// The returned message begins with filler. That suffices by itself, unless the words say
    /// plainly that the address, the mailbox or the size was at fault.
    fn apply_filler(&self, diagnosis: &mut Diagnosis) {
        let plain = diagnosis.confidence > Confidence::Guess
            && match diagnosis.family {
                Family::Address | Family::Domain | Family::Mailbox | Family::Size => true,
                Family::Refused
                | Family::Reputation
                | Family::Authentication
                | Family::Content
                | Family::Throttled
                | Family::Connection
                | Family::System
                | Family::Submission
                | Family::Unknown => false,
            };
        let Some(cause) = self.cause(FILLER_CAUSE).filter(|_| !plain) else { return };
        let beaten = std::mem::replace(&mut diagnosis.rule, FILLER_RULE.to_owned());
        if beaten != NO_RULE {
            diagnosis.rivals.insert(0, beaten);
            diagnosis.rivals.truncate(RIVALS);
        }
        diagnosis.cause = cause.id.clone();
        diagnosis.family = cause.family;
        diagnosis.permanent = cause.permanent;
        diagnosis.acts = cause.acts;
        diagnosis.confidence = Confidence::Guess;
    }
}

/// Characters of the text around the recipients in which a reason is looked for.
const HUMAN_TEXT: usize = 4000;
const FILLER_CAUSE: &str = "cross_border_filtering";
const FILLER_RULE: &str = "cross_border_filtering/filler";
/// The "rule" of words that no rule knows.
const NO_RULE: &str = "undetermined/no-rule";

/// The host of a URL or host name.
fn host_of(name: &str) -> &str {
    let host = name.split_once("://").map_or(name, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    host.split_once(':').map_or(host, |(host, _)| host)
}

/// The words that decided, as they were written.
fn quote(winner: &Candidate<'_>, words: &Words<'_>) -> String {
    let original = words.text.original();
    let place = winner.found.place.clone().and_then(|it| original.get(it));
    if let Some(place) = place {
        return clip(place).to_owned();
    }
    let code = words.enhanced.first().filter(|_| !winner.rule.enhanced.is_empty()).map(|(it, _)| it.to_string());
    code.or_else(|| words.reply.map(|it| it.get().to_string())).unwrap_or_default()
}

fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(QUOTED)).unwrap_or(text)
}
