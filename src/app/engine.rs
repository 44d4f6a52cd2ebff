//! The pure stages strung together: one raw message in, one committed journal entry out.
//!
//! Here the clock is read and evidence is asked for; nothing is sent and no mailbox is touched.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    bounce::{self, Action, Bounce, Original, Recognition},
    config::{self, Config},
    diagnosis::{Catalogue, home_of},
    evidence::{Finding, dns::Resolver},
    journal::{self, Journal, JournalEntry, Recording},
    mail::{Mailbox, RawMessage, Recorded, ReversePath},
    policy::{self, Candidate, Decision, Incoming, Suppression},
    reply::{self, Texts},
    source::{Found, Outcome},
};

use super::{checked::Checked, health::JournalHealth, sent::SentFolders};

/// Everything that handling a message takes. Built anew on SIGHUP.
pub struct Engine {
    pub(super) config: Config,
    pub(super) catalogue: Catalogue,
    pub(super) texts: Texts,
    pub(super) resolver: Option<Resolver>,
    pub(super) sent: SentFolders,
    /// The journal, which outlives the engine.
    pub journal: Journal,
    /// Rung when a row may have fallen due.
    pub(super) outbox_news: Notify,
    pub(super) journal_health: JournalHealth,
    /// Rung when the configuration should be read again, as by SIGHUP.
    pub(super) reload_asked: Notify,
}

/// A message that is on record.
pub(super) struct Handled {
    pub(super) recorded: Recorded,
    pub(super) outcome: Outcome,
}

