//! The servers, the login, the folders: asked, tried, and tried again with what was mended.

use std::{env, time::Duration};

use super::{Dialogue, Exit, Failure, ask::Ask, look::look, refused, token};
use crate::{
    config::{self, Config},
    init::{Finder, Secret, Server, Servers, Trouble},
    mail::{Mailbox as Address, Role},
    net::TlsMode,
    review::printable,
    source::{After, Error, Kind, Mailbox, Place, Settings, Survey},
};

/// Nobody sits before a terminal for longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Providers lock accounts: no third try of a login (`design.md` §3).
const REFUSALS: u32 = 2;
/// Folders that collect bounces beside the inbox.
const TELLTALE: &[&str] = &["junk", "spam", "bulk", "垃圾", "异常邮件"];

/// Which server is asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    Imap,
    Smtp,
}

impl Dialogue<'_> {
    /// Where mailboxes are read and mail is handed in.
    pub(super) async fn servers(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        self.draft.maildir.clone_from(&self.args.maildir);
        self.draft.directory.clone_from(&self.args.directory);
        let found = self.find(ask).await?;
        self.draft.provider = found.provider;
        if self.draft.maildir.is_none() {
            let server = self.server(ask, Which::Imap, self.args.imap.as_deref(), found.imap.as_ref())?;
            self.draft.imap = Some(server);
        }
        if self.draft.directory.is_none() {
            let server = self.server(ask, Which::Smtp, self.args.smtp.as_deref(), found.smtp.as_ref())?;
            self.draft.smtp = Some(server);
        }
        if self.draft.provider.is_none() {
            self.draft.provider = self.draft.imap.as_ref().and_then(|it| self.providers.by_host(&it.host));
        }
        Ok(())
    }

    async fn find(&self, ask: &mut Ask<'_>) -> Result<Servers, Failure> {
        if let Some(id) = &self.args.provider {
            return match self.providers.by_id(id) {
                Some(provider) => Ok(Servers::of(provider, "--provider")),
                None => {
                    let known: Vec<&str> = self.providers.iter().map(|it| it.id.as_str()).collect();
                    Err(Failure::new(Exit::Usage, format!("there is no provider `{id}`"))
                        .hint(format!("--provider takes {}", known.join(", "))))
                }
            };
        }
        let has_way_in = self.args.maildir.is_some() || self.args.imap.is_some();
        let has_way_out = self.args.directory.is_some() || self.args.smtp.is_some();
        let Some(domain) = self.draft.domains.first().filter(|_| !(has_way_in && has_way_out)) else {
            return Ok(Servers::default());
        };
        let autoconfig = self.args.autoconfig.as_deref().map(config::url).transpose();
        let autoconfig = autoconfig.map_err(|why| Failure::new(Exit::Usage, format!("--autoconfig: {why}")))?;
        ask.heading(&format!("Looking for the servers of {domain}"))?;
        let found = Finder::new(&self.providers, &self.args.resolver, autoconfig).find(domain).await;
        let name = found.provider.map_or("", |it| it.name.as_str());
        match (&found.imap, found.provider) {
            (Some(_), Some(_)) => ask.say(&format!("  {name}, known by {}", found.how))?,
            (Some(_), None) => ask.say(&format!("  known by {}", found.how))?,
            (None, _) => ask.say("  not found: neither MX, SRV nor autoconfig tell, and no usual name answers")?,
        }
        Ok(found)
    }

    /// A server as given, or as found, or as typed; the id of a provider stands for its server.
    fn server(
        &self,
        ask: &mut Ask<'_>,
        which: Which,
        given: Option<&str>,
        found: Option<&Server>,
    ) -> Result<Server, Failure> {
        let (name, flag, usual, tls) = match which {
            Which::Imap => ("IMAP", "--imap", 993, self.args.imap_tls),
            Which::Smtp => ("SMTP", "--smtp", 465, self.args.smtp_tls),
        };
        let mut given = given.map(str::to_owned);
        loop {
            let default = found.map(Server::place);
            let text = match given.take() {
                Some(text) => text,
                None => ask.text(&format!("{name} server, HOST or HOST:PORT"), flag, default.as_deref())?,
            };
            let of_provider = self.providers.by_id(&text).and_then(|it| match which {
                Which::Imap => it.imap(),
                Which::Smtp => it.smtp(),
            });
            // What was found knows its TLS better than its port does.
            let known = of_provider.or_else(|| found.filter(|it| it.place() == text).cloned());
            match known.map_or_else(|| Server::parse(&text, usual), Ok) {
                Ok(server) => return Ok(Server { tls: tls.map_or(server.tls, Into::into), ..server }),
                Err(why) => refused(ask, &why, "the provider's help page names it")?,
            }
        }
    }

    /// The server once more, after it did not do: its TLS mode is asked, too.
    pub(super) fn server_again(
        &self,
        ask: &mut Ask<'_>,
        which: Which,
        last: Option<&Server>,
    ) -> Result<Server, Failure> {
        let mut server = self.server(ask, which, None, last)?;
        let (flag, given) = match which {
            Which::Imap => ("--imap-tls", self.args.imap_tls),
            Which::Smtp => ("--smtp-tls", self.args.smtp_tls),
        };
        if given.is_none() {
            let words = ["implicit", "starttls", "none"];
            server.tls = match ask.choice("Its TLS", flag, &words, server.tls_word())?.as_str() {
                "implicit" => TlsMode::Implicit,
                "starttls" => TlsMode::StartTls,
                _ => TlsMode::None,
            };
        }
        Ok(server)
    }

    /// Login, folders, and what lies in them.
    pub(super) async fn mailbox(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        ask.heading("The mailbox where bounces arrive")?;
        if self.draft.maildir.is_none()
            && let Some(provider) = self.draft.provider.filter(|it| !it.is_local())
        {
            ask.say(&format!("  {}: {}.", provider.name, provider.app_password))?;
        }
        self.draft.from = self.sender();
        let (mut mailbox, survey) = self.open(ask).await?;
        if self.draft.maildir.is_none() {
            self.folders(ask, &survey)?;
            let config = self.config()?;
            mailbox.close().await;
            mailbox = Mailbox::new(self.trial(&config)?);
            if let Err(error) = mailbox.connect().await {
                return ask.trouble(&error.place, &self.meaning(&error), "");
            }
        }
        let config = self.config()?;
        look(ask, &mut mailbox, &self.draft, &config).await?;
        mailbox.close().await;
        Ok(())
    }

    /// A connection that works. What is wrong is asked again: the login if that was refused, else the server.
    async fn open(&mut self, ask: &mut Ask<'_>) -> Result<(Mailbox, Survey), Failure> {
        let (mut refusals, mut again) = (0, false);
        loop {
            if self.draft.maildir.is_none() && self.draft.secret.is_none() {
                self.login(ask, again).await?;
            }
            let config = self.config()?;
            let mut mailbox = Mailbox::new(self.trial(&config)?);
            let error = match survey(&mut mailbox).await {
                Ok(survey) => {
                    if let Some(Err(text)) = survey.folders.first().map(|it| &it.1) {
                        return Err(self.shut(ask, text));
                    }
                    ask.say(&format!("  {}", opened(&config, &survey)))?;
                    return Ok((mailbox, survey));
                }
                Err(error) => error,
            };
            mailbox.close().await;
            ask.trouble(
                &error.place,
                &self.meaning(&error),
                if error.kind == Kind::LoginRefused { &error.reason } else { "" },
            )?;
            if self.draft.maildir.is_some() {
                let text = ask.text("Maildir", "--maildir", None)?;
                self.draft.maildir = Some(text.into());
            } else if error.kind == Kind::LoginRefused {
                refusals += 1;
                if refusals >= REFUSALS {
                    return Err(Failure::new(Exit::Unavailable, "the login was refused twice").hint(
                        "providers lock accounts after more: mend it as told above, then begin again; nothing was written",
                    ));
                }
                self.draft.secret = None;
            } else {
                self.draft.imap = Some(self.server_again(ask, Which::Imap, self.draft.imap.as_ref())?);
            }
            again = true;
        }
    }

    /// The login is good, and yet the inbox does not open: no other answer would help.
    fn shut(&self, ask: &mut Ask<'_>, text: &str) -> Failure {
        let (words, hint) = crate::cli::exit::split_hint(text);
        let place = self.draft.imap.as_ref().map(Server::place).unwrap_or_default();
        match ask.trouble(&place, &self.trouble(words, hint), words) {
            Err(failure) => failure,
            Ok(()) => Failure::new(Exit::Unavailable, "the inbox cannot be opened").hint("nothing was written"),
        }
    }

    /// User and secret.
    async fn login(&mut self, ask: &mut Ask<'_>, again: bool) -> Result<(), Failure> {
        let args = self.args;
        let usual = self.draft.domains.first().map(|domain| format!("bounces@{domain}"));
        let usual = if self.draft.user.is_empty() { usual } else { Some(self.draft.user.clone()) };
        self.draft.user = match args.user.as_ref().filter(|_| !again) {
            Some(user) => user.clone(),
            None => ask.text("Login", "--user", usual.as_deref())?,
        };
        self.draft.from = self.sender();
        let variable = env::var("WHYBOUNCED_PASSWORD").ok().filter(|it| !it.is_empty() && !again);
        let by_token = args.oauth_client_id.is_some() || self.draft.provider.is_some_and(|it| it.oauth.is_some());
        self.draft.secret = Some(match (&args.password_file, variable) {
            (Some(path), _) if !again => Secret::PasswordFile(absolute(path)?),
            (_, Some(password)) => Secret::Password(password.into()),
            _ if by_token => token::agree(ask, args, &self.draft).await?,
            _ => Secret::Password(ask.secret("Password", "--password-file or WHYBOUNCED_PASSWORD")?),
        });
        Ok(())
    }

    fn folders(&mut self, ask: &mut Ask<'_>, survey: &Survey) -> Result<(), Failure> {
        let known = &survey.all_folders;
        ask.say(&format!("  folders: {}", printable(&known.join(", "))))?;
        let junk = known.iter().filter(|name| TELLTALE.iter().any(|word| name.to_lowercase().contains(word)));
        let usual: Vec<String> = std::iter::once("INBOX".to_owned()).chain(junk.cloned()).collect();
        let mut given = self.args.folder.clone();
        loop {
            if given.is_empty() {
                let text = ask.text("Folders to watch, by commas", "--folder", Some(&usual.join(", ")))?;
                given = text.split([',', '，']).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect();
            }
            // INBOX is spelt in any case (RFC 9051 §5.1); other names are not.
            let there = |name: &String| known.is_empty() || known.contains(name) || name.eq_ignore_ascii_case("inbox");
            match given.iter().find(|name| !there(name)) {
                None => {
                    self.draft.folders = std::mem::take(&mut given);
                    return Ok(());
                }
                Some(missing) => {
                    let because = format!("there is no folder `{missing}` in this mailbox");
                    let remedy = format!("names are case-sensitive; there are {}", printable(&known.join(", ")));
                    let place = self.draft.imap.as_ref().map(Server::place).unwrap_or_default();
                    ask.trouble(&place, &Trouble { because, remedy }, "")?;
                }
            }
            given.clear();
        }
    }

    /// The mailbox of a configuration, to be tried: in a hurry, and without touching anything.
    fn trial(&self, config: &Config) -> Result<Settings, Failure> {
        let mut settings =
            config.mailboxes.first().cloned().ok_or_else(|| Failure::new(Exit::Fault, "there is no mailbox"))?;
        if let Place::Imap { endpoint, .. } = &mut settings.place {
            endpoint.timeout = PATIENCE;
        }
        settings.after = After::Leave;
        // As in a member's mailbox, only the headers of likely bounces are looked at.
        if let Some(member) = Address::parse(&format!("bounces@{}", self.first_domain())) {
            settings.role = Role::Member(member);
        }
        Ok(settings)
    }

    /// What a failure means, in the provider's own terms where they are known.
    fn meaning(&self, error: &Error) -> Trouble {
        let known = self.providers.trouble(self.draft.provider, &error.reason);
        match (error.kind, known) {
            (Kind::LoginRefused | Kind::Setup | Kind::Folder, Some(trouble)) => trouble,
            // `[UNAVAILABLE]` is an answer to the login, too.
            (Kind::Unavailable, Some(trouble)) if error.reason.starts_with("login") => trouble,
            (Kind::Unavailable | Kind::Lost | Kind::Protocol | Kind::Setup, _) => {
                let usual = self.draft.provider.filter(|it| !it.is_local()).and_then(|it| Some((it, it.imap()?)));
                let other = usual.filter(|(_, usual)| self.draft.imap.as_ref().is_some_and(|it| it != usual));
                let remedy = match other {
                    Some((provider, usual)) => {
                        format!("{} has IMAP at {}, tls {}", provider.name, usual.place(), usual.tls_word())
                    }
                    None => error.hint.clone().unwrap_or_else(|| "check host, port and TLS mode".to_owned()),
                };
                Trouble { because: error.reason.clone(), remedy }
            }
            (Kind::LoginRefused | Kind::Folder, None) => self.trouble(&error.reason, error.hint.as_deref()),
        }
    }

    pub(super) fn first_domain(&self) -> &str {
        self.draft.domains.first().map_or("", String::as_str)
    }
}

/// Connects, and looks at every watched folder; a folder that will not open is a failure, too.
async fn survey(mailbox: &mut Mailbox) -> Result<Survey, Error> {
    mailbox.connect().await?;
    mailbox.survey().await
}

fn opened(config: &Config, survey: &Survey) -> String {
    match config.mailboxes.first().map(|it| &it.place) {
        Some(Place::Imap { endpoint, .. }) => {
            let tls = survey.tls.unwrap_or("not encrypted");
            let news = if survey.idle { "bounces will be seen at once (IDLE)" } else { "no IDLE: it will be polled" };
            format!("logged in at {}, {tls}, {news}", endpoint.place())
        }
        Some(Place::Maildir(path)) => format!("{} is a Maildir", path.display()),
        None => String::new(),
    }
}

fn absolute(path: &std::path::Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))
}
