//! From a message to its reading: marks, the claimed format's reading, what is missing from
//! elsewhere (fields, a feedback link, the general reader), and all of it in the reading's form.

use std::{borrow::Cow, collections::HashSet};

use super::{
    Particulars, TextReading, TextRecipient, aside, codes,
    descriptor::Format,
    engine::{self, Found},
    general,
    lines::{self, Line},
    marks::{Fields, Marks, Seen, Sign},
    original, particulars,
    patterns::addresses,
    search::Sought,
    shared::{Shared, SharedPatterns},
};
use crate::{
    bounce::{
        Action, Provenance,
        words::{self, Kind},
    },
    catalogue,
    mail::{EnhancedStatusCode, Mail, Mailbox, ReplyCode, html::resolve_entities},
};

/// Every descriptor, with the marks of all.
pub(super) struct Formats {
    pub(super) all: Vec<Format>,
    marks: Marks,
    pub(super) shared: SharedPatterns,
}

/// A text before it is read: the human lines, and what was seen in them.
struct Text<'m> {
    mail: &'m Mail,
    fields: Fields<'m>,
    lines: Vec<Line<'m>>,
    seen: Seen,
    original_at: Option<usize>,
}

/// Who failed, by which format, and how that is known.
struct Reading<'f> {
    format: Option<&'f Format>,
    provenance: Provenance,
    found: Vec<Found>,
    particulars: Particulars,
}

impl Formats {
    /// Reads the catalogue; what is wrong is handed to `wrong` and left out.
    pub(super) fn load(wrong: &mut dyn FnMut(String)) -> Self {
        let mut all = Vec::new();
        let mut shared = Shared::default();
        for (path, _) in catalogue::folder("formats") {
            match path.split('/').collect::<Vec<_>>().as_slice() {
                [_, "shared.toml"] => match catalogue::table(path) {
                    Ok(it) => shared = it,
                    Err(it) => wrong(format!("catalogue/{path}: {it}")),
                },
                [_, name, "format.toml"] => match catalogue::table(path) {
                    Ok(it) => all.push(Format::new(name, it)),
                    Err(it) => wrong(format!("catalogue/{path}: {it}")),
                },
                _ => wrong(format!("catalogue/{path}: no part of a format")),
            }
        }
        let marks = Marks::new(&all, &shared);
        let shared = shared.into_patterns();
        Self { all, marks, shared }
    }

    pub(super) fn system(&self, format: &str) -> Option<&str> {
        self.all.iter().find(|it| it.name == format)?.descriptor.system.as_deref()
    }

    pub(super) fn returns_late(&self, format: &str) -> bool {
        self.all.iter().any(|it| it.name == format && it.descriptor.read.returns_late)
    }

    pub(super) fn tells_expiry(&self, words: &str) -> bool {
        self.marks.says(Sign::Expired, words)
    }

    pub(super) fn is_bounce_subject(&self, subject: &str) -> bool {
        self.marks.subject_says(&[Sign::Subject, Sign::DelayedSubject], subject)
    }

    pub(super) fn tells_failure(&self, words: &str) -> bool {
        self.marks.says(Sign::Sentence, words)
    }

    pub(super) fn is_warning_subject(&self, subject: &str) -> bool {
        self.marks.subject_says(&[Sign::DelayedSubject], subject)
    }

