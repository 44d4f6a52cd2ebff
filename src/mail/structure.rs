//! The parts of a message: found by mail-parser, with its pitfalls kept away from it.
//!
//! It works on a copy in which nested messages are masked, so that it never nests (dropping its
//! nested messages recurses without bound). A multipart whose boundary is missing or wrong is given
//! the one that its body shows.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock, OnceLock},
};

use mail_parser::{HeaderName, MessageParser, MimeHeaders, PartType};
use regex::bytes::{Regex, RegexBuilder};

use super::{
    header::{Headers, decode_words},
    mime::{MAX_PARTS, Part},
};

/// LF lines, without a leading `From ` line (RFC 4155) and without blank lines before the header.
pub(super) fn normalise(bytes: &[u8]) -> Vec<u8> {
    let mut out = if memchr::memchr(b'\r', bytes).is_some() {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\r', rest) {
            out.extend_from_slice(&rest[..at]);
            out.push(b'\n');
            rest = &rest[at + 1..];
            // `\r\r\n` is one damaged line end, as `\r\n` is a sound one.
            let carriage_returns = rest.iter().take(2).take_while(|&&b| b == b'\r').count();
            if rest.get(carriage_returns) == Some(&b'\n') && carriage_returns <= 1 {
                rest = &rest[carriage_returns + 1..];
            }
        }
        out.extend_from_slice(rest);
        out
    } else {
        bytes.to_vec()
    };
    if out.starts_with(b"\xef\xbb\xbf") {
        out.drain(..3);
    }
    let blank = out.iter().take_while(|b| matches!(b, b'\n' | b' ' | b'\t')).count();
    out.drain(..blank);
    if out.starts_with(b"From ") || out.starts_with(b">From ") {
        let line = out.iter().position(|&b| b == b'\n').map_or(out.len(), |at| at + 1);
        out.drain(..line);
    }
    out
}

/// What makes mail-parser nest; each is masked by a token of the same length and alphabet.
static NESTING: LazyLock<Option<Regex>> =
    LazyLock::new(|| RegexBuilder::new("rfc822|global|digest").unicode(false).case_insensitive(true).build().ok());

fn mask(source: &[u8]) -> Cow<'_, [u8]> {
    let Some(nesting) = NESTING.as_ref() else { return Cow::Borrowed(source) };
    let mut masked = Cow::Borrowed(source);
    for found in nesting.find_iter(source) {
        if let Some(byte) = masked.to_mut().get_mut(found.start() + 1) {
            *byte = b'x';
        }
    }
    masked
}

/// Undoes `mask` in a parameter's value or a type's name.
fn unmask(mut text: String) -> String {
    for (masked, bare) in [("rxc822", "rfc822"), ("gxobal", "global"), ("dxgest", "digest")] {
        if text.contains(masked) {
            text = text.replace(masked, bare);
        }
    }
    text
}

static PARSER: LazyLock<MessageParser> = LazyLock::new(|| {
    MessageParser::new()
        .header_content_type(HeaderName::ContentType)
        .header_content_type(HeaderName::ContentDisposition)
        .default_header_ignore()
});

/// The parts of a message, never none.
pub(super) fn structure(source: &Arc<Vec<u8>>, depth: u8) -> Vec<Part> {
    let masked = mask(source);
    let found = catch_unwind(AssertUnwindSafe(|| {
        let message = PARSER.parse(masked.as_ref())?;
        let parts: Vec<Part> =
            message.parts.iter().take(MAX_PARTS + 1).map(|it| part(source, it, depth, &message.parts)).collect();
        (!parts.is_empty()).then_some(parts)
    }));
    let mut parts = found.ok().flatten().unwrap_or_else(|| vec![whole(source, depth)]);
    let count = parts.len();
    for index in 0..count {
        parts[index].children.retain(|&it| it > index && it < count);
        for child in parts[index].children.clone() {
            parts[child].parent = Some(index);
        }
    }
    parts
}

