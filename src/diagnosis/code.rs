//! Codes in rules (`x.1.1`, `5.7.606-649`, `550`, `500-504`) and codes in a server's words.

use crate::mail::{EnhancedStatusCode, ReplyCode};

/// Enhanced codes that a rule asks for: one code or a range of details.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EnhancedPattern {
    /// `None` for `x`.
    class: Option<u8>,
    subject: u16,
    first: u16,
    last: u16,
}

impl EnhancedPattern {
    /// Reads `x.1.1`, `5.1.1` or `5.7.606-649`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "x" => None,
            "4" => Some(4),
            "5" => Some(5),
            _ => return None,
        };
        let subject = parts.next()?.parse().ok()?;
        let detail = parts.next()?;
        let (first, last) = detail.split_once('-').unwrap_or((detail, detail));
        let pattern = Self { class, subject, first: first.parse().ok()?, last: last.parse().ok()? };
        (parts.next().is_none() && pattern.first <= pattern.last).then_some(pattern)
    }

    /// Whether it asks for this code.
    pub(super) fn covers(&self, code: EnhancedStatusCode) -> bool {
        self.class.is_none_or(|it| it == code.class())
            && self.subject == code.subject()
            && (self.first..=self.last).contains(&code.detail())
    }

    /// What it asks for, as (subject, detail): keys of an index.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u16, u16)> + use<> {
        let subject = self.subject;
        (self.first..=self.last).map(move |detail| (subject, detail))
    }

    /// More for a code of one class than for `x`, more for one code than for a range.
    pub(super) fn weight(&self) -> usize {
        2 * usize::from(self.class.is_some()) + usize::from(self.first == self.last)
    }

    /// A code it covers, for samples.
    pub(super) fn example(&self) -> String {
        format!("{}.{}.{}", self.class.unwrap_or(5), self.subject, self.first)
    }
}

/// The enhanced codes in a text, in order, each once: `5.1.1`, `#5.1.1`, `550-5.1.1`, `550.5.1.1`.
pub(super) fn enhanced_codes(text: &str) -> Vec<(EnhancedStatusCode, usize)> {
    let mut found: Vec<(EnhancedStatusCode, usize)> = Vec::new();
    for token in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')) {
        // Nearly every word is shorter than `5.1.1`, or holds no dot.
        if token.len() < 5 || !token.contains('.') {
            continue;
        }
        let start = token.as_ptr() as usize - text.as_ptr() as usize;
        let token = token.trim_end_matches('.');
        let bare = match token.split_once('.') {
            Some((reply, rest)) if reply.len() == 3 && reply.bytes().all(|b| b.is_ascii_digit()) => rest,
            _ => token,
        };
        // `smtp5.1.1` is no code, but `[5.7.1]foo` and `5.1.1Mailbox` are.
        let length = bare.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let Some(digits) = bare.get(..length) else { continue };
        if let Ok(code) = digits.trim_end_matches('.').parse::<EnhancedStatusCode>()
            && code.class() != 2
            && !found.iter().any(|(it, _)| *it == code)
        {
            found.push((code, start + token.len() - bare.len()));
        }
    }
    found
}

/// The reply code of a text: at its beginning, else after `said`, else the first that stands alone.
pub(super) fn reply_code(text: &str) -> Option<ReplyCode> {
    let leading = |text: &str| {
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || "<>()[]:;,.=\"'#".contains(c));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let code = (digits == 3).then(|| text.get(..3)).flatten()?.parse().ok().filter(|it| (400..600).contains(it))?;
        ReplyCode::new(code)
    };
    if let Some(code) = leading(text) {
        return Some(code);
    }
    let lower = text.to_ascii_lowercase();
    let said = lower.match_indices("said").find_map(|(at, word)| leading(text.get(at + word.len()..)?));
    said.or_else(|| {
        text.split(|c: char| c.is_whitespace() || ":;()<>\"'-#".contains(c))
            .filter(|it| it.len() == 3)
            .find_map(leading)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        enhanced_codes(text).iter().map(|(it, _)| it.to_string()).collect()
    }

    #[test]
    fn enhanced_codes_are_found_in_all_their_dresses() {
        assert_eq!(codes("550 5.1.1 <a@b.example> no"), ["5.1.1"]);
        assert_eq!(codes("550.5.1.1 <a@b.example>"), ["5.1.1"]);
        assert_eq!(codes("550-5.7.26 a 550-5.7.26 b 550 5.7.1."), ["5.7.26", "5.7.1"]);
        assert_eq!(codes("full(#5.5.4)"), ["5.5.4"]);
        assert_eq!(codes("host 5.1.1.2 [192.0.2.1] v4.2 2.1.5"), [""; 0]);
    }

    #[test]
    fn reply_codes_are_found_at_the_start_after_said_or_alone() {
        let code = |text| reply_code(text).map(ReplyCode::get);
        assert_eq!(code("552Message size"), Some(552));
        assert_eq!(code("550-5.1.1 no"), Some(550));
        assert_eq!(code("host mx.example.com[192.0.2.1] said: 451 later"), Some(451));
        assert_eq!(code("SMTP error, RCPT TO:550 5.2.1 off"), Some(550));
        assert_eq!(code("size 5000 of 400"), Some(400));
        assert_eq!(code("nothing here 5.1.1"), None);
    }

    #[test]
    fn patterns_cover_classes_and_ranges() {
        let covers = |pattern: &str, code: &str| EnhancedPattern::parse(pattern).unwrap().covers(code.parse().unwrap());
        assert!(covers("x.1.1", "4.1.1") && !covers("5.1.1", "4.1.1"));
        assert!(covers("5.7.606-649", "5.7.620") && !covers("5.7.606-649", "5.7.650"));
        assert!(EnhancedPattern::parse("5.1").is_none() && EnhancedPattern::parse("6.1.1").is_none());
    }
}
