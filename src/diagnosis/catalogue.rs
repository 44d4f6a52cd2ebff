//! Text into a checked `Catalogue`: causes, rules, codes, systems, overlays, and what finds their words.
//!
//! Every name is resolved here (cause, system, phrase, code), so that matching cannot fail. Built
//! from the files of `catalogue/`, by the app once at start and again when `rules.d` changes.

use std::{collections::HashMap, collections::HashSet, sync::Arc};

use toml::Spanned;

use super::{
    Acts, CauseId, Confidence, Diagnosis, Family,
    code::EnhancedPattern,
    facts::{Extractor, Unit},
    form::{CatalogueError, CauseForm, CodeForm, CodesForm, Embedded, FactsForm, OverlayForm, RuleForm, Source, Word},
    phrase::Phrase,
    place::Ranges,
    rule::{Level, Rule},
    system::{Systems, SystemsForm},
    together::groups,
};
use crate::literals::{Finder, Literals};

/// A cause and what follows from it unless a rule says otherwise (`design.md` §4).
#[derive(Clone, Debug)]
pub struct Cause {
    /// The name.
    pub id: CauseId,
    /// The closed family that policy and evidence know.
    pub family: Family,
    /// Whose move it is.
    pub acts: Acts,
    /// Sent again unchanged in two days it would fail the same way; `None` if unknown.
    pub permanent: Option<bool>,
    /// It says what was refused: a reason told behind it goes before it.
    pub(super) reason_follows: bool,
}

/// All knowledge, checked and ready. Cheap to share: keep it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub(super) causes: Vec<Cause>,
    pub(super) rules: Vec<Rule>,
    pub(super) systems: Systems,
    /// (system, words that only it says).
    pub(super) marks: Vec<(usize, Phrase)>,
    pub(super) extractors: Vec<Extractor>,
    pub(super) units: Vec<Unit>,
    /// Fresher ranges than those that ship.
    pub(super) ranges: Option<Arc<Ranges>>,
    pub(super) finder: Finder,
    /// (literal, rule to look at when it is found), sorted.
    triggers: Vec<(u32, u32)>,
    pub(super) by_enhanced: HashMap<(u16, u16), Vec<u32>>,
    pub(super) by_reply: HashMap<u16, Vec<u32>>,
}

