//! The general reader: a bounce in no known format.
//!
//! It first asks whether the message is a bounce at all (who sent it, what its subject says, what
//! sentences stand in it), then weighs every address in the text by what stands around it. What it
//! finds is a guess and is marked as one. Ordinary mail gives nothing.

use super::{
    codes::{self, one_line},
    descriptor::address_pattern,
    engine::Found,
    lines::{Line, squeeze},
    marks::{Fields, Seen, Sign},
    shared::SharedPatterns,
};

/// More lines than this are not weighed.
const LINE_LIMIT: usize = 400;
/// An address with less weight is no failed recipient.
const ENOUGH: i32 = 4;
/// Lines below an address in which its reason may stand.
const REACH: usize = 6;

/// Whether sender or subject say that this is a bounce: enough for a text in a known format.
pub(super) fn is_likely(seen: &Seen, fields: Fields<'_>) -> bool {
    let has = |sign| seen.first(sign).is_some();
    let subject = fields.subject.trim_start().to_lowercase();
    let answer = ["re:", "aw:", "回复", "答复", "fw:", "fwd:", "转发"].iter().any(|it| subject.starts_with(it));
    null_path(fields) || has(Sign::Daemon) || !answer && (has(Sign::Subject) || has(Sign::DelayedSubject))
}

/// Recipients of the field X-Failed-Recipients, which Exim, Gmail and others write.
pub(super) fn failed_recipients_field(lines: &[Line], fields: Fields<'_>) -> Vec<Found> {
    let Some(pattern) = address_pattern() else { return Vec::new() };
    let said = || {
        let words = lines.iter().filter(|it| !it.is_blank()).map(|it| it.text.as_str());
        let replies = lines.iter().filter(|it| codes::looks_like_reply(&it.text)).map(|it| it.text.as_str());
        one_line(replies.take(3)).or_else(|| one_line(words.take(40)))
    };
    let values = fields.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("X-Failed-Recipients"));
    let addresses = values.flat_map(|(_, value)| pattern.captures_iter(value));
    addresses
        .filter_map(|it| Some(it.name("addr")?.as_str().to_owned()))
        .map(|address| Found { address, reason: said(), ..Found::default() })
        .collect()
}

/// The failed recipients, as far as they can be told; `None` if this is no bounce.
pub(super) fn read(lines: &[Line], seen: &Seen, fields: Fields<'_>, shared: &SharedPatterns) -> Option<Vec<Found>> {
    let certainty = certainty(lines, seen, fields)?;
    let lines = lines.get(..LINE_LIMIT.min(lines.len())).unwrap_or_default();
    let weighing = Weighing { lines, seen, shared, own: own_addresses(fields) };
    let candidates = weighing.candidates();
    let best = candidates.iter().map(|it| it.weight).max().unwrap_or(0);
    if certainty == Certainty::IfSomeoneFailed && best <= ENOUGH {
        return None;
    }
    let chosen: Vec<&Candidate> = if best >= ENOUGH {
        candidates.iter().filter(|it| it.weight >= ENOUGH && it.weight + 2 >= best).collect()
    } else {
        // The only address there is need not have as much.
        let mut rest = candidates.iter().filter(|it| it.weight > 0);
        let first = rest.next();
        let only = |it: &&Candidate| rest.all(|other| other.address.eq_ignore_ascii_case(&it.address));
        first.filter(only).into_iter().collect()
    };
    Some(chosen.into_iter().map(|it| weighing.found(it)).collect())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Certainty {
    Bounce,
    /// A bounce if a failed recipient stands in it.
    IfSomeoneFailed,
}

/// Signs are added up: the sender, the subject, what the text says, a reply in it. The text alone
/// does not suffice, for people quote bounces; nor does the sender, for postmasters write letters.
fn certainty(lines: &[Line], seen: &Seen, fields: Fields<'_>) -> Option<Certainty> {
    let has = |sign| seen.first(sign).is_some();
    let points = |held: bool, points: u8| if held { points } else { 0 };
    let sender = has(Sign::Daemon) || null_path(fields);
    let subject = has(Sign::Subject) || has(Sign::DelayedSubject);
    let sentence = has(Sign::Sentence) || has(Sign::Delayed);
    let reply = lines.iter().take(LINE_LIMIT).any(|it| codes::looks_like_reply(&it.text));
    let sum = points(subject, 2) + points(sentence, 2) + points(has(Sign::Hint), 1) + points(reply, 2);
    // Nobody writes letters as MAILER-DAEMON.
    let enough = if squeeze(fields.from).contains("mailerdaemon") { 1 } else { 2 };
    if sender && sum >= enough {
        Some(Certainty::Bounce)
    } else if subject && sentence {
        Some(Certainty::IfSomeoneFailed)
    } else {
        None
    }
}

fn null_path(fields: Fields<'_>) -> bool {
    let is_null = |it: &str| it.replace(' ', "") == "<>";
    fields.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("Return-Path") && is_null(value))
        || fields.from.replace(' ', "").ends_with("<>")
}

