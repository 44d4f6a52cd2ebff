//! The explanation for the author: one recipient at length, or several grouped by whose move it is.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use super::{
    below,
    facts::{Case, Entry, Facts},
    frame::Frame,
    gather::typed_addresses,
    markup::{self, Block},
    page::{self, Detail, Limits, Move, Page},
    section::Conditions,
    speaker::{Speaker, speaker},
};
use crate::{
    bounce::{Action, Bounce},
    catalogue,
    diagnosis::{Acts, Confidence, Family},
    evidence::{Answer, Finding, Verdict},
    mail::Mailbox,
    policy::Ground,
};

/// Columns of a subject line that the original's subject may take: twelve Chinese characters.
const SUBJECT_COLUMNS: usize = 24;

pub(super) fn page(frame: &Frame<'_>, bounces: &[(Bounce, Vec<Finding>)], detail: Detail) -> Page {
    let entries = entries(frame, bounces);
    let (failed, delayed): (Vec<Entry<'_>>, Vec<Entry<'_>>) =
        entries.iter().cloned().partition(|it| it.finding.report.action == Action::Failed);
    let subjects = if failed.is_empty() { &delayed } else { &failed };
    let others = others(bounces, &entries);
    let limits = detail.limits();
    // Only what is shown is worked out: a report may name any number of recipients.
    let shown: Vec<Case<'_>> = subjects.iter().take(limits.quotes).map(|it| frame.case(it)).collect();
    let mut page = match (&shown[..], subjects.len()) {
        ([], _) => unreadable(frame, bounces),
        ([case, ..], 1) => single(frame, case, others),
        ([first, ..], _) => several(frame, first, subjects, others, limits, told(frame, bounces, &entries)),
    };
    frame.tag.clone_into(&mut page.language);
    if !failed.is_empty() && !delayed.is_empty() {
        let names: Vec<String> = delayed.iter().take(limits.names).map(Frame::named).collect();
        let more = delayed.len() - names.len();
        let facts = frame.common(None).with_counts(delayed.len(), 0).with_recipients(names, more);
        page.notes.extend(frame.blocks("still trying", &Conditions::default(), &facts));
    }
    let common = frame.common(bounces.first().map(|(bounce, _)| bounce));
    let holding = shown.first().map(|it| it.conditions.clone()).unwrap_or_default();
    if frame.plan.redirect_to.is_some() {
        page.banner = Some(frame.line("redirected", &holding, &common));
    }
    page.greeting = Some(frame.line("greeting", &holding, &common)).filter(|it| !it.is_empty());
    // Where the first thing asked is to forward this mail to the helpdesk, it need not be said twice.
    let said = page.moves.len() == 1
        && page.moves.iter().any(|it| it.acts == Acts::OwnAdmin)
        && !told(frame, bounces, &entries);
    if !said || holding.holds("asking") {
        page.notes.extend(frame.blocks("whom to ask", &holding, &common));
    }
    below::add(frame, &mut page, &shown, subjects.len() > 1, &common, limits);
    page.footer = frame.blocks("footer", &holding, &common);
    page
}

/// One entry a recipient: a failure takes the place of a delay, and a later word of an earlier one.
pub(super) fn entries<'a>(frame: &Frame<'_>, bounces: &'a [(Bounce, Vec<Finding>)]) -> Vec<Entry<'a>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for (bounce, findings) in bounces {
        let typed = Rc::new(typed_addresses(bounce, frame.plan));
        for finding in findings.iter().filter(|it| matches!(it.report.action, Action::Failed | Action::Delayed)) {
            let entry = Entry { bounce, finding, typed: Rc::clone(&typed) };
            let place = *places.entry(key(&finding.report.final_recipient)).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(had) if had.finding.report.action < finding.report.action => {}
                Some(had) => *had = entry,
                None => entries.push(entry),
            }
        }
    }
    entries
}

