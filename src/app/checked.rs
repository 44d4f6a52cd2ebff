//! Diagnosis and evidence of one bounce together: asks what is worth asking, all at once and
//! within one budget, and weighs what came back for each recipient.

use std::{collections::HashMap, net::IpAddr};

use jiff::Timestamp;

use super::engine::author_of;
use crate::{
    bounce::{Action, Bounce, RecipientReport},
    diagnosis::{Catalogue, Diagnosis, Family, Home},
    evidence::{
        self, Acquaintances, Answer, EvidenceRequest, Finding, Observation, Observed, SendingHost, Settings, Side,
        Verdict,
        dns::{Evidence, Resolver},
    },
    journal::Journal,
    mail::Mailbox,
};

/// Requests that one bounce may lead to: a report can name any number of recipients.
const MOST_REQUESTS: usize = 64;

/// What checking takes.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// The rules.
    pub catalogue: &'a Catalogue,
    /// Who is asked; `None`: nobody.
    pub resolver: Option<&'a Resolver>,
    /// `[evidence]`.
    pub settings: &'a Settings,
    /// Our domains; where none are configured, the author's counts as ours.
    pub domains: &'a [String],
    /// Where the mail that was delivered is on record, and who is answered: nobody else's
    /// addressees are proposed to them. `None`: the shipped list and our domains alone are.
    pub delivered: Option<(&'a Journal, &'a Mailbox)>,
}

impl Checked<'_> {
    /// A finding for each recipient of the report.
    pub async fn findings(&self, bounce: &Bounce, home: Home) -> Vec<Finding> {
        let diagnosed: Vec<(&RecipientReport, Diagnosis)> =
            bounce.recipients.iter().map(|report| (report, self.catalogue.diagnose(bounce, report, home))).collect();
        let Some(resolver) = self.resolver else {
            let unchecked = |(report, diagnosis): (&RecipientReport, _)| Finding {
                report: report.clone(),
                diagnosis,
                observations: Vec::new(),
            };
            return diagnosed.into_iter().map(unchecked).collect();
        };
        let author = bounce.original.as_ref().and_then(author_of);
        let domains: Vec<&str> = match self.domains {
            [] => author.map(Mailbox::domain).into_iter().collect(),
            domains => domains.iter().map(String::as_str).collect(),
        };
        let domain = author.map(Mailbox::domain).filter(|it| domains.contains(it)).or(domains.first().copied());
        let hosts: Vec<SendingHost> = evidence::sending_hosts(self.settings, &domains, bounce);
        let side = Side { settings: self.settings, domain, hosts: &hosts };
        let wanted: Vec<Vec<EvidenceRequest>> =
            diagnosed.iter().map(|(report, diagnosis)| evidence::requests(report, diagnosis, side)).collect();
        let mut asked: Vec<EvidenceRequest> = Vec::new();
        for request in wanted.iter().flatten() {
            if asked.len() < MOST_REQUESTS && !asked.contains(request) {
                asked.push(request.clone());
            }
        }
        let Evidence { observed, lies } = resolver.observe(&asked, Timestamp::now).await;
        let observed: HashMap<EvidenceRequest, Observed> =
            observed.into_iter().map(|it| (it.request.clone(), it)).collect();
        let own_domains: Vec<String> = domains.iter().map(|it| (*it).to_owned()).collect();
        let mut findings = Vec::new();
        for ((report, diagnosis), wanted) in diagnosed.into_iter().zip(wanted) {
            let own = wanted.iter().filter_map(|it| observed.get(it)).flat_map(|it| it.observations.clone()).collect();
            let mut finding = evidence::weigh(report.clone(), diagnosis, own, lies.is_none());
            if matches!(finding.report.action, Action::Failed | Action::Delayed) {
                // That a domain has no mail server may be one of the resolver's lies.
                if lies.is_none() || finding.diagnosis.family != Family::Connection {
                    let known = self.acquaintances(&finding, &own_domains).await;
                    evidence::suggest(&mut finding, &known, Timestamp::now());
                }
                finding.observations.extend(self.whereabouts(&finding));
                if !wanted.is_empty() {
                    finding.observations.extend(lies.clone());
                }
            }
            findings.push(finding);
        }
        findings
    }

    /// What may be proposed instead of the failed address. What cannot be read is not proposed.
    async fn acquaintances(&self, finding: &Finding, own_domains: &[String]) -> Acquaintances {
        let mut known = Acquaintances { own_domains: own_domains.to_vec(), ..Acquaintances::default() };
        let Some((journal, person)) = self.delivered else { return known };
        match evidence::wanted(finding) {
            Some(evidence::Wanted::Domains) => {
                known.domains = journal.domains_delivered_to(Timestamp::now()).await.unwrap_or_default();
            }
            Some(evidence::Wanted::Addresses) => {
                let domain = finding.report.final_recipient.domain();
                known.addresses = journal.addresses_delivered_to(person, domain).await.unwrap_or_default();
            }
            None => {}
        }
        known
    }

    /// Where the far end of a connection that failed is registered, if the report names its address.
    fn whereabouts(&self, finding: &Finding) -> Option<Observation> {
        if finding.diagnosis.family != Family::Connection {
            return None;
        }
        let remote = finding.report.remote_mta.as_deref().map(|it| it.trim_matches(['[', ']']));
        let ip: IpAddr = remote.and_then(|it| it.parse().ok()).or(finding.diagnosis.facts.ip)?;
        let inside = self.catalogue.is_in_mainland_china(ip)?;
        let place = if inside { "inside mainland China" } else { "outside mainland China" };
        Some(Observation {
            check: "registry".to_owned(),
            subject: ip.to_string(),
            question: format!("{ip} registered"),
            answer: Answer::Found(vec![place.to_owned()]),
            verdict: Verdict::Neutral,
            resolver: "catalogue".to_owned(),
            at: Timestamp::now(),
            ms: 0,
        })
    }
}
