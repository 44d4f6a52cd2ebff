//! The answers of `init`, and the configuration that they make. Pure.
//!
//! One text serves twice: with its secrets in variables it is read by `config::parse`, so that the
//! servers are tried with exactly what the daemon would use; with its secrets in files it is written.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{Provider, Server};

/// How a login proves itself.
#[derive(Clone, Debug)]
pub enum Secret {
    /// Typed, or from the environment: `init` writes it into a file of its own.
    Password(SecretString),
    /// Stays in this file of the administrator's.
    PasswordFile(PathBuf),
    /// A person has agreed by the device flow.
    RefreshToken {
        /// The token itself.
        token: SecretString,
        /// The application's id.
        client_id: String,
        /// The organisation.
        tenant: String,
        /// Where tokens come from, if not where the provider has them.
        token_url: Option<String>,
    },
}

/// Where the text has its secrets from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secrets {
    /// From variables that `Draft::variable` answers: to try it.
    InVariables,
    /// From files beside the configuration: to keep it.
    InFiles,
}

/// Everything that was answered so far.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The company's mail domains.
    pub domains: Vec<String>,
    /// The provider, where it is one we know.
    pub provider: Option<&'static Provider>,
    /// Where mailboxes are read; `None` with `maildir`.
    pub imap: Option<Server>,
    /// Where mail is handed in; `None` with `directory`.
    pub smtp: Option<Server>,
    /// A company's own CA.
    pub ca_file: Option<PathBuf>,
    /// The IMAP server's own certificate.
    pub imap_fingerprint: Option<String>,
    /// The submission server's own certificate.
    pub smtp_fingerprint: Option<String>,
    /// A Maildir instead of an IMAP account.
    pub maildir: Option<PathBuf>,
    /// A directory for `.eml` files instead of a submission server.
    pub directory: Option<PathBuf>,
    /// The login of the mailbox.
    pub user: String,
    /// Its secret.
    pub secret: Option<Secret>,
    /// The folders to watch.
    pub folders: Vec<String>,
    /// The login of the submission server; `None`: it takes us without.
    pub smtp_user: Option<String>,
    /// Its secret, if it is another than the mailbox's.
    pub smtp_secret: Option<Secret>,
    /// The sender of explanations.
    pub from: String,
    /// `zh-CN`, `en`, `auto`, `both`.
    pub language: String,
    /// `dry_run`, `redirect`, `live`.
    pub mode: String,
    /// Who gets everything in `redirect` mode.
    pub redirect_to: Option<String>,
    /// Where people ask.
    pub helpdesk: Option<String>,
    /// Name servers, if not this machine's.
    pub resolvers: Vec<SocketAddr>,
    /// The journal, if not where packages have it.
    pub journal: Option<String>,
}

/// The mailbox's secret beside the configuration.
const MAILBOX: &str = "mailbox";
/// The submission server's, if it has its own.
const SMTP: &str = "smtp";

