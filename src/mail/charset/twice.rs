//! Text that was encoded twice: a program read a server's reply by the octet (as ISO 8859-1 or windows-1252) and wrote
//! what it saw as UTF-8. Node.js programs do so with whatever reply is not ASCII (Nodemailer, `ZoneMTA`).

use encoding_rs::{GB18030, WINDOWS_1252};

/// The text with such lines put right; `None` where there are none.
pub(super) fn undone(text: &str) -> Option<String> {
    if text.is_ascii() || !text.lines().any(|it| line(it).is_some()) {
        return None;
    }
    let mended = text.split_inclusive('\n').map(|it| line(it).unwrap_or_else(|| it.to_owned()));
    Some(mended.collect())
}

/// The line as it was meant, where its octets are UTF-8 of the east or have the form of GBK and nothing else.
fn line(text: &str) -> Option<String> {
    const FEWEST_OCTETS: usize = 6;
    let high = text.chars().filter(|c| !c.is_ascii()).count();
    if high < FEWEST_OCTETS {
        return None;
    }
    let octets: Vec<u8> = text.chars().map(octet).collect::<Option<_>>()?;
    if let Ok(meant) = std::str::from_utf8(&octets) {
        return meant.chars().any(|c| c >= '\u{800}').then(|| meant.to_owned());
    }
    if !is_gbk(&octets) {
        return None;
    }
    let (meant, damaged) = GB18030.decode_without_bom_handling(&octets);
    (!damaged).then(|| meant.into_owned())
}

/// The octet that the program saw as this character.
fn octet(c: char) -> Option<u8> {
    if let Ok(octet) = u8::try_from(u32::from(c)) {
        return Some(octet);
    }
    let mut one = [0; 4];
    match *WINDOWS_1252.encode(c.encode_utf8(&mut one)).0 {
        [octet] if octet >= 0x80 => Some(octet),
        _ => None,
    }
}

/// Nothing but pairs of GB 2312's range, which no western word is made of.
fn is_gbk(octets: &[u8]) -> bool {
    octets.split(u8::is_ascii).all(|it| it.len() % 2 == 0 && it.iter().all(|it| *it >= 0xa1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_by_the_octet_is_read_as_it_was_meant() {
        let by_octet = |bytes: &[u8]| bytes.iter().map(|it| char::from(*it)).collect::<String>();
        let utf8 = format!("554 5.7.1 no\n{}\nf\u{fc}r", by_octet("550 用户不存在".as_bytes()));
        assert_eq!(undone(&utf8).as_deref(), Some("554 5.7.1 no\n550 用户不存在\nfür"));
        let seen = WINDOWS_1252.decode("附件类型不允许".as_bytes()).0.into_owned();
        assert_eq!(undone(&seen).as_deref(), Some("附件类型不允许"));
        let gbk = by_octet(&GB18030.encode("552 邮箱空间已满").0);
        assert_eq!(undone(&gbk).as_deref(), Some("552 邮箱空间已满"));
        for honest in [
            "Größe überschritten, für später",
            "adresse inconnue, désolé à tous, éèê",
            "用户不存在",
            "ÄÖÜ ÄÖÜ",
            "plain",
        ] {
            assert_eq!(undone(honest), None, "{honest}");
        }
    }
}
