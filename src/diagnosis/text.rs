//! A server's words made comparable: entities and full-width forms resolved, lower case, accents
//! folded, addresses and IP literals masked, all but letters and digits left out.
//!
//! Squeezing survives what happens to bounces on their way: lost blanks (`552Message`), lost or
//! curly apostrophes (`couldnt`, read as `could not`), re-wrapped lines. Every squeezed byte knows where it stood, so
//! that the words that decided are quoted as they were written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{continued::find_continuations, contraction::find_contractions};

/// What stands in the squeezed text for a mail address. No letter or digit, so no phrase crosses it.
const ADDRESS_MARK: u8 = 1;
/// What stands in the squeezed text for an IP literal.
const IP_MARK: u8 = 2;
/// A reply of more octets than this is cut: no server says more (RFC 5321 §4.5.3.1.5 allows 512 a line).
const LONGEST: usize = 16 * 1024;

/// One diagnostic, as written and squeezed.
pub(super) struct Text<'a> {
    original: &'a str,
    squeezed: Vec<u8>,
    /// Where in `original` the character of each squeezed byte begins and ends.
    places: Vec<(u32, u32)>,
    /// Host names and URLs, as ranges of `original`: single words inside them are no words.
    names: Vec<Range<usize>>,
    addresses: Vec<Range<usize>>,
    ips: Vec<IpAddr>,
}

impl<'a> Text<'a> {
    /// Reads a diagnostic; of an overlong one its beginning.
    pub(super) fn new(original: &'a str) -> Self {
        let original = original.get(..original.floor_char_boundary(LONGEST)).unwrap_or(original);
        let addresses = find_addresses(original);
        let (ip_places, ips) = find_ips(original, &addresses);
        let names = find_names(original);
        let mut text = Self { original, squeezed: Vec::new(), places: Vec::new(), names, addresses, ips };
        text.squeeze(&ip_places);
        text
    }

    /// Letters and digits only, with marks for addresses and IP literals.
    pub(super) fn squeezed(&self) -> &[u8] {
        &self.squeezed
    }

    /// The text as written.
    pub(super) fn original(&self) -> &'a str {
        self.original
    }

    /// The IP literals in it, in order.
    pub(super) fn ips(&self) -> &[IpAddr] {
        &self.ips
    }

    /// Where mail addresses stand in the original.
    pub(super) fn address_places(&self) -> &[Range<usize>] {
        &self.addresses
    }

    /// Where IP literals stand in the original.
    pub(super) fn ip_places(&self) -> Vec<Range<usize>> {
        find_ips(self.original, &self.addresses).0
    }

    /// Where host names and URLs stand in the original.
    pub(super) fn name_places(&self) -> &[Range<usize>] {
        &self.names
    }

    /// The range of the original that a range of the squeezed text came from.
    pub(super) fn range(&self, squeezed: Range<usize>) -> Range<usize> {
        let start = self.places.get(squeezed.start).map_or(self.original.len(), |it| it.0 as usize);
        let last = squeezed.end.checked_sub(1).and_then(|it| self.places.get(it));
        start..last.map_or(start, |it| it.1 as usize).max(start)
    }

    /// Whether a range of the original lies wholly within one host name or URL.
    pub(super) fn inside_name(&self, range: &Range<usize>) -> bool {
        self.names.iter().any(|it| it.start <= range.start && range.end <= it.end)
    }

    /// The host names and URLs in it, as written.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().filter_map(|it| self.original.get(it.clone()))
    }

    fn squeeze(&mut self, ip_places: &[Range<usize>]) {
        let mut at = 0;
        let mut masks: Vec<(Range<usize>, &[u8])> = find_contractions(self.original);
        masks.extend(find_continuations(self.original).into_iter().map(|it| (it, [].as_slice())));
        masks.extend(self.addresses.iter().map(|it| (it.clone(), [ADDRESS_MARK].as_slice())));
        masks.extend(ip_places.iter().map(|it| (it.clone(), [IP_MARK].as_slice())));
        masks.sort_by_key(|(it, _)| it.start);
        let mut masks = masks.into_iter().peekable();
        self.squeezed.reserve(self.original.len());
        self.places.reserve(self.original.len());
        while at < self.original.len() {
            // Plain ASCII up to the next mask, as most text is.
            let end = masks.peek().map_or(self.original.len(), |(it, _)| it.start);
            at = self.squeeze_plain(at, end);
            while masks.peek().is_some_and(|(it, _)| it.start < at) {
                masks.next();
            }
            if let Some((range, mark)) = masks.next_if(|(it, _)| it.start == at) {
                self.push(mark, &range);
                at = range.end;
                continue;
            }
            let rest = &self.original[at..];
            if let Some((length, meant)) = entity(rest) {
                self.push_char(meant, &(at..at + length));
                at += length;
                continue;
            }
            let Some(c) = rest.chars().next() else { break };
            self.push_char(c, &(at..at + c.len_utf8()));
            at += c.len_utf8();
        }
    }

    /// Takes letters and digits of ASCII up to `end`, or to a character that needs a closer look.
    fn squeeze_plain(&mut self, start: usize, end: usize) -> usize {
        let mut at = start;
        for byte in self.original.as_bytes().get(start..end).unwrap_or_default() {
            if !byte.is_ascii() || *byte == b'&' {
                break;
            }
            if byte.is_ascii_alphanumeric() {
                let place = u32::try_from(at).unwrap_or(u32::MAX);
                self.squeezed.push(byte.to_ascii_lowercase());
                self.places.push((place, place.saturating_add(1)));
            }
            at += 1;
        }
        at
    }

    fn push_char(&mut self, c: char, place: &Range<usize>) {
        if let Ok(ascii) = u8::try_from(c)
            && ascii.is_ascii()
        {
            if ascii.is_ascii_alphanumeric() {
                self.push(&[ascii.to_ascii_lowercase()], place);
            }
            return;
        }
        let mut buffer = [0; 4];
        for folded in fold(c) {
            self.push(folded.encode_utf8(&mut buffer).as_bytes(), place);
        }
    }

    fn push(&mut self, bytes: &[u8], place: &Range<usize>) {
        let place = (u32::try_from(place.start).unwrap_or(u32::MAX), u32::try_from(place.end).unwrap_or(u32::MAX));
        self.squeezed.extend_from_slice(bytes);
        self.places.extend(std::iter::repeat_n(place, bytes.len()));
    }
}

