//! What stands in a line of server's words: reply code, enhanced status code, the host that spoke.
//!
//! A diagnostic is made one line here, replies of several lines joined (RFC 5321 §4.2.1).

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::mail::{EnhancedStatusCode, ReplyCode};

/// A diagnostic is never longer, in octets.
const DIAGNOSTIC_LIMIT: usize = 4 * 1024;

/// `550 5.1.1`, `550-5.7.26`, `550.5.1.1`, `#550 5.1.1`: a reply with its enhanced code.
static REPLY_WITH_STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?:^|[^0-9.])([45][0-9]{2})(?:[ -]+#?|\.|\s*\(#?)([245]\.[0-9]\.[0-9]{1,3})(?:$|[^0-9.]|\.(?:$|[^0-9]))")
});
/// An enhanced code anywhere, not within an IP address or a version.
static STATUS: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?:^|[^0-9A-Za-z.\[-]|#)([45]\.[0-9]\.[0-9]{1,3})(?:$|[^0-9A-Za-z.-]|\.(?:$|[^0-9]))"));
/// A reply code where a reply may begin: at the start, or after a word that introduces it.
static REPLY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:^|said:?|returned:?|was:|response:?|reason:|error:?|code:?|failure:?|replied:?|answered:?|smtp;|返回|应答|响应|>>>|<<<|<--|\||[:;(\[=]|\]|rejected)\s*#?([45][0-9]{2})(?:$|[ \-.,:;)#<\]]|[A-Z][a-z])",
    )
});

/// ASCII is all there is to see: octets make for small automata.
fn pattern(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).multi_line(true).build().ok()
}

/// The enhanced status code that `text` shows, the one beside a reply code first.
#[must_use]
pub fn status(text: &str) -> Option<EnhancedStatusCode> {
    let beside = REPLY_WITH_STATUS.as_ref()?.captures(text.as_bytes()).and_then(|it| it.get(2));
    let found = beside.or_else(|| STATUS.as_ref()?.captures(text.as_bytes())?.get(1))?;
    std::str::from_utf8(found.as_bytes()).ok()?.parse().ok()
}

/// The SMTP reply code that `text` shows (RFC 5321 §4.2), 400 to 599 only.
#[must_use]
pub fn reply_code(text: &str) -> Option<ReplyCode> {
    let beside = REPLY_WITH_STATUS.as_ref()?.captures(text.as_bytes()).and_then(|it| it.get(1));
    let found = beside.or_else(|| REPLY.as_ref()?.captures(text.as_bytes())?.get(1))?;
    ReplyCode::new(std::str::from_utf8(found.as_bytes()).ok()?.parse().ok()?)
}

/// Whether the line looks like a server's reply.
#[must_use]
pub fn looks_like_reply(text: &str) -> bool {
    let matches = |it: &LazyLock<Option<Regex>>| it.as_ref().is_some_and(|it| it.is_match(text.as_bytes()));
    text.contains(['4', '5']) && (matches(&REPLY) || matches(&STATUS) || matches(&REPLY_WITH_STATUS))
}

/// Joins lines to one: blanks collapsed, and the codes that each line of a long reply repeats
/// (`550-5.1.1 …`, `550 5.1.1 …`) said once, wherever the lines were wrapped. At most 4 KB.
pub fn one_line<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut words: Vec<&str> = Vec::new();
    let mut length = 0;
    for word in lines.into_iter().flat_map(str::split_whitespace) {
        length += word.len() + 1;
        if length > DIAGNOSTIC_LIMIT {
            break;
        }
        words.push(word);
    }
    let mut joined = String::new();
    let mut long: Option<(&str, Option<&str>)> = None;
    let mut rest = words.as_slice();
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let mut said = *word;
        if let Some((code, status)) = long {
            if let Some((left, skipped)) = repeats(code, status, word, after) {
                said = left;
                rest = after.get(skipped..).unwrap_or_default();
            }
        } else if let Some(code) = begins_long_reply(word) {
            long = Some((code, word.get(code.len() + 1..).filter(|it| is_status(it))));
        }
        if !said.is_empty() {
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(said);
        }
    }
    (!joined.is_empty()).then_some(joined)
}

/// Whether `word` is where a long reply's next line began: what is left of it, and how many words
/// after it belong to the repeated codes.
fn repeats<'w>(code: &str, status: Option<&str>, word: &'w str, after: &[&str]) -> Option<(&'w str, usize)> {
    let rest = word.strip_prefix(code)?;
    let next_is_status = status.is_some() && after.first().copied() == status;
    match rest.strip_prefix('-') {
        Some("") => Some(("", usize::from(next_is_status))),
        Some(left) if Some(left) == status => Some(("", 0)),
        Some(left) => Some((left, 0)),
        None if rest.is_empty() && (next_is_status || status.is_none()) => Some(("", usize::from(next_is_status))),
        None => None,
    }
}

fn is_status(word: &str) -> bool {
    word.parse::<EnhancedStatusCode>().is_ok()
}

/// The code of a reply that goes on (`550-…`), wherever it begins in the line.
fn begins_long_reply(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let at = (0..bytes.len().saturating_sub(3)).find(|&at| {
        let before =
            at == 0 || bytes.get(at - 1).is_some_and(|it| !it.is_ascii_alphanumeric() && *it != b'-' && *it != b'.');
        before
            && matches!(bytes.get(at), Some(b'4' | b'5'))
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
            && bytes.get(at + 2).is_some_and(u8::is_ascii_digit)
            && bytes.get(at + 3) == Some(&b'-')
    })?;
    line.get(at..at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_where_a_reply_stands_and_nowhere_else() {
        for (text, code, enhanced) in [
            ("550 5.1.1 <a@example.org>... User unknown", Some(550), Some("5.1.1")),
            ("host mx.example [192.0.2.1] said: 550-5.7.26 no", Some(550), Some("5.7.26")),
            ("550.5.1.1 <a@example.org> is not a valid mailbox", Some(550), Some("5.1.1")),
            ("Sorry, no mailbox here by that name. (#5.1.1)", None, Some("5.1.1")),
            ("552Message size exceeds fixed limit", Some(552), None),
            ("Remote host said: 550 no", Some(550), None),
            ("connect to 192.5.1.1 failed", None, None),
            ("in the queue for 550 minutes", None, None),
            ("Exim 4.96.1 gave up", None, None),
            ("对方服务器返回 552 邮箱已满", Some(552), None),
            ("Account disabled.\n550 user unknown", Some(550), None),
        ] {
            assert_eq!(reply_code(text).map(ReplyCode::get), code, "{text}");
            assert_eq!(status(text).map(|it| it.to_string()).as_deref(), enhanced, "{text}");
        }
    }

    #[test]
    fn a_reply_of_several_lines_becomes_one() {
        let lines = ["Remote host said: 550-5.7.26 Unauthenticated mail", "550-5.7.26 is not", "550 5.7.26 taken"];
        assert_eq!(one_line(lines).as_deref(), Some("Remote host said: 550-5.7.26 Unauthenticated mail is not taken"));
        assert_eq!(one_line(["  ", ""]), None);
    }
}
