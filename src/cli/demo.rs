//! `demo`: the whole pipeline on built-in sample bounces, with nothing set up.
//!
//! Samples are delivered into a Maildir, read, diagnosed, recorded in a SQLite journal and
//! explained as `.eml` files, by the same code as `run --once`; then they are printed side by
//! side with the row of the founding document that each stands for. Everything is written below
//! one new temporary directory, nothing is looked up, nothing is sent.

use std::{
    collections::HashMap,
    env, fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use mail_parser::MessageParser;
use serde::Deserialize;

use super::{Exit, Failure, Terminal, diagnose::Knowledge, run::once};
use crate::{
    bounce::Recognition,
    catalogue,
    config::{self, Config, Secrets},
    mail::Language,
};

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// zh-CN, en, or `both`: the language of the explanations.
    #[arg(long, value_name = "L", default_value = "zh-CN", value_parser = super::languages)]
    lang: super::Languages,
    /// Then shows the review page of what was done, until Ctrl-C.
    #[arg(long)]
    serve: bool,
}

/// `catalogue/demo/samples.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    sample: Vec<Sample>,
}

/// One sample bounce.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    /// File name below `catalogue/demo/`.
    file: String,
    /// Section of the founding document.
    row: String,
    /// The wording that it names.
    says: String,
    /// The cause that must come out.
    cause: String,
}

impl Samples {
    fn embedded() -> Result<Self, Failure> {
        catalogue::table("demo/samples.toml")
            .map_err(|error| Failure::new(Exit::Fault, format!("catalogue/demo/samples.toml: {error}")))
    }
}

impl Sample {
    fn bytes(&self) -> &'static [u8] {
        catalogue::file(&format!("demo/{}", self.file)).unwrap_or_default().as_bytes()
    }
}

/// An explanation as it lies in the output directory.
struct Explanation {
    subject: String,
    text: String,
}

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    super::logging::start_if_asked()?;
    let started = Instant::now();
    let samples = Samples::embedded()?.sample;
    let root = temporary_directory().map_err(|error| cannot("make a temporary directory", &error))?;
    deliver(&samples, &root.join("maildir")).map_err(|error| cannot("deliver the samples", &error))?;
    let config = configuration(&root, &args.lang)?;
    once(config)?;
    let explanations =
        explanations(&root.join("explanations")).map_err(|error| cannot("read the explanations", &error))?;
    let took = started.elapsed();
    print(&samples, &explanations, terminal)?;
    summary(&samples, explanations.len(), took, &root, terminal)?;
    if args.serve {
        terminal.flush()?;
        let config = configuration(&root, &args.lang)?;
        // Any free port.
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        return super::block_on(super::serve::serve(config, listen, terminal))?;
    }
    Ok(Exit::Fine)
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Fault, format!("cannot {what}: {error}")).hint("TMPDIR names another place for temporary files")
}

