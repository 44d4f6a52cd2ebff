//! Carries out `after`, with proof that the message is on record.

use super::{
    Account, Session, Settings, utf7,
    wire::{Command, Fault},
};
use crate::{
    mail::Recorded,
    source::{After, Cursor, Error, Kind, Outcome, Settled},
};

impl Account {
    pub(in crate::source) async fn settle(&mut self, recorded: &Recorded, outcome: Outcome) -> Result<Settled, Error> {
        if outcome == Outcome::Other || self.settings.after == After::Leave {
            return Ok(Settled::Done);
        }
        let reference = recorded.reference();
        let Ok(place) = reference.key.parse::<Cursor>() else {
            let why = format!("`{}` is not a message of this mailbox", reference.key);
            return Err(Error::new(&self.settings.name, self.settings.endpoint.place(), Kind::Folder, why));
        };
        let mut session = self.take()?;
        let result = session.settle(&self.settings, &reference.folder, place).await;
        let result = self.keep(session, result);
        if matches!(result, Ok(Settled::MarkedInstead)) && !self.warned_of_move {
            self.warned_of_move = true;
            tracing::warn!(
                mailbox = %self.settings.name,
                "the server has neither MOVE nor UIDPLUS: messages are marked as seen instead of moved"
            );
        }
        result
    }
}

impl Session {
    async fn settle(&mut self, settings: &Settings, folder: &str, place: Cursor) -> Result<Settled, Error> {
        let selected = self.select(settings, folder).await?;
        if selected.uid_validity != place.uid_validity {
            return Ok(Settled::Stale);
        }
        if selected.read_only {
            return Err(settings.read_only(folder));
        }
        let uid = place.uid;
        match &settings.after {
            After::Leave => Ok(Settled::Done),
            After::Seen => self.store(settings, folder, uid, "\\Seen").await.map(|()| Settled::Done),
            After::Move(target) => self.move_to(settings, folder, uid, target).await,
        }
    }

    async fn store(&mut self, settings: &Settings, folder: &str, uid: u32, flag: &str) -> Result<(), Error> {
        let command = Command::new(&format!("UID STORE {uid} +FLAGS.SILENT ({flag})"));
        self.in_folder(settings, folder, "UID STORE", &command).await
    }

    /// MOVE (RFC 6851), else COPY and an expunge of this message alone (RFC 4315); a bare EXPUNGE
    /// would delete what other people have marked.
    async fn move_to(&mut self, settings: &Settings, folder: &str, uid: u32, target: &str) -> Result<Settled, Error> {
        if self.capabilities.has("MOVE") {
            self.bring_to(settings, folder, "UID MOVE", uid, target).await?;
            return Ok(Settled::Done);
        }
        self.store(settings, folder, uid, "\\Seen").await?;
        if !self.capabilities.has("UIDPLUS") {
            return Ok(Settled::MarkedInstead);
        }
        self.bring_to(settings, folder, "UID COPY", uid, target).await?;
        self.store(settings, folder, uid, "\\Deleted").await?;
        self.in_folder(settings, folder, "UID EXPUNGE", &Command::new(&format!("UID EXPUNGE {uid}"))).await?;
        Ok(Settled::Done)
    }

    /// MOVE or COPY; a missing target is created, once.
    async fn bring_to(
        &mut self,
        settings: &Settings,
        folder: &str,
        verb: &str,
        uid: u32,
        target: &str,
    ) -> Result<(), Error> {
        let name = utf7::encode(target);
        let command = Command::new(&format!("{verb} {uid}")).string(&name);
        match self.run(settings, &command, &mut |_| ()).await {
            Ok(()) => return Ok(()),
            Err(Fault::Refused(refusal)) if !refusal.bad => {}
            Err(fault) => return Err(settings.error(verb, fault)),
        }
        match self.run(settings, &Command::new("CREATE").string(&name), &mut |_| ()).await {
            Ok(()) | Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(settings.error("CREATE", fault)),
        }
        let hint = format!("`after = \"move:{target}\"`: may the login create and write that folder?");
        self.in_folder(settings, folder, verb, &command).await.map_err(|error| error.with_hint(hint))
    }

    /// A command whose refusal is the folder's trouble alone.
    async fn in_folder(
        &mut self,
        settings: &Settings,
        folder: &str,
        verb: &str,
        command: &Command,
    ) -> Result<(), Error> {
        match self.run(settings, command, &mut |_| ()).await {
            Ok(()) => Ok(()),
            Err(Fault::Refused(refusal)) => Err(settings.folder_error(folder, verb, &refusal.text)),
            Err(fault) => Err(settings.error(verb, fault)),
        }
    }
}
