//! `check --dns`: SPF, DKIM, DMARC of our domains; PTR and blocklists of our sending addresses.
//!
//! Each line has its verdict, what was asked, and the exact record to publish. Nothing is changed.
//! 69 if a record is wrong, 75 if something could not be asked.

use std::{fmt::Write as _, net::IpAddr};

use jiff::Timestamp;

use super::{Exit, Line, Outcome, Report};
use crate::{
    bounce::Recognition,
    config::Config,
    evidence::{
        self, Answer, Dkim, Dmarc, EvidenceRequest, Helo, Listing, MailHosts, Observation, Observed, Reading, Reverse,
        SendingHost, Spf,
        dns::Resolver,
        reverse_name,
        spf::{self, SpfResult},
    },
    journal::{Access, Filter, Journal},
    reply::Texts,
};

/// Bounces of the journal in which our sending address is looked for.
const BOUNCES: u32 = 100;

/// For whoever has never published a record.
const HOW_TO_PUBLISH: &str = "The lines at the margin are the records: name, type, value. In your DNS provider's form, \
    the host is what stands before your own domain in the name (for the domain itself: @), and the value goes without \
    its quotation marks; where it has several pairs, they are one value. A TXT record that begins with the same word \
    (v=spf1, v=DMARC1) is replaced, not joined by a second. PTR records cannot be published there: whoever gave you the \
    address sets them. When the old records have expired (often an hour), run this again.";

/// What is said of one check.
struct Say<'a> {
    check: String,
    /// The question, its answer's place and the server.
    seen: &'a [Observation],
}

impl Say<'_> {
    fn asked(&self) -> String {
        let mut asked: Vec<String> = Vec::new();
        for it in self.seen {
            let one = format!("{} at {}", it.question, it.resolver);
            if !asked.contains(&one) {
                asked.push(one);
            }
        }
        asked.join("; ")
    }

    fn line(&self, report: &mut Report<'_>, result: Outcome, detail: &str, remedy: Option<&str>, record: Option<&str>) {
        report.published |= record.is_some();
        let asked = self.asked();
        let asked = Some(asked.as_str()).filter(|it| !it.is_empty());
        report.line(&Line { check: &self.check, result, detail, remedy, asked, record });
    }

    fn fine(&self, report: &mut Report<'_>, detail: &str) {
        self.line(report, Outcome::Fine, detail, None, None);
    }

    fn warning(&self, report: &mut Report<'_>, detail: &str, remedy: &str, record: Option<&str>) {
        self.line(report, Outcome::Warning, detail, Some(remedy), record);
    }

    fn failed(&self, report: &mut Report<'_>, detail: &str, remedy: &str, record: Option<&str>) {
        report.exit = report.exit.max(Exit::Unavailable);
        self.line(report, Outcome::Failed, detail, Some(remedy), record);
    }

    fn unknown(&self, report: &mut Report<'_>) {
        report.exit = report.exit.max(Exit::TryAgain);
        let why = self.seen.iter().find_map(|it| match &it.answer {
            Answer::Unavailable(why) => Some(why.as_str()),
            Answer::Found(_) | Answer::NoRecord | Answer::NoSuchName => None,
        });
        let detail = format!("could not be asked: {}", why.unwrap_or("no answer"));
        self.line(
            report,
            Outcome::Warning,
            &detail,
            Some("try again, or name other servers in evidence.resolvers"),
            None,
        );
    }
}

