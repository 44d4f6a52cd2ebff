//! All words of the explanations, as data: what ships, what the company laid over it, and which
//! of it is missing in a language.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig};
use serde::Deserialize;

use super::{
    facts::Facts,
    markup, page,
    section::{self, CONDITIONS, Conditions, Section},
};
use crate::{catalogue, diagnosis::CauseId, mail::Language};

/// Sections that a cause's file has; the first five in every language.
pub(super) const CAUSE_SECTIONS: &[&str] =
    &["short", "reason", "what", "steps", "brief", "pass on", "admin", "admin steps", "admin paste"];

/// Instructions that one template may take; enough for the longest of ours a hundred times over.
const FUEL: u64 = 200_000;

/// What is wrong with a file of the company's own directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextError {
    /// The file, as it was named to us.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}\n\nhint: {}", self.file, self.line, self.column, self.reason, self.hint)
    }
}

impl std::error::Error for TextError {}

/// `catalogue/reply.toml`: what the explanations need to know and no language changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Knowledge {
    /// Minutes until sending again may help, by cause.
    pub(super) resend_after: BTreeMap<String, i64>,
    /// Causes at which the mail had reached the recipient's server, and the mailbox refused it.
    pub(super) stops_at_mailbox: BTreeSet<String>,
    /// Hosts that a quoted link may lead to.
    pub(super) link_hosts: BTreeSet<String>,
    /// Blocklist zones: name and where to ask for removal.
    pub(super) blocklist: Vec<Blocklist>,
    /// Mail domains whose users most probably read Chinese.
    pub(super) chinese_domains: BTreeSet<String>,
    /// Causes that are themselves what was seen, and only their own reasons a matter of doubt.
    pub(super) reason_is_seen: BTreeSet<String>,
    /// Causes that pass by themselves at a public mail service, where no recipient can mend them.
    pub(super) passes_at_public: BTreeSet<String>,
    /// Conditions that hold where a server's words contain one of these, lower-cased.
    pub(super) marked: BTreeMap<String, Vec<String>>,
}

/// One blocklist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocklist {
    /// Lower-cased words that name it in zones and in servers' replies.
    pub(super) marks: Vec<String>,
    pub(super) name: String,
    pub(super) link: String,
}

/// The texts of all languages.
pub struct Texts {
    /// By path below `catalogue/`, parsed; causes are parsed when they are needed.
    frames: BTreeMap<String, Vec<Section<'static>>>,
    /// The company's own files, by the same paths.
    overlay: BTreeMap<String, String>,
    environment: Environment<'static>,
    languages: Vec<Language>,
    pub(super) knowledge: Knowledge,
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("languages", &self.languages).finish_non_exhaustive()
    }
}

impl Texts {
    /// Where the operator of a blocklist, named by its zone, takes wishes for removal.
    #[must_use]
    pub fn removal_page(&self, zone: &str) -> Option<&str> {
        let zone = zone.to_ascii_lowercase();
        let known = self.knowledge.blocklist.iter().find(|it| it.marks.iter().any(|mark| zone.contains(mark.as_str())));
        known.map(|it| it.link.as_str())
    }

    /// What ships with the program.
    #[must_use]
    pub fn embedded() -> Self {
        let mut frames: BTreeMap<String, Vec<Section<'static>>> = BTreeMap::new();
        for (path, text) in catalogue::folder("languages") {
            if let Some(tag) = path.split('/').nth(1) {
                frames.entry(tag.to_owned()).or_default().extend(section::parse(text));
            }
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_syntax(syntax());
        environment.add_filter("upper_first", |text: String| {
            let mut characters = text.chars();
            characters.next().map(|it| it.to_uppercase().chain(characters).collect::<String>()).unwrap_or_default()
        });
        // A section is its own name: so each is compiled once, when it is first used.
        environment.set_loader(|body| Ok(Some(body.to_owned())));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out, _, value| {
            if !value.is_none() {
                out.write_str(&markup::fence(&value.to_string()))?;
            }
            Ok(())
        });
        Self {
            languages: frames.keys().map(|tag| Language::new(tag)).collect(),
            frames,
            overlay: BTreeMap::new(),
            environment,
            knowledge: catalogue::table("reply.toml").expect("catalogue/reply.toml is held by a test"),
        }
    }

