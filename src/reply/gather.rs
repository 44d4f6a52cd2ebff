//! Gathers the facts of a case from report, diagnosis, findings and plan, and says whose words
//! they are and how sure.

use std::net::IpAddr;

use super::{
    author::acts,
    below::is_null_mx,
    facts::{Case, Entry, Facts, File},
    frame::Frame,
    safe::{self, Typed},
    section::{CONDITIONS, Conditions},
    size,
    speaker::{Speaker, is_below, speaker},
};
use crate::{
    bounce::{Action, Bounce},
    catalogue,
    diagnosis::{Acts, Confidence},
    evidence::{Answer, Finding, Observation, Verdict},
    policy::{Ground, ReplyPlan},
};

impl<'a> Frame<'a> {
    /// The facts that do not depend on a recipient.
    pub(super) fn common(&self, bounce: Option<&Bounce>) -> Facts {
        let author = &self.plan.addressee;
        let mut facts = Facts {
            author: Some(safe::address(author)),
            author_domain: Some(safe::line(author.domain(), 255)),
            company: self.settings.company.as_deref().map(|it| safe::line(it, 100)),
            helpdesk: self.settings.helpdesk.as_deref().map(|it| safe::line(it, 200)),
            reference: Some(self.plan.reference_id.to_string()),
            told: self.settings.administrator_is_told,
            meant_for: self.plan.redirect_to.as_ref().map(|_| safe::address(author)),
            ..Facts::default()
        };
        let Some(bounce) = bounce else { return facts };
        let reporter = bounce.reporting_mta.as_deref().filter(|it| is_below(it, author.domain()));
        let our_host = reporter.map_or_else(|| format!("mail.{}", author.domain()), str::to_owned);
        facts.our_host = Some(safe::line(&our_host, 255));
        if let Some(original) = &bounce.original {
            facts.subject = original.subject.as_deref().map(|it| safe::line(it, 120)).filter(|it| !it.is_empty());
            facts.message_id = original.message_id.as_ref().map(|it| safe::line(&it.to_string(), 200));
            let by_author = original.from.as_ref().is_some_and(|it| it.same_mailbox(author));
            let name = original.from_name.as_deref().map(|it| safe::line(it, 40)).unwrap_or_default();
            facts.author_name =
                Some(name).filter(|it| by_author && !it.is_empty() && !it.contains(['@', '/', ':', ',']));
            facts.sent_at = original.date.map(|at| self.day_and_time(at));
            facts.sent_at_offset = original.date.map(|at| self.with_offset(at));
            facts.utc_offset = original.date.map(|at| self.utc_offset(at));
            facts.queue_id = original.received.iter().find_map(|it| queue_id(it));
        }
        facts
    }

