//! The JSON of `diagnose` (`design.md` §5): one line a message, complete, unknown values `null`.

use jiff::Timestamp;
use serde::Serialize;

use super::knowledge::fails;
use crate::{
    bounce::{Action, Bounce, Original, RecipientReport, Recognition, WhyNot},
    diagnosis::{Acts, Confidence, Diagnosis},
    evidence::{Finding, Observation},
    mail::{EnhancedStatusCode, Mailbox, ReplyCode, ReversePath},
};

/// One message.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The path as given or found, `#n` behind it in mboxes.
    pub source: String,
    /// An action, or `not_a_bounce`.
    pub kind: Kind,
    /// The person who forwarded the bounce.
    pub forwarded_by: Option<Mailbox>,
    /// Why it is none, where it is none.
    pub not_a_bounce_because: Option<WhyNot>,
    /// Host name of the reporting MTA.
    pub reporting_mta: Option<String>,
    /// The format's name.
    pub format: Option<String>,
    /// Every recipient that the report names.
    pub bounces: Vec<RecipientLine>,
    /// The message that bounced.
    pub original: Option<OriginalLine>,
}

/// What was found out about the recipients of one report, in its order.
#[derive(Debug)]
pub enum Found {
    /// From the report alone.
    Diagnosed(Vec<Diagnosis>),
    /// With what was looked up.
    Checked(Vec<Finding>),
}

/// A path that could not be read.
#[derive(Debug, Serialize)]
pub struct ErrorLine {
    /// The path.
    pub source: String,
    /// Why.
    pub error: String,
}

/// What a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// Delivered.
    Delivered,
    /// Relayed.
    Relayed,
    /// Expanded.
    Expanded,
    /// No bounce.
    NotABounce,
}

impl From<Action> for Kind {
    fn from(action: Action) -> Self {
        match action {
            Action::Failed => Self::Failed,
            Action::Delayed => Self::Delayed,
            Action::Delivered => Self::Delivered,
            Action::Relayed => Self::Relayed,
            Action::Expanded => Self::Expanded,
        }
    }
}

/// One recipient.
#[derive(Debug, Serialize)]
pub struct RecipientLine {
    /// Final-Recipient.
    pub recipient: Mailbox,
    /// Original-Recipient.
    pub original_recipient: Option<Mailbox>,
    /// What became of it.
    pub action: Action,
    /// Enhanced status code.
    pub status: Option<EnhancedStatusCode>,
    /// Reply code.
    pub reply_code: Option<ReplyCode>,
    /// The server's words.
    pub diagnostic: Option<String>,
    /// The server whose words they are.
    pub remote_mta: Option<String>,
    /// The cause's name; `null` where nothing failed.
    pub cause: Option<String>,
    /// Would fail again.
    pub permanent: Option<bool>,
    /// Given up after trying for long.
    pub expired: bool,
    /// Whose move it is.
    pub acts: Option<Acts>,
    /// How sure.
    pub confidence: Option<Confidence>,
    /// The rule that won.
    pub rule: Option<String>,
    /// The words that decided.
    pub matched: Option<String>,
    /// What was looked up, with `--evidence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Vec<Observation>>,
}

/// The message that bounced.
#[derive(Debug, Serialize)]
pub struct OriginalLine {
    /// From.
    pub from: Option<Mailbox>,
    /// Return-Path; `<>` for the null reverse-path.
    pub return_path: Option<String>,
    /// To and Cc.
    pub to: Vec<Mailbox>,
    /// Subject, decoded.
    pub subject: Option<String>,
    /// Message-ID in its brackets.
    pub message_id: Option<String>,
    /// Date, RFC 3339.
    pub date: Option<Timestamp>,
}

impl Line {
    /// Puts what was recognised and diagnosed into one line.
    pub fn new(source: String, recognition: Recognition, diagnose: impl Fn(&Bounce) -> Found) -> Self {
        match recognition {
            Recognition::Bounce(bounce) => Self::of_bounce(source, bounce.kind().into(), bounce, diagnose),
            Recognition::NotABounce(it) => {
                let mut line = match it.quoted {
                    Some(bounce) => Self::of_bounce(source, Kind::NotABounce, *bounce, diagnose),
                    None => Self::empty(source),
                };
                line.not_a_bounce_because = Some(it.because);
                line.forwarded_by = it.forwarded_by.or(line.forwarded_by);
                line
            }
        }
    }

    fn empty(source: String) -> Self {
        Self {
            source,
            kind: Kind::NotABounce,
            forwarded_by: None,
            not_a_bounce_because: None,
            reporting_mta: None,
            format: None,
            bounces: Vec::new(),
            original: None,
        }
    }

    fn of_bounce(source: String, kind: Kind, bounce: Bounce, diagnose: impl Fn(&Bounce) -> Found) -> Self {
        let found: Vec<(Diagnosis, Option<Vec<Observation>>)> = match diagnose(&bounce) {
            Found::Diagnosed(all) => all.into_iter().map(|it| (it, None)).collect(),
            Found::Checked(all) => all.into_iter().map(|it| (it.diagnosis, Some(it.observations))).collect(),
        };
        let bounces: Vec<RecipientLine> = bounce
            .recipients
            .iter()
            .zip(found)
            .map(|(report, (diagnosis, evidence))| {
                let diagnosis = fails(report).then_some(diagnosis);
                RecipientLine { evidence, ..RecipientLine::new(report, diagnosis) }
            })
            .collect();
        Self {
            source,
            kind,
            not_a_bounce_because: None,
            bounces,
            forwarded_by: bounce.forwarded_by,
            reporting_mta: bounce.reporting_mta,
            format: Some(bounce.format),
            original: bounce.original.as_ref().map(OriginalLine::new),
        }
    }
}

impl RecipientLine {
    /// One recipient with its diagnosis, if it has one.
    #[must_use]
    pub fn new(report: &RecipientReport, diagnosis: Option<Diagnosis>) -> Self {
        let report = report.clone();
        let mut line = Self {
            recipient: report.final_recipient,
            original_recipient: report.original_recipient,
            action: report.action,
            status: report.status,
            reply_code: report.reply_code,
            diagnostic: report.diagnostic,
            remote_mta: report.remote_mta,
            cause: None,
            permanent: None,
            expired: report.expired,
            acts: None,
            confidence: None,
            rule: None,
            matched: None,
            evidence: None,
        };
        if let Some(it) = diagnosis {
            line.cause = Some(it.cause.as_str().to_owned());
            line.permanent = it.permanent;
            line.expired = it.expired;
            line.acts = Some(it.acts);
            line.confidence = Some(it.confidence);
            line.rule = Some(it.rule);
            line.matched = Some(it.matched);
        }
        line
    }
}

impl OriginalLine {
    fn new(original: &Original) -> Self {
        Self {
            from: original.from.clone(),
            return_path: original.return_path.as_ref().map(|path| match path {
                ReversePath::Null => "<>".to_owned(),
                ReversePath::Mailbox(mailbox) => mailbox.to_string(),
            }),
            to: original.to.clone(),
            subject: original.subject.clone(),
            message_id: original.message_id.as_ref().map(ToString::to_string),
            date: original.date,
        }
    }
}
