//! What can be checked live about a diagnosis, and what the answers mean for it.
//!
//! Pure but for `dns`, the only resolver and the only I/O here: `ask` says what is worth asking,
//! `dns` asks, `reading`, `spf` and `near_miss` understand the answers, `weigh` draws the
//! conclusions. Nothing that goes wrong here keeps an explanation from being sent.

mod ask;
pub mod dns;
mod names;
mod near_miss;
mod reading;
pub mod spf;
mod weigh;

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use ask::{SendingHost, Side, requests, sending_hosts};
pub use names::reverse_name;
pub use near_miss::{Acquaintances, Wanted, suggest, wanted};
pub use reading::{Dkim, Dmarc, Helo, Listing, MailHosts, Observed, Port25, Reading, Reverse, Spf};
pub use weigh::weigh;

/// A question worth asking about a bounce.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub enum EvidenceRequest {
    /// MX and the addresses of its hosts, else A and AAAA, of the recipient's domain; null MX
    /// (RFC 7505).
    MailHosts(String),
    /// PTR of our sending address, confirmed by the forward look-up.
    Reverse(IpAddr),
    /// Whether the name that our server gives in HELO leads to its address.
    Helo {
        /// The name.
        name: String,
        /// The address that the connection came from.
        ip: IpAddr,
    },
    /// The SPF record of our domain, and what it says of our sending address (RFC 7208).
    Spf {
        /// The domain of our reverse-path.
        domain: String,
        /// Our sending address, where known.
        ip: Option<IpAddr>,
    },
    /// A DKIM key of our domain (RFC 6376 §3.6.2).
    Dkim {
        /// The domain that signs.
        domain: String,
        /// The selector.
        selector: String,
    },
    /// The DMARC record of our domain (RFC 7489 §6.6.3).
    Dmarc(String),
    /// Whether a list names our sending address (RFC 5782).
    Blocklist {
        /// The address.
        ip: IpAddr,
        /// The list's zone.
        zone: String,
    },
    /// Whether port 25 of the recipient's mail host can be reached from here.
    Port25(String),
}

/// One check that was made, with all that is needed to repeat it. The JSON of `diagnose --evidence`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The check's name: `mx`, `address`, `ptr`, `blocklist`, … (`docs/evidence.md`).
    pub check: String,
    /// What it is about: a domain or an address.
    pub subject: String,
    /// The question asked: `buyer.example.cn MX`.
    pub question: String,
    /// What came back; "no such record" and "could not ask" never look alike.
    pub answer: Answer,
    /// What it means for the diagnosis.
    pub verdict: Verdict,
    /// Who answered: a name server's `IP:port`, `catalogue` or `sent mail`.
    pub resolver: String,
    /// When it was asked; before the bounce where an answer was still good.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "detail")]
pub enum Answer {
    /// Records, in presentation form.
    Found(Vec<String>),
    /// The name exists and has no such record (NODATA).
    NoRecord,
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// Nobody could be asked, or nothing came back in time.
    Unavailable(String),
}

impl Answer {
    /// Whether it is certain that there is no such record.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NoRecord | Self::NoSuchName)
    }
}

/// What an observation means for the diagnosis.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Agrees with the diagnosis, or has made it.
    Confirms,
    /// Speaks against it.
    Contradicts,
    /// Neither.
    Neutral,
}

/// A diagnosis with what was checked about it; the cause may have changed in the weighing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What the report said of the recipient.
    pub report: crate::bounce::RecipientReport,
    /// Why it failed, after weighing.
    pub diagnosis: crate::diagnosis::Diagnosis,
    /// What was checked, in order.
    pub observations: Vec<Observation>,
}

/// `[evidence]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether anything is asked.
    pub enabled: bool,
    /// Time for all questions about one bounce.
    pub budget: std::time::Duration,
    /// Resolvers to ask; empty: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Blocklist zones to ask about our addresses.
    pub blocklists: Vec<String>,
    /// The addresses that our mail leaves from.
    pub sending_ips: Vec<IpAddr>,
    /// DKIM selectors of our domains.
    pub dkim_selectors: Vec<String>,
    /// Whether the remote port 25 is tried.
    pub probe_port_25: bool,
    /// A host whose port 25 is known to answer: without its answer a failed probe says nothing.
    pub probe_control: Option<SocketAddr>,
}

impl Default for Settings {
    /// As without `[evidence]`.
    fn default() -> Self {
        Self {
            enabled: true,
            budget: std::time::Duration::from_secs(5),
            resolvers: Vec::new(),
            blocklists: Vec::new(),
            sending_ips: Vec::new(),
            dkim_selectors: Vec::new(),
            probe_port_25: false,
            probe_control: None,
        }
    }
}
