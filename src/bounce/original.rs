//! The message that bounced, read from whatever of it the bounce returned. Its body is looked at
//! for its size, its attachments' names and its script, and never kept.

use super::{
    Attachment, Original,
    envelope::{automatic, date, from, kept, one_line, recipients, reverse_path},
    text::Particulars,
};
use crate::mail::{Mail, Mailbox, MessageId, Part, ReferenceId, ReversePath, charset, header::Headers, mark};

/// Of a returned body, this much shows its script.
const SCRIPT_SAMPLE: usize = 4096;

/// The part that holds the returned original, or its header block.
pub(super) fn part(mail: &Mail) -> Option<&Part> {
    let returned = |it: &&Part| {
        matches!(
            it.content_type(),
            "message/rfc822"
                | "message/global"
                | "text/rfc822-headers"
                | "message/rfc822-headers"
                | "message/global-headers"
                | "text/rfc822"
                | "message/partial"
                | "text/message-headers"
        )
    };
    mail.parts().iter().skip(1).find(returned).or_else(|| {
        // Some return it as a file, or as plain text that begins with a header.
        mail.parts().iter().skip(1).find(|it| {
            let file = it.file_name().is_some_and(|name| name.to_ascii_lowercase().ends_with(".eml"));
            (file || it.content_type() == "application/octet-stream" || it.is_text() && it.is_attachment())
                && it.children().is_empty()
                && looks_like_header(&it.bytes())
        })
    })
}

fn looks_like_header(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(16 * 1024)).unwrap_or_default();
    let headers = Headers::parse(head);
    headers.first("from").is_some() && (headers.first("received").is_some() || headers.first("message-id").is_some())
}

/// Reads the original out of its part: whole, or its header alone.
pub(super) fn of_part(part: &Part) -> Option<Original> {
    let inner = part.message()?;
    let headers_only = part.content_type().ends_with("headers");
    let mut original = of_headers(inner.headers(), &charset::lossy(inner.header_block()));
    if original.header_text.is_empty() && original.from.is_none() {
        return None;
    }
    let whole = !headers_only && inner.source().len() > inner.header_block().len() + 2;
    if whole {
        original.size = u64::try_from(part.bytes().len()).ok();
        original.attachments = attachments(inner);
    }
    let robot = original.automatic.iter().any(|it| it.to_ascii_lowercase().starts_with("auto-submitted: auto-replied"));
    original.ours |= whole && robot && ReferenceId::find(inner.text()).is_some();
    original.language = language(inner.headers(), original.subject.as_deref(), if whole { inner.text() } else { "" });
    Some(original)
}

/// Reads a header block that was pasted into the text.
pub(super) fn of_text(text: &str) -> Option<Original> {
    // Up to some lines of an announcement may stand before the header.
    let mut rest = text;
    for _ in 0..12 {
        let block = rest.trim_start_matches(['\n', ' ', '\t', '>', '-', '=', '_', '*']);
        let end = block.find("\n\n").unwrap_or(block.len());
        let headers = Headers::parse(block.get(..end).unwrap_or(block).as_bytes());
        if headers.first("from").is_some()
            || headers.first("message-id").is_some()
            || headers.first("subject").is_some()
        {
            let mut original = of_headers(&headers, block.get(..end).unwrap_or(block));
            let body = block.get(end..).unwrap_or_default();
            original.language = language(&headers, original.subject.as_deref(), body);
            return Some(original);
        }
        rest = rest.split_once('\n')?.1;
    }
    None
}

