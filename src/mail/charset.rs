//! Bytes of an unreliable charset to text (`Mail`'s parts and header fields).
//!
//! Labels of real mail lie: GBK under `us-ascii`, UTF-8 under `gb2312`, GBK under `iso-8859-1`.
//! So valid UTF-8 wins over any label; then the label, with `gb2312` and `gbk` read as GB18030; then lines of either;
//! then GB18030 where the bytes have its form; then windows-1252, which takes everything. What a program read
//! by the octet and wrote as UTF-8 is put right before all (`twice`).
//! Total: whatever cannot be decoded becomes U+FFFD.

mod twice;

use std::borrow::Cow;

use encoding_rs::{BIG5, EUC_JP, Encoding, GB18030, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};

/// Decodes `bytes`, of which the sender says that they are in `label`.
#[must_use]
pub fn decode<'a>(bytes: &'a [u8], label: Option<&str>) -> Cow<'a, str> {
    if label.is_some_and(|it| it.to_ascii_lowercase().ends_with("utf-7")) && bytes.is_ascii() {
        return Cow::Owned(utf_7(bytes));
    }
    if memchr::memchr(0x1b, bytes).is_some()
        && (label.and_then(encoding) == Some(ISO_2022_JP) || speaks_iso_2022_jp(bytes))
    {
        return ISO_2022_JP.decode_without_bom_handling(bytes).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => twice::undone(text).map_or(Cow::Borrowed(text), Cow::Owned),
        Err(_) => Cow::Owned(decode_other(bytes, label)),
    }
}

/// What is no UTF-8.
fn decode_other(bytes: &[u8], label: Option<&str>) -> String {
    let labelled = label.and_then(encoding);
    if let Some(encoding) = labelled.filter(|it| *it != UTF_8 && !is_western(it)) {
        if encoding == GB18030
            && let Some(text) = decode_by_line(bytes, labelled)
        {
            return text;
        }
        let (text, damaged) = encoding.decode_without_bom_handling(bytes);
        if !damaged || !has_form_of_gb18030(bytes) {
            return text.into_owned();
        }
    }
    if let Some(text) = decode_by_line(bytes, labelled) {
        return text;
    }
    if is_damaged_utf8(bytes) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if has_form_of_gb18030(bytes) {
        let text = GB18030.decode_without_bom_handling(bytes).0.into_owned();
        return if reads_japanese(&text) { EUC_JP.decode_without_bom_handling(bytes).0.into_owned() } else { text };
    }
    labelled.filter(|it| is_western(it)).unwrap_or(WINDOWS_1252).decode_without_bom_handling(bytes).0.into_owned()
}

/// Lines of UTF-8 beside lines of GBK, damaged ones or western ones, as where a bounce quotes the replies of several
/// servers, or one below the administrator's own words.
fn decode_by_line(bytes: &[u8], labelled: Option<&'static Encoding>) -> Option<String> {
    let labelled = labelled.filter(|it| *it == GB18030 || is_western(it));
    let mut text = String::with_capacity(bytes.len());
    let (mut utf8, mut other) = (false, false);
    for line in bytes.split_inclusive(|it| *it == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            utf8 |= line.chars().any(|c| c >= '\u{800}');
            text.push_str(line);
            continue;
        }
        other = true;
        if has_form_of_gb18030(line) && !is_damaged_utf8(line) {
            text.push_str(&GB18030.decode_without_bom_handling(line).0);
        } else if let Some(encoding) = labelled {
            text.push_str(&encoding.decode_without_bom_handling(line).0);
        } else {
            text.push_str(&String::from_utf8_lossy(line));
        }
    }
    (utf8 && other).then_some(text)
}

/// UTF-8 with what is none of it replaced; quick where all of it is.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// RFC 2152, in which Exchange 2000 writes `a+AEA-example.org`.
fn utf_7(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let shifted = after.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
        let digits = after.get(..shifted).unwrap_or_default();
        rest = after;
        match (first, digits) {
            (b'+', []) => text.push('+'),
            (b'+', _) => {
                text.push_str(&String::from_utf16_lossy(&units(digits)));
                rest = after.get(shifted..).unwrap_or_default();
            }
            _ => {
                text.push(char::from(first));
                continue;
            }
        }
        rest = rest.strip_prefix(b"-").unwrap_or(rest);
    }
    text
}

/// The UTF-16 units that base64 digits hold, what does not fill one left out.
fn units(digits: &[u8]) -> Vec<u16> {
    let (mut bits, mut held, mut found) = (0_u32, 0_u32, Vec::new());
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = (bits << 6 | u32::from(value)) & 0x3f_ffff;
        held += 6;
        if held >= 16 {
            held -= 16;
            found.push(u16::try_from(bits >> held & 0xffff).unwrap_or_default());
        }
    }
    found
}