impl Catalogue {
    /// The built-in catalogue.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::built::<Embedded>(crate::catalogue::FILES, &[])
    }

    /// The built-in catalogue under the administrator's own rules: `(file name, text)`, in order.
    /// Own rules go before built-in ones and may switch those off by id. A file `cn-ranges.txt`
    /// among them takes the place of the address ranges that ship.
    pub fn with_overlay(files: &[(&str, &str)]) -> Result<Self, CatalogueError> {
        let catalogue = Self::built::<Embedded>(crate::catalogue::FILES, files)?;
        catalogue.prove_overlay(files)?;
        Ok(catalogue)
    }

    /// Rules to look at when a literal is found.
    pub(super) fn triggered_by(&self, literal: u32) -> impl Iterator<Item = u32> {
        let begin = self.triggers.partition_point(|(it, _)| *it < literal);
        let rest = self.triggers.get(begin..).unwrap_or_default();
        rest.iter().take_while(move |(it, _)| *it == literal).map(|(_, rule)| *rule)
    }

    /// The causes, by name.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.causes.iter()
    }

    /// The cause of that name.
    pub fn cause(&self, id: &str) -> Option<&Cause> {
        self.causes.binary_search_by(|it| it.id.as_str().cmp(id)).ok().and_then(|at| self.causes.get(at))
    }

    /// The rules, codes among them: built-in ones by cause, then codes, then the administrator's.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The cause that a rule points to.
    pub fn cause_of(&self, rule: &Rule) -> &Cause {
        &self.causes[rule.cause]
    }

    /// The systems of which one must speak, by name; none if any may.
    pub fn systems_of(&self, rule: &Rule) -> impl Iterator<Item = &str> {
        rule.systems.iter().filter_map(|it| self.systems.name(*it))
    }

    /// The canonical name of a system, from its name or an alias.
    pub fn system_name(&self, name: &str) -> Option<&str> {
        self.systems.named(name).and_then(|it| self.systems.name(it))
    }

    /// Domains and suffixes of hosts by which systems are known, without a leading dot.
    pub fn known_hosts(&self) -> impl Iterator<Item = &str> {
        self.systems.known_hosts().map(|it| it.trim_start_matches('.'))
    }

    /// A catalogue from files as they are written below `catalogue/`: `(path, text)`, sorted by path.
    pub fn from_files(files: &[(&str, &str)]) -> Result<Self, CatalogueError> {
        Self::built::<Spanned<String>>(files, &[])
    }

    fn built<'t, W: Word<'t>>(files: &[(&'t str, &'t str)], overlay: &[(&str, &str)]) -> Result<Self, CatalogueError> {
        let mut builder = Builder::default();
        let of = |name: &'static str| {
            let text = files.iter().find(|(path, _)| *path == name).map_or("", |it| it.1);
            Source { name, text }
        };
        builder.read_systems::<W>(of("systems.toml"))?;
        let causes = files.iter().filter_map(|(path, text)| Some((cause_of(path)?, Source { name: path, text })));
        let mut forms = Vec::new();
        for (cause, source) in causes {
            let form: CauseForm<W> = W::read(source)?;
            builder.causes.push(Cause {
                id: CauseId::new(cause),
                family: form.family,
                acts: form.acts,
                permanent: form.permanent,
                reason_follows: form.reason_follows,
            });
            forms.push((builder.causes.len() - 1, source, form.rule));
        }
        for (cause, source, rules) in forms {
            for rule in rules {
                builder.add_rule(rule, Some(cause), source, false)?;
            }
        }
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with("codes/")) {
            let source = Source { name: path, text };
            for code in W::read::<CodesForm<W>>(source)?.code {
                builder.add_code(&code, source)?;
            }
        }
        for (name, text) in overlay.iter().filter(|it| !is_ranges(it.0)) {
            builder.add_overlay(Source { name, text })?;
        }
        builder.read_facts::<W>(of("facts.toml"))?;
        let fresh = overlay.iter().find(|it| is_ranges(it.0)).map(|(name, text)| Source { name, text });
        let ranges = fresh.map(|it| {
            Ranges::parse(it.text).map(Arc::new).map_err(|line| CatalogueError {
                file: it.name.to_owned(),
                line,
                column: 1,
                reason: "not a range of addresses".to_owned(),
                hint: "write `first last`, both IPv4 or both IPv6".to_owned(),
            })
        });
        let ranges = ranges.transpose()?;
        Ok(builder.finish(ranges))
    }

    /// Each rule of the overlay must win on its own samples.
    fn prove_overlay(&self, files: &[(&str, &str)]) -> Result<(), CatalogueError> {
        for (name, text) in files.iter().filter(|it| !is_ranges(it.0)) {
            let source = Source { name, text };
            for form in read_overlay(source)?.rule {
                let Some(rule) = self.rules.iter().rev().find(|it| it.id() == form.id.get_ref()) else { continue };
                if let Some(failed) = self.unproven_of(rule).into_iter().next() {
                    let at = form.samples.iter().find(|it| *it.get_ref() == failed.text);
                    let at = at.map_or_else(|| form.id.span(), Spanned::span);
                    let (id, text, winner) = (rule.id(), failed.text, failed.decided_by);
                    let reason = if winner.is_empty() {
                        format!("rule `{id}` does not match `{text}`")
                    } else {
                        format!("rule `{id}` does not win on `{text}`, `{winner}` does")
                    };
                    let hint = "make its phrases more specific, or switch the other rule off: `off = [\"ID\"]`";
                    return Err(source.mistake(&at, &reason, hint));
                }
            }
        }
        Ok(())
    }
}

