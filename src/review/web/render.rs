//! Templates and words to HTML. Everything that came from mail is text here: escaped, controls and
//! direction marks made visible. The templates lie in `templates/`, the words in
//! `catalogue/review/`.

use std::{collections::BTreeMap, sync::OnceLock};

use jiff::{Timestamp, tz::TimeZone};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, context, escape_formatter};

use crate::{catalogue, mail::Language, review::printable};

/// Instructions that one page may take.
const FUEL: u64 = 20_000_000;

/// The templates, by name.
const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("templates/base.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("login.html", include_str!("templates/login.html")),
    ("problem.html", include_str!("templates/problem.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("bounces.html", include_str!("templates/bounces.html")),
    ("bounce.html", include_str!("templates/bounce.html")),
    ("undetermined.html", include_str!("templates/undetermined.html")),
    ("rules.html", include_str!("templates/rules.html")),
    ("rule.html", include_str!("templates/rule.html")),
    ("outbox.html", include_str!("templates/outbox.html")),
    ("settings.html", include_str!("templates/settings.html")),
];

/// The words of one language, by key.
type Words = BTreeMap<String, String>;

fn words() -> &'static BTreeMap<&'static str, Words> {
    static WORDS: OnceLock<BTreeMap<&'static str, Words>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let files = catalogue::folder("review");
        let tables = files.filter_map(|(path, _)| {
            let tag = path.strip_prefix("review/")?.strip_suffix(".toml")?;
            Some((tag, catalogue::table(path).unwrap_or_default()))
        });
        tables.collect()
    })
}

/// A word in a language; else in English; else the key, which a test forbids.
pub(super) fn word(tag: &str, key: &str) -> String {
    let all = words();
    let of = |tag: &str| all.get(tag).and_then(|it| it.get(key));
    of(tag).or_else(|| of("en")).cloned().unwrap_or_else(|| key.to_owned())
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(|out, state, value| match value.as_str() {
            Some(text) if !value.is_safe() => escape_formatter(out, state, &Value::from(printable(text).as_ref())),
            _ if value.is_none() => Ok(()),
            _ => escape_formatter(out, state, value),
        });
        environment.add_function("t", |state: &State<'_, '_>, key: &str| word(&language(state), key));
        // A word that may not be ours: a cause's, a state's, a reason's name.
        environment.add_function("named", |state: &State<'_, '_>, group: &str, name: &str| {
            let tag = language(state);
            let key = format!("{group}_{name}");
            let known = words().get("en").is_some_and(|it| it.contains_key(&key));
            if known { word(&tag, &key) } else { name.replace('_', " ") }
        });
        environment.add_filter("urlencode", |text: &str| url_encoded(text));
        environment.add_filter("time", |state: &State<'_, '_>, at: &Value| moment(state, at, "%Y-%m-%d %H:%M"));
        environment.add_filter("exact", |state: &State<'_, '_>, at: &Value| moment(state, at, "%Y-%m-%d %H:%M:%S %:z"));
        for (name, source) in TEMPLATES {
            if let Err(error) = environment.add_template(name, source) {
                tracing::error!(name, %error, "a template of the review page is broken");
            }
        }
        environment
    })
}

/// A value of a query string (RFC 3986 §2.1).
pub(super) fn url_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut out, octet| {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(octet)),
            _ => {
                let _ = write!(out, "%{octet:02X}");
            }
        }
        out
    })
}

