//! The picture of the way, and what stands below the line: facts, the server's words, what was checked.

use std::cmp::Ordering;

use super::{
    facts::{Case, Facts},
    frame::Frame,
    page::{self, Fact, Limits, Page, Quote, Station, StationState},
    safe,
    section::Conditions,
    speaker::{Speaker, speaker},
};
use crate::{
    diagnosis::{Confidence, Family},
    evidence::{Answer, Observation, Verdict},
};

/// The three stations, and where the mail stopped.
pub(super) fn stations(frame: &Frame<'_>, case: &Case<'_>) -> Vec<Station> {
    let diagnosis = &case.finding.diagnosis;
    let cause = diagnosis.cause.as_str();
    let knowledge = &frame.texts.knowledge;
    let speaker = speaker(case.entry.bounce, case.finding, &frame.plan.addressee);
    // A closed account of ours (x.7.13) sends nothing, whatever the cause is called.
    let account = diagnosis.family == Family::Mailbox && case.conditions.holds("own admin");
    let at_mailbox = knowledge.stops_at_mailbox.contains(cause) && !account;
    let in_house = case.conditions.holds("own side");
    let at_our_server = match speaker {
        Speaker::Ours => true,
        Speaker::Summary => {
            diagnosis.family == Family::Submission
                || (diagnosis.family == Family::Domain && case.conditions.holds("own admin"))
        }
        Speaker::Theirs => account,
    };
    let mut names = vec!["station you", "station our server", "station their server", "station mailbox"];
    if in_house {
        names.remove(2);
    }
    let stop = match (in_house, at_our_server, at_mailbox) {
        (false, true, _) | (true, _, false) => 1,
        (_, _, true) => names.len() - 1,
        (false, false, false) => 2,
    };
    let holding = &case.conditions;
    // Who answers with a code has refused, however little is known of the reason.
    let answered = speaker == Speaker::Theirs && case.finding.report.reply_code.is_some() && !at_mailbox;
    let unsure = diagnosis.confidence == Confidence::Guess || diagnosis.cause.is_undetermined() || cause == "expired";
    names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let state = match index.cmp(&stop) {
                Ordering::Less if index == 0 => StationState::Start,
                Ordering::Less => StationState::Passed,
                Ordering::Greater => StationState::Beyond,
                Ordering::Equal if holding.holds("delayed") => StationState::Waiting,
                Ordering::Equal if unsure && !answered => StationState::Doubtful,
                Ordering::Equal => StationState::Failed,
            };
            Station { name: frame.line(name, holding, &case.facts), state }
        })
        .collect()
}

/// Adds what a helpdesk wants to see: the mail, the server's words, what was checked.
pub(super) fn add(
    frame: &Frame<'_>,
    page: &mut Page,
    cases: &[Case<'_>],
    several: bool,
    common: &Facts,
    limits: Limits,
) {
    let none = Conditions::default();
    let asking = cases.first().map_or(&none, |it| &it.conditions);
    let mail = frame.line("fact mail", asking, common);
    if !mail.is_empty() {
        page.facts.push(Fact { label: String::new(), runs: page::run(mail) });
    }
    page.quotes_label = frame.line("quotes", &none, common);
    for case in cases {
        page.facts.extend(checked(frame, case));
        let Some(words) = &case.finding.report.diagnostic else { continue };
        let facts = if several { case.facts.clone().with_value(&case.facts.recipient()) } else { case.facts.clone() };
        let words = safe::mask_addresses(&safe::line(words, limits.characters), &case.entry.typed);
        page.quotes.push(Quote {
            label: frame.label("quote", &case.conditions, &facts),
            runs: page::quoted(frame.texts, &words),
        });
    }
}

/// Whether the domain says that it takes no mail (RFC 7505 §3).
pub(super) fn is_null_mx(it: &Observation) -> bool {
    let is_root = |record: &String| record.split_whitespace().next_back() == Some(".");
    matches!(&it.answer, Answer::Found(records) if it.check == "mx" && matches!(&records[..], [only] if is_root(only)))
}

/// What was looked up, as sentences; checks that a salesperson has no word for are left out.
fn checked(frame: &Frame<'_>, case: &Case<'_>) -> Vec<Fact> {
    let mut sentences: Vec<String> = Vec::new();
    let mut at = None;
    let listed = |it: &Observation| it.check == "blocklist" && matches!(it.answer, Answer::Found(_));
    let is_listed = case.finding.observations.iter().any(listed);
    // What a lying resolver says is not told as a fact.
    let lies = case.finding.observations.iter().any(|it| it.check == "resolver");
    for it in case.finding.observations.iter().filter(|it| !lies || it.resolver == "catalogue") {
        // One list is enough: that another does not name us consoles nobody.
        if it.check == "blocklist" && is_listed && !listed(it) {
            continue;
        }
        let result =
            match &it.answer {
                Answer::Found(_) if is_null_mx(it) => "null",
                Answer::Found(records) if it.check == "registry" => {
                    if records.iter().any(|it| it.starts_with("inside")) { "inside" } else { "outside" }
                }
                Answer::Found(_) => "found",
                Answer::NoRecord => "no record",
                Answer::NoSuchName => "no such name",
                Answer::Unavailable(_) => "unavailable",
            };
        // Our own names: a salesperson is told whether they are in order, not what they are.
        let verdict = match it.verdict {
            Verdict::Confirms => "wrong",
            Verdict::Contradicts => "in order",
            Verdict::Neutral => "neutral",
        };
        let check = it.check.replace('_', " ");
        let facts = case.facts.clone().with_value(&safe::line(&it.subject, 100));
        let say = |how: &str| frame.line(&format!("checked {check} {how}"), &case.conditions, &facts);
        let sentence = Some(say(result)).filter(|it| !it.is_empty()).unwrap_or_else(|| say(verdict));
        if !sentence.is_empty() && !sentences.contains(&sentence) {
            at = at.or(Some(it.at));
            sentences.push(sentence);
        }
    }
    let Some(at) = at else { return Vec::new() };
    let label = frame.label("checked", &case.conditions, &case.facts.clone().with_value(&frame.moment(at)));
    let joint = frame.line("checked joint", &case.conditions, &case.facts);
    let joint = if frame.spaced { joint } else { format!("{joint} ") };
    let end = frame.line("checked end", &case.conditions, &case.facts);
    vec![Fact { label, runs: page::run(format!("{}{end}", sentences.join(&joint))) }]
}