    pub(super) fn without_asides<'t>(&self, human: &'t str) -> Cow<'t, str> {
        let mut lines = lines::lines(human);
        let seen = self.marks.scan_lines(&lines, lines.len());
        if !aside::empty(&mut lines, &seen) {
            return Cow::Borrowed(human);
        }
        let left: Vec<&str> = lines.iter().map(|it| &*it.text).collect();
        Cow::Owned(left.join("\n"))
    }

    pub(super) fn read(&self, mail: &Mail) -> Option<TextReading> {
        let text = self.look_at(mail);
        let reading = self.recipients(&text)?;
        let spoken = Spoken { formats: self, text: &text, format: reading.format };
        let recipients = reading.found.into_iter().filter_map(|it| spoken.recipient(it));
        let mut recipients = without_repeats(recipients);
        if text.seen.first(Sign::Expired).is_some() && !recipients.iter().any(|it| it.expired) {
            // Said of all, in the preamble.
            for it in &mut recipients {
                it.expired = it.action == Action::Failed;
            }
        }
        if let [only] = recipients.as_mut_slice() {
            // A row of the notice may name the host that the reason does not.
            only.remote_mta = only.remote_mta.take().or_else(|| spoken.remote_mta_row());
            if only.status.is_none() && only.reply_code.is_none() {
                (only.status, only.reply_code) = spoken.code_row();
            }
        }
        Some(TextReading {
            format: reading.format.map_or("general", |it| &it.name).to_owned(),
            reporting_mta: spoken.reporting_mta(),
            action: spoken.action(),
            recipients,
            original_at: text.original_at,
            particulars: reading.particulars.or(Particulars::of_lines(&text.lines, &self.shared)),
            provenance: reading.provenance,
        })
    }

    /// Whether no second format claims the message as firmly as the first.
    #[cfg(test)]
    pub(super) fn is_clear(&self, mail: &Mail) -> bool {
        let claims = self.marks.claims(&self.look_at(mail).seen);
        claims.get(1).is_none_or(|second| claims.first().is_some_and(|first| first.weight > second.weight))
    }

    /// Finds the marks and leaves the pasted original aside.
    fn look_at<'m>(&self, mail: &'m Mail) -> Text<'m> {
        let fields = Fields {
            from: mail.header("from").unwrap_or_default(),
            subject: mail.header("subject").unwrap_or_default(),
            headers: mail.headers(),
        };
        let text = mail.text();
        let mut lines = lines::lines(text);
        let block = original::header_block(&lines).unwrap_or(lines.len());
        let mut seen = self.marks.scan(&lines, block, fields);
        let cut = seen.first(Sign::Original).unwrap_or(block);
        let original_at = lines.get(cut).map(|it| it.at);
        lines.truncate(cut);
        let human = text.get(..original_at.unwrap_or(text.len())).unwrap_or(text);
        if let Some(decoded) = lines::quoted_printable_remains(human) {
            lines = lines::lines(&decoded).into_iter().map(Line::into_owned).collect();
            seen = self.marks.scan(&lines, lines.len(), fields);
        }
        aside::empty(&mut lines, &seen);
        Text { mail, fields, lines, seen, original_at }
    }

    /// What the general reader finds beyond what a loose format did.
    fn more_than(&self, found: &[Found], text: &Text<'_>) -> Option<Vec<Found>> {
        let more = general::read(&text.lines, &text.seen, text.fields, &self.shared)?;
        Some(more).filter(|more| says_more(more, found))
    }

    /// Who failed: by the format with the longest marks that can tell, else by the general reader.
    fn recipients(&self, text: &Text<'_>) -> Option<Reading<'_>> {
        let claims = self.marks.claims(&text.seen);
        let claimed = || claims.iter().filter_map(|it| self.all.get(it.format));
        let reading =
            |format, provenance, found| Reading { format, provenance, found, particulars: Particulars::default() };
        for format in claimed() {
            let bare = format.descriptor.read.bare_names;
            let mut found = engine::read(format, &text.lines);
            found.retain(|it| mailbox(&it.address, bare, text.fields).is_some());
            let link = format.descriptor.read.query.as_ref().and_then(|it| particulars::of_link(text.mail, it));
            let particulars = link.as_ref().map(|(_, it)| it.clone()).unwrap_or_default();
            if let Some((linked, _)) = link {
                with_link(&mut found, linked);
            }
            if format.descriptor.loose
                && let Some(more) = self.more_than(&found, text)
            {
                return Some(reading(Some(format), Provenance::Guess, more));
            }
            if !found.is_empty() {
                let provenance = if format.descriptor.loose { Provenance::Guess } else { Provenance::Text };
                return Some(Reading { particulars, ..reading(Some(format), provenance, found) });
            }
        }
        let mut named = general::failed_recipients_field(&text.lines, text.fields);
        if !named.is_empty() {
            if let Some(said) = claimed().find_map(|it| engine::block(it, &text.lines)) {
                for it in &mut named {
                    it.reason = Some(said.clone());
                }
            }
            return Some(reading(claimed().next(), Provenance::Text, named));
        }
        match general::read(&text.lines, &text.seen, text.fields, &self.shared) {
            Some(found) => Some(reading(claimed().next(), Provenance::Guess, found)),
            None if general::is_likely(&text.seen, text.fields) => {
                Some(reading(Some(claimed().next()?), Provenance::Text, Vec::new()))
            }
            None => None,
        }
    }
}

/// Whether `more` names all of `found`, and further ones, or tells each of several its own reason where
/// `found` does not.
fn says_more(more: &[Found], found: &[Found]) -> bool {
    let names = |all: &[Found]| all.iter().map(|it| it.address.to_lowercase()).collect::<HashSet<_>>();
    let reasons = |all: &[Found]| all.iter().filter_map(|it| it.reason.as_ref()).collect::<HashSet<_>>().len();
    let (named, known) = (names(more), names(found));
    known.is_subset(&named) && (named.len() > known.len() || known.len() > 1 && reasons(more) > reasons(found))
}

/// A link names the recipient if the text does not, and the reason where the text lacks one.
fn with_link(found: &mut Vec<Found>, linked: Found) {
    if found.is_empty() && Mailbox::parse(&linked.address).is_some() {
        found.push(linked);
    } else if let Some(known) = found.iter_mut().find(|it| it.address.eq_ignore_ascii_case(&linked.address)) {
        known.reason = known.reason.take().or(linked.reason);
    }
}

