//! Where a pasted original begins, if no mark announces it: at the first block that is a header.

use super::lines::Line;

/// Fields that only a real header has; the labels of human texts (From, To, Subject) are not among them.
const TRACE: [&str; 7] =
    ["received", "return-path", "dkim-signature", "domainkey-signature", "mime-version", "x-received", "x-mailer"];
/// Fields that a real header has too.
const KNOWN: [&str; 16] = [
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "sender",
    "content-type",
    "user-agent",
    "content-transfer-encoding",
    "references",
    "in-reply-to",
    "delivered-to",
    "x-priority",
    "importance",
];

/// The number of the line at which the first header block begins.
pub(super) fn header_block(lines: &[Line<'_>]) -> Option<usize> {
    let mut begin = None;
    let (mut trace, mut known) = (0, 0);
    for (number, line) in lines.iter().enumerate() {
        match field_name(line) {
            Some(name) => {
                begin = begin.or(Some(number));
                trace += usize::from(TRACE.contains(&name.as_str()));
                known += usize::from(KNOWN.contains(&name.as_str()) || TRACE.contains(&name.as_str()));
                if trace >= 1 && known >= 3 {
                    return begin;
                }
            }
            None if line.indent > 0 && !line.is_blank() && begin.is_some() => {}
            None => (begin, trace, known) = (None, 0, 0),
        }
    }
    None
}

/// The lower-cased name of the field that begins in this line (RFC 5322 §2.2).
fn field_name(line: &Line<'_>) -> Option<String> {
    let (name, _) = line.text.split_once(':')?;
    let name = name.trim_end();
    let sound = line.indent == 0
        && name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    sound.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{super::lines::lines, *};

    #[test]
    fn a_header_is_told_from_labels() {
        let labels = "Your message\nTo: a@example.org\nSubject: x\nDate: y\n\nwas not delivered\n";
        assert_eq!(header_block(&lines(labels)), None);
        let header = "gone\n\nReceived: from x\n\tby y\nDate: z\nSubject: s\n\nbody";
        assert_eq!(header_block(&lines(header)), Some(2));
    }
}
