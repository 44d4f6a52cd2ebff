//! Header fields (RFC 5322 §2.2) unfolded and decoded (RFC 2047), and the addresses in them.
//!
//! mail-parser gives U+FFFD for raw 8-bit fields and for encoded words that were split inside a
//! character, both usual from Chinese senders; so fields are read here, from the bytes.

use std::borrow::Cow;

use super::{Mailbox, charset, transfer};

/// The fields of one header block, in order. Names are kept as written and found in any case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers {
    /// Name and value of each, one behind the other: most headers have dozens of fields.
    text: String,
    fields: Vec<Ends>,
}

/// Where in `Headers::text` a field's name and value end; it begins where the one before ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ends {
    name: usize,
    value: usize,
}

/// One field: its name as written, its value unfolded, decoded and trimmed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'h> {
    /// The name without the colon.
    pub name: &'h str,
    /// The value.
    pub value: &'h str,
}

impl Headers {
    /// Reads a header block of LF lines; lines that belong to no field are passed over.
    #[must_use]
    pub fn parse(block: &[u8]) -> Self {
        Self::read(block, decode_words)
    }

    /// The same without decoding encoded words: in the fields of a report they belong to the value.
    #[must_use]
    pub fn parse_undecoded(block: &[u8]) -> Self {
        Self::read(block, |value| charset::decode(value, None))
    }

    fn read(block: &[u8], decode: fn(&[u8]) -> Cow<'_, str>) -> Self {
        // A field has some fifty octets.
        let fields = Vec::with_capacity(block.len() / 48 + 1);
        let mut headers = Self { text: String::with_capacity(block.len()), fields };
        let mut current: Option<(&[u8], &[u8])> = None;
        let mut unfolded: Vec<u8> = Vec::new();
        let mut rest = Some(block);
        while let Some(block) = rest {
            let end = memchr::memchr(b'\n', block);
            let line = block.get(..end.unwrap_or(block.len())).unwrap_or_default();
            rest = end.and_then(|it| block.get(it + 1..));
            if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
                if let Some((_, value)) = current {
                    if unfolded.is_empty() {
                        unfolded.extend_from_slice(value);
                    }
                    unfolded.push(b' ');
                    unfolded.extend_from_slice(line.trim_ascii());
                }
                continue;
            }
            if let Some(name) = field_name(line) {
                headers.push(current, &unfolded, decode);
                unfolded.clear();
                let value = line.get(name.len() + 1..).unwrap_or_default();
                // A colon may stand behind blanks (`Subject : x`), which `name` still holds.
                current = Some((name.trim_ascii(), value.trim_ascii()));
            }
        }
        headers.push(current, &unfolded, decode);
        headers
    }

    /// Adds a field: its value is what was unfolded, if anything was.
    fn push(&mut self, field: Option<(&[u8], &[u8])>, unfolded: &[u8], decode: fn(&[u8]) -> Cow<'_, str>) {
        let Some((name, value)) = field else { return };
        self.text.push_str(&charset::lossy(name));
        let name = self.text.len();
        self.text.push_str(&decode(if unfolded.is_empty() { value } else { unfolded }));
        self.fields.push(Ends { name, value: self.text.len() });
    }

    /// The first field of that name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every field of that name, topmost first.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |it| it.name.eq_ignore_ascii_case(name)).map(|it| it.value)
    }

    /// Every field.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let begins = std::iter::once(0).chain(self.fields.iter().map(|it| it.value));
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let field = move |(begin, ends): (usize, &Ends)| Field {
            name: part(begin, ends.name),
            value: part(ends.name, ends.value),
        };
        begins.zip(&self.fields).map(field)
    }

    /// Whether there is no field at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// The bytes before the colon if they can be a field name (RFC 5322 §3.6.8), blanks behind it allowed.
pub(crate) fn field_name(line: &[u8]) -> Option<&[u8]> {
    let name = &line[..memchr::memchr(b':', line)?];
    let bare = name.trim_ascii_end();
    let sound = !bare.is_empty() && bare.len() <= 76 && bare.iter().all(|b| (33..=126).contains(b));
    sound.then_some(name)
}

/// Decodes the encoded words of an unfolded value. Neighbours of one charset are joined before
/// their charset is decoded, because senders split them inside characters, against RFC 2047 §5.
#[must_use]
pub fn decode_words(value: &[u8]) -> Cow<'_, str> {
    if memchr::memchr_iter(b'=', value).all(|it| value.get(it + 1) != Some(&b'?')) {
        return charset::decode(value, None);
    }
    let mut out = String::with_capacity(value.len());
    let (mut plain_from, mut at) = (0, 0);
    let mut pending: Option<(String, Vec<u8>)> = None;
    while at < value.len() {
        let Some((charset, bytes, end)) = encoded_word(&value[at..]) else {
            at += 1;
            continue;
        };
        let plain = &value[plain_from..at];
        let adjacent = plain.iter().all(u8::is_ascii_whitespace);
        match &mut pending {
            Some((held, text)) if adjacent && held.eq_ignore_ascii_case(charset) => text.extend(bytes),
            _ => {
                let follows_word = pending.is_some();
                flush(&mut out, pending.take());
                if !(follows_word && adjacent) {
                    out.push_str(&charset::decode(plain, None));
                }
                pending = Some((charset.to_owned(), bytes));
            }
        }
        at += end;
        plain_from = at;
    }
    flush(&mut out, pending);
    out.push_str(&charset::decode(&value[plain_from..], None));
    Cow::Owned(out)
}

