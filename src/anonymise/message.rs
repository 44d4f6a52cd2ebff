//! The message rebuilt: the same structure, boundaries, encodings and charsets around other words.
//!
//! Headers are rewritten field by field. Texts are decoded, rewritten and encoded as they were; of
//! the returned original the body is left out, but for filler, which is a sign of its own.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use encoding_rs::{BIG5, Encoding, GB18030, ISO_2022_JP, SHIFT_JIS, UTF_8, WINDOWS_1252};

use super::{names::Names, words::Rewriter};
use crate::{
    bounce::{self, Recognition, text},
    catalogue,
    diagnosis::Catalogue,
    mail::{Mail, Part, charset, header},
};

/// Fields that only machines read, of this beginning, are left out unless the catalogue names them.
const OPAQUE: &[&str] = &[
    "dkim-",
    "domainkey-",
    "arc-",
    "x-google-",
    "x-gm-",
    "x-ms-",
    "x-microsoft-",
    "x-forefront-",
    "x-exchange-",
    "x-qq-",
    "x-cm-",
    "x-coremail-",
    "x-spam",
    "x-virus",
    "x-ironport-",
    "x-proofpoint-",
    "x-mimecast-",
    "x-originating-",
    "x-face",
    "face",
    "x-uidl",
    "x-uid",
    "thread-index",
    "content-md5",
    "list-unsubscribe",
    "x-report-abuse",
    "bimi-",
    "user-agent-info",
];

/// What the words of a message are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// Servers' words, mostly: kept.
    Notice,
    /// What a person wrote: left out.
    Original,
}

/// The whole message with stand-ins, LF lines.
pub(super) fn rewrite(mail: &Mail, names: &mut Names, catalogue: &Catalogue) -> Vec<u8> {
    let inside = |ip: IpAddr| catalogue.is_in_mainland_china(ip) == Some(true);
    let mut rewriter = Rewriter::new(names, &inside);
    message(mail, Role::Notice, &mut rewriter)
}

fn message(mail: &Mail, role: Role, words: &mut Rewriter<'_>) -> Vec<u8> {
    let source = mail.source();
    let cut = match role {
        Role::Notice => text::read(mail).and_then(|it| it.original_at).and_then(|at| mail.text().get(at..)),
        Role::Original => None,
    };
    let pasted = cut.map(str::trim_start).filter(|it| !it.is_empty());
    let mut out = Vec::with_capacity(source.len());
    let mut at = 0;
    let mut parts: Vec<&Part> = mail.parts().iter().collect();
    parts.sort_by_key(|it| it.header.start);
    for part in parts {
        let (header, body) = (part.header.clone(), part.body.clone());
        if header.start < at {
            continue; // a part of a part that was replaced whole
        }
        between(source.get(at..header.start).unwrap_or_default(), role, words, &mut out);
        out.extend(fields(source.get(header.clone()).unwrap_or_default(), role, words));
        at = body.start;
        if part.children().is_empty() {
            out.extend(leaf(part, role, pasted, words));
            at = body.end;
        }
    }
    between(source.get(at..).unwrap_or_default(), role, words, &mut out);
    out
}

/// Boundaries, and what stands around them for nobody.
fn between(octets: &[u8], role: Role, words: &mut Rewriter<'_>, out: &mut Vec<u8>) {
    for line in octets.split_inclusive(|&b| b == b'\n') {
        if role == Role::Notice || line.starts_with(b"--") || line == b"\n" {
            out.extend(words.text(&charset::decode(line, None)).into_bytes());
        }
    }
}

/// A header block.
fn fields(block: &[u8], role: Role, words: &mut Rewriter<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len());
    let mut lines = block.split_inclusive(|&b| b == b'\n').peekable();
    while let Some(first) = lines.next() {
        let mut raw = first.to_vec();
        while let Some(next) = lines.next_if(|it| it.first().is_some_and(|b| matches!(b, b' ' | b'\t'))) {
            raw.extend_from_slice(next);
        }
        match header::field_name(first) {
            Some(name) => {
                let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
                let value = raw.get(raw.iter().position(|&b| b == b':').map_or(0, |it| it + 1)..).unwrap_or_default();
                out.extend(field(&name, value, role, words));
            }
            None => out.extend(words.text(&charset::decode(&raw, None)).into_bytes()),
        }
    }
    out
}

