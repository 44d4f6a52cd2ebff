//! The explanation for the author: one recipient at length, or several grouped by whose move it is.

use std::collections::BTreeMap;

use super::{
    facts::{Case, Facts},
    frame::Frame,
    markup::{self, Block},
    page::{self, Detail, Fact, Move, Page, Quote, Station, StationState},
    safe,
    section::Conditions,
    speaker::{Speaker, speaker},
};
use crate::{
    bounce::{Action, Bounce},
    diagnosis::{Acts, Confidence, Family},
    evidence::{Answer, Finding},
    policy::Ground,
};

/// Columns of a subject line that the original's subject may take: twelve Chinese characters.
const SUBJECT_COLUMNS: usize = 24;

pub(super) fn page(frame: &Frame<'_>, bounces: &[(Bounce, Vec<Finding>)], detail: Detail) -> Page {
    let cases = cases(frame, bounces);
    let failed: Vec<&Case<'_>> = cases.iter().filter(|it| it.finding.report.action == Action::Failed).collect();
    let delayed: Vec<&Case<'_>> = cases.iter().filter(|it| it.finding.report.action == Action::Delayed).collect();
    let subjects = if failed.is_empty() { &delayed } else { &failed };
    let others = others(bounces, &cases);
    let mut page = match subjects[..] {
        [] => unreadable(frame, bounces),
        [case] => single(frame, case, others),
        _ => several(frame, subjects, others, detail),
    };
    page.language = frame.tag.to_owned();
    if !failed.is_empty() && !delayed.is_empty() {
        let facts = subjects[0].facts.clone().with_counts(delayed.len(), 0);
        page.notes.extend(frame.blocks("still trying", &Conditions::default(), &facts));
    }
    let common = frame.common(bounces.first().map(|(bounce, _)| bounce));
    let holding = subjects.first().map(|it| it.conditions.clone()).unwrap_or_default();
    if frame.plan.redirect_to.is_some() {
        page.banner = Some(frame.line("redirected", &holding, &common));
    }
    page.greeting = Some(frame.line("greeting", &holding, &common)).filter(|it| !it.is_empty());
    page.notes.extend(frame.blocks("whom to ask", &holding, &common));
    below_the_line(frame, &mut page, subjects, &common, detail);
    page.footer = frame.blocks("footer", &holding, &common);
    page
}

/// One case a recipient: a failure takes the place of a delay, and a later word of an earlier one.
pub(super) fn cases<'a>(frame: &Frame<'a>, bounces: &'a [(Bounce, Vec<Finding>)]) -> Vec<Case<'a>> {
    let mut by_recipient: BTreeMap<String, (usize, &Bounce, &Finding)> = BTreeMap::new();
    let all = bounces.iter().flat_map(|(bounce, findings)| findings.iter().map(move |it| (bounce, it)));
    for (order, (bounce, finding)) in all.enumerate() {
        if !matches!(finding.report.action, Action::Failed | Action::Delayed) {
            continue;
        }
        let key = finding.report.final_recipient.to_string().to_lowercase();
        let keeps = by_recipient.get(&key).is_some_and(|(_, _, had)| had.report.action < finding.report.action);
        if !keeps {
            let order = by_recipient.get(&key).map_or(order, |(order, ..)| *order);
            by_recipient.insert(key, (order, bounce, finding));
        }
    }
    let mut kept: Vec<_> = by_recipient.into_values().collect();
    kept.sort_by_key(|(order, ..)| *order);
    kept.into_iter().map(|(_, bounce, finding)| frame.case(bounce, finding)).collect()
}

