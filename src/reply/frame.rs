//! What all parts of one explanation in one language share, and how times are written in it.

use jiff::{SignedDuration, Timestamp};

use super::{
    Settings, Texts,
    facts::{Case, Facts},
    markup,
    section::Conditions,
};
use crate::policy::ReplyPlan;

/// What all cases of one explanation share.
pub(super) struct Frame<'a> {
    pub(super) texts: &'a Texts,
    pub(super) settings: &'a Settings,
    pub(super) plan: &'a ReplyPlan,
    pub(super) tag: &'a str,
    pub(super) now: Timestamp,
    pub(super) spaced: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn new(
        texts: &'a Texts,
        settings: &'a Settings,
        plan: &'a ReplyPlan,
        tag: &'a str,
        now: Timestamp,
    ) -> Self {
        let mut frame = Self { texts, settings, plan, tag, now, spaced: false };
        frame.spaced = frame.line("spacing", &Conditions::default(), &Facts::default()) == "cjk";
        frame
    }

    /// A one-line section of the language's frame, filled and without marks.
    pub(super) fn line(&self, name: &str, holding: &Conditions, facts: &Facts) -> String {
        markup::plain(&self.texts.frame(self.tag, name, holding, facts), self.spaced)
    }

    /// A line that something follows: a blank after it where the language has blanks.
    pub(super) fn label(&self, name: &str, holding: &Conditions, facts: &Facts) -> String {
        self.line(name, holding, facts) + if self.spaced { "" } else { " " }
    }

    pub(super) fn blocks(&self, name: &str, holding: &Conditions, facts: &Facts) -> Vec<markup::Block> {
        markup::blocks(&self.texts.frame(self.tag, name, holding, facts), self.spaced)
    }

    pub(super) fn cause_blocks(&self, case: &Case<'_>, name: &str) -> Vec<markup::Block> {
        let cause = case.finding.diagnosis.cause.as_str();
        markup::blocks(&self.texts.cause(self.tag, cause, name, &case.conditions, &case.facts), self.spaced)
    }

    pub(super) fn cause_line(&self, cause: &str, name: &str, holding: &Conditions, facts: &Facts) -> String {
        markup::plain(&self.texts.cause(self.tag, cause, name, holding, facts), self.spaced)
    }

    /// What people call the mail service at this domain, if it is one that everybody knows.
    pub(super) fn brand(&self, domain: &str) -> Option<String> {
        let brands = self.texts.frame(self.tag, "brands", &Conditions::default(), &Facts::default());
        brands.lines().find_map(|line| {
            let (domains, name) = line.split_once('=')?;
            domains.split_whitespace().any(|it| it == domain).then(|| name.trim().to_owned())
        })
    }

    fn zoned(&self, at: Timestamp) -> jiff::ZonedDateTime {
        at.to_zoned_datetime(self.settings.timezone.clone())
    }

    /// "11 月 16 日 09:12"; today only "09:12".
    pub(super) fn moment(&self, at: Timestamp) -> String {
        let zoned = self.zoned(at);
        if zoned.date() == self.zoned(self.now).date() {
            zoned.strftime("%H:%M").to_string()
        } else {
            self.day_and_time(at)
        }
    }

    /// "11 月 16 日 09:12".
    pub(super) fn day_and_time(&self, at: Timestamp) -> String {
        let (at, now) = (self.zoned(at), self.zoned(self.now));
        let time = at.strftime("%H:%M").to_string();
        let months = self.texts.frame(self.tag, "months", &Conditions::default(), &Facts::default());
        let index = usize::try_from(at.month() - 1).unwrap_or_default();
        let mut facts = Facts {
            year: at.year(),
            month: at.month(),
            month_name: months.split_whitespace().nth(index).map(str::to_owned),
            day: at.day(),
            time: Some(time),
            ..Facts::default()
        };
        let name = if at.year() == now.year() { "date" } else { "date with year" };
        facts.date = Some(self.line(name, &Conditions::default(), &facts));
        self.line("moment", &Conditions::default(), &facts)
    }

    /// "2026-11-16 09:12 +08:00".
    pub(super) fn with_offset(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%Y-%m-%d %H:%M %:z").to_string()
    }

    /// "+8", "-3:30", and nothing for UTC itself.
    pub(super) fn utc_offset(&self, at: Timestamp) -> String {
        let minutes = self.zoned(at).offset().seconds() / 60;
        match (minutes / 60, minutes.abs() % 60) {
            (0, 0) => String::new(),
            (hours, 0) => format!("{hours:+}"),
            (hours, rest) => format!("{hours:+}:{rest:02}"),
        }
    }

    /// The next full half hour at least `minutes` from now, in words; what falls into the night
    /// is put off until half past eight, when people come to work.
    pub(super) fn clock_time_after(&self, minutes: i64) -> String {
        let step = 30 * 60;
        let seconds = self.now.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(self.now).as_second();
        let rounded = seconds.saturating_add(step - 1).div_euclid(step) * step;
        let at = self.zoned(Timestamp::from_second(rounded).unwrap_or(self.now));
        let day = match at.hour() {
            0..8 => Some(at.date()),
            22.. => at.date().tomorrow().ok(),
            _ => None,
        };
        let morning = day.and_then(|it| it.at(8, 30, 0, 0).to_zoned_datetime(self.settings.timezone.clone()).ok());
        self.moment(morning.unwrap_or(at).timestamp())
    }
}
