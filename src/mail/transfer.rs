//! Content-Transfer-Encoding (RFC 2045 §6) undone, leniently: damaged input yields what it holds.

use std::borrow::Cow;

/// The bytes behind a Content-Transfer-Encoding; unknown ones are taken as they are.
#[must_use]
pub(crate) fn decode<'a>(bytes: &'a [u8], encoding: &str) -> Cow<'a, [u8]> {
    let encoding = encoding.trim();
    if encoding.eq_ignore_ascii_case("base64") {
        Cow::Owned(base64(bytes))
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        Cow::Owned(quoted_printable(bytes, false))
    } else {
        Cow::Borrowed(bytes)
    }
}

/// RFC 2045 §6.8; characters outside the alphabet are passed over.
#[must_use]
pub(crate) fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for &byte in bytes {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                bits = 0; // padding: the next group starts afresh (concatenated base64)
                continue;
            }
            _ => continue,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
    }
    out
}

/// RFC 2045 §6.7; `underscore` reads `_` as a blank (RFC 2047 §4.2). Expects LF lines.
#[must_use]
pub(crate) fn quoted_printable(bytes: &[u8], underscore: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'=', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            (b'=', [b'\n', after @ ..]) => rest = after,
            (b'=', [b' ' | b'\t', ..]) => match tail.iter().position(|b| !matches!(b, b' ' | b'\t')) {
                Some(at) if tail[at] == b'\n' => rest = &tail[at + 1..],
                _ => out.push(b'='),
            },
            (b'_', _) if underscore => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    out
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_encodings_yield_what_they_hold() {
        assert_eq!(base64(b"aGVs\nbG8="), b"hello");
        assert_eq!(base64(b"aGVs!bG8"), b"hello");
        assert_eq!(quoted_printable(b"a=3Db=\nc=XX d= \ne=", false), b"a=bc=XX de=");
        assert_eq!(quoted_printable(b"a_b=20c", true), b"a b c");
    }
}
