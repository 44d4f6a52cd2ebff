//! `explain PATH`: the explanation that the author of one bounced message would get.
//!
//! Nothing is recorded or sent, and without `--evidence` nothing is looked up and no configuration
//! used: what only the company knows (helpdesk, sender) is left out.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::{Timestamp, tz::TimeZone};

use super::{
    Exit, Failure, Terminal,
    diagnose::{Knowledge, country, read_one},
    evidence_arguments::EvidenceArgs,
    languages,
};
use crate::{
    bounce::{Bounce, Recognition},
    mail::{Language, Mailbox},
    reply::{self, Audience, Texts},
};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A bounced message; `-` for standard input.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// zh-CN, en, or `both`; else the language of the message that bounced.
    #[arg(long, value_name = "L", value_parser = languages)]
    lang: Option<super::Languages>,
    /// For whom it is worded.
    #[arg(long = "for", value_enum, default_value_t)]
    audience: For,
    /// The finished mail instead of its text.
    #[arg(long, conflicts_with = "audience")]
    eml: bool,
    /// Where our side stands (ISO 3166, such as CN); else told from the author's domain.
    #[arg(long, value_name = "CC", value_parser = country)]
    home_country: Option<String>,
    #[command(flatten)]
    evidence: EvidenceArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum For {
    /// Who wrote the message.
    #[default]
    Author,
    /// Who runs the company's mail.
    Admin,
}

pub(super) fn run(config: &Path, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let unreadable = |error: String| Failure::new(Exit::UnreadableData, format!("{}: {error}", args.path.display()));
    let bytes = read_one(&args.path).map_err(unreadable)?;
    let (knowledge, recognition) = Knowledge::embedded_and(&bytes)?;
    // Not taken apart at the end: the process ends with the command.
    let knowledge: &Knowledge = Box::leak(Box::new(knowledge));
    let bounce = match recognition {
        Recognition::Bounce(bounce) => bounce,
        Recognition::NotABounce(it) => match it.quoted {
            Some(bounce) => *bounce,
            None => {
                return Err(unreadable("this is not a bounce, so there is nothing to explain".to_owned())
                    .hint("whybounced diagnose tells what it is taken for"));
            }
        },
    };
    let country = args.home_country.as_deref();
    let findings = match args.evidence.start(config)? {
        Some(evidence) => evidence.findings(knowledge.catalogue(), &bounce, country),
        None => knowledge.findings(&bounce, country),
    };
    let languages = args.lang.clone().unwrap_or_else(|| vec![language_of(&bounce)]);
    let now = Timestamp::now();
    let plan = reply::preview_plan(&bounce, languages, now);
    let settings = settings(&plan.addressee);
    let (texts, cases) = (Texts::embedded(), [(bounce, findings)]);
    if args.eml {
        terminal.out().write_all(&reply::render(&texts, &settings, &plan, &cases, now).bytes)?;
        return Ok(Exit::Fine);
    }
    let audience = match args.audience {
        For::Author => Audience::Author,
        For::Admin => Audience::Administrator,
    };
    let rendered = reply::render_parts(&texts, &settings, &plan, &cases, audience, now);
    let subject = terminal.bold(&rendered.subject).into_owned();
    writeln!(terminal.out(), "{subject}\n\n{}", rendered.text.trim_end())?;
    Ok(Exit::Fine)
}

/// What a mail shows where no configuration says it: the sender is the author's own domain's.
fn settings(addressee: &Mailbox) -> reply::Settings {
    let from = Mailbox::parse(&format!("whybounced@{}", addressee.domain())).unwrap_or_else(|| addressee.clone());
    reply::Settings::plain(from, TimeZone::system())
}

/// The original's language as far as it can be told: Chinese unless it is plainly another.
pub(super) fn language_of(bounce: &Bounce) -> Language {
    let tag = bounce.original.as_ref().and_then(|it| it.language.as_deref());
    match tag {
        Some(tag) if !tag.to_lowercase().starts_with("zh") => Language::en(),
        _ => Language::zh_cn(),
    }
}
