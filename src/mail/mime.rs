//! Bytes to a tree of decoded parts: `Mail::parse`, which is total, linear and bounded.
//!
//! `structure` finds the parts; nested messages are parsed only when asked for, to a limited depth.
//! Charsets are repaired (`charset`), header fields read from the bytes (`header`), and line ends of
//! every kind become LF.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{Arc, OnceLock},
};

use super::{
    charset,
    header::Headers,
    html,
    structure::{normalise, structure, with_shown_boundary},
    transfer,
};

/// Octets that are looked at; what follows is cut off.
pub const MAX_OCTETS: usize = 1024 * 1024;
/// Parts that are looked at.
pub const MAX_PARTS: usize = 500;
/// Messages within messages that are looked at.
pub const MAX_DEPTH: u8 = 6;

/// A message: its header fields and its parts.
#[derive(Debug)]
pub struct Mail {
    source: Arc<Vec<u8>>,
    depth: u8,
    parts: Vec<Part>,
    text: OnceLock<String>,
    defects: Vec<&'static str>,
}

/// One entity of a message (RFC 2045 §2.4): the message itself, a multipart, or a leaf.
#[derive(Debug)]
pub struct Part {
    pub(super) source: Arc<Vec<u8>>,
    pub(super) depth: u8,
    pub(crate) header: Range<usize>,
    pub(crate) body: Range<usize>,
    pub(super) headers: Headers,
    pub(super) content_type: String,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    pub(super) text: OnceLock<String>,
    pub(super) message: OnceLock<Option<Box<Mail>>>,
}

impl Mail {
    /// Reads any bytes. Input over [`MAX_OCTETS`] is cut; a leading mbox `From ` line and blank
    /// lines are skipped; CR, LF and CRLF all end lines.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        Self::parse_at(bytes, 0)
    }

    fn parse_at(bytes: &[u8], depth: u8) -> Self {
        let mut defects = Vec::new();
        let cut = bytes.len() > MAX_OCTETS;
        if cut {
            defects.push("cut at the size limit");
        }
        let source = Arc::new(normalise(&bytes[..bytes.len().min(MAX_OCTETS)]));
        let mut parts = structure(&source, depth);
        if let Some(repaired) = with_shown_boundary(&source, &parts) {
            let repaired = Arc::new(repaired);
            let again = structure(&repaired, depth);
            if again.len() > 1 {
                defects.push("multipart without its boundary");
                return Self { source: repaired, depth, parts: again, text: OnceLock::new(), defects };
            }
        }
        if parts.len() > MAX_PARTS {
            defects.push("too many parts");
            parts.truncate(MAX_PARTS);
        }
        Self { source, depth, parts, text: OnceLock::new(), defects }
    }

    /// The message's own header fields.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.root().headers
    }

    /// The first field of that name (any case), unfolded and decoded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().first(name)
    }

    /// The header block as it stands, LF lines.
    #[must_use]
    pub fn header_block(&self) -> &[u8] {
        self.source.get(self.root().header.clone()).unwrap_or_default()
    }

    /// All octets of the message, LF lines.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// How deep this message lies within others; 0 is the outermost.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The parts in document order; the first is the message itself. Never empty. Parts of nested
    /// messages are not among them: ask `Part::message`.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The message as a part.
    #[must_use]
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// What was wrong with the form.
    #[must_use]
    pub fn defects(&self) -> &[&'static str] {
        &self.defects
    }

    /// The first part of that type, such as `message/delivery-status`.
    #[must_use]
    pub fn part_of_type(&self, content_type: &str) -> Option<&Part> {
        self.parts.iter().find(|it| it.content_type == content_type)
    }

    /// The human-readable text in LF lines: every text part that is no attachment and no returned
    /// header block; of alternatives the plain one, unless only the HTML one names an address.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let mut out = String::new();
            for (index, part) in self.parts.iter().enumerate() {
                if self.is_shown(index, part) {
                    if !out.is_empty() && !out.ends_with('\n') {
                        out.push('\n');
                    }
                    out.push_str(part.text());
                }
            }
            out
        })
    }

    fn is_shown(&self, index: usize, part: &Part) -> bool {
        let readable = matches!(part.content_type.as_str(), "text/plain" | "text/html" | "text/enriched")
            || part.children.is_empty()
                && (part.content_type.starts_with("multipart/") || index == 0 && part.is_text());
        if !readable || part.file_name().is_some() && part.is_attachment() {
            return false;
        }
        let siblings = part.parent.map(|it| &self.parts[it]).filter(|it| it.content_type == "multipart/alternative");
        let Some(alternatives) = siblings else { return true };
        let best = alternatives
            .children
            .iter()
            .filter_map(|&it| self.parts.get(it).map(|part| (it, part)))
            .filter(|(_, it)| it.is_text())
            .max_by_key(|(at, it)| (it.text().contains('@'), it.content_type == "text/plain", usize::MAX - at));
        best.is_none_or(|(at, _)| at == index)
    }
}

