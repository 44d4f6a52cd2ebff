//! The explanation for the administrator: what is wrong on which side, what to do in which order,
//! the text to paste, and every fact that the other side will ask for.

use super::{
    author,
    below::is_null_mx,
    facts::Case,
    frame::Frame,
    markup::Block,
    page::{self, Detail, Fact, Move, Page, Quote},
    safe,
    section::Conditions,
};
use crate::{
    bounce::Bounce,
    diagnosis::{Acts, Confidence},
    evidence::{Answer, Finding, Observation, Verdict},
};

/// The particulars, in this order; an empty one is left out.
const FACTS: &[&str] =
    &["admin fact recipient", "admin fact times", "admin fact diagnosis", "admin fact week", "admin fact ids"];

/// Look-ups that are shown.
const MOST_CHECKS: usize = 20;

/// Causes told at length; the rest are the same few causes again.
const MOST_CAUSES: usize = 5;

pub(super) fn page(frame: &Frame<'_>, bounces: &[(Bounce, Vec<Finding>)], detail: Detail) -> Page {
    let entries = author::entries(frame, bounces);
    let limits = detail.limits();
    // The first recipient of each cause stands for all of it.
    let mut causes: Vec<&str> = Vec::new();
    let mut cases: Vec<Case<'_>> = Vec::new();
    for entry in &entries {
        let cause = entry.finding.diagnosis.cause.as_str();
        if !causes.contains(&cause) && causes.len() < MOST_CAUSES {
            causes.push(cause);
            cases.push(frame.case(entry));
        }
    }
    let none = Conditions::default();
    let common = frame.common(bounces.first().map(|(bounce, _)| bounce));
    let mut page =
        Page { language: frame.tag.to_owned(), quotes_label: frame.line("quotes", &none, &common), ..Page::default() };
    let Some(first) = cases.first() else {
        page.subject = frame.line("subject unreadable", &none, &common);
        page.headline = page::run(page.subject.clone());
        return page;
    };
    page.subject = frame.line("admin subject", &first.conditions, &first.facts.clone().with_counts(entries.len(), 0));
    for case in &cases {
        let mut blocks = Vec::new();
        let headline = frame.cause_blocks(case, "admin");
        let mut headline = headline.into_iter();
        if let (true, Some(Block::Paragraph(runs))) = (page.headline.is_empty(), headline.next()) {
            page.headline = runs;
            page.what.extend(headline);
        } else {
            blocks.extend(frame.cause_blocks(case, "admin"));
        }
        blocks.extend(frame.cause_blocks(case, "admin steps"));
        let paste = author::in_their_language(frame, case, "admin paste");
        if !paste.is_empty() {
            blocks.extend(frame.blocks("paste label", &case.conditions, &case.facts));
            blocks.extend(paste);
        }
        let acts = author::acts(frame, &case.entry);
        let action = case.facts.link().map(|link| (link.to_owned(), link.to_owned()));
        let label = frame.line(admin_move(acts), &case.conditions, &case.facts);
        page.moves.push(Move { action, ..Move::new(frame, label, acts, blocks) });
    }
    for entry in entries.iter().take(limits.names) {
        let case = frame.case(entry);
        page.facts.extend(facts(frame, &case));
        let Some(words) = entry.finding.report.diagnostic.as_ref().filter(|_| page.quotes.len() < limits.quotes) else {
            continue;
        };
        let words = safe::mask_addresses(&safe::line(words, limits.characters * 2), &entry.typed);
        let label = frame.label("quote", &case.conditions, &case.facts);
        page.quotes.push(Quote { label, runs: page::quoted(frame.texts, &words) });
    }
    page.footer = frame.blocks("admin footer", &first.conditions, &common);
    page
}

fn admin_move(acts: Acts) -> &'static str {
    match acts {
        Acts::Sender => "admin move sender",
        Acts::RecipientSide => "admin move recipient side",
        Acts::OwnAdmin => "admin move own admin",
        Acts::NobodyWait => "admin move nobody",
    }
}

/// The particulars of one recipient, then every check with question, answer and resolver.
fn facts(frame: &Frame<'_>, case: &Case<'_>) -> Vec<Fact> {
    let sure = match case.finding.diagnosis.confidence {
        Confidence::Certain => "sure certain",
        Confidence::Likely => "sure likely",
        Confidence::Guess => "sure guess",
    };
    let mut with_sure = case.facts.clone();
    if !case.finding.diagnosis.cause.is_undetermined() {
        with_sure = with_sure.with_value(&frame.line(sure, &case.conditions, &case.facts));
    }
    let line = |name: &str| frame.line(name, &case.conditions, &with_sure);
    let mut facts: Vec<Fact> = FACTS
        .iter()
        .map(|name| line(name))
        .filter(|it| !it.is_empty())
        .map(|it| Fact { label: String::new(), runs: page::run(it) })
        .collect();
    let mut seen: Vec<String> = Vec::new();
    for it in &case.finding.observations {
        let line = looked_up(frame, case, it);
        if seen.len() < MOST_CHECKS && !seen.contains(&line) {
            let at = frame.with_offset(it.at);
            let label = frame.label("admin checked", &case.conditions, &case.facts.clone().with_value(&at));
            facts.push(Fact { label, runs: page::run(line.clone()) });
            seen.push(line);
        }
    }
    facts
}

/// One look-up: what for, the question, the answer, what it means, and who gave it.
fn looked_up(frame: &Frame<'_>, case: &Case<'_>, it: &Observation) -> String {
    let with = |name: &str, value: &str| frame.line(name, &case.conditions, &case.facts.clone().with_value(value));
    let result = match &it.answer {
        Answer::Found(records) if is_null_mx(it) => ("null", records.join("; ")),
        Answer::Found(records) if it.check == "registry" => {
            (if records.iter().any(|it| it.starts_with("inside")) { "inside" } else { "outside" }, String::new())
        }
        Answer::Found(records) => ("found", records.join("; ")),
        Answer::NoRecord => ("no record", String::new()),
        Answer::NoSuchName => ("no such name", String::new()),
        Answer::Unavailable(why) => ("unavailable", why.clone()),
    };
    let (result, value) = (result.0, safe::line(&result.1, 300));
    let check = it.check.replace('_', " ");
    let own = with(&format!("answer {check} {result}"), &value);
    let answer = if own.is_empty() { with(&format!("answer {result}"), &value) } else { own };
    let verdict = match it.verdict {
        Verdict::Confirms => with("verdict confirms", ""),
        Verdict::Contradicts => with("verdict contradicts", ""),
        Verdict::Neutral => String::new(),
    };
    // What is no question to a name server is put into words.
    let asked = if matches!(it.check.as_str(), "near_miss" | "near_miss_address" | "registry") {
        &it.subject
    } else {
        &it.question
    };
    let question = safe::line(asked, 200);
    let named = with(&format!("check {check}"), &question);
    let named = if named.is_empty() { question } else { named };
    format!("{named} → {answer}{verdict} ({})", safe::line(&it.resolver, 60))
}
