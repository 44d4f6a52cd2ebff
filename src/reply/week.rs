//! "Only you, or all of us": what the journal knows of the last week, as facts and conditions.
//! Counts only; who the others are is nobody's business.

use super::{facts::Facts, frame::Frame, section::Conditions};
use crate::{diagnosis::Family, evidence::Finding};

pub(super) fn add(frame: &Frame<'_>, facts: &mut Facts, holding: &mut Conditions, finding: &Finding) {
    let domain = finding.report.final_recipient.domain();
    let cause = finding.diagnosis.cause.as_str();
    let Some(week) = frame.plan.weeks.iter().find(|it| it.domain == domain && it.cause == cause) else { return };
    facts.week_mails = week.mails;
    facts.week_people = week.people;
    facts.week_since = week.first.map(|it| frame.with_offset(it));
    facts.week_elsewhere = week.elsewhere;
    facts.week_taken = week.delivered;
    facts.others_mails = week.mails_of_others;
    facts.others_people = week.others;
    if !bears_on_others(finding.diagnosis.family) {
        return;
    }
    holding.set("others too", week.others > 0);
    // Of a domain that everybody writes to, silence tells; of any other, perhaps nobody wrote.
    let much_used = frame.brand(domain).is_some() || week.delivered > 0;
    holding.set("only you", week.whole && week.seen_of_others == 0 && much_used);
}

/// Whether it tells a reader anything that others met the same: not of a wrong letter or a full
/// mailbox, which are each person's own.
fn bears_on_others(family: Family) -> bool {
    match family {
        Family::Address | Family::Mailbox | Family::Size => false,
        Family::Domain
        | Family::Refused
        | Family::Reputation
        | Family::Authentication
        | Family::Content
        | Family::Throttled
        | Family::Connection
        | Family::System
        | Family::Submission
        | Family::Unknown => true,
    }
}
