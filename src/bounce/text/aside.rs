//! What gateways and mail programs put around a bounce: warnings of mail from outside, confidentiality
//! notices, adverts of scanners. They speak of mail, senders and attachments, and tell nothing of the failure.
//!
//! The words are `shared.toml`'s; what is left of the text is for others to read.

use std::borrow::Cow;

use super::{
    codes::looks_like_reply,
    lines::Line,
    marks::{Seen, Sign},
    syntax::Set,
};

/// A paragraph of more lines is more than such a notice.
const LONGEST: usize = 12;

/// Empties the lines that bear such words, and what else their paragraph says, unless it may tell of a recipient.
/// Whether there were any.
pub(super) fn empty(lines: &mut [Line<'_>], seen: &Seen) -> bool {
    let mut found = false;
    for at in seen.lines(Sign::Aside) {
        let Some(line) = lines.get(at).filter(|it| !it.is_blank() && !looks_like_reply(&it.text)) else { continue };
        let mut range = at..at + 1;
        if !may_tell(line) {
            let (above, below) = lines.split_at(at);
            let begin = above.iter().rposition(Line::is_blank).map_or(0, |it| it + 1);
            let end = below.iter().position(Line::is_blank).map_or(lines.len(), |it| at + it);
            let paragraph = lines.get(begin..end).unwrap_or_default();
            if paragraph.len() <= LONGEST && !paragraph.iter().any(may_tell) {
                range = begin..end;
            }
        }
        for line in lines.get_mut(range).unwrap_or_default() {
            line.text = Cow::Borrowed("");
            line.octets = Set::of_text("");
            found = true;
        }
    }
    found
}

/// Whether a line names somebody, or a server's reply.
fn may_tell(line: &Line<'_>) -> bool {
    line.text.contains('@') || looks_like_reply(&line.text)
}