/// How many of the original's recipients no bounce speaks of.
fn others(bounces: &[(Bounce, Vec<Finding>)], cases: &[Case<'_>]) -> usize {
    let listed =
        bounces.iter().filter_map(|(bounce, _)| bounce.original.as_ref()).map(|it| &it.to).max_by_key(|it| it.len());
    let named = |it: &crate::mail::Mailbox| {
        cases.iter().any(|case| {
            let report = &case.finding.report;
            it.same_mailbox(&report.final_recipient)
                || report.original_recipient.as_ref().is_some_and(|typed| it.same_mailbox(typed))
        })
    };
    listed.map_or(0, |to| to.iter().filter(|it| !named(it)).count())
}

fn single(frame: &Frame<'_>, case: &Case<'_>, others: usize) -> Page {
    let facts = case.facts.clone().with_counts(1, others);
    let mut holding = case.conditions.clone();
    holding.set("some delivered", others > 0);
    let mut page = Page {
        subject: frame.line("subject", &holding, &facts.clone().with_short_subject(SUBJECT_COLUMNS)),
        headline: first_runs(frame.blocks("headline", &holding, &facts)),
        ..Page::default()
    };
    let delayed = holding.holds("delayed");
    page.what = if delayed { frame.blocks("delay means", &holding, &facts) } else { frame.cause_blocks(case, "what") };
    if holding.holds("expired") && !delayed && case.finding.diagnosis.cause.as_str() != "expired" {
        page.what.extend(frame.blocks("expired", &holding, &facts));
    }
    if holding.holds("forwarded") {
        page.what.extend(frame.blocks("forwarded", &holding, &facts));
    }
    page.moves.push(the_move(frame, case, &facts, &holding));
    page.stations = stations(frame, case);
    if others > 0 {
        page.notes.extend(frame.blocks("others", &holding, &facts));
    }
    page
}

/// Whose move it is: of a delay nobody's; and who waits for a server that answers again need not.
fn acts(case: &Case<'_>) -> Acts {
    match case.finding.diagnosis.acts {
        _ if case.conditions.holds("delayed") => Acts::NobodyWait,
        Acts::NobodyWait
            if case.conditions.holds("reachable") && case.finding.diagnosis.family == Family::Connection =>
        {
            Acts::Sender
        }
        other => other,
    }
}

fn the_move(frame: &Frame<'_>, case: &Case<'_>, facts: &Facts, holding: &Conditions) -> Move {
    let acts = acts(case);
    let mut blocks = Vec::new();
    if holding.holds("asking") {
        blocks.extend(asking_note(frame, case, facts, holding));
    }
    if holding.holds("delayed") {
        blocks.extend(frame.blocks("delay steps", holding, facts));
    } else {
        if acts == Acts::OwnAdmin {
            blocks.extend(frame.blocks("administrator", holding, facts));
        }
        let forwarded = holding.holds("forwarded") && acts != Acts::OwnAdmin;
        blocks.extend(if forwarded {
            frame.blocks("forwarded steps", holding, facts)
        } else {
            frame.cause_blocks(case, "steps")
        });
        blocks.extend(pass_on(frame, case));
    }
    let action = facts.wants_mail_to().filter(|_| !holding.holds("asking")).map(|(address, subject)| {
        let query = subject.map(|it| format!("?subject={}", percent_encoded(it))).unwrap_or_default();
        (format!("mailto:{}{query}", percent_encoded(address)), frame.line("write to suggestion", holding, facts))
    });
    let label = frame.line(&move_name(acts), holding, facts);
    Move { action, ..Move::new(frame, label, acts, blocks) }
}

/// Something to send the recipient by another channel, in the language that they read.
fn pass_on(frame: &Frame<'_>, case: &Case<'_>) -> Vec<Block> {
    if !matches!(case.finding.diagnosis.acts, Acts::RecipientSide | Acts::OwnAdmin) || case.conditions.holds("own side")
    {
        return Vec::new();
    }
    let tag = recipients_language(frame, case);
    let theirs = Frame::new(frame.texts, frame.settings, frame.plan, tag, frame.now);
    let retold = theirs.case(case.bounce, case.finding);
    let words = theirs.cause_blocks(&retold, "pass on");
    if words.is_empty() {
        return words;
    }
    frame.blocks("pass on", &case.conditions, &case.facts).into_iter().chain(words).collect()
}

/// What the original was written in; else what its domain suggests; else the reader's own.
fn recipients_language<'f>(frame: &Frame<'f>, case: &Case<'_>) -> &'f str {
    let chinese = |tag: &str| tag.starts_with("zh");
    let domain = case.finding.report.final_recipient.domain();
    let top = domain.rsplit('.').next().unwrap_or_default();
    if ["cn", "中国", "xn--fiqs8s"].contains(&top) || frame.texts.knowledge.chinese_domains.contains(domain) {
        return "zh-CN";
    }
    match case.bounce.original.as_ref().and_then(|it| it.language.as_deref()) {
        Some(tag) if chinese(tag) => "zh-CN",
        Some(_) => "en",
        None if top.len() == 2 => "en",
        None => frame.tag,
    }
}

/// Who asks need not be the author; and a bounce of a mail that nobody sent is somebody's trick.
fn asking_note(frame: &Frame<'_>, case: &Case<'_>, facts: &Facts, holding: &Conditions) -> Vec<Block> {
    let from = case.bounce.original.as_ref().and_then(|it| it.from.as_ref());
    let asker_wrote_it = from.is_some_and(|it| it.same_mailbox(&frame.plan.addressee));
    let unproven = !frame.plan.grounds.iter().any(|it| *it != Ground::Asked);
    let mut blocks = Vec::new();
    if from.is_some() && !asker_wrote_it {
        blocks.extend(frame.blocks("for its author", holding, facts));
    }
    if asker_wrote_it && unproven {
        blocks.extend(frame.blocks("not yours", holding, facts));
    }
    blocks
}

fn move_name(acts: Acts) -> String {
    let name = match acts {
        Acts::Sender => "sender",
        Acts::RecipientSide => "recipient side",
        Acts::OwnAdmin => "own admin",
        Acts::NobodyWait => "nobody",
    };
    format!("move {name}")
}

fn several(frame: &Frame<'_>, cases: &[&Case<'_>], others: usize, detail: Detail) -> Page {
    let first = cases[0];
    let facts = first.facts.clone().with_counts(cases.len(), others);
    let mut holding = Conditions::default();
    for name in ["delayed", "asking", "follow-up"] {
        holding.set(name, first.conditions.holds(name));
    }
    holding.set("several", true);
    holding.set("some delivered", others > 0);
    let mut page = Page {
        subject: frame.line("subject several", &holding, &facts.clone().with_short_subject(SUBJECT_COLUMNS)),
        headline: first_runs(frame.blocks("headline several", &holding, &facts)),
        ..Page::default()
    };
    let (named, ..) = detail.limits();
    let mut groups: BTreeMap<(Acts, String, Confidence, bool), Vec<&Case<'_>>> = BTreeMap::new();
    for case in cases {
        let diagnosis = &case.finding.diagnosis;
        let key =
            (acts(case), diagnosis.cause.as_str().to_owned(), diagnosis.confidence, case.conditions.holds("our words"));
        groups.entry(key).or_default().push(case);
    }
    let same_reason = groups.len() == 1;
    page.what = frame.blocks(if same_reason { "one reason" } else { "several reasons" }, &holding, &facts);
    for ((acts, ..), members) in groups {
        let mut blocks = group(frame, &members, named);
        let label = frame.line(&move_name(acts), &holding, &facts);
        match page.moves.last_mut().filter(|it| it.acts == acts) {
            Some(last) => last.blocks.append(&mut blocks),
            None => {
                if acts == Acts::OwnAdmin {
                    blocks.splice(0..0, frame.blocks("administrator", &first.conditions, &facts));
                }
                page.moves.push(Move::new(frame, label, acts, blocks));
            }
        }
    }
    if !holding.holds("delayed") {
        page.notes.extend(frame.blocks("resend only to these", &holding, &facts));
    }
    page
}

