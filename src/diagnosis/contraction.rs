//! `isn't`, `isn’t` and `isnt` are `is not`: a phrase need not be written three times.

use std::ops::Range;

/// English words that may end in a shortened `not`, without apostrophe. `dosnt` is common in China.
const SHORTENED: [&str; 17] = [
    "isnt", "arent", "wasnt", "werent", "doesnt", "dosnt", "dont", "didnt", "cant", "couldnt", "wouldnt", "hasnt",
    "havent", "hadnt", "shouldnt", "mustnt", "doenst",
];

/// The last letter of each shortened `not`, and what it is read as.
pub(super) fn find_contractions(text: &str) -> Vec<(Range<usize>, &'static [u8])> {
    let mut found = Vec::new();
    for at in memchr::memchr2_iter(b't', b'T', text.as_bytes()) {
        let next = text.as_bytes().get(at + 1);
        if next.is_some_and(u8::is_ascii_alphanumeric) {
            continue; // as nearly all are
        }
        let (before, after) = (&text[..at], &text[at + 1..]);
        if !before.ends_with(['n', 'N', '\'', '’', '‘', '´', '`']) || after.starts_with(char::is_alphanumeric) {
            continue;
        }
        let stem = before.trim_end_matches(|c: char| "'’‘´`".contains(c));
        let Some(word) = stem.rsplit(|c: char| !c.is_alphanumeric()).next() else { continue };
        let known = |it: &&str| it.strip_suffix('t').is_some_and(|it| it.eq_ignore_ascii_case(word));
        if SHORTENED.iter().any(known) {
            found.push((at..at + 1, if word.eq_ignore_ascii_case("can") { b"not".as_slice() } else { b"ot" }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::text::squeeze_words;

    #[test]
    fn a_shortened_not_is_written_out_however_its_apostrophe_fared() {
        for text in ["Address isn't known", "address isn’t known", "ADDRESS ISNT KNOWN", "address is not known"] {
            assert_eq!(squeeze_words(text), "addressisnotknown", "{text}");
        }
        assert_eq!(squeeze_words("can't find"), squeeze_words("cannot find"));
        assert_eq!(squeeze_words("client sent évident wasn"), "clientsentevidentwasn");
    }
}
