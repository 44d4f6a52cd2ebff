//! What the answers mean for a diagnosis. Pure.
//!
//! Causes change only where the DNS settles the matter (`design.md` §4): a domain that does not
//! exist, takes no mail or names no host; and a refusal without a reason, where a list names us or
//! our address has no name. Everything else confirms or contradicts, and is shown.

use super::{
    Dkim, Dmarc, Finding, Helo, Listing, MailHosts, Observation, Port25, Reading, Reverse, Spf, Verdict,
    reading::readings, spf,
};
use crate::{
    bounce::RecipientReport,
    diagnosis::{Acts, CauseId, Confidence, Diagnosis, Family},
};

/// Weighs the observations: sets each verdict, and changes the cause where DNS settles it.
///
/// `trust_names`: the resolver does not answer for names that cannot exist (`design.md` §8.15);
/// without it nothing is overturned.
#[must_use]
pub fn weigh(
    report: RecipientReport,
    mut diagnosis: Diagnosis,
    mut observations: Vec<Observation>,
    trust_names: bool,
) -> Finding {
    if trust_names {
        for (range, reading) in readings(&observations) {
            let verdict = verdict(&mut diagnosis, &reading);
            for observation in observations.get_mut(range).unwrap_or_default() {
                observation.verdict = verdict;
            }
        }
    }
    Finding { report, diagnosis, observations }
}

fn verdict(diagnosis: &mut Diagnosis, reading: &Reading) -> Verdict {
    match reading {
        Reading::MailHosts(it) => mail_hosts(diagnosis, *it),
        Reading::Reverse(it) => reverse(diagnosis, it),
        Reading::Helo(it) => helo(diagnosis, *it),
        Reading::Spf(it) => authentication(diagnosis, spf_says(it)),
        Reading::Dkim(it) => authentication(
            diagnosis,
            match it {
                Dkim::Present => Verdict::Contradicts,
                Dkim::Missing | Dkim::Revoked | Dkim::Broken(_) => Verdict::Confirms,
                Dkim::Unknown => Verdict::Neutral,
            },
        ),
        Reading::Dmarc(it) => authentication(
            diagnosis,
            match it {
                Dmarc::Missing | Dmarc::Several | Dmarc::Broken => Verdict::Confirms,
                Dmarc::Policy(_) | Dmarc::Unknown => Verdict::Neutral,
            },
        ),
        Reading::Blocklist(it) => blocklist(diagnosis, it),
        Reading::Port25(it) => match (diagnosis.family, it) {
            (Family::Connection, Port25::Closed) => Verdict::Confirms,
            // Open now says nothing of then: the cause stays, and the reader may send again.
            (Family::Connection, Port25::Open) => Verdict::Contradicts,
            _ => Verdict::Neutral,
        },
    }
}

fn mail_hosts(diagnosis: &mut Diagnosis, hosts: MailHosts) -> Verdict {
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
        return Verdict::Neutral;
    }
    let (cause, acts) = match hosts {
        MailHosts::Missing => ("host_unknown", Acts::Sender),
        MailHosts::NullMx => ("null_mx", Acts::Sender),
        MailHosts::NoHost => ("no_mail_host", Acts::RecipientSide),
        // Only an MX softens `host_unknown`: the name was away when it was asked for, or here.
        MailHosts::Mx if diagnosis.cause.as_str() == "host_unknown" => {
            diagnosis.confidence = diagnosis.confidence.min(Confidence::Likely);
            return Verdict::Contradicts;
        }
        MailHosts::Mx | MailHosts::AddressOnly | MailHosts::Unknown => return Verdict::Neutral,
    };
    if diagnosis.cause.as_str() == cause {
        diagnosis.confidence = Confidence::Certain;
        return Verdict::Confirms;
    }
    // The diagnosis is now what was seen.
    change(diagnosis, cause, Family::Domain, acts, Confidence::Certain);
    diagnosis.permanent = Some(true);
    Verdict::Confirms
}

