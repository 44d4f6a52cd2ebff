//! `journal show`: everything about one message, for a terminal.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    list::{explanation, what},
    printable,
};
use crate::{
    bounce::{Bounce, Recognition},
    evidence::{Answer, Finding, Observation},
    journal::{Story, StoryReply},
    mail::mime::{Mail, Part},
    policy::{Decision, ReplyPlan},
};

/// Lines of the explanation that are shown.
const EXPLANATION_LINES: usize = 80;

/// One story as text, in the order in which it happened; times in `zone`. `mark` sets off the words
/// that decided.
#[must_use]
pub fn show(story: &Story, zone: &TimeZone, mark: impl Fn(&str) -> String) -> String {
    let mut page = Page { text: String::new(), zone };
    let id = story
        .row
        .reference_id
        .as_deref()
        .map_or_else(|| format!("{}", story.row.id), |id| format!("{id} (row {})", story.row.id));
    page.line("message", &format!("{id}: {}", what(&story.row)));
    let lies = &story.reference;
    page.line(
        "found",
        &format!(
            "{} in {} {}, key {}, {} octets",
            page.time(story.received),
            lies.account,
            lies.folder,
            lies.key,
            story.size
        ),
    );
    page.line("recorded", &page.time(story.row.recorded));
    match &story.recognition {
        Some(Recognition::Bounce(bounce)) => page.bounce(bounce),
        Some(Recognition::NotABounce(it)) => {
            page.maybe("from", it.envelope.from.as_ref().map(ToString::to_string));
            page.maybe("subject", it.envelope.subject.clone());
        }
        None => page.line("report", "gone: older than journal.retain"),
    }
    for finding in &story.findings {
        page.finding(finding, &mark);
    }
    if let Some(right) = &story.row.right_cause {
        page.line("marked", &format!("the diagnosis is wrong; {right} is right"));
    }
    page.line("decision", &format!("{}: {}", story.row.decision, explanation(&story.row)));
    match &story.decision {
        Some(Decision::Reply(plan) | Decision::Hold(_, plan)) => page.plan(plan),
        Some(Decision::Suppress(_)) | None => {}
    }
    if let Some(reply) = &story.reply {
        page.reply(reply);
    }
    for entry in &story.entries {
        let step = name(&entry.step);
        page.line("history", &format!("{}  {step} ({}) {}", page.time(entry.at), entry.actor, entry.detail));
    }
    page.text
}

struct Page<'a> {
    text: String,
    zone: &'a TimeZone,
}

