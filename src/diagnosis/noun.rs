//! What a predicate is said of: `{recipient} is unknown` finds `user li@example.org is unknown`,
//! and does not find `sender domain is unknown`.
//!
//! Data: `catalogue/nouns.toml`. The noun stands right before the predicate; an address, a name or
//! an IP literal may stand between them, or in place of it.

use std::{collections::HashMap, net::IpAddr, sync::LazyLock};

use serde::Deserialize;

use super::text::squeeze_words;

/// A noun and the names after it are no longer than this, in octets.
const LOOKED_AT: usize = 512;
/// As many words as the longest noun has.
const WORDS: usize = 6;
/// As many characters as the longest noun has that is written without blanks.
const CHARACTERS: usize = 12;
/// Where the scripts begin that write no blanks between words.
const WITHOUT_BLANKS: u32 = 0x2e80;
/// As many names as may stand between: `host mx.example.org [192.0.2.1] is blocked`.
const NAMES: usize = 2;

/// A sort of noun.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Noun {
    Recipient,
    Sender,
    Client,
    Domain,
    Message,
}

/// The nouns that ship, squeezed; read when one is first asked for.
static SHIPPED: LazyLock<HashMap<String, Noun>> =
    LazyLock::new(|| squeezed(crate::catalogue::table("nouns.toml").unwrap_or_default()));

fn squeezed(sorts: HashMap<Noun, Vec<String>>) -> HashMap<String, Noun> {
    let words = sorts.into_iter().flat_map(|(noun, words)| words.into_iter().map(move |it| (it, noun)));
    words.map(|(word, noun)| (squeeze_words(&word), noun)).collect()
}

impl Noun {
    /// The sort that a placeholder names.
    pub(super) fn named(placeholder: &str) -> Option<Self> {
        Some(match placeholder {
            "recipient" => Self::Recipient,
            "sender" => Self::Sender,
            "client" => Self::Client,
            "domain" => Self::Domain,
            "message" => Self::Message,
            _ => return None,
        })
    }

    /// Where the noun begins that ends the words before a predicate, if it is of this sort.
    pub(super) fn ending(self, before: &str) -> Option<usize> {
        let skipped = before.floor_char_boundary(before.len().saturating_sub(LOOKED_AT));
        let mut rest = bare(before.get(skipped..)?);
        let mut named = None;
        for _ in 0..NAMES {
            let start = rest.rfind(|c: char| c.is_whitespace() || "<([=".contains(c)).map_or(0, |at| at + 1);
            let word = rest.get(start..)?;
            if !is_name(word) {
                break;
            }
            named = named.or(sort_of_name(word).map(|it| (it, start)));
            rest = bare(rest.get(..start)?);
        }
        let found = noun_at_end(rest)
            .or(named.map(|(noun, start)| if says_from(rest) { (Noun::Sender, start) } else { (noun, start) }));
        found.filter(|(noun, _)| *noun == self).map(|(_, start)| skipped + start)
    }
}

/// Whether the words before a name say that something comes from it.
fn says_from(words: &str) -> bool {
    words.split_whitespace().next_back().is_some_and(|it| it.eq_ignore_ascii_case("from"))
}

/// Whether a word is an address, an IP literal or a host name.
fn is_name(word: &str) -> bool {
    sort_of_name(word).is_some() || word.contains('.') && word.contains(|c: char| c.is_alphabetic())
}

/// What a name is by itself; a host name may be any side's.
fn sort_of_name(word: &str) -> Option<Noun> {
    if word.contains('@') { Some(Noun::Recipient) } else { word.parse::<IpAddr>().ok().map(|_| Noun::Client) }
}

/// The longest noun that the words end with, and where it begins.
fn noun_at_end(words: &str) -> Option<(Noun, usize)> {
    let mut noun = String::new();
    let mut longest = None;
    let mut end = words.len();
    for _ in 0..WORDS {
        let rest = words.get(..end)?.trim_end_matches(|c: char| !c.is_alphanumeric());
        let start = rest.char_indices().rfind(|(_, c)| !c.is_alphanumeric()).map_or(0, |(at, c)| at + c.len_utf8());
        let Some(word) = rest.get(start..).filter(|it| !it.is_empty()) else { break };
        if noun.is_empty() && word.ends_with(|c: char| u32::from(c) >= WITHOUT_BLANKS) {
            return noun_within(word).map(|(noun, at)| (noun, start + at));
        }
        noun.insert_str(0, &squeeze_words(word));
        if let Some(sort) = SHIPPED.get(&noun) {
            longest = Some((*sort, start));
        }
        end = start;
    }
    longest
}

/// The longest noun that ends a run of a script that writes no blanks.
fn noun_within(run: &str) -> Option<(Noun, usize)> {
    let skipped = run.chars().count().saturating_sub(CHARACTERS);
    let mut ends = run.char_indices().skip(skipped);
    ends.find_map(|(at, _)| Some((*SHIPPED.get(&squeeze_words(run.get(at..)?))?, at)))
}

/// Without what may stand between a noun and its predicate.
fn bare(words: &str) -> &str {
    words.trim_end_matches(|c: char| c.is_whitespace() || "<>()[]:;,.=\"'`-*".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nouns_that_ship_can_be_read_and_each_is_of_one_sort() {
        let sorts: HashMap<Noun, Vec<String>> = crate::catalogue::written("nouns.toml");
        assert_eq!(SHIPPED.len(), sorts.values().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn a_noun_is_found_alone_before_a_name_or_as_a_name() {
        for before in [
            "550 User ",
            "user <li@example.org>: ",
            "550 5.1.1 <li@example.org>... ",
            "li@example.org ",
            "The email address ",
            "550 mailbox for li@example.org ",
            "RCPT TO:<li@example.org> ",
            "550 La boîte aux lettres ",
            "550 5.1.1 收件人地址",
            "收件人<li@example.org>",
            "Адресат ",
            "550 宛先のメールアドレス",
        ] {
            assert!(Noun::Recipient.ending(before).is_some(), "{before}");
        }
        assert!(Noun::Client.ending("554 host mx.example.org [192.0.2.1] ").is_some());
        assert!(Noun::Client.ending("554 [192.0.2.1] ").is_some());
        assert!(Noun::Domain.ending("550 domain example.org ").is_some());
        assert!(Noun::Sender.ending("553 MAIL FROM:<a@example.org> ").is_some());
    }

    #[test]
    fn the_longest_noun_is_meant() {
        for before in [
            "550 sender address ",
            "IP address ",
            "550 ",
            "550 5.1.1 ",
            "mx.example.org ",
            "SPF record ",
            "",
            "é",
            "the domain ",
            "from <a@example.org> ",
            "Votre adresse IP ",
            "发件人地址",
            "您的IP地址",
            "收件人域名",
            "，",
        ] {
            assert_eq!(Noun::Recipient.ending(before), None, "{before}");
        }
        assert_eq!(Noun::Sender.ending("the sender address "), Some(4));
        assert_eq!(Noun::Client.ending("550 5.7.1 "), None);
        assert_eq!(Noun::Domain.ending("sender domain "), None);
    }
}