/// One paragraph for the recipients that failed for one cause.
fn group(frame: &Frame<'_>, members: &[&Case<'_>], named: usize) -> Vec<Block> {
    let first = members[0];
    let names: Vec<String> = members.iter().take(named).map(|it| it.facts.recipient().to_owned()).collect();
    let more = members.len() - names.len();
    let facts = first.facts.clone().with_counts(members.len(), 0).with_recipients(names, more);
    let mut holding = first.conditions.clone();
    holding.set("several", members.len() > 1);
    let mut blocks = frame.blocks("group", &holding, &facts);
    let brief = if holding.holds("delayed") { Vec::new() } else { frame.cause_blocks(first, "brief") };
    // One paragraph: who and why, then what to do.
    match (blocks.last_mut(), brief.into_iter().next()) {
        (Some(Block::Paragraph(runs)), Some(Block::Paragraph(brief))) => {
            if !frame.spaced {
                runs.extend(page::run(" "));
            }
            runs.extend(brief);
        }
        (_, Some(other)) => blocks.push(other),
        (_, None) => {}
    }
    blocks
}

/// A member asked, and nothing could be read.
fn unreadable(frame: &Frame<'_>, bounces: &[(Bounce, Vec<Finding>)]) -> Page {
    let facts = frame.common(bounces.first().map(|(bounce, _)| bounce));
    let holding = Conditions::default();
    Page {
        subject: frame.line("subject unreadable", &holding, &facts),
        headline: first_runs(frame.blocks("headline unreadable", &holding, &facts)),
        moves: vec![Move::new(
            frame,
            frame.line(&move_name(Acts::Sender), &holding, &facts),
            Acts::Sender,
            frame.blocks("unreadable steps", &holding, &facts),
        )],
        ..Page::default()
    }
}

