//! The least that explains a bounce: one mailbox with made bounces in it, and a scripted way out.

use super::{BOUNCES, Bounce, Config, Dovecot, Letter, Maildir, ScriptedSmtp, wait_for};

/// Servers and configuration of one story.
pub(crate) struct Desk {
    pub(crate) dovecot: Dovecot,
    /// Where explanations go.
    pub(crate) out: ScriptedSmtp,
    pub(crate) config: Config,
}

impl Desk {
    /// Watches `BOUNCES`, polled each second besides IDLE.
    pub(crate) fn open() -> Self {
        let dovecot = Dovecot::start(&[BOUNCES]);
        let out = ScriptedSmtp::start();
        let mut config = Config::new();
        config.central(&dovecot, BOUNCES).smtp(out.address).set("mailbox.0.poll_interval", "1s");
        Self { dovecot, out, config }
    }

    /// Without limits, for stories of many bounces.
    pub(crate) fn without_limits(mut self) -> Self {
        for limit in ["limit_person", "limit_total", "breaker"] {
            self.config.set(&format!("policy.{limit}"), "off");
        }
        self
    }

    /// The watched mailbox.
    pub(crate) fn inbox(&self) -> Maildir {
        self.dovecot.inbox(BOUNCES)
    }

    /// Puts a bounce of a new letter by `author` there.
    pub(crate) fn bounce(&self, author: &str, name: &str) -> Letter {
        let letter = Letter::new(author, "nobody@example.net", name);
        self.inbox().deliver(Bounce::of(&letter).text().as_bytes());
        letter
    }

    /// Waits until an explanation of this letter was taken.
    #[track_caller]
    pub(crate) fn wait_explained(&self, letter: &Letter) {
        wait_for(&format!("an explanation of {}", letter.message_id), || {
            self.answered().contains(&letter.message_id).then_some(())
        });
    }

    /// Waits for the explanation of a sound bounce put in last: everything before it has been dealt with.
    #[track_caller]
    pub(crate) fn all_dealt_with(&self) -> Letter {
        let last = self.bounce("li", "the-last-one");
        self.wait_explained(&last);
        last
    }

    /// The letters that were explained, once for each time.
    pub(crate) fn answered(&self) -> Vec<String> {
        self.out.accepted().iter().map(|it| it.header("In-Reply-To")).collect()
    }

    /// The journal, one JSON object a line.
    #[track_caller]
    pub(crate) fn journal(&self) -> String {
        let listed = self.config.run(&["journal", "list", "--all", "--limit", "1000", "--format", "json"]);
        assert_eq!(listed.status, 0, "{}", listed.stderr);
        listed.stdout
    }
}
