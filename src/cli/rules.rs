//! `rules list|show|test`: the catalogue as the administrator sees it (`design.md` §5).
//!
//! Which rule fires on a reply and why, so that a rule of one's own can be tried before it is
//! installed. Arguments are parsed elsewhere; `out` is standard output.

use std::io::{self, BufRead, Write};

use serde_json::json;

use crate::diagnosis::{Catalogue, Diagnosis, Home, Level, Rule};

/// How results are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What `rules test` is asked.
#[derive(Clone, Debug)]
pub struct Test<'a> {
    /// The reply, or `-` for one reply a line on standard input, optionally `TEXT<TAB>system`.
    pub text: &'a str,
    /// Who speaks, where a line does not say it.
    pub system: Option<&'a str>,
    /// Where our side stands.
    pub home: Home,
    /// How to write the verdicts.
    pub format: Format,
}

/// `rules list`: every rule with its cause, one a line; `cause` keeps those of one cause.
pub fn list(catalogue: &Catalogue, cause: Option<&str>, format: Format, out: &mut dyn Write) -> io::Result<()> {
    for rule in catalogue.rules().filter(|it| cause.is_none_or(|cause| catalogue.cause_of(it).id.as_str() == cause)) {
        match format {
            Format::Json => writeln!(out, "{}", about(catalogue, rule))?,
            Format::Text => {
                let cause = catalogue.cause_of(rule).id.as_str();
                writeln!(out, "{:<44} {cause:<24} {:<14} {}", rule.id(), level(rule.level()), rule.file())?;
            }
        }
    }
    Ok(())
}

/// `rules show ID`: one rule whole; `Ok(false)` if there is none of that id.
pub fn show(catalogue: &Catalogue, id: &str, format: Format, out: &mut dyn Write) -> io::Result<bool> {
    let Some(rule) = catalogue.rules().find(|it| it.id() == id) else { return Ok(false) };
    if format == Format::Json {
        writeln!(out, "{}", about(catalogue, rule))?;
        return Ok(true);
    }
    let cause = catalogue.cause_of(rule);
    writeln!(out, "{}\n  cause    {}\n  level    {}", rule.id(), cause.id.as_str(), level(rule.level()))?;
    for system in catalogue.systems_of(rule) {
        writeln!(out, "  system   {system}")?;
    }
    for phrase in rule.phrases() {
        writeln!(out, "  phrase   {phrase}")?;
    }
    for sample in rule.samples() {
        writeln!(out, "  sample   {sample}")?;
    }
    writeln!(out, "  source   {}\n  file     {}", rule.source(), rule.file())?;
    Ok(true)
}

/// `rules test TEXT|-`: the verdict on each reply, with all rules that matched, best first.
pub fn test(catalogue: &Catalogue, asked: &Test<'_>, input: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<()> {
    if asked.text != "-" {
        return verdict(catalogue, asked.text, asked, out);
    }
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        verdict(catalogue, &text, asked, out)?;
        line.clear();
    }
    Ok(())
}

fn verdict(catalogue: &Catalogue, line: &str, asked: &Test<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (text, system) = line.rsplit_once('\t').map_or((line, asked.system), |(text, system)| (text, Some(system)));
    let diagnosis = catalogue.diagnose_text(text, system, asked.home);
    match asked.format {
        Format::Json => writeln!(out, "{}", as_json(text, &diagnosis)),
        Format::Text => explain(catalogue, text, &diagnosis, out),
    }
}

fn as_json(text: &str, it: &Diagnosis) -> serde_json::Value {
    json!({
        "text": text, "cause": it.cause, "permanent": it.permanent, "acts": it.acts, "confidence": it.confidence,
        "rule": it.rule, "matched": it.matched, "facts": it.facts, "rivals": it.rivals, "expired": it.expired,
        "system": it.system,
    })
}

fn explain(catalogue: &Catalogue, text: &str, it: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let named = |id: &str| catalogue.rules().find(|rule| rule.id() == id);
    let won = named(&it.rule).map_or("no rule knows these words", |rule| level(rule.level()));
    writeln!(out, "{text}\n  {} ({:?}): {} [{won}]", it.cause.as_str(), it.confidence, it.rule)?;
    writeln!(out, "  by the words: {}", it.matched)?;
    if let Some(system) = &it.system {
        writeln!(out, "  spoken by: {system}")?;
    }
    for rival in &it.rivals {
        let (cause, why) =
            named(rival).map_or(("", ""), |rule| (catalogue.cause_of(rule).id.as_str(), level(rule.level())));
        writeln!(out, "  lost: {rival} ({cause}) [{why}]")?;
    }
    Ok(())
}

fn about(catalogue: &Catalogue, rule: &Rule) -> serde_json::Value {
    json!({
        "id": rule.id(), "cause": catalogue.cause_of(rule).id, "level": level(rule.level()),
        "systems": catalogue.systems_of(rule).collect::<Vec<_>>(), "phrases": rule.phrases().collect::<Vec<_>>(),
        "samples": rule.samples(), "source": rule.source(), "file": rule.file(),
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Shape => "shape",
        Level::ReplyCode => "reply code",
        Level::Stage => "stage",
        Level::VagueCode => "vague code",
        Level::VaguePhrase => "vague phrase",
        Level::RegistryCode => "code",
        Level::SystemCode => "system's code",
        Level::VaguePhraseWithCode => "phrase + code",
        Level::Phrase => "phrase",
        Level::SystemPhrase => "system's phrase",
    }
}
