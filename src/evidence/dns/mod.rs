//! The only resolver: asks what `EvidenceRequest`s ask, within a budget, each failure harmless.
//!
//! `lookup` asks one question of the name servers, once for all who want to know; `checks` makes
//! the questions of a request and reads the answers; `port25` tries a connection. Names come out
//! of hostile mail: `names` says which are asked at all.

mod checks;
mod lookup;
mod port25;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::{sync::Mutex, time::Instant};

use self::{
    checks::Asking,
    lookup::{Kind, Lookups},
};
use super::{Answer, EvidenceRequest, Observation, Observed, Settings, Verdict};

/// Asks the DNS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Resolver {
    lookups: Arc<Lookups>,
    budget: Duration,
    control: Option<SocketAddr>,
    honesty: Arc<Mutex<Honesty>>,
}

/// Whether the resolver answers for names that cannot exist (`design.md` §8.15).
#[derive(Debug, Default)]
enum Honesty {
    /// Not yet asked, or it did not answer.
    #[default]
    Unknown,
    Honest,
    Lies(Observation),
}

/// What came of all requests about one bounce.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// In the order of the requests.
    pub observed: Vec<Observed>,
    /// Seen at the resolver itself, if it answers for names that cannot exist: nothing of what it
    /// says overturns anything.
    pub lies: Option<Observation>,
}

impl Resolver {
    /// Builds a resolver from `[evidence]`; asks nothing yet.
    ///
    /// # Errors
    /// The system's resolver configuration cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            lookups: Arc::new(Lookups::new(settings)?),
            budget: settings.budget,
            control: settings.probe_control,
            honesty: Arc::default(),
        })
    }

    /// Answers each request with one observation or more, all at once and within the budget.
    pub async fn observe(&self, requests: &[EvidenceRequest], clock: fn() -> Timestamp) -> Evidence {
        if requests.is_empty() {
            return Evidence::default();
        }
        let deadline = Instant::now() + self.budget;
        let asking = Asking { lookups: &self.lookups, deadline, clock, control: self.control };
        let all = join_all(requests.iter().map(|request| asking.answer(request)));
        let (lies, observed) = tokio::join!(self.lies(&asking), all);
        Evidence { observed, lies }
    }

    /// Whether the resolver answers for a name that cannot exist; asked until it is known.
    async fn lies(&self, asking: &Asking<'_>) -> Option<Observation> {
        let mut known = tokio::time::timeout_at(asking.deadline, self.honesty.lock()).await.ok()?;
        match &*known {
            Honesty::Unknown => {}
            Honesty::Honest => return None,
            Honesty::Lies(seen) => return Some(seen.clone()),
        }
        // A name below a domain that is reserved for never existing (RFC 6761 §6.4) would be
        // answered locally; a long name below `com` is what such resolvers catch.
        let name = format!("wb-{:032x}.com", random());
        let seen = asking.question("resolver", &name, &name, Kind::A).await;
        match seen.answer {
            Answer::Found(_) => {
                let seen = Observation { verdict: Verdict::Neutral, ..seen };
                *known = Honesty::Lies(seen.clone());
                Some(seen)
            }
            Answer::NoRecord | Answer::NoSuchName => {
                *known = Honesty::Honest;
                None
            }
            Answer::Unavailable(_) => None,
        }
    }
}

/// Unpredictable enough for a name that nobody has registered; not for secrets.
fn random() -> u128 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_resolver_costs_the_budget_and_no_more() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let settings = Settings {
            budget: Duration::from_millis(400),
            resolvers: vec![silent.local_addr().expect("bound")],
            ..Settings::default()
        };
        let resolver = Resolver::new(&settings).expect("loopback resolver");
        let requests: Vec<EvidenceRequest> =
            (0..40).map(|it| EvidenceRequest::MailHosts(format!("d{it}.example.com"))).collect();
        let started = Instant::now();
        let evidence = resolver.observe(&requests, || Timestamp::UNIX_EPOCH).await;
        assert_eq!(evidence.observed.len(), 40);
        let silent = |it: &Observed| it.observations.iter().all(|it| matches!(it.answer, Answer::Unavailable(_)));
        assert!(evidence.observed.iter().all(silent));
        assert!(started.elapsed() < Duration::from_secs(5), "the deadline was not kept");
        // A server that was silent so often is not waited for again soon.
        let again =
            resolver.observe(&[EvidenceRequest::Dmarc("example.net".to_owned())], || Timestamp::UNIX_EPOCH).await;
        assert!(why_not(&again).contains("no answer to earlier questions"), "{again:?}");
    }

    /// Why the first question was not answered.
    fn why_not(evidence: &Evidence) -> &str {
        match &evidence.observed[0].observations[0].answer {
            Answer::Unavailable(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_budget_ends_the_waiting_even_for_a_server_that_may_take_longer() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let settings = Settings {
            // Less than the least that a server is given.
            budget: Duration::from_millis(20),
            resolvers: vec![silent.local_addr().expect("bound")],
            ..Settings::default()
        };
        let resolver = Resolver::new(&settings).expect("loopback resolver");
        let requests = [EvidenceRequest::Dmarc("example.com".to_owned())];
        let evidence = resolver.observe(&requests, || Timestamp::UNIX_EPOCH).await;
        assert!(why_not(&evidence).contains("time that evidence may take"), "{evidence:?}");
    }

    #[tokio::test]
    async fn what_is_no_public_name_is_never_asked() {
        let watched = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let settings = Settings {
            budget: Duration::from_millis(400),
            resolvers: vec![watched.local_addr().expect("bound")],
            blocklists: vec!["bl.example.com".to_owned()],
            ..Settings::default()
        };
        let resolver = Resolver::new(&settings).expect("loopback resolver");
        // Whether the resolver lies is asked of it in any case.
        *resolver.honesty.lock().await = Honesty::Honest;
        let ip = "10.1.2.3".parse().expect("an address");
        let mut requests: Vec<EvidenceRequest> =
            ["localhost", &"a.b.c".repeat(100), &"x".repeat(300), "10.1.2.3", "[203.0.113.9]", "\u{0}.com"]
                .iter()
                .map(|it| EvidenceRequest::MailHosts((*it).to_owned()))
                .collect();
        requests.push(EvidenceRequest::Reverse(ip));
        requests.push(EvidenceRequest::Blocklist { ip, zone: "bl.example.com".to_owned() });
        requests.push(EvidenceRequest::Helo { name: "localhost".to_owned(), ip });
        let evidence = resolver.observe(&requests, || Timestamp::UNIX_EPOCH).await;
        for it in &evidence.observed {
            assert!(matches!(it.observations[0].answer, Answer::Unavailable(_)), "{it:?}");
        }
        let mut buffer = [0; 512];
        assert!(watched.try_recv(&mut buffer).is_err(), "something was asked");
    }
}
