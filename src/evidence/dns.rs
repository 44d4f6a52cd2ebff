//! The only resolver: asks what `EvidenceRequest`s ask, within a budget, each failure harmless.
//!
//! Answers are cached by hickory for their TTL, so that a thousand bounces of one outage ask each
//! question once. Names come out of hostile mail: `askable` says which are asked at all.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::NetError,
    net::runtime::TokioRuntimeProvider,
    proto::rr::RecordType,
};
use jiff::Timestamp;
use tokio::{sync::Semaphore, time::timeout_at};

use super::{Answer, EvidenceRequest, Observation, Settings, Verdict};

/// Questions under way at once, whatever the number of bounces.
const CONCURRENT_QUESTIONS: usize = 16;
/// Records kept of one answer; a longer one is cut.
const MOST_RECORDS: usize = 16;

/// Asks the DNS. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
    /// As shown to the reader: `IP:port`, or `system`.
    label: Arc<str>,
    budget: Duration,
    slots: Arc<Semaphore>,
    /// Whether names that cannot exist are answered (`design.md` §8.15); `None`: not yet asked.
    lying: Arc<Mutex<Option<bool>>>,
}

impl Resolver {
    /// Builds a resolver from `[evidence]`; asks nothing yet.
    ///
    /// # Errors
    /// The system's resolver configuration cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let broken = |error: NetError| format!("the resolver cannot be set up: {error}");
        let (mut builder, label) = if settings.resolvers.is_empty() {
            (TokioResolver::builder_tokio().map_err(broken)?, "system".to_owned())
        } else {
            let servers = settings.resolvers.iter().map(|address| {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                server
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            let labels: Vec<String> = settings.resolvers.iter().map(ToString::to_string).collect();
            (TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()), labels.join(", "))
        };
        let options = builder.options_mut();
        options.timeout = (settings.budget / 3).max(Duration::from_millis(200));
        options.attempts = 2;
        options.cache_size = 4096;
        options.edns0 = true;
        Ok(Self {
            inner: builder.build().map_err(broken)?,
            label: label.into(),
            budget: settings.budget,
            slots: Arc::new(Semaphore::new(CONCURRENT_QUESTIONS)),
            lying: Arc::new(Mutex::new(None)),
        })
    }

    /// Answers each request with one observation or more, all within the budget.
    pub async fn observe(&self, requests: &[EvidenceRequest], clock: impl Fn() -> Timestamp) -> Vec<Observation> {
        let deadline = tokio::time::Instant::now() + self.budget;
        let mut observations = Vec::new();
        for request in requests {
            match request {
                EvidenceRequest::MailHosts(domain) => {
                    self.mail_hosts(domain, deadline, &clock, &mut observations).await;
                }
            }
        }
        observations
    }

    /// MX, and where there is none A and AAAA (RFC 5321 §5.1).
    async fn mail_hosts(
        &self,
        domain: &str,
        deadline: tokio::time::Instant,
        clock: &impl Fn() -> Timestamp,
        observations: &mut Vec<Observation>,
    ) {
        let mx = self.ask("mx", domain, RecordType::MX, deadline, clock).await;
        let more = matches!(mx.answer, Answer::NoRecord);
        observations.push(mx);
        if more {
            for record_type in [RecordType::A, RecordType::AAAA] {
                let address = self.ask("address", domain, record_type, deadline, clock).await;
                let found = matches!(address.answer, Answer::Found(_));
                observations.push(address);
                if found {
                    break;
                }
            }
        }
    }