fn read_overlay(source: Source<'_>) -> Result<OverlayForm<Spanned<String>>, CatalogueError> {
    Spanned::<String>::read(source)
}

/// Whether a file of the administrator's holds address ranges and not rules.
fn is_ranges(name: &str) -> bool {
    name.rsplit('/').next() == Some("cn-ranges.txt")
}

/// `causes/<cause>/cause.toml` → the cause.
fn cause_of(path: &str) -> Option<&str> {
    path.strip_prefix("causes/")?.strip_suffix("/cause.toml")
}

#[derive(Default)]
struct Builder {
    causes: Vec<Cause>,
    rules: Vec<Rule>,
    ids: HashSet<String>,
    off: HashSet<String>,
    systems: Systems,
    marks: Vec<(usize, Phrase)>,
    extractors: Vec<Extractor>,
    units: Vec<Unit>,
    literals: Literals,
}

impl Builder {
    fn read_systems<'t, W: Word<'t>>(&mut self, source: Source<'t>) -> Result<(), CatalogueError> {
        let mut forms = W::read::<SystemsForm<W>>(source)?.system;
        for (index, form) in forms.iter_mut().enumerate() {
            for mark in std::mem::take(&mut form.marks) {
                self.marks.push((index, phrase(mark, source, &mut self.literals)?));
            }
        }
        self.systems = Systems::new(forms);
        Ok(())
    }

    fn read_facts<'t, W: Word<'t>>(&mut self, source: Source<'t>) -> Result<(), CatalogueError> {
        let form = W::read::<FactsForm<W>>(source)?;
        let unit = |seconds, begin: W| Unit { seconds, begin: begin.into_text() };
        self.units =
            form.unit.into_iter().flat_map(|it| it.begins.into_iter().map(move |b| unit(it.seconds, b))).collect();
        for form in form.fact {
            let after = phrases(form.after, source, &mut self.literals)?;
            let before = phrases(form.before, source, &mut self.literals)?;
            self.extractors.push(Extractor { fact: form.fact, after, before });
        }
        Ok(())
    }

    fn add_overlay(&mut self, source: Source<'_>) -> Result<(), CatalogueError> {
        let form = read_overlay(source)?;
        for id in form.off {
            if !self.ids.contains(id.get_ref()) {
                let reason = format!("there is no rule `{}` to switch off", id.get_ref());
                return Err(source.mistake(&id.span(), &reason, "`whybounced rules list` names all rules"));
            }
            self.off.insert(id.into_inner());
        }
        for rule in form.rule {
            self.add_rule(rule, None, source, true)?;
        }
        Ok(())
    }

