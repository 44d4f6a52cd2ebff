//! What a predicate is said of: `{recipient} unknown` finds `user li@example.org is unknown`,
//! and does not find `sender domain is unknown`; `unknown {recipient}` finds `unknown local user`.
//!
//! Data: `catalogue/nouns.toml`. Before a predicate the noun stands right before it; an address, a
//! name, an IP literal or a quoted word may stand between them, or a name in place of it, and so may
//! words that only link (`is`, `has been`, `已被`). After a predicate it follows at once, or after words
//! that only point (`this`, `your`, `该`), and is no part of a longer name (`invalid user agent`).

use std::{collections::HashMap, net::IpAddr, ops::Range, sync::LazyLock};

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

/// A reason follows within as many octets.
const LEADING: usize = 80;

/// As many words as may link or point.
const LINKS: usize = 3;

/// The nouns that ship, squeezed, and the words around them; read when one is first asked for.
static SHIPPED: LazyLock<Nouns> =
    LazyLock::new(|| crate::catalogue::table("nouns.toml").map(|it: NounsForm| it.into()).unwrap_or_default());

#[derive(Default)]
struct Nouns {
    sorts: HashMap<String, Noun>,
    linking: Vec<String>,
    naming: Vec<String>,
    pointing: Vec<String>,
    origin: Vec<String>,
    longer: Vec<String>,
    reason: Vec<String>,
}

/// `catalogue/nouns.toml`.
#[derive(Deserialize)]
struct NounsForm {
    linking: Vec<String>,
    naming: Vec<String>,
    pointing: Vec<String>,
    origin: Vec<String>,
    longer: Vec<String>,
    reason: Vec<String>,
    #[serde(flatten)]
    sorts: HashMap<Noun, Vec<String>>,
}

impl From<NounsForm> for Nouns {
    fn from(form: NounsForm) -> Self {
        let sorts = form.sorts.into_iter();
        let longest_first = |mut words: Vec<String>| {
            words.sort_by_key(|it| std::cmp::Reverse(it.len()));
            words
        };
        Self {
            sorts: sorts
                .flat_map(|(noun, words)| words.into_iter().map(move |it| (squeeze_words(&it), noun)))
                .collect(),
            linking: longest_first(form.linking),
            naming: longest_first(form.naming),
            pointing: longest_first(form.pointing),
            origin: form.origin,
            longer: longest_first(form.longer),
            reason: form.reason,
        }
    }
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
        let mut rest = without_last(bare(before.get(skipped..)?), &SHIPPED.linking);
        let mut named = None;
        if let Some(unquoted) = without_quoted(rest) {
            rest = without_last(unquoted, &SHIPPED.naming);
        }
        for _ in 0..NAMES {
            let start = rest.rfind(|c: char| c.is_whitespace() || "<([=".contains(c)).map_or(0, |at| at + 1);
            let word = rest.get(start..)?;
            if !is_name(word) {
                break;
            }
            named = named.or(sort_of_name(word).map(|it| (it, start)));
            rest = without_last(bare(rest.get(..start)?), &SHIPPED.naming);
        }
        let found = noun_at_end(rest)
            .or(named.map(|(noun, start)| if says_from(rest) { (Noun::Sender, start) } else { (noun, start) }));
        found.filter(|(noun, _)| *noun == self).map(|(_, start)| skipped + start)
    }

    /// The nouns of a text and where they stand, addresses among them.
    pub(super) fn all(text: &str, addresses: &[Range<usize>]) -> Vec<(Self, Range<usize>)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|it| it.chars().next()) {
            let rest = text.get(at..).unwrap_or_default();
            if let Some(address) = addresses.iter().find(|it| it.contains(&at)) {
                let noun =
                    if says_from(bare(text.get(..at).unwrap_or_default())) { Self::Sender } else { Self::Recipient };
                found.push((noun, address.clone()));
                at = address.end;
            } else if let Some((noun, length)) = noun_at_start(rest).filter(|_| c.is_alphanumeric()) {
                found.push((noun, at..at + length));
                at += length;
            } else if writes_blanks(c) || c.is_numeric() {
                at += rest.find(|c: char| !writes_blanks(c) && !c.is_numeric()).unwrap_or(rest.len());
            } else {
                at += c.len_utf8();
            }
        }
        found
    }

    /// Where the noun ends that begins the words after a predicate, if it is of this sort.
    pub(super) fn beginning(self, after: &str) -> Option<usize> {
        let looked_at = after.get(..after.floor_char_boundary(LOOKED_AT))?;
        let mut rest = looked_at.trim_start_matches(opens);
        let mut found = noun_at_start(rest);
        for _ in 0..LINKS {
            if found.is_some() {
                break; // `your address` is a noun of its own
            }
            let Some(pointed) = SHIPPED.pointing.iter().find_map(|it| without_first(rest, it)) else { break };
            rest = pointed.trim_start_matches(opens);
            found = noun_at_start(rest);
        }
        let (noun, length) = found?;
        let next = rest.get(length..)?.trim_start();
        let longer = SHIPPED.longer.iter().any(|it| without_first(next, it).is_some());
        (noun == self && !longer).then_some(looked_at.len() - rest.len() + length)
    }
}