pub(super) async fn all(report: &mut Report<'_>, config: &Config) {
    let resolver = match Resolver::new(&config.evidence) {
        Ok(resolver) => resolver,
        Err(error) => return report.error("dns", &error, Exit::Unavailable),
    };
    let hosts = hosts(report, config).await;
    let ips: Vec<IpAddr> = hosts.iter().map(|it| it.ip).collect();
    let mut lies_told = false;
    let mut names = Vec::new();
    let texts = Texts::embedded();
    for domain in &config.policy.domains {
        let mut requests = vec![EvidenceRequest::MailHosts(domain.clone()), EvidenceRequest::Dmarc(domain.clone())];
        let of_spf = |ip| EvidenceRequest::Spf { domain: domain.clone(), ip };
        requests.extend(ips.iter().map(|ip| of_spf(Some(*ip))));
        requests.extend(ips.is_empty().then(|| of_spf(None)));
        let selectors = config.evidence.dkim_selectors.iter();
        requests.extend(
            selectors.map(|selector| EvidenceRequest::Dkim { domain: domain.clone(), selector: selector.clone() }),
        );
        let seen = resolver.observe(&requests, Timestamp::now).await;
        if seen.lies.is_some() && !std::mem::replace(&mut lies_told, true) {
            let remedy = "name an honest one in evidence.resolvers; until then nothing is overturned by look-ups";
            report.warning("dns", "the resolver answers for names that do not exist", Some(remedy));
        }
        names.extend(exchangers(&seen.observed, domain));
        of_domain(report, domain, &ips, &seen.observed);
        if config.evidence.dkim_selectors.is_empty() {
            let remedy = "name them in evidence.dkim_selectors: s= in the DKIM-Signature of any mail of yours";
            report.warning(&format!("dkim {domain}"), "the selectors are not known", Some(remedy));
        }
    }
    let mut given = Vec::new();
    for host in &hosts {
        let mut requests = vec![EvidenceRequest::Reverse(host.ip)];
        requests.extend(host.helo.clone().map(|name| EvidenceRequest::Helo { name, ip: host.ip }));
        let zones = config.evidence.blocklists.iter();
        requests.extend(zones.map(|zone| EvidenceRequest::Blocklist { ip: host.ip, zone: zone.clone() }));
        let seen = resolver.observe(&requests, Timestamp::now).await;
        for it in &seen.observed {
            match &it.reading {
                Reading::Reverse(reverse) => {
                    let name = match reverse {
                        Reverse::Missing | Reverse::Unconfirmed(_) => {
                            publishable(&resolver, host, &names, config, &mut given).await
                        }
                        Reverse::Confirmed(_) | Reverse::Unknown => Default::default(),
                    };
                    of_reverse(report, host.ip, reverse, it, &name, &config.policy.domains);
                }
                Reading::Helo(helo) => of_helo(report, host, *helo, it),
                Reading::Blocklist(listing) => of_list(report, host.ip, listing, it, &texts),
                _ => {}
            }
        }
    }
    if config.evidence.blocklists.is_empty() && !hosts.is_empty() {
        let remedy = "name zones in evidence.blocklists whose terms allow you to ask (docs/evidence.md)";
        report.warning("blocklist", "no list is asked", Some(remedy));
    }
    if report.published {
        report.note(HOW_TO_PUBLISH);
    }
}

/// Where our mail leaves from: configured, else learned from the journal's newest bounces.
async fn hosts(report: &mut Report<'_>, config: &Config) -> Vec<SendingHost> {
    let mut hosts: Vec<SendingHost> =
        config.evidence.sending_ips.iter().map(|ip| SendingHost { ip: *ip, helo: None }).collect();
    let domains: Vec<&str> = config.policy.domains.iter().map(String::as_str).collect();
    if let Ok(journal) = Journal::open(&config.journal, Access::Read).await {
        let rows = journal.list(&Filter { limit: BOUNCES, ..Filter::default() }).await.unwrap_or_default();
        for row in rows {
            let Ok(story) = journal.show(&row.id.to_string()).await else { continue };
            let Some(Recognition::Bounce(bounce)) = &story.recognition else { continue };
            for learned in evidence::sending_hosts(&config.evidence, &domains, bounce) {
                match hosts.iter_mut().find(|it| it.ip == learned.ip) {
                    Some(known) => known.helo = known.helo.take().or(learned.helo),
                    None => hosts.push(learned),
                }
            }
        }
        journal.close().await;
    }
    if hosts.is_empty() {
        let remedy = "name the addresses that your mail leaves from in evidence.sending_ips";
        report.warning("sending_ips", "not known, and no bounce in the journal tells", Some(remedy));
    } else if config.evidence.sending_ips.is_empty() {
        let ips: Vec<String> = hosts.iter().map(|it| it.ip.to_string()).collect();
        report.fine("sending_ips", &format!("{}, learned from Received fields", ips.join(", ")));
    }
    hosts
}

