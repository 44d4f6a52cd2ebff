//! How each cause reads when it is not certain, not theirs, or not a company's: the sentences that
//! differ from the plain case, which the other snapshots have in full.

use std::{collections::HashSet, fmt::Write as _};

use super::*;
use crate::diagnosis::Acts;

type Change = fn(&mut Finding);

/// What makes the case another one.
const VARIANTS: &[(&str, Change)] = &[
    ("likely", |it| it.diagnosis.confidence = Confidence::Likely),
    ("guess", |it| it.diagnosis.confidence = Confidence::Guess),
    ("a summary of our server", |it| {
        it.report.remote_mta = None;
        it.report.diagnostic = Some("Sorry, I couldn't do it.".to_owned());
        it.report.reply_code = None;
    }),
    ("refused by our own server", |it| it.report.remote_mta = Some("mail.corp.example.cn".to_owned())),
    ("to a colleague", |it| it.report.final_recipient = mailbox("wang.li@corp.example.cn")),
    ("to a public mail service", |it| it.report.final_recipient = mailbox("lihua@163.com")),
];

/// Whose move a code or a rule makes it, where that is not the cause's own.
const OTHER_MOVES: &[(&str, Acts)] = &[
    ("blocklisted", Acts::RecipientSide),
    ("connection_failed", Acts::RecipientSide),
    ("content_rejected", Acts::OwnAdmin),
    ("expired", Acts::Sender),
    ("list_restricted", Acts::RecipientSide),
    ("login_failed", Acts::Sender),
    ("mail_loop", Acts::OwnAdmin),
    ("mailbox_disabled", Acts::OwnAdmin),
    ("mailbox_disabled", Acts::Sender),
    ("no_mail_host", Acts::NobodyWait),
    ("no_mail_host", Acts::Sender),
    ("policy", Acts::NobodyWait),
    ("policy", Acts::OwnAdmin),
    ("protocol_error", Acts::NobodyWait),
    ("rate_limited", Acts::OwnAdmin),
    ("rate_limited", Acts::Sender),
    ("recipient_rejected", Acts::Sender),
    ("smtputf8_unsupported", Acts::OwnAdmin),
    ("tls_required", Acts::RecipientSide),
    ("undetermined", Acts::NobodyWait),
    ("undetermined", Acts::RecipientSide),
    ("undetermined", Acts::Sender),
];

/// Words at which a code does so, where the specimen's would be somebody else's matter.
const THEIR_OWN_WORDS: &[(&str, Acts, &str)] = &[
    (
        "blocklisted",
        Acts::RecipientSide,
        "550 5.7.513 Service unavailable, Client host [203.0.113.5] blocked by partner.example using Customer Block list",
    ),
    ("tls_required", Acts::RecipientSide, "451 4.7.322 Certificate expired"),
    ("mailbox_disabled", Acts::OwnAdmin, "535 5.7.13 User account disabled"),
    ("mail_loop", Acts::OwnAdmin, "554 5.4.14 Hop count exceeded - possible mail loop"),
    ("policy", Acts::NobodyWait, "450 4.7.15 Priority too low"),
    ("no_mail_host", Acts::NobodyWait, "450 4.4.312 DNS query failed"),
    ("rate_limited", Acts::Sender, "452 4.5.3 Too many recipients"),
];

#[test]
fn the_steps_fit_whose_move_it_is() {
    for tag in LANGUAGES {
        let mut all = String::new();
        for (cause, acts) in OTHER_MOVES {
            let mut it = specimen(cause);
            it.diagnosis.acts = *acts;
            if let Some((.., words)) = THEIR_OWN_WORDS.iter().find(|(of, by, _)| (of, by) == (cause, acts)) {
                it.report.diagnostic = Some((*words).to_owned());
                it.diagnosis.matched = (*words).to_owned();
            }
            let text = explain(&it, tag, Audience::Author).text;
            let above = text.split("-----").next().unwrap_or_default();
            let lines: Vec<&str> = above.lines().skip(1).filter(|it| !it.is_empty() && !it.contains("WB-")).collect();
            let _ = writeln!(all, "######## {cause}, {acts:?}\n{}\n", lines.join("\n"));
        }
        insta::assert_snapshot!(format!("moves_{tag}"), all);
    }
}

#[test]
fn what_differs_reads_as_it_was_read_last() {
    for tag in LANGUAGES {
        let mut all = String::new();
        for (cause, ..) in SPECIMENS {
            let said = |change: &dyn Fn(&mut Finding)| {
                let mut it = specimen(cause);
                it.diagnosis.confidence = Confidence::Certain;
                it.report.remote_mta = Some("mx.buyer.example.cn".to_owned());
                if it.report.reply_code.is_none() {
                    it.report.diagnostic = Some("554 no".to_owned()); // so that it is theirs
                }
                change(&mut it);
                let text = explain(&it, tag, Audience::Author).text;
                let above = text.split("-----").next().unwrap_or_default().to_owned();
                above.lines().skip(1).filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            };
            let mut seen: HashSet<String> = HashSet::new();
            let _ = writeln!(all, "######## {cause}");
            for (name, change) in [&("certain", (|_| {}) as Change)].into_iter().chain(VARIANTS) {
                let lines = said(change);
                let new: Vec<_> = lines.into_iter().filter(|it| seen.insert(it.clone())).collect();
                if *name != "certain" {
                    let _ = writeln!(all, "#### {name}\n{}\n", new.join("\n"));
                }
            }
        }
        insta::assert_snapshot!(format!("variants_{tag}"), all);
    }
}