    /// Lays the company's own files over what ships: `(path below the directory, text)`, the paths
    /// as in `catalogue/` (`causes/mailbox_full/zh-CN.md`, `languages/zh-CN/mail.md`). A section
    /// of theirs takes the place of all of ours with its name.
    ///
    /// # Errors
    /// Every mistake of every file: an unknown cause, section, condition or variable, a broken
    /// template, a section without a variant for all other cases.
    pub fn with_overlay(files: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<TextError>> {
        let mut texts = Self::embedded();
        let mut errors = Vec::new();
        for (path, text) in files {
            let path = path.replace('\\', "/");
            errors.extend(texts.check_file(&path, &text));
            if let Some((_, tag)) = place(&path) {
                let language = Language::new(tag);
                if !texts.languages.contains(&language) {
                    texts.languages.push(language);
                }
            }
            texts.overlay.insert(path, text);
        }
        if errors.is_empty() { Ok(texts) } else { Err(errors) }
    }

    /// The languages that texts exist in.
    #[must_use]
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    /// A cause's name in a few words, such as “mailbox full”; in English where the language has
    /// none, empty for a cause without texts.
    #[must_use]
    pub fn cause_name(&self, cause: &str, language: &Language) -> String {
        let of = |tag: &str| {
            let sections = self.sections(&format!("causes/{cause}/{tag}.md"));
            let short = sections.iter().find(|it| it.name == "short" && it.conditions.is_empty())?;
            Some(short.body.trim().to_owned())
        };
        of(language.as_str()).or_else(|| of("en")).unwrap_or_default()
    }

    /// What falls back to English: `causes/moved/fr.md: steps`, by path.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for language in self.languages.iter().filter(|it| it.as_str() != "en") {
            let tag = language.as_str();
            let has = |path: &str, english: &[Section<'_>], own: &[Section<'_>]| {
                let names =
                    |sections: &[Section<'_>]| sections.iter().map(|it| it.name.to_owned()).collect::<BTreeSet<_>>();
                let lacks: Vec<_> =
                    names(english).difference(&names(own)).map(|name| format!("{path}: {name}")).collect();
                lacks
            };
            for (cause, english) in causes() {
                let path = format!("causes/{cause}/{tag}.md");
                missing.extend(has(&path, &section::parse(english), &self.sections(&path)));
            }
            let english = self.frames.get("en").map_or(&[][..], Vec::as_slice);
            let ours = self.frames.get(tag).cloned().unwrap_or_default();
            missing.extend(has(&format!("languages/{tag}"), english, &over(self.own_frame(tag), ours)));
        }
        missing
    }

