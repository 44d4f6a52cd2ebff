//! One question to the name servers: each asked once, whoever wants to know, and kept for its TTL.
//!
//! A question runs in a task of its own, so that a bounce whose time is up leaves the answer to
//! the next one. A server that says nothing twice is left alone for a while: a thousand bounces
//! then wait for it no longer.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{RData, Record, RecordType},
    },
    system_conf,
};
use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};

use super::super::{Answer, Settings};

/// Questions under way at one server at once, whatever the number of bounces.
const AT_ONE_SERVER: usize = 16;
/// Servers that are asked; a machine has no more that matter.
const MOST_SERVERS: usize = 3;
/// Silences in a row after which a server is left alone, and for how long.
const MOST_SILENCES: u32 = 2;
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// How long a failure is kept.
const KEEP_FAILURE: Duration = Duration::from_secs(30);
/// How long what is not there is kept where nothing says how long, and at most (RFC 2308 §5).
const KEEP_ABSENT: Duration = Duration::from_mins(1);
const KEEP_ABSENT_MOST: Duration = Duration::from_hours(1);
const KEEP_MOST: Duration = Duration::from_hours(24);
/// Answers kept in memory.
const MOST_KEPT: usize = 4096;
/// Records kept of one answer, and octets of one record; what is more is cut.
const MOST_RECORDS: usize = 16;
const LONGEST_RECORD: usize = 4096;

/// The kinds of records that are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub(super) enum Kind {
    A,
    Aaaa,
    Mx,
    Txt,
    Ptr,
}

impl Kind {
    fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Mx => RecordType::MX,
            Self::Txt => RecordType::TXT,
            Self::Ptr => RecordType::PTR,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Ptr => "PTR",
        }
    }
}

/// An answer, and how it came about.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) answer: Answer,
    /// The names that CNAME records led over, last the one that the records are of.
    pub(super) chain: Vec<String>,
    /// The server that answered, or all that did not.
    pub(super) resolver: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) ms: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    asked: Asked,
    until: Instant,
}

type Slot = watch::Receiver<Option<Kept>>;

/// The name servers, and what they have said.
#[derive(Debug)]
pub(super) struct Lookups {
    servers: Vec<Server>,
    labels: Arc<str>,
    /// How long one server may take for one question.
    patience: Duration,
    kept: Mutex<HashMap<(String, Kind), Slot>>,
}

struct Server {
    label: Arc<str>,
    resolver: TokioResolver,
    slots: Semaphore,
    silences: AtomicU32,
    left_alone_until: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

impl Lookups {
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let broken = |error: NetError| format!("the resolver cannot be set up: {error}");
        let addresses = if settings.resolvers.is_empty() {
            let (config, _) = system_conf::read_system_conf().map_err(broken)?;
            let port = |server: &NameServerConfig| server.connections.first().map_or(53, |it| it.port);
            config.name_servers.iter().map(|it| SocketAddr::new(it.ip, port(it))).collect()
        } else {
            settings.resolvers.clone()
        };
        // Two tries at least fit into the budget, and something is left for what follows from them.
        let patience = (settings.budget * 2 / 5).max(Duration::from_millis(100));
        let servers: Vec<Server> = addresses
            .into_iter()
            .take(MOST_SERVERS)
            .map(|address| Server::new(address, patience))
            .collect::<Result<_, _>>()
            .map_err(broken)?;
        let labels: Vec<&str> = servers.iter().map(|it| &*it.label).collect();
        let labels = if labels.is_empty() { "no name server".into() } else { labels.join(", ").into() };
        Ok(Self { servers, labels, patience, kept: Mutex::default() })
    }

    /// The answer to one question, from memory while it is good; `Unavailable` at the deadline.
    /// `name` is absolute, in A-labels, without its final dot; an answer is kept at least `keep`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        name: &str,
        kind: Kind,
        keep: Duration,
        deadline: Instant,
        clock: fn() -> Timestamp,
    ) -> Asked {
        let mut slot = self.slot(name, kind, keep, clock);
        let kept = timeout_at(deadline, async {
            slot.wait_for(Option::is_some).await.ok().and_then(|it| it.as_ref().map(|it| it.asked.clone()))
        });
        match kept.await {
            Ok(Some(asked)) => asked,
            Ok(None) => self.unavailable("shutting down", clock),
            Err(_) => self.unavailable("no answer within the time that evidence may take", clock),
        }
    }

    pub(super) fn unavailable(&self, why: &str, clock: fn() -> Timestamp) -> Asked {
        let answer = Answer::Unavailable(why.to_owned());
        Asked { answer, chain: Vec::new(), resolver: Arc::clone(&self.labels), at: clock(), ms: 0 }
    }

    /// Where the answer is or will be; asks if nobody has.
    fn slot(self: &Arc<Self>, name: &str, kind: Kind, keep: Duration, clock: fn() -> Timestamp) -> Slot {
        let key = (name.to_owned(), kind);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |slot: &Slot| match &*slot.borrow() {
            Some(it) => it.until > Instant::now(),
            // Under way, unless the task is gone.
            None => slot.has_changed().is_ok(),
        };
        if let Some(slot) = kept.get(&key).filter(|it| good(it)) {
            return slot.clone();
        }
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, slot| good(slot));
            if kept.len() >= MOST_KEPT {
                kept.retain(|_, slot| slot.borrow().is_none());
            }
        }
        let (sender, slot) = watch::channel(None);
        kept.insert(key, slot.clone());
        drop(kept);
        let (this, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            let (asked, ttl) = this.look_up(&name, kind, clock).await;
            // Nobody was troubled: the question may be asked again soon.
            let ttl = ttl.map_or(KEEP_FAILURE, |it| it.max(keep));
            sender.send_replace(Some(Kept { asked, until: Instant::now() + ttl }));
        });
        slot
    }

    /// Asks one server after the other, the only one twice.
    /// With the time that the answer is good for, if anybody was asked.
    async fn look_up(&self, name: &str, kind: Kind, clock: fn() -> Timestamp) -> (Asked, Option<Duration>) {
        let (at, started) = (clock(), Instant::now());
        let mut failure = None;
        let mut was_asked = false;
        let tries = self.servers.iter().chain(self.servers.first().filter(|_| self.servers.len() == 1));
        for server in tries {
            if server.is_left_alone() {
                failure.get_or_insert_with(|| "no answer to earlier questions; asked again in a while".to_owned());
                continue;
            }
            let asked = |answer, chain| Asked {
                answer,
                chain,
                resolver: Arc::clone(&server.label),
                at,
                ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            };
            was_asked = true;
            match server.ask(name, kind, self.patience).await {
                Ok((answer, chain, ttl)) => return (asked(answer, chain), Some(ttl)),
                Err(why) => failure = Some(why),
            }
        }
        let mut asked = self.unavailable(failure.as_deref().unwrap_or("there is no name server"), clock);
        asked.at = at;
        asked.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        (asked, was_asked.then_some(KEEP_FAILURE))
    }
}

