//! `ingest`: one message from an MTA's pipe, on record before the MTA is told so.

use jiff::Timestamp;

use super::engine::Engine;
use crate::{
    journal,
    mail::RawMessage,
    source::{Found, Outcome},
};

/// What became of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ingested {
    /// On record, now or since an earlier time.
    Recorded(Outcome),
    /// It broke the pipeline; handed over again it is tried twice more.
    Failed,
    /// It broke the pipeline for the third time: on record as left alone.
    SetAside,
}

/// Handles one message beside a running daemon or without one. The daemon finds the explanation
/// among its due rows; nothing is sent from here, and no mailbox is opened.
pub async fn ingest(engine: Engine, message: RawMessage) -> Result<Ingested, journal::Error> {
    let found = Found { reference: message.reference.clone(), size: message.size, received: message.received };
    let engine = std::sync::Arc::new(engine);
    let journal = engine.journal.clone();
    let set_aside = journal.poisoned(&found.reference).await? >= super::watch::MOST_POINTS;
    let ingested = if set_aside {
        engine.set_aside(&found).await?;
        Ingested::SetAside
    } else {
        let worker = std::sync::Arc::clone(&engine);
        match tokio::spawn(async move { worker.handle(message).await }).await {
            Ok(handled) => Ingested::Recorded(handled?.outcome),
            Err(_) => {
                let points = super::watch::BROKE;
                journal.poison(&found.reference, points, "the program failed on it", Timestamp::now()).await?;
                Ingested::Failed
            }
        }
    };
    journal.close().await;
    Ok(ingested)
}
