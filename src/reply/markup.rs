//! From a filled template to blocks, and from blocks to plain text: one source for text and HTML.
//!
//! The marks are those an administrator knows: `1. ` steps, `> ` words to pass on, `**strong**`,
//! `` `code` ``, an empty line between paragraphs. Values that a template emits are fenced by
//! private-use characters, so that nothing from outside can become a mark.

use std::fmt::Write as _;

use serde::Serialize;

use super::{safe, spacing};

pub(super) const VALUE_BEGINS: char = '\u{E000}';
pub(super) const VALUE_ENDS: char = '\u{E001}';
/// Within the fence of an address, which is set apart as Latin even where it is Chinese.
pub(super) const ADDRESS: char = '\u{E004}';
const STAR: char = '\u{E002}';
const BACKTICK: char = '\u{E003}';

/// A run of text in one style.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) strong: bool,
    pub(super) code: bool,
    /// Set only for hosts on the shipped list.
    pub(super) link: Option<String>,
}

/// A paragraph, numbered steps, or words to pass on to somebody else.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "runs", rename_all = "snake_case")]
pub(super) enum Block {
    Paragraph(Vec<Run>),
    Steps(Vec<Vec<Run>>),
    PassOn(Vec<Run>),
}

/// Fences a value that a template emits.
pub(super) fn fence(value: &str) -> String {
    let inner = safe::line(value, 4000).replace('*', &STAR.to_string()).replace('`', &BACKTICK.to_string());
    if inner.contains('@') {
        format!("{VALUE_BEGINS}{ADDRESS}{inner}{ADDRESS}{VALUE_ENDS}")
    } else {
        format!("{VALUE_BEGINS}{inner}{VALUE_ENDS}")
    }
}

/// The text of a filled one-line template, without marks.
pub(super) fn plain(filled: &str, spaced: bool) -> String {
    runs(&join_lines(filled.lines()), spaced).into_iter().map(|it| it.text).collect()
}

/// The blocks of a filled template. `spaced`: a blank belongs between Chinese and Latin, and none
/// beside full-width punctuation.
pub(super) fn blocks(filled: &str, spaced: bool) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let flush = |open: &mut Vec<&str>, blocks: &mut Vec<Block>| {
        if !open.is_empty() {
            let runs = runs(&join_lines(open.drain(..)), spaced);
            if runs.iter().any(|it| !it.text.trim().is_empty()) {
                blocks.push(Block::Paragraph(runs));
            }
        }
    };
    for line in filled.lines().map(str::trim) {
        if let Some(step) = step(line) {
            flush(&mut open, &mut blocks);
            let runs = runs(step, spaced);
            match blocks.last_mut() {
                Some(Block::Steps(steps)) => steps.push(runs),
                _ => blocks.push(Block::Steps(vec![runs])),
            }
        } else if let Some(words) = line.strip_prefix("> ") {
            flush(&mut open, &mut blocks);
            blocks.push(Block::PassOn(runs(words, spaced)));
        } else if line.is_empty() {
            flush(&mut open, &mut blocks);
        } else {
            open.push(line);
        }
    }
    flush(&mut open, &mut blocks);
    blocks
}

/// The rest of a line that begins with a number, a full stop and a blank.
fn step(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once(". ")?;
    (!number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit())).then_some(rest)
}

/// Lines of one paragraph: a blank joins them only where both ends are not Chinese.
fn join_lines<'l>(lines: impl Iterator<Item = &'l str>) -> String {
    let mut out = String::new();
    for line in lines.map(str::trim).filter(|it| !it.is_empty()) {
        let wide =
            |c: Option<char>| c.is_some_and(|c| u32::from(c) >= 0x2E80 && !('\u{E000}'..='\u{F8FF}').contains(&c));
        if !out.is_empty() && !wide(out.chars().next_back()) && !wide(line.chars().next()) {
            out.push(' ');
        }
        out.push_str(line);
    }
    out
}

fn runs(line: &str, spaced: bool) -> Vec<Run> {
    let line = if spaced { spacing::space_values(line) } else { line.to_owned() };
    let mut runs = Vec::new();
    let mut run = Run::default();
    let mut characters = line.chars().peekable();
    let mut previous = ' ';
    while let Some(c) = characters.next() {
        let toggles_strong = c == '*' && characters.peek() == Some(&'*');
        if toggles_strong || c == '`' {
            let next = Run { strong: run.strong, code: run.code, ..Run::default() };
            let done = std::mem::replace(&mut run, next);
            if !done.text.is_empty() {
                runs.push(done);
            }
            if toggles_strong {
                characters.next();
                run.strong = !run.strong;
            } else {
                run.code = !run.code;
            }
            continue;
        }
        match c {
            VALUE_BEGINS | VALUE_ENDS | ADDRESS => {}
            STAR => run.text.push('*'),
            BACKTICK => run.text.push('`'),
            ' ' if previous == ' ' => {}
            other => run.text.push(other),
        }
        if !matches!(c, VALUE_BEGINS | VALUE_ENDS | ADDRESS) {
            previous = c;
        }
    }
    if !run.text.is_empty() {
        runs.push(run);
    }
    runs
}

/// All paragraphs as words to pass on.
pub(super) fn to_pass_on(blocks: Vec<Block>) -> Vec<Block> {
    let turn = |block| match block {
        Block::Paragraph(runs) => Block::PassOn(runs),
        other => other,
    };
    blocks.into_iter().map(turn).collect()
}

/// Blocks as plain text: steps numbered, words to pass on in quotation marks of their own line.
pub(super) fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Paragraph(runs) => {
                out.push_str(&run_text(runs));
                out.push('\n');
            }
            Block::Steps(steps) => {
                for (number, step) in (1..).zip(steps) {
                    let _ = writeln!(out, "{number}. {}", run_text(step));
                }
            }
            Block::PassOn(runs) => {
                let _ = writeln!(out, "  {}", run_text(runs));
            }
        }
    }
    out
}

pub(super) fn run_text(runs: &[Run]) -> String {
    runs.iter().map(|it| it.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_paragraphs_and_strong_words_are_told_apart() {
        let filled = "第一行，\n第二行。\n\n1. 核对 **wang**。\n2. 再发。\n> 请转告。\n";
        let text = text(&blocks(filled, true));
        assert_eq!(text, "第一行，第二行。\n1. 核对 wang。\n2. 再发。\n  请转告。\n");
    }

    #[test]
    fn a_value_never_becomes_a_mark() {
        let filled = format!("发给 **{}** 的邮件", fence("**a**\n1. b `c`"));
        let blocks = blocks(&filled, true);
        assert_eq!(text(&blocks), "发给 **a** 1. b `c` 的邮件\n");
        assert!(matches!(&blocks[..], [Block::Paragraph(runs)] if runs.len() == 3));
    }

    #[test]
    fn blanks_beside_values_follow_the_script_of_the_value() {
        let say = |value: &str| {
            plain(&format!("发给 **{}** 的，{} 说，{}。", fence(value), fence(value), fence(value)), true)
        };
        assert_eq!(say("a@b.example"), "发给 a@b.example 的，a@b.example 说，a@b.example。");
        assert_eq!(say("QQ 邮箱"), "发给 QQ 邮箱的，QQ 邮箱说，QQ 邮箱。");
        assert_eq!(say("对方"), "发给对方的，对方说，对方。");
        assert_eq!(say("用户@例子.中国"), "发给 用户@例子.中国 的，用户@例子.中国 说，用户@例子.中国。");
        assert_eq!(plain(&format!("{}：{}", fence("x"), fence("")), true), "x：");
    }
}