impl Server {
    fn new(address: SocketAddr, patience: Duration) -> Result<Self, NetError> {
        let mut server = NameServerConfig::udp_and_tcp(address.ip());
        for connection in &mut server.connections {
            connection.port = address.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options(patience);
        Ok(Self {
            label: address.to_string().into(),
            resolver: builder.build()?,
            slots: Semaphore::new(AT_ONE_SERVER),
            silences: AtomicU32::new(0),
            left_alone_until: Mutex::new(None),
        })
    }

    fn is_left_alone(&self) -> bool {
        let until = *self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|it| Instant::now() < it)
    }

    fn note_silence(&self, silent: bool) {
        if !silent {
            self.silences.store(0, Ordering::Relaxed);
        } else if self.silences.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_SILENCES {
            self.silences.store(0, Ordering::Relaxed);
            let until = Instant::now() + LEFT_ALONE;
            *self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
    }

    /// Answer, CNAME chain and TTL; or why there is no answer.
    async fn ask(&self, name: &str, kind: Kind, patience: Duration) -> Result<(Answer, Vec<String>, Duration), String> {
        let Ok(_slot) = self.slots.acquire().await else { return Err("shutting down".to_owned()) };
        let asked = timeout(patience, self.resolver.lookup(format!("{name}."), kind.record_type())).await;
        let asked = asked.unwrap_or(Err(NetError::Timeout));
        self.note_silence(matches!(asked, Err(NetError::Timeout)));
        match asked {
            Ok(lookup) => Ok(found(lookup.answers(), kind)),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let answer = match none.response_code {
                    ResponseCode::NXDomain => Answer::NoSuchName,
                    ResponseCode::NoError => Answer::NoRecord,
                    other => return Err(code(other)),
                };
                let ttl = none.negative_ttl.map_or(KEEP_ABSENT, |it| Duration::from_secs(it.into()));
                Ok((answer, Vec::new(), ttl.min(KEEP_ABSENT_MOST)))
            }
            Err(NetError::Timeout) => Err("timed out".to_owned()),
            Err(NetError::Dns(DnsError::ResponseCode(other))) => Err(code(other)),
            Err(error) => Err(one_line(&error.to_string())),
        }
    }
}

fn options(patience: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = patience;
    options.attempts = 0;
    // What is kept is kept here, with the time at which it was asked.
    options.cache_size = 0;
    options.edns0 = true;
    options.use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
    options
}

/// The records of the kind at the end of the chain, as text and sorted.
fn found(answers: &[Record], kind: Kind) -> (Answer, Vec<String>, Duration) {
    let mut chain: Vec<String> = Vec::new();
    let mut records = Vec::new();
    let mut ttl = KEEP_MOST;
    for record in answers {
        ttl = ttl.min(Duration::from_secs(record.ttl.into()));
        match &record.data {
            RData::CNAME(target) => chain.push(host(&target.0.to_string())),
            data if record.record_type() == kind.record_type() => records.push(text(data)),
            _ => {}
        }
    }
    chain.truncate(MOST_RECORDS);
    let by_preference = |it: &String| it.split_once(' ').and_then(|it| it.0.parse::<u16>().ok());
    if kind == Kind::Mx {
        records.sort_by_cached_key(|it| (by_preference(it), it.clone()));
    } else {
        records.sort();
    }
    records.dedup();
    records.truncate(MOST_RECORDS);
    let answer = if records.is_empty() { Answer::NoRecord } else { Answer::Found(records) };
    (answer, chain, ttl)
}

fn text(data: &RData) -> String {
    let text = match data {
        // RFC 7208 §3.3, RFC 6376 §3.6.2.2: the strings of a record are one text.
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::MX(mx) => {
            let target = mx.exchange.to_string();
            format!("{} {}", mx.preference, if target == "." { target } else { host(&target) })
        }
        RData::PTR(name) => host(&name.0.to_string()),
        other => other.to_string(),
    };
    let mut kept: String = text.chars().filter(|c| !c.is_control()).collect();
    kept.truncate(kept.floor_char_boundary(LONGEST_RECORD));
    kept
}

/// A host name as people write it.
fn host(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn code(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL: the domain's name servers fail or cannot be reached".to_owned(),
        ResponseCode::Refused => "REFUSED: the name server does not answer for this domain".to_owned(),
        other => one_line(&other.to_string()),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