/// The hosts of our MX records that lie below the domain.
fn exchangers(observed: &[Observed], domain: &str) -> Vec<String> {
    let below = |name: &&str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let seen = observed.iter().flat_map(|it| &it.observations).filter(|it| it.check == "mx_host");
    seen.filter_map(|it| it.question.split(' ').next()).filter(below).map(str::to_owned).collect()
}

/// The name to give an address, and whether it leads there already: the one in its HELO or a mail
/// host of ours that does, else one that leads nowhere. Where mail is received is not changed.
async fn publishable(
    resolver: &Resolver,
    host: &SendingHost,
    names: &[String],
    config: &Config,
    given: &mut Vec<String>,
) -> (String, bool) {
    let mut candidates: Vec<String> = host.helo.iter().chain(names).cloned().collect();
    let domain = config.policy.domains.first().map_or("", String::as_str);
    candidates.extend(["mail", "smtp", "out", "out1", "out2", "out3"].iter().map(|it| format!("{it}.{domain}")));
    let requests: Vec<EvidenceRequest> =
        candidates.iter().map(|name| EvidenceRequest::Helo { name: name.clone(), ip: host.ip }).collect();
    let seen = resolver.observe(&requests, Timestamp::now).await.observed;
    let leads = seen.iter().position(|it| it.reading == Reading::Helo(Helo::Leads));
    let is_free = |it: &Observed| it.observations.iter().all(|it| it.answer.is_absent());
    let free = || {
        let both = candidates.iter().zip(&seen);
        both.filter(|(name, it)| is_free(it) && !given.contains(name) && !names.contains(name))
            .map(|it| it.0.clone())
            .next()
    };
    let name = leads.and_then(|it| candidates.get(it).cloned()).or_else(free);
    let name = name.unwrap_or_else(|| candidates.last().cloned().unwrap_or_default());
    given.push(name.clone());
    (name, leads.is_some())
}

fn of_domain(report: &mut Report<'_>, domain: &str, ips: &[IpAddr], observed: &[Observed]) {
    let mut spf: Vec<(&Observed, &Spf)> = Vec::new();
    for it in observed {
        let seen = it.observations.as_slice();
        match &it.reading {
            Reading::MailHosts(hosts) => of_mail_hosts(report, domain, *hosts, seen),
            Reading::Spf(one) => spf.push((it, one)),
            Reading::Dkim(dkim) => {
                if let EvidenceRequest::Dkim { selector, .. } = &it.request {
                    of_dkim(report, domain, selector, dkim, seen);
                }
            }
            Reading::Dmarc(dmarc) => of_dmarc(report, domain, dmarc, seen),
            Reading::Reverse(_) | Reading::Helo(_) | Reading::Blocklist(_) | Reading::Port25(_) => {}
        }
    }
    of_spf(report, domain, ips, &spf);
}

fn of_mail_hosts(report: &mut Report<'_>, domain: &str, hosts: MailHosts, seen: &[Observation]) {
    let say = Say { check: format!("mx {domain}"), seen };
    match hosts {
        MailHosts::Mx => {
            let records = seen.first().map(|it| &it.answer);
            let records = records.and_then(|it| if let Answer::Found(it) = it { Some(it.join(", ")) } else { None });
            say.fine(report, &records.unwrap_or_default());
        }
        MailHosts::AddressOnly => {
            let record = format!("{domain}. MX 10 mail.{domain}.");
            say.warning(report, "there is no MX; the domain's own address is used", "publish an MX", Some(&record));
        }
        MailHosts::Missing => {
            say.failed(report, "the domain does not exist", "is it spelt right in `domains`, has it expired?", None);
        }
        MailHosts::NullMx => {
            let record = format!("{domain}. MX 10 mail.{domain}.");
            say.failed(report, "the domain says that it takes no mail", "replace the null MX", Some(&record));
        }
        MailHosts::NoHost => {
            let record = format!("{domain}. MX 10 mail.{domain}.");
            say.failed(report, "no host takes its mail: answers and bounces are lost", "publish an MX", Some(&record));
        }
        MailHosts::Unknown => say.unknown(report),
    }
}