/// The encoding a label names; the simplified Chinese ones as GB18030, which contains them all.
fn encoding(label: &str) -> Option<&'static Encoding> {
    let label = label.trim().trim_matches(|c| c == '"' || c == '\'');
    let found = Encoding::for_label(label.as_bytes()).or_else(|| {
        let squeezed: String = label.chars().filter(char::is_ascii_alphanumeric).collect();
        match squeezed.to_ascii_lowercase().as_str() {
            "cp936" | "ms936" | "windows936" | "gb18030" | "gb23121980" | "euccn" => Some(GB18030),
            "utf8" | "unicode11utf8" => Some(UTF_8),
            "cp950" | "windows950" | "ms950" => Some(BIG5),
            "cp932" | "windows932" | "iso2022jpms" => Some(SHIFT_JIS),
            _ => None,
        }
    })?;
    Some(if found == GBK { GB18030 } else { found })
}

/// Encodings of western Europe, in which every byte is valid, and which programs name that know
/// no better: their label proves nothing. Who names a Cyrillic one means it.
fn is_western(encoding: &'static Encoding) -> bool {
    [WINDOWS_1252, encoding_rs::ISO_8859_15, encoding_rs::WINDOWS_1250, encoding_rs::ISO_8859_2].contains(&encoding)
}

/// An escape to JIS X 0208 or 0201 stands in the bytes (RFC 1468).
fn speaks_iso_2022_jp(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|it| matches!(it, b"\x1b$B" | b"\x1b$@" | b"\x1b(J" | b"\x1b(I"))
}

/// Hiragana stands at the same place in GB 2312 and in EUC-JP, and no Chinese sentence is full of it.
fn reads_japanese(text: &str) -> bool {
    let (mut hiragana, mut wide) = (0_usize, 0_usize);
    for c in text.chars().filter(|c| !c.is_ascii()) {
        wide += 1;
        hiragana += usize::from(matches!(c, '\u{3041}'..='\u{3096}'));
    }
    hiragana >= 3 && hiragana * 8 >= wide
}

/// UTF-8 that was cut or hit in few places: far more good characters than bad ones.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > 4 * bad
}

/// High bytes come in pairs, both of GB 2312's range, as they hardly ever do in western text.
fn has_form_of_gb18030(bytes: &[u8]) -> bool {
    let (mut pairs, mut others) = (0_usize, 0_usize);
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first < 0x80 {
            continue;
        }
        match tail {
            [second, after @ ..] if *first >= 0xa1 && *second >= 0xa1 => {
                pairs += 1;
                rest = after;
            }
            _ => others += 1,
        }
    }
    pairs > 0 && others * 8 <= pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_bit_unicode_is_read() {
        for (bytes, wanted) in [
            ("a+AEA-example.org 1+-1 +ZTZO9k66,", "a@example.org 1+1 收件人,"),
            ("+2D3ciw-x +", "💋x +"),
            ("plain", "plain"),
        ] {
            assert_eq!(decode(bytes.as_bytes(), Some("unicode-1-1-UTF-7")), wanted);
        }
    }

    #[test]
    fn lying_and_missing_labels_are_seen_through() {
        let gbk = [0xd3, 0xca, 0xcf, 0xe4]; // 邮箱
        for label in [None, Some("us-ascii"), Some("gb2312"), Some("iso-8859-1"), Some("utf-8")] {
            assert_eq!(decode(&gbk, label), "邮箱", "{label:?}");
        }
        assert_eq!(decode("邮箱".as_bytes(), Some("gb2312")), "邮箱");
        assert_eq!(
            decode(b"550 \xe9\x82\xae\xe7\xae\xb1\n550 \xd3\xca\xcf\xe4\n", Some("utf-8")),
            "550 邮箱\n550 邮箱\n"
        );
        assert_eq!(decode(b"f\xfcr Sie\n550 \xe9\x82\xae\xe7\xae\xb1\n", Some("iso-8859-1")), "für Sie\n550 邮箱\n");
        assert_eq!(decode(b"\xd3\xca\xcf\xe4\n550 \xe9\x82\xae\xe7\xae\xb1\n", Some("gb2312")), "邮箱\n550 邮箱\n");
        let japanese = "送信できませんでした";
        let (euc, ..) = EUC_JP.encode(japanese);
        assert_eq!(decode(&euc, Some("iso-2022-jp")), japanese);
        assert_eq!(decode(b"M\xfcller", Some("iso-8859-1")), "Müller");
        assert_eq!(decode(b"\xf3\xde\xc5\xd4", Some("koi8-r")), "Счет");
        assert_eq!(decode(b"M\xfcller, f\xfcr", None), "Müller, für");
        assert_eq!(decode(b"\xb6l\xbdc", Some("big5")), "郵箱");
        assert_eq!(decode(b"\x1b$B%a!<%k\x1b(B", None), "メール");
        assert_eq!(
            decode(b"caf\xc3\xa9 \xe9\x82\xae\xe7\xae\xb1\xe4\xb8\xad\xe6\x96\x87\xe9\x82", None),
            "café 邮箱中文\u{fffd}"
        );
    }
}