fn reverse(diagnosis: &mut Diagnosis, reverse: &Reverse) -> Verdict {
    let wrong = match reverse {
        Reverse::Missing | Reverse::Unconfirmed(_) => true,
        Reverse::Confirmed(_) => false,
        Reverse::Unknown => return Verdict::Neutral,
    };
    match (diagnosis.cause.as_str(), wrong) {
        ("ptr_missing", true) => {
            diagnosis.confidence = Confidence::Certain;
            Verdict::Confirms
        }
        ("ptr_missing", false) => {
            diagnosis.confidence = diagnosis.confidence.min(Confidence::Likely);
            Verdict::Contradicts
        }
        // Refused without a reason, and this is a reason: but others may be one as well.
        ("sender_rejected", true) => {
            change(diagnosis, "ptr_missing", Family::Authentication, Acts::OwnAdmin, Confidence::Likely);
            Verdict::Confirms
        }
        _ => Verdict::Neutral,
    }
}

fn helo(diagnosis: &mut Diagnosis, helo: Helo) -> Verdict {
    match (diagnosis.cause.as_str(), helo) {
        ("ptr_missing", Helo::Elsewhere | Helo::NoName) => {
            diagnosis.confidence = Confidence::Certain;
            Verdict::Confirms
        }
        ("ptr_missing", Helo::Leads) => Verdict::Contradicts,
        _ => Verdict::Neutral,
    }
}

fn spf_says(it: &Spf) -> Verdict {
    if !it.known {
        return Verdict::Neutral;
    }
    let too_many = it.lookups.is_some_and(|it| it > spf::MOST_LOOKUPS);
    match it.evaluation.as_ref().map(|it| it.result) {
        _ if it.records.len() != 1 || too_many => Verdict::Confirms,
        Some(spf::SpfResult::Pass) => Verdict::Contradicts,
        Some(spf::SpfResult::Fail | spf::SpfResult::SoftFail | spf::SpfResult::PermError | spf::SpfResult::None) => {
            Verdict::Confirms
        }
        Some(spf::SpfResult::Neutral | spf::SpfResult::TempError) | None => Verdict::Neutral,
    }
}

/// SPF, DKIM and DMARC are alternatives to whoever checks: none of them alone settles anything.
fn authentication(diagnosis: &Diagnosis, says: Verdict) -> Verdict {
    if diagnosis.cause.as_str() == "auth_failure" { says } else { Verdict::Neutral }
}

fn blocklist(diagnosis: &mut Diagnosis, listing: &Listing) -> Verdict {
    match (diagnosis.cause.as_str(), listing) {
        ("blocklisted", Listing::Listed(_)) => {
            diagnosis.confidence = Confidence::Certain;
            Verdict::Confirms
        }
        // A list that was not asked may be the one: this one speaks against it, and no more.
        ("blocklisted", Listing::NotListed) => Verdict::Contradicts,
        ("sender_rejected" | "ptr_missing", Listing::Listed(_)) if diagnosis.confidence < Confidence::Certain => {
            change(diagnosis, "blocklisted", Family::Reputation, Acts::OwnAdmin, Confidence::Likely);
            Verdict::Confirms
        }
        _ => Verdict::Neutral,
    }
}