fn of_headers(headers: &Headers, block: &str) -> Original {
    let (from_name, from) = from(headers);
    let message_id = headers.first("message-id").and_then(MessageId::parse);
    Original {
        from,
        from_name,
        return_path: headers.first("return-path").and_then(reverse_path),
        to: recipients(headers, &["to", "cc"]),
        subject: headers.first("subject").map(one_line),
        ours: headers.first("x-whybounced").is_some() || message_id.as_ref().is_some_and(mark::is_our_message_id),
        message_id,
        references: headers
            .first("references")
            .map(|it| it.split_whitespace().filter_map(MessageId::parse).take(50).collect())
            .unwrap_or_default(),
        date: headers.first("date").and_then(date),
        received: headers.all("received").map(one_line).take(50).collect(),
        automatic: automatic(headers),
        header_text: kept(block),
        ..Original::default()
    }
}

/// What the notice itself tells of the original fills what was not returned.
pub(super) fn complete(
    original: Option<Original>,
    particulars: Particulars,
    sender: Option<Mailbox>,
) -> Option<Original> {
    let Particulars { from, subject, message_id } = particulars;
    if original.is_none() && from.is_none() && subject.is_none() && message_id.is_none() && sender.is_none() {
        return None;
    }
    let mut it = original.unwrap_or_default();
    it.ours |= message_id.as_ref().is_some_and(mark::is_our_message_id);
    if it.language.is_none() {
        it.language = subject.as_deref().and_then(script);
    }
    it.from = it.from.or(from);
    it.subject = it.subject.or(subject);
    it.message_id = it.message_id.or(message_id);
    it.return_path = it.return_path.or(sender.map(ReversePath::Mailbox));
    Some(it)
}

fn attachments(mail: &Mail) -> Vec<Attachment> {
    let files =
        mail.parts().iter().filter(|it| it.children().is_empty() && (it.is_attachment() || it.file_name().is_some()));
    files
        .map(|it| Attachment {
            name: it.file_name().map(one_line),
            size: u64::try_from(it.bytes().len()).unwrap_or(u64::MAX),
        })
        .take(50)
        .collect()
}

/// Content-Language, else the charset, else the script of subject, name and body.
fn language(headers: &Headers, subject: Option<&str>, body: &str) -> Option<String> {
    let tag = |name| headers.first(name).map(|it| it.split([',', ';']).next().unwrap_or_default().trim().to_owned());
    if let Some(tag) = tag("content-language").filter(|it| (2..=15).contains(&it.len())) {
        return Some(tag);
    }
    let sample = body.get(..body.floor_char_boundary(SCRIPT_SAMPLE)).unwrap_or(body);
    let name = headers.first("from").unwrap_or_default();
    let spoken = [subject.unwrap_or_default(), sample, name].into_iter().filter_map(script).collect::<Vec<_>>();
    if let Some(other) = spoken.iter().find(|it| *it != "en") {
        return Some(other.clone());
    }
    let kind = headers.first("content-type").unwrap_or_default().to_ascii_lowercase();
    if ["gb2312", "gbk", "gb18030", "big5", "hz-gb"].iter().any(|it| kind.contains(it)) {
        return Some("zh-CN".to_owned());
    }
    if let Some(tag) = tag("accept-language").filter(|it| (2..=15).contains(&it.len())) {
        return Some(tag);
    }
    spoken.into_iter().next()
}

/// The language that a text's script shows; Latin letters are taken for English.
fn script(text: &str) -> Option<String> {
    if text.is_ascii() {
        return text.bytes().filter(u8::is_ascii_alphabetic).nth(2).map(|_| "en".to_owned());
    }
    let (mut han, mut kana, mut hangul, mut latin) = (0, 0, 0, 0);
    for c in text.chars() {
        match c {
            '\u{3040}'..='\u{30ff}' => kana += 1,
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' => han += 1,
            '\u{ac00}'..='\u{d7a3}' => hangul += 1,
            'a'..='z' | 'A'..='Z' => latin += 1,
            _ => {}
        }
    }
    let tag = if kana > 0 {
        "ja"
    } else if hangul > 0 {
        "ko"
    } else if han > 0 {
        "zh-CN"
    } else if latin > 2 {
        "en"
    } else {
        return None;
    };
    Some(tag.to_owned())
}