impl Draft {
    /// The text of the configuration.
    #[must_use]
    pub fn text(&self, secrets: Secrets) -> String {
        let mut out = Lines(String::from(
            "# Written by `whybounced init`. Every key, with its default and why: docs/configuration.md\n\
             # (/usr/share/doc/whybounced/docs/configuration.md). After a change: whybounced check\n",
        ));
        out.list("domains", &self.domains);
        out.text("language", &self.language);
        out.raw("\n[[mailbox]]");
        if let Some(maildir) = &self.maildir {
            out.text("maildir", &maildir.display().to_string());
        }
        if let Some(imap) = &self.imap {
            self.server(&mut out, imap, (993, 143), self.imap_fingerprint.as_deref());
            out.text("user", &self.user);
            if let Some(secret) = &self.secret {
                credentials(&mut out, secret, MAILBOX, secrets, self.provider);
            }
            if !(self.folders.is_empty() || self.folders.len() == 1 && self.folders[0] == "INBOX") {
                out.list("folder", &self.folders);
            }
        }
        out.raw("\n[smtp]");
        if let Some(directory) = &self.directory {
            out.text("directory", &directory.display().to_string());
        }
        if let Some(smtp) = &self.smtp {
            self.server(&mut out, smtp, (465, 587), self.smtp_fingerprint.as_deref());
            if let Some(user) = &self.smtp_user {
                out.text("user", user);
                match (&self.smtp_secret, &self.secret) {
                    (Some(own), _) => credentials(&mut out, own, SMTP, secrets, self.provider),
                    (None, Some(shared)) => credentials(&mut out, shared, MAILBOX, secrets, self.provider),
                    (None, None) => {}
                }
            }
        }
        out.text("from", &self.from);
        if let Some(helpdesk) = &self.helpdesk {
            out.raw("\n[reply]");
            out.text("helpdesk", helpdesk);
        }
        out.raw("\n[policy]");
        match self.mode.as_str() {
            "dry_run" => out.raw("# Nothing is sent: `whybounced journal list` shows what would be. Then \"live\"."),
            "redirect" => out.raw("# Everything goes to redirect_to alone. Then \"live\"."),
            _ => {}
        }
        out.text("mode", &self.mode);
        if let Some(to) = &self.redirect_to {
            out.text("redirect_to", to);
        }
        out.raw("# Hosts that send for you: they speak for a message being yours.");
        out.list("our_servers", &self.our_servers());
        if !self.resolvers.is_empty() {
            out.raw("\n[evidence]");
            out.list("resolvers", &self.resolvers.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        if let Some(journal) = &self.journal {
            out.raw("\n[journal]");
            out.text("url", journal);
        }
        out.0
    }

    fn server(&self, out: &mut Lines, server: &Server, (implicit, other): (u16, u16), pin: Option<&str>) {
        out.text("host", &server.host);
        let usual_tls = if server.tls_word() == "implicit" { implicit } else { other };
        if server.port != usual_tls {
            out.raw(&format!("port = {}", server.port));
        }
        if server.tls_word() != "implicit" || server.port == other || server.port == 25 {
            out.text("tls", server.tls_word());
        }
        if let (Some(ca), true) = (&self.ca_file, server.tls_word() != "none") {
            out.text("ca_file", &ca.display().to_string());
        }
        if let (Some(pin), true) = (pin, server.tls_word() != "none") {
            out.text("tls_fingerprint", pin);
        }
    }

    /// The provider's hosts, or every host of our own domains.
    fn our_servers(&self) -> Vec<String> {
        match self.provider.and_then(|it| it.our_servers.clone()) {
            Some(preset) => vec![preset],
            None => self.domains.iter().map(|domain| format!(".{domain}")).collect(),
        }
    }

    /// The secrets, by the name of their variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let secret = match name {
            "WHYBOUNCED_INIT_MAILBOX" => self.secret.as_ref(),
            "WHYBOUNCED_INIT_SMTP" => self.smtp_secret.as_ref(),
            _ => None,
        }?;
        Some(typed(secret)?.expose_secret().to_owned())
    }

    /// The files that hold the secrets, by name, beside the configuration.
    #[must_use]
    pub fn secret_files(&self) -> BTreeMap<String, SecretString> {
        let mut files = BTreeMap::new();
        for (secret, stem) in [(&self.secret, MAILBOX), (&self.smtp_secret, SMTP)] {
            if let Some(secret) = secret
                && let Some(value) = typed(secret)
            {
                files.insert(file_name(secret, stem), value.clone());
            }
        }
        files
    }
}

fn typed(secret: &Secret) -> Option<&SecretString> {
    match secret {
        Secret::Password(it) => Some(it),
        Secret::RefreshToken { token, .. } => Some(token),
        Secret::PasswordFile(_) => None,
    }
}

fn file_name(secret: &Secret, stem: &str) -> String {
    match secret {
        Secret::Password(_) | Secret::PasswordFile(_) => format!("{stem}.password"),
        Secret::RefreshToken { .. } => format!("{stem}.refresh-token"),
    }
}

fn credentials(out: &mut Lines, secret: &Secret, stem: &str, secrets: Secrets, provider: Option<&Provider>) {
    let variable = format!("WHYBOUNCED_INIT_{}", stem.to_uppercase());
    match (secret, secrets) {
        (Secret::PasswordFile(path), _) => out.text("password_file", &path.display().to_string()),
        (Secret::Password(_), Secrets::InVariables) => out.text("password_env", &variable),
        (Secret::Password(_), Secrets::InFiles) => out.text("password_file", &file_name(secret, stem)),
        (Secret::RefreshToken { client_id, tenant, token_url, .. }, _) => {
            let mut fields = match (token_url, provider.and_then(|it| it.oauth.as_ref())) {
                (Some(url), _) => vec![("token_url", url.clone())],
                (None, Some(word)) => vec![("provider", word.clone()), ("tenant", tenant.clone())],
                (None, None) => Vec::new(),
            };
            fields.push(("client_id", client_id.clone()));
            fields.push(match secrets {
                Secrets::InVariables => ("refresh_token_env", variable),
                Secrets::InFiles => ("refresh_token_file", file_name(secret, stem)),
            });
            let fields: Vec<String> = fields.iter().map(|(key, text)| format!("{key} = {}", quoted(text))).collect();
            out.raw(&format!("oauth2 = {{ {} }}", fields.join(", ")));
        }
    }
}

/// TOML, line by line.
struct Lines(String);

impl Lines {
    fn raw(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.raw(&format!("{key} = {}", quoted(text)));
    }

