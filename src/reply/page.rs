//! One page of an explanation, and its two faces: plain text and HTML.

use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use super::{
    Texts,
    frame::Frame,
    markup::{self, Block, Run},
    safe::{self, Piece},
    section::Conditions,
};
use crate::{diagnosis::Acts, mail::ReferenceId};

/// How much of long lists is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Detail {
    Full,
    Less,
    Least,
}

/// How many of each are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Groups of recipients with one cause.
    pub(super) groups: usize,
    /// Addresses in one group.
    pub(super) names: usize,
    /// Quotations.
    pub(super) quotes: usize,
    /// Characters of one quotation.
    pub(super) characters: usize,
}

impl Detail {
    pub(super) const ALL: [Self; 3] = [Self::Full, Self::Less, Self::Least];

    pub(super) fn limits(self) -> Limits {
        match self {
            Self::Full => Limits { groups: 40, names: 15, quotes: 8, characters: 600 },
            Self::Less => Limits { groups: 16, names: 4, quotes: 3, characters: 300 },
            Self::Least => Limits { groups: 8, names: 1, quotes: 1, characters: 150 },
        }
    }
}

/// What is said in one language.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Page {
    pub(super) language: String,
    pub(super) subject: String,
    /// A line above everything: for whom a redirected mail was.
    pub(super) banner: Option<String>,
    pub(super) greeting: Option<String>,
    pub(super) headline: Vec<Run>,
    pub(super) what: Vec<Block>,
    pub(super) moves: Vec<Move>,
    pub(super) stations: Vec<Station>,
    /// Below the steps: other recipients, whom to ask.
    pub(super) notes: Vec<Block>,
    /// Below the line: facts, then quotations, then what was checked.
    pub(super) facts: Vec<Fact>,
    pub(super) quotes: Vec<Quote>,
    pub(super) quotes_label: String,
    pub(super) footer: Vec<Block>,
}

/// Whose move it is, and what to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Move {
    pub(super) label: String,
    /// The label as a line of plain text.
    pub(super) line: String,
    pub(super) acts: Acts,
    pub(super) blocks: Vec<Block>,
    /// A `mailto:` link to an address that we suggest, with its words.
    pub(super) action: Option<(String, String)>,
}

impl Move {
    pub(super) fn new(frame: &Frame<'_>, label: String, acts: Acts, blocks: Vec<Block>) -> Self {
        let facts = frame.common(None).with_value(&label);
        let line = frame.line("move line", &Conditions::default(), &facts);
        Self { label, line, acts, blocks, action: None }
    }
}

/// One of the stations of a mail.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Station {
    pub(super) name: String,
    pub(super) state: StationState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StationState {
    /// Where it began.
    Start,
    Passed,
    Failed,
    /// Probably here.
    Doubtful,
    /// Still trying.
    Waiting,
    /// Never reached.
    Beyond,
}

impl StationState {
    fn mark(self) -> &'static str {
        match self {
            Self::Start | Self::Beyond => "",
            Self::Passed => " ✓",
            Self::Failed => " ✗",
            Self::Doubtful => " ?",
            Self::Waiting => " …",
        }
    }
}

/// A labelled fact below the line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fact {
    pub(super) label: String,
    pub(super) runs: Vec<Run>,
}

/// Words of a server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Quote {
    pub(super) label: String,
    pub(super) runs: Vec<Run>,
}

/// Quoted text as runs, of which only links to hosts on the list can be clicked.
pub(super) fn quoted(texts: &Texts, words: &str) -> Vec<Run> {
    safe::defang(words, |host| texts.knowledge.link_hosts.contains(host))
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Run { text, ..Run::default() },
            Piece::Link(link) => Run { text: link.clone(), link: Some(link), ..Run::default() },
        })
        .collect()
}

/// Text of our own as one run.
pub(super) fn run(text: impl Into<String>) -> Vec<Run> {
    vec![Run { text: text.into(), ..Run::default() }]
}

const LINE: &str = "----------------------------------------";

/// All pages as plain text.
pub(super) fn text(pages: &[Page]) -> String {
    let pages: Vec<String> = pages.iter().map(page_text).collect();
    pages.join(&format!("\n{}\n\n", "=".repeat(40)))
}

fn page_text(page: &Page) -> String {
    let mut out = String::new();
    let mut push = |part: &str| {
        if !part.trim().is_empty() {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(part.trim_end_matches('\n'));
            out.push('\n');
        }
    };
    push(page.banner.as_deref().unwrap_or_default());
    push(&format!(
        "{}{}",
        page.greeting.as_deref().map(|it| format!("{it}\n\n")).unwrap_or_default(),
        markup::run_text(&page.headline)
    ));
    push(&markup::text(&page.what));
    for step in &page.moves {
        push(&format!("{}\n{}", step.line, markup::text(&step.blocks)));
    }
    let stations: Vec<String> = page.stations.iter().map(|it| format!("{}{}", it.name, it.state.mark())).collect();
    push(&stations.join(" → "));
    push(&markup::text(&page.notes));
    if !(page.facts.is_empty() && page.quotes.is_empty()) {
        push(LINE);
    }
    let facts: Vec<String> =
        page.facts.iter().map(|it| format!("{}{}\n", it.label, markup::run_text(&it.runs))).collect();
    push(&facts.concat());
    let quotes: Vec<String> =
        page.quotes.iter().map(|it| format!("{}{}\n", it.label, markup::run_text(&it.runs))).collect();
    push(&quotes.concat());
    push(&markup::text(&page.footer));
    out
}

/// All pages as one HTML document.
pub(super) fn html(pages: &[Page]) -> String {
    let context = context! { pages => Serde(pages) };
    // The template is ours and tests hold it; should it fail, the words still go out.
    Texts::html(&context).unwrap_or_else(|_| format!("<!DOCTYPE html><pre>{}</pre>", escaped(&text(pages))))
}

/// A reference id is not broken after its hyphen at the end of a line: people read it out.
pub(super) fn whole(text: &str) -> Value {
    let Some(id) = ReferenceId::find(text) else { return Value::from(text) };
    let span = format!("<span style=\"white-space:nowrap\">{id}</span>");
    Value::from_safe_string(escaped(text).replace(id.as_str(), &span))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_id_stays_in_one_piece_and_what_stands_beside_it_is_escaped() {
        let id = ReferenceId::derive("x");
        let html = whole(&format!("<b> {id}.")).to_string();
        assert_eq!(html, format!("&lt;b&gt; <span style=\"white-space:nowrap\">{id}</span>."));
        assert!(!whole("<b>").is_safe());
    }
}
