//! Lists of regular expressions that are mostly asked whether any of them matches at all.
//!
//! One expression that stands for the whole list answers that in one pass; only then is each tried
//! for its groups, and compiled when it is first needed. Expressions see octets: letters beyond
//! ASCII are literal, classes and case are ASCII's. That keeps their automata small, and folded
//! lines need no more.

use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// A character beyond ASCII that an address may hold: letters, not the punctuation of prose, which
/// begins with E2, E3 80 or EF in UTF-8.
const LETTER: &str = r"[\xc3-\xe1\xe4-\xee\xf0][\x80-\xbf]+|\xe3[\x81-\x83][\x80-\xbf]";
const HOST: &str = r"(?P<host>[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f.:]+\])";

/// An address: quoted or bare local part; an ASCII domain first, so that glued Chinese prose ends it.
fn address() -> String {
    let letter = format!("[a-z0-9_-]|{LETTER}");
    format!(
        concat!(
            r#"(?P<addr>(?:"[^"\n]+"|(?:[^\x00-\x20<>()\[\]{{}},;:"@\x7f-\xff]|{})+)@"#,
            r"(?:\[[0-9a-f.:]+\]|#?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+|(?:{})+(?:\.(?:{})+)+|[a-z0-9_-]+))"
        ),
        LETTER, letter, letter
    )
}

/// A list of patterns; earlier ones are preferred.
#[derive(Debug, Default)]
pub(super) struct AnyOf {
    /// Of one pattern, that one itself.
    together: Option<Pattern>,
    each: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn of(source: String) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    /// Compiled when it is first asked for, since most messages need few.
    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| build(&self.source).ok()).as_ref()
    }
}

impl AnyOf {
    /// Patterns with `{addr}`, `{host}`, `{list}` in them. One that is wrong spoils the list, which
    /// the tests ask `wrong` about.
    pub(super) fn new(patterns: &[String]) -> Self {
        let sources: Vec<String> = patterns.iter().map(|it| expand(it)).collect();
        let together = (sources.len() > 1)
            .then(|| nameless(&sources.iter().map(|it| format!("(?:{it})")).collect::<Vec<_>>().join("|")));
        Self { together: together.map(Pattern::of), each: sources.into_iter().map(Pattern::of).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let all = self.together.as_ref().or(self.each.first()).and_then(Pattern::compiled);
        all.is_some_and(|it| it.is_match(text.as_bytes()))
    }

    /// The number of the first pattern that matches, and what it caught.
    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<(usize, Captures<'t>)> {
        if self.together.is_some() && !self.is_match(text) {
            return None;
        }
        self.patterns().enumerate().find_map(|(number, it)| Some((number, it.captures(text.as_bytes())?)))
    }

    /// The first group of that name whose text is `wanted`.
    pub(super) fn find(&self, text: &str, name: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
        if self.together.is_some() && !self.is_match(text) {
            return None;
        }
        let caught = |it: &Regex| Some(group(&it.captures(text.as_bytes())?, name)?.trim().to_owned());
        self.patterns().filter_map(caught).find(|it| wanted(it))
    }

    /// The text of one named group, of the first pattern that has caught it.
    pub(super) fn group(&self, text: &str, name: &str) -> Option<String> {
        self.find(text, name, |_| true)
    }

    /// Each pattern that compiles.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Regex> {
        self.each.iter().filter_map(Pattern::compiled)
    }

    /// Why patterns do not compile.
    #[cfg(test)]
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong: Vec<String> =
            self.each.iter().filter_map(|it| build(&it.source).err()).map(|it| it.to_string()).collect();
        if self.together.as_ref().is_some_and(|it| it.compiled().is_none()) {
            wrong.push("the list as a whole does not compile".to_owned());
        }
        wrong
    }
}

/// The text of a named group; octets that are no UTF-8 are replaced.
pub(super) fn group(captures: &Captures<'_>, name: &str) -> Option<String> {
    Some(String::from_utf8_lossy(captures.name(name)?.as_bytes()).into_owned())
}

/// Every address in a piece of text, and where it begins there.
pub(super) fn addresses(text: &str) -> Vec<(String, usize)> {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| build(&address()).ok());
    if !text.contains('@') {
        return Vec::new();
    }
    let found = pattern.iter().flat_map(|it| it.find_iter(text.as_bytes()));
    // `//host/path?user=a@b` is a piece of a link.
    let found = found.filter(|it| !it.as_bytes().starts_with(b"//"));
    found.map(|it| (String::from_utf8_lossy(it.as_bytes()).into_owned(), it.start())).collect()
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).unicode(false).case_insensitive(true).size_limit(16 << 20).build()
}

fn expand(pattern: &str) -> String {
    pattern.replace("{addr}", &address()).replace("{host}", HOST).replace("{list}", "(?P<list>.*)")
}

/// A name may stand only once in an expression.
fn nameless(pattern: &str) -> String {
    let mut pieces = pattern.split("(?P<");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str("(?:");
        out.push_str(piece.split_once('>').map_or(piece, |(_, rest)| rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_end_where_prose_begins() {
        for (text, wanted) in [
            ("发送给 wang@example.org的邮件", "wang@example.org"),
            ("收件人：<Wang.Li+x=1@Example.ORG>，", "Wang.Li+x=1@Example.ORG"),
            ("\"a b\"@example.org.", "\"a b\"@example.org"),
            ("用户@例子.中国 不存在", "用户@例子.中国"),
            ("“wang@[192.0.2.1]”", "wang@[192.0.2.1]"),
        ] {
            let found: Vec<String> =
                addresses(&super::super::lines::fold(text)).into_iter().map(|(it, _)| it).collect();
            assert_eq!(found, [wanted], "{text}");
        }
        assert_eq!(addresses("see http://mail.example/login?u=wang@example.org"), []);
    }
}