/// One line for the record, whatever the number of addresses.
fn of_spf(report: &mut Report<'_>, domain: &str, ips: &[IpAddr], all: &[(&Observed, &Spf)]) {
    let Some((first, spf)) = all.first() else { return };
    let say = Say { check: format!("spf {domain}"), seen: first.observations.get(..1).unwrap_or_default() };
    if !spf.known {
        return say.unknown(report);
    }
    let publish = |record: &str| format!("{domain}. TXT {}", quoted(record));
    let record = match &spf.records[..] {
        [] => {
            let record = publish(&spf::with_address(None, ips));
            return say.failed(report, "there is no SPF record", "publish one", Some(&record));
        }
        [one] => one.clone(),
        several => {
            let record = publish(&spf::with_address(Some(&spf::merged(several)), ips));
            let detail = format!("there are {} SPF records, so none counts", several.len());
            return say.failed(report, &detail, "delete them all and publish one", Some(&record));
        }
    };
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    let mut unknown = false;
    for (ip, evaluation) in all.iter().filter_map(|(it, spf)| {
        let EvidenceRequest::Spf { ip: Some(ip), .. } = &it.request else { return None };
        Some((*ip, spf.evaluation.as_ref()))
    }) {
        match evaluation.map(|it| (it.result, &it.reason)) {
            Some((SpfResult::Pass, _)) => {}
            Some((SpfResult::TempError, _)) | None => unknown = true,
            Some((result, reason)) => {
                if !wrong.contains(&format!("{result}: {reason}")) {
                    wrong.push(format!("{result}: {reason}"));
                }
                refused.push(ip);
            }
        }
    }
    let too_many = spf.lookups.filter(|it| *it > spf::MOST_LOOKUPS);
    if let Some(count) = too_many {
        wrong.insert(0, format!("it takes {count} look-ups, {} are allowed", spf::MOST_LOOKUPS));
    }
    if wrong.is_empty() {
        if unknown {
            return say.unknown(report);
        }
        if record.split_whitespace().any(|it| it.eq_ignore_ascii_case("+all") || it.eq_ignore_ascii_case("all")) {
            let record = publish(&record.replace("+all", "~all").replace(" all", " ~all"));
            return say.warning(report, "it lets everybody send in your name", "end it with ~all", Some(&record));
        }
        let passes = if ips.is_empty() { String::new() } else { format!("; passes for {}", list(ips)) };
        let lookups = spf.lookups.map(|it| format!("; {it} of {} look-ups", spf::MOST_LOOKUPS)).unwrap_or_default();
        return say.fine(report, &format!("{record}{passes}{lookups}"));
    }
    let sound = spf::without_wrong_terms(&record);
    let fewer = if too_many.is_some() { spf.flattened.clone() } else { Some(sound) };
    let (remedy, record) = match fewer {
        Some(better) => ("replace the record", Some(publish(&spf::with_address(Some(&better), &refused)))),
        None => ("leave out includes that you no longer use: what is left depends on look-ups", None),
    };
    say.failed(report, &wrong.join("; "), remedy, record.as_deref());
}

fn of_dkim(report: &mut Report<'_>, domain: &str, selector: &str, dkim: &Dkim, seen: &[Observation]) {
    let say = Say { check: format!("dkim {domain} {selector}"), seen };
    let record = format!("{selector}._domainkey.{domain}. TXT \"v=DKIM1; k=rsa; p=KEY\"");
    let remedy = "switch DKIM on where your mail is signed, and publish the KEY that it gives";
    match dkim {
        Dkim::Present => say.fine(report, "a key is published"),
        Dkim::Missing => say.failed(report, "there is no key", remedy, Some(&record)),
        Dkim::Revoked => say.failed(report, "the key was withdrawn: p= is empty", remedy, Some(&record)),
        Dkim::Broken(why) => say.failed(report, why, remedy, Some(&record)),
        Dkim::Unknown => say.unknown(report),
    }
}

fn of_dmarc(report: &mut Report<'_>, domain: &str, dmarc: &Dmarc, seen: &[Observation]) {
    let say = Say { check: format!("dmarc {domain}"), seen };
    let record = format!("_dmarc.{domain}. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\"");
    match dmarc {
        Dmarc::Policy(policy) => say.fine(report, &format!("p={policy}")),
        Dmarc::Missing => say.failed(report, "there is no policy", "publish one", Some(&record)),
        Dmarc::Several => {
            say.failed(report, "there are several, so none counts", "delete them all and publish one", Some(&record));
        }
        Dmarc::Broken => say.failed(report, "the record is no policy", "replace it", Some(&record)),
        Dmarc::Unknown => say.unknown(report),
    }
}