/// A directory of our own that nobody else can look into.
fn temporary_directory() -> io::Result<PathBuf> {
    let base = env::temp_dir();
    for number in 0..1000 {
        let path = base.join(format!("whybounced-demo-{}-{number}", std::process::id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
    Err(io::Error::other(format!("{} is full of our directories", base.display())))
}

/// Puts each sample into `new`, as an MTA does: written in `tmp`, then moved.
fn deliver(samples: &[Sample], maildir: &Path) -> io::Result<()> {
    for name in ["tmp", "new", "cur"] {
        fs::create_dir_all(maildir.join(name))?;
    }
    for (number, sample) in samples.iter().enumerate() {
        let name = format!("1763254800.M{number:06}.demo");
        fs::write(maildir.join("tmp").join(&name), sample.bytes())?;
        fs::rename(maildir.join("tmp").join(&name), maildir.join("new").join(&name))?;
    }
    Ok(())
}

/// As a company would write it, but without limits and look-ups, and for mail of any age.
fn configuration(root: &Path, languages: &[Language]) -> Result<Config, Failure> {
    let language = if languages.len() > 1 { "both" } else { languages.first().map_or("zh-CN", Language::as_str) };
    let text = format!(
        "domains = ['corp.example.cn']\nlanguage = '{language}'\ntimezone = 'Asia/Shanghai'\n\
         [[mailbox]]\nname = 'demo'\nmaildir = 'maildir'\n\
         [smtp]\ndirectory = 'explanations'\nfrom = 'bounces@corp.example.cn'\n\
         [reply]\nhelpdesk = '{}'\n\
         [policy]\nmax_age = '36500d'\ngather = '0s'\nlimit_person = 'off'\nlimit_total = 'off'\nbreaker = 'off'\n\
         [evidence]\nenabled = false\n[journal]\nurl = 'sqlite:journal.db'\n",
        if language == "en" { "the IT helpdesk (extension 8001)" } else { "IT 服务台（分机 8001）" }
    );
    let path = root.join("config.toml");
    fs::write(&path, &text).map_err(|error| cannot("write the configuration", &error))?;
    config::load(&path, Secrets::Read).map_err(|error| Failure::new(Exit::Fault, error))
}

/// Explanations by the Message-ID that they answer, without brackets.
fn explanations(directory: &Path) -> io::Result<HashMap<String, Explanation>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let bytes = fs::read(&path)?;
        let Some(message) = MessageParser::default().parse(&bytes) else { continue };
        let answers = message.in_reply_to().as_text().unwrap_or_default().to_owned();
        let text = message.body_text(0).unwrap_or_default().replace('\r', "");
        found.insert(answers, Explanation { subject: message.subject().unwrap_or_default().to_owned(), text });
    }
    Ok(found)
}

fn print(
    samples: &[Sample],
    explanations: &HashMap<String, Explanation>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let knowledge = Knowledge::embedded()?;
    for sample in samples {
        let (answers, cause) = told(&knowledge, sample);
        let heading = format!("§{}  {}", sample.row, sample.says);
        let heading = terminal.bold(&heading).into_owned();
        let expected = if cause == sample.cause { String::new() } else { format!(" (expected: {})", sample.cause) };
        let cause = terminal.styled(&cause, "33").into_owned();
        writeln!(terminal.out(), "{heading}\n  → {cause}{expected}\n")?;
        match explanations.get(&answers) {
            Some(explanation) => {
                let subject = terminal.bold(&explanation.subject).into_owned();
                writeln!(terminal.out(), "    {subject}\n")?;
                for line in explanation.text.trim_end().lines() {
                    writeln!(terminal.out(), "{}", format!("    {line}").trim_end())?;
                }
            }
            None => writeln!(terminal.out(), "    (no explanation: please report this)")?,
        }
        let rule = terminal.dim("────────────────────────────────────────────────────────────────").into_owned();
        writeln!(terminal.out(), "\n{rule}")?;
    }
    Ok(())
}

/// The Message-ID of the sample's original, and the cause of its bounce.
fn told(knowledge: &Knowledge, sample: &Sample) -> (String, String) {
    let Recognition::Bounce(bounce) = knowledge.recognise(sample.bytes()) else {
        return (String::new(), "not recognised".to_owned());
    };
    let cause = bounce.recipients.first().map(|report| knowledge.diagnose(&bounce, report, None).cause);
    let id = bounce.original.and_then(|original| original.message_id);
    (
        id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
        cause.map(|cause| cause.as_str().to_owned()).unwrap_or_default(),
    )
}

fn summary(
    samples: &[Sample],
    explained: usize,
    took: Duration,
    root: &Path,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut rows: Vec<&str> = samples.iter().map(|sample| sample.row.as_str()).collect();
    rows.dedup();
    let (bounces, seconds, root) = (samples.len(), took.as_secs_f32(), root.display());
    let line = format!(
        "{bounces} bounces, {explained} explained in {seconds:.1} s; rows of the founding document: {}.",
        rows.join(", ")
    );
    let line = terminal.bold(&line).into_owned();
    writeln!(
        terminal.out(),
        "{line}\n  explanations as mail  {root}/explanations/*.eml\n  journal               whybounced --config {root}/config.toml journal list\n  \
         your own bounces      whybounced diagnose PATH…, whybounced explain PATH\n  \
         next                  copy config.example.toml, then whybounced check"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of `knowledge.md`.
    const ROWS: &[&str] = &[
        "1", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7",
        "3.8", "3.9", "3.10", "3.11",
    ];

    #[test]
    fn every_row_of_the_founding_document_comes_out_with_its_cause() {
        catalogue::written::<Samples>("demo/samples.toml");
        let samples = Samples::embedded().expect("the list is right").sample;
        for row in ROWS {
            assert!(samples.iter().any(|sample| sample.row == *row), "row {row} has no sample");
        }
        let knowledge = Knowledge::embedded().expect("the catalogue is right");
        let wrong: Vec<String> = samples
            .iter()
            .map(|sample| (sample, told(&knowledge, sample).1))
            .filter(|(sample, cause)| *cause != sample.cause)
            .map(|(sample, cause)| format!("{}: {cause}, not {}", sample.file, sample.cause))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_sample_has_an_original_of_its_own() {
        let samples = Samples::embedded().expect("the list is right").sample;
        let knowledge = Knowledge::embedded().expect("the catalogue is right");
        let mut ids: Vec<String> = samples.iter().map(|sample| told(&knowledge, sample).0).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), samples.len());
        assert!(ids.iter().all(|id| id.ends_with("@corp.example.cn")), "{ids:?}");
    }
}