/// Squeezes the words of a rule in the same way; marks are not made.
pub(super) fn squeeze_words(words: &str) -> String {
    let mut squeezed = Vec::with_capacity(words.len());
    let mut at = 0;
    for (short, meant) in find_contractions(words) {
        squeeze_plain_words(words.get(at..short.start).unwrap_or_default(), &mut squeezed);
        squeezed.extend_from_slice(meant);
        at = short.end;
    }
    squeeze_plain_words(words.get(at..).unwrap_or_default(), &mut squeezed);
    String::from_utf8(squeezed).unwrap_or_default()
}

fn squeeze_plain_words(words: &str, squeezed: &mut Vec<u8>) {
    if !words.is_ascii() {
        let mut buffer = [0; 4];
        words.chars().flat_map(fold).for_each(|it| squeezed.extend_from_slice(it.encode_utf8(&mut buffer).as_bytes()));
        return;
    }
    // Written over what is not kept: thousands of phrases come this way at the start.
    let mut length = squeezed.len();
    squeezed.resize(length + words.len(), 0);
    for octet in words.bytes() {
        if let Some(place) = squeezed.get_mut(length) {
            *place = octet.to_ascii_lowercase();
        }
        length += usize::from(octet.is_ascii_alphanumeric());
    }
    squeezed.truncate(length);
}

/// What remains of a character: nothing of blanks and punctuation, else lower case without accent.
fn fold(c: char) -> impl Iterator<Item = char> {
    let c = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    };
    let plain: &[char] = match c {
        'à'..='å' | 'À'..='Å' | 'ā' | 'ă' | 'ą' | 'Ą' => &['a'],
        'ç' | 'Ç' | 'ć' | 'Ć' | 'č' | 'Č' => &['c'],
        'è'..='ë' | 'È'..='Ë' | 'ē' | 'ę' | 'Ę' | 'ě' => &['e'],
        'ì'..='ï' | 'Ì'..='Ï' | 'ı' | 'İ' => &['i'],
        'ñ' | 'Ñ' | 'ń' | 'Ń' | 'ň' => &['n'],
        'ò'..='ö' | 'ø' | 'Ò'..='Ö' | 'Ø' | 'ő' => &['o'],
        'ù'..='ü' | 'Ù'..='Ü' | 'ű' | 'ů' => &['u'],
        'ý' | 'ÿ' | 'Ý' => &['y'],
        'ł' | 'Ł' => &['l'],
        'ś' | 'Ś' | 'š' | 'Š' | 'ş' | 'Ş' => &['s'],
        'ź' | 'Ź' | 'ż' | 'Ż' | 'ž' | 'Ž' => &['z'],
        'ğ' | 'Ğ' => &['g'],
        'ř' => &['r'],
        'ß' => &['s', 's'],
        _ => &[],
    };
    let other = plain.is_empty() && c.is_alphanumeric();
    plain.iter().copied().chain(other.then(|| c.to_lowercase()).into_iter().flatten())
}

/// A character reference at the beginning of `text`: its length and what it means.
fn entity(text: &str) -> Option<(usize, char)> {
    let body = text.strip_prefix('&')?;
    let end = body.bytes().take(9).position(|b| b == b';')?;
    let meant = match body.get(..end)? {
        "nbsp" => ' ',
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((end + 2, meant))
}

/// `local@domain`, wherever it stands.
fn find_addresses(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let floor = found.last().map_or(0, |it| it.end);
        if at < floor {
            continue;
        }
        let before = text.get(floor..at).unwrap_or_default();
        let local = before.len() - before.trim_end_matches(is_local).len();
        let after = text.get(at + 1..).unwrap_or_default();
        let domain = after.find(|c: char| !(c.is_alphanumeric() || "-._".contains(c))).unwrap_or(after.len());
        let domain = after.get(..domain).unwrap_or_default().trim_end_matches(['.', '-']).len();
        if local > 0 && domain > 0 {
            found.push(at - local..at + 1 + domain);
        }
    }
    found
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || "._%+-=/!#$*?^`{|}~".contains(c)
}

