//! The one engine: a format's patterns applied to the human part of a text.
//!
//! It finds the recipients and, for each, its reason: the words after a label before those beside
//! or below the recipient, those before a transcript's, those before what stands on top.

use super::{
    codes::{looks_like_reply, one_line},
    descriptor::{Format, Patterns, Read, Until},
    lines::Line,
    patterns,
    search::{Caught, Sought},
    transcript::{self, Transcript},
};
use crate::bounce::Action;

/// More recipients than this are not read out of one text.
const RECIPIENT_LIMIT: usize = 500;

/// One recipient as the text names it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Found {
    /// The address as written, or a local part alone.
    pub(super) address: String,
    /// The address the author wrote to, if the text tells of an alias.
    pub(super) alias: Option<String>,
    /// The reason, one line.
    pub(super) reason: Option<String>,
    /// All that was said of it, where codes may stand that the reason lacks.
    pub(super) context: String,
    /// The host whose words the reason is.
    pub(super) host: Option<String>,
    /// What became of it, where the text has a section for each.
    pub(super) action: Option<Action>,
}

/// Reads `lines` by `format`; no recipient, no reading.
pub(super) fn read(format: &Format, lines: &[Line<'_>]) -> Vec<Found> {
    let (patterns, rules) = (format.patterns(), &format.descriptor.read);
    let (begins, region) = region(patterns, lines);
    let mut reader = Reader::new(patterns, rules);
    for line in begins {
        reader.section(line);
    }
    let prose = prose(patterns, region);
    for (number, line) in region.iter().enumerate() {
        reader.line(line, prose.iter().filter(|it| it.line == number));
    }
    let transcript = if rules.transcript { transcript::read(lines) } else { Transcript::default() };
    let top = if rules.top { top(patterns, region) } else { None };
    reader.finish(&transcript, top.as_deref())
}

/// What stands where the recipients should, for a text that names none of them there.
pub(super) fn block(format: &Format, lines: &[Line<'_>]) -> Option<String> {
    let (_, region) = region(format.patterns(), lines);
    let words = region.iter().filter(|it| !it.is_blank()).take(40).map(|it| &*it.text);
    if region.len() < lines.len() { one_line(words) } else { None }
}

/// The line or two with which the lines begin in which recipients are sought, and those.
fn region<'l>(patterns: &Patterns, lines: &'l [Line<'l>]) -> (&'l [Line<'l>], &'l [Line<'l>]) {
    let begin = (0..lines.len()).find_map(|number| {
        let line = lines.get(number)?;
        if patterns.begin.is_match(line) {
            return Some(number + 1);
        }
        let next = lines.get(number + 1).filter(|it| !it.is_blank())?;
        let mut octets = line.octets;
        octets.join(&next.octets);
        octets.add(b' ');
        let wrapped = || patterns.begin.is_match(format!("{} {}", line.text, next.text).as_str());
        (patterns.begin.is_possible(&octets) && wrapped()).then_some(number + 2)
    });
    let begin = begin.unwrap_or(0);
    let begins = lines.get(begin.saturating_sub(2)..begin).unwrap_or_default();
    let lines = lines.get(begin..).unwrap_or_default();
    let end = lines.iter().position(|line| patterns.end.is_match(line)).unwrap_or(lines.len());
    (begins, lines.get(..end).unwrap_or_default())
}

/// A recipient named in running text, at the line in which its naming ends.
struct Prose {
    line: usize,
    addresses: Vec<String>,
    said: Said,
}

/// What the line that names a recipient says besides.
#[derive(Clone, Debug, Default)]
struct Said {
    reason: String,
    alias: String,
}

impl Said {
    fn of(captures: &Caught<'_>) -> Self {
        Self { reason: group(captures, "reason"), alias: group(captures, "alias") }
    }
}

fn prose(patterns: &Patterns, lines: &[Line<'_>]) -> Vec<Prose> {
    if patterns.prose.is_empty() {
        return Vec::new();
    }
    let mut text = String::new();
    let mut starts = Vec::with_capacity(lines.len());
    for line in lines {
        if !text.is_empty() {
            text.push(if line.is_blank() { '\n' } else { ' ' });
        }
        starts.push(text.len());
        text.push_str(&line.text);
    }
    let mut found = Vec::new();
    for pattern in patterns.prose.patterns() {
        for captures in pattern.find_all(&text).take(RECIPIENT_LIMIT) {
            let line = starts.partition_point(|start| *start < captures.end).saturating_sub(1);
            found.push(Prose { line, addresses: addresses(&captures), said: Said::of(&captures) });
        }
    }
    found
}

fn group(captures: &Caught<'_>, name: &str) -> String {
    captures.group(name).map(|it| it.trim().to_owned()).unwrap_or_default()
}

/// The addresses, or the bare name, that a pattern caught.
fn addresses(captures: &Caught<'_>) -> Vec<String> {
    if let Some(list) = captures.group("list") {
        return patterns::addresses(&list).into_iter().map(|(it, _)| it).collect();
    }
    let found = captures.group("addr").or_else(|| captures.group("name"));
    found.map(|it| it.trim_matches(['\'', '`', '*', '|']).to_owned()).into_iter().collect()
}

/// The first paragraph that says something.
fn top(patterns: &Patterns, lines: &[Line<'_>]) -> Option<String> {
    let said = |line: &&Line<'_>| !patterns.skip.is_match(*line) && !patterns.stop.is_match(*line);
    let paragraph: Vec<&str> = lines
        .iter()
        .skip_while(|line| line.is_blank() || !said(line))
        .take_while(|line| !line.is_blank() && said(line) && !patterns.recipient.is_match(*line))
        .map(|line| &*line.text)
        .collect();
    one_line(paragraph)
}

/// A recipient while its lines are being read.
#[derive(Default)]
struct Entry {
    address: String,
    alias: String,
    indent: usize,
    /// The line that named it, for want of anything better.
    line: String,
    below: Vec<String>,
    labelled: Option<(usize, Vec<String>)>,
    action: Option<Action>,
    /// Named together with the one before: what is said later is said of both.
    with_previous: bool,
}

/// What the lines being read belong to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Open {
    Nothing,
    Recipient,
    Label(usize),
}

struct Reader<'p> {
    patterns: &'p Patterns,
    rules: &'p Read,
    entries: Vec<Entry>,
    open: Open,
    /// Lines after a label that came before any recipient.
    early: Option<(usize, Vec<String>)>,
    blanks: usize,
    /// Something was said since the last recipient was named.
    said: bool,
    /// What the section says of those named in it.
    action: Option<Action>,
}

impl<'p> Reader<'p> {
    fn new(patterns: &'p Patterns, rules: &'p Read) -> Self {
        let (open, entries) = (Open::Nothing, Vec::new());
        Self { patterns, rules, entries, open, early: None, blanks: 0, said: false, action: None }
    }

    fn section(&mut self, line: &Line<'_>) {
        if self.patterns.delayed.is_match(line) {
            self.action = Some(Action::Delayed);
        } else if self.patterns.failed.is_match(line) {
            self.action = Some(Action::Failed);
        }
    }

    fn line<'a>(&mut self, line: &Line<'_>, prose: impl Iterator<Item = &'a Prose>) {
        let mut named = false;
        for it in prose {
            for address in &it.addresses {
                self.name(address.clone(), line, &self.beside(line, address, &it.said));
                named = true;
            }
        }
        if named {
            return;
        }
        if line.is_blank() {
            self.blank();
            return;
        }
        let text = &*line.text;
        self.section(line);
        if self.patterns.skip.is_match(line) {
            return;
        }
        if let Some((rank, captures)) = self.patterns.label.captures(line) {
            self.label(rank, &group(&captures, "reason"));
        } else if self.recipient(line) {
            // Its line says nothing more than was taken from it.
        } else if self.patterns.stop.is_match(line) {
            self.open = Open::Nothing;
        } else {
            self.more(text);
        }
        self.blanks = 0;
    }

    /// What a row's own pattern catches beside an address that prose named.
    fn beside(&self, line: &Line<'_>, address: &str, said: &Said) -> Said {
        let row = || self.patterns.recipient.captures(line).filter(|(_, it)| addresses(it).iter().eq([address]));
        if said.reason.is_empty() { row().map(|(_, it)| Said::of(&it)) } else { None }.unwrap_or_else(|| said.clone())
    }

    fn blank(&mut self) {
        self.blanks += 1;
        let has_words = match self.open {
            Open::Nothing => false,
            Open::Recipient => self.entries.last().is_some_and(|it| !it.below.is_empty()),
            Open::Label(_) => self.label_has_words(),
        };
        let over = match (self.rules.until, self.open) {
            (Until::Recipient | Until::Line, _) => false,
            (Until::SecondBlank, _) => has_words || self.blanks > 1,
            (Until::Blank, Open::Label(_)) => has_words,
            (Until::Blank, _) => true,
        };
        if over {
            self.open = Open::Nothing;
        }
    }

    fn label_has_words(&self) -> bool {
        let of_entry = self.entries.last().and_then(|it| it.labelled.as_ref());
        of_entry.or(self.early.as_ref()).is_some_and(|(_, lines)| !lines.is_empty())
    }

    /// Names the recipients of a line that a pattern knows; `false` if none does.
    fn recipient(&mut self, line: &Line<'_>) -> bool {
        // HTML and gateways lose the indent, but not that the alias is told right below its recipient.
        let told_of = |it: &Entry| line.indent > it.indent || self.patterns.alias.is_match(line);
        let deeper = self.blanks == 0 && self.open == Open::Recipient && self.entries.last().is_some_and(told_of);
        if deeper || self.entries.len() >= RECIPIENT_LIMIT {
            return false;
        }
        let Some((_, captures)) = self.patterns.recipient.captures(line) else { return false };
        let found = addresses(&captures);
        let said = Said::of(&captures);
        for address in &found {
            self.name(address.clone(), line, &said);
        }
        !found.is_empty()
    }

    fn name(&mut self, address: String, line: &Line<'_>, said: &Said) {
        let with_previous = !self.said && !self.entries.is_empty();
        let below: Vec<String> = (!said.reason.is_empty()).then(|| said.reason.clone()).into_iter().collect();
        self.said = !below.is_empty();
        let (alias, indent, line) = (said.alias.clone(), line.indent, line.text.clone().into_owned());
        let entry = Entry { address, alias, indent, line, below, labelled: None, action: self.action, with_previous };
        self.entries.push(entry);
        self.open = if self.rules.until == Until::Line { Open::Nothing } else { Open::Recipient };
        self.blanks = 0;
    }

    fn label(&mut self, rank: usize, reason: &str) {
        self.open = Open::Label(rank);
        self.said = true;
        let slot = self.entries.last_mut().map_or(&mut self.early, |it| &mut it.labelled);
        if slot.as_ref().is_none_or(|(known, lines)| rank < *known || lines.is_empty()) {
            *slot = Some((rank, Vec::new()));
        }
        if !reason.is_empty() {
            self.more(reason);
        }
    }

    fn more(&mut self, text: &str) {
        match (self.open, self.entries.last_mut()) {
            (Open::Nothing, _) | (Open::Recipient, None) => {}
            (Open::Recipient, Some(entry)) => {
                entry.below.push(text.to_owned());
                self.said = true;
            }
            (Open::Label(rank), entry) => {
                let slot = entry.map_or(&mut self.early, |it| &mut it.labelled);
                if let Some((known, lines)) = slot
                    && *known == rank
                {
                    lines.push(text.to_owned());
                }
            }
        }
    }

    fn finish(mut self, transcript: &Transcript, top: Option<&str>) -> Vec<Found> {
        if self.entries.is_empty() {
            let named =
                transcript.replies.iter().map(|(address, _)| Entry { address: address.clone(), ..Entry::default() });
            self.entries.extend(named);
        }
        // What is said of the last of several named together is said of all of them.
        for at in (1..self.entries.len()).rev() {
            let (before, from) = self.entries.split_at_mut(at);
            let (Some(previous), Some(entry)) = (before.last_mut(), from.first()) else { continue };
            if entry.with_previous && previous.below.is_empty() && previous.labelled.is_none() {
                previous.below.clone_from(&entry.below);
                previous.labelled.clone_from(&entry.labelled);
            }
        }
        self.entries.iter().map(|entry| self.found(entry, transcript, top)).collect()
    }

    fn found(&self, entry: &Entry, transcript: &Transcript, top: Option<&str>) -> Found {
        let joined = |lines: &[String]| one_line(lines.iter().map(String::as_str));
        let labelled = entry.labelled.as_ref().or(self.early.as_ref()).and_then(|(_, lines)| joined(lines));
        let below = joined(&entry.below);
        let reply = transcript.replies.iter().find(|(it, _)| it.eq_ignore_ascii_case(&entry.address));
        // What was said first may have been said of another.
        let alone = self.entries.len() == 1 || labelled.is_none() && below.is_none();
        let reply = reply.map(|(_, said)| said).or(transcript.general.as_ref().filter(|_| alone));
        let said = [labelled.as_deref(), below.as_deref(), reply.map(String::as_str), top];
        let context = said.into_iter().flatten().collect::<Vec<_>>().join("\n");
        let sought = Sought::from(context.as_str());
        let alias = self.patterns.alias.group(sought, "addr");
        let alias = alias.or_else(|| (!entry.alias.is_empty()).then(|| entry.alias.clone()));
        let host = self.patterns.remote_mta.group(sought, "host");
        let host = host.or_else(|| transcript.host.clone());
        let own_line = || {
            let behind = entry.line.strip_prefix(&entry.address).map(str::trim_start);
            if let Some(reply) = behind.filter(|it| it.starts_with(['4', '5']) && looks_like_reply(it)) {
                return Some(reply.to_owned());
            }
            let rest = entry.line.replace(&entry.address, "");
            (rest.split(|c: char| !c.is_alphabetic()).filter(|it| it.len() > 1).count() >= 3)
                .then(|| entry.line.clone())
        };
        // Sendmail's `(reason: )` says nothing, so the next source is asked.
        let reason = said.into_iter().flatten().map(|it| self.clean(it)).find(|it| !it.is_empty());
        let reason = reason.or_else(|| own_line().map(|it| self.clean(&it)).filter(|it| !it.is_empty()));
        // Sendmail gives the first line of a long reply as the reason; the transcript has all of it.
        let reason = reason.map(|first| {
            let mut wholes = reply.into_iter().chain(&transcript.general).chain(&transcript.long);
            let whole = wholes.find(|it| it.starts_with(&first)).filter(|_| looks_like_reply(&first));
            whole.cloned().unwrap_or(first)
        });
        Found { address: entry.address.clone(), alias, reason, context, host, action: entry.action }
    }

    fn clean(&self, reason: &str) -> String {
        let captures = self.patterns.clean.captures(reason);
        captures.map_or_else(|| reason.to_owned(), |(_, it)| group(&it, "reason"))
    }
}
