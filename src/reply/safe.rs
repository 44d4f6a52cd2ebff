//! Makes text from outside harmless: one line, no controls, nothing that turns or hides text,
//! links that cannot be clicked, addresses that the author did not type masked.

use std::collections::HashSet;

use crate::mail::Mailbox;

/// One line of at most `max` characters, without control, direction, zero-width or private-use
/// characters. What is cut off ends in `…`.
pub(super) fn line(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut count = 0;
    let mut blank = true;
    for c in text.chars() {
        let c = if c.is_whitespace() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
        if c.is_control() || hides_or_turns(c) || (c == ' ' && blank) {
            continue;
        }
        if count == max {
            while out.ends_with(' ') {
                out.pop();
            }
            out.push('…');
            return out;
        }
        blank = c == ' ';
        out.push(c);
        count += 1;
    }
    while out.ends_with(' ') {
        out.pop();
    }
    out
}

/// Characters that change how others are shown, or show nothing; and the private-use area, of
/// which `markup` uses a few as marks.
fn hides_or_turns(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{E000}'..='\u{F8FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFC}'
        | '\u{E0000}'..='\u{10FFFF}')
}

/// Cuts to `columns` of a terminal or subject line, where Chinese characters take two.
pub(super) fn cut_to_columns(text: &str, columns: usize) -> String {
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        used += if u32::from(c) >= 0x2E80 { 2 } else { 1 };
        if used > columns {
            return format!("{}…", out.trim_end_matches(|c: char| c.is_whitespace() || "（(“《「【[".contains(c)));
        }
        out.push(c);
    }
    out
}

/// An address as text: long ones lose their middle, so that both ends can still be checked.
pub(super) fn address(mailbox: &Mailbox) -> String {
    let text = line(&mailbox.to_string(), 1100);
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= 90 {
        return text;
    }
    let head: String = characters.iter().take(40).collect();
    let tail: String = characters.iter().skip(characters.len() - 45).collect();
    format!("{head}…{tail}")
}

/// An address of which only the first letter and the domain show.
pub(super) fn masked(local: &str, domain: &str) -> String {
    let first = local.chars().next().filter(|c| c.is_alphanumeric()).map(String::from).unwrap_or_default();
    format!("{first}***@{}", line(domain, 100))
}

/// The addresses that the author wrote: these alone are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed(HashSet<String>);

impl Typed {
    pub(super) fn insert(&mut self, mailbox: &Mailbox) {
        self.0.insert(mailbox.to_string().to_lowercase());
    }

    pub(super) fn contains(&self, mailbox: &Mailbox) -> bool {
        self.0.contains(&mailbox.to_string().to_lowercase())
    }
}

/// Masks each address in `text` but the `typed` ones; role addresses that name nobody stay.
pub(super) fn mask_addresses(text: &str, typed: &Typed) -> String {
    let in_address = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, from_at) = rest.split_at(at);
        let after = &from_at[1..];
        let start =
            before.char_indices().rev().take_while(|(_, c)| in_address(*c)).last().map_or(at, |(index, _)| index);
        let end = after.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).unwrap_or(after.len());
        let (local, domain) = (&before[start..], &after[..end]);
        out.push_str(&before[..start]);
        let known = Mailbox::parse(&format!("{local}@{}", domain.trim_end_matches('.')))
            .is_some_and(|found| typed.contains(&found));
        let role = ["postmaster", "mailer-daemon", "abuse"].iter().any(|it| local.eq_ignore_ascii_case(it));
        if known || role || local.is_empty() || domain.is_empty() {
            out.push_str(local);
            out.push('@');
            out.push_str(domain);
        } else {
            out.push_str(&masked(local, domain));
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// A stretch of quoted text: plain, or a link that may be clicked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text, defanged.
    Text(String),
    /// An https link whose host is on the shipped list.
    Link(String),
}