    /// The errors of one file of the company's own.
    fn check_file(&self, path: &str, text: &str) -> Vec<TextError> {
        let error = |(line, column): (usize, usize), reason: String, hint: &str| TextError {
            file: path.to_owned(),
            line,
            column,
            reason,
            hint: hint.to_owned(),
        };
        let Some((place, _)) = place(path) else {
            let hint = "files are named `causes/<cause>/<language>.md` or `languages/<language>/<name>.md`";
            return vec![error((1, 1), "no text of ours has this name".to_owned(), hint)];
        };
        let known: BTreeSet<&str> = match place {
            Place::Cause(cause) if !causes().any(|(it, _)| it == cause) => {
                let nearest = nearest(cause, causes().map(|(it, _)| it));
                return vec![error(
                    (1, 1),
                    format!("there is no cause `{cause}`"),
                    &format!("did you mean `{nearest}`?"),
                )];
            }
            Place::Cause(_) => CAUSE_SECTIONS.iter().copied().collect(),
            Place::Frame => self.frames.get("en").into_iter().flatten().map(|it| it.name).collect(),
        };
        let sections = section::parse(text);
        let mut errors = Vec::new();
        if sections.is_empty() {
            errors.push(error(
                (1, 1),
                "there is no section".to_owned(),
                "a section begins with a line such as `# steps`",
            ));
        }
        let variables = Facts::variables();
        for section in &sections {
            if !known.contains(section.name) {
                let nearest = nearest(section.name, known.iter().copied());
                errors.push(error(
                    (section.line, 3),
                    format!("unknown section `{}`", section.name),
                    &format!("did you mean `# {nearest}`?"),
                ));
            }
            for condition in section.conditions.iter().filter(|it| !CONDITIONS.contains(it)) {
                let nearest = nearest(condition, CONDITIONS.iter().copied());
                let heading = text.lines().nth(section.line - 1).unwrap_or_default();
                errors.push(error(
                    (section.line, column_of(heading, condition)),
                    format!("unknown condition `{condition}`"),
                    &format!("did you mean `{nearest}`?"),
                ));
            }
            if !sections.iter().any(|it| it.name == section.name && it.conditions.is_empty()) {
                let hint = format!("add a section `# {}` without conditions for all other cases", section.name);
                errors.push(error(
                    (section.line, 1),
                    format!("`# {}` is written for some cases only", section.name),
                    &hint,
                ));
            }
            errors.extend(
                self.check_template(text, section, &variables).map(|(place, reason, hint)| error(place, reason, &hint)),
            );
        }
        errors
    }

    /// Place, reason and hint, if the section's template is broken or names an unknown variable.
    fn check_template(
        &self,
        text: &str,
        section: &Section<'_>,
        variables: &BTreeSet<String>,
    ) -> Option<((usize, usize), String, String)> {
        // The body is a slice of the file: where it begins is where its first line is.
        let begin = (section.body.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let first = text.get(..begin).unwrap_or_default().matches('\n').count() + 1;
        let line_at = |line: usize| text.lines().nth(line - 1).unwrap_or_default();
        let template = match self.environment.template_from_str(section.body) {
            Ok(template) => template,
            Err(wrong) => {
                let line = first + wrong.line().unwrap_or(1).saturating_sub(1);
                let column = line_at(line).find(['{', '%']).map_or(1, |at| columns(line_at(line), at));
                let hint = "values stand in {{ }}, conditions in {% if %} … {% endif %}".to_owned();
                let reason = format!("broken template: {}", wrong.detail().unwrap_or("cannot be read"));
                return Some(((line, column), reason, hint));
            }
        };
        let unknown = template.undeclared_variables(false).into_iter().find(|it| !variables.contains(it))?;
        let line = first + section.body.lines().position(|it| it.contains(&unknown)).unwrap_or(0);
        let nearest = nearest(&unknown, variables.iter().map(String::as_str));
        let place = (line, column_of(line_at(line), &unknown));
        Some((place, format!("unknown variable `{unknown}`"), format!("did you mean `{nearest}`?")))
    }

    /// The sections at `path`: the company's own, then ours of other names.
    fn sections(&self, path: &str) -> Vec<Section<'_>> {
        let own = self.overlay.get(path).map(|text| section::parse(text)).unwrap_or_default();
        let ours = catalogue::file(path).map(section::parse).unwrap_or_default();
        over(own, ours)
    }

