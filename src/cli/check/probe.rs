//! `check --probe ADDRESS`: a message to an address that is known not to exist, sent by our own way
//! out and waited for in the watched mailboxes: the whole chain, but for the explanation.
//!
//! It carries our mark, so that a daemon at work meanwhile explains it to nobody.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Exit, Report};
use crate::{
    config::Config,
    mail::{Mailbox as Address, MessageId, Role},
    outbound::{ReversePathMode, Route, Sender},
    outbox::Delivery,
    reply::Reply,
    source::{After, Cursor, Mailbox, Settings},
};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn probe(report: &mut Report<'_>, config: &Config, to: &Address, patience: Duration) {
    if let Route::Directory(_) = config.outbound.route {
        return report.warning("probe", "smtp.directory sends nothing, so nothing can bounce", None);
    }
    let started = Timestamp::now();
    let reply = message(config, to, started);
    match send(config, &reply).await {
        Delivery::Accepted(answer) => {
            report.fine("probe", &format!("sent to {to}: {} {}", answer.code, answer.text));
        }
        Delivery::Rejected(_, answer) | Delivery::Deferred(_, answer) => {
            let detail = format!("{to} was refused at once: {} {}", answer.code, answer.text);
            let remedy = "such a refusal makes no bounce; name an address that does not exist at another provider";
            return report.failed("probe", &detail, Some(remedy), Exit::Unavailable);
        }
        Delivery::ChannelRefused(_, why) | Delivery::InDoubt(why) => {
            return report.error("probe", &why, Exit::Unavailable);
        }
    }
    let token = reply.message_id.as_str().to_owned();
    match wait_for(config, &token, started, patience).await {
        Some((mailbox, folder)) => {
            let took = Timestamp::now().duration_since(started).as_secs();
            report.fine("probe", &format!("its bounce reached {mailbox}, folder {folder}, after {took} s"));
        }
        None => {
            let detail = format!("no bounce of it reached a watched mailbox within {} s", patience.as_secs());
            let remedy = "it may lie elsewhere: look into the mailbox of `from` and its junk folder; docs/feeding tells how bounces are brought here";
            report.failed("probe", &detail, Some(remedy), Exit::TryAgain);
        }
    }
}

/// An ordinary message with our mark.
fn message(config: &Config, to: &Address, now: Timestamp) -> Reply {
    let from = &config.outbound.from;
    let id = format!("wb.probe-{}-{}@{}", now.as_nanosecond(), std::process::id(), from.domain());
    let message_id = MessageId::parse(&id).unwrap_or_else(|| unreachable!("a sound id"));
    let date = now.strftime("%a, %d %b %Y %H:%M:%S +0000");
    let text = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: whybounced check --probe\r\nDate: {date}\r\n\
         Message-ID: <{id}>\r\nX-Whybounced: probe\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n\
         A test of whybounced: this message is meant to bounce. No answer is needed.\r\n"
    );
    Reply { message_id, to: to.clone(), bytes: text.into_bytes() }
}

/// With an envelope sender: a null one gets no bounce (RFC 5321 §6.1).
async fn send(config: &Config, reply: &Reply) -> Delivery {
    let mut settings = config.outbound.clone();
    if let Route::Smtp { reverse_path, .. } = &mut settings.route {
        *reverse_path = ReversePathMode::From;
    }
    let mut sender = Sender::new(settings, None);
    let delivery = sender.deliver(reply, || async { Ok(()) }).await.delivery;
    sender.close().await;
    delivery
}

/// Mailbox and folder in which the bounce came to lie.
async fn wait_for(config: &Config, token: &str, since: Timestamp, patience: Duration) -> Option<(String, String)> {
    let end = Instant::now() + patience;
    let mut watched: Vec<Watched> = config.mailboxes.iter().map(Watched::new).collect();
    loop {
        for it in &mut watched {
            if let Some(folder) = it.find(token, since).await {
                let name = it.name.clone();
                for it in &mut watched {
                    it.mailbox.close().await;
                }
                return Some((name, folder));
            }
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One mailbox, and how far each folder was looked through.
struct Watched {
    name: String,
    mailbox: Mailbox,
    cursors: Vec<Option<Cursor>>,
}

impl Watched {
    /// Only examined, and by headers first, whatever the role: the daemon's work is not ours.
    fn new(settings: &Settings) -> Self {
        let mut settings = settings.clone();
        settings.after = After::Leave;
        if let Some(anybody) = Address::parse("probe@localhost.invalid").filter(|_| settings.role == Role::Central) {
            settings.role = Role::Member(anybody);
        }
        let name = settings.name.clone();
        let mailbox = Mailbox::new(settings);
        let cursors = vec![None; mailbox.folders().len()];
        Self { name, mailbox, cursors }
    }

    /// The folder that holds a message in which the token stands. What fails is tried again at the next look.
    async fn find(&mut self, token: &str, since: Timestamp) -> Option<String> {
        self.mailbox.connect().await.ok()?;
        // IMAP searches by whole days.
        let since = since - SignedDuration::from_hours(1);
        for (folder, cursor) in self.mailbox.folders().into_iter().zip(&mut self.cursors) {
            loop {
                let Ok(scan) = self.mailbox.scan(&folder, *cursor, Some(since)).await else { break };
                for found in scan.found.iter().filter(|it| it.received >= since) {
                    let Ok(Some(message)) = self.mailbox.fetch(found).await else { continue };
                    if message.bytes.windows(token.len()).any(|it| it == token.as_bytes()) {
                        return Some(folder);
                    }
                }
                *cursor = scan.cursor;
                if !scan.more || cursor.is_none() {
                    break;
                }
            }
        }
        None
    }
}