/// Splits quoted words at their links; a link to a host outside `allowed` loses its teeth
/// (`hxxp`, `[.]`), as does anything else that a mail program would turn into a link by itself.
pub(super) fn defang(text: &str, allowed: impl Fn(&str) -> bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "<>\"'()[]，。；".contains(c)) {
        let lower = word.to_ascii_lowercase();
        let link_at = ["http://", "https://", "ftp://", "www."].iter().filter_map(|it| lower.find(it)).min();
        let Some(at) = link_at else {
            plain.push_str(&defang_scheme(word));
            continue;
        };
        let (before, link) = word.split_at(at);
        plain.push_str(before);
        let end = link.trim_end_matches(|c: char| c.is_whitespace() || "<>\"'()[]，。；.,;".contains(c)).len();
        let (link, after) = link.split_at(end);
        if host_of(link).is_some_and(|host| allowed(&host)) {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Link(link.to_owned()));
        } else {
            plain.push_str(&without_teeth(link));
        }
        plain.push_str(after);
    }
    pieces.push(Piece::Text(plain));
    pieces.retain(|it| *it != Piece::Text(String::new()));
    pieces
}

/// The host of a plain https link without login, port or odd characters; else `None`.
pub(super) fn host_of(link: &str) -> Option<String> {
    let rest = link.strip_prefix("https://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let sound = link.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>".contains(&b))
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    sound.then(|| host.to_ascii_lowercase())
}

fn without_teeth(link: &str) -> String {
    let (scheme, rest) = link.find("://").map_or(("", link), |at| link.split_at(at + 3));
    let scheme = scheme.to_ascii_lowercase().replacen("http", "hxxp", 1).replacen("ftp", "fxp", 1);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    format!("{scheme}{}{}", host.replace('.', "[.]"), path.replace("://", "[:]//"))
}

/// Schemes other than http that programs make clickable.
fn defang_scheme(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    if ["javascript:", "file:", "data:", "mailto:", "tel:"].iter().any(|it| lower.contains(it)) {
        word.replace(':', "[:]")
    } else {
        word.to_owned()
    }
}

/// An address as words, so that nobody writes to it by a click: `liu[at]new[.]example`.
pub(super) fn defanged_address(text: &str) -> String {
    line(text, 120).replace('@', "[at]").replace('.', "[.]").replace("://", "[:]//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_direction_marks_vanish_and_length_is_limited() {
        assert_eq!(line(" a\r\nB: c\u{202e}d\u{200b}\u{e000} \u{0} ", 50), "a B: cd");
        assert_eq!(line("abcdef", 3), "abc…");
    }

    #[test]
    fn links_lose_their_teeth_unless_their_host_is_on_the_list() {
        let allowed = |host: &str| host == "check.spamhaus.org";
        let text =
            "550 see http://evil.example/x?u=http://y.example, www.bad.example/a or https://check.spamhaus.org/listed.";
        assert_eq!(
            defang(text, allowed),
            [
                Piece::Text(
                    "550 see hxxp://evil[.]example/x?u=http[:]//y.example, www[.]bad[.]example/a or ".to_owned()
                ),
                Piece::Link("https://check.spamhaus.org/listed".to_owned()),
                Piece::Text(".".to_owned()),
            ]
        );
        let sly =
            "https://check.spamhaus.org@evil.example/ HTTPS://CHECK.SPAMHAUS.ORG.evil.example javascript:alert(1)";
        assert!(defang(sly, allowed).iter().all(|it| matches!(it, Piece::Text(text) if !text.contains("https://"))));
    }

    #[test]
    fn only_typed_addresses_stay_readable() {
        let mut typed = Typed::default();
        typed.insert(&Mailbox::parse("zhao@partner.example.cn").expect("sound"));
        let text = "from <zhao@partner.example.cn> via lisi@qq.com; ask postmaster@partner.example.cn @ x@";
        assert_eq!(
            mask_addresses(text, &typed),
            "from <zhao@partner.example.cn> via l***@qq.com; ask postmaster@partner.example.cn @ x@"
        );
    }
}
