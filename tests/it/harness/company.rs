//! A company: people with mailboxes, a central bounce mailbox, its Postfix, and the world outside.

use super::{
    Answer, Config, DOMAIN, Dovecot, Letter, Maildir, PASSWORD, ScriptedSmtp, Step, postfix, postfix::Postfix,
    send_mail,
};

/// Servers and accounts of one story. Addresses of `world` that begin with `nobody` do not exist.
pub(crate) struct Company {
    pub(crate) dovecot: Dovecot,
    pub(crate) postfix: Postfix,
    /// Every domain but our own.
    pub(crate) world: ScriptedSmtp,
}

/// A member who writes letters.
pub(crate) const CHEN: &str = "chen@corp.example.cn";
/// Another.
pub(crate) const LI: &str = "li@corp.example.cn";
/// The central bounce mailbox.
pub(crate) const BOUNCES: &str = "bounces@corp.example.cn";
/// Whom explanations come from.
pub(crate) const WHY: &str = "why@corp.example.cn";

impl Company {
    /// Opens it: Postfix copies its bounces to `BOUNCES`, and takes any sender.
    pub(crate) fn open() -> Self {
        Self::with(postfix::Options { copies_to: Some(BOUNCES.to_owned()), ..postfix::Options::default() })
    }

    /// Opens one whose Postfix is as `options` say.
    pub(crate) fn with(options: postfix::Options) -> Self {
        let world = ScriptedSmtp::start();
        let unknown = "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown";
        world.on(Step::Rcpt, "<nobody", Answer::Reply(unknown.to_owned()));
        let dovecot = Dovecot::start(&[CHEN, LI, BOUNCES, WHY]);
        let options = postfix::Options { relay: Some(world.address), ..options };
        let postfix = Postfix::start(&dovecot, &options);
        Self { dovecot, postfix, world }
    }

    /// Watches `BOUNCES` and answers through Postfix without a login.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.central(&self.dovecot, BOUNCES).smtp(self.postfix.smtp);
        config
    }

    /// The same through the submission port: STARTTLS and a login.
    pub(crate) fn config_with_login(&self) -> Config {
        let mut config = self.config();
        config.smtp(self.postfix.submission).smtp_login(WHY, PASSWORD);
        config.set("smtp.tls", "starttls").set("smtp.ca_file", self.dovecot.authority.ca_file.display().to_string());
        config
    }

    /// A member writes to someone outside who does not exist; what was sent.
    pub(crate) fn write_in_vain(&self, author: &str, name: &str) -> Letter {
        let local = author.trim_end_matches(DOMAIN).trim_end_matches('@');
        let letter = Letter::new(local, &format!("nobody.{name}@example.net"), name);
        send_mail(self.postfix.smtp, author, &[&letter.to], &letter.text());
        letter
    }

    /// A member's INBOX.
    pub(crate) fn inbox(&self, account: &str) -> Maildir {
        self.dovecot.inbox(account)
    }
}