impl Part {
    /// The part's header fields.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// `type/subtype`, lower-cased; `text/plain` where none is given (RFC 2045 §5.2).
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// A parameter of Content-Type, by its lower-case name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Whether the part is text of any subtype.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.content_type.starts_with("text/")
    }

    /// Whether Content-Disposition says `attachment` (RFC 2183 §2.2).
    #[must_use]
    pub fn is_attachment(&self) -> bool {
        self.headers
            .first("content-disposition")
            .is_some_and(|it| it.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("attachment")))
    }

    /// The file name by Content-Disposition or Content-Type.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.parameter("filename").or_else(|| self.parameter("name"))
    }

    /// The indices (into `Mail::parts`) of a multipart's parts.
    #[must_use]
    pub fn children(&self) -> &[usize] {
        &self.children
    }

    /// The index of the multipart that holds this part.
    #[must_use]
    pub fn parent(&self) -> Option<usize> {
        self.parent
    }

    /// The body as it stands, LF lines, not decoded.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.source.get(self.body.clone()).unwrap_or_default()
    }

    /// The body with its Content-Transfer-Encoding undone.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        let encoding = self.headers.first("content-transfer-encoding").unwrap_or_default();
        // RFC 2045 §6.4 forbids an encoding of multiparts; where one is claimed it is not true.
        let composite = self.content_type.starts_with("multipart/");
        transfer::decode(self.raw(), if composite { "" } else { encoding })
    }

    /// The body as text: charset repaired, LF lines, HTML rendered.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let bytes = self.bytes();
            let mut text = charset::decode(&bytes, self.parameter("charset"));
            if memchr::memchr(b'\r', text.as_bytes()).is_some() {
                text = Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"));
            }
            if self.content_type == "text/html" { html::to_text(&text) } else { text.into_owned() }
        })
    }

    /// The message inside: of `message/rfc822` or `message/global`, a returned header block
    /// (`text/rfc822-headers`, `message/global-headers`), or any other part, if asked.
    /// `None` beyond [`MAX_DEPTH`].
    #[must_use]
    pub fn message(&self) -> Option<&Mail> {
        let parse = || (self.depth < MAX_DEPTH).then(|| Box::new(Mail::parse_at(&self.bytes(), self.depth + 1)));
        self.message.get_or_init(parse).as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Subject: =?gb2312?B?0w==?= =?gb2312?B?yg==?=\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+08rP5DwvcD4=\r\n--=_b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\n\r\nFinal-Recipient: rfc822; u@b.example\r\n--=_b\r\nContent-Type: message/rfc822\r\n\r\nSubject: original\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\n\r\ninner\r\n--in--\r\n--=_b--\r\n";

    #[test]
    fn a_report_is_read_alike_under_all_line_ends() {
        for source in [REPORT.to_owned(), REPORT.replace("\r\n", "\n"), REPORT.replace("\r\n", "\r")] {
            let mail = Mail::parse(source.as_bytes());
            assert_eq!(mail.header("subject"), Some("邮"));
            let types: Vec<_> = mail.parts().iter().map(Part::content_type).collect();
            assert_eq!(types, ["multipart/report", "text/html", "message/delivery-status", "message/rfc822"]);
            assert_eq!(mail.text(), "邮箱\n");
            let status = mail.part_of_type("message/delivery-status").expect("there is one");
            assert!(status.raw().starts_with(b"Reporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822;"));
            let original = mail.part_of_type("message/rfc822").and_then(Part::message).expect("there is one");
            assert_eq!(original.header("Subject"), Some("original"));
            assert_eq!(original.text(), "inner");
            assert_eq!(mail.root().children(), [1, 2, 3]);
        }
    }

    #[test]
    fn a_missing_or_wrong_boundary_is_found_in_the_body() {
        for replacement in ["", ";\r\n boundary=\"other\""] {
            let source = REPORT.replace(";\r\n boundary=\"=_b\"", replacement);
            let mail = Mail::parse(source.as_bytes());
            assert_eq!(mail.parts().len(), 4, "{replacement}");
            assert_eq!(mail.header("subject"), Some("邮"));
        }
    }

    #[test]
    fn bombs_are_bounded() {
        let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(10_000));
        assert_eq!(Mail::parse(many.as_bytes()).parts().len(), MAX_PARTS);
        let deep: String =
            (0..200).map(|it| format!("Content-Type: multipart/mixed; boundary=b{it}\n\n--b{it}\n")).collect();
        assert!(Mail::parse(deep.as_bytes()).parts().len() > 190);
        let nested = "Content-Type: message/rfc822\n\n".repeat(30_000);
        let mail = Mail::parse(nested.as_bytes());
        let levels = std::iter::successors(Some(&mail), |it| it.root().message());
        assert_eq!(levels.last().map(Mail::depth), Some(MAX_DEPTH));
    }

    #[test]
    fn anything_is_a_mail() {
        for bytes in [&b""[..], b"\n", b"\0\0\0", b"From x\n", b"no header at all", b"a: b", b"--\n--\n"] {
            assert!(!Mail::parse(bytes).parts().is_empty());
        }
    }
}
