//! Blanks in Chinese text: one between Chinese and Latin letters or digits, none beside full-width
//! punctuation, none between Chinese and Chinese.

use super::markup::{ADDRESS, VALUE_BEGINS, VALUE_ENDS};

pub(super) fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x2FFF | 0x3005..=0x3007 | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

pub(super) fn is_wide_punctuation(c: char) -> bool {
    "，。；：！？、（）“”‘’《》【】—…".contains(c)
}

/// Sets the blanks round each value of a filled template, whichever script the value turned out to
/// be in. Blanks inside values and inside the template's own words stay as they were written.
pub(super) fn space_values(line: &str) -> String {
    let invisible = |c: char| matches!(c, VALUE_BEGINS | VALUE_ENDS | '*' | '`');
    let characters: Vec<char> = line.chars().collect();
    let mut out: Vec<char> = Vec::with_capacity(characters.len());
    let mut index = 0;
    while let Some(&c) = characters.get(index) {
        index += 1;
        if c != VALUE_BEGINS && c != VALUE_ENDS {
            out.push(c);
            continue;
        }
        // A border: take the blanks from both sides, keep the marks, decide on one blank.
        let mut had_blank = false;
        let mut marks = Vec::new();
        while let Some(it) = out.pop_if(|it| *it == ' ' || invisible(*it)) {
            had_blank |= it == ' ';
            marks.extend((it != ' ').then_some(it));
        }
        marks.reverse();
        marks.push(c);
        while let Some(&it) = characters.get(index).filter(|it| **it == ' ' || invisible(**it)) {
            had_blank |= it == ' ';
            marks.extend((it != ' ').then_some(it));
            index += 1;
        }
        let values_meet = marks.contains(&VALUE_ENDS) && marks.contains(&VALUE_BEGINS);
        let blank =
            out.last().zip(characters.get(index)).is_some_and(|(l, r)| wants_blank(*l, *r, had_blank, values_meet));
        // The blank stands outside the value, and outside its marks.
        if blank && c == VALUE_BEGINS {
            out.push(' ');
        }
        out.append(&mut marks);
        if blank && c == VALUE_ENDS {
            out.push(' ');
        }
    }
    out.into_iter().collect()
}

fn wants_blank(left: char, right: char, had_blank: bool, values_meet: bool) -> bool {
    let word = |c: char| c == ADDRESS || c.is_alphanumeric();
    match (is_ideograph(left), is_ideograph(right)) {
        _ if is_wide_punctuation(left) || is_wide_punctuation(right) => false,
        (true, true) => had_blank && values_meet,
        (false, false) => had_blank,
        (true, false) | (false, true) => had_blank || word(left) && word(right),
    }
}