/// The cause that evidence names instead; the rule that had won becomes the first rival.
fn change(diagnosis: &mut Diagnosis, cause: &str, family: Family, acts: Acts, confidence: Confidence) {
    let rule = std::mem::replace(&mut diagnosis.rule, format!("evidence/{cause}"));
    diagnosis.rivals.insert(0, rule);
    diagnosis.cause = CauseId::new(cause);
    diagnosis.family = family;
    diagnosis.acts = acts;
    diagnosis.confidence = confidence;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Facts;

    fn diagnosis(cause: &str, family: Family, confidence: Confidence) -> Diagnosis {
        Diagnosis {
            cause: CauseId::new(cause),
            family,
            permanent: None,
            expired: false,
            acts: Acts::NobodyWait,
            confidence,
            rule: "a/rule".to_owned(),
            matched: "words".to_owned(),
            facts: Facts::default(),
            rivals: Vec::new(),
            system: None,
        }
    }

    /// The diagnosis after these readings, and the verdict of the last.
    fn judged(mut diagnosis: Diagnosis, readings: &[Reading]) -> (Diagnosis, Verdict) {
        let verdicts: Vec<Verdict> = readings.iter().map(|it| verdict(&mut diagnosis, it)).collect();
        (diagnosis, *verdicts.last().unwrap())
    }

    #[test]
    fn the_dns_settles_what_concerns_the_name() {
        for (hosts, cause) in [
            (MailHosts::Missing, "host_unknown"),
            (MailHosts::NullMx, "null_mx"),
            (MailHosts::NoHost, "no_mail_host"),
            (MailHosts::Mx, "connection_timeout"),
            (MailHosts::AddressOnly, "connection_timeout"),
            (MailHosts::Unknown, "connection_timeout"),
        ] {
            let before = diagnosis("connection_timeout", Family::Connection, Confidence::Certain);
            let (after, _) = judged(before, &[Reading::MailHosts(hosts)]);
            assert_eq!(after.cause.as_str(), cause, "{hosts:?}");
            let full = diagnosis("mailbox_full", Family::Mailbox, Confidence::Certain);
            assert_eq!(judged(full.clone(), &[Reading::MailHosts(hosts)]), (full, Verdict::Neutral));
        }
    }

    #[test]
    fn only_an_mx_softens_host_unknown() {
        let before = diagnosis("host_unknown", Family::Domain, Confidence::Certain);
        let confidence = |hosts| judged(before.clone(), &[Reading::MailHosts(hosts)]).0.confidence;
        assert_eq!(confidence(MailHosts::Mx), Confidence::Likely);
        assert_eq!(confidence(MailHosts::AddressOnly), Confidence::Certain);
    }

    #[test]
    fn a_refusal_without_reason_gets_one() {
        let before = diagnosis("sender_rejected", Family::Reputation, Confidence::Likely);
        let listed = Reading::Blocklist(Listing::Listed(vec!["127.0.0.2".to_owned()]));
        let (after, _) = judged(before.clone(), &[Reading::Reverse(Reverse::Missing), listed.clone()]);
        assert_eq!(after.cause.as_str(), "blocklisted");
        assert_eq!(after.rivals, ["evidence/ptr_missing", "a/rule"]);
        let (after, _) = judged(before.clone(), &[Reading::Reverse(Reverse::Missing)]);
        assert_eq!(after.cause.as_str(), "ptr_missing");
        let refused = Reading::Blocklist(Listing::Refused("127.255.255.254".to_owned()));
        assert_eq!(judged(before.clone(), &[refused]).0, before);
        let said = diagnosis("ptr_missing", Family::Authentication, Confidence::Certain);
        assert_eq!(judged(said, &[listed]).0.cause.as_str(), "ptr_missing", "they said so");
    }

    #[test]
    fn what_we_find_in_order_speaks_against_the_charge() {
        let verdict =
            |cause: &str, family, reading| judged(diagnosis(cause, family, Confidence::Certain), &[reading]).1;
        let auth = Family::Authentication;
        let named = Reading::Reverse(Reverse::Confirmed("mail.corp.example".to_owned()));
        assert_eq!(verdict("ptr_missing", auth, named), Verdict::Contradicts);
        assert_eq!(verdict("ptr_missing", auth, Reading::Reverse(Reverse::Missing)), Verdict::Confirms);
        assert_eq!(verdict("ptr_missing", auth, Reading::Helo(Helo::Elsewhere)), Verdict::Confirms);
        assert_eq!(verdict("auth_failure", auth, Reading::Dkim(Dkim::Missing)), Verdict::Confirms);
        assert_eq!(verdict("auth_failure", auth, Reading::Dmarc(Dmarc::Policy("none".to_owned()))), Verdict::Neutral);
        let spf = |result| {
            Reading::Spf(Spf {
                known: true,
                records: vec!["v=spf1 -all".to_owned()],
                evaluation: Some(spf::Evaluation { result, reason: "-all".to_owned() }),
                ..Spf::default()
            })
        };
        assert_eq!(verdict("auth_failure", auth, spf(spf::SpfResult::Pass)), Verdict::Contradicts);
        assert_eq!(verdict("auth_failure", auth, spf(spf::SpfResult::Fail)), Verdict::Confirms);
        assert_eq!(verdict("sender_invalid", auth, spf(spf::SpfResult::Fail)), Verdict::Neutral);
        let closed = Reading::Port25(Port25::Closed);
        assert_eq!(verdict("connection_timeout", Family::Connection, closed.clone()), Verdict::Confirms);
        assert_eq!(verdict("mailbox_full", Family::Mailbox, closed), Verdict::Neutral);
    }
}