/// The three stations, and where the mail stopped.
fn stations(frame: &Frame<'_>, case: &Case<'_>) -> Vec<Station> {
    let diagnosis = &case.finding.diagnosis;
    let cause = diagnosis.cause.as_str();
    let knowledge = &frame.texts.knowledge;
    let said_by_ours = speaker(case.bounce, case.finding, &frame.plan.addressee) == Speaker::Ours;
    let at_mailbox = knowledge.stops_at_mailbox.contains(cause);
    let in_house = case.conditions.holds("own side");
    let at_our_server = diagnosis.family == Family::Submission && said_by_ours;
    let names = match in_house {
        true => &["station you", "station our server", "station mailbox"][..],
        false => &["station you", "station our server", "station their server", "station mailbox"][..],
    };
    let stop = match (at_mailbox, at_our_server || in_house) {
        (true, _) => names.len() - 1,
        (false, true) => 1,
        (false, false) => 2,
    };
    let holding = &case.conditions;
    names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let state = match index.cmp(&stop) {
                std::cmp::Ordering::Less if index == 0 => StationState::Start,
                std::cmp::Ordering::Less => StationState::Passed,
                std::cmp::Ordering::Greater => StationState::Beyond,
                std::cmp::Ordering::Equal if holding.holds("delayed") => StationState::Waiting,
                std::cmp::Ordering::Equal
                    if diagnosis.confidence == Confidence::Guess || diagnosis.cause.is_undetermined() =>
                {
                    StationState::Doubtful
                }
                std::cmp::Ordering::Equal => StationState::Failed,
            };
            Station { name: frame.line(name, holding, &case.facts), state }
        })
        .collect()
}

/// What a helpdesk wants to see: the mail, the server's words, what was checked.
fn below_the_line(frame: &Frame<'_>, page: &mut Page, cases: &[&Case<'_>], common: &Facts, detail: Detail) {
    let none = Conditions::default();
    let (_, quotations, characters) = detail.limits();
    let asking = cases.first().map_or(&none, |it| &it.conditions);
    let mail = frame.line("fact mail", asking, common);
    if !mail.is_empty() {
        page.facts.push(Fact { label: String::new(), runs: page::run(mail) });
    }
    page.quotes_label = frame.line("quotes", &none, common);
    for case in cases.iter().take(quotations) {
        page.facts.extend(checked(frame, case));
        let Some(words) = &case.finding.report.diagnostic else { continue };
        let facts =
            if cases.len() > 1 { case.facts.clone().with_value(case.facts.recipient()) } else { case.facts.clone() };
        let words = safe::mask_addresses(&safe::line(words, characters), &case.typed);
        page.quotes.push(Quote {
            label: frame.label("quote", &case.conditions, &facts),
            runs: page::quoted(frame.texts, &words),
        });
    }
}

/// What was looked up, as sentences; checks that a salesperson has no word for are left out.
fn checked(frame: &Frame<'_>, case: &Case<'_>) -> Vec<Fact> {
    let mut sentences: Vec<String> = Vec::new();
    let mut at = None;
    for it in &case.finding.observations {
        let result = match &it.answer {
            Answer::Found(_) => "found",
            Answer::NoRecord => "no record",
            Answer::NoSuchName => "no such name",
            Answer::Unavailable(_) => "unavailable",
        };
        let null_mx = matches!(&it.answer, Answer::Found(records) if it.check == "mx" && matches!(&records[..], [only] if only.ends_with(" .") || only == "."));
        let name = if null_mx {
            "checked mx null".to_owned()
        } else {
            format!("checked {} {result}", it.check.replace('_', " "))
        };
        let facts = case.facts.clone().with_value(&safe::line(&it.subject, 100));
        let sentence = frame.line(&name, &case.conditions, &facts);
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

fn first_runs(blocks: Vec<Block>) -> Vec<markup::Run> {
    match blocks.into_iter().next() {
        Some(Block::Paragraph(runs) | Block::PassOn(runs)) => runs,
        Some(Block::Steps(steps)) => steps.into_iter().next().unwrap_or_default(),
        None => Vec::new(),
    }
}

/// RFC 6068 §2: everything but unreserved characters and the `@` of the address.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