fn field(name: &str, value: &[u8], role: Role, words: &mut Rewriter<'_>) -> Vec<u8> {
    let lower = name.to_ascii_lowercase();
    if OPAQUE.iter().any(|it| lower.starts_with(it)) && !is_known_field(&lower) {
        return Vec::new();
    }
    let unfolded: Vec<u8> = value
        .split(|&b| b == b'\n')
        .map(
            |line| if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) { line.trim_ascii_start() } else { line },
        )
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(&b' ');
    let decoded = header::decode_words(unfolded.trim_ascii());
    let new = match lower.as_str() {
        "subject" | "thread-topic" | "comments" | "keywords" if role == Role::Original => {
            let whole = words.text(&decoded);
            // One that is not known by its words is left out all the same.
            if whole == decoded && !decoded.is_empty() { "Subject".to_owned() } else { whole }
        }
        "content-type" | "content-disposition" | "content-description" | "content-location" => {
            words.text(&without_file_names(&decoded))
        }
        "from" | "to" | "cc" | "bcc" | "sender" | "reply-to" => {
            let names = header::addresses(&decoded).into_iter().filter_map(|(name, _)| name);
            let known = names.fold(decoded.to_string(), |all, name| all.replace(&name, &words.display_name(&name)));
            words.text(&known)
        }
        "received" => {
            let known = without_bare_hosts(&decoded, words);
            words.text(&known)
        }
        _ => words.text(&decoded),
    };
    let blank = if value.first().is_some_and(|b| matches!(b, b' ' | b'\t')) { " " } else { "" };
    if new == decoded && new.is_ascii() {
        return [name.as_bytes(), b":", value].concat();
    }
    let shown = if new.is_ascii() { fold(&new) } else { encoded_words(&new) };
    format!("{name}:{blank}{shown}\n").into_bytes()
}

/// `from desk7 (HELO DESK7)`: what hosts without a domain call themselves.
fn without_bare_hosts(value: &str, words: &mut Rewriter<'_>) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut named = false;
    for word in value.split(' ') {
        let bare = word.trim_matches(['(', ')', '[', ']', ';']);
        let (label, name) =
            bare.split_once('=').filter(|(it, _)| it.eq_ignore_ascii_case("helo")).unwrap_or(("", bare));
        let stand_in = if named || !label.is_empty() { words.bare_host(name) } else { name.to_owned() };
        out.push(if stand_in == name { word.to_owned() } else { word.replacen(name, &stand_in, 1) });
        named = ["from", "helo", "ehlo"].iter().any(|it| bare.eq_ignore_ascii_case(it));
    }
    out.join(" ")
}

/// Whether the catalogue's formats ask for the field.
fn is_known_field(name: &str) -> bool {
    let asks = |text: &str| text.to_ascii_lowercase().contains(&format!("\"{name}"));
    catalogue::folder("formats").any(|(_, text)| asks(text))
}

