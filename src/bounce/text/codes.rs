//! What stands in a line of server's words: reply code, enhanced status code, the host that spoke.
//!
//! A diagnostic is made one line here, replies of several lines joined (RFC 5321 §4.2.1).

use std::borrow::Cow;

use crate::{
    bounce::words::{self, Kind},
    mail::{EnhancedStatusCode, ReplyCode, charset::decode},
};

/// A diagnostic is never longer, in octets.
const DIAGNOSTIC_LIMIT: usize = 4 * 1024;

/// The enhanced status code that `text` shows, the one beside a reply code first; none within an IP
/// address or a version.
#[must_use]
pub fn status(text: &str) -> Option<EnhancedStatusCode> {
    let (_, found) = reply_with_status(text).or_else(|| Some(("", lone_status(text)?)))?;
    found.parse().ok()
}

/// The SMTP reply code that `text` shows (RFC 5321 §4.2), 400 to 599 only.
#[must_use]
pub fn reply_code(text: &str) -> Option<ReplyCode> {
    let found = reply_with_status(text).map(|(it, _)| it).or_else(|| lone_reply(text))?;
    ReplyCode::new(found.parse().ok()?)
}

/// Whether the line looks like a server's reply.
#[must_use]
pub fn looks_like_reply(text: &str) -> bool {
    lone_reply(text).is_some() || lone_status(text).is_some() || reply_with_status(text).is_some()
}

