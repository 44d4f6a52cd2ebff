//! stub
use super::*;
use crate::mail::{Mail, Mailbox, MessageId, ReversePath, header::Headers, mark};

fn date(v: Option<&str>) -> Option<Timestamp> {
    v.and_then(|v| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(v.trim()).ok())
}
fn path(v: Option<&str>) -> Option<ReversePath> {
    let v = v?.trim();
    if v == "<>" {
        Some(ReversePath::Null)
    } else {
        Mailbox::parse(v.trim_matches(['<', '>'])).map(ReversePath::Mailbox)
    }
}
fn automatic(h: &Headers) -> Vec<String> {
    h.iter()
        .filter(|f| {
            ["auto-submitted", "precedence", "list-id", "x-auto-response-suppress", "list-unsubscribe"]
                .contains(&f.name.to_ascii_lowercase().as_str())
        })
        .map(|f| format!("{}: {}", f.name, f.value))
        .collect()
}

/// stub
pub fn recognise(bytes: &[u8]) -> Recognition {
    let mail = Mail::parse(bytes);
    let h = mail.headers();
    let envelope = Envelope {
        return_path: path(h.first("return-path")),
        from: h.first("from").and_then(|f| crate::mail::header::addresses(f).into_iter().next()).map(|(_, m)| m),
        subject: h.first("subject").map(str::to_owned),
        message_id: h.first("message-id").and_then(MessageId::parse),
        date: date(h.first("date")),
        automatic: automatic(h),
        ..Envelope::default()
    };
    let no = |because| {
        Recognition::NotABounce(NotABounce { because, forwarded_by: None, quoted: None, envelope: envelope.clone() })
    };
    if h.is_empty() {
        return no(WhyNot::Unreadable);
    }
    if h.first("x-whybounced").is_some() {
        return no(WhyNot::OurOwnReply);
    }
    let Some(report) = mail.part_of_type("message/delivery-status") else {
        return no(WhyNot::OrdinaryMail);
    };
    let text = String::from_utf8_lossy(&report.bytes()).replace("\r\n", "\n");
    let groups: Vec<Headers> =
        text.split("\n\n").map(|g| Headers::parse(g.as_bytes())).filter(|g| !g.is_empty()).collect();
    let value = |v: Option<&str>| v.map(|v| v.split_once(';').map_or(v, |(_, r)| r).trim().to_owned());
    let mut recipients: Vec<RecipientReport> = groups
        .iter()
        .filter_map(|g| {
            let fr = Mailbox::parse(&value(g.first("final-recipient"))?)?;
            let diagnostic = value(g.first("diagnostic-code"));
            Some(RecipientReport {
                final_recipient: fr,
                original_recipient: value(g.first("original-recipient")).and_then(|v| Mailbox::parse(&v)),
                action: match g.first("action") {
                    Some(a) if a.trim() == "delayed" => Action::Delayed,
                    Some(a) if a.trim() == "failed" => Action::Failed,
                    _ => Action::Delivered,
                },
                status: g.first("status").and_then(|s| s.trim().parse().ok()),
                reply_code: diagnostic.as_deref().and_then(|d| d.get(..3)?.parse().ok()).and_then(ReplyCode::new),
                diagnostic,
                remote_mta: value(g.first("remote-mta")),
                last_attempt_date: None,
                will_retry_until: None,
                expired: false,
                provenance: Provenance::ReportField,
            })
        })
        .collect();
    recipients.sort_by_key(|r| r.action);
    if recipients.is_empty() {
        return no(WhyNot::Unreadable);
    }
    let block = mail
        .part_of_type("text/rfc822-headers")
        .map(|p| p.bytes().into_owned())
        .or_else(|| mail.part_of_type("message/rfc822").and_then(|p| p.message()).map(|m| m.header_block().to_vec()));
    let original = block.map(|b| {
        let b = String::from_utf8_lossy(&b).replace("\r\n", "\n");
        let h = Headers::parse(b.as_bytes());
        let from = h.first("from").and_then(|f| crate::mail::header::addresses(f).into_iter().next());
        let message_id = h.first("message-id").and_then(MessageId::parse);
        Original {
            from: from.clone().map(|(_, m)| m),
            from_name: from.and_then(|(n, _)| n),
            return_path: path(h.first("return-path")),
            to: h
                .first("to")
                .map(|t| crate::mail::header::addresses(t).into_iter().map(|(_, m)| m).collect())
                .unwrap_or_default(),
            subject: h.first("subject").map(str::to_owned),
            ours: h.first("x-whybounced").is_some() || message_id.as_ref().is_some_and(mark::is_our_message_id),
            message_id,
            date: date(h.first("date")),
            received: h.all("received").map(str::to_owned).collect(),
            automatic: automatic(&h),
            header_text: b.clone(),
            ..Original::default()
        }
    });
    Recognition::Bounce(Bounce {
        format: "rfc3464".into(),
        reporting_mta: value(groups[0].first("reporting-mta")),
        arrival_date: None,
        original_envelope_id: None,
        recipients,
        original,
        forwarded_by: None,
        envelope,
        filler_seen: false,
        human_text: mail.text().chars().take(8000).collect(),
        defects: vec![],
    })
}
