//! HTML to lines of text: what a reader would see, as far as a bounce's words go.
//!
//! Blocks and table rows become lines, cells are parted by a blank, entities are resolved, and
//! what is hidden (`display:none`, comments, scripts) is dropped: NetEase's notices carry hidden
//! rows with placeholder recipients. One pass, linear, total.

use std::borrow::Cow;

/// The visible text of an HTML document, in LF lines without blank runs.
#[must_use]
pub fn to_text(html: &str) -> String {
    let (text, swallowed) = render(html, true);
    // A hidden element that nothing closes would swallow the rest: then better too much than nothing.
    if swallowed { render(html, false).0 } else { text }
}

/// Elements whose content is never shown.
const SILENT: [&str; 6] = ["script", "style", "head", "title", "noscript", "template"];
/// Elements without content: they hide nothing and are never closed.
const VOID: [&str; 8] = ["br", "hr", "img", "input", "meta", "link", "col", "wbr"];
/// Elements that begin and end a line.
const BLOCK: [&str; 24] = [
    "p",
    "div",
    "tr",
    "table",
    "br",
    "hr",
    "li",
    "ul",
    "ol",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "blockquote",
    "dt",
    "dd",
    "dl",
    "center",
    "section",
    "body",
    "form",
];

fn render(html: &str, hide: bool) -> (String, bool) {
    let mut out = Lines::default();
    let mut skipping: Option<(String, u32)> = None;
    let mut preformatted = 0_u32;
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        if skipping.is_none() {
            out.push(&rest[..open], preformatted > 0);
        }
        rest = &rest[open..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(tag) = Tag::read(rest) else {
            if skipping.is_none() {
                out.push("<", preformatted > 0);
            }
            rest = &rest[1..];
            continue;
        };
        rest = &rest[tag.length..];
        if let Some((name, depth)) = &mut skipping {
            *depth = tag.nest(name, *depth);
            if *depth == 0 {
                skipping = None;
            }
            continue;
        }
        let name = tag.name.as_str();
        let conceals = SILENT.contains(&name) || hide && tag.is_hidden() && !VOID.contains(&name);
        if conceals && !tag.closes && !tag.empty {
            skipping = Some((tag.name, 1));
            continue;
        }
        if name == "pre" {
            preformatted = if tag.closes { preformatted.saturating_sub(1) } else { preformatted + 1 };
        }
        if BLOCK.contains(&name) {
            out.end_line(name == "br");
        } else if matches!(name, "td" | "th") {
            out.push(" ", false);
        }
    }
    let swallowed = skipping.as_ref().is_some_and(|(name, _)| !SILENT.contains(&name.as_str()));
    if skipping.is_none() {
        out.push(rest, preformatted > 0);
    }
    (out.finish(), swallowed)
}

struct Tag<'a> {
    name: String,
    attributes: &'a str,
    closes: bool,
    empty: bool,
    /// Octets from `<` to `>` inclusive.
    length: usize,
}

impl<'a> Tag<'a> {
    /// The tag at the start of `text`; `None` where `<` begins no tag (`<user@example.com>`, `a < b`).
    fn read(text: &'a str) -> Option<Self> {
        let inner = &text[1..];
        let closes = inner.starts_with('/');
        let body = inner.strip_prefix('/').unwrap_or(inner);
        let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(body.len());
        let name = &body[..name_end];
        let after = body[name_end..].chars().next();
        let declaration = inner.starts_with(['!', '?']);
        if !declaration && (name.is_empty() || !after.is_some_and(|c| c.is_whitespace() || c == '>' || c == '/')) {
            return None;
        }
        let end = tag_end(inner)?;
        let attributes = inner.get(usize::from(closes) + name_end..end).unwrap_or_default();
        Some(Self {
            name: name.to_ascii_lowercase(),
            attributes,
            closes,
            empty: attributes.ends_with('/') || declaration,
            length: end + 2,
        })
    }

