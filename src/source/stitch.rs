//! Makes a small, readable report of a large one, out of its head and the parts that matter.

use std::io::{self, BufRead, Read as _};

/// The most that is taken of one part.
pub(super) const PIECE: usize = 64 * 1024;

/// Parts that hold a report (RFC 3464 §2, RFC 6533 §3).
pub(super) const REPORTS: &[&str] = &["message/delivery-status", "message/global-delivery-status"];
/// Parts that hold the original's header.
pub(super) const HEADERS: &[&str] = &["text/rfc822-headers", "message/global-headers"];

const BOUNDARY: &str = "=_whybounced_stitched";

/// The parts of a report, each bounded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Pieces {
    /// The MIME header of the report part.
    pub(super) report_header: Vec<u8>,
    /// The report part, transfer-encoded as it was.
    pub(super) report_body: Vec<u8>,
    /// The original's header; empty if there is none.
    pub(super) original: Vec<u8>,
}

/// Whether a head belongs to a multipart message whose report does not begin within it.
pub(super) fn report_may_follow(head: &[u8]) -> bool {
    let lower = head.to_ascii_lowercase();
    let has = |needle: &str| find(&lower, needle.as_bytes()).is_some();
    has("multipart/") && !REPORTS.iter().any(|kind| has(&format!("content-type: {kind}")))
}

/// The head's own header and the beginning of its text, then the report, then the original's header.
pub(super) fn stitch(head: &[u8], pieces: &Pieces) -> Vec<u8> {
    let (header, body) = split(head);
    let mut out = without_content_headers(header);
    let line = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    line(&mut out, &format!("Content-Type: multipart/report; report-type=delivery-status; boundary=\"{BOUNDARY}\""));
    line(&mut out, "MIME-Version: 1.0");
    line(&mut out, "");
    // The first part as it stands, with its own header, up to the bound.
    let first = first_part(header, body);
    line(&mut out, &format!("--{BOUNDARY}"));
    out.extend_from_slice(first.get(..PIECE.min(first.len())).unwrap_or_default());
    line(&mut out, "");
    line(&mut out, &format!("--{BOUNDARY}"));
    out.extend_from_slice(trim_end(&pieces.report_header));
    line(&mut out, "\r\n");
    out.extend_from_slice(&pieces.report_body);
    line(&mut out, "");
    if !pieces.original.is_empty() {
        line(&mut out, &format!("--{BOUNDARY}"));
        line(&mut out, "Content-Type: text/rfc822-headers");
        line(&mut out, "");
        out.extend_from_slice(&pieces.original);
        line(&mut out, "");
    }
    line(&mut out, &format!("--{BOUNDARY}--"));
    out
}

/// Looks for a report in the rest of a file, line by line: the part, and the header that follows it.
///
/// # Errors
/// The file cannot be read.
pub(super) fn search(mut rest: impl BufRead) -> io::Result<Option<Pieces>> {
    /// Where the search stands.
    enum At {
        Elsewhere,
        Report,
        /// In a part after the report; true once its MIME header is over.
        Original(bool),
    }
    let (mut pieces, mut at, mut found) = (Pieces::default(), At::Elsewhere, false);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut rest).take(PIECE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(found.then_some(pieces));
        }
        let lower = line.to_ascii_lowercase();
        let blank = line.trim_ascii().is_empty();
        match &mut at {
            At::Elsewhere => {
                if let Some(kind) = lower.strip_prefix(b"content-type:")
                    && REPORTS.iter().any(|report| kind.trim_ascii().starts_with(report.as_bytes()))
                {
                    pieces.report_header.extend_from_slice(&line);
                    (at, found) = (At::Report, true);
                }
            }
            At::Report if line.starts_with(b"--") => at = At::Original(false),
            At::Report => push_bounded(&mut pieces.report_body, &line),
            At::Original(false) => at = At::Original(blank),
            At::Original(true) if blank => return Ok(Some(pieces)),
            At::Original(true) => push_bounded(&mut pieces.original, &line),
        }
    }
}

