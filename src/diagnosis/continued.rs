//! A reply of several lines whose lines were joined: `552-5.7.0 presents a 552-5.7.0 security issue`.
//! The codes that its further lines repeat (RFC 5321 §4.2.1) stand in the middle of sentences.

use std::ops::Range;

/// Where the codes of further lines stand.
pub(super) fn find_continuations(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut first: Option<(&str, &str)> = None;
    let mut words =
        text.split_ascii_whitespace().map(|it| (it.as_ptr() as usize - text.as_ptr() as usize, it)).peekable();
    while let Some((at, word)) = words.next() {
        let Some((reply, rest)) = reply_code(word) else { continue };
        let next = words.peek().filter(|_| rest.is_empty());
        let enhanced = rest.strip_prefix('-').or(next.map(|it| it.1)).filter(|it| is_enhanced(it)).unwrap_or_default();
        if rest.is_empty() && enhanced.is_empty() {
            continue;
        }
        match first {
            None => first = Some((reply, enhanced)),
            Some(known) if known == (reply, enhanced) => {
                let glued = rest.strip_prefix('-').map_or(0, |it| 1 + if enhanced.is_empty() { 0 } else { it.len() });
                let end =
                    next.filter(|_| !enhanced.is_empty()).map_or(at + reply.len() + glued, |it| it.0 + it.1.len());
                found.push(at..end);
            }
            Some(_) => {}
        }
    }
    found
}

/// A reply code that refuses or puts off, and what is glued to it.
fn reply_code(word: &str) -> Option<(&str, &str)> {
    let (code, rest) = word.split_at_checked(3)?;
    let refuses = code.starts_with(['4', '5']) && code.bytes().all(|it| it.is_ascii_digit());
    (refuses && (rest.is_empty() || rest.starts_with('-'))).then_some((code, rest))
}

fn is_enhanced(word: &str) -> bool {
    word.starts_with(['4', '5'])
        && word.split('.').count() == 3
        && word.bytes().all(|it| it.is_ascii_digit() || it == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_codes_of_further_lines_are_found() {
        let found = |text: &str| find_continuations(text).into_iter().map(|it| text[it].to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found("552-5.7.0 This presents a potential 552-5.7.0 security issue. 552 5.7.0 See x"),
            ["552-5.7.0", "552 5.7.0"]
        );
        assert_eq!(found("550-Spam is 550-not taken"), ["550-"]);
        assert_eq!(found("550 5.1.1 said: 550 no such user, 550 times"), [""; 0]);
        assert_eq!(found("host said: 550 5.1.1 Try 451 4.7.1 later"), [""; 0]);
    }
}
