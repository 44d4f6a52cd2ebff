//! Which messages lie beyond the cursor, in batches, the oldest first.

use std::collections::{BTreeMap, BTreeSet};

use async_imap::imap_proto::{AttributeValue, MailboxDatum, Response};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::{
    Account, Selected, Session, Settings,
    wire::{Command, Fault},
};
use crate::{
    mail::{MessageRef, Role},
    source::{Cursor, Error, Found, SCAN_LIMIT, Scan, candidate},
};

/// A search is asked about so many messages at once, so that its one-line answer stays bounded.
const WINDOW: u32 = 20_000;
/// Headers are fetched for so many messages at once.
const BATCH: usize = 100;

/// What is known of a message before it is fetched.
#[derive(Clone, Debug, Default)]
struct Facts {
    size: u64,
    received: Option<Timestamp>,
    header: Vec<u8>,
}

impl Account {
    pub(in crate::source) async fn scan(
        &mut self,
        folder: &str,
        cursor: Option<Cursor>,
        since: Option<Timestamp>,
    ) -> Result<Scan, Error> {
        let mut session = self.take()?;
        let result = session.scan(&self.settings, folder, cursor, since).await;
        if let Ok(Scan { cursor: Some(cursor), more: false, .. }) = &result
            && self.scanned.insert(folder.to_owned(), *cursor) != Some(*cursor)
        {
            self.fruitless = 0;
        }
        self.keep(session, result)
    }
}

impl Session {
    async fn scan(
        &mut self,
        settings: &Settings,
        folder: &str,
        cursor: Option<Cursor>,
        since: Option<Timestamp>,
    ) -> Result<Scan, Error> {
        if self.selected.as_ref().is_some_and(|it| it.folder == folder) {
            // Some servers tell of new messages only when asked (RFC 9051 §6.1.2).
            self.run(settings, &Command::new("NOOP"), &mut |_| ()).await.map_err(|it| settings.error("NOOP", it))?;
        }
        let selected = self.select(settings, folder).await?;
        let valid = cursor.filter(|it| it.uid_validity == selected.uid_validity);
        let known = valid.map_or(0, |it| it.uid);
        let mut scan = Scan { renumbered: cursor.is_some() && valid.is_none(), ..Scan::default() };
        let since = if known == 0 { since } else { None };
        let mut uids = self.search(settings, &selected, known, since).await?;
        scan.more = uids.len() > SCAN_LIMIT;
        while uids.len() > SCAN_LIMIT {
            uids.pop_last();
        }
        let last = uids.last().copied().unwrap_or(known);
        scan.cursor = Some(Cursor { uid_validity: selected.uid_validity, uid: last });
        let uids: Vec<u32> = uids.into_iter().collect();
        for batch in uids.chunks(BATCH) {
            for (uid, facts) in self.facts(settings, batch).await? {
                if matches!(settings.role, Role::Member(_)) && !candidate::likely_bounce(&facts.header) {
                    continue;
                }
                let key = Cursor { uid_validity: selected.uid_validity, uid }.to_string();
                let reference = MessageRef { account: settings.name.clone(), folder: folder.to_owned(), key };
                let received = facts.received.unwrap_or(Timestamp::UNIX_EPOCH);
                scan.found.push(Found { reference, size: facts.size, received });
            }
        }
        Ok(scan)
    }

    /// Selects the folder; whether it holds messages beyond what was scanned last.
    pub(super) async fn has_beyond(
        &mut self,
        settings: &Settings,
        folder: &str,
        scanned: Option<&Cursor>,
    ) -> Result<bool, Error> {
        let selected = self.select(settings, folder).await?;
        let Some(cursor) = scanned.filter(|it| it.uid_validity == selected.uid_validity) else {
            return Ok(scanned.is_some());
        };
        Ok(!self.search(settings, &selected, cursor.uid, None).await?.is_empty())
    }

