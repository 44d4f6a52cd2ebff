//! Two questions about a domain before there is a configuration: its MX hosts, and a service's.
//!
//! `evidence::dns` asks about bounces, on record and with verdicts; here a plain list is enough.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RecordType,
};
use tokio::time::timeout;

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records taken of one answer.
const MOST_RECORDS: usize = 32;

/// Asks the DNS.
pub(super) struct Names(Option<TokioResolver>);

impl Names {
    /// `servers` empty: this machine's. Without any, every answer is empty.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio().ok()
        } else {
            let servers = servers.iter().map(|address| {
                let mut server = NameServerConfig::udp_and_tcp(address.ip());
                for connection in &mut server.connections {
                    connection.port = address.port();
                }
                server
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            Some(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let resolver = builder.and_then(|mut builder| {
            let options = builder.options_mut();
            options.timeout = PATIENCE / 2;
            options.attempts = 1;
            builder.build().ok()
        });
        Self(resolver)
    }

    /// `10 mx1.example.cn.`, the best first.
    pub(super) async fn mail_exchangers(&self, domain: &str) -> Vec<String> {
        self.ask(domain, RecordType::MX).await
    }

    /// `0 1 993 imap.example.cn.` of `_imaps._tcp.example.cn` (RFC 2782).
    pub(super) async fn services(&self, name: &str) -> Vec<String> {
        self.ask(name, RecordType::SRV).await
    }

    /// What is there, by its first number; nothing where nothing is, or nobody answers.
    async fn ask(&self, name: &str, kind: RecordType) -> Vec<String> {
        let Ok(ascii) = idna::domain_to_ascii(name.trim_end_matches('.')) else { return Vec::new() };
        let Some(resolver) = &self.0 else { return Vec::new() };
        let Ok(Ok(lookup)) = timeout(PATIENCE, resolver.lookup(format!("{ascii}."), kind)).await else {
            return Vec::new();
        };
        let records = lookup.answers().iter().filter(|record| record.record_type() == kind);
        let mut found: Vec<String> = records.take(MOST_RECORDS).map(|record| record.data.to_string()).collect();
        let first = |record: &String| record.split_whitespace().next().and_then(|it| it.parse::<u16>().ok());
        found.sort_by_key(|record| first(record).unwrap_or(u16::MAX));
        found
    }
}