    /// The company's own sections of a language's frame.
    fn own_frame(&self, tag: &str) -> Vec<Section<'_>> {
        let below = |path: &str| path.strip_prefix("languages/").is_some_and(|it| it.split('/').next() == Some(tag));
        self.overlay.iter().filter(|(path, _)| below(path)).flat_map(|(_, text)| section::parse(text)).collect()
    }

    /// A section of a cause, filled; the language's own, else English, else empty.
    pub(super) fn cause(&self, tag: &str, cause: &str, name: &str, holding: &Conditions, facts: &Facts) -> String {
        let mut has_text = false;
        for tag in [tag, "en"] {
            let sections = self.sections(&format!("causes/{cause}/{tag}.md"));
            has_text |= !sections.is_empty();
            if let Some(filled) = self.fill_from(&sections, name, holding, facts) {
                return filled;
            }
        }
        if has_text || cause == CauseId::UNDETERMINED {
            return String::new();
        }
        // A cause of the administrator's own rules that has no text yet.
        self.cause(tag, CauseId::UNDETERMINED, name, holding, facts)
    }

    /// A section of the frame, filled; the language's own, else English, else empty.
    pub(super) fn frame(&self, tag: &str, name: &str, holding: &Conditions, facts: &Facts) -> String {
        let of_language = |tag: &str| {
            let own = self.own_frame(tag);
            let ours = self.frames.get(tag).map_or(&[][..], Vec::as_slice);
            let sections = if own.iter().any(|it| it.name == name) { &own } else { ours };
            self.fill_from(sections, name, holding, facts)
        };
        of_language(tag).or_else(|| of_language("en")).unwrap_or_default()
    }

    fn fill_from(&self, sections: &[Section<'_>], name: &str, holding: &Conditions, facts: &Facts) -> Option<String> {
        let section = section::choose(sections, name, holding)?;
        if !section.body.contains('{') {
            return Some(section.body.to_owned());
        }
        // A template that fails on one case although `check` passed it falls back to the next language.
        self.environment.get_template(section.body).and_then(|it| it.render(facts.context())).ok()
    }

    /// The HTML of all pages: one template for all languages, with escaping.
    pub(super) fn html(context: &Value) -> Result<String, minijinja::Error> {
        const NAME: &str = "frame.html";
        static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
            let mut environment = Environment::new();
            environment.set_undefined_behavior(UndefinedBehavior::Strict);
            environment.set_fuel(Some(FUEL * 50));
            environment.set_syntax(syntax());
            environment.add_filter("whole", |text: &str| page::whole(text));
            // Should it not compile, no page finds it.
            let _ = environment.add_template(NAME, catalogue::file(NAME).unwrap_or_default());
            environment
        });
        ENVIRONMENT.get_template(NAME)?.render(context)
    }
}

/// A line that holds a `{% … %}` alone leaves nothing behind.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

enum Place<'p> {
    Cause(&'p str),
    Frame,
}

/// What a path below the directory is for, and its language.
fn place(path: &str) -> Option<(Place<'_>, &str)> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["causes", cause, file] => Some((Place::Cause(cause), file.strip_suffix(".md")?)),
        ["languages", tag, file] => file.strip_suffix(".md").map(|_| (Place::Frame, tag)),
        _ => None,
    }
}

fn over<'t>(own: Vec<Section<'t>>, ours: Vec<Section<'t>>) -> Vec<Section<'t>> {
    let names: BTreeSet<&str> = own.iter().map(|it| it.name).collect();
    let kept: Vec<_> = ours.into_iter().filter(|it| !names.contains(it.name)).collect();
    own.into_iter().chain(kept).collect()
}

/// The causes that ship with texts, by name.
pub fn cause_names() -> impl Iterator<Item = &'static str> {
    causes().map(|(cause, _)| cause)
}

/// Each cause that ships, with its English text.
pub(super) fn causes() -> impl Iterator<Item = (&'static str, &'static str)> {
    catalogue::folder("causes").filter_map(|(path, text)| {
        let cause = path.strip_prefix("causes/")?.strip_suffix("/en.md")?;
        Some((cause, text))
    })
}

/// The column at which `word` begins, in characters from 1.
fn column_of(line: &str, word: &str) -> usize {
    line.find(word).map_or(1, |at| columns(line, at))
}

fn columns(line: &str, at: usize) -> usize {
    line.get(..at).unwrap_or_default().chars().count() + 1
}

fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    known.min_by_key(|it| strsim::damerau_levenshtein(it, name)).unwrap_or_default().to_owned()
}