fn of_reverse(
    report: &mut Report<'_>,
    ip: IpAddr,
    reverse: &Reverse,
    it: &Observed,
    name: &(String, bool),
    domains: &[String],
) {
    let say = Say { check: format!("ptr {ip}"), seen: &it.observations };
    let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
    let remedy = "ask whoever runs the address (data centre, carrier, cloud) for this name";
    let renamed = || {
        let (name, leads) = name;
        let mut record = format!("{}. PTR {name}.", reverse_name(ip));
        if !leads {
            let _ = write!(record, "\n{name}. {kind} {ip}");
        }
        record
    };
    let is_ours = |name: &str| {
        let below = |domain: &String| name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        domains.iter().any(below)
    };
    match reverse {
        Reverse::Confirmed(name) => say.fine(report, &format!("{name}, which leads back")),
        Reverse::Missing => say.failed(report, "the address has no name", remedy, Some(&renamed())),
        Reverse::Unconfirmed(wrong) if is_ours(wrong) => {
            let record = format!("{wrong}. {kind} {ip}");
            let remedy = "make its name lead to it";
            say.failed(report, &format!("its name {wrong} does not lead back"), remedy, Some(&record));
        }
        Reverse::Unconfirmed(wrong) => {
            let detail = format!("its name {wrong} does not lead back, and is not ours");
            say.failed(report, &detail, remedy, Some(&renamed()));
        }
        Reverse::Unknown => say.unknown(report),
    }
}

fn of_helo(report: &mut Report<'_>, host: &SendingHost, helo: Helo, it: &Observed) {
    let name = host.helo.as_deref().unwrap_or_default();
    let say = Say { check: format!("helo {}", host.ip), seen: &it.observations };
    let kind = if host.ip.is_ipv4() { "A" } else { "AAAA" };
    match helo {
        Helo::Leads => say.fine(report, &format!("{name} leads to the address")),
        Helo::Elsewhere => {
            let record = format!("{name}. {kind} {}", host.ip);
            say.failed(report, &format!("{name} does not lead to the address"), "make it lead there", Some(&record));
        }
        Helo::NoName => {
            let remedy = "have the server greet with its public name (Postfix: smtp_helo_name)";
            say.failed(report, &format!("{name} is no public name"), remedy, None);
        }
        Helo::Unknown => say.unknown(report),
    }
}

fn of_list(report: &mut Report<'_>, ip: IpAddr, listing: &Listing, it: &Observed, texts: &Texts) {
    let EvidenceRequest::Blocklist { zone, .. } = &it.request else { return };
    let say = Say { check: format!("blocklist {ip} {zone}"), seen: &it.observations };
    match listing {
        Listing::NotListed => say.fine(report, "not listed"),
        Listing::Listed(codes) => {
            let place = texts.removal_page(zone).unwrap_or("the page of its operator");
            let remedy = format!("find and stop what sends the spam, then ask for removal: {place}");
            say.failed(report, &format!("listed: {}", codes.join(", ")), &remedy, None);
        }
        Listing::Refused(code) => {
            let remedy = "ask by a resolver of your own, or leave the list out: this is no listing";
            say.warning(report, &format!("the list answers {code}: it refuses to tell"), remedy, None);
        }
        Listing::Unknown => say.unknown(report),
    }
}

fn list(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// RFC 1035 §3.3.14: strings of at most 255 octets, which are read as one.
fn quoted(text: &str) -> String {
    let mut strings = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // Between terms, where there is a blank: so each string can be read by itself.
        let most = rest.floor_char_boundary(255);
        let end = if most < rest.len() {
            rest.get(..most).and_then(|it| it.rfind(' ')).map_or(most, |it| it + 1)
        } else {
            most
        };
        let (one, after) = rest.split_at(end);
        strings.push(format!("\"{}\"", one.replace('"', "\\\"")));
        rest = after;
    }
    strings.join(" ")
}