    /// Whether the resolver answers for names that cannot exist; asked once.
    pub async fn lies(&self) -> bool {
        if let Some(known) = self.lying.lock().ok().and_then(|it| *it) {
            return known;
        }
        // A random left label below a domain that is reserved for never existing (RFC 6761 §6.4)
        // would be answered locally; a long name below `com` is what such resolvers catch.
        let name = format!("wb-{:032x}.com.", fastrand());
        let deadline = tokio::time::Instant::now() + self.budget;
        let verdict = match timeout_at(deadline, self.inner.lookup(name, RecordType::A)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) if error.is_nx_domain() => false,
            // Could not be asked: nothing is known, ask again next time.
            _ => return false,
        };
        if let Ok(mut known) = self.lying.lock() {
            *known = Some(verdict);
        }
        verdict
    }

    async fn ask(
        &self,
        check: &str,
        name: &str,
        record_type: RecordType,
        deadline: tokio::time::Instant,
        clock: &impl Fn() -> Timestamp,
    ) -> Observation {
        let started = Instant::now();
        let answer = match askable(name) {
            Err(why) => Answer::Unavailable(why.to_owned()),
            Ok(ascii) => match timeout_at(deadline, self.lookup(&ascii, record_type)).await {
                Ok(answer) => answer,
                Err(_) => Answer::Unavailable("deadline".to_owned()),
            },
        };
        Observation {
            check: check.to_owned(),
            subject: name.to_owned(),
            question: format!("{name} {record_type}"),
            answer,
            verdict: Verdict::Neutral,
            resolver: self.label.to_string(),
            at: clock(),
            ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    async fn lookup(&self, ascii: &str, record_type: RecordType) -> Answer {
        let Ok(_slot) = self.slots.acquire().await else {
            return Answer::Unavailable("shutting down".to_owned());
        };
        match self.inner.lookup(format!("{ascii}."), record_type).await {
            Ok(lookup) => {
                let mut records: Vec<String> = lookup
                    .answers()
                    .iter()
                    .filter(|record| record.record_type() == record_type)
                    .map(|record| record.data.to_string().chars().filter(|c| !c.is_control()).take(512).collect())
                    .collect();
                records.sort();
                records.truncate(MOST_RECORDS);
                if records.is_empty() { Answer::NoRecord } else { Answer::Found(records) }
            }
            Err(error) if error.is_nx_domain() => Answer::NoSuchName,
            Err(error) if error.is_no_records_found() => Answer::NoRecord,
            Err(error) => Answer::Unavailable(one_line(&error.to_string())),
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// Unpredictable enough for a name that nobody has registered; not for secrets.
fn fastrand() -> u128 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

/// The A-label form of a name that may be asked of a public resolver, or why not: address
/// literals, single labels, reserved names and names that no DNS holds are never asked.
fn askable(name: &str) -> Result<String, &'static str> {
    let ascii = idna::domain_to_ascii(name).map_err(|_| "not a domain name")?;
    let name = ascii.trim_end_matches('.');
    let labels: Vec<&str> = name.split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    if name.len() > 253 || labels.len() > 20 || labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return Err("not a domain name");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err("not a domain name");
    }
    if labels.len() < 2 || top.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a public name");
    }
    // RFC 6761 §6, RFC 6762 §3, RFC 8375 §4: names that mean something only at home.
    if matches!(top, "localhost" | "local" | "internal" | "onion" | "arpa" | "lan" | "home") {
        return Err("not a public name");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_not_asked() {
        for name in [
            "localhost",
            "a",
            "127.0.0.1",
            "10.0.0.1",
            "x.local",
            "",
            "a..b",
            &"a.".repeat(100),
            &"a".repeat(300),
            "bad name.com",
        ] {
            assert!(askable(name).is_err(), "{name}");
        }
        assert_eq!(askable("例子.中国").as_deref(), Ok("xn--fsqu00a.xn--fiqs8s"));
        assert_eq!(askable("Buyer.Example.CN.").as_deref(), Ok("buyer.example.cn"));
    }

    #[tokio::test]
    async fn a_silent_resolver_costs_the_budget_and_no_more() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let settings = Settings {
            enabled: true,
            budget: Duration::from_millis(300),
            resolvers: vec![silent.local_addr().expect("bound")],
            blocklists: Vec::new(),
            sending_ips: Vec::new(),
            dkim_selectors: Vec::new(),
            probe_port_25: false,
        };
        let resolver = Resolver::new(&settings).expect("loopback resolver");
        let started = Instant::now();
        let request = EvidenceRequest::MailHosts("buyer.example.com".to_owned());
        let observed = resolver.observe(&[request], || Timestamp::UNIX_EPOCH).await;
        assert!(matches!(&observed[..], [one] if matches!(one.answer, Answer::Unavailable(_))));
        assert!(started.elapsed() < Duration::from_secs(5), "the deadline was not kept");
    }
}