fn language(state: &State<'_, '_>) -> String {
    state.lookup("lang").and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A time as serialised (RFC 3339), in the page's zone.
fn moment(state: &State<'_, '_>, at: &Value, format: &str) -> Result<String, Error> {
    let Some(at) = at.as_str() else { return Ok(String::new()) };
    let zone = state.lookup("zone").and_then(|it| it.as_str().map(str::to_owned)).unwrap_or_default();
    let zone = TimeZone::get(&zone).unwrap_or_else(|_| TimeZone::system());
    let at: Timestamp = at.parse().map_err(|_| Error::new(ErrorKind::InvalidOperation, "not a time"))?;
    Ok(at.to_zoned_datetime(zone).strftime(format).to_string())
}

/// One page. `frame` holds what all pages need, `content` what this one does.
pub(super) fn page(name: &str, frame: &Value, content: Value) -> Result<String, Error> {
    let template = environment().get_template(name)?;
    template.render(context! { ..content, ..frame.clone() })
}

/// The language of `Accept-Language` (RFC 9110 §12.5.4) that we have, by weight; else English.
pub(super) fn preferred(accept: &str) -> &'static str {
    let mut best = ("en", 0.0);
    for part in accept.split(',') {
        let mut fields = part.split(';');
        let tag = fields.next().unwrap_or_default().trim();
        let weight = fields.find_map(|it| it.trim().strip_prefix("q=")).map_or(1.0, |it| it.parse().unwrap_or(0.0));
        if let Some(known) = known(tag)
            && weight > best.1
        {
            best = (known, weight);
        }
    }
    best.0
}

/// Our tag for a language that a browser names.
pub(super) fn known(tag: &str) -> Option<&'static str> {
    let primary = tag.split('-').next().unwrap_or_default();
    words().keys().copied().find(|it| it.split('-').next().is_some_and(|it| it.eq_ignore_ascii_case(primary)))
}

/// As `reply` takes it.
pub(super) fn as_language(tag: &str) -> Language {
    Language::new(tag)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_language_is_the_first_that_we_have() {
        assert_eq!(preferred("zh-CN,zh;q=0.9,en;q=0.8"), "zh-CN");
        assert_eq!(preferred("fr, en;q=0.5, zh;q=0.9"), "zh-CN");
        assert_eq!(preferred("de"), "en");
        assert_eq!(preferred("en;q=0.1,zh;q=nonsense"), "en");
    }

    #[test]
    fn every_word_of_a_template_exists_in_every_language_and_none_is_dead() {
        let calls = regex::Regex::new(r#"\bt\("([a-z0-9_]+)"\)"#).expect("sound");
        let asked: BTreeSet<&str> = TEMPLATES
            .iter()
            .flat_map(|(_, text)| calls.captures_iter(text).filter_map(|it| it.get(1)).map(|it| it.as_str()))
            .collect();
        let groups = regex::Regex::new(r#"\bnamed\("([a-z]+)""#).expect("sound");
        let groups: BTreeSet<&str> = TEMPLATES
            .iter()
            .flat_map(|(_, text)| groups.captures_iter(text).filter_map(|it| it.get(1)).map(|it| it.as_str()))
            .collect();
        let english: BTreeSet<&str> = words()["en"].keys().map(String::as_str).collect();
        for (tag, table) in words() {
            let have: BTreeSet<&str> = table.keys().map(String::as_str).collect();
            assert_eq!(have, english, "{tag} differs from en");
        }
        let missing: Vec<_> = asked.difference(&english).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let dead: Vec<_> = english
            .iter()
            .filter(|it| !asked.contains(*it) && !super::super::SAID.contains(it))
            .filter(|it| !groups.iter().any(|group| it.starts_with(&format!("{group}_"))))
            .collect();
        assert!(dead.is_empty(), "{dead:?}");
    }

    #[test]
    fn what_came_from_mail_cannot_act() {
        let mut environment = environment().clone();
        environment.add_template("probe.html", "{{ it }}").expect("sound");
        let it = "<script>alert(1)</script>\u{202e}\u{1b}[2J\"'&";
        let html = environment.get_template("probe.html").expect("there").render(context! { it }).expect("rendered");
        assert!(!html.contains('<') && !html.contains('\u{202e}') && !html.contains('\u{1b}'), "{html}");
        assert!(!html.contains('"') && !html.contains('\''), "{html}");
    }
}