/// Whether words lead from what was refused to why.
pub(super) fn leads_to_reason(between: &str) -> bool {
    let between = between.to_lowercase();
    between.len() <= LEADING && SHIPPED.reason.iter().any(|it| between.contains(it.as_str()))
}

fn opens(c: char) -> bool {
    c.is_whitespace() || "<([\"'`:".contains(c)
}

/// The words without `first` at their beginning, if it stands there and is whole.
fn without_first<'a>(words: &'a str, first: &str) -> Option<&'a str> {
    let beginning = words.get(..first.len()).filter(|it| is_in_any_case(it, first))?;
    let rest = words.get(first.len()..)?;
    let whole = !beginning.ends_with(writes_blanks) || !rest.starts_with(|c: char| writes_blanks(c) || c.is_numeric());
    whole.then_some(rest)
}

/// Whether words are those in lower case: nearly always their first octet tells that they are not.
fn is_in_any_case(words: &str, lower: &str) -> bool {
    words.eq_ignore_ascii_case(lower) || !words.is_ascii() && words.to_lowercase() == lower
}

/// The words without some of `last` at their end.
fn without_last<'a>(words: &'a str, last: &[String]) -> &'a str {
    let mut words = words;
    for _ in 0..LINKS {
        // Nearly always the last octet tells that they are not.
        let end = words.bytes().next_back().map(|it| it.to_ascii_lowercase());
        let may_be = |it: &&String| it.bytes().next_back() == end || end.is_some_and(|it| !it.is_ascii());
        let shorter = last.iter().filter(may_be).find_map(|it| {
            let start = words.len().checked_sub(it.len())?;
            words.get(start..).filter(|end| is_in_any_case(end, it))?;
            let rest = words.get(..start)?;
            (!it.starts_with(writes_blanks) || !rest.ends_with(char::is_alphanumeric)).then_some(rest)
        });
        let Some(shorter) = shorter else { break };
        words = bare(shorter);
    }
    words
}

/// The words without a quoted word at their end: `user "li"`. Their closing quote may be gone already.
fn without_quoted(words: &str) -> Option<&str> {
    let start = words.rfind(|c: char| !(c.is_alphanumeric() || "._-+".contains(c)))?;
    let opening = words.get(start..)?.chars().next()?;
    let before = words.get(..start)?;
    let quotes = "\"'`<".contains(opening) && !before.ends_with(char::is_alphanumeric); // not l'adresse
    let rest = bare(before);
    (quotes && !rest.is_empty()).then_some(rest)
}

/// A letter of a script that writes blanks between words.
fn writes_blanks(c: char) -> bool {
    c.is_alphabetic() && u32::from(c) < WITHOUT_BLANKS
}