impl Page<'_> {
    /// A line under a heading; what was read from mail is made harmless.
    fn line(&mut self, heading: &str, value: &str) {
        let _ = writeln!(self.text, "{heading:<12}{}", printable(value.trim_end()));
    }

    fn maybe(&mut self, heading: &str, value: Option<String>) {
        if let Some(value) = value {
            self.line(heading, &value);
        }
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    fn bounce(&mut self, it: &Bounce) {
        let by = it.reporting_mta.as_deref().map(|mta| format!(", reported by {mta}")).unwrap_or_default();
        self.line("format", &format!("{}{by}", it.format));
        self.maybe("forwarded", it.forwarded_by.as_ref().map(|it| format!("by {it}")));
        if let Some(original) = &it.original {
            self.maybe("author", original.from.as_ref().map(ToString::to_string));
            self.maybe("subject", original.subject.clone());
            self.maybe("message-id", original.message_id.as_ref().map(ToString::to_string));
            self.maybe("written", original.date.map(|date| self.time(date)));
        }
        for defect in &it.defects {
            self.line("defect", defect);
        }
    }

    fn finding(&mut self, it: &Finding, mark: &impl Fn(&str) -> String) {
        let diagnosis = &it.diagnosis;
        let cause = diagnosis.cause.as_str();
        self.line(
            "recipient",
            &format!(
                "{}: {}, {cause} ({})",
                it.report.final_recipient,
                name(&it.report.action),
                name(&diagnosis.confidence)
            ),
        );
        if let Some(said) = &it.report.diagnostic {
            let said = marked(&printable(said), &printable(&diagnosis.matched), mark);
            let _ = writeln!(self.text, "{:<12}{said}", "  said");
        }
        self.maybe("  by", it.report.remote_mta.clone());
        self.line(
            "  rule",
            &format!("{}, by the words “{}”; to act: {}", diagnosis.rule, diagnosis.matched, name(&diagnosis.acts)),
        );
        if !diagnosis.rivals.is_empty() {
            self.line("  rivals", &diagnosis.rivals.join(", "));
        }
        for seen in &it.observations {
            self.line("  checked", &observation_words(seen));
        }
    }

    fn plan(&mut self, it: &ReplyPlan) {
        let languages: Vec<&str> = it.languages.iter().map(crate::mail::Language::as_str).collect();
        let instead = it.redirect_to.as_ref().map(|to| format!(", redirected to {to}")).unwrap_or_default();
        self.line("  answers", &format!("{}{instead}, in {}", it.addressee, languages.join(" and ")));
        let grounds: Vec<String> = it.grounds.iter().map(name).collect();
        self.line("  grounds", &grounds.join(", "));
    }

    fn reply(&mut self, it: &StoryReply) {
        let next = it.next_attempt.map(|at| format!(", next at {}", self.time(at))).unwrap_or_default();
        let to = it.to.as_deref().unwrap_or("(forgotten)");
        self.line(
            "explanation",
            &format!("<{}> to {to}: {}, attempts {}{next}", it.message_id, name(&it.state), it.attempts),
        );
        self.maybe("  answer", it.answer.clone());
        let mail = Mail::parse(&it.bytes);
        let text = mail.part_of_type("text/plain").map(Part::text).unwrap_or_default();
        for line in text.trim_end().lines().take(EXPLANATION_LINES) {
            let _ = writeln!(self.text, "  │ {}", printable(line));
        }
    }
}

/// `said` with the words that decided set off, where they stand there as they are.
fn marked(said: &str, words: &str, mark: &impl Fn(&str) -> String) -> String {
    let folded = said.to_ascii_lowercase();
    let at = (!words.is_empty()).then(|| folded.find(&words.to_ascii_lowercase())).flatten();
    let parts = at.and_then(|at| {
        let end = at.checked_add(words.len())?;
        Some((said.get(..at)?, said.get(at..end)?, said.get(end..)?))
    });
    parts.map_or_else(|| said.to_owned(), |(before, words, after)| format!("{before}{}{after}", mark(words)))
}

/// One look-up with its answer, as one line.
#[must_use]
pub fn observation_words(seen: &Observation) -> String {
    let answer = match &seen.answer {
        Answer::Found(records) => records.join(", "),
        Answer::NoRecord => "no such record".to_owned(),
        Answer::NoSuchName => "no such name".to_owned(),
        Answer::Unavailable(why) => format!("could not be asked: {why}"),
    };
    let (check, verdict) = (seen.check.replace('_', " "), name(&seen.verdict));
    let at = seen.at.strftime("%Y-%m-%d %H:%M:%SZ");
    format!("{check}: {}: {answer} ({}, {at}, {} ms, {verdict})", seen.question, seen.resolver, seen.ms)
}

/// An enum's name as in JSON; with its value, where it has one.
#[must_use]
pub fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(map)) => {
            let told = map.iter().map(|(name, value)| match value.as_str() {
                Some(value) => format!("{name} {value}"),
                None => format!("{name} {value}"),
            });
            told.collect::<Vec<_>>().join(" ")
        }
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_that_decided_are_set_off() {
        let mark = |it: &str| format!("[{it}]");
        assert_eq!(marked("550 User Unknown here", "user unknown", &mark), "550 [User Unknown] here");
        assert_eq!(marked("邮箱不存在。x", "邮箱不存在", &mark), "[邮箱不存在]。x");
        assert_eq!(marked("550 no", "absent", &mark), "550 no");
        assert_eq!(marked("550 no", "", &mark), "550 no");
    }
}
