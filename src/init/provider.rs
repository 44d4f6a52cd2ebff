//! Mail providers and what their refusals mean: `catalogue/providers.toml`. Pure.

use serde::Deserialize;

use super::Server;
use crate::catalogue;

/// One provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// As `--provider` takes it.
    pub id: String,
    /// As people know it.
    pub name: String,
    #[serde(default)]
    mx: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    imap: String,
    smtp: String,
    /// For `policy.our_servers`: `preset:…`.
    pub our_servers: Option<String>,
    /// How to come by a password that programs may use.
    pub app_password: String,
    /// Where IMAP is switched on.
    pub imap_switch: String,
    /// The word of config's `oauth2.provider`, where a device flow is offered.
    pub oauth: Option<String>,
    /// Where the device flow begins (RFC 8628 §3.1); `{tenant}` stands for the organisation.
    pub device_url: Option<String>,
    /// Where its tokens come from.
    pub token_url: Option<String>,
    /// What is asked for.
    pub scope: Option<String>,
}

impl Provider {
    /// Where mailboxes are read.
    #[must_use]
    pub fn imap(&self) -> Option<Server> {
        Server::parse(&self.imap, 993).ok()
    }

    /// Where mail is handed in.
    #[must_use]
    pub fn smtp(&self) -> Option<Server> {
        Server::parse(&self.smtp, 465).ok()
    }

    /// Whether this is Dovecot and Postfix on this very machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.id == "local"
    }
}

/// What a refusal's words mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    provider: Option<String>,
    words: Vec<String>,
    because: String,
    remedy: Option<String>,
    #[serde(default)]
    see: Vec<See>,
}

/// A remedy that each provider words for itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum See {
    AppPassword,
    ImapSwitch,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    provider: Vec<Provider>,
    refusal: Vec<Refusal>,
}

/// Why a server would not have us, in one sentence, and what to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// The cause.
    pub because: String,
    /// The provider's own remedy, or the general one.
    pub remedy: String,
}

/// All providers.
#[derive(Clone, Debug)]
pub struct Providers {
    table: &'static Table,
}

impl Providers {
    /// The shipped table; `None` only if it is broken, which a test excludes.
    #[must_use]
    pub fn embedded() -> Option<Self> {
        static TABLE: std::sync::LazyLock<Option<Table>> =
            std::sync::LazyLock::new(|| catalogue::table("providers.toml").ok());
        TABLE.as_ref().map(|table| Self { table })
    }

    /// In the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &'static Provider> {
        self.table.provider.iter()
    }

    /// By its id.
    #[must_use]
    pub fn by_id(&self, id: &str) -> Option<&'static Provider> {
        self.iter().find(|it| it.id.eq_ignore_ascii_case(id))
    }

    /// Whose MX host this is.
    #[must_use]
    pub fn by_mx(&self, host: &str) -> Option<&'static Provider> {
        self.iter().find(|it| it.mx.iter().any(|pattern| is_below(host, pattern)))
    }

    /// Whose IMAP or submission server this is.
    #[must_use]
    pub fn by_host(&self, host: &str) -> Option<&'static Provider> {
        let loopback = crate::config::is_loopback(host);
        self.iter().find(|it| it.hosts.iter().any(|pattern| is_below(host, pattern)) || it.is_local() && loopback)
    }

    /// What the words of a refused login mean at this provider; `None`: nothing is known of them.
    #[must_use]
    pub fn trouble(&self, provider: Option<&Provider>, words: &str) -> Option<Trouble> {
        let words = words.to_lowercase();
        let of = |row: &&Refusal, id: Option<&str>| {
            row.provider.as_deref() == id && row.words.iter().any(|it| words.contains(it.as_str()))
        };
        let own = provider.and_then(|it| self.table.refusal.iter().find(|row| of(row, Some(&it.id))));
        let row = own.or_else(|| self.table.refusal.iter().find(|row| of(row, None)))?;
        let told = row.see.iter().map(|see| match (see, provider) {
            (See::AppPassword, Some(provider)) => provider.app_password.as_str(),
            (See::ImapSwitch, Some(provider)) => provider.imap_switch.as_str(),
            (See::AppPassword, None) => {
                "check both; many providers want an app password (授权码, 客户端专用密码), which the web mail makes"
            }
            (See::ImapSwitch, None) => "switch IMAP on in the web mail's settings",
        });
        let remedy = row.remedy.clone().unwrap_or_else(|| told.collect::<Vec<_>>().join("; or "));
        Some(Trouble { because: row.because.clone(), remedy })
    }
}