/// Why the engine cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A rule of `rules.d` or of the catalogue.
    #[error(transparent)]
    Catalogue(#[from] crate::diagnosis::CatalogueError),
    /// Texts of `reply.templates`, each mistake.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Texts(Vec<reply::TextError>),
    /// A directory named in the configuration cannot be read.
    #[error("{path}: {source}\n\nhint: check the path and that user `whybounced` may read it")]
    Directory {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The resolver.
    #[error("{0}\n\nhint: name resolvers in `[evidence] resolvers`, or set `enabled = false`")]
    Resolver(String),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

/// The administrator's own files, as `check` reads them too.
fn overlay(directory: &Path, endings: &[&str]) -> Result<Vec<(String, String)>, StartError> {
    let path = directory.to_owned();
    config::overlay(directory, endings).map_err(|source| StartError::Directory { path, source })
}

impl Engine {
    /// Loads catalogue and texts with the administrator's overlays. Opens no connection.
    pub fn new(config: Config, journal: Journal) -> Result<Self, StartError> {
        let rules = overlay(&config.rules_dir, config::RULES)?;
        let rules: Vec<(&str, &str)> = rules.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let catalogue = Catalogue::with_overlay(&rules)?;
        let own = config.templates.as_deref().map(|it| overlay(it, &[".md"])).transpose()?.unwrap_or_default();
        let texts = Texts::with_overlay(own).map_err(StartError::Texts)?;
        let resolver = config
            .evidence
            .enabled
            .then(|| Resolver::new(&config.evidence))
            .transpose()
            .map_err(StartError::Resolver)?;
        let sent = SentFolders::new(&config.mailboxes);
        Ok(Self {
            config,
            catalogue,
            texts,
            resolver,
            sent,
            journal,
            outbox_news: Notify::new(),
            journal_health: JournalHealth::default(),
            reload_asked: Notify::new(),
        })
    }

    /// Recognises, diagnoses, checks, decides, renders, and commits. Returns only after the commit.
    pub(super) async fn handle(&self, message: RawMessage) -> Result<Handled, journal::Error> {
        let RawMessage { reference, received, bytes, size, role } = message;
        let content = journal::content_hash(&bytes);
        let recognition = bounce::recognise(&bytes);
        drop(bytes);
        let person = policy::candidate(&self.config.policy, &role, &recognition).ok().map(|it| it.addressee);
        let findings = match &recognition {
            Recognition::Bounce(bounce) => self.findings(bounce, person.as_ref()).await,
            Recognition::NotABounce(other) => match &other.quoted {
                Some(bounce) => self.findings(bounce, person.as_ref()).await,
                None => Vec::new(),
            },
        };
        let outcome = match &recognition {
            Recognition::Bounce(_) => Outcome::Bounce,
            Recognition::NotABounce(other) if other.quoted.is_some() => Outcome::Bounce,
            Recognition::NotABounce(_) => Outcome::Other,
        };
        let mut found_in_sent = None;
        loop {
            let now = Timestamp::now();
            let candidate = policy::candidate(&self.config.policy, &role, &recognition).ok();
            let mut known = self.journal.history(candidate.as_ref(), &self.config.policy, &content, now).await?;
            let incoming = Incoming { role: &role, received, recognition: &recognition, findings: &findings };
            let mut decision = policy::decide(&self.config.policy, &incoming, &known.history, now);
            if decision == Decision::Suppress(vec![Suppression::UnprovenOrigin]) {
                // Only now, for it takes a look into a person's mailbox.
                if found_in_sent.is_none() {
                    found_in_sent = Some(self.found_in_sent(candidate.as_ref()).await);
                }
                known.history.found_in_sent = found_in_sent.unwrap_or(false);
                decision = policy::decide(&self.config.policy, &incoming, &known.history, now);
            }
            if let Decision::Reply(plan) | Decision::Hold(_, plan) = &mut decision {
                plan.weeks = self.journal.weeks(&findings, &plan.addressee, now).await?;
            }
            let reply = self.render(&recognition, &findings, &decision, &known.earlier, now);
            let entry = JournalEntry {
                reference: &reference,
                role: &role,
                received,
                size,
                content: &content,
                recognition: &recognition,
                findings: &findings,
                candidate: candidate.as_ref(),
                decision: &decision,
                reply: reply.as_ref(),
                catalogue_version: env!("CARGO_PKG_VERSION"),
                at: now,
            };
            match self.journal.record(&entry, &self.config.policy).await? {
                // Another bounce of the same original was committed meanwhile: decide again.
                Recording::Conflict => {}
                Recording::Done { recorded, bounce_id, decision } => {
                    log(&bounce_id.to_string(), &recognition, &findings, &decision);
                    self.outbox_news.notify_one();
                    return Ok(Handled { recorded, outcome });
                }
            }
        }
    }

    /// Whether the author's own Sent folder holds the original.
    async fn found_in_sent(&self, candidate: Option<&Candidate>) -> bool {
        let Some((author, id)) = candidate.and_then(|it| it.author.as_ref().zip(it.original.as_ref())) else {
            return false;
        };
        self.sent.hold(author, id).await
    }

    /// Records a message that broke the pipeline again and again, so that the scan goes on.
    pub(super) async fn set_aside(&self, found: &Found) -> Result<Recorded, journal::Error> {
        tracing::error!(
            mailbox = found.reference.account,
            key = found.reference.key,
            "a message was set aside after three failures"
        );
        self.journal.set_aside(&found.reference, found.received, found.size, Timestamp::now()).await
    }

    /// Diagnoses each recipient and weighs what the DNS says.
    async fn findings(&self, bounce: &Bounce, person: Option<&Mailbox>) -> Vec<Finding> {
        let author = bounce.original.as_ref().and_then(author_of);
        let home = home_of(author.map(Mailbox::domain), self.config.home_country.as_deref());
        let checked = Checked {
            catalogue: &self.catalogue,
            resolver: self.resolver.as_ref(),
            settings: &self.config.evidence,
            domains: &self.config.policy.domains,
            delivered: person.map(|it| (&self.journal, it)),
        };
        checked.findings(bounce, home).await
    }

    fn render(
        &self,
        recognition: &Recognition,
        findings: &[Finding],
        decision: &Decision,
        earlier: &[(Bounce, Vec<Finding>)],
        now: Timestamp,
    ) -> Option<reply::Reply> {
        let plan = match decision {
            Decision::Reply(plan) | Decision::Hold(_, plan) => plan,
            Decision::Suppress(_) => return None,
        };
        let bounce = match recognition {
            Recognition::Bounce(bounce) => bounce,
            Recognition::NotABounce(other) => other.quoted.as_deref()?,
        };
        let mut cases = earlier.to_vec();
        cases.push((bounce.clone(), findings.to_vec()));
        Some(reply::render(&self.texts, &self.config.reply, plan, &cases, now))
    }
}

/// Who wrote the original, for the question of where our side stands.
pub(crate) fn author_of(original: &Original) -> Option<&Mailbox> {
    match &original.return_path {
        Some(ReversePath::Mailbox(mailbox)) => Some(mailbox),
        Some(ReversePath::Null) | None => original.from.as_ref(),
    }
}

/// One line a message; its contents are not in it.
fn log(bounce_id: &str, recognition: &Recognition, findings: &[Finding], decision: &Decision) {
    let cause = findings.first().map_or("-", |it| it.diagnosis.cause.as_str());
    let recipient_domain = findings.first().map_or("-", |it| it.report.final_recipient.domain());
    let kind = match recognition {
        Recognition::Bounce(bounce) => match bounce.kind() {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered | Action::Relayed | Action::Expanded => "success",
        },
        Recognition::NotABounce(_) => "not_a_bounce",
    };
    match decision {
        Decision::Reply(plan) => {
            tracing::info!(
                bounce_id,
                kind,
                cause,
                recipient_domain,
                reference = plan.reference_id.as_str(),
                "recorded; to be explained"
            );
        }
        Decision::Hold(reason, _) => {
            let reason = names(&[*reason]);
            tracing::info!(bounce_id, kind, cause, recipient_domain, reason, "recorded; held");
        }
        Decision::Suppress(reasons) => {
            let reasons = names(reasons);
            tracing::info!(bounce_id, kind, cause, recipient_domain, reasons, "recorded; nobody is answered");
        }
    }
}

/// Reasons as the journal and the configuration spell them.
fn names<T: serde::Serialize>(reasons: &[T]) -> String {
    reasons.iter().map(crate::review::name).collect::<Vec<_>>().join(", ")
}