    fn add_rule<'t, W: Word<'t>>(
        &mut self,
        form: RuleForm<W>,
        cause: Option<usize>,
        source: Source<'_>,
        overlay: bool,
    ) -> Result<(), CatalogueError> {
        let at = form.id.span();
        let id = form.id.into_text().into_owned();
        let cause = match (&form.cause, cause) {
            (None, Some(cause)) => cause,
            (Some(name), None) => self.cause(name, source)?,
            (Some(name), Some(_)) => {
                return Err(source.mistake(
                    &name.span(),
                    "`cause` stands here, but the folder names it",
                    "remove the key",
                ));
            }
            (None, None) => {
                return Err(source.mistake(&at, &format!("rule `{id}` names no cause"), "add `cause = \"…\"`"));
            }
        };
        let any = phrases(form.any, source, &mut self.literals)?;
        let all = phrases(form.all, source, &mut self.literals)?;
        let together = groups(form.together, source, &mut self.literals)?;
        let none = phrases(form.none, source, &mut self.literals)?;
        let mut enhanced = Vec::new();
        for code in &form.enhanced {
            enhanced.push(enhanced_pattern(code, source)?);
        }
        let mut systems = Vec::new();
        for name in &form.system {
            systems.push(self.system(name, source)?);
        }
        let words = any.is_empty() && all.is_empty() && together.is_empty();
        if words && enhanced.is_empty() && form.reply.is_empty() && form.shape.is_none() {
            let reason = format!("rule `{id}` asks for nothing");
            return Err(source.mistake(&at, &reason, "give it `any`, `all`, `together`, `enhanced` or `reply`"));
        }
        if form.samples.is_empty() || !overlay && form.source.is_none() {
            let reason = format!("rule `{id}` has no {}", if form.samples.is_empty() { "sample" } else { "source" });
            return Err(source.mistake(
                &at,
                &reason,
                "add one reply that it decides: `samples = [\"…\"]`, and its `source`",
            ));
        }
        if form.stage != id.ends_with(Diagnosis::STAGE) {
            let reason = format!("rule `{id}` and its `stage` do not agree");
            return Err(source.mistake(
                &at,
                &reason,
                "`stage = true` is for rules whose id ends in `/stage`, and for these alone",
            ));
        }
        self.claim(&id, &at, source)?;
        let mut rule = Rule {
            id,
            cause,
            any,
            all,
            together,
            none,
            enhanced,
            reply: form.reply,
            systems,
            level: Level::Shape,
            overlay,
            abroad: form.abroad,
            foreign: form.foreign,
            vague: form.vague,
            stage: form.stage,
            rival: form.rival,
            shape: form.shape,
            acts: form.acts,
            confidence: form.confidence,
            permanent: form.permanent,
            source: form.source.map(W::into_text).unwrap_or_default(),
            samples: form.samples.into_iter().map(W::into_text).collect(),
            file: source.name.to_owned(),
        };
        rule.level = rule.standing();
        self.rules.push(rule);
        Ok(())
    }

    fn add_code<'t, W: Word<'t>>(&mut self, form: &CodeForm<W>, source: Source<'_>) -> Result<(), CatalogueError> {
        let code = form.code.text();
        let cause = self.cause(&form.cause, source)?;
        let mut systems = Vec::new();
        if let Some(name) = &form.system {
            systems.push(self.system(name, source)?);
        }
        let (mut enhanced, mut reply) = (Vec::new(), Vec::new());
        let sample = if code.contains('.') {
            let pattern = enhanced_pattern(&form.code, source)?;
            enhanced.push(pattern);
            pattern.example()
        } else {
            let (first, last) = code.split_once('-').unwrap_or((code, code));
            let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
            let Some((first, last)) = range.filter(|(first, last)| first <= last && (400..600).contains(first)) else {
                return Err(source.mistake(&form.code.span(), &format!("`{code}` is no code"), CODE_HINT));
            };
            reply.extend(first..=last);
            first.to_string()
        };
        let speaker = form.system.as_ref().map(|it| format!("{}/", it.text())).unwrap_or_default();
        let id = format!("code/{speaker}{code}");
        self.claim(&id, &form.code.span(), source)?;
        let mut rule = Rule {
            id,
            cause,
            any: Vec::new(),
            all: Vec::new(),
            together: Vec::new(),
            none: Vec::new(),
            enhanced,
            reply,
            systems,
            level: Level::Shape,
            overlay: false,
            abroad: false,
            foreign: false,
            vague: form.vague,
            stage: false,
            rival: false,
            shape: None,
            acts: form.acts,
            confidence: Some(Confidence::Guess),
            permanent: None,
            source: format!("{} ({})", form.source.text(), form.meaning.text()).into(),
            samples: vec![sample.into()],
            file: source.name.to_owned(),
        };
        rule.level = rule.standing();
        self.rules.push(rule);
        Ok(())
    }

    fn claim(&mut self, id: &str, at: &std::ops::Range<usize>, source: Source<'_>) -> Result<(), CatalogueError> {
        if self.ids.insert(id.to_owned()) {
            return Ok(());
        }
        let hint = "ids are unique; to replace a built-in rule, switch it off and give yours another id";
        Err(source.mistake(at, &format!("there is already a rule `{id}`"), hint))
    }