fn key(mailbox: &Mailbox) -> String {
    mailbox.to_string().to_lowercase()
}

/// Whether the administrator has been told of all that is theirs to do: a bounce is counted by its
/// first failure.
fn told(frame: &Frame<'_>, bounces: &[(Bounce, Vec<Finding>)], entries: &[Entry<'_>]) -> bool {
    let own = |it: &Finding| it.diagnosis.acts == Acts::OwnAdmin;
    let counted = |findings: &[Finding]| {
        let first = findings.iter().find(|it| it.report.action == Action::Failed).or(findings.first());
        first.is_some_and(own) || !findings.iter().any(own)
    };
    frame.settings.administrator_is_told
        && bounces.iter().all(|(_, findings)| counted(findings))
        && entries.iter().all(|it| own(it.finding) || acts(frame, it) != Acts::OwnAdmin)
}

/// How many of the original's recipients no bounce speaks of.
fn others(bounces: &[(Bounce, Vec<Finding>)], entries: &[Entry<'_>]) -> usize {
    let reports = entries.iter().map(|it| &it.finding.report);
    let named: HashSet<String> =
        reports.flat_map(|it| [Some(&it.final_recipient), it.original_recipient.as_ref()]).flatten().map(key).collect();
    let listed =
        bounces.iter().filter_map(|(bounce, _)| bounce.original.as_ref()).map(|it| &it.to).max_by_key(|it| it.len());
    listed.map_or(0, |to| to.iter().filter(|it| !named.contains(&key(it))).count())
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
    if holding.holds("after delay") {
        page.what.extend(frame.blocks("after delay", &holding, &facts));
    }
    if holding.holds("forwarded") {
        page.what.extend(frame.blocks("forwarded", &holding, &facts));
    }
    page.moves.push(the_move(frame, case, &facts, &holding));
    if !is_brief(&holding) {
        page.stations = below::stations(frame, case);
    }
    page.notes.extend(frame.blocks("lately", &holding, &facts));
    if others > 0 {
        page.notes.extend(frame.blocks("others", &holding, &facts));
    }
    page
}

/// A follow-up is short, but for the end of a delay: of that nothing was said yet.
fn is_brief(holding: &Conditions) -> bool {
    holding.holds("follow-up") && !holding.holds("after delay")
}

/// Whose move it is: of a delay nobody's; who waits for a server that answers again need not; what
/// our own server refuses is not theirs to mend; a domain that everybody knows, or our own, exists,
/// whatever our server found; and nobody phones the makers of a public service.
pub(super) fn acts(frame: &Frame<'_>, entry: &Entry<'_>) -> Acts {
    let Entry { bounce, finding, .. } = entry;
    let family = finding.diagnosis.family;
    let reachable =
        || finding.observations.iter().any(|it| it.check == "port_25" && matches!(it.answer, Answer::Found(_)));
    let own_server = || speaker(bounce, finding, &frame.plan.addressee) == Speaker::Ours;
    match finding.diagnosis.acts {
        _ if finding.report.action == Action::Delayed => Acts::NobodyWait,
        Acts::NobodyWait if family == Family::Connection && reachable() => Acts::Sender,
        _ if family == Family::Domain && domain_exists(frame, finding) => Acts::OwnAdmin,
        Acts::RecipientSide if matches!(family, Family::Refused | Family::System) && own_server() => Acts::OwnAdmin,
        Acts::RecipientSide
            if frame.texts.knowledge.passes_at_public.contains(finding.diagnosis.cause.as_str())
                && catalogue::is_public_domain(finding.report.final_recipient.domain()) =>
        {
            Acts::NobodyWait
        }
        other => other,
    }
}

/// Whether our server's not finding the domain speaks against our server: the domain is our own, or
/// a service's that half the country writes to, and our look-ups did not miss it as well.
fn domain_exists(frame: &Frame<'_>, finding: &Finding) -> bool {
    let domain = finding.report.final_recipient.domain();
    let missed = finding.observations.iter().any(|it| it.check == "mx" && it.verdict == Verdict::Confirms);
    domain == frame.plan.addressee.domain()
        || (catalogue::is_public_domain(domain) && !missed && finding.diagnosis.cause.as_str() != "null_mx")
}

fn the_move(frame: &Frame<'_>, case: &Case<'_>, facts: &Facts, holding: &Conditions) -> Move {
    // An address that others forward to is theirs to mend, unless the trouble is ours or passes.
    let mut acts = acts(frame, &case.entry);
    let forwarded = holding.holds("forwarded") && matches!(acts, Acts::Sender | Acts::RecipientSide);
    if forwarded {
        acts = if facts.is_forwarded_by_known() { Acts::RecipientSide } else { Acts::Sender };
    }
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
        if forwarded {
            blocks.extend(frame.blocks("forwarded steps", holding, facts));
        } else if is_brief(holding) {
            blocks.extend(frame.cause_blocks(case, "brief"));
        } else {
            blocks.extend(frame.cause_blocks(case, "steps"));
            blocks.extend(pass_on(frame, case, acts));
        }
    }
    let action = facts.wants_mail_to().filter(|_| !holding.holds("asking")).map(|(address, subject)| {
        let query = subject.map(|it| format!("?subject={}", percent_encoded(it))).unwrap_or_default();
        (format!("mailto:{}{query}", percent_encoded(address)), frame.line("write to suggestion", holding, facts))
    });
    let label = frame.line(&move_name(acts), holding, facts);
    Move { action, ..Move::new(frame, label, acts, blocks) }
}

