//! The proof of the pudding: the rewritten message is recognised and diagnosed as before, and
//! nothing of what was to be replaced is left in it.

use super::{Refusal, names::Names};
use crate::{
    bounce::{Action, Bounce, Recognition},
    diagnosis::{Catalogue, home_of},
    mail::{Mail, Mailbox},
};

/// Compares both readings; the verdict that they share, in words.
pub(super) fn same(
    catalogue: &Catalogue,
    country: Option<&str>,
    names: &Names,
    before: &Recognition,
    after: &Recognition,
) -> Result<String, Refusal> {
    let (was, bounce) = of(before);
    let (is, again) = of(after);
    let differs = |what: &str, a: &str, b: &str| Err(Refusal::ReadDifferently(format!("{what}: {a} became {b}")));
    if was != is {
        return differs("kind", &was, &is);
    }
    let (Some(bounce), Some(again)) = (bounce, again) else { return Ok(was) };
    let mut told = vec![was];
    if bounce.format != again.format {
        return differs("format", &bounce.format, &again.format);
    }
    if bounce.recipients.len() != again.recipients.len() {
        let count = |it: &Bounce| it.recipients.len().to_string();
        return differs("recipients", &count(bounce), &count(again));
    }
    let words = |it: &Bounce| recipients(it, catalogue, country);
    for ((one, other), (report, new)) in
        words(bounce).into_iter().zip(words(again)).zip(bounce.recipients.iter().zip(&again.recipients))
    {
        if one != other {
            return differs("diagnosis", &one, &other);
        }
        let wanted = names.mailbox(&report.final_recipient);
        let got = new.final_recipient.to_string();
        if wanted.is_some_and(|it| !it.eq_ignore_ascii_case(&got)) {
            return differs("recipient", "its stand-in", "another address");
        }
        told.push(one);
    }
    Ok(told.join("; "))
}

/// What it is in one word, and the bounce if there is one.
fn of(recognition: &Recognition) -> (String, Option<&Bounce>) {
    match recognition {
        Recognition::Bounce(it) if it.forwarded_by.is_some() => (format!("{:?}, forwarded", it.kind()), Some(it)),
        Recognition::Bounce(it) => (format!("{:?}", it.kind()), Some(it)),
        Recognition::NotABounce(it) => (format!("{:?}", it.because), it.quoted.as_deref()),
    }
}

/// Each recipient's diagnosis as one line.
fn recipients(bounce: &Bounce, catalogue: &Catalogue, country: Option<&str>) -> Vec<String> {
    let author = bounce.original.as_ref().and_then(|it| it.from.as_ref());
    let home = home_of(author.map(Mailbox::domain), country);
    let told = bounce.recipients.iter().map(|report| {
        let code = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
        let codes = format!(
            "{} {}",
            code(report.reply_code.map(|it| it.get().to_string())),
            code(report.status.map(|it| it.to_string()))
        );
        match report.action {
            Action::Failed | Action::Delayed => {
                let it = catalogue.diagnose(bounce, report, home);
                let expired = if it.expired { ", expired" } else { "" };
                format!("{} ({}, {codes}, {:?}, {:?}{expired})", it.cause.as_str(), it.rule, it.confidence, it.acts)
            }
            Action::Delivered | Action::Relayed | Action::Expanded => format!("{:?} ({codes})", report.action),
        }
    });
    told.collect()
}

/// Looks through all that a reader of the result sees, decoded, for what was to be replaced.
pub(super) fn nothing_left(names: &Names, bytes: &[u8]) -> Result<(), Refusal> {
    let mut shown = String::new();
    collect(&Mail::parse(bytes), &mut shown);
    let shown = shown.to_lowercase();
    let left = names.secrets().find(|it| {
        let secret = it.to_lowercase();
        shown.match_indices(&secret).any(|(at, _)| {
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() && secret.is_ascii());
            let before = shown.get(..at).and_then(|it| it.chars().next_back());
            let after = shown.get(at + secret.len()..).and_then(|it| it.chars().next());
            // Words of names within other words, hosts or links that stay are not theirs.
            let within = |c: Option<char>| c.is_some_and(|c| "./-_=@".contains(c)) && !secret.contains('@');
            !(letter(before) || letter(after) || within(before) || within(after))
        })
    });
    left.map_or(Ok(()), |it| Err(Refusal::StillThere(it.to_owned())))
}

fn collect(mail: &Mail, shown: &mut String) {
    for part in mail.parts() {
        for field in part.headers().iter() {
            shown.push_str(field.value);
            shown.push('\n');
        }
        if part.is_text() || part.children().is_empty() {
            shown.push_str(part.text());
            shown.push('\n');
        }
        let kind = part.content_type();
        if kind.starts_with("message/") || kind.ends_with("headers") {
            part.message().into_iter().for_each(|it| collect(it, shown));
        }
    }
}