/// Whether the words before a name say that something comes from it.
fn says_from(words: &str) -> bool {
    let last = words.split_whitespace().next_back();
    last.is_some_and(|last| SHIPPED.origin.iter().any(|it| it.eq_ignore_ascii_case(last)))
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
        if let Some(sort) = SHIPPED.sorts.get(&noun) {
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
    ends.find_map(|(at, _)| Some((*SHIPPED.sorts.get(&squeeze_words(run.get(at..)?))?, at)))
}

/// The longest noun that the words begin with, and its length.
fn noun_at_start(words: &str) -> Option<(Noun, usize)> {
    let mut noun = String::new();
    let mut longest = None;
    let mut end = 0;
    for _ in 0..WORDS {
        let rest = words.get(end..)?;
        let Some(start) = rest.find(char::is_alphanumeric).map(|it| end + it) else { break };
        let gap = words.get(end..start)?;
        if gap.contains(|c: char| !c.is_whitespace() && !"'\u{2019}-_".contains(c)) {
            break; // a noun does not go on behind a full stop
        }
        let rest = words.get(start..)?;
        let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if noun.is_empty() && rest.starts_with(|c: char| u32::from(c) >= WITHOUT_BLANKS) {
            return noun_leading(rest.get(..length)?).map(|(noun, length)| (noun, start + length));
        }
        noun.push_str(&squeeze_words(rest.get(..length)?));
        end = start + length;
        if let Some(sort) = SHIPPED.sorts.get(&noun) {
            longest = Some((*sort, end));
        }
    }
    longest
}

/// The longest noun that begins a run of a script that writes no blanks.
fn noun_leading(run: &str) -> Option<(Noun, usize)> {
    let ends = run.char_indices().map(|(at, c)| at + c.len_utf8()).take(CHARACTERS).collect::<Vec<_>>();
    ends.into_iter().rev().find_map(|at| Some((*SHIPPED.sorts.get(&squeeze_words(run.get(..at)?))?, at)))
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
        let form: NounsForm = crate::catalogue::written("nouns.toml");
        let listed: usize = form.sorts.values().map(Vec::len).sum();
        assert_eq!(Nouns::from(form).sorts.len(), listed);
    }

    #[test]
    fn all_nouns_of_a_text_are_found_where_they_stand() {
        let all = |text: &'static str, addresses: &[Range<usize>]| {
            Noun::all(text, addresses).into_iter().map(|(noun, at)| (noun, &text[at])).collect::<Vec<_>>()
        };
        assert_eq!(
            all("the sender's address is unknown to our mail server", &[]),
            [(Noun::Sender, "sender's address"), (Noun::Client, "mail server")]
        );
        assert_eq!(
            all("<user@example.org> no", std::slice::from_ref(&(1..17))),
            [(Noun::Recipient, "user@example.org")]
        );
        assert_eq!(all("mail from user@example.org no", std::slice::from_ref(&(10..26))).len(), 2);
        assert_eq!(all("对方邮箱已满", &[]), [(Noun::Recipient, "对方邮箱")]);
        assert_eq!(all("usefully nothing", &[]), []);
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
            "550 mailbox li@example.org has been ",
            "550 The user \"li\" is currently ",
            "550 mailbox for <li@example.org> is ",
            "收件人账号目前已",
        ] {
            assert!(Noun::Recipient.ending(before).is_some(), "{before}");
        }
        assert!(Noun::Client.ending("554 host mx.example.org [192.0.2.1] ").is_some());
        assert!(Noun::Client.ending("554 [192.0.2.1] ").is_some());
        assert!(Noun::Domain.ending("550 domain example.org ").is_some());
        assert!(Noun::Sender.ending("553 MAIL FROM:<a@example.org> ").is_some());
    }

    #[test]
    fn a_noun_may_follow_its_predicate() {
        let of = |noun: Noun, after: &str| noun.beginning(after).map(|end| after[..end].to_owned());
        assert_eq!(of(Noun::Recipient, " local user wang").as_deref(), Some(" local user"));
        assert_eq!(of(Noun::Recipient, "该收件人账号").as_deref(), Some("该收件人账号"));
        assert_eq!(of(Noun::Sender, ": your sender address.").as_deref(), Some(": your sender address"));
        for after in [" sender address", " user agent", " userland", " letters", "", " . user", " é"] {
            assert_eq!(of(Noun::Recipient, after), None, "{after}");
        }
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
