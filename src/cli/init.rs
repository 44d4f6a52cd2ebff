//! `init`: asks for the mail domain, finds the servers, tries the logins, shows how the bounces
//! that lie there already would be explained, and writes a configuration that `check` accepts.
//!
//! It installs nothing and sends nothing; in the mailbox nothing is changed. Until the last step
//! nothing is written. Every question can be answered beforehand, by a flag or a variable.

mod arguments;
mod ask;
mod look;
mod mailbox;
mod smtp;
mod token;

use std::{fs, path::Path};

pub(super) use self::arguments::Args;
use self::{arguments::Mode, ask::Ask};
use super::{Exit, Failure, Terminal, block_on};
use crate::{
    config::{self, Config},
    init::{Draft, Providers, Secrets, Target, Trouble},
    mail::Mailbox,
    review::printable,
};

pub(super) fn run(path: &Path, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    super::logging::start_if_asked()?;
    let target = if args.print { None } else { Some(place(path, args)?) };
    let mut ask = Ask::new(terminal, args.yes);
    ask.heading("whybounced init")?;
    ask.say("Nothing is sent, nothing is installed; nothing is written before the end. Ctrl-C leaves all as it was.")?;
    let mut dialogue = Dialogue {
        args,
        path,
        providers: Providers::embedded()
            .ok_or_else(|| Failure::new(Exit::Fault, "catalogue/providers.toml cannot be read"))?,
        draft: Draft {
            journal: journal(path, args),
            ca_file: args.ca_file.clone(),
            imap_fingerprint: args.imap_fingerprint.clone(),
            smtp_fingerprint: args.smtp_fingerprint.clone(),
            resolvers: args.resolver.clone(),
            mode: Mode::DryRun.word().to_owned(),
            ..Draft::default()
        },
    };
    block_on(dialogue.all(&mut ask))??;
    let text = dialogue.draft.text(Secrets::InFiles);
    let Some(target) = target else {
        ask.say(&format!("\n{}", text.trim_end()))?;
        return Ok(Exit::Fine);
    };
    write(&mut ask, &target, &dialogue.draft, &text)
}

/// The place to write to, looked at before anything is asked.
fn place(path: &Path, args: &Args) -> Result<Target, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Configuration, format!("{}: {error}", path.display()))
            .hint("run it as root, or name a place of your own: --config FILE")
    };
    let target = Target::new(path).map_err(failed)?;
    if target.existing().map_err(failed)?.is_some() && !args.force {
        return Err(Failure::new(Exit::Configuration, format!("{} is there already", path.display()))
            .hint("whybounced check tries it; --force begins anew and keeps the old one as *.old"));
    }
    Ok(target)
}

/// Away from /etc the journal lies beside the configuration: for trying things out without root.
fn journal(path: &Path, args: &Args) -> Option<String> {
    args.journal.clone().or_else(|| (!path.starts_with("/etc")).then(|| "sqlite:journal.db".to_owned()))
}

fn write(ask: &mut Ask<'_>, target: &Target, draft: &Draft, text: &str) -> Result<Exit, Failure> {
    let written = target.write(text, &draft.secret_files()).map_err(|error| {
        Failure::new(Exit::Configuration, format!("cannot write: {error}"))
            .hint("is there room, and may we write there?")
    })?;
    ask.heading("Written")?;
    for it in &written {
        let who = if it.for_service { ", readable for the user whybounced" } else { "" };
        ask.say(&format!("  {} (mode {:04o}{who})", it.path.display(), it.mode))?;
    }
    let (run, option) = if target.path() == Path::new(super::DEFAULT_CONFIG) {
        ("runuser -u whybounced -- whybounced", String::new())
    } else {
        ("whybounced", format!(" --config {}", target.path().display()))
    };
    ask.heading("Next")?;
    ask.say(&format!("  {run} check{option}\n  {run} run --once{option}     works off what lies there, then ends"))?;
    ask.say(&format!("  {run} journal list{option}   what was done, or would be"))?;
    if option.is_empty() {
        ask.say("  systemctl enable --now whybounced      for good")?;
    }
    if draft.mode == "dry_run" {
        ask.say("No explanation is sent until you set mode = \"live\" in [policy].")?;
    }
    Ok(Exit::Fine)
}