    /// The lowest UIDs beyond `known`, one more than a scan hands over.
    ///
    /// The windows go from the newest messages down: one that is expunged between two searches
    /// moves the others down, into a window still to come.
    async fn search(
        &mut self,
        settings: &Settings,
        selected: &Selected,
        known: u32,
        since: Option<Timestamp>,
    ) -> Result<BTreeSet<u32>, Error> {
        if let Some(current) = &mut self.selected {
            current.searched = selected.exists;
        }
        let mut lowest = BTreeSet::new();
        let Some(first) = known.checked_add(1) else { return Ok(lowest) };
        let date = since.and_then(search_date).map(|date| format!(" SINCE {date}")).unwrap_or_default();
        let mut end = selected.exists;
        loop {
            let start = end.saturating_sub(1) / WINDOW * WINDOW + 1;
            let window = if selected.exists <= WINDOW { String::new() } else { format!("{start}:{end} ") };
            let command = Command::new(&format!("UID SEARCH {window}UID {first}:*{date}"));
            let mut each = |response: &Response<'_>| {
                if let Response::MailboxData(MailboxDatum::Search(found)) = response {
                    for uid in found {
                        // `n:*` always names the last message, however low its UID.
                        if *uid > known {
                            keep(&mut lowest, *uid);
                        }
                    }
                }
            };
            match self.run(settings, &command, &mut each).await {
                Ok(()) => {}
                Err(Fault::Refused(refusal)) => {
                    return Err(settings.folder_error(&selected.folder, "UID SEARCH", &refusal.text));
                }
                Err(fault) => return Err(settings.error("UID SEARCH", fault)),
            }
            end = start - 1;
            if end == 0 {
                return Ok(lowest);
            }
        }
    }

    /// Size and date, and of a member's messages the headers that tell a bounce.
    async fn facts(&mut self, settings: &Settings, uids: &[u32]) -> Result<BTreeMap<u32, Facts>, Error> {
        let list: Vec<String> = uids.iter().map(u32::to_string).collect();
        let header = match settings.role {
            Role::Central => String::new(),
            Role::Member(_) => format!(" BODY.PEEK[HEADER.FIELDS ({})]<0.16384>", candidate::FIELDS.join(" ")),
        };
        let command = Command::new(&format!("UID FETCH {} (UID RFC822.SIZE INTERNALDATE{header})", list.join(",")));
        let mut facts: BTreeMap<u32, Facts> = BTreeMap::new();
        let mut each = |response: &Response<'_>| {
            let Response::Fetch(_, attributes) = response else { return };
            let Some(uid) = uid_of(attributes).filter(|uid| uids.binary_search(uid).is_ok()) else { return };
            let fact = facts.entry(uid).or_default();
            for attribute in attributes {
                match attribute {
                    AttributeValue::Rfc822Size(size) => fact.size = u64::from(*size),
                    AttributeValue::InternalDate(date) => fact.received = internal_date(date),
                    AttributeValue::BodySection { data: Some(data), .. } => fact.header = data.to_vec(),
                    _ => {}
                }
            }
        };
        match self.run(settings, &command, &mut each).await {
            Ok(()) => {}
            Err(Fault::Refused(refusal)) => {
                let folder = self.selected.as_ref().map(|it| it.folder.clone()).unwrap_or_default();
                return Err(settings.folder_error(&folder, "UID FETCH", &refusal.text));
            }
            Err(fault) => return Err(settings.error("UID FETCH", fault)),
        }
        Ok(facts)
    }
}

/// One more than a scan hands over, the lowest, however many a server names.
fn keep(lowest: &mut BTreeSet<u32>, uid: u32) {
    lowest.insert(uid);
    if lowest.len() > SCAN_LIMIT + 1 {
        lowest.pop_last();
    }
}

pub(super) fn uid_of(attributes: &[AttributeValue<'_>]) -> Option<u32> {
    attributes.iter().find_map(|it| match it {
        AttributeValue::Uid(uid) => Some(*uid),
        _ => None,
    })
}

/// `17-Jul-2026 02:44:25 +0800` (RFC 9051 §9, `date-time`); the day may begin with a blank.
pub(super) fn internal_date(text: &str) -> Option<Timestamp> {
    Timestamp::strptime("%d-%b-%Y %H:%M:%S %z", text.trim()).ok()
}

/// A day before `since`: SEARCH compares dates in the server's own zone (RFC 9051 §6.4.4).
fn search_date(since: Timestamp) -> Option<String> {
    let day = since.to_zoned_datetime(TimeZone::UTC).date().checked_sub(1.day()).ok()?;
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .get(usize::try_from(day.month()).ok()?.checked_sub(1)?)?;
    Some(format!("{}-{month}-{:04}", day.day(), day.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_number_of_messages_the_lowest_are_kept() {
        let mut lowest = BTreeSet::new();
        (1..=40_000).rev().chain(50_000..60_000).for_each(|uid| keep(&mut lowest, uid));
        assert_eq!((lowest.len(), lowest.last()), (SCAN_LIMIT + 1, Some(&501)));
    }

    #[test]
    fn dates_are_read_and_written_as_imap_has_them() {
        let then = internal_date(" 7-Jul-2026 02:44:25 +0800").expect("well formed");
        assert_eq!(then.to_string(), "2026-07-06T18:44:25Z");
        assert_eq!(search_date(then).as_deref(), Some("5-Jul-2026"));
        assert_eq!(internal_date("yesterday"), None);
    }
}
