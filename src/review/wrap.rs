//! Long lines on a terminal: broken between words, and between any two Chinese characters.

/// Below this nothing can be set out.
const NARROWEST: usize = 40;
/// What may not begin a line.
const CLOSING: &str = "，。；：！？、）】》”’…";

/// `line` in lines of at most `columns`, each after the first led by `hang`. Colours take no room.
#[must_use]
pub fn wrapped(line: &str, columns: usize, hang: &str) -> String {
    let columns = columns.max(NARROWEST);
    let (mut text, mut used) = (String::new(), 0);
    for piece in pieces(line) {
        let room = width(piece.trim_end());
        if used > width(hang) && used + room > columns {
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
            text.push_str(hang);
            used = width(hang);
        }
        text.push_str(piece);
        used += width(piece);
    }
    text
}

/// A word with the blanks after it, or one wide character with what may not be parted from it.
fn pieces(line: &str) -> Vec<&str> {
    let (mut pieces, mut begin, mut last) = (Vec::new(), 0, None::<char>);
    for (at, c) in line.char_indices() {
        let parts = last.is_some_and(|last| {
            let after_blank = last == ' ' && c != ' ';
            let wide = !last.is_ascii() || !c.is_ascii();
            (after_blank || wide && c != ' ') && !CLOSING.contains(c) && !"“‘（【《".contains(last)
        });
        if parts && at > begin {
            pieces.push(&line[begin..at]);
            begin = at;
        }
        last = Some(c);
    }
    pieces.push(&line[begin..]);
    pieces
}

/// Columns, where a character outside ASCII counts as two and `ESC [ … m` as none.
fn width(text: &str) -> usize {
    let (mut columns, mut in_colour) = (0, false);
    for c in text.chars() {
        match c {
            '\u{1b}' => in_colour = true,
            'm' if in_colour => in_colour = false,
            _ if in_colour => {}
            // Rules of a frame are one column wide.
            '─'..='╿' => columns += 1,
            c => columns += if c.is_ascii() { 1 } else { 2 },
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_chinese_characters() {
        let text = wrapped(&format!("  said      {}", "word ".repeat(12).trim_end()), 44, "            ");
        assert_eq!(text.lines().map(|it| it.trim_start().len()).collect::<Vec<_>>(), [39, 29]);
        let text = wrapped(&format!("  │ {}。", "邮".repeat(20)), 44, "  │ ");
        assert_eq!(text.lines().map(width).collect::<Vec<_>>(), [42, 8], "{text}");
        assert!(!text.contains("\n  │ 。"), "{text}");
        let long = "x".repeat(100);
        assert_eq!(wrapped(&long, 80, "  "), long, "what cannot be broken is left to the terminal");
        assert_eq!(wrapped("\u{1b}[1mshort\u{1b}[0m", 40, "  "), "\u{1b}[1mshort\u{1b}[0m");
    }
}