/// Whether `host` is `pattern`, or below it where that begins with a dot.
fn is_below(host: &str, pattern: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if pattern.starts_with('.') { host.ends_with(pattern) } else { host == pattern }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TlsMode;

    fn providers() -> Providers {
        Providers::embedded().expect("the shipped table")
    }

    #[test]
    fn the_shipped_table_is_sound() {
        catalogue::written::<Table>("providers.toml");
        for it in providers().iter() {
            let (imap, smtp) = (it.imap().expect(&it.id), it.smtp().expect(&it.id));
            assert!(it.is_local() || (imap.tls == TlsMode::Implicit && smtp.tls != TlsMode::None), "{}", it.id);
            assert!(
                it.is_local() || providers().by_host(&imap.host).is_some_and(|found| found.id == it.id),
                "{}",
                it.id
            );
            assert_eq!(it.oauth.is_some(), it.device_url.is_some() && it.token_url.is_some() && it.scope.is_some());
        }
        let ids: Vec<&str> = providers().iter().map(|it| it.id.as_str()).collect();
        for row in &providers().table.refusal {
            assert!(row.provider.as_deref().is_none_or(|id| ids.contains(&id)), "{row:?}");
            assert!(row.remedy.is_some() == row.see.is_empty(), "either a remedy or where to look: {row:?}");
            assert!(row.words.iter().all(|it| *it == it.to_lowercase()), "{row:?}");
        }
    }

    #[test]
    fn a_provider_is_known_by_its_mail_exchangers() {
        for (mx, id) in [
            ("mx1.qiye.aliyun.com.", Some("aliyun")),
            ("mxn.mxhichina.com.", Some("aliyun")),
            ("mxbiz1.qq.com.", Some("exmail")),
            ("qiye163mx02.mxmail.netease.com", Some("netease")),
            ("corp-example-cn.mail.protection.outlook.com.", Some("microsoft365")),
            ("corp-example-cn.mail.protection.partner.outlook.cn.", Some("vianet21")),
            ("ASPMX.L.GOOGLE.COM.", Some("google")),
            ("mx.263.net", Some("263")),
            ("mx.corp.example.cn", None),
            ("notgoogle.com", None),
        ] {
            assert_eq!(providers().by_mx(mx).map(|it| it.id.as_str()), id, "{mx}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_the_provider_s_own_remedy() {
        let all = providers();
        for (id, words, because, remedy) in [
            ("netease", "SELECT: Unsafe Login. Please contact kefu@188.com for help", "distrusts", "web mail"),
            ("exmail", "Login fail. Please using authorized code to login", "app password", "客户端专用密码"),
            ("exmail", "Login fail. Account is abnormal, service is not open", "switched off", "IMAP/SMTP 服务"),
            ("google", "Application-specific password required (Failure)", "app password", "apppasswords"),
            ("google", "Your account is not enabled for IMAP use.", "switched off", "Forwarding and POP/IMAP"),
            ("google", "Please log in via your web browser", "blocked", "browser"),
            ("microsoft365", "LOGIN failed.", "no password", "--oauth-client-id"),
            ("vianet21", "AUTHENTICATE failed.", "no password", "portal.azure.cn"),
            ("aliyun", "[AUTHENTICATIONFAILED] wrong", "not right", "三方客户端安全密码"),
            ("local", "[AUTHENTICATIONFAILED] Authentication failed.", "not right", "doveadm"),
            ("263", "second factor needed", "two-step", "客户端授权码"),
            ("coremail", "logins too many failed", "locked", "hour"),
        ] {
            let trouble = all.trouble(all.by_id(id), words).unwrap_or_else(|| panic!("{words}"));
            assert!(trouble.because.contains(because), "{words}: {trouble:?}");
            assert!(trouble.remedy.contains(remedy), "{words}: {trouble:?}");
        }
        assert!(all.trouble(None, "[AUTHENTICATIONFAILED] no").is_some_and(|it| it.remedy.contains("授权码")));
        assert_eq!(all.trouble(None, "the moon is full"), None);
    }
}
