//! Waits for news by IDLE (RFC 2177), and by the clock in any case.
//!
//! Every line of the IDLE is seen here, from the command to its tagged end, so that no EXISTS is
//! lost; keep-alive lines do not push our own deadline back. Cancelling ends the waiting, never
//! the protocol: DONE is said and its answer read.

use std::time::Duration;

use async_imap::imap_proto::{MailboxDatum, Response};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Account, Selected, Session,
    wire::{Command, Fault},
};
use crate::source::{Error, Wake};

/// IDLE is begun anew well before the 29 minutes of RFC 2177 §3, and a session without IDLE is
/// kept alive.
const RENEW: Duration = Duration::from_mins(20);
/// The server answers IDLE and DONE at once or not at all.
const PROMPT: Duration = Duration::from_secs(10);
/// At the end nobody waits longer for the answer to DONE.
const AT_THE_END: Duration = Duration::from_secs(2);

/// What ended one IDLE.
enum Idled {
    News,
    Deadline,
    Stopped,
    /// The server does not do what it promised.
    Refused,
}

impl Account {
    pub(in crate::source) async fn wait(&mut self, cancel: &CancellationToken) -> Result<Wake, Error> {
        let mut session = self.take()?;
        let result = self.wait_in(&mut session, cancel).await;
        self.keep(session, result)
    }

    async fn wait_in(&mut self, session: &mut Session, cancel: &CancellationToken) -> Result<Wake, Error> {
        let poll = Instant::now() + self.settings.poll_interval;
        self.fruitless = self.fruitless.saturating_add(1);
        if let Some(pause) = pause_after(self.fruitless) {
            // A server that tells of messages that are not there would keep us running in a circle.
            tokio::select! {
                () = cancel.cancelled() => return Ok(Wake::Stopped),
                () = sleep_until(poll.min(Instant::now() + pause)) => {}
            }
        }
        let first = self.settings.folders.first().cloned().unwrap_or_default();
        let mut idle = self.settings.idle && !self.idle_is_broken && session.capabilities.has("IDLE");
        if idle && session.selected.as_ref().is_none_or(|it| it.folder != first) {
            // Something may have come while another folder was looked at.
            match session.has_beyond(&self.settings, &first, self.scanned.get(&first)).await {
                Ok(true) => return Ok(Wake::News),
                Ok(false) => {}
                Err(error) if error.session_lives() => idle = false,
                Err(error) => return Err(error),
            }
        }
        if idle && session.selected.as_ref().is_some_and(|it| it.exists > it.searched) {
            // It came after the search and before the IDLE: the server will not tell it again.
            return Ok(Wake::News);
        }
        loop {
            let until = turn(Instant::now(), poll);
            if idle {
                match session.idle(until, cancel).await {
                    Ok(Idled::News) => return Ok(Wake::News),
                    Ok(Idled::Stopped) => return Ok(Wake::Stopped),
                    Ok(Idled::Deadline) => {}
                    Ok(Idled::Refused) => {
                        self.idle_is_broken = true;
                        idle = false;
                        tracing::warn!(mailbox = %self.settings.name, "the server refuses IDLE: polling instead");
                    }
                    Err(fault) => {
                        self.idle_is_broken |= matches!(fault, Fault::TimedOut(_));
                        return Err(self.settings.error("IDLE", fault));
                    }
                }
            } else {
                tokio::select! {
                    () = cancel.cancelled() => return Ok(Wake::Stopped),
                    () = sleep_until(until) => {}
                }
            }
            if Instant::now() >= poll {
                self.fruitless = 0;
                return Ok(Wake::Poll);
            }
            if !idle {
                let noop = session.run(&self.settings, &Command::new("NOOP"), &mut |_| ()).await;
                noop.map_err(|fault| self.settings.error("NOOP", fault))?;
            }
        }
    }
}

impl Session {
    async fn idle(&mut self, until: Instant, cancel: &CancellationToken) -> Result<Idled, Fault> {
        let mut news = false;
        let begun = async {
            let mut each = |it: &Response<'_>| news |= is_news(it, &mut self.selected);
            let tag = self.wire.begin(&Command::new("IDLE"), &mut each).await?;
            self.wire.go_ahead(&tag, &mut each).await.map(|()| tag)
        };
        let tag = match timeout(PROMPT, begun).await {
            Ok(Ok(tag)) => tag,
            Ok(Err(Fault::Refused(_))) => return Ok(Idled::Refused),
            Ok(Err(fault)) => return Err(fault),
            Err(_) => return Err(Fault::TimedOut(PROMPT)),
        };
        let mut ended = Idled::Deadline;
        while !news {
            let line = self.wire.read_until(until, |response| match response {
                // The server has ended the IDLE of its own accord: idling on would be a hot loop.
                Response::Done { tag: found, .. } if found.0 == tag => None,
                other => Some(is_news(other, &mut self.selected)),
            });
            tokio::select! {
                biased;
                () = cancel.cancelled() => { ended = Idled::Stopped; break }
                line = line => match line? {
                    Some(Some(found)) => news = found,
                    Some(None) => return Ok(Idled::Refused),
                    None => break,
                },
            }
        }
        if news {
            ended = Idled::News;
        }
        let patience = if matches!(ended, Idled::Stopped) { AT_THE_END } else { PROMPT };
        let done = async {
            self.wire.write_line(b"DONE").await?;
            self.wire.finish(&tag, &mut |it| news |= is_news(it, &mut self.selected)).await
        };
        match timeout(patience, done).await {
            Ok(Ok(())) => {}
            Ok(Err(Fault::Refused(_))) => return Ok(Idled::Refused),
            Ok(Err(fault)) => return Err(fault),
            Err(_) => return Err(Fault::TimedOut(patience)),
        }
        Ok(if news && matches!(ended, Idled::Deadline) { Idled::News } else { ended })
    }
}

/// New messages; flags and expunges of others are no news to us.
fn is_news(response: &Response<'_>, selected: &mut Option<Selected>) -> bool {
    if let Some(selected) = selected {
        selected.note(response);
    }
    matches!(response, Response::MailboxData(MailboxDatum::Exists(_) | MailboxDatum::Recent(_)))
}

/// One turn of waiting ends here: at the poll, but no later than IDLE must be begun anew.
fn turn(now: Instant, poll: Instant) -> Instant {
    poll.min(now + RENEW)
}

/// Some news that are none are normal (a message that came and went, a look at another folder);
/// a row of them is not.
fn pause_after(fruitless: u32) -> Option<Duration> {
    let beyond = fruitless.checked_sub(6)?;
    Some(Duration::from_millis(500).saturating_mul(1 << beyond.min(10)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_begun_anew_before_the_29_minutes_are_over_and_never_later_than_the_poll() {
        let now = Instant::now();
        let minutes = |it| now + Duration::from_mins(it);
        assert_eq!(turn(now, minutes(1)), minutes(1));
        assert!(turn(now, minutes(24 * 60)) < minutes(29));
    }

    #[test]
    fn news_that_are_none_are_slowed_down() {
        assert_eq!(pause_after(5), None);
        assert!(pause_after(6) < pause_after(9));
        assert!(pause_after(u32::MAX).is_some_and(|it| it < Duration::from_mins(10)));
    }
}
