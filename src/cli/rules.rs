//! `rules list|show|test|causes`: the catalogue as the administrator sees it (`design.md` §5).
//!
//! Which rule fires on a reply and why, so that a rule of one's own can be tried before it is
//! installed. Arguments are parsed elsewhere; `out` is standard output.

use std::io::{self, BufRead, Write};

use serde_json::json;

use crate::diagnosis::{Acts, Applying, Catalogue, Confidence, Diagnosis, Home, Level, Rule};
use crate::review::printable;

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
                let shipped = ["causes/", "codes/"].iter().any(|it| rule.file().starts_with(it));
                let own = if shipped { String::new() } else { format!(" {}", rule.file()) };
                writeln!(out, "{:<40} {cause:<22} {}{own}", rule.id(), level(rule.level()))?;
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

/// `rules causes`: every cause that a rule may name, with whose move it is.
pub fn causes(catalogue: &Catalogue, format: Format, out: &mut dyn Write) -> io::Result<()> {
    for it in catalogue.causes() {
        match format {
            Format::Json => {
                let line = json!({"cause": it.id, "family": it.family, "acts": it.acts, "permanent": it.permanent});
                writeln!(out, "{line}")?;
            }
            Format::Text => {
                let acts = match it.acts {
                    Acts::Sender => "sender",
                    Acts::RecipientSide => "recipient_side",
                    Acts::OwnAdmin => "own_admin",
                    Acts::NobodyWait => "nobody_wait",
                };
                let lasting = match it.permanent {
                    Some(true) => "permanent",
                    Some(false) => "passing",
                    None => "unknown",
                };
                writeln!(out, "{:<24} {acts:<16} {lasting}", it.id.as_str())?;
            }
        }
    }
    Ok(())
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
        Format::Text => explain(catalogue, text, (system, asked.home), &diagnosis, out),
    }
}

fn as_json(text: &str, it: &Diagnosis) -> serde_json::Value {
    json!({
        "text": text, "cause": it.cause, "permanent": it.permanent, "acts": it.acts, "confidence": it.confidence,
        "rule": it.rule, "matched": it.matched, "facts": it.facts, "rivals": it.rivals, "expired": it.expired,
        "system": it.system,
    })
}

fn explain(
    catalogue: &Catalogue,
    text: &str,
    asked: (Option<&str>, Home),
    it: &Diagnosis,
    out: &mut dyn Write,
) -> io::Result<()> {
    let applying = catalogue.applying(text, asked.0, asked.1);
    writeln!(
        out,
        "{}\n  {} ({}), by the rule {}",
        printable(text),
        it.cause.as_str(),
        confidence(it.confidence),
        it.rule
    )?;
    writeln!(out, "  the words that decided: {}", printable(&it.matched))?;
    if let Some(system) = &it.system {
        writeln!(out, "  spoken by: {system}")?;
    }
    let Some(winner) = applying.iter().find(|other| other.rule.id() == it.rule) else {
        return writeln!(out, "  no rule knows these words; `whybounced rules suggest` drafts one");
    };
    for other in &applying {
        let cause = catalogue.cause_of(other.rule).id.as_str();
        let mark = if other.rule.id() == it.rule { "won " } else { "lost" };
        let own = if other.own { ", own" } else { "" };
        let level = level(other.rule.level());
        writeln!(out, "  {mark} {:<40} {cause}\n       {level}{own}, weight {}", other.rule.id(), other.weight)?;
        if other.rule.id() != it.rule {
            writeln!(out, "       {}", why(winner, other, cause))?;
        }
    }
    Ok(())
}

/// Why a rule, which tells of `cause`, lost against the winner.
fn why(winner: &Applying<'_>, loser: &Applying<'_>, cause: &str) -> &'static str {
    let (won, lost) = (winner.rule.level(), loser.rule.level());
    if loser.rule.never_wins() {
        "is only shown beside others"
    } else if lost > won || lost == won && (loser.own, loser.weight) > (winner.own, winner.weight) {
        if cause == "expired" {
            "says only that the message expired; the cause of the last attempt goes before it"
        } else {
            "says what was refused; the reason told behind it goes before it"
        }
    } else if lost < won {
        match lost {
            Level::Shape | Level::ReplyCode | Level::Stage | Level::VagueCode | Level::RegistryCode => {
                "a code or a stage says less"
            }
            Level::Together => "a phrase says more than words that only stand together",
            Level::VaguePhrase | Level::VaguePhraseWithCode => "its words name no reason",
            Level::SystemCode => "words go before codes",
            Level::Phrase | Level::SystemPhrase => "a system's words, or your own rule's, go before anybody's",
        }
    } else if winner.own && !loser.own {
        "your own rule goes first"
    } else if winner.weight > loser.weight {
        "its words say less"
    } else {
        "as specific; the same cause or the first by name wins"
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Guess => "a guess",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
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
        Level::Together => "words together",
        Level::SystemCode => "system's code",
        Level::VaguePhraseWithCode => "phrase + code",
        Level::Phrase => "phrase",
        Level::SystemPhrase => "system's phrase",
    }
}