/// Something to send the recipient by another channel, in the language that they read.
fn pass_on(frame: &Frame<'_>, case: &Case<'_>, acts: Acts) -> Vec<Block> {
    // To oneself there is nothing to say; and whom to, where the address is not one that was written?
    let nobody = ["own side", "own server", "forwarded"].iter().any(|it| case.conditions.holds(it));
    if !matches!(acts, Acts::RecipientSide | Acts::OwnAdmin) || nobody {
        return Vec::new();
    }
    let words = in_their_language(frame, case, "pass on");
    if words.is_empty() {
        return words;
    }
    let mut holding = case.conditions.clone();
    let foreign = recipients_language(frame, case) != frame.tag;
    holding.set("other language", foreign);
    let mut blocks = frame.blocks("pass on", &holding, &case.facts);
    blocks.extend(words);
    if foreign {
        // Nobody sends what they cannot read.
        let meaning = frame.cause_line(case.finding.diagnosis.cause.as_str(), "pass on", &holding, &case.facts);
        blocks.extend(frame.blocks("pass on means", &holding, &case.facts.clone().with_value(&meaning)));
    }
    blocks
}

/// A section that somebody on the recipient's side will read, in the language that they read.
pub(super) fn in_their_language(frame: &Frame<'_>, case: &Case<'_>, section: &str) -> Vec<Block> {
    let tag = recipients_language(frame, case);
    let theirs = Frame::new(frame.texts, frame.settings, frame.plan, tag, frame.now);
    let retold = theirs.case(&case.entry);
    markup::to_pass_on(theirs.cause_blocks(&retold, section))
}

/// What the original was written in; else what its domain suggests; else the reader's own.
fn recipients_language<'f>(frame: &Frame<'f>, case: &Case<'_>) -> &'f str {
    let chinese = |tag: &str| tag.starts_with("zh");
    let domain = case.finding.report.final_recipient.domain();
    let top = domain.rsplit('.').next().unwrap_or_default();
    if ["cn", "中国", "xn--fiqs8s"].contains(&top) || frame.texts.knowledge.chinese_domains.contains(domain) {
        return "zh-CN";
    }
    match case.entry.bounce.original.as_ref().and_then(|it| it.language.as_deref()) {
        Some(tag) if chinese(tag) => "zh-CN",
        Some(_) => "en",
        None if top.len() == 2 => "en",
        None => frame.tag,
    }
}

