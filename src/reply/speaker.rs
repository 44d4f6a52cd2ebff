//! Whose words a diagnostic is: "their server says" must not be said of our own.

use crate::{bounce::Bounce, diagnosis::Family, evidence::Finding, mail::Mailbox};

/// Who says why.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Speaker {
    /// The recipient's server, or one on the way.
    Theirs,
    /// Our server, in a summary of what it met at theirs.
    Summary,
    /// Our server, which refused by itself.
    Ours,
}

/// Openings of qmail-send's own sentences; what follows them is theirs.
const OUR_SUMMARY: &[&str] = &[
    "sorry, i couldn't",
    "sorry, i couldnt",
    "sorry, i wasn't able",
    "sorry, i wasnt able",
    "i'm not going to try again",
    "im not going to try again",
    "connected to",
    "lost connection",
    "connect to",
];

pub(super) fn speaker(bounce: &Bounce, finding: &Finding, author: &Mailbox) -> Speaker {
    let report = &finding.report;
    let words = report.diagnostic.as_deref().unwrap_or_default().replace('’', "'").to_lowercase();
    let at_our_domain = |host: &str| is_below(host, author.domain());
    if report.final_recipient.domain() == author.domain() {
        return Speaker::Ours;
    }
    let quotes_them =
        words.contains(" said: ") || words.contains("remote host said") || words.contains("remote server returned");
    if quotes_them {
        return Speaker::Theirs;
    }
    // The queue that gave up is ours, though Exchange writes it as a reply: `550 5.4.300 Message expired`.
    if words.contains("message expired") {
        return Speaker::Summary;
    }
    // A summary of ours that carries no reply of theirs.
    if OUR_SUMMARY.iter().any(|it| words.starts_with(it) || words.contains(&format!(": {it}")))
        && report.reply_code.is_none()
    {
        return Speaker::Summary;
    }
    // A connection that was never made, and a name that leads nowhere, only our side can tell of.
    if matches!(finding.diagnosis.family, Family::Connection | Family::Domain) && report.reply_code.is_none() {
        return Speaker::Summary;
    }
    if let Some(host) = &report.remote_mta {
        return if at_our_domain(host) { Speaker::Ours } else { Speaker::Theirs };
    }
    let reporter_is_ours = bounce.reporting_mta.as_deref().is_some_and(at_our_domain);
    match finding.diagnosis.family {
        Family::Submission if reporter_is_ours || bounce.reporting_mta.is_none() => Speaker::Ours,
        Family::Connection
        | Family::Domain
        | Family::Submission
        | Family::Address
        | Family::Mailbox
        | Family::Size
        | Family::Refused
        | Family::Reputation
        | Family::Authentication
        | Family::Content
        | Family::Throttled
        | Family::System
        | Family::Unknown => Speaker::Theirs,
    }
}

/// Whether `host` is `domain` or a name below it.
pub(super) fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
