//! The questions of each request, and what their answers say together.

use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    super::{
        Answer, Dkim, Dmarc, EvidenceRequest, Helo, Listing, MailHosts, Observation, Observed, Port25, Reading,
        Reverse, Spf, Verdict, names, reading,
        spf::{self, Known, Question},
    },
    lookup::{Asked, Kind, Lookups},
    port25,
};

/// Exchangers, and names of one address, that are followed.
const MOST_HOSTS: usize = 3;
/// Questions that one SPF record may lead to.
const MOST_SPF_QUESTIONS: usize = 60;
/// A list is asked about one address once an hour, whatever TTL it names.
const LIST_AGAIN: Duration = Duration::from_hours(1);

/// One bounce's questions.
pub(super) struct Asking<'a> {
    pub(super) lookups: &'a Arc<Lookups>,
    pub(super) deadline: Instant,
    pub(super) clock: fn() -> Timestamp,
    /// The host whose port 25 is known to answer.
    pub(super) control: Option<SocketAddr>,
}

impl Asking<'_> {
    pub(super) async fn answer(&self, request: &EvidenceRequest) -> Observed {
        let mut seen = Vec::new();
        let reading = match request {
            EvidenceRequest::MailHosts(domain) => Reading::MailHosts(self.mail_hosts(domain, &mut seen).await),
            EvidenceRequest::Reverse(ip) => Reading::Reverse(self.reverse(*ip, &mut seen).await),
            EvidenceRequest::Helo { name, ip } => Reading::Helo(self.helo(name, *ip, &mut seen).await),
            EvidenceRequest::Spf { domain, ip } => Reading::Spf(self.spf(domain, *ip, &mut seen).await),
            EvidenceRequest::Dkim { domain, selector } => Reading::Dkim(self.dkim(domain, selector, &mut seen).await),
            EvidenceRequest::Dmarc(domain) => Reading::Dmarc(self.dmarc(domain, &mut seen).await),
            EvidenceRequest::Blocklist { ip, zone } => Reading::Blocklist(self.blocklist(*ip, zone, &mut seen).await),
            EvidenceRequest::Port25(domain) => Reading::Port25(self.port_25(domain, &mut seen).await),
        };
        Observed { request: request.clone(), observations: seen, reading }
    }

    /// Asks one question about `subject`; what may not be asked comes back unavailable.
    pub(super) async fn question(&self, check: &str, subject: &str, name: &str, kind: Kind) -> Observation {
        self.question_and_chain(check, subject, name, kind).await.0
    }

    async fn question_and_chain(&self, check: &str, subject: &str, name: &str, kind: Kind) -> (Observation, Asked) {
        let asked = match names::askable(name) {
            Ok(ascii) => self.ask(&ascii, kind, Duration::ZERO).await,
            Err(why) => self.lookups.unavailable(why, self.clock),
        };
        (observation(check, subject, format!("{} {}", shown(name), kind.name()), &asked), asked)
    }

    async fn ask(&self, name: &str, kind: Kind, keep: Duration) -> Asked {
        self.lookups.ask(name, kind, keep, self.deadline, self.clock).await
    }

    /// MX with the addresses of its hosts; where there is none A and AAAA (RFC 5321 §5.1).
    async fn mail_hosts(&self, domain: &str, seen: &mut Vec<Observation>) -> MailHosts {
        let (mx, asked) = self.question_and_chain("mx", domain, domain, Kind::Mx).await;
        let answer = mx.answer.clone();
        seen.push(mx);
        if !asked.chain.is_empty() {
            let chain = Asked { answer: Answer::Found(asked.chain.clone()), ..asked };
            seen.push(observation("cname", domain, format!("{} CNAME", shown(domain)), &chain));
        }
        match answer {
            Answer::NoSuchName | Answer::Unavailable(_) => {}
            Answer::NoRecord => seen.extend(self.addresses("address", domain, domain).await),
            Answer::Found(records) => {
                let hosts = reading::exchangers(&records);
                let looked = hosts.iter().take(MOST_HOSTS).map(|host| self.addresses("mx_host", domain, host));
                seen.extend(join_all(looked).await.into_iter().flatten());
            }
        }
        reading::mail_hosts(seen)
    }

    /// A, and where there is none AAAA.
    async fn addresses(&self, check: &str, subject: &str, host: &str) -> Vec<Observation> {
        let mut observations = vec![self.question(check, subject, host, Kind::A).await];
        if observations.iter().all(|it| reading::addresses(&it.answer).is_empty()) {
            observations.push(self.question(check, subject, host, Kind::Aaaa).await);
        }
        observations
    }

    /// PTR, and whether one of its names leads back (RFC 1912 §2.1).
    async fn reverse(&self, ip: IpAddr, seen: &mut Vec<Observation>) -> Reverse {
        let (subject, name) = (ip.to_string(), names::reverse_name(ip));
        let asked = if names::is_public(ip) {
            self.ask(&name, Kind::Ptr, Duration::ZERO).await
        } else {
            self.lookups.unavailable("not a public address", self.clock)
        };
        seen.push(observation("ptr", &subject, format!("{name} PTR"), &asked));
        if let Answer::Found(found) = &asked.answer {
            let looked = found.iter().take(MOST_HOSTS).map(|host| self.question("fcrdns", &subject, host, family(ip)));
            seen.extend(join_all(looked).await);
        }
        reading::reverse(seen)
    }

    async fn helo(&self, name: &str, ip: IpAddr, seen: &mut Vec<Observation>) -> Helo {
        let it = self.question("helo", &ip.to_string(), name, family(ip)).await;
        let helo = reading::helo(&it);
        seen.push(it);
        helo
    }

    /// The record, its result for our address, and its look-ups counted to the end.
    async fn spf(&self, domain: &str, ip: Option<IpAddr>, seen: &mut Vec<Observation>) -> Spf {
        let mut txt = self.question("spf", domain, domain, Kind::Txt).await;
        let mut spf = Spf { known: !matches!(txt.answer, Answer::Unavailable(_)), ..Spf::default() };
        if let Answer::Found(texts) = &txt.answer {
            spf.records = texts.iter().filter(|it| spf::is_record(it)).cloned().collect();
        }
        if spf.known {
            let ascii = names::askable(domain).unwrap_or_default();
            let mut known = Known::new();
            known.insert(Question::Txt(ascii.clone()), txt.answer.clone());
            if let Some(ip) = ip {
                spf.evaluation = self.until_known(&mut known, |known| spf::evaluate(&ascii, ip, known)).await;
            }
            spf.lookups = self.until_known(&mut known, |known| spf::lookups(&ascii, known)).await.flatten();
            if let [record] = &spf.records[..] {
                spf.flattened = spf::flattened(&ascii, record, &known);
            }
            txt.answer = if spf.records.is_empty() {
                Answer::NoRecord
            } else {
                Answer::Found(spf.records.iter().cloned().chain(reading::spf_summary(&spf, ip)).collect())
            };
        }
        seen.push(txt);
        spf
    }

    /// Asks what a pure evaluation wants to know until it comes to an end.
    async fn until_known<T>(&self, known: &mut Known, evaluate: impl Fn(&Known) -> Result<T, Question>) -> Option<T> {
        for _ in 0..MOST_SPF_QUESTIONS {
            let question = match evaluate(known) {
                Ok(done) => return Some(done),
                Err(question) => question,
            };
            let (name, kind) = match &question {
                Question::Txt(name) => (name.clone(), Kind::Txt),
                Question::A(name) => (name.clone(), Kind::A),
                Question::Aaaa(name) => (name.clone(), Kind::Aaaa),
                Question::Mx(name) => (name.clone(), Kind::Mx),
                Question::Ptr(ip) => (names::reverse_name(*ip), Kind::Ptr),
            };
            let answer = match (&question, names::askable(&name)) {
                (Question::Ptr(_), _) => self.ask(&name, kind, Duration::ZERO).await.answer,
                (_, Ok(ascii)) => self.ask(&ascii, kind, Duration::ZERO).await.answer,
                // RFC 7208 §4.3: a name that cannot be asked is one that does not exist.
                (_, Err(_)) => Answer::NoSuchName,
            };
            known.insert(question, answer);
        }
        None
    }

    async fn dkim(&self, domain: &str, selector: &str, seen: &mut Vec<Observation>) -> Dkim {
        let name = format!("{selector}._domainkey.{domain}");
        let it = self.question("dkim", domain, &name, Kind::Txt).await;
        let dkim = reading::dkim(&it.answer);
        seen.push(it);
        dkim
    }

    /// RFC 7489 §6.6.3: where the domain itself has no record, its organisation's counts.
    async fn dmarc(&self, domain: &str, seen: &mut Vec<Observation>) -> Dmarc {
        let organisation = psl::domain_str(domain).filter(|it| *it != domain);
        let mut dmarc = Dmarc::Unknown;
        for place in [Some(domain), organisation].into_iter().flatten() {
            let it = self.question("dmarc", domain, &format!("_dmarc.{place}"), Kind::Txt).await;
            dmarc = reading::dmarc(&it.answer);
            seen.push(it);
            if dmarc != Dmarc::Missing {
                break;
            }
        }
        dmarc
    }

    async fn blocklist(&self, ip: IpAddr, zone: &str, seen: &mut Vec<Observation>) -> Listing {
        let name = names::listed_name(ip, zone);
        let mut asked = if names::is_public(ip) {
            self.ask(&name, Kind::A, LIST_AGAIN).await
        } else {
            self.lookups.unavailable("not a public address", self.clock)
        };
        let listing = reading::listing(&asked.answer);
        if let Listing::Refused(code) = &listing {
            asked.answer = Answer::Unavailable(format!("the list answers {code}, which is no listing"));
        }
        seen.push(observation("blocklist", &ip.to_string(), format!("{name} A"), &asked));
        listing
    }

    async fn port_25(&self, domain: &str, seen: &mut Vec<Observation>) -> Port25 {
        let mut looked = Vec::new();
        self.mail_hosts(domain, &mut looked).await;
        let address = looked.iter().filter(|it| it.check == "mx_host" || it.check == "address");
        let address = address.flat_map(|it| reading::addresses(&it.answer)).next();
        let started = Instant::now();
        let (port, answer) = match (address, self.control) {
            (None, _) => (Port25::Unknown, Answer::Unavailable("no address to try".to_owned())),
            (_, None) => (Port25::Unknown, Answer::Unavailable("no control host is configured".to_owned())),
            (Some(address), Some(control)) => {
                let port = port25::probe(address, control, self.deadline).await;
                let answer = match port {
                    Port25::Open => Answer::Found(vec![format!("{address} answers")]),
                    Port25::Closed => Answer::NoRecord,
                    Port25::Unknown => Answer::Unavailable("the control host cannot be reached either".to_owned()),
                };
                (port, answer)
            }
        };
        let shown_address = address.map_or_else(|| shown(domain), |it| it.to_string());
        let mut asked = self.lookups.unavailable("", self.clock);
        asked.answer = answer;
        asked.resolver = "connection".into();
        asked.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        seen.push(observation("port_25", domain, format!("{shown_address} port 25"), &asked));
        port
    }
}

fn observation(check: &str, subject: &str, question: String, asked: &Asked) -> Observation {
    Observation {
        check: check.to_owned(),
        subject: subject.to_owned(),
        question,
        answer: asked.answer.clone(),
        verdict: Verdict::Neutral,
        resolver: asked.resolver.to_string(),
        at: asked.at,
        ms: asked.ms,
    }
}

/// A name that was not asked may be anything.
fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(255).collect()
}

fn family(ip: IpAddr) -> Kind {
    if ip.is_ipv4() { Kind::A } else { Kind::Aaaa }
}
