//! What can be checked live about a diagnosis, and what the answers mean for it.
//!
//! This file and `weigh` are pure; `dns` is the only resolver and the only I/O here.

pub mod dns;
mod weigh;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use weigh::{requests, weigh};

/// A question worth asking about a bounce.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
pub enum EvidenceRequest {
    /// MX, else A and AAAA, of the recipient's domain; null MX (RFC 7505).
    MailHosts(String),
}

/// One check that was made, with all that is needed to repeat it. The JSON of `diagnose --evidence`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The check's name: `mx`, `address`, `ptr`, `blocklist`, …
    pub check: String,
    /// What it is about: a domain or an address.
    pub subject: String,
    /// The question asked: `buyer.example.cn MX`.
    pub question: String,
    /// What came back; "no such record" and "could not ask" never look alike.
    pub answer: Answer,
    /// What it means for the diagnosis.
    pub verdict: Verdict,
    /// The resolver that answered: `IP:port` or `system`.
    pub resolver: String,
    /// When.
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

/// What an observation means for the diagnosis.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Agrees with the diagnosis.
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
    pub resolvers: Vec<std::net::SocketAddr>,
    /// Blocklist zones to ask about our addresses.
    pub blocklists: Vec<String>,
    /// The addresses that our mail leaves from.
    pub sending_ips: Vec<std::net::IpAddr>,
    /// DKIM selectors of our domains.
    pub dkim_selectors: Vec<String>,
    /// Whether the remote port 25 is tried.
    pub probe_port_25: bool,
}