/// Addresses of the fields, lower-cased, with how much they speak against being the failed one: a
/// daemon does not fail itself, but an author may have written to himself.
fn own_addresses(fields: Fields<'_>) -> Vec<(String, i32)> {
    let Some(pattern) = address_pattern() else { return Vec::new() };
    let against = |name: &str| match name.to_ascii_lowercase().as_str() {
        "from" | "reply-to" | "sender" => Some(5),
        "to" | "return-path" | "x-original-to" | "delivered-to" | "errors-to" => Some(3),
        _ => None,
    };
    let fields = fields.headers.iter().filter_map(|(name, value)| Some((against(name)?, value)));
    fields
        .flat_map(|(against, value)| pattern.captures_iter(value).map(move |it| (against, it)))
        .filter_map(|(against, it)| Some((it.name("addr")?.as_str().to_lowercase(), against)))
        .collect()
}

struct Candidate {
    line: usize,
    address: String,
    weight: i32,
}

struct Weighing<'a> {
    lines: &'a [Line],
    seen: &'a Seen,
    shared: &'a SharedPatterns,
    own: Vec<(String, i32)>,
}

impl Weighing<'_> {
    fn candidates(&self) -> Vec<Candidate> {
        let Some(pattern) = address_pattern() else { return Vec::new() };
        let mut candidates = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            for captures in pattern.captures_iter(&line.text).take(50) {
                let Some(address) = captures.name("addr") else { continue };
                let address = address.as_str().trim_matches(['\'', '`', '*', '|', '.']).to_owned();
                let weight = self.weight(number, line, &address);
                candidates.push(Candidate { line: number, address, weight });
            }
        }
        candidates
    }

    fn weight(&self, number: usize, line: &Line, address: &str) -> i32 {
        let below: Vec<&Line> = self.paragraph_below(number).collect();
        let rest = squeeze(&line.text.replace(address, ""));
        let told = |it: &Line| self.gives_reason(&it.text);
        let near_sentence = self.seen.lines(Sign::Sentence).any(|it| it <= number && number - it <= 4);
        let mut weight = 0;
        weight += if codes::looks_like_reply(&line.text) { 4 } else { 0 };
        weight += if below.iter().any(|it| codes::looks_like_reply(&it.text)) { 3 } else { 0 };
        weight += if told(line) { 3 } else { 0 };
        weight += if below.iter().any(|it| told(it)) { 2 } else { 0 };
        weight += if rest.is_empty() { 2 } else { 0 };
        weight += if near_sentence { 3 } else { 0 };
        weight += if labelled(&rest) { 2 } else { 0 };
        weight -= if self.shared.bystander.iter().any(|it| it.is_match(&line.text)) { 6 } else { 0 };
        weight -= self.own.iter().find(|(it, _)| *it == address.to_lowercase()).map_or(0, |(_, it)| *it);
        weight -= if is_office(address) { 4 } else { 0 };
        weight
    }

    fn gives_reason(&self, text: &str) -> bool {
        self.shared.reason.iter().any(|it| it.is_match(text))
    }

    /// The lines right below, up to a blank one or one that names another address first.
    fn paragraph_below(&self, number: usize) -> impl Iterator<Item = &Line> {
        self.lines.iter().skip(number + 1).take(REACH).take_while(|it| !it.is_blank())
    }

    fn found(&self, candidate: &Candidate) -> Found {
        let number = candidate.line;
        let own_line = self.lines.get(number).map(|it| it.text.as_str()).unwrap_or_default();
        let below = || one_line(self.paragraph_below(number).map(|it| it.text.as_str()));
        let telling = |it: &str| codes::looks_like_reply(it) || self.gives_reason(it);
        let anywhere = |wanted: &dyn Fn(&str) -> bool| {
            let at = self.lines.iter().position(|it| wanted(&it.text))?;
            let paragraph = self.lines.iter().skip(at).take(REACH).take_while(|it| !it.is_blank());
            one_line(paragraph.map(|it| it.text.as_str()))
        };
        let reason = one_line([own_line])
            .filter(|it| telling(it))
            .or_else(|| below().filter(|it| telling(it)))
            .or_else(|| anywhere(&codes::looks_like_reply))
            .or_else(|| anywhere(&|it| squeeze(it).starts_with("reason")))
            .or_else(|| anywhere(&|it| self.gives_reason(it)));
        Found { address: candidate.address.clone(), reason, ..Found::default() }
    }
}

/// Whether what stands on the line besides the address calls it a recipient.
fn labelled(rest: &str) -> bool {
    const LABELS: [&str; 14] = [
        "recipient",
        "recipients",
        "to",
        "address",
        "user",
        "mailbox",
        "for",
        "destinataire",
        "empfänger",
        "收件人",
        "收信人",
        "地址",
        "宛先",
        "到",
    ];
    rest.len() <= 60
        && LABELS.iter().any(|it| rest == *it || rest.ends_with(it) || it.len() > 4 && rest.starts_with(it))
}

/// Whether the address is an office of the mail system, not a person's.
fn is_office(address: &str) -> bool {
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    [
        "postmaster",
        "mailer-daemon",
        "abuse",
        "support",
        "helpdesk",
        "hostmaster",
        "root",
        "admin",
        "noreply",
        "no-reply",
    ]
    .contains(&local.as_str())
}