/// IPv4 and IPv6 literals that stand by themselves.
fn find_ips(text: &str, addresses: &[Range<usize>]) -> (Vec<Range<usize>>, Vec<IpAddr>) {
    let (mut places, mut ips) = (Vec::new(), Vec::new());
    let mut at = 0;
    for token in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_'))) {
        let start = token.as_ptr() as usize - text.as_ptr() as usize;
        debug_assert!(start >= at);
        at = start;
        if token.len() < 3 || !token.contains(['.', ':']) || addresses.iter().any(|it| it.contains(&start)) {
            continue;
        }
        let bare = token.strip_prefix("IPv6:").unwrap_or(token).trim_matches(['.', '-']).trim_end_matches(':');
        let colons = bare.bytes().filter(|b| *b == b':').count();
        let literal = if colons == 1 { bare.split(':').find(|it| it.contains('.')).unwrap_or(bare) } else { bare };
        let ip = if colons >= 2 && !(bare.contains("::") && bare.len() < 4) {
            literal.parse::<Ipv6Addr>().map(IpAddr::V6).ok()
        } else {
            literal.parse::<Ipv4Addr>().map(IpAddr::V4).ok()
        };
        if let Some(ip) = ip {
            let start = literal.as_ptr() as usize - text.as_ptr() as usize;
            places.push(start..start + literal.len());
            ips.push(ip);
        }
    }
    (places, ips)
}

/// Host names (`mx.example.com`) and URLs.
fn find_names(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let parts = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | '"' | '\'' | ',' | ';');
    for token in text.split(parts) {
        if !token.contains(['.', ':']) {
            continue;
        }
        let start = token.as_ptr() as usize - text.as_ptr() as usize;
        if let Some(url) = token.find("://") {
            let scheme = token.get(..url).unwrap_or_default();
            let begin = scheme.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |it| it + 1);
            found.push(start + begin..start + token.len());
            continue;
        }
        for name in token.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
            let name = name.trim_matches(['.', '-']);
            if is_host(name) {
                let start = name.as_ptr() as usize - text.as_ptr() as usize;
                found.push(start..start + name.len());
            }
        }
    }
    found
}

/// Whether a word has the form of a host name with two labels or more, the last of letters.
pub(super) fn is_host(word: &str) -> bool {
    let last = word.rsplit('.').next().unwrap_or_default();
    word.contains('.')
        && !word.split('.').any(str::is_empty)
        && (2..=24).contains(&last.len())
        && last.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str) -> String {
        String::from_utf8_lossy(Text::new(text).squeezed()).replace('\u{1}', "@").replace('\u{2}', "#")
    }

    #[test]
    fn squeezing_survives_lost_blanks_entities_width_and_accents() {
        assert_eq!(squeezed("552Message  size"), "552messagesize");
        assert_eq!(squeezed("I couldn\u{2019}t"), "icouldnot");
        assert_eq!(squeezed("(rejected&nbsp;by&#32;system)"), "rejectedbysystem");
        assert_eq!(squeezed("Ｕｓｅｒ　未知"), "user未知");
        assert_eq!(squeezed("Boîte pleine, größer"), "boitepleinegrosser");
    }

    #[test]
    fn addresses_and_ip_literals_are_masked_wherever_they_stand() {
        assert_eq!(squeezed("550 <spam@example.com>...User"), "550@user");
        assert_eq!(squeezed("to mx.example.com[192.0.2.1]:25: no"), "tomxexamplecom#25no");
        assert_eq!(squeezed("[IPv6:2001:db8::1] x"), "ipv6#x");
        assert_eq!(squeezed("550.5.1.1 <a@b.example>"), "550511@");
        assert_eq!(Text::new("a 192.0.2.1 b 2001:db8::2").ips().len(), 2);
        assert_eq!(squeezed("&lt;a@b.example&gt; no"), "@no");
    }

    #[test]
    fn ranges_lead_back_to_the_words_as_written() {
        let text = Text::new("550 User&nbsp;Unknown.");
        let at = String::from_utf8_lossy(text.squeezed()).find("user").unwrap();
        assert_eq!(&text.original()[text.range(at..at + 11)], "User&nbsp;Unknown");
    }

    #[test]
    fn single_words_inside_hosts_and_urls_are_known() {
        let text = Text::new("see http://example.com/spam and quota.example.com now");
        let of = |word: &str| text.original().find(word).map(|at| at..at + word.len()).unwrap();
        assert!(text.inside_name(&of("spam")) && text.inside_name(&of("quota")) && !text.inside_name(&of("now")));
    }
}
