//! What to ask about a diagnosis, and what the answers mean for it. Pure.

use super::{Answer, EvidenceRequest, Finding, Observation, Verdict};
use crate::{
    bounce::{Action, RecipientReport},
    diagnosis::{Acts, CauseId, Confidence, Diagnosis, Family},
};

/// The questions worth asking about one recipient.
#[must_use]
pub fn requests(report: &RecipientReport, diagnosis: &Diagnosis) -> Vec<EvidenceRequest> {
    if !matches!(report.action, Action::Failed | Action::Delayed) {
        return Vec::new();
    }
    let domain = report.final_recipient.domain().to_owned();
    match diagnosis.family {
        Family::Address | Family::Domain | Family::Connection | Family::Unknown | Family::Refused => {
            vec![EvidenceRequest::MailHosts(domain)]
        }
        Family::Mailbox
        | Family::Size
        | Family::Reputation
        | Family::Authentication
        | Family::Content
        | Family::Throttled
        | Family::System
        | Family::Submission => Vec::new(),
    }
}

/// Weighs the observations: sets each verdict, and changes the cause where DNS settles it.
///
/// `trust_names`: the resolver does not answer for names that cannot exist (`design.md` §8.15);
/// without it nothing is overturned.
#[must_use]
pub fn weigh(
    report: RecipientReport,
    diagnosis: Diagnosis,
    observations: Vec<Observation>,
    trust_names: bool,
) -> Finding {
    let mut finding = Finding { report, diagnosis, observations };
    if trust_names {
        weigh_mail_hosts(&mut finding);
    }
    finding
}

/// What MX and A say of the recipient's domain now.
enum MailHosts {
    Missing,
    NullMx,
    NoHost,
    Mx,
    Other,
}

fn mail_hosts(observations: &[Observation], domain: &str) -> MailHosts {
    let of = |check: &'static str| observations.iter().filter(move |it| it.check == check && it.subject == domain);
    match of("mx").next().map(|it| &it.answer) {
        Some(Answer::NoSuchName) => MailHosts::Missing,
        // RFC 7505 §3: one record, preference 0, the root as host.
        Some(Answer::Found(records)) if matches!(&records[..], [only] if only.ends_with(" .")) => MailHosts::NullMx,
        Some(Answer::Found(_)) => MailHosts::Mx,
        Some(Answer::NoRecord)
            if of("address").count() == 2 && of("address").all(|it| it.answer == Answer::NoRecord) =>
        {
            MailHosts::NoHost
        }
        _ => MailHosts::Other,
    }
}

fn weigh_mail_hosts(finding: &mut Finding) {
    let domain = finding.report.final_recipient.domain().to_owned();
    let diagnosis = &mut finding.diagnosis;
    let concerns_name = match diagnosis.family {
        Family::Domain | Family::Connection | Family::Unknown => true,
        Family::Address
        | Family::Mailbox
        | Family::Size
        | Family::Refused
        | Family::Reputation
        | Family::Authentication
        | Family::Content
        | Family::Throttled
        | Family::System
        | Family::Submission => false,
    };
    if !concerns_name {
        return;
    }
    let (cause, acts) = match mail_hosts(&finding.observations, &domain) {
        MailHosts::Missing => ("host_unknown", Acts::Sender),
        MailHosts::NullMx => ("null_mx", Acts::Sender),
        MailHosts::NoHost => ("no_mail_host", Acts::RecipientSide),
        // Only an MX softens `host_unknown`: the name was away when it was asked for, or here.
        MailHosts::Mx if diagnosis.cause.as_str() == "host_unknown" => {
            diagnosis.confidence = diagnosis.confidence.min(Confidence::Likely);
            set_verdict(&mut finding.observations, "mx", Verdict::Contradicts);
            return;
        }
        MailHosts::Mx | MailHosts::Other => return,
    };
    if diagnosis.cause.as_str() == cause {
        diagnosis.confidence = Confidence::Certain;
        set_verdict(&mut finding.observations, "mx", Verdict::Confirms);
    } else {
        set_verdict(&mut finding.observations, "mx", Verdict::Contradicts);
        diagnosis.rivals.insert(0, diagnosis.rule.clone());
        diagnosis.rule = format!("evidence/{cause}");
        diagnosis.cause = CauseId::new(cause);
        diagnosis.family = Family::Domain;
        diagnosis.acts = acts;
        diagnosis.permanent = Some(true);
        diagnosis.confidence = Confidence::Certain;
    }
}

fn set_verdict(observations: &mut [Observation], check: &str, verdict: Verdict) {
    for observation in observations.iter_mut().filter(|it| it.check == check) {
        observation.verdict = verdict;
    }
}
