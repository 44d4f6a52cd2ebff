//! What stands in a line of server's words: reply code, enhanced status code, the host that spoke.
//!
//! A diagnostic is made one line here, replies of several lines joined (RFC 5321 §4.2.1).

use std::sync::LazyLock;

use regex::Regex;

use super::lines::head;
use crate::mail::{EnhancedStatusCode, ReplyCode};

/// A diagnostic is never longer, in octets.
const DIAGNOSTIC_LIMIT: usize = 4 * 1024;

/// `550 5.1.1`, `550-5.7.26`, `550.5.1.1`, `#550 5.1.1`: a reply with its enhanced code.
static REPLY_WITH_STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?:^|[^0-9.])([45][0-9]{2})(?:[ -]+#?|\.|\s*\(#?)([245]\.[0-9]\.[0-9]{1,3})(?:$|[^0-9.]|\.(?:$|[^0-9]))",
    )
    .ok()
});
/// An enhanced code anywhere, not within an IP address or a version.
static STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^0-9A-Za-z.\[-]|#)([45]\.[0-9]\.[0-9]{1,3})(?:$|[^0-9A-Za-z.-]|\.(?:$|[^0-9]))").ok()
});
/// A reply code where a reply may begin: at the start, or after a word that introduces it.
static REPLY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:^|said:?|returned:?|was:|response:?|reason:|error:?|code:?|failure:?|replied:?|answered:?|smtp;|>>>|<<<|<--|\||[:;(\[=]|\]|rejected)\s*#?([45][0-9]{2})(?:$|[ \-.,:;)#<\]]|[A-Z][a-z])",
    )
    .ok()
});

/// The enhanced status code that `text` shows, the one beside a reply code first.
#[must_use]
pub fn status(text: &str) -> Option<EnhancedStatusCode> {
    let beside = REPLY_WITH_STATUS.as_ref()?.captures(text).and_then(|it| it.get(2));
    let found = beside.or_else(|| STATUS.as_ref()?.captures(text)?.get(1))?;
    found.as_str().parse().ok()
}

/// The SMTP reply code that `text` shows (RFC 5321 §4.2), 400 to 599 only.
#[must_use]
pub fn reply_code(text: &str) -> Option<ReplyCode> {
    let beside = REPLY_WITH_STATUS.as_ref()?.captures(text).and_then(|it| it.get(1));
    let found = beside.or_else(|| REPLY.as_ref()?.captures(text)?.get(1))?;
    ReplyCode::new(found.as_str().parse().ok()?)
}

/// Whether the line looks like a server's reply.
#[must_use]
pub fn looks_like_reply(text: &str) -> bool {
    reply_code(text).is_some() || status(text).is_some()
}

/// Joins lines to one: blanks collapsed, the code that each line of a long reply repeats dropped.
pub(super) fn one_line<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut joined = String::new();
    let mut code: Option<&str> = None;
    for line in lines {
        let line = line.trim();
        let continued = code.and_then(|it| line.strip_prefix(it)).and_then(|it| it.strip_prefix(['-', ' ']));
        let mut words = line;
        if let Some(rest) = continued {
            // `550-5.7.26 more words`: the enhanced code is repeated as well.
            words = match rest.trim_start().split_once(' ') {
                Some((first, tail)) if first.parse::<EnhancedStatusCode>().is_ok() => tail,
                None if rest.trim().parse::<EnhancedStatusCode>().is_ok() => "",
                Some(_) | None => rest,
            };
        }
        if code.is_none() {
            code = begins_long_reply(line);
        }
        for word in words.split_whitespace() {
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(word);
        }
        if joined.len() > DIAGNOSTIC_LIMIT {
            break;
        }
    }
    let joined = head(&joined, DIAGNOSTIC_LIMIT).trim();
    (!joined.is_empty()).then(|| joined.to_owned())
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