/// File names are people's; their endings may be what was objected to.
fn without_file_names(value: &str) -> String {
    let mut pieces = value.split(';');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, file) = piece.split_once('=').unwrap_or((piece, ""));
        let plain = name.trim().trim_end_matches(|c: char| c == '*' || c.is_ascii_digit());
        out.push(';');
        if ["name", "filename"].iter().any(|it| plain.eq_ignore_ascii_case(it)) {
            let ending = file.trim_matches(['"', ' ']).rsplit_once('.').map_or("", |(_, it)| it);
            let sound = (1..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
            let ending = if sound { ending } else { "bin" };
            out.extend([" ", plain, "=\"file.", ending, "\""]);
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// Long values on lines of their own length, broken at blanks (RFC 5322 §2.2.3).
fn fold(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut length = 20;
    for (number, word) in value.split(' ').enumerate() {
        if number > 0 {
            let fits = length + word.len() < 76;
            out.push_str(if fits { " " } else { "\n " });
            length = if fits { length + 1 } else { 1 };
        }
        out.push_str(word);
        length += word.len();
    }
    out
}

/// RFC 2047 §4.1, UTF-8; what is ASCII stays as it is, for addresses may stand there.
fn encoded_words(value: &str) -> String {
    let words = value.split(' ').map(|word| {
        if word.is_ascii() {
            return word.to_owned();
        }
        let mut chunks: Vec<String> = Vec::new();
        for c in word.chars() {
            match chunks.last_mut() {
                Some(last) if last.len() + c.len_utf8() <= 42 => last.push(c),
                _ => chunks.push(c.to_string()),
            }
        }
        let encoded = chunks.iter().map(|it| format!("=?UTF-8?B?{}?=", STANDARD.encode(it)));
        encoded.collect::<Vec<_>>().join("\n ")
    });
    words.collect::<Vec<_>>().join(" ")
}

fn leaf(part: &Part, role: Role, pasted: Option<&str>, words: &mut Rewriter<'_>) -> Vec<u8> {
    let kind = part.content_type();
    let headers_only = kind.ends_with("headers");
    let is_message = kind.starts_with("message/") && !kind.contains("delivery") && !kind.contains("status");
    if headers_only || is_message && !kind.contains("disposition") && !kind.contains("feedback") {
        let Some(inner) = part.message() else { return b"\n".to_vec() };
        // A bounce that a person forwards is still the notice.
        let notice = role == Role::Notice
            && !headers_only
            && matches!(bounce::recognise(inner.source()), Recognition::Bounce(_));
        return encode(part, message(inner, if notice { Role::Notice } else { Role::Original }, words));
    }
    if !part.is_text() && !kind.starts_with("message/") && !kind.starts_with("multipart/") {
        // Some return the original as a file.
        return match part.message().filter(|it| role == Role::Notice && it.header("from").is_some()) {
            Some(inner) => encode(part, message(inner, Role::Original, words)),
            None => b"\n".to_vec(),
        };
    }
    let bytes = part.bytes();
    let decoded = charset::decode(&bytes, part.parameter("charset"));
    let new = match role {
        Role::Notice => notice(&decoded, pasted, words),
        Role::Original => left_out(&decoded),
    };
    encode(part, in_charset_of(&bytes, &decoded, part.parameter("charset"), &new))
}

/// The notice's words, and the head of an original that was pasted below them.
fn notice(text: &str, pasted: Option<&str>, words: &mut Rewriter<'_>) -> String {
    let start = pasted.map(|it| it.get(..it.floor_char_boundary(200)).unwrap_or(it)).and_then(|it| text.find(it));
    let Some((human, original)) = start.and_then(|at| text.split_at_checked(at)) else { return words.text(text) };
    let mut out = words.text(human);
    let (head, body) = match original.split_once("\n\n") {
        // An announcement may stand before the header.
        Some((head, body)) if !head.contains(':') => {
            let (more, body) = body.split_once("\n\n").unwrap_or((body, ""));
            (format!("{head}\n\n{more}"), body)
        }
        Some((head, body)) => (head.to_owned(), body),
        None => (original.to_owned(), ""),
    };
    let head = fields(head.as_bytes(), Role::Original, words);
    out.push_str(&String::from_utf8_lossy(&head));
    if !body.is_empty() {
        out.push_str("\n\n");
        out.push_str(&left_out(body));
    }
    out
}

/// What stands for a body: its filler if it has any, and a word in its script.
fn left_out(text: &str) -> String {
    let is_filler = |line: &&str| {
        let letters = line.bytes().filter(u8::is_ascii_alphabetic).count();
        letters >= 8 && line.bytes().all(|b| matches!(b, b'a' | b'A' | b'z' | b'Z' | b'.' | b' '))
    };
    let mut out: String = text.lines().take(40).filter(is_filler).map(|it| format!("{it}\n")).collect();
    let chinese = text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    out.push_str(if chinese { "（正文已略去）\n" } else { "(left out)\n" });
    out
}

/// The new text in the encoding in which the old bytes mean the old text; else in UTF-8, which is
/// recognised under any label.
fn in_charset_of(bytes: &[u8], decoded: &str, label: Option<&str>, new: &str) -> Vec<u8> {
    let labelled = label.and_then(|it| Encoding::for_label(it.trim().as_bytes()));
    let candidates = labelled.into_iter().chain([UTF_8, GB18030, BIG5, ISO_2022_JP, SHIFT_JIS, WINDOWS_1252]);
    for encoding in candidates {
        let (same, _, lost) = encoding.encode(decoded);
        if !lost && same == bytes {
            let (encoded, _, lost) = encoding.encode(new);
            if !lost {
                return encoded.into_owned();
            }
        }
    }
    new.as_bytes().to_vec()
}

/// In the part's Content-Transfer-Encoding (RFC 2045 §6).
fn encode(part: &Part, bytes: Vec<u8>) -> Vec<u8> {
    let encoding = part.headers().first("content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase();
    let mut out = match encoding.as_str() {
        _ if part.content_type().starts_with("multipart/") => bytes,
        "base64" => {
            let text = STANDARD.encode(&bytes);
            text.as_bytes().chunks(76).flat_map(|line| [line, b"\n"].concat()).collect()
        }
        "quoted-printable" => quoted_printable(&bytes),
        _ => bytes,
    };
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out
}

/// RFC 2045 §6.7.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let (text, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |it| (it, &b"\n"[..]));
        let mut length = 0;
        for (at, &byte) in text.iter().enumerate() {
            let last = at + 1 == text.len();
            let plain = (33..=126).contains(&byte) && byte != b'=' || matches!(byte, b' ' | b'\t') && !last;
            let piece = if plain { vec![byte] } else { format!("={byte:02X}").into_bytes() };
            if length + piece.len() > 75 {
                out.extend_from_slice(b"=\n");
                length = 0;
            }
            length += piece.len();
            out.extend(piece);
        }
        out.extend_from_slice(end);
    }
    out
}
