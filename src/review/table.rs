//! Rows for the terminal, for spreadsheets and for programs. What was read from mail is made
//! harmless here: escape sequences in a terminal, formulas in a spreadsheet.

use std::{borrow::Cow, fmt::Write as _};

use comfy_table::{Cell, LineStyle, Table as Grid, TableStyle};

/// Columns of a cell in the terminal; what is longer is cut.
const CELL: usize = 48;
/// No column is made narrower than this to fit; one whose cells are all alike in length, as times
/// are, is not made narrower at all.
const NARROW: usize = 12;
/// Columns of a date and time of day.
const TIME: usize = 16;

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
        let widths = vec![CELL; self.headings.len()];
        self.draw(&widths)
    }

    /// For a terminal so many columns wide: long cells are cut, and where even that is not enough,
    /// the last columns are left out.
    #[must_use]
    pub fn fit(&self, terminal: usize) -> String {
        let cells =
            |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).map(|it| width(&printable(it)));
        let natural = |column: usize| {
            let heading = self.headings.get(column).map(|it| width(it));
            cells(column).chain(heading).max().unwrap_or(0).min(CELL)
        };
        let least = |column: usize| {
            let alike = cells(column).all(|it| Some(it) == cells(column).next());
            natural(column).min(if alike { TIME } else { NARROW })
        };
        // A blank stands on either side of a cell.
        let total = |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len();
        let mut columns = self.headings.len();
        while columns > 1 && total(&(0..columns).map(least).collect::<Vec<_>>()) > terminal {
            columns -= 1;
        }
        let mut widths: Vec<usize> = (0..columns).map(natural).collect();
        while total(&widths) > terminal {
            let slack = |(column, width): &(usize, &mut usize)| **width > least(*column);
            let Some((_, widest)) = widths.iter_mut().enumerate().filter(slack).max_by_key(|it| *it.1) else { break };
            *widest -= 1;
        }
        self.draw(&widths)
    }

    fn draw(&self, widths: &[usize]) -> String {
        let mut grid = Grid::new();
        grid.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
        grid.set_header(self.headings.iter().zip(widths).map(|(heading, width)| Cell::new(cut(heading, *width))));
        for row in &self.rows {
            grid.add_row(row.iter().zip(widths).map(|(cell, width)| Cell::new(cut(&printable(cell), *width))));
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

/// Columns of a text, where a character outside ASCII counts as two.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// At most `columns` wide, where a character outside ASCII counts as two; what is cut ends in `…`.
#[must_use]
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = 0;
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(if c.is_ascii() { 1 } else { 2 }) else { break };
        left = rest;
        kept += c.len_utf8();
    }
    Cow::Owned(format!("{}…", text.get(..kept).unwrap_or_default()))
}

/// Foreign text made harmless for a terminal: controls (escape sequences, newlines, bidirectional
/// overrides) become `·`, tabs become blanks.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
        assert_eq!(cut("收件人", 5), "收件…");
        assert_eq!(cut("收件人", 4), "收…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }

    #[test]
    fn a_table_fits_the_terminal_and_loses_its_last_columns_first() {
        let mut table = Table::new(&["id", "who", "why", "subject"]);
        table.row(["1".into(), "a@x.example".repeat(3), "user_unknown".into(), "关于订单的报价单".repeat(4)]);
        table.row(["2".into(), "b@x.example".into(), "mailbox_full".into(), "报价单".into()]);
        for (terminal, headings) in [(200, 4), (60, 4), (46, 4), (45, 3), (20, 2), (12, 1)] {
            let text = table.fit(terminal);
            assert!(
                text.lines().all(|it| width(&it.trim_end().replace(['─', '…'], ".")) <= terminal),
                "{terminal}: {text}"
            );
            let first = text.lines().next().unwrap_or_default();
            assert_eq!(first.split_whitespace().count(), headings, "{terminal}: {text}");
        }
    }
}