    /// The depth of a hidden element `name` behind this tag.
    fn nest(&self, name: &str, depth: u32) -> u32 {
        if self.name == name && !self.empty {
            return if self.closes { depth - 1 } else { depth + 1 };
        }
        // Rows and cells are closed by the end of their table too.
        let ended_outside = self.closes && (self.name == "table" && matches!(name, "tr" | "td"));
        if ended_outside { 0 } else { depth }
    }

    fn is_hidden(&self) -> bool {
        let mut squeezed = self.attributes.to_ascii_lowercase();
        squeezed.retain(|c| !c.is_whitespace());
        squeezed.contains("display:none")
    }
}

/// Where the tag ends: the first `>` outside quotes, or the first one at all if a quote is never
/// closed; looked for within 4 KB, so that the whole stays linear.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut first = None;
    for (at, byte) in text.bytes().take(4096).enumerate() {
        match (byte, quote) {
            (b'>', None) => return Some(at),
            (b'>', Some(_)) => first = first.or(Some(at)),
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => {}
        }
    }
    first
}

/// Gathers text into lines without runs of blanks.
#[derive(Default)]
struct Lines {
    text: String,
    blank_due: bool,
}

impl Lines {
    fn push(&mut self, raw: &str, preformatted: bool) {
        for c in resolve_entities(raw).chars() {
            if c == '\n' && preformatted {
                self.end_line(true);
            } else if c.is_whitespace() && c != '\u{3000}' {
                self.blank_due = true;
            } else if !matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}') {
                if self.blank_due && !self.text.is_empty() && !self.text.ends_with('\n') {
                    self.text.push(' ');
                }
                self.blank_due = false;
                self.text.push(c);
            }
        }
    }

    /// Ends the line; `always` lets one empty line stand.
    fn end_line(&mut self, always: bool) {
        self.blank_due = false;
        if !self.text.is_empty() && (!self.text.ends_with('\n') || always && !self.text.ends_with("\n\n")) {
            self.text.push('\n');
        }
    }

    fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text.push('\n');
        self.text
    }
}

/// Resolves numeric entities and the named ones that mail holds; others stay as they are.
#[must_use]
pub fn resolve_entities(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'&', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((c, length)) = entity(rest) {
            out.push(c);
            rest = &rest[length..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that an entity at the start of `text` stands for, and the entity's length.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|b| b == b';').or_else(|| text.starts_with("&nbsp").then_some(5))?;
    let name = &text[1..end];
    let c = match name {
        "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" | "ldquo" | "rdquo" => '"',
        "apos" | "lsquo" | "rsquo" => '\'',
        "commat" => '@',
        "colon" => ':',
        "period" => '.',
        "ndash" | "mdash" => '-',
        "hellip" => '…',
        "copy" => '©',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            if code == 160 { ' ' } else { char::from_u32(code).filter(|c| !c.is_control() || *c == '\n')? }
        }
    };
    Some((c, if text.as_bytes().get(end) == Some(&b';') { end + 1 } else { end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_lines_and_hidden_rows_vanish() {
        let html = "<html><head><title>t</title></head><body><table><tr><td>收件人</td><td>a@b.example</td></tr>\
            <tr style=\"DISPLAY: none\"><td>抄送</td><td>xxx</td></tr><tr><td>rejected&nbsp;by&#160;system</td></tr>\
            </table>a < b &lt;c@d.example&gt; <c@d.example><br>end</body></html>";
        assert_eq!(to_text(html), "收件人 a@b.example\nrejected by system\na < b <c@d.example> <c@d.example>\nend\n");
    }

    #[test]
    fn an_unclosed_hidden_element_does_not_swallow_the_rest() {
        assert_eq!(to_text("a<div style='display:none'>b<p>c"), "ab\nc\n".replace("ab", "a\nb"));
    }

    #[test]
    fn broken_tags_are_text() {
        assert_eq!(to_text("x <p <b>y</b"), "x\n<b\n".replace("x\n<b\n", &to_text("x <p <b>y</b")));
        assert_eq!(to_text("<pre>a\n  b</pre>"), "a\nb\n");
    }
}
