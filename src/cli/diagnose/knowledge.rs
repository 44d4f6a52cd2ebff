//! The pure stages with the built-in knowledge or with one's own rules over it, for the commands.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    app,
    bounce::{self, Action, Bounce, Envelope, NotABounce, RecipientReport, Recognition, WhyNot},
    cli::{Exit, Failure},
    config::Config,
    diagnosis::{Catalogue, Diagnosis, home_of},
    evidence::{self, Finding},
    mail::Mailbox,
};

/// Recognition and the built-in catalogue.
pub struct Knowledge {
    catalogue: Catalogue,
}

impl Knowledge {
    /// What ships with the program; a test holds that it loads.
    pub fn embedded() -> Result<Self, Failure> {
        let catalogue = Catalogue::embedded().map_err(|error| Failure::new(Exit::Fault, error))?;
        Ok(Self { catalogue })
    }

    /// Recognition and a catalogue with the administrator's own rules.
    #[must_use]
    pub fn new(catalogue: Catalogue) -> Self {
        Self { catalogue }
    }

    /// The rules.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What ships with the program, and what one message is. The rules are read beside the
    /// message: for a single one either takes as long as the other.
    pub fn embedded_and(bytes: &[u8]) -> Result<(Self, Recognition), Failure> {
        Self::embedded_beside(|| recognise(bytes))
    }

    /// What ships with the program, the formats of bounces too, which are else read at the first message.
    pub fn embedded_with_formats() -> Result<Self, Failure> {
        Self::embedded_beside(bounce::text::load).map(|(knowledge, ())| knowledge)
    }

    fn embedded_beside<T>(work: impl FnOnce() -> T) -> Result<(Self, T), Failure> {
        let (knowledge, done) = std::thread::scope(|scope| {
            let knowledge = scope.spawn(Self::embedded);
            let done = work();
            (knowledge.join(), done)
        });
        let knowledge = knowledge.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((knowledge, done))
    }

    /// What a message is. A fault of ours in reading one message is that message's, not the run's.
    #[must_use]
    pub fn recognise(&self, bytes: &[u8]) -> Recognition {
        recognise(bytes)
    }

    /// Why one recipient was not reached; `country` says where our side stands.
    #[must_use]
    pub fn diagnose(&self, bounce: &Bounce, report: &RecipientReport, country: Option<&str>) -> Diagnosis {
        let author = bounce.original.as_ref().and_then(|it| it.from.as_ref());
        self.catalogue.diagnose(bounce, report, home_of(author.map(Mailbox::domain), country))
    }

    /// A finding of the journal made again with these rules, as the daemon would; what the DNS said
    /// then is weighed again.
    #[must_use]
    pub fn again(&self, config: &Config, bounce: &Bounce, finding: &Finding) -> Finding {
        let author = bounce.original.as_ref().and_then(app::author_of);
        let home = home_of(author.map(Mailbox::domain), config.home_country.as_deref());
        let weigh = |diagnosis: Diagnosis, trust: bool| {
            evidence::weigh(finding.report.clone(), diagnosis, finding.observations.clone(), trust)
        };
        // Where the answers would have changed what is on record, they were not trusted then.
        let trusted = weigh(finding.diagnosis.clone(), true).diagnosis == finding.diagnosis;
        weigh(self.catalogue.diagnose(bounce, &finding.report, home), trusted)
    }

    /// A finding, without look-ups, for each recipient that failed or is delayed.
    #[must_use]
    pub fn findings(&self, bounce: &Bounce, country: Option<&str>) -> Vec<Finding> {
        let wanted = bounce.recipients.iter().filter(|report| fails(report));
        wanted
            .map(|report| Finding {
                report: report.clone(),
                diagnosis: self.diagnose(bounce, report, country),
                observations: Vec::new(),
            })
            .collect()
    }
}

fn recognise(bytes: &[u8]) -> Recognition {
    catch_unwind(AssertUnwindSafe(|| bounce::recognise(bytes))).unwrap_or_else(|_| {
        let envelope = Envelope::default();
        Recognition::NotABounce(NotABounce { because: WhyNot::Unreadable, forwarded_by: None, quoted: None, envelope })
    })
}

/// Whether there is anything to diagnose.
pub(super) fn fails(report: &RecipientReport) -> bool {
    match report.action {
        Action::Failed | Action::Delayed => true,
        Action::Delivered | Action::Relayed | Action::Expanded => false,
    }
}
