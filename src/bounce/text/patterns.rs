//! Lists of patterns, and what stands for the names in them: `{addr}`, `{host}`, `{list}`.
//!
//! Patterns see octets: letters beyond ASCII are literal, classes and case are ASCII's, and folded
//! lines need no more.

use std::{borrow::Cow, sync::LazyLock};

use super::{
    pattern::Pattern,
    search::{Caught, Sought},
    syntax::Set,
};
use crate::bounce::words::{self, Kind};

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
    patterns: Vec<Pattern>,
    /// Why others are none, which a test asks.
    wrong: Vec<String>,
}

impl AnyOf {
    /// Patterns with `{addr}`, `{host}`, `{list}` in them; one that is wrong is left out.
    pub(super) fn new(patterns: &[String]) -> Self {
        let mut all = Self::default();
        for pattern in patterns {
            match Pattern::new(&expand(pattern)) {
                Ok(it) => all.patterns.push(it),
                Err(wrong) => all.wrong.push(wrong),
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a text of these octets can match at all.
    pub(super) fn is_possible(&self, octets: &Set) -> bool {
        self.patterns.iter().any(|it| it.is_possible(octets))
    }

    pub(super) fn is_match<'a>(&self, text: impl Into<Sought<'a>>) -> bool {
        let text = text.into();
        self.patterns.iter().any(|it| it.is_match(text))
    }

    /// The number of the first pattern that matches, and what it caught.
    pub(super) fn captures<'a>(&'a self, text: impl Into<Sought<'a>>) -> Option<(usize, Caught<'a>)> {
        let text = text.into();
        self.patterns.iter().enumerate().find_map(|(number, it)| Some((number, it.find(text)?)))
    }

    /// The first group of that name whose text is `wanted`.
    pub(super) fn find<'a>(
        &self,
        text: impl Into<Sought<'a>>,
        name: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let text = text.into();
        let caught = |it: &Pattern| Some(it.find(text)?.group(name)?.trim().to_owned());
        self.patterns.iter().filter_map(caught).find(|it| wanted(it))
    }

    /// The text of one named group, of the first pattern that has caught it.
    pub(super) fn group<'a>(&self, text: impl Into<Sought<'a>>, name: &str) -> Option<String> {
        self.find(text, name, |_| true)
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter()
    }

    /// Why patterns do not compile.
    #[cfg(test)]
    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}

/// Every address in a piece of text, and where it begins there.
pub(super) fn addresses(text: &str) -> Vec<(String, usize)> {
    static ADDRESS: LazyLock<Option<Pattern>> = LazyLock::new(|| Pattern::new(&address()).ok());
    if !text.contains('@') {
        return Vec::new();
    }
    let found = ADDRESS.iter().flat_map(|it| it.find_all(text)).map(|it| {
        let (whole, start) = (it.whole().into_owned(), it.start);
        let words = glued_words(&whole);
        (whole.get(words..).map(str::to_owned).unwrap_or(whole), start + words)
    });
    // `//host/path?user=a@b` is a piece of a link.
    found.filter(|(it, _)| !it.starts_with("//")).collect()
}

/// Octets of Chinese words glued to the front of a local part, which end in what points to it.
fn glued_words(address: &str) -> usize {
    let local = address.split('@').next().unwrap_or_default();
    let words = local.find(|c: char| c.is_ascii()).unwrap_or(0);
    let (words, name) = local.split_at(words);
    let points = || words::end(Kind::To, words) || words::end(Kind::Glued, words);
    if !words.is_empty() && name.is_ascii() && !name.is_empty() && points() { words.len() } else { 0 }
}

fn expand(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains('{') {
        return Cow::Borrowed(pattern);
    }
    let list = "(?P<list>.*)";
    Cow::Owned(pattern.replace("{addr}", &address()).replace("{host}", HOST).replace("{list}", list))
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
            ("您发给wang@example.org的邮件", "wang@example.org"),
            ("张wang@example.org", "张wang@example.org"),
            ("“wang@[192.0.2.1]”", "wang@[192.0.2.1]"),
        ] {
            let found: Vec<String> =
                addresses(&super::super::lines::fold(text)).into_iter().map(|(it, _)| it).collect();
            assert_eq!(found, [wanted], "{text}");
        }
        assert_eq!(addresses("see http://mail.example/login?u=wang@example.org"), []);
    }
}
