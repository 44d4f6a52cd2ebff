//! The way out: its login and sender, tried as far as RCPT to ourselves. Nothing is sent.

use std::time::Duration;

use super::{Dialogue, Exit, Failure, ask::Ask, mailbox::Which, refused};
use crate::{
    config,
    init::{Provider, Secret, Server, Trouble},
    mail::Mailbox,
    outbound::{Route, Sender},
    outbox::Stage,
    review::printable,
};

/// Nobody sits before a terminal for longer.
const PATIENCE: Duration = Duration::from_secs(15);

impl Dialogue<'_> {
    /// The sender that was given, or the login, in our domain where it is a bare name: answers then reach
    /// the watched mailbox. `whybounced@` would be taken by a local Postfix, too, and its mail read by
    /// nobody: the package makes a system user of that name.
    pub(super) fn sender(&self) -> String {
        let user = &self.draft.user;
        let forms = [user.clone(), format!("{user}@{}", self.first_domain())];
        let login = forms.into_iter().find(|it| !user.is_empty() && Mailbox::parse(it).is_some());
        let fallback = || format!("whybounced@{}", self.first_domain());
        self.args.from.clone().or(login).unwrap_or_else(fallback)
    }

    pub(super) async fn way_out(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        ask.heading("The way out")?;
        let usual = self.sender();
        let mut given = self.args.from.clone();
        loop {
            let text = match given.take() {
                Some(text) => text,
                None => ask.text(
                    "Sender of explanations; a name is possible: 退信说明 <a@b.example>",
                    "--from",
                    Some(&usual),
                )?,
            };
            // Read by the same code as in the configuration.
            let before = std::mem::replace(&mut self.draft.from, text.clone());
            if self.config().is_ok() {
                break;
            }
            self.draft.from = before;
            refused(ask, &format!("`{text}` is not a sender"), "expected name@domain, or Name <name@domain>")?;
        }
        self.draft.smtp_user = match self.args.smtp_user.as_deref() {
            _ if self.draft.directory.is_some() => None,
            Some("none") => None,
            Some(user) => Some(user.to_owned()),
            None if self.is_taken_without_login() => None,
            None => Some(self.draft.user.clone()),
        };
        if let (Some(path), Some(_)) = (&self.args.smtp_password_file, &self.draft.smtp_user) {
            let path = std::path::absolute(path)
                .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))?;
            self.draft.smtp_secret = Some(Secret::PasswordFile(path));
        }
        self.try_out(ask).await
    }

    /// The server on this machine takes mail from it as it is, wherever the mailbox lies.
    fn is_taken_without_login(&self) -> bool {
        let local = self.draft.smtp.as_ref().is_some_and(|it| it.port == 25 && config::is_loopback(&it.host));
        local || self.draft.provider.is_some_and(Provider::is_local) || self.draft.secret.is_none()
    }

    async fn try_out(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        let mut refusals = 0;
        loop {
            let mut outbound = self.config()?.outbound;
            if let Route::Smtp { endpoint, .. } = &mut outbound.route {
                endpoint.timeout = PATIENCE;
            }
            let mut sender = Sender::new(outbound, None);
            let probe = sender.probe().await;
            sender.close().await;
            for (_, found) in &probe.steps {
                if let Ok(found) = found {
                    ask.say(&format!("  {}", printable(found)))?;
                }
            }
            let Some((stage, Err(why))) = probe.steps.last() else { return Ok(()) };
            let (words, hint) = crate::cli::exit::split_hint(why);
            let place = self.draft.smtp.as_ref().map(Server::place).unwrap_or_default();
            // Words of a refused login are looked up; others say it themselves.
            let of_login = matches!(stage, Stage::Auth | Stage::Mail);
            let known = if of_login { self.providers.trouble(self.draft.provider, words) } else { None };
            let said = if known.is_some() { words } else { "" };
            let words = words.strip_prefix(&format!("{place}: ")).unwrap_or(words);
            let trouble = known.unwrap_or_else(|| Trouble {
                because: words.to_owned(),
                remedy: hint.map_or_else(|| self.usual_way_out(), str::to_owned),
            });
            ask.trouble(&place, &trouble, said)?;
            if self.draft.directory.is_some() {
                return Err(
                    Failure::new(Exit::Unavailable, "the directory cannot be written to").hint("--directory DIR")
                );
            }
            if *stage == Stage::Auth {
                refusals += 1;
                if refusals >= 2 {
                    return Err(Failure::new(Exit::Unavailable, "the login was refused twice").hint(
                        "providers lock accounts after more: mend it as told above, then begin again; nothing was written",
                    ));
                }
                let user =
                    ask.text("Login of the SMTP server (none: without)", "--smtp-user", Some(&self.draft.user))?;
                self.draft.smtp_user = (user != "none").then_some(user);
                if self.draft.smtp_user.is_some() {
                    let secret = ask.secret("Its password", "--smtp-password-file")?;
                    self.draft.smtp_secret = Some(Secret::Password(secret));
                }
            } else {
                self.draft.smtp = Some(self.server_again(ask, Which::Smtp, self.draft.smtp.as_ref())?);
            }
        }
    }

    fn usual_way_out(&self) -> String {
        match self.draft.provider.filter(|it| !it.is_local()).and_then(|it| Some((it, it.smtp()?))) {
            Some((provider, usual)) => {
                format!("{} takes mail at {}, tls {}", provider.name, usual.place(), usual.tls_word())
            }
            None => "check host, port, TLS mode and the sender".to_owned(),
        }
    }
}