    /// The facts and conditions of one recipient; the counts of the whole come later.
    pub(super) fn case(&self, entry: &Entry<'a>) -> Case<'a> {
        let Entry { bounce, finding, typed } = entry;
        let (bounce, finding) = (*bounce, *finding);
        let (report, diagnosis) = (&finding.report, &finding.diagnosis);
        let mut facts = self.common(Some(bounce));
        let mut holding = Conditions::default();
        Self::name_recipient(&mut facts, &mut holding, bounce, finding, typed);
        Self::add_sizes(&mut facts, &mut holding, bounce, finding);
        self.add_times(&mut facts, &mut holding, bounce, finding);
        self.add_reputation(&mut facts, &mut holding, finding);
        let domain = report.final_recipient.domain();
        let proposed = |check: &str| {
            let one = finding.observations.iter().find(|it| it.check == check)?;
            match &one.answer {
                Answer::Found(names) => names.first().map(|it| safe::line(it, 255)),
                Answer::NoRecord | Answer::NoSuchName | Answer::Unavailable(_) => None,
            }
        };
        let local = safe::line(report.final_recipient.local(), 64);
        facts.suggestion = proposed("near_miss").or_else(|| proposed("near_miss_address"));
        facts.suggested_address =
            facts.suggestion.as_ref().map(|it| if it.contains('@') { it.clone() } else { format!("{local}@{it}") });
        holding.set("suggestion", facts.suggestion.is_some());
        let verified = self.plan.grounds.iter().any(|it| matches!(it, Ground::JournalKnows | Ground::FoundInSent));
        holding.set("verified", verified);
        facts.new_address = diagnosis.facts.new_address.as_deref().filter(|_| verified).map(safe::defanged_address);
        holding.set("new address", diagnosis.facts.new_address.is_some());
        facts.hops = diagnosis.facts.hops;
        facts.hop_limit = diagnosis.facts.hop_limit;
        let acts = acts(self, entry);
        holding.set("own admin", acts == Acts::OwnAdmin);
        holding.set("their move", acts == Acts::RecipientSide);
        holding.set("wait", acts == Acts::NobodyWait);
        holding.set("own side", domain == self.plan.addressee.domain());
        holding.set("public", catalogue::is_public_domain(domain));
        holding.set("expired", diagnosis.expired);
        holding.set("delayed", report.action == Action::Delayed);
        holding.set("asking", self.plan.asked);
        holding.set("follow-up", self.plan.sequence > 0);
        holding.set("after delay", self.plan.after_delay && report.action == Action::Failed);
        let author = bounce.original.as_ref().and_then(|it| it.from.as_ref());
        holding.set("wrote it", author.is_some_and(|it| it.same_mailbox(&self.plan.addressee)));
        // The alert counts what diagnosis makes the administrator's, not what is theirs by our own reading.
        holding.set("told", self.settings.administrator_is_told && diagnosis.acts == Acts::OwnAdmin);
        let words =
            format!("{} {}", diagnosis.matched, report.diagnostic.as_deref().unwrap_or_default()).to_ascii_lowercase();
        for (condition, marks) in &self.texts.knowledge.marked {
            if let Some(known) = CONDITIONS.iter().find(|it| *it == condition) {
                holding.set(known, marks.iter().any(|mark| words.contains(mark.as_str())));
            }
        }
        facts.status = report.status.map(|it| it.to_string());
        facts.cause = Some(diagnosis.cause.as_str().to_owned());
        facts.rule = Some(safe::line(&diagnosis.rule, 80));
        facts.their_host = report.remote_mta.as_deref().map(|it| safe::line(it, 255));
        facts.mx_host = facts.their_host.clone().or_else(|| looked_up_host(finding));
        facts.colleague = domain == self.plan.addressee.domain();
        facts.service =
            self.brand(domain).or_else(|| catalogue::is_public_domain(domain).then(|| safe::line(domain, 255)));
        let quoted = report.diagnostic.as_deref().map(|it| safe::mask_addresses(&safe::line(it, 4096), typed));
        // The sentence around the quotation has a full stop of its own.
        let words = |it: &str| safe::line(it, 160).trim_end_matches(['。', '.']).to_owned();
        facts.words = quoted.as_deref().map(|it| pieces_text(&safe::defang(&words(it), |_| false)));
        facts.reply = quoted.map(|it| {
            pieces_text(&safe::defang(&safe::line(&it, 1000), |host| self.texts.knowledge.link_hosts.contains(host)))
        });
        super::week::add(self, &mut facts, &mut holding, finding);
        self.word_sureness(&mut facts, &mut holding, bounce, finding);
        Case { entry: entry.clone(), finding, facts, conditions: holding }
    }

    /// Only the name under which a recipient is shown.
    pub(super) fn named(entry: &Entry<'_>) -> String {
        let (mut facts, mut holding) = (Facts::default(), Conditions::default());
        Self::name_recipient(&mut facts, &mut holding, entry.bounce, entry.finding, &entry.typed);
        facts.recipient()
    }

    fn name_recipient(facts: &mut Facts, holding: &mut Conditions, bounce: &Bounce, finding: &Finding, typed: &Typed) {
        let report = &finding.report;
        let failed = &report.final_recipient;
        let known = typed.contains(failed);
        let domain = safe::line(failed.domain(), 255);
        facts.recipient = Some(if known { safe::address(failed) } else { safe::masked(failed.local(), &domain) });
        facts.local = Some(if known { safe::line(failed.local(), 64) } else { safe::masked(failed.local(), "") });
        if !known {
            facts.local = facts.local.take().map(|it| it.trim_end_matches('@').to_owned());
        }
        facts.domain_ascii = idna::domain_to_ascii(&domain).ok().filter(|it| *it != domain);
        facts.domain = Some(domain);
        facts.typed_recipient =
            report.original_recipient.as_ref().filter(|it| !it.same_mailbox(failed)).map(safe::address);
        let listed = bounce.original.as_ref().is_some_and(|it| !it.to.is_empty());
        holding.set("forwarded", !known && (listed || report.original_recipient.is_some()));
    }

    fn add_sizes(facts: &mut Facts, holding: &mut Conditions, bounce: &Bounce, finding: &Finding) {
        let original = bounce.original.as_ref();
        let limit = finding.diagnosis.facts.size_limit.filter(|it| *it > 0);
        // A size below the limit is not what was refused: say nothing of it.
        let sizes = [finding.diagnosis.facts.message_size, original.and_then(|it| it.size)];
        let sent = sizes.into_iter().flatten().find(|sent| *sent > limit.unwrap_or_default());
        holding.set("limit known", limit.is_some());
        holding.set("size known", sent.is_some());
        if let Some(limit) = limit {
            facts.limit = Some(size::words(size::limit_tenths(limit), limit));
            let room = size::room_tenths(limit);
            facts.room = (room > 0).then(|| size::words(room, limit));
            holding.set("small", room == 0);
        }
        if let Some(sent) = sent {
            facts.size = Some(size::words(size::size_tenths(sent), sent));
            facts.over = limit.map(|limit| {
                let tenths = size::size_tenths(sent).saturating_sub(size::limit_tenths(limit));
                size::words(tenths, sent - limit)
            });
        }
        let mut files: Vec<_> = original.map(|it| it.attachments.iter().collect()).unwrap_or_default();
        files.sort_by_key(|it: &&crate::bounce::Attachment| std::cmp::Reverse(it.size));
        let total: u64 = files.iter().map(|it| it.size).fold(0, u64::saturating_add);
        holding.set("files known", total > 0);
        facts.files_size = (total > 0).then(|| size::words(size::file_tenths(total), total));
        facts.biggest =
            files.first().and_then(|it| it.name.as_deref()).map(|it| safe::line(it, 60)).filter(|it| !it.is_empty());
        facts.biggest_alone = files.first().zip(limit).is_some_and(|(it, limit)| size::exceeds_alone(it.size, limit));
        facts.biggest_travels = files.first().map(|it| size::travelling(it.size)).map(|it| {
            let tenths = size::file_tenths(it);
            size::words(tenths, it)
        });
        let rest = total - files.first().map_or(0, |it| it.size);
        facts.others_fit = files.len() > 1 && limit.is_some_and(|it| size::file_tenths(rest) <= size::room_tenths(it));
        facts.files = files
            .iter()
            .filter_map(|it| {
                Some(File {
                    name: safe::line(it.name.as_deref()?, 60),
                    size: size::words(size::file_tenths(it.size), it.size),
                })
            })
            .take(3)
            .collect();
    }

    fn add_times(&self, facts: &mut Facts, holding: &mut Conditions, bounce: &Bounce, finding: &Finding) {
        let cause = finding.diagnosis.cause.as_str();
        let failed_at = finding.report.last_attempt_date.or(bounce.envelope.date);
        facts.failed_at = failed_at.map(|at| self.day_and_time(at));
        facts.failed_at_offset = failed_at.map(|at| self.with_offset(at));
        facts.retry_until = finding.report.will_retry_until.map(|at| self.day_and_time(at));
        let wait = finding.diagnosis.facts.retry_after.and_then(|it| i64::try_from(it).ok()).map_or_else(
            || self.texts.knowledge.resend_after.get(cause).copied().unwrap_or(120),
            |seconds| (seconds / 60).clamp(0, 7 * 24 * 60) + 10,
        );
        facts.resend_at = Some(self.clock_time_after(wait));
        let sent = bounce.original.as_ref().and_then(|it| it.date).or(bounce.arrival_date);
        let days = sent.zip(failed_at).map(|(from, to)| to.duration_since(from).as_hours() / 24);
        facts.days = days.filter(|it| (1..=14).contains(it));
        let about_host = |check: &str| matches!(check, "mx" | "address" | "port_25");
        let looked_up = finding.observations.iter().find(|it| about_host(&it.check) && it.verdict == Verdict::Confirms);
        holding.set("looked up", looked_up.is_some() && finding.diagnosis.confidence == Confidence::Certain);
        let last = looked_up.or(finding.observations.first());
        facts.checked_at = last.map(|it| self.moment(it.at));
        let probe = finding.observations.iter().find(|it| it.check == "port_25").map(|it| &it.answer);
        holding.set("reachable", matches!(probe, Some(Answer::Found(_))));
        holding.set("unreachable", matches!(probe, Some(Answer::NoRecord | Answer::NoSuchName)));
    }

    fn add_reputation(&self, facts: &mut Facts, holding: &mut Conditions, finding: &Finding) {
        let of_words = &finding.diagnosis.facts;
        let words = format!(
            "{} {} {}",
            of_words.blocklist.as_deref().unwrap_or_default(),
            of_words.url.as_deref().unwrap_or_default(),
            finding.report.diagnostic.as_deref().unwrap_or_default()
        )
        .to_ascii_lowercase();
        let known = self.texts.knowledge.blocklist.iter().find(|it| it.marks.iter().any(|mark| words.contains(mark)));
        facts.list =
            known.map(|it| it.name.clone()).or_else(|| of_words.blocklist.as_deref().map(|it| safe::line(it, 80)));
        facts.link = known.map(|it| it.link.clone()).or_else(|| {
            let link = of_words.url.as_deref()?;
            safe::host_of(link)
                .filter(|host| self.texts.knowledge.link_hosts.contains(host))
                .map(|_| safe::line(link, 200))
        });
        holding.set("list known", facts.list.is_some());
        let looked_up = |it: &&Observation| matches!(it.check.as_str(), "ptr" | "blocklist" | "helo");
        let checked = finding.observations.iter().find(looked_up).and_then(|it| it.subject.parse::<IpAddr>().ok());
        let ip = of_words.ip.or(checked);
        facts.ip = ip.map(|it| it.to_string());
        facts.ip_six = ip.is_some_and(|it| it.is_ipv6());
        facts.reverse_name = ip.map(reverse_name);
        let records = finding.observations.iter().filter(|it| it.check == "spf").filter_map(|it| match &it.answer {
            Answer::Found(records) => Some(records),
            Answer::NoRecord | Answer::NoSuchName | Answer::Unavailable(_) => None,
        });
        let unquoted = |it: &String| safe::line(it.trim_matches('"'), 450);
        facts.spf_now = records.flatten().map(unquoted).find(|it| it.to_ascii_lowercase().starts_with("v=spf1"));
        facts.spf_term = ip.map(spf_term);
        facts.spf_new = facts.spf_term.as_ref().map(|it| spf_with(facts.spf_now.as_deref(), it));
    }

    /// Who says so and how sure that is; then the reason, which may name any other fact.
    fn word_sureness(&self, facts: &mut Facts, holding: &mut Conditions, bounce: &Bounce, finding: &Finding) {
        let cause = finding.diagnosis.cause.as_str();
        holding.set("certain", finding.diagnosis.confidence == Confidence::Certain);
        holding.set("likely", finding.diagnosis.confidence == Confidence::Likely);
        holding.set("guess", finding.diagnosis.confidence == Confidence::Guess);
        let speaker = speaker(bounce, finding, &self.plan.addressee);
        holding.set("our words", speaker != Speaker::Theirs);
        holding.set("own server", speaker == Speaker::Ours);
        facts.their_reply = facts.reply.clone().filter(|_| !holding.holds("our words"));
        let brand = self.brand(finding.report.final_recipient.domain());
        facts.server =
            Some(brand.filter(|_| !holding.holds("our words")).unwrap_or_else(|| self.line("server", holding, facts)));
        if !finding.diagnosis.cause.is_undetermined() {
            facts.said = Some(self.line("said", holding, facts));
            facts.they = Some(self.line("they", holding, facts));
            facts.unsure = Some(self.line("unsure", holding, facts));
            let seen = finding.diagnosis.confidence == Confidence::Likely
                && self.texts.knowledge.reason_is_seen.contains(cause);
            facts.maybe = (!seen).then(|| self.line("maybe", holding, facts));
        }
        facts.reason = Some(self.cause_line(cause, "reason", holding, facts));
        facts.short = Some(self.cause_line(cause, "short", holding, facts));
    }
}

fn pieces_text(pieces: &[safe::Piece]) -> String {
    pieces
        .iter()
        .map(|it| match it {
            safe::Piece::Text(text) | safe::Piece::Link(text) => text.as_str(),
        })
        .collect()
}

/// The first host that the domain's MX records name, if we asked.
fn looked_up_host(finding: &Finding) -> Option<String> {
    let asked = finding.observations.iter().find(|it| it.check == "mx" && !is_null_mx(it))?;
    match &asked.answer {
        Answer::Found(records) => {
            let preference = |it: &&String| it.split_whitespace().next().and_then(|it| it.parse::<u16>().ok());
            let host = records.iter().min_by_key(preference)?.split_whitespace().next_back()?;
            Some(safe::line(host.trim_end_matches('.'), 255)).filter(|it| !it.is_empty())
        }
        Answer::NoRecord | Answer::NoSuchName | Answer::Unavailable(_) => None,
    }
}

/// The addresses that the author wrote, as far as the bounce returned them; without any, the
/// failed address itself. Of Original-Recipient the author is the source, whatever became of it.
pub(super) fn typed_addresses(bounce: &Bounce, plan: &ReplyPlan) -> Typed {
    let mut typed = Typed::default();
    typed.insert(&plan.addressee);
    bounce.recipients.iter().filter_map(|it| it.original_recipient.as_ref()).for_each(|it| typed.insert(it));
    let listed = bounce.original.iter().flat_map(|it| &it.to);
    listed.for_each(|it| typed.insert(it));
    if bounce.original.as_ref().is_none_or(|it| it.to.is_empty()) {
        let bare = bounce.recipients.iter().filter(|it| it.original_recipient.is_none());
        bare.for_each(|it| typed.insert(&it.final_recipient));
    }
    typed
}

/// RFC 1035 §3.5, RFC 3596 §2.5.
fn reverse_name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(it) => {
            let nibbles = it.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|it| format!("{it:x}")).collect();
            format!("{}.ip6.arpa.", labels.join("."))
        }
    }
}

/// The SPF record with the address allowed (RFC 7208 §4.6.1: terms are read from the left, so it
/// stands before `all`). Without one, a cautious first record.
fn spf_with(now: Option<&str>, term: &str) -> String {
    let mut terms: Vec<&str> = now.unwrap_or("v=spf1 mx ~all").split_whitespace().collect();
    if !terms.contains(&term) {
        let last = |it: &&str| it.trim_start_matches(['+', '-', '~', '?']) == "all" || it.starts_with("redirect=");
        let at = terms.iter().position(last).unwrap_or(terms.len());
        terms.insert(at, term);
    }
    terms.join(" ")
}

fn spf_term(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(it) => format!("ip4:{it}"),
        IpAddr::V6(it) => format!("ip6:{it}"),
    }
}

/// The queue id in a Received field: the word after `id` (RFC 5321 §4.4).
fn queue_id(received: &str) -> Option<String> {
    let mut words = received.split_whitespace();
    words.find(|it| it.eq_ignore_ascii_case("id"))?;
    let id = words.next()?.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    (!id.is_empty() && id.len() <= 64).then(|| safe::line(id, 64))
}