/// A text of which the format is known.
struct Spoken<'a> {
    formats: &'a Formats,
    text: &'a Text<'a>,
    format: Option<&'a Format>,
}

impl Spoken<'_> {
    fn recipient(&self, found: Found) -> Option<TextRecipient> {
        let bare = self.format.is_some_and(|it| it.descriptor.read.bare_names);
        let address = mailbox(&found.address, bare, self.text.fields)?;
        let alias = found.alias.as_deref().and_then(Mailbox::parse).filter(|it| !it.same_mailbox(&address));
        // NetEase writes `&nbsp;` into plain text.
        let reason = found.reason.unwrap_or_default();
        let reason = resolve_entities(&reason);
        let reason = lines::fold(&codes::unescaped(&reason)).into_owned();
        // What was searched once in vain need not be again.
        let context = if found.context == reason { "" } else { found.context.as_str() };
        let remote_mta = self.remote_mta(&reason).or_else(|| self.remote_mta(context)).or(found.host);
        let action = found.action.unwrap_or_else(|| self.action());
        let expired = self.formats.marks.says(Sign::Expired, &format!("{reason}\n{context}"));
        Some(TextRecipient {
            address,
            original: alias,
            action,
            status: codes::status(&reason).or_else(|| codes::status(context)),
            reply_code: codes::reply_code(&reason).or_else(|| codes::reply_code(context)),
            diagnostic: (!reason.is_empty()).then_some(reason),
            remote_mta: remote_mta.map(|it| host(&it)).filter(|it| !it.is_empty()),
            expired: action == Action::Failed && expired,
        })
    }

    fn action(&self) -> Action {
        let has = |sign| self.text.seen.first(sign).is_some();
        if has(Sign::Delivered) {
            Action::Delivered
        } else if has(Sign::Delayed) || has(Sign::DelayedSubject) {
            Action::Delayed
        } else {
            Action::Failed
        }
    }

    fn remote_mta(&self, words: &str) -> Option<String> {
        let named = |it: &str| it.contains(['.', ':']);
        let words = Sought::from(words);
        let of_format = self.format.and_then(|it| it.patterns().remote_mta.find(words, "host", named));
        of_format.or_else(|| self.formats.shared.remote_mta.find(words, "host", named))
    }

    fn remote_mta_row(&self) -> Option<String> {
        let patterns = &self.format?.patterns().remote_mta;
        let told = self.text.lines.iter().take(200).find_map(|it| patterns.group(it, "host"));
        told.map(|it| host(&it)).filter(|it| it.contains(['.', ':']))
    }

    /// The codes in a row of their own.
    fn code_row(&self) -> (Option<EnhancedStatusCode>, Option<ReplyCode>) {
        let rows = self.text.lines.iter().take(200).filter(|it| is_code_label(&it.text));
        let told = rows.map(|it| (codes::status(&it.text), codes::reply_code(&it.text)));
        told.into_iter().find(|(status, code)| status.is_some() || code.is_some()).unwrap_or_default()
    }

    fn reporting_mta(&self) -> Option<String> {
        let of_format = self.format.map(|it| &it.patterns().reporting_mta);
        let told = |line: &Line<'_>| {
            let own = of_format.and_then(|it| it.group(line, "host"));
            own.or_else(|| self.formats.shared.reporting_mta.group(line, "host"))
        };
        self.text.lines.iter().take(60).find_map(told).map(|it| host(&it)).filter(|it| it.contains('.'))
    }
}

/// Whether a row is one of codes.
fn is_code_label(row: &str) -> bool {
    let Some((label, _)) = row.split_once(':') else { return false };
    let label = label.to_lowercase();
    label.chars().count() <= 24 && words::are_in(Kind::Code, &label)
}

fn host(name: &str) -> String {
    name.trim_matches(['.', '[', ']', ' ']).to_lowercase()
}

/// The mailbox that a text names; a local part alone lives at the domain of the From field.
fn mailbox(name: &str, bare: bool, fields: Fields<'_>) -> Option<Mailbox> {
    let name = name.trim().trim_end_matches(['.', '\'']);
    if name.contains('@') || !bare {
        return Mailbox::parse(name);
    }
    let from = Mailbox::parse(&addresses(fields.from).into_iter().next()?.0)?;
    Mailbox::parse(&format!("{name}@{}", from.domain()))
}

/// Each mailbox once; of two the one that says more.
fn without_repeats(recipients: impl Iterator<Item = TextRecipient>) -> Vec<TextRecipient> {
    let says = |it: &TextRecipient| (it.status.is_some(), it.reply_code.is_some(), it.diagnostic.is_some());
    let mut kept: Vec<TextRecipient> = Vec::new();
    for next in recipients {
        match kept.iter_mut().find(|it| it.address.same_mailbox(&next.address)) {
            Some(known) if says(&next) > says(known) => *known = next,
            Some(_) => {}
            None => kept.push(next),
        }
    }
    kept
}