fn flush(out: &mut String, word: Option<(String, Vec<u8>)>) {
    if let Some((charset, bytes)) = word {
        out.push_str(&charset::decode(&bytes, Some(&charset)));
    }
}

/// An encoded word at the start of `value`: its charset, its bytes, and its length.
fn encoded_word(value: &[u8]) -> Option<(&str, Vec<u8>, usize)> {
    let rest = value.strip_prefix(b"=?")?;
    let charset_end = rest.iter().take(64).position(|&b| b == b'?')?;
    let charset = std::str::from_utf8(&rest[..charset_end]).ok()?;
    let charset = charset.split('*').next().unwrap_or(charset); // RFC 2231 §5: language
    let (kind, text) = match rest.get(charset_end + 1..)? {
        [kind, b'?', text @ ..] => (kind.to_ascii_uppercase(), text),
        _ => return None,
    };
    // RFC 2047 §2 allows 75 characters and no question mark inside; real words keep to neither.
    let length = match kind {
        b'B' => text.iter().position(|&b| b == b'?').filter(|at| text.get(at + 1) == Some(&b'='))?,
        _ => text.windows(2).take(300).position(|it| it == b"?=")?,
    };
    let bytes = match kind {
        b'B' => transfer::base64(&text[..length]),
        b'Q' => transfer::quoted_printable(&text[..length], true),
        _ => return None,
    };
    Some((charset, bytes, 2 + charset_end + 3 + length + 2))
}

/// The mailboxes of an address field, with their display names; groups are opened, anything
/// that is no address is passed over. Comments count as names where there is no other.
#[must_use]
pub fn addresses(value: &str) -> Vec<(Option<String>, Mailbox)> {
    let mut found = Vec::new();
    for item in split_addresses(value).into_iter().take(1000) {
        let (name, address) = match (item.rfind('<'), item.rfind('>')) {
            (Some(open), Some(close)) if open < close => (item[..open].trim(), item[open + 1..close].trim()),
            (Some(open), None) => (item[..open].trim(), item[open + 1..].trim()),
            _ => match item.split_once('(') {
                Some((address, comment)) => (comment.trim_end().trim_end_matches(')'), address.trim()),
                None => ("", item.trim()),
            },
        };
        // A route (RFC 5322 §4.4 obs-route) or `mailto:` before the address says nothing to us.
        let address = address.rsplit_once(':').map_or(address, |(_, it)| it);
        if let Some(mailbox) = Mailbox::parse(&address.replace(' ', "")) {
            let name = name.trim_matches(|c| c == '"' || c == '\'' || c == ' ').replace("\\\"", "\"");
            found.push(((!name.is_empty()).then_some(name), mailbox));
        }
    }
    found
}

/// Splits at commas and semicolons outside quotes, comments and angle brackets.
fn split_addresses(value: &str) -> Vec<&str> {
    let (mut items, mut from, mut quoted, mut depth, mut escaped) = (Vec::new(), 0, false, 0_u32, false);
    for (at, c) in value.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '(' | '<' if !quoted => depth += 1,
            ')' | '>' if !quoted => depth = depth.saturating_sub(1),
            ',' | ';' if !quoted && depth == 0 => {
                items.push(&value[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items.push(&value[from..]);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded_and_found_in_any_case() {
        let headers = Headers::parse(b"Subject: a\n b\nnot a field\nX-Y : z\nSubject: c\n");
        assert_eq!(headers.all("subject").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(headers.first("x-y"), Some("z"));
    }

    #[test]
    fn words_split_inside_a_character_are_joined() {
        assert_eq!(decode_words(b"=?gb2312?B?0w==?= =?GB2312?B?ys/k?= x"), "邮箱 x");
        assert_eq!(decode_words(b"Re: =?utf-8?Q?a_=E9=82=AE?= =?gbk?B?z+Q=?="), "Re: a 邮箱");
        assert_eq!(decode_words(b"\xd3\xca\xcf\xe4"), "邮箱");
        assert_eq!(decode_words(b"=?utf-8?B?broken"), "=?utf-8?B?broken");
    }

    #[test]
    fn addresses_are_found_among_names_groups_and_comments() {
        let found = addresses("\"Chen, Y\" <chen@a.example>, b@b.example (Bob), g: c@c.example;, nobody");
        let plain: Vec<_> = found.iter().map(|(name, it)| (name.as_deref(), it.to_string())).collect();
        assert_eq!(
            plain,
            [
                (Some("Chen, Y"), "chen@a.example".into()),
                (Some("Bob"), "b@b.example".into()),
                (None, "c@c.example".into())
            ]
        );
    }
}
