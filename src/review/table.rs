//! Rows for the terminal, for spreadsheets and for programs. What was read from mail is made
//! harmless here: escape sequences in a terminal, formulas in a spreadsheet.

use std::{borrow::Cow, fmt::Write as _};

use comfy_table::{Cell, LineStyle, Table as Grid, TableStyle};

/// Columns of a cell in the terminal; what is longer is cut.
const CELL: usize = 48;

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, a cell for each heading.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut grid = Grid::new();
        grid.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
        grid.set_header(self.headings.iter().map(Cell::new));
        for row in &self.rows {
            grid.add_row(row.iter().map(|cell| Cell::new(cut(&printable(cell), CELL))));
        }
        format!("{}\n", grid.trim_fmt())
    }

    /// Comma-separated, CRLF line ends (RFC 4180 §2).
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = Cow<'_, str>>| {
            let _ = write!(text, "{}\r\n", cells.collect::<Vec<_>>().join(","));
        };
        line(&mut self.headings.iter().map(|heading| Cow::Borrowed(*heading)));
        for row in &self.rows {
            line(&mut row.iter().map(|cell| csv_cell(cell)));
        }
        text
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Quoted where RFC 4180 §2 asks for it; what a spreadsheet would take for a formula gets a `'`.
fn csv_cell(cell: &str) -> Cow<'_, str> {
    let cell = printable(cell);
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { Cow::Owned(format!("'{cell}")) } else { cell };
    if cell.contains([',', '"', '\n', '\r']) { Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\""))) } else { cell }
}

/// At most `columns` wide, where a character outside ASCII counts as two.
fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    let mut width = 0;
    for (at, c) in text.char_indices() {
        width += if c.is_ascii() { 1 } else { 2 };
        if width > columns {
            return Cow::Owned(format!("{}…", &text[..at]));
        }
    }
    Cow::Borrowed(text)
}

/// Foreign text made harmless for a terminal: controls (escape sequences, newlines, bidirectional
/// overrides) become `·`, tabs become blanks.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let harmless = |c: char| match c {
        '\t' => ' ',
        c if harmful(c) => '·',
        c => c,
    };
    Cow::Owned(text.chars().map(harmless).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_neutralised() {
        assert_eq!(printable("a\x1b[31mred\u{202e}\tb\u{9b}"), "a·[31mred· b·");
        assert!(matches!(printable("收件人"), Cow::Borrowed(_)));
        let mut table = Table::new(&["subject"]);
        table.row(["\x1b]0;pwned\x07".to_owned()]);
        assert!(!table.text().contains('\x1b') && !table.csv().contains('\x1b'));
    }

    #[test]
    fn formulas_and_quotes_are_harmless_in_a_spreadsheet() {
        let mut table = Table::new(&["a", "b"]);
        table.row(["=HYPERLINK(\"x\")".to_owned(), "-1".to_owned()]);
        assert_eq!(table.csv(), "a,b\r\n\"'=HYPERLINK(\"\"x\"\")\",'-1\r\n");
    }

    #[test]
    fn long_cells_are_cut_at_whole_characters() {
        assert_eq!(cut("收件人", 4), "收件…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