    fn cause<'t>(&self, name: &impl Word<'t>, source: Source<'_>) -> Result<usize, CatalogueError> {
        self.causes.iter().position(|it| it.id.as_str() == name.text()).ok_or_else(|| {
            let reason = format!("there is no cause `{}`", name.text());
            let names = self.causes.iter().map(|it| it.id.as_str());
            let hint = match name.text() {
                "" => "fill in what it means: `whybounced rules causes` lists all causes".to_owned(),
                name => nearest(name, names),
            };
            source.mistake(&name.span(), &reason, &hint)
        })
    }

    fn system<'t>(&self, name: &impl Word<'t>, source: Source<'_>) -> Result<usize, CatalogueError> {
        self.systems.named(name.text()).ok_or_else(|| {
            let reason = format!("there is no system `{}`", name.text());
            source.mistake(&name.span(), &reason, &nearest(name.text(), self.systems.names()))
        })
    }

    fn finish(mut self, ranges: Option<Arc<Ranges>>) -> Catalogue {
        self.rules.retain(|it| !self.off.contains(&it.id));
        let mut triggers = Vec::new();
        let mut by_enhanced: HashMap<(u16, u16), Vec<u32>> = HashMap::new();
        let mut by_reply: HashMap<u16, Vec<u32>> = HashMap::new();
        for (number, rule) in (0_u32..).zip(&self.rules) {
            triggers.extend(rule.keys().into_iter().map(|it| (it, number)));
            if rule.any.is_empty() && rule.all.is_empty() && rule.together.is_empty() {
                for key in rule.enhanced.iter().flat_map(EnhancedPattern::keys) {
                    by_enhanced.entry(key).or_default().push(number);
                }
                for code in rule.reply.iter().filter(|_| rule.enhanced.is_empty()) {
                    by_reply.entry(*code).or_default().push(number);
                }
            }
        }
        triggers.sort_unstable();
        Catalogue {
            causes: self.causes,
            rules: self.rules,
            systems: self.systems,
            marks: self.marks,
            extractors: self.extractors,
            units: self.units,
            ranges,
            finder: Finder::new(self.literals),
            triggers,
            by_enhanced,
            by_reply,
        }
    }
}

const PHRASE_HINT: &str = "a phrase is words with {address}, {host}, {ip}, {number}, {*} or {~} between them, and {recipient}, \
    {sender}, {client}, {domain} or {message} before or after them";
const CODE_HINT: &str = "write `x.1.1`, `5.7.606-649`, `550` or `500-504`";

pub(super) fn phrase<'t, W: Word<'t>>(
    word: W,
    source: Source<'_>,
    literals: &mut Literals,
) -> Result<Phrase, CatalogueError> {
    let span = word.span();
    let words = word.into_text();
    Phrase::parse(words.clone(), literals)
        .map_err(|wrong| source.mistake(&span, &format!("phrase `{words}`: {wrong}"), PHRASE_HINT))
}

fn phrases<'t, W: Word<'t>>(
    words: Vec<W>,
    source: Source<'_>,
    literals: &mut Literals,
) -> Result<Vec<Phrase>, CatalogueError> {
    words.into_iter().map(|it| phrase(it, source, literals)).collect()
}

fn enhanced_pattern<'t>(code: &impl Word<'t>, source: Source<'_>) -> Result<EnhancedPattern, CatalogueError> {
    EnhancedPattern::parse(code.text())
        .ok_or_else(|| source.mistake(&code.span(), &format!("`{}` is no enhanced code", code.text()), CODE_HINT))
}

/// "did you mean …" for a name that is not known.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = known.map(|it| (strsim::jaro_winkler(it, name), it)).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(String::new, |(_, it)| format!("did you mean `{it}`?"))
}