/// Who asks need not be the author; and a bounce of a mail that nobody sent is somebody's trick.
fn asking_note(frame: &Frame<'_>, case: &Case<'_>, facts: &Facts, holding: &Conditions) -> Vec<Block> {
    let from = case.entry.bounce.original.as_ref().and_then(|it| it.from.as_ref());
    let asker_wrote_it = holding.holds("wrote it");
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

fn several(
    frame: &Frame<'_>,
    first: &Case<'_>,
    entries: &[Entry<'_>],
    others: usize,
    limits: Limits,
    told: bool,
) -> Page {
    let facts = first.facts.clone().with_counts(entries.len(), others);
    let mut holding = Conditions::default();
    for name in ["delayed", "asking", "follow-up", "after delay", "wrote it"] {
        holding.set(name, first.conditions.holds(name));
    }
    holding.set("told", told);
    holding.set("several", true);
    holding.set("some delivered", others > 0);
    let mut page = Page {
        subject: frame.line("subject several", &holding, &facts.clone().with_short_subject(SUBJECT_COLUMNS)),
        headline: first_runs(frame.blocks("headline several", &holding, &facts)),
        ..Page::default()
    };
    let mut groups: BTreeMap<(Acts, &str, Confidence, Speaker), Vec<&Entry<'_>>> = BTreeMap::new();
    for entry in entries {
        let Entry { bounce, finding, .. } = entry;
        let diagnosis = &finding.diagnosis;
        let ours = speaker(bounce, finding, &frame.plan.addressee);
        let key = (acts(frame, entry), diagnosis.cause.as_str(), diagnosis.confidence, ours);
        groups.entry(key).or_default().push(entry);
    }
    let same_reason = groups.len() == 1;
    page.what = frame.blocks(if same_reason { "one reason" } else { "several reasons" }, &holding, &facts);
    let unnamed: usize = groups.values().skip(limits.groups).map(Vec::len).sum();
    for ((acts, ..), members) in groups.into_iter().take(limits.groups) {
        let mut blocks = group(frame, &members, limits.names);
        let label = frame.line(&move_name(acts), &holding, &facts);
        if let Some(last) = page.moves.last_mut().filter(|it| it.acts == acts) {
            last.blocks.append(&mut blocks);
        } else {
            if acts == Acts::OwnAdmin {
                blocks.splice(0..0, frame.blocks("administrator", &holding, &facts));
            }
            page.moves.push(Move::new(frame, label, acts, blocks));
        }
    }
    if holding.holds("delayed")
        && let Some(last) = page.moves.last_mut()
    {
        last.blocks.extend(frame.blocks("delay steps", &holding, &facts));
    }
    if unnamed > 0 {
        page.notes.extend(frame.blocks("more groups", &holding, &facts.clone().with_counts(unnamed, 0)));
    }
    if !holding.holds("delayed") {
        page.notes.extend(frame.blocks("resend only to these", &holding, &facts));
    }
    page
}

/// One paragraph for the recipients that failed for one cause.
fn group(frame: &Frame<'_>, members: &[&Entry<'_>], named: usize) -> Vec<Block> {
    let Some(first) = members.first().map(|it| frame.case(it)) else { return Vec::new() };
    let names: Vec<String> = members.iter().take(named).map(|it| Frame::named(it)).collect();
    let more = members.len() - names.len();
    let facts = first.facts.clone().with_counts(members.len(), 0).with_recipients(names, more);
    let mut holding = first.conditions.clone();
    holding.set("several", members.len() > 1);
    let mut blocks = frame.blocks("group", &holding, &facts);
    let brief = if holding.holds("delayed") { Vec::new() } else { frame.cause_blocks(&first, "brief") };
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
