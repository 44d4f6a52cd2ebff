//! `journal stats`: figures with bars.

use std::fmt::Write as _;

use super::table::{printable, width};
use crate::journal::{Count, Stats};

/// Columns of the longest bar.
const BAR: u64 = 30;

/// For a terminal.
#[must_use]
pub fn stats(stats: &Stats) -> String {
    let mut text = format!("{} messages looked at, {} bounces\n", stats.messages, stats.bounces);
    section(&mut text, "Why", &stats.causes);
    section(&mut text, "Where (failed recipients by domain)", &stats.domains);
    section(&mut text, "When", &stats.days);
    section(&mut text, "Explanations", &stats.explanations);
    section(&mut text, "Nobody answered, because", &stats.withheld);
    let would = stats.would_answer;
    let degrees = [("none", would.none), ("plausible", would.plausible), ("verified", would.verified)];
    let degrees = degrees.map(|(name, count)| Count { name: name.to_owned(), count });
    section(&mut text, "Would be answered, by policy.proof (verified: where Sent was searched)", &degrees);
    text
}

fn section(text: &mut String, title: &str, counts: &[Count]) {
    if counts.is_empty() {
        return;
    }
    let most = counts.iter().map(|it| it.count).max().unwrap_or(1).max(1);
    let columns = counts.iter().map(|it| width(&printable(&it.name))).max().unwrap_or(0).min(40);
    let _ = writeln!(text, "\n{title}");
    for Count { name, count } in counts {
        // At least one mark for what is there at all.
        let bar = "█".repeat(usize::try_from((count * BAR).div_ceil(most)).unwrap_or(0));
        let name = printable(name);
        let pad = columns.saturating_sub(width(&name));
        let _ = writeln!(text, "  {name}{:pad$}  {count:>7}  {bar}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_nothing_is_printed_that_moves_the_cursor() {
        let count = |name: &str, count| Count { name: name.to_owned(), count };
        let causes = vec![count("user_unknown", 30), count("mailbox_full", 10), count("mail_loop", 1)];
        let domains = vec![count("evil\u{1b}[2J.example", 1), count("公司.中国", 1)];
        let text = stats(&Stats { messages: 50, bounces: 41, causes, domains, ..Stats::default() });
        let bars: Vec<usize> = text.lines().map(|it| it.matches('█').count()).filter(|it| *it > 0).collect();
        assert_eq!(bars, [30, 10, 1, 30, 30]);
        assert!(text.contains("公司.中国          "), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