/// What is known so far, and what it is asked with.
struct Dialogue<'a> {
    args: &'a Args,
    path: &'a Path,
    providers: Providers,
    draft: Draft,
}

impl Dialogue<'_> {
    async fn all(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        self.domains(ask)?;
        self.language(ask)?;
        self.servers(ask).await?;
        self.mailbox(ask).await?;
        self.way_out(ask).await?;
        self.mode(ask)?;
        self.draft.helpdesk = match &self.args.helpdesk {
            Some(text) => Some(text.clone()),
            None => {
                ask.optional("Where people ask for help, e.g. IT 服务台（分机 8001）; Enter for none", "--helpdesk")?
            }
        };
        self.config().map(drop)
    }

    fn domains(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        let known = fs::read_to_string("/etc/mailname").unwrap_or_default();
        let known = config::domain(known.trim()).ok().filter(|it| it.contains('.'));
        let mut given = self.args.domain.join(",");
        loop {
            if given.is_empty() {
                given = ask.text("Mail domain of the company (several: by commas)", "--domain", known.as_deref())?;
            }
            let texts = given.split([',', ' ']).filter(|it| !it.is_empty());
            match texts.map(config::domain).collect::<Result<Vec<_>, _>>() {
                Ok(domains) if !domains.is_empty() => {
                    self.draft.domains = domains;
                    return Ok(());
                }
                Ok(_) => {}
                Err((because, remedy)) => refused(ask, &because, &remedy)?,
            }
            given.clear();
        }
    }

    fn language(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        const WORDS: [&str; 4] = ["auto", "zh-CN", "en", "both"];
        self.draft.language = match &self.args.language {
            Some(word) if WORDS.contains(&word.as_str()) => word.clone(),
            Some(word) => {
                return Err(Failure::new(Exit::Usage, format!("there are no explanations in `{word}`"))
                    .hint(format!("--language takes {}", WORDS.join(", "))));
            }
            None => ask.choice("Language of explanations; auto: that of each message", "--language", &WORDS, "auto")?,
        };
        Ok(())
    }

    fn mode(&mut self, ask: &mut Ask<'_>) -> Result<(), Failure> {
        ask.heading("What happens to explanations at first")?;
        ask.say("  dry_run: recorded, none sent; redirect: all to one address; live: to the authors")?;
        let words = [Mode::DryRun, Mode::Redirect, Mode::Live].map(Mode::word);
        self.draft.mode = match self.args.mode {
            Some(mode) => mode.word().to_owned(),
            None => ask.choice("Mode", "--mode", &words, Mode::DryRun.word())?,
        };
        if self.draft.mode != Mode::Redirect.word() {
            return Ok(());
        }
        let mut given = self.args.redirect_to.clone();
        loop {
            let text = match given.take() {
                Some(text) => text,
                None => ask.text("Who gets every explanation", "--redirect-to", None)?,
            };
            if Mailbox::parse(&text).is_some() {
                self.draft.redirect_to = Some(text);
                return Ok(());
            }
            refused(ask, &format!("`{text}` is not an address"), "expected name@domain")?;
        }
    }

    /// What the daemon would read, with the secrets that are known.
    fn config(&self) -> Result<Config, Failure> {
        let text = self.draft.text(Secrets::InVariables);
        let read = config::parse(&text, self.path, config::Secrets::Read, &|name| self.draft.variable(name));
        Ok(read?)
    }

    /// What a server's words mean at this provider, or what the error itself says of it.
    fn trouble(&self, words: &str, hint: Option<&str>) -> Trouble {
        self.providers.trouble(self.draft.provider, words).unwrap_or_else(|| Trouble {
            because: words.to_owned(),
            remedy: hint.unwrap_or("try again later, or another server").to_owned(),
        })
    }
}

/// An answer that cannot be; asked again where somebody is there to ask.
fn refused(ask: &mut Ask<'_>, because: &str, remedy: &str) -> Result<(), Failure> {
    if ask.silent {
        return Err(Failure::new(Exit::Usage, printable(because)).hint(remedy));
    }
    ask.say(&format!("  {}: {remedy}", printable(because)))
}
