//! What a notice tells of the original besides who failed: author, subject, Message-ID.
//!
//! Chinese systems often return no original at all, but name it in rows (`发件人：`, `主　题：`) or in
//! the query of a feedback link. The link is read, never fetched: fetching it files a report.

use encoding_rs::GB18030;

use super::{
    descriptor::Query,
    engine::Found,
    lines::{Line, fold},
    patterns::AnyOf,
    shared::SharedPatterns,
};
use crate::mail::{Mail, Mailbox, MessageId};

/// Of a part, this much is searched for a link, in octets.
const PART_LIMIT: usize = 256 * 1024;
/// A query is never longer, in octets.
const QUERY_LIMIT: usize = 8 * 1024;

/// The original as the notice describes it; each value as far as it is told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Particulars {
    /// Who wrote it.
    pub from: Option<Mailbox>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its Message-ID.
    pub message_id: Option<MessageId>,
}

impl Particulars {
    /// Reads the labelled rows among the human lines.
    pub(super) fn of_lines(lines: &[Line<'_>], shared: &SharedPatterns) -> Self {
        let value = |patterns: &AnyOf, group: &str| {
            let rows = lines.iter().take(200).filter(|it| it.text.contains([':', '(']));
            rows.into_iter().find_map(|it| patterns.group(it, group))
        };
        Self {
            from: value(&shared.original_from, "addr").as_deref().and_then(Mailbox::parse),
            subject: value(&shared.original_subject, "subject").filter(|it| !it.is_empty()),
            message_id: value(&shared.original_message_id, "id").as_deref().and_then(MessageId::parse),
        }
    }

    /// Fills in what is missing.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            from: self.from.or(other.from),
            subject: self.subject.or(other.subject),
            message_id: self.message_id.or(other.message_id),
        }
    }
}

/// What the query of a feedback link says: who failed and why, and of which message.
pub(super) fn of_link(mail: &Mail, query: &Query) -> Option<(Found, Particulars)> {
    let marker = format!("{}=", query.recipient);
    let (bytes, at) = mail.parts().iter().filter(|it| it.is_text()).find_map(|part| {
        let bytes = part.bytes().into_owned();
        let at = find(bytes.get(..PART_LIMIT.min(bytes.len()))?, marker.as_bytes())?;
        Some((bytes, at))
    })?;
    let fields = fields(enclosing(&bytes, at));
    let value = |name: &str| {
        let (_, value) = fields.iter().find(|(it, _)| !name.is_empty() && it.eq_ignore_ascii_case(name))?;
        Some(value.trim().to_owned()).filter(|it| !it.is_empty())
    };
    let found = Found { address: value(&query.recipient)?, reason: value(&query.reason), ..Found::default() };
    let from = value(&query.sender).as_deref().and_then(Mailbox::parse);
    Some((found, Particulars { from, subject: value(&query.subject), message_id: None }))
}

/// The query around `at`: from the `?` before it to the end of the link, which is the next quote where
/// one comes before any tag or line ends: QQ puts a server's words into its link, blanks and all.
fn enclosing(bytes: &[u8], at: usize) -> &[u8] {
    let ends = |it: &u8| b"\"'<> \t\r\n".contains(it);
    let before = bytes.get(at.saturating_sub(QUERY_LIMIT)..at).unwrap_or_default();
    let start = at - before.iter().rev().take_while(|it| !ends(it) && **it != b'?').count();
    let rest = bytes.get(start..bytes.len().min(at + QUERY_LIMIT)).unwrap_or_default();
    let quoted = rest.iter().position(|it| b"\"'<>\r\n".contains(it)).filter(|it| matches!(rest.get(*it), Some(b'"')));
    if let Some(end) = quoted {
        return rest.get(..end).unwrap_or_default();
    }
    rest.get(..rest.iter().take_while(|it| !ends(it)).count()).unwrap_or_default()
}

/// `name=value` pairs, percent-decoded; UTF-8 or, where it is none, GB18030.
fn fields(query: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(query).replace("&amp;", "&");
    let pairs = text.split('&').filter_map(|it| it.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).take(40).collect()
}

/// RFC 3986 §2.1, and `+` for a blank.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |it: &u8| char::from(*it).to_digit(16);
        rest = match (first, after) {
            (b'%', [high, low, tail @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let byte = hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0);
                bytes.push(u8::try_from(byte).unwrap_or(b'?'));
                tail
            }
            (other, tail) => {
                bytes.push(if other == b'+' { b' ' } else { other });
                tail
            }
        };
    }
    let text =
        String::from_utf8(bytes).unwrap_or_else(|it| GB18030.decode_without_bom_handling(it.as_bytes()).0.into_owned());
    fold(&text).into_owned()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|it| it == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feedback_link_is_read() {
        let html = "<a href=\"http://mail.example.cn/fb?BounceReason=550+no+%CE%DE&amp;BouncedRcpt=wang%40example.org&amp;\
                    OrgSubject=%E6%8A%A5%E4%BB%B7&amp;Sender=li.wei@example.cn\">x</a>";
        let mail = Mail::parse(format!("Content-Type: text/html; charset=utf-8\n\n{html}\n").as_bytes());
        let query = Query {
            recipient: "BouncedRcpt".to_owned(),
            reason: "BounceReason".to_owned(),
            sender: "Sender".to_owned(),
            subject: "OrgSubject".to_owned(),
        };
        let (found, particulars) = of_link(&mail, &query).unwrap();
        assert_eq!((found.address.as_str(), found.reason.as_deref()), ("wang@example.org", Some("550 no 无")));
        assert_eq!(particulars.subject.as_deref(), Some("报价"));
        assert_eq!(particulars.from, Mailbox::parse("li.wei@example.cn"));
        // In quotes a link goes on behind a blank, in plain text it does not.
        let link = "http://mail.example.cn/fb?Sender=li.wei@example.cn&BouncedRcpt=wang@example.org&BounceReason=550 no \
                    such user&OrgSubject=hello";
        let read = |text: String| {
            let mail = Mail::parse(format!("Content-Type: text/html\n\n{text}\n").as_bytes());
            let (found, particulars) = of_link(&mail, &query).unwrap();
            (found.reason, particulars.subject)
        };
        let whole = (Some("550 no such user".to_owned()), Some("hello".to_owned()));
        assert_eq!(read(format!("<a href=\"{link}\">x</a>")), whole);
        assert_eq!(read(format!("<p>here ( {link} )</p>")), (Some("550".to_owned()), None));
    }
}
