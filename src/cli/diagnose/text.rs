//! `diagnose` for people: what happened to whom, why, and the words that say so.

use std::io;

use super::line::{Kind, Line, RecipientLine};
use crate::{
    bounce::WhyNot,
    cli::Terminal,
    diagnosis::{Acts, Confidence},
    review::{observation_words, printable},
};

/// Prints one message's diagnosis, an empty line behind it.
pub(super) fn print(line: &Line, terminal: &mut Terminal) -> io::Result<()> {
    let what = match (line.kind, line.not_a_bounce_because) {
        (_, Some(why)) => format!("not a bounce: {}", why_not(why)),
        (Kind::Failed, None) => "not delivered".to_owned(),
        (Kind::Delayed, None) => "delayed, still being tried".to_owned(),
        (Kind::Delivered, None) => "delivered".to_owned(),
        (Kind::Relayed, None) => "handed on".to_owned(),
        (Kind::Expanded, None) => "delivered to a list".to_owned(),
        (Kind::NotABounce, None) => "not a bounce".to_owned(),
    };
    let heading = format!("{}: {what}", printable(&line.source));
    let heading = terminal.bold(&heading).into_owned();
    writeln!(terminal.out(), "{heading}")?;
    if let Some(subject) = line.original.as_ref().and_then(|it| it.subject.as_deref()) {
        let shown = format!("  “{}”", printable(subject));
        let shown = terminal.dim(&shown).into_owned();
        writeln!(terminal.out(), "{shown}")?;
    }
    for recipient in &line.bounces {
        print_recipient(recipient, terminal)?;
    }
    writeln!(terminal.out())
}

fn print_recipient(it: &RecipientLine, terminal: &mut Terminal) -> io::Result<()> {
    let recipient = it.recipient.to_string();
    let cause = it.cause.as_deref().unwrap_or("—");
    let cause = terminal.styled(cause, if it.cause.is_some() { "33" } else { "32" }).into_owned();
    let sure = match it.confidence {
        Some(Confidence::Certain) | None => "",
        Some(Confidence::Likely) => ", likely",
        Some(Confidence::Guess) => ", a guess",
    };
    let acts = match it.acts {
        Some(Acts::Sender) => " (the sender's move)",
        Some(Acts::RecipientSide) => " (the recipient's side's move)",
        Some(Acts::OwnAdmin) => " (our administrator's move)",
        Some(Acts::NobodyWait) => " (wait)",
        None => "",
    };
    writeln!(terminal.out(), "  {}: {cause}{sure}{acts}", printable(&recipient))?;
    if let Some(diagnostic) = &it.diagnostic {
        let shown = format!("    {}", printable(diagnostic));
        let shown = terminal.dim(&shown).into_owned();
        writeln!(terminal.out(), "{shown}")?;
    }
    for seen in it.evidence.iter().flatten() {
        writeln!(terminal.out(), "    checked {}", printable(&observation_words(seen)))?;
    }
    if let Some(rule) = &it.rule {
        let shown = format!("    rule {rule}");
        let shown = terminal.dim(&shown).into_owned();
        writeln!(terminal.out(), "{shown}")?;
    }
    Ok(())
}

fn why_not(why: WhyNot) -> &'static str {
    match why {
        WhyNot::OrdinaryMail => "ordinary mail",
        WhyNot::AutoReply => "an automatic reply",
        WhyNot::DispositionNotification => "a read receipt",
        WhyNot::FeedbackReport => "a feedback report",
        WhyNot::ListNotice => "a mailing list's notice",
        WhyNot::Challenge => "a challenge to the sender",
        WhyNot::QuotedBounce => "a person quotes one",
        WhyNot::FakeBounce => "it only looks like one",
        WhyNot::Unreadable => "empty or unreadable",
        WhyNot::OurOwnReply => "our own explanation",
    }
}