fn push_bounded(piece: &mut Vec<u8>, line: &[u8]) {
    if piece.len() + line.len() <= PIECE {
        piece.extend_from_slice(line);
    }
}

/// Header and body, parted at the first empty line.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    for gap in [&b"\r\n\r\n"[..], b"\n\n"] {
        if let Some(at) = find(message, gap)
            && let (Some(header), Some(body)) = (message.get(..at + gap.len() / 2), message.get(at + gap.len()..))
        {
            return (header, body);
        }
    }
    (message, &[])
}

/// The header without the fields that describe the body, which is a new one.
fn without_content_headers(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut dropping = false;
    for line in header.split_inclusive(|&b| b == b'\n') {
        let folded = line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
        if !folded {
            let lower = line.to_ascii_lowercase();
            dropping = lower.starts_with(b"content-") || lower.starts_with(b"mime-version");
        }
        if !dropping {
            out.extend_from_slice(line);
        }
    }
    if !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The first part of a multipart body, header and all; the whole body where no boundary is found.
fn first_part<'a>(header: &[u8], body: &'a [u8]) -> &'a [u8] {
    let Some(boundary) = boundary_of(header) else { return body };
    let delimiter = [b"--", boundary.as_slice()].concat();
    let Some(start) = find(body, &delimiter).map(|at| at + delimiter.len()) else { return body };
    let part = body.get(start..).unwrap_or_default();
    let part = part.iter().position(|&b| b == b'\n').and_then(|end| part.get(end + 1..)).unwrap_or_default();
    let end = find(part, &delimiter).unwrap_or(part.len());
    part.get(..end).unwrap_or_default()
}

fn boundary_of(header: &[u8]) -> Option<Vec<u8>> {
    let lower = header.to_ascii_lowercase();
    let field = find(&lower, b"content-type:")?;
    let at = field + find(lower.get(field..)?, b"boundary=")? + b"boundary=".len();
    let value = header.get(at..)?;
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&b| b == b'"').next()?,
        None => value.split(|&b| b == b';' || b.is_ascii_whitespace()).next()?,
    };
    (!value.is_empty()).then(|| value.to_vec())
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| !b.is_ascii_whitespace()).map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "From: MAILER-DAEMON@mx.example.cn\r\nSubject: Undelivered Mail\r\nContent-Type: multipart/report;\r\n\tboundary=\"b1\"\r\nMessage-ID: <1@mx.example.cn>\r\n\r\npreamble\r\n--b1\r\nContent-Type: text/plain\r\n\r\nlong text\r\n";

    #[test]
    fn a_large_report_becomes_a_small_one_with_its_parts() {
        let pieces = Pieces {
            report_header: b"Content-Type: message/delivery-status\r\n\r\n".to_vec(),
            report_body: b"Reporting-MTA: dns; mx.example.cn\r\n\r\nAction: failed\r\n".to_vec(),
            original: b"Subject: offer\r\n".to_vec(),
        };
        let stitched = stitch(HEAD.as_bytes(), &pieces);
        let message = mail_parser::MessageParser::default().parse(&stitched).expect("well formed");
        assert_eq!(message.subject(), Some("Undelivered Mail"));
        assert_eq!(message.message_id(), Some("1@mx.example.cn"));
        let kinds: Vec<String> = message
            .parts
            .iter()
            .filter_map(|part| {
                use mail_parser::MimeHeaders as _;
                let kind = part.content_type()?;
                Some(format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()))
            })
            .collect();
        assert_eq!(kinds, ["multipart/report", "text/plain", "message/delivery-status", "text/rfc822-headers"]);
        assert!(message.body_text(0).is_some_and(|text| text.trim() == "long text"));
    }

    #[test]
    fn the_structure_is_asked_for_only_where_a_report_may_follow() {
        assert!(report_may_follow(HEAD.as_bytes()));
        let whole = format!("{HEAD}--b1\r\nContent-Type: message/delivery-status\r\n\r\n");
        assert!(!report_may_follow(whole.as_bytes()));
        assert!(!report_may_follow(b"Subject: large\r\n\r\ntext"));
    }
}