/// `550 5.1.1`, `550-5.7.26`, `550.5.1.1`, `550 (#5.1.1`: a reply with its enhanced code.
fn reply_with_status(text: &str) -> Option<(&str, &str)> {
    if !text.contains('.') {
        return None;
    }
    replies(text).find_map(|(at, rest)| {
        let inside = text[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.');
        let without_mark = |it: &'_ str| it.strip_prefix('#').map_or(it.len(), str::len);
        let after_blanks = rest.trim_start_matches([' ', '-']);
        let after_bracket = rest.trim_start_matches(is_blank).strip_prefix('(');
        // How much of the text is left where the enhanced code may begin.
        let places = [
            (after_blanks.len() < rest.len()).then(|| without_mark(after_blanks)),
            rest.strip_prefix('.').map(str::len),
            after_bracket.map(without_mark),
        ];
        let told = |left: usize| status_at(text, text.len() - left, |it| it.is_ascii_digit());
        let status = places.into_iter().flatten().find_map(told).filter(|_| !inside)?;
        Some((&text[at..at + 3], status))
    })
}

/// An enhanced code anywhere.
fn lone_status(text: &str) -> Option<&str> {
    let dots = text.match_indices('.').filter_map(|(dot, _)| dot.checked_sub(1));
    dots.filter(|at| matches!(text.as_bytes()[*at], b'4' | b'5')).find_map(|at| {
        let part_of = |it: char| it.is_ascii_alphanumeric() || "-.[".contains(it);
        let status = status_at(text, at, |it| it.is_ascii_alphanumeric() || it == '-')?;
        (!text[..at].ends_with(part_of)).then_some(status)
    })
}

/// The enhanced code that begins at `at`, with no character of `goes_on` behind it.
fn status_at(text: &str, at: usize, goes_on: fn(char) -> bool) -> Option<&str> {
    let [b'2' | b'4' | b'5', b'.', subject, b'.', details @ ..] = text.as_bytes().get(at..)? else { return None };
    let digits = details.iter().take_while(|it| it.is_ascii_digit()).count();
    if !subject.is_ascii_digit() || !(1..=3).contains(&digits) {
        return None;
    }
    let (status, after) = text[at..].split_at(4 + digits);
    let ends = match after.strip_prefix('.') {
        Some(after) => !after.starts_with(|c: char| c.is_ascii_digit()),
        None => !after.starts_with(goes_on),
    };
    ends.then_some(status)
}

/// A reply code where a reply may begin: at the start of a line, or after a word or mark that introduces it.
fn lone_reply(text: &str) -> Option<&str> {
    const MARKS: [&str; 11] = ["\"", ":", ";", "(", "[", "=", "]", "|", ">>>", "<<<", "<--"];
    replies(text).find_map(|(at, rest)| {
        let ends = match rest.as_bytes() {
            [] | [b'\n' | b'\r' | b' ' | b'-' | b'.' | b',' | b':' | b';' | b')' | b'#' | b'<' | b']', ..] => true,
            [first, second, ..] => first.is_ascii_alphabetic() && second.is_ascii_alphabetic(),
            [_] => false,
        };
        if !ends {
            return None;
        }
        let with_blanks = text[..at].strip_suffix('#').unwrap_or(&text[..at]);
        let before = with_blanks.trim_end_matches(is_blank);
        let word = |it: &String| {
            let end = before.len().checked_sub(it.len()).and_then(|from| before.get(from..));
            end.is_some_and(|end| end.eq_ignore_ascii_case(it))
        };
        // A reply may be quoted.
        let introduced = before.trim_start_matches(['\'', '"', '`', '>', '*', '-', '•', ' ']).is_empty()
            || with_blanks[before.len()..].contains('\n')
            || MARKS.iter().any(|it| before.ends_with(it))
            || before.ends_with(char::is_alphabetic) && words::of(Kind::Said).iter().any(word);
        introduced.then(|| &text[at..at + 3])
    })
}

/// Where three digits stand that can be a reply code, and what is behind them.
fn replies(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let codes = text.as_bytes().windows(3).enumerate().filter(
        |(_, it)| matches!(it, [b'4' | b'5', second, third] if second.is_ascii_digit() && third.is_ascii_digit()),
    );
    codes.map(|(at, _)| (at, &text[at + 3..]))
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ')
}

/// Whether it begins as a reply of several lines does (`550-…`).
pub fn goes_on(text: &str) -> bool {
    text.as_bytes().get(3) == Some(&b'-') && text.bytes().take(3).all(|b| b.is_ascii_digit())
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

/// The words behind Exim's escapes: it prints octets beyond ASCII as `\\347\\224\\250`, so a Chinese
/// reply arrives as digits. What decodes to nothing readable stays as it came.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octet = (*first == b'\\').then(|| after.first_chunk().and_then(octal)).flatten();
        bytes.push(octet.unwrap_or(*first));
        rest = after.get(if octet.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    if bytes.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let decoded = decode(&bytes, None);
    if decoded.contains('\u{fffd}') { Cow::Borrowed(text) } else { Cow::Owned(decoded.into_owned()) }
}

/// An octet beyond ASCII in octal.
fn octal(digits: &[u8; 3]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok().filter(|it| it.bytes().all(|it| it.is_ascii_digit()))?;
    u8::from_str_radix(digits, 8).ok().filter(|it| !it.is_ascii())
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
            ("> 550 no such user", Some(550), None),
            ("* 552 full", Some(552), None),
            ("' 550 <a@example.org>... User unknown'", Some(550), None),
            ("Account disabled.\n550 user unknown", Some(550), None),
        ] {
            assert_eq!(reply_code(text).map(ReplyCode::get), code, "{text}");
            assert_eq!(status(text).map(|it| it.to_string()).as_deref(), enhanced, "{text}");
        }
    }

    #[test]
    fn octets_in_octal_are_read() {
        assert_eq!(unescaped(r"550 \347\224\250\346\210\267 C:\101\500"), r"550 用户 C:\101\500");
        assert_eq!(unescaped(r"550 \323\303\273\247\262\273\264\346\324\332"), "550 用户不存在");
        assert_eq!(unescaped(r"550 \x \12"), r"550 \x \12");
    }

    #[test]
    fn a_reply_of_several_lines_becomes_one() {
        let lines = ["Remote host said: 550-5.7.26 Unauthenticated mail", "550-5.7.26 is not", "550 5.7.26 taken"];
        assert_eq!(one_line(lines).as_deref(), Some("Remote host said: 550-5.7.26 Unauthenticated mail is not taken"));
        assert_eq!(one_line(["  ", ""]), None);
    }
}
