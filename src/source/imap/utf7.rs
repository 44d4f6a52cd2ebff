//! Folder names in modified UTF-7 (RFC 3501 §5.1.3): `垃圾邮件` is `&V4NXPpCuTvY-`.

use base64::{
    Engine as _,
    alphabet::IMAP_MUTF7,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Encodes a name as it goes over the wire.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut encoded = String::new();
    let mut pending = String::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut pending, &mut encoded);
            encoded.push(c);
            if c == '&' {
                encoded.push('-');
            }
        } else {
            pending.push(c);
        }
    }
    flush(&mut pending, &mut encoded);
    encoded
}

fn flush(pending: &mut String, encoded: &mut String) {
    if pending.is_empty() {
        return;
    }
    let units: Vec<u8> = pending.encode_utf16().flat_map(u16::to_be_bytes).collect();
    encoded.push('&');
    encoded.push_str(&BASE64.encode(units));
    encoded.push('-');
    pending.clear();
}

/// Decodes a name from the wire; what is not well formed is kept as it is, for some servers send
/// raw UTF-8.
#[must_use]
pub fn decode(name: &str) -> String {
    let mut decoded = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let Some((coded, next)) = after.split_once('-') else {
            decoded.push('&');
            decoded.push_str(after);
            return decoded;
        };
        if coded.is_empty() {
            decoded.push('&');
        } else {
            let raw = || format!("&{coded}-");
            decoded.push_str(&text_of(coded).unwrap_or_else(raw));
        }
        rest = next;
    }
    decoded.push_str(rest);
    decoded
}

fn text_of(coded: &str) -> Option<String> {
    let bytes = BASE64.decode(coded).ok()?;
    let units: Vec<u16> = bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(u16::from_be_bytes([*high, *low])),
            _ => None,
        })
        .collect::<Option<_>>()?;
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_over_the_wire_and_back() {
        for (name, wire) in [
            ("INBOX", "INBOX"),
            ("垃圾邮件", "&V4NXPpCuTvY-"),
            ("异常邮件", "&XwJeOJCuTvY-"),
            ("A&B", "A&-B"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("📮", "&2D3c7g-"),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire), name);
        }
    }

    #[test]
    fn broken_names_stay_as_they_are() {
        for wire in ["A&B", "&***-", "&A-", "垃圾邮件", "&2D0-"] {
            assert_eq!(decode(wire), wire);
        }
    }
}
