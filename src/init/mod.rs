//! What `init` needs to know before there is a configuration: where a domain's servers are, what
//! their refusals mean at this provider, and the files that it writes in the end.
//!
//! The dialogue itself is `cli::init`. Providers are data (`catalogue/providers.toml`); `check`
//! asks them for remedies, too.

mod autoconfig;
mod draft;
mod files;
mod find;
mod names;
mod provider;

pub use self::{
    draft::{Draft, Secret, Secrets},
    files::{Target, Written, is_only_comments},
    find::{Finder, Servers},
    provider::{Provider, Providers, Trouble},
};

use crate::net::TlsMode;

/// One server as a person names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// Host name or address literal.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: TlsMode,
}

impl Server {
    /// `HOST` or `HOST:PORT`; without a port the first of `usual`. Which TLS follows from the
    /// port: 143, 25 and 587 speak it after STARTTLS, or not at all on this machine itself.
    ///
    /// # Errors
    /// Not a host, or not a port; in words.
    pub fn parse(text: &str, usual: u16) -> Result<Self, String> {
        let text = text.trim();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let number = port.parse().ok().filter(|&it: &u16| it > 0);
                (host, number.ok_or_else(|| format!("`{port}` is not a port; expected HOST or HOST:PORT"))?)
            }
            _ => (text, usual),
        };
        let host = crate::config::host_name(host).map_err(|why| format!("{why}; expected HOST or HOST:PORT"))?;
        let tls = match port {
            25 | 143 | 587 if crate::config::is_loopback(&host) => TlsMode::None,
            25 | 143 | 587 => TlsMode::StartTls,
            _ => TlsMode::Implicit,
        };
        Ok(Self { host, port, tls })
    }

    /// `host:port`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The word of the configuration.
    #[must_use]
    pub fn tls_word(&self) -> &'static str {
        match self.tls {
            TlsMode::Implicit => "implicit",
            TlsMode::StartTls => "starttls",
            TlsMode::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        let server = |text| Server::parse(text, 993).map(|it| (it.place(), it.tls));
        assert_eq!(server("imap.example.cn"), Ok(("imap.example.cn:993".into(), TlsMode::Implicit)));
        assert_eq!(server(" imap.example.cn:143 "), Ok(("imap.example.cn:143".into(), TlsMode::StartTls)));
        assert_eq!(server("127.0.0.1:143"), Ok(("127.0.0.1:143".into(), TlsMode::None)));
        for text in ["", "a b", "imap.example.cn:0", "imap.example.cn:imap", "http://x.example"] {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
