//! What was not understood, in groups; the rules; and a new rule, shown with what it would change
//! before it is saved.

use std::{
    collections::HashMap, fs, io, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path as FilePath, sync::Arc,
};

use axum::{
    extract::{Extension, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use minijinja::{Value, context};

use super::{
    Page, Problem, Site,
    guard::{Fields, Frame},
    name_of, page, told,
};
use crate::{
    config,
    diagnosis::{Catalogue, Home, Suggestion, Suggestions, Unexplained, clusters, home_of},
    journal::Diagnosed,
};

/// Undetermined diagnoses that are looked at.
const LATEST: u32 = 5_000;
/// Diagnoses that a new rule is tried on.
const TRIED: u32 = 2_000;
/// Groups, rules and changes that are shown.
const SHOWN: usize = 100;
/// Marks that are shown.
const MARKS: u32 = 100;
/// The file of `rules.d` that the page writes.
const FILE: &str = "review.toml";

/// GET /undetermined
pub(super) async fn undetermined(State(site): State<Arc<Site>>, Extension(frame): Extension<Frame>) -> Page {
    let found = site.journal.diagnosed(true, LATEST).await?;
    let grouped = tokio::task::spawn_blocking(move || groups(&found)).await;
    let (clusters, wordless) = grouped.unwrap_or_default();
    let mut wrong = Vec::new();
    for mark in site.journal.marks(MARKS).await? {
        let story = site.journal.show(&mark.message.to_string()).await?;
        let text = story.findings.first().and_then(|it| it.report.diagnostic.clone()).unwrap_or_default();
        wrong.push(context! { id => mark.message, text, title => site.title(&mark.cause, &frame) });
    }
    page("undetermined.html", &frame, context! { clusters, wordless, wrong })
}

fn unexplained(it: &Diagnosed) -> Unexplained {
    Unexplained {
        text: it.finding.report.diagnostic.clone().unwrap_or_default(),
        system: it.finding.diagnosis.system.clone(),
        place: it.message.to_string(),
    }
}

/// What was not understood in groups, and how many say nothing at all.
fn groups(found: &[Diagnosed]) -> (Vec<Value>, usize) {
    let texts: Vec<Unexplained> = found.iter().map(unexplained).collect();
    let Suggestions { rules: groups, wordless } = clusters(&texts, SHOWN);
    let example = |place: &String| {
        let text = texts.iter().find(|it| it.place == *place).map(|it| it.text.clone());
        context! { id => place, text => text.unwrap_or_default() }
    };
    let shown = groups
        .iter()
        .map(|group| {
            let examples: Vec<Value> = group.places.iter().take(3).map(example).collect();
            context! { count => group.count, masked => group.phrase.clone(), examples, first => group.places.first() }
        })
        .collect();
    (shown, wordless)
}

/// GET /samples.jsonl: what was marked as wrong, with made-up names, for whoever mends the program.
pub(super) async fn samples(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    let mut lines = String::new();
    for mark in site.journal.marks(10_000).await? {
        let story = site.journal.show(&mark.message.to_string()).await?;
        for finding in &story.findings {
            let report = &finding.report;
            let line = serde_json::json!({
                "diagnostic": crate::diagnosis::anonymous(report.diagnostic.as_deref().unwrap_or_default()),
                "status": report.status.map(|it| it.to_string()),
                "system": finding.diagnosis.system,
                "said": finding.diagnosis.cause.as_str(),
                "rule": finding.diagnosis.rule,
                "right": mark.cause,
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"whybounced-samples.jsonl\""),
    ];
    Ok((headers, lines).into_response())
}

/// GET /rules
pub(super) async fn rules(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Query(query): Query<HashMap<String, String>>,
) -> Page {
    let text = query.get("text").map(|it| it.trim().to_owned()).unwrap_or_default();
    let search = query.get("search").map(|it| it.trim().to_lowercase()).unwrap_or_default();
    let (catalogue, broken) = site.catalogue();
    let trial = (!text.is_empty()).then(|| {
        let it = catalogue.diagnose_text(&text, None, home(&site));
        context! {
            title => site.title(it.cause.as_str(), &frame),
            cause => it.cause.as_str(),
            rule => it.rule,
            matched => it.matched,
            confidence => name_of(&it.confidence),
            rivals => it.rivals,
        }
    });
    let fits = |rule: &&crate::diagnosis::Rule| {
        search.is_empty()
            || rule.id().contains(&search)
            || catalogue.cause_of(rule).id.as_str().contains(&search)
            || rule.phrases().any(|it| it.to_lowercase().contains(&search))
    };
    let found: Vec<_> = catalogue.rules().filter(fits).collect();
    // The administrator's own come last in the catalogue and first here.
    let rules: Vec<Value> = found
        .iter()
        .rev()
        .take(SHOWN)
        .map(|rule| {
            let cause = catalogue.cause_of(rule).id.as_str();
            let phrases: Vec<String> = rule.phrases().take(6).map(str::to_owned).collect();
            let own = !rule.file().contains('/');
            context! { id => rule.id().to_owned(), title => site.title(cause, &frame), phrases, file => rule.file().to_owned(), own }
        })
        .collect();
    let content = context! { text, search => query.get("search"), trial, broken, total => found.len(), shown => rules.len(), rules };
    page("rules.html", &frame, content)
}

fn home(site: &Site) -> Home {
    let domain = site.config.policy.domains.first().map(String::as_str);
    home_of(domain, site.config.home_country.as_deref())
}

/// GET /rules/new
pub(super) async fn new(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Query(query): Query<HashMap<String, String>>,
) -> Page {
    let text = match query.get("bounce") {
        Some(id) => {
            let story = site.journal.show(id).await?;
            story.findings.first().and_then(|it| it.report.diagnostic.clone()).unwrap_or_default()
        }
        None => query.get("text").cloned().unwrap_or_default(),
    };
    let asked = [Unexplained { text: text.clone(), system: None, place: String::new() }];
    let proposal = clusters(&asked, 1).rules.into_iter().next();
    let (phrase, sample) = proposal.map_or_else(
        || (text.clone(), text.clone()),
        |it| (it.phrase, it.samples.into_iter().next().unwrap_or_default()),
    );
    form(&site, &frame, &Draft { phrase, sample, cause: String::new() }, None, None)
}

/// A rule as it is typed.
#[derive(Clone, Debug, serde::Serialize)]
struct Draft {
    phrase: String,
    sample: String,
    cause: String,
}

impl Draft {
    fn read(fields: &Fields) -> Result<Self, Problem> {
        let text = |name: &str| fields.take(name).map(|it| it.replace(['\r', '\n'], " "));
        Ok(Self { phrase: text("phrase")?, sample: text("sample")?, cause: text("cause")? })
    }

    /// As `rules.d` takes it, under an id that is free beside `text`.
    fn toml(&self, text: &str) -> String {
        let words: Vec<String> = self
            .phrase
            .split(|c: char| !c.is_alphanumeric())
            .filter(|it| it.chars().count() > 1)
            .take(5)
            .map(str::to_lowercase)
            .collect();
        let base = format!("own/{}", words.join("-"));
        let taken = |id: &str| text.contains(&format!("\"{id}\""));
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let id = std::iter::once(base.clone()).chain(numbered).find(|id| !taken(id)).unwrap_or(base.clone());
        let rule = Suggestion {
            count: 0,
            id,
            phrase: self.phrase.clone(),
            samples: vec![self.sample.clone()],
            systems: Vec::new(),
            places: Vec::new(),
        };
        rule.toml(&self.cause)
    }
}

fn form(site: &Site, frame: &Frame, rule: &Draft, wrong: Option<&str>, preview: Option<Value>) -> Page {
    page("rule.html", frame, context! { rule => told(rule), wrong, preview, causes => site.causes(frame) })
}

/// The overlay with the draft in its place, proved; else what is wrong with it.
fn tried(directory: &FilePath, draft: &Draft) -> Result<(String, Catalogue), String> {
    let mut files = config::overlay(directory, &[".toml"]).map_err(|error| error.to_string())?;
    let all: String = files.iter().map(|it| it.1.as_str()).collect();
    let addition = draft.toml(&all);
    match files.iter_mut().find(|(name, _)| name == FILE) {
        Some((_, text)) => *text = appended(text, &addition),
        None => files.push((FILE.to_owned(), addition.clone())),
    }
    files.sort();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let catalogue = Catalogue::with_overlay(&files).map_err(|error| error.to_string())?;
    Ok((addition, catalogue))
}

fn appended(text: &str, addition: &str) -> String {
    if text.trim().is_empty() { addition.to_owned() } else { format!("{}\n\n{addition}", text.trim_end()) }
}

/// POST /rules/preview
pub(super) async fn preview(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
) -> Page {
    let draft = Draft::read(&fields)?;
    let (addition, after) = match tried(&site.config.rules_dir, &draft) {
        Ok(it) => it,
        Err(why) => return form(&site, &frame, &draft, Some(&why), None),
    };
    let found = site.journal.diagnosed(false, TRIED).await?;
    let (before, _) = site.catalogue();
    let home = home(&site);
    let looked_at = found.len();
    let changed = tokio::task::spawn_blocking(move || changes(&found, &before, &after, home)).await.unwrap_or_default();
    let changes: Vec<Value> = changed
        .iter()
        .take(SHOWN)
        .map(|it| {
            let (before, after) = (site.title(&it.before, &frame), site.title(&it.after, &frame));
            context! { id => it.id, text => it.text.clone(), before, after }
        })
        .collect();
    let file = site.config.rules_dir.join(FILE).display().to_string();
    let content = context! { file, text => addition, changed => changed.len(), changes, looked_at };
    form(&site, &frame, &draft, None, Some(content))
}

struct Change {
    id: i64,
    text: String,
    before: String,
    after: String,
}

fn changes(found: &[Diagnosed], before: &Catalogue, after: &Catalogue, home: Home) -> Vec<Change> {
    let mut changes = Vec::new();
    for it in found {
        let Some(text) = it.finding.report.diagnostic.as_deref() else { continue };
        let system = it.finding.diagnosis.system.as_deref();
        let cause = |catalogue: &Catalogue| catalogue.diagnose_text(text, system, home).cause;
        let (was, is) = (cause(before), cause(after));
        if was != is {
            let (before, after) = (was.as_str().to_owned(), is.as_str().to_owned());
            changes.push(Change { id: it.message, text: text.to_owned(), before, after });
        }
    }
    changes
}

/// POST /rules/save
pub(super) async fn save(
    State(site): State<Arc<Site>>,
    Extension(frame): Extension<Frame>,
    Extension(fields): Extension<Fields>,
) -> Page {
    let draft = Draft::read(&fields)?;
    let written = {
        let (site, draft) = (Arc::clone(&site), draft.clone());
        tokio::task::spawn_blocking(move || write(&site.config.rules_dir, &draft)).await
    };
    match written.unwrap_or_else(|_| Err("the rule could not be written".to_owned())) {
        Ok(()) => {
            tracing::info!(actor = frame.visitor.name, "a rule was added on the review page");
            site.reload();
            Ok(Redirect::to("/rules?done=saved").into_response())
        }
        Err(why) => {
            let html = form(&site, &frame, &draft, Some(&why), None)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response())
        }
    }
}

/// Adds a rule: read, proved and put in place under a lock, so that none is lost; a file is there
/// whole or as it was.
fn write(directory: &FilePath, draft: &Draft) -> Result<(), String> {
    let hint = "let catalogue.rules_dir lie where whybounced may write, such as /var/lib/whybounced/rules.d";
    let failed = |error: io::Error| format!("{}: {error}\nhint: {hint}", directory.display());
    fs::create_dir_all(directory).map_err(failed)?;
    // Hidden, so that it is no rule file.
    let lock =
        fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(directory.join(".lock"));
    let lock = lock.map_err(failed)?;
    lock.lock().map_err(failed)?;
    let (addition, _) = tried(directory, draft)?;
    let path = directory.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let new = directory.join(".review.new");
    let mut file = fs::File::create(&new).map_err(failed)?;
    file.write_all(appended(&text, &addition).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, &path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(phrase: &str, sample: &str) -> Draft {
        Draft { phrase: phrase.to_owned(), sample: sample.to_owned(), cause: "mailbox_full".to_owned() }
    }

    #[test]
    fn rules_written_at_once_are_all_there_and_hold() {
        let directory = tempfile::tempdir().expect("a directory");
        let phrases = ["the blue barrel overflows", "the green kettle overflows", "the red bucket overflows"];
        std::thread::scope(|scope| {
            for phrase in phrases {
                let directory = directory.path();
                scope.spawn(move || write(directory, &draft(phrase, &format!("550 {phrase} today"))).expect("written"));
            }
        });
        let files = config::overlay(directory.path(), &[".toml"]).expect("read");
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let catalogue = Catalogue::with_overlay(&files).expect("sound");
        for phrase in phrases {
            let it = catalogue.diagnose_text(&format!("550 {phrase}"), None, Home::Elsewhere);
            assert_eq!(it.cause.as_str(), "mailbox_full", "{phrase}");
        }
    }

    #[test]
    fn a_rule_that_does_not_win_on_its_own_sample_is_not_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let why =
            write(directory.path(), &draft("the blue barrel overflows", "550 something else")).expect_err("wrong");
        assert!(why.contains("does not "), "{why}");
        assert!(!directory.path().join(FILE).exists());
    }

    #[test]
    fn what_is_typed_cannot_leave_its_string() {
        let hostile = draft("x\"]\n[[rule]]\nid=\"evil\"", "s\"\"\"\n[x]");
        let text = hostile.toml("");
        let parsed: toml::Table = toml::from_str(&text).expect("one rule");
        assert_eq!(parsed["rule"].as_array().map(Vec::len), Some(1));
    }
}
