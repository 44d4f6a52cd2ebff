//! Free text as the engine sees it: folded lines, and one squeezed string for literal marks.
//!
//! Folding keeps the words and evens out what Chinese and Japanese systems vary: full-width
//! letters, digits, colons and brackets become ASCII, every kind of blank a space, and invisible
//! characters go. Squeezing goes further (lower case, letters and digits only), so that a mark is
//! found whatever became of its blanks, apostrophes, dashes and line breaks.

use std::borrow::Cow;

use super::{search::Sought, syntax::Set};

/// More than this of a message's text is not looked at; the human part of a bounce comes first.
pub(super) const TEXT_LIMIT: usize = 64 * 1024;
/// Of a longer line the head is read.
const LINE_LIMIT: usize = 4 * 1024;

/// One line, folded, without its end.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    /// Folded text, trimmed on both sides.
    pub(super) text: Cow<'t, str>,
    /// Leading blanks, a tab counted as eight.
    pub(super) indent: usize,
    /// Where the line begins in the text it was cut from, in octets.
    pub(super) at: usize,
    /// The octets in it: most patterns are refused by these alone.
    pub(super) octets: Set,
}

impl<'a> From<&'a Line<'_>> for Sought<'a> {
    fn from(line: &'a Line<'_>) -> Self {
        Self { text: &line.text, octets: line.octets }
    }
}

impl Line<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.is_empty()
    }

    /// The same, apart from the text it was cut from.
    pub(super) fn into_owned(self) -> Line<'static> {
        Line { text: Cow::Owned(self.text.into_owned()), indent: self.indent, at: self.at, octets: self.octets }
    }
}

/// Cuts `text` (any line ends) into folded lines; at most `TEXT_LIMIT` octets of it.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let text = head(text, TEXT_LIMIT);
    let mut found = Vec::with_capacity(memchr::memchr2_iter(b'\n', b'\r', text.as_bytes()).count() + 1);
    let mut at = 0;
    for piece in text.split_inclusive(['\n', '\r']) {
        let crlf = piece == "\n" && at > 0 && text.as_bytes().get(at - 1) == Some(&b'\r');
        if !crlf {
            found.push(line(piece, at));
        }
        at += piece.len();
    }
    found
}

fn line(piece: &str, at: usize) -> Line<'_> {
    let folded = fold(head(piece, LINE_LIMIT));
    let indent = folded.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 8 } else { 1 }).sum();
    let text = match folded {
        Cow::Borrowed(it) => Cow::Borrowed(it.trim()),
        Cow::Owned(it) => Cow::Owned(it.trim().to_owned()),
    };
    Line { octets: Set::of_text(&text), text, indent, at }
}

/// The first `limit` octets, or a little less, ending with a whole character.
pub(super) fn head(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

/// Evens out widths, blanks, curly apostrophes and invisible characters.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter_map(folded).collect())
}

fn folded(c: char) -> Option<char> {
    match c {
        '\0' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}' => None,
        '\u{a0}' | '\u{3000}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => Some(' '),
        '\u{2018}' | '\u{2019}' => Some('\''),
        // Punctuation of prose stays as it is, for the words will be quoted.
        '０'..='９'
        | 'Ａ'..='Ｚ'
        | 'ａ'..='ｚ'
        | '：'
        | '＠'
        | '＜'
        | '＞'
        | '（'
        | '）'
        | '．'
        | '－'
        | '＿'
        | '［'
        | '］'
        | '＃' => char::from_u32(u32::from(c) - 0xfee0),
        _ => Some(c),
    }
}

/// What squeezing leaves of each octet of ASCII, 0 for nothing.
const KEPT: [u8; 256] = {
    let mut kept = [0; 256];
    let mut octet = 0_u8;
    while octet < 128 {
        if octet.is_ascii_alphanumeric() {
            kept[octet as usize] = octet.to_ascii_lowercase();
        }
        octet += 1;
    }
    kept
};

/// Lower case, letters and digits only.
pub(in crate::bounce) fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    squeeze_onto(&mut squeezed, text);
    squeezed
}

/// `squeeze`, appended.
pub(super) fn squeeze_onto(squeezed: &mut String, text: &str) {
    if text.is_ascii() {
        // Most lines by far: a block at a time, not a character.
        let mut block = [0_u8; 64];
        for piece in text.as_bytes().chunks(block.len()) {
            let mut length = 0;
            for b in piece {
                let kept = KEPT[usize::from(*b)];
                block[length % 64] = kept;
                length += usize::from(kept != 0);
            }
            squeezed.push_str(block.get(..length).and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default());
        }
        return;
    }
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            squeezed.push(c.to_ascii_lowercase());
        } else if !c.is_ascii() && c.is_alphanumeric() {
            squeezed.extend(c.to_lowercase());
        }
    }
}

/// Text that was left in quoted-printable, decoded; `None` if it shows no signs of it.
///
/// Gateways that re-wrap a bounce drop the header that named the encoding (RFC 2045 §6.7).
pub(super) fn quoted_printable_remains(text: &str) -> Option<String> {
    let text = head(text, TEXT_LIMIT);
    let (mut soft_breaks, mut escapes) = (0, 0);
    for at in memchr::memchr_iter(b'=', text.as_bytes()) {
        match text.as_bytes().get(at + 1..).unwrap_or_default() {
            [b'\n', ..] => soft_breaks += 1,
            [b'3', b'D', ..] | [b'2', b'0', b'\n', ..] | [b'E', ..] => escapes += 1,
            _ => {}
        }
    }
    if soft_breaks + escapes < 3 || escapes == 0 {
        return None;
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'=', [b'\n', tail @ ..]) => tail,
            (b'=', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |it: u8| char::from(it).to_digit(16).unwrap_or(0);
                decoded.push(u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or(b'?'));
                tail
            }
            (other, tail) => {
                decoded.push(other);
                tail
            }
        };
    }
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_evens_out_widths_and_blanks_and_keeps_prose() {
        assert_eq!(fold("时\u{3000}间：\u{200b}Ａ＠ｂ．ｃｎ，好"), "时 间:A@b.cn，好");
    }

    #[test]
    fn lines_know_their_indent_and_place_for_any_line_end() {
        for text in ["a\n  b\n\nc", "a\r  b\r\rc"] {
            let found = lines(text);
            assert_eq!(found.iter().map(|it| &*it.text).collect::<Vec<_>>(), ["a", "b", "", "c"]);
            assert_eq!((found[1].indent, found[1].at, found[3].at), (2, 2, 7));
        }
        assert_eq!(lines("a\r\nb\r\n").len(), 2);
    }

    #[test]
    fn squeezing_survives_lost_blanks_and_apostrophes() {
        assert_eq!(squeeze("Sorry, I couldn’t find any host named"), squeeze("Sorry,Icouldnt find any hostnamed"));
    }

    #[test]
    fn quoted_printable_is_decoded_only_where_it_shows() {
        assert_eq!(quoted_printable_remains("a=3Db wrap=\nped=20\n=E4=BD=A0").as_deref(), Some("a=b wrapped \n你"));
        assert_eq!(quoted_printable_remains("x=1\n======\ny"), None);
    }
}
