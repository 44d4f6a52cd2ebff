//! Where a domain's IMAP and submission servers are: its MX hosts tell the provider; else SRV
//! records (RFC 6186 §3, RFC 8314 §5.1), the domain's own autoconfig file, this machine, the usual names.
//!
//! Only the domain's own name servers and hosts are asked; nobody else is told of it.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::{Provider, Providers, Server, autoconfig, names::Names};
use crate::net::{self, Endpoint, TlsMode};

/// How long a host may take to open a port, or to hand over a file.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found, and how.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// The provider, where it is one we know.
    pub provider: Option<&'static Provider>,
    /// Where mailboxes are read.
    pub imap: Option<Server>,
    /// Where mail is handed in.
    pub smtp: Option<Server>,
    /// How that is known, for people: `MX mxbiz1.qq.com`.
    pub how: String,
}

impl Servers {
    /// A provider's own servers.
    #[must_use]
    pub fn of(provider: &'static Provider, how: impl Into<String>) -> Self {
        Self { provider: Some(provider), imap: provider.imap(), smtp: provider.smtp(), how: how.into() }
    }
}

/// Asks around.
pub struct Finder<'a> {
    names: Names,
    providers: &'a Providers,
    autoconfig: Option<(Endpoint, String)>,
}

impl<'a> Finder<'a> {
    /// `resolvers` empty: this machine's. `autoconfig`: where the file lies, if not at the usual places.
    #[must_use]
    pub fn new(providers: &'a Providers, resolvers: &[SocketAddr], autoconfig: Option<(Endpoint, String)>) -> Self {
        Self { names: Names::new(resolvers), providers, autoconfig }
    }

    /// Everything that can be found, the best first answer; `Servers::default()` if nothing.
    pub async fn find(&self, domain: &str) -> Servers {
        if let Some(found) = self.by_mx(domain).await {
            return found;
        }
        if let Some(found) = self.by_srv(domain).await {
            return found;
        }
        if let Some(found) = self.by_autoconfig(domain).await {
            return found;
        }
        if let Some(found) = self.here().await {
            return found;
        }
        self.by_usual_names(domain).await
    }

    async fn by_mx(&self, domain: &str) -> Option<Servers> {
        let records = self.names.mail_exchangers(domain).await;
        // `10 mxbiz1.qq.com.`
        let mut hosts = records.iter().filter_map(|record| record.split_whitespace().last());
        let (host, provider) = hosts.find_map(|it| Some((it, self.providers.by_mx(it)?)))?;
        Some(Servers::of(provider, format!("MX {}", host.trim_end_matches('.'))))
    }

    async fn by_srv(&self, domain: &str) -> Option<Servers> {
        let (imaps, imap, submissions, submission) = tokio::join!(
            self.service(domain, "_imaps._tcp", TlsMode::Implicit),
            self.service(domain, "_imap._tcp", TlsMode::StartTls),
            self.service(domain, "_submissions._tcp", TlsMode::Implicit),
            self.service(domain, "_submission._tcp", TlsMode::StartTls),
        );
        let (imap, smtp) = (imaps.or(imap), submissions.or(submission));
        let provider = imap.as_ref().and_then(|it| self.providers.by_host(&it.host)).filter(|it| !it.is_local());
        imap.is_some().then(|| Servers { provider, imap, smtp, how: format!("SRV records of {domain}") })
    }

    /// The first of a service's hosts by priority (RFC 2782); a target of `.` means that there is none.
    async fn service(&self, domain: &str, service: &str, tls: TlsMode) -> Option<Server> {
        let records = self.names.services(&format!("{service}.{domain}")).await;
        records.iter().find_map(|record| srv(record, tls))
    }

    async fn by_autoconfig(&self, domain: &str) -> Option<Servers> {
        let usual = [
            (format!("autoconfig.{domain}"), "/mail/config-v1.1.xml".to_owned()),
            (domain.to_owned(), "/.well-known/autoconfig/mail/config-v1.1.xml".to_owned()),
        ];
        let places: Vec<(Endpoint, String)> = match &self.autoconfig {
            Some(place) => vec![place.clone()],
            None => usual.into_iter().map(|(host, path)| (https(host), path)).collect(),
        };
        for (endpoint, path) in places {
            let Ok((200, body)) = net::http::get(&endpoint, &path).await else { continue };
            let (imap, smtp) = autoconfig::read(&String::from_utf8_lossy(&body), domain);
            if let Some(imap) = imap {
                let provider = self.providers.by_host(&imap.host).filter(|it| !it.is_local());
                return Some(Servers {
                    provider,
                    imap: Some(imap),
                    smtp,
                    how: format!("autoconfig at {}", endpoint.host),
                });
            }
        }
        None
    }

    /// Dovecot and Postfix, or their like, on this machine.
    async fn here(&self) -> Option<Servers> {
        let local = self.providers.iter().find(|it| it.is_local())?;
        let found = Servers::of(local, "its open IMAP port");
        opens(found.imap.as_ref()?).await.then_some(found)
    }

    async fn by_usual_names(&self, domain: &str) -> Servers {
        let at = |places: [&str; 4]| places.map(|place| place.replace('@', domain));
        let imap = first_open(at(["imap.@:993", "mail.@:993", "imap.@:143", "mail.@:143"]));
        let smtp = first_open(at(["smtp.@:465", "mail.@:465", "smtp.@:587", "mail.@:587"]));
        let (imap, smtp) = tokio::join!(imap, smtp);
        Servers { provider: None, imap, smtp, how: "the usual names".to_owned() }
    }
}

fn https(host: String) -> Endpoint {
    Endpoint { host, port: 443, tls: TlsMode::Implicit, ca_file: None, tls_fingerprint: None, timeout: PATIENCE }
}

/// `priority weight port target`.
fn srv(record: &str, tls: TlsMode) -> Option<Server> {
    let mut fields = record.split_whitespace().skip(2);
    let (port, target) = (fields.next()?, fields.next()?);
    let server = Server::parse(&format!("{}:{port}", target.trim_end_matches('.')), 1).ok()?;
    Some(Server { tls, ..server })
}

async fn first_open(places: [String; 4]) -> Option<Server> {
    for place in places {
        let Ok(server) = Server::parse(&place, 1) else { continue };
        if opens(&server).await {
            return Some(server);
        }
    }
    None
}

async fn opens(server: &Server) -> bool {
    let connect = TcpStream::connect((server.host.as_str(), server.port));
    matches!(timeout(PATIENCE, connect).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_record_names_a_server_or_none() {
        let server = srv("10 0 993 imap.corp.example.cn.", TlsMode::StartTls).expect("a server");
        assert_eq!((server.place().as_str(), server.tls), ("imap.corp.example.cn:993", TlsMode::StartTls));
        for record in ["0 0 0 .", "0 0 993 .", "", "0 0 993", "0 0 x a.example."] {
            assert_eq!(srv(record, TlsMode::Implicit), None, "{record}");
        }
    }
}