    fn list(&mut self, key: &str, texts: &[String]) {
        let texts: Vec<String> = texts.iter().map(|it| quoted(it)).collect();
        self.raw(&format!("{key} = [{}]", texts.join(", ")));
    }
}

/// A basic string of TOML, whatever was typed.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::{self, Config},
        init::Providers,
        net::{Login, TlsMode},
        outbound::Route,
        source::Place,
    };

    fn draft() -> Draft {
        Draft {
            domains: vec!["corp.example.cn".to_owned()],
            imap: Server::parse("imap.corp.example.cn", 993).ok(),
            smtp: Server::parse("smtp.corp.example.cn:587", 465).ok(),
            user: "bounces@corp.example.cn".to_owned(),
            secret: Some(Secret::Password("a\"b\\ 42".to_owned().into())),
            folders: vec!["INBOX".to_owned(), "异常邮件".to_owned()],
            smtp_user: Some("bounces@corp.example.cn".to_owned()),
            from: "退信说明 <bounces@corp.example.cn>".to_owned(),
            language: "auto".to_owned(),
            mode: "dry_run".to_owned(),
            helpdesk: Some("IT 服务台\n\"8001\"".to_owned()),
            ..Draft::default()
        }
    }

    fn read(draft: &Draft) -> Config {
        let text = draft.text(Secrets::InVariables);
        config::parse(&text, Path::new("/etc/whybounced/config.toml"), config::Secrets::Read, &|name| {
            draft.variable(name)
        })
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn what_was_answered_is_what_the_daemon_reads() {
        let config = read(&draft());
        let Place::Imap { endpoint, login: Login::Password { user, password }, folders, .. } =
            &config.mailboxes[0].place
        else {
            panic!("an IMAP account with a password")
        };
        assert_eq!((endpoint.place().as_str(), endpoint.tls), ("imap.corp.example.cn:993", TlsMode::Implicit));
        assert_eq!((user.as_str(), password.expose_secret()), ("bounces@corp.example.cn", "a\"b\\ 42"));
        assert_eq!(folders, &["INBOX", "异常邮件"]);
        let Route::Smtp { endpoint, login: Some(Login::Password { password, .. }), .. } = &config.outbound.route else {
            panic!("a submission server with a login")
        };
        assert_eq!((endpoint.port, endpoint.tls), (587, TlsMode::StartTls));
        assert_eq!(password.expose_secret(), "a\"b\\ 42");
        assert_eq!(config.reply.helpdesk.as_deref(), Some("IT 服务台\n\"8001\""));
    }

    #[test]
    fn no_secret_stands_in_the_file_that_is_written() {
        let draft = draft();
        let text = draft.text(Secrets::InFiles);
        assert!(!text.contains("42"), "{text}");
        assert_eq!(text.matches("password_file = \"mailbox.password\"").count(), 2, "{text}");
        let files: Vec<String> = draft.secret_files().into_keys().collect();
        assert_eq!(files, ["mailbox.password"]);
        assert!(!format!("{draft:?}").contains("42"), "no Debug shows it");
    }

    #[test]
    fn each_preset_makes_a_configuration() {
        for provider in Providers::embedded().expect("the shipped table").iter() {
            let secret = match &provider.oauth {
                Some(_) => Secret::RefreshToken {
                    token: "t0ken".to_owned().into(),
                    client_id: "app".to_owned(),
                    tenant: "corp.example.cn".to_owned(),
                    token_url: None,
                },
                None => Secret::Password("p".to_owned().into()),
            };
            let draft = Draft {
                provider: Some(provider),
                imap: provider.imap(),
                smtp: provider.smtp(),
                secret: Some(secret),
                smtp_user: (!provider.is_local()).then(|| "bounces@corp.example.cn".to_owned()),
                ..draft()
            };
            let config = read(&draft);
            assert!(config.warnings.is_empty(), "{:?}", config.warnings);
            assert!(!config.policy.our_servers.is_empty(), "{}", provider.id);
        }
    }

    #[test]
    fn a_maildir_and_a_directory_need_no_server() {
        let draft = Draft {
            imap: None,
            smtp: None,
            smtp_user: None,
            maildir: Some("/var/mail/bounces".into()),
            directory: Some("/tmp/out".into()),
            journal: Some("sqlite:journal.db".to_owned()),
            resolvers: vec!["192.0.2.53:53".parse().expect("an address")],
            mode: "redirect".to_owned(),
            redirect_to: Some("it@corp.example.cn".to_owned()),
            ..draft()
        };
        let config = read(&draft);
        assert!(matches!(config.mailboxes[0].place, Place::Maildir(_)));
        assert!(matches!(config.outbound.route, Route::Directory(_)));
        assert_eq!(config.evidence.resolvers, draft.resolvers);
    }
}