/// A message of which not even the structure could be found: all of it is text.
fn whole(source: &Arc<Vec<u8>>, depth: u8) -> Part {
    Part {
        source: Arc::clone(source),
        depth,
        header: 0..0,
        body: 0..source.len(),
        headers: Headers::default(),
        content_type: "text/plain".to_owned(),
        parameters: Vec::new(),
        parent: None,
        children: Vec::new(),
        text: OnceLock::new(),
        message: OnceLock::new(),
    }
}

fn part(
    source: &Arc<Vec<u8>>,
    it: &mail_parser::MessagePart<'_>,
    depth: u8,
    all: &[mail_parser::MessagePart<'_>],
) -> Part {
    let body_start = (it.offset_body as usize).min(source.len());
    let body_end = (it.offset_end as usize).clamp(body_start, source.len());
    let header = (it.offset_header as usize).min(body_start)..body_start;
    let content_type = it.content_type();
    let mut parameters = Vec::new();
    for field in [it.content_disposition(), content_type].into_iter().flatten() {
        for attribute in field.attributes().unwrap_or_default().iter().take(20) {
            let value = decode_words(unmask(attribute.value.to_string()).as_bytes()).into_owned();
            parameters.push((unmask(attribute.name.to_string()), value));
        }
    }
    let name = content_type.map_or_else(
        || "text/plain".to_owned(),
        |it| {
            let mut name = [it.ctype(), it.subtype().unwrap_or_default()].join("/");
            name.make_ascii_lowercase();
            unmask(name)
        },
    );
    let children = match &it.body {
        PartType::Multipart(children) => {
            children.iter().map(|&child| child as usize).filter(|&child| child < all.len()).collect()
        }
        _ => Vec::new(),
    };
    Part {
        source: Arc::clone(source),
        depth,
        headers: Headers::parse(source.get(header.clone()).unwrap_or_default()),
        header,
        body: body_start..body_end,
        content_type: name,
        parameters,
        parent: None,
        children,
        text: OnceLock::new(),
        message: OnceLock::new(),
    }
}

/// If the message is a multipart of which no part was found, its source with the boundary that
/// the body shows: the first line `--token` before a MIME header or used twice.
pub(super) fn with_shown_boundary(source: &[u8], parts: &[Part]) -> Option<Vec<u8>> {
    let [root] = parts else { return None };
    let untyped = root.headers.first("content-type").is_none();
    if !(untyped || root.content_type.starts_with("multipart/")) {
        return None;
    }
    let body = source.get(root.body.clone())?;
    let mut lines = body.split(|&b| b == b'\n');
    let boundary = loop {
        let line = lines.next()?.trim_ascii_end();
        if let Some(token) = line.strip_prefix(b"--") {
            let sound = (1..=200).contains(&token.len()) && !token.contains(&b' ') && !token.contains(&b'"');
            if sound && lines.clone().next().is_some_and(starts_mime_header) {
                break token;
            }
        } else if untyped && !line.is_empty() && !line.starts_with(b"This is ") {
            return None; // without a type only a body that begins with a boundary is believed
        }
    };
    let mut repaired = Vec::with_capacity(source.len() + 128);
    let mut in_content_type = false;
    for line in source.get(root.header.clone())?.split_inclusive(|&b| b == b'\n') {
        let folded = line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
        in_content_type =
            if folded { in_content_type } else { line.len() > 13 && line[..13].eq_ignore_ascii_case(b"content-type:") };
        if !in_content_type && line != b"\n" {
            repaired.extend_from_slice(line);
        }
    }
    let kind = if untyped { "multipart/mixed" } else { root.content_type.as_str() };
    repaired.extend_from_slice(format!("Content-Type: {kind}; boundary=\"").as_bytes());
    repaired.extend_from_slice(boundary);
    repaired.extend_from_slice(b"\"\n\n");
    repaired.extend_from_slice(body);
    Some(repaired)
}

fn starts_mime_header(line: &[u8]) -> bool {
    line.get(..8).is_some_and(|it| it.eq_ignore_ascii_case(b"content-"))
}
