//! Lists of regular expressions that are mostly asked whether any of them matches at all.
//!
//! One expression that stands for the whole list answers that in one pass; only then is each tried
//! for its groups, and compiled when it is first needed.

use std::sync::OnceLock;

use regex::{Captures, Regex, RegexBuilder};

/// An address: quoted or bare local part; an ASCII domain first, so that glued Chinese prose ends it.
const ADDRESS: &str = concat!(
    r#"(?P<addr>(?-i:(?:"[^"\n]+"|[^\s<>()\[\]{},;:"“”「」《》【】，。；@]+)@"#,
    r"(?:\[[0-9A-Fa-f.:]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|",
    // Letters beyond ASCII by range, which compiles far faster than \p{L}.
    r"[A-Za-z0-9_\x{c0}-\x{1fff}\x{3040}-\x{d7ff}\x{f900}-\x{fdff}\x{20000}-\x{3ffff}-]+",
    r"(?:\.[A-Za-z0-9_\x{c0}-\x{1fff}\x{3040}-\x{d7ff}\x{f900}-\x{fdff}\x{20000}-\x{3ffff}-]+)+|[A-Za-z0-9_-]+)))"
);
const HOST: &str = r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f.:]+\])";

/// A list of patterns; earlier ones are preferred.
#[derive(Debug, Default)]
pub(super) struct AnyOf {
    together: Option<Regex>,
    each: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl AnyOf {
    /// Patterns with `{addr}`, `{host}`, `{list}` in them. One that is wrong spoils the list, which
    /// the tests ask `wrong` about.
    pub(super) fn new(patterns: &[String]) -> Self {
        let sources: Vec<String> = patterns.iter().map(|it| expand(it)).collect();
        let nameless = Regex::new(r"\(\?P<[a-z]+>").ok();
        let alternatives = sources.iter().map(|it| format!("(?:{it})")).collect::<Vec<_>>().join("|");
        let alternatives =
            nameless.map_or(alternatives.clone(), |it| it.replace_all(&alternatives, "(?:").into_owned());
        let together = if sources.is_empty() { None } else { build(&alternatives).ok() };
        let each = sources.into_iter().map(|source| Pattern { source, compiled: OnceLock::new() }).collect();
        Self { together, each }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.together.as_ref().is_some_and(|it| it.is_match(text))
    }

    /// The number of the first pattern that matches, and what it caught.
    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<(usize, Captures<'t>)> {
        if !self.is_match(text) {
            return None;
        }
        self.patterns().enumerate().find_map(|(number, it)| Some((number, it.captures(text)?)))
    }

    /// The first thing that `wanted` makes of what a pattern caught.
    pub(super) fn find<T>(&self, text: &str, mut wanted: impl FnMut(&Captures<'_>) -> Option<T>) -> Option<T> {
        if !self.is_match(text) {
            return None;
        }
        self.patterns().find_map(|it| wanted(&it.captures(text)?))
    }

    /// The text of one named group, of the first pattern that has caught it.
    pub(super) fn group(&self, text: &str, name: &str) -> Option<String> {
        self.find(text, |it| Some(it.name(name)?.as_str().trim().to_owned()))
    }

    /// Each pattern that compiles.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Regex> {
        self.each.iter().filter_map(|it| it.compiled.get_or_init(|| build(&it.source).ok()).as_ref())
    }

    /// Why patterns do not compile.
    #[cfg(test)]
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> =
            self.each.iter().filter_map(|it| build(&it.source).err()).map(|it| it.to_string()).collect();
        if !self.is_empty() && self.together.is_none() {
            wrong.push("the list as a whole does not compile".to_owned());
        }
        wrong
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(16 << 20).build()
}

fn expand(pattern: &str) -> String {
    pattern.replace("{addr}", ADDRESS).replace("{host}", HOST).replace("{list}", "(?P<list>.*)")
}

/// Every address in a piece of text, by the same pattern as `{addr}`.
pub(super) fn address_pattern() -> Option<&'static Regex> {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(ADDRESS).ok()).as_ref()
}
