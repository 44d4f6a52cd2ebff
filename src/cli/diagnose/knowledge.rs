//! The pure stages that need nothing but the built-in knowledge, for the commands without a
//! configuration.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    bounce::{self, Action, Bounce, Envelope, NotABounce, Original, RecipientReport, Recognition, WhyNot},
    cli::{Exit, Failure},
    diagnosis::{Catalogue, Diagnosis, home_of},
    evidence::Finding,
    mail::{
        Mailbox, MessageId,
        header::{Headers, addresses},
        mime::Mail,
    },
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

    /// What a message is. A fault of ours in reading one message is that message's, not the run's.
    #[must_use]
    pub fn recognise(&self, bytes: &[u8]) -> Recognition {
        catch_unwind(AssertUnwindSafe(|| interim(bytes))).unwrap_or_else(|_| {
            let envelope = Envelope::default();
            Recognition::NotABounce(NotABounce {
                because: WhyNot::Unreadable,
                forwarded_by: None,
                quoted: None,
                envelope,
            })
        })
    }

    /// Why one recipient was not reached; `country` says where our side stands.
    #[must_use]
    pub fn diagnose(&self, bounce: &Bounce, report: &RecipientReport, country: Option<&str>) -> Diagnosis {
        let author = bounce.original.as_ref().and_then(|it| it.from.as_ref());
        self.catalogue.diagnose(bounce, report, home_of(author.map(Mailbox::domain), country))
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

/// Whether there is anything to diagnose.
pub(super) fn fails(report: &RecipientReport) -> bool {
    match report.action {
        Action::Failed | Action::Delayed => true,
        Action::Delivered | Action::Relayed | Action::Expanded => false,
    }
}

/// Stands in for `bounce::recognise` until that is merged: free text only.
fn interim(bytes: &[u8]) -> Recognition {
    let mail = Mail::parse(bytes);
    let because = if mail.headers().is_empty() { WhyNot::Unreadable } else { WhyNot::OrdinaryMail };
    let Some(reading) = bounce::text::read(&mail).filter(|it| !it.recipients.is_empty()) else {
        return Recognition::NotABounce(NotABounce {
            because,
            forwarded_by: None,
            quoted: None,
            envelope: Envelope::default(),
        });
    };
    let returned = mail.part_of_type("message/rfc822").or_else(|| mail.part_of_type("text/rfc822-headers"));
    let block = match (returned, reading.original_at) {
        (Some(part), _) => part.bytes().into_owned(),
        (None, Some(at)) => mail.text().get(at..).unwrap_or_default().trim_start().as_bytes().to_vec(),
        (None, None) => Vec::new(),
    };
    let headers = Headers::parse(&block);
    let recipients = reading.recipients.into_iter().map(|it| RecipientReport {
        final_recipient: it.address,
        original_recipient: it.original,
        action: it.action,
        status: it.status,
        reply_code: it.reply_code,
        diagnostic: it.diagnostic,
        remote_mta: it.remote_mta,
        last_attempt_date: None,
        will_retry_until: None,
        expired: it.expired,
        provenance: reading.provenance,
    });
    Recognition::Bounce(Bounce {
        format: reading.format,
        reporting_mta: reading.reporting_mta,
        arrival_date: None,
        original_envelope_id: None,
        recipients: recipients.collect(),
        original: Some(Original {
            from: headers.first("from").and_then(|it| addresses(it).into_iter().next()).map(|it| it.1),
            to: headers.first("to").map(|it| addresses(it).into_iter().map(|it| it.1).collect()).unwrap_or_default(),
            subject: headers.first("subject").map(str::to_owned),
            message_id: headers.first("message-id").and_then(MessageId::parse),
            date: headers
                .first("date")
                .and_then(|it| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(it).ok()),
            ..Original::default()
        }),
        forwarded_by: None,
        envelope: Envelope::default(),
        filler_seen: mail.text().contains("AAAAZZZZ"),
        human_text: String::new(),
        defects: Vec::new(),
    })
}
