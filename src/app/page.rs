//! The review page beside the daemon: opened where the configuration says, told how the daemon is.
//! It stays open, and people stay logged in, while the configuration is read again. Whatever becomes
//! of the page, the daemon goes on.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{after, engine::Engine, health::MailboxHealth};
use crate::review::web::{self, Current, MailboxState, Running, Sessions, Site};

/// Between two tries to open the page.
const RETRY: Duration = Duration::from_secs(30);
/// Requests under way may take this long once we are told to stop.
const GRACE: Duration = Duration::from_secs(1);

/// The page, if there is one.
#[derive(Default)]
pub(super) struct Page {
    open: Option<Open>,
    sessions: Arc<Sessions>,
}

struct Open {
    address: SocketAddr,
    site: Arc<Current>,
    stop: CancellationToken,
}

impl Page {
    /// Opens, changes or closes the page, as the configuration says now.
    pub(super) fn renew(&mut self, engine: &Arc<Engine>, health: &[Arc<MailboxHealth>]) {
        let Some(address) = engine.config.review.listen else { return self.close() };
        let running = Arc::new(Beside { engine: Arc::clone(engine), health: health.to_vec() });
        let config = Arc::new(engine.config.clone());
        let site = match Site::new(config, engine.journal.clone(), Some(running), Arc::clone(&self.sessions)) {
            Ok(site) => site,
            Err(error) => {
                tracing::error!(%error, "the review page stays as it was; mend its password file and reload");
                return;
            }
        };
        match &self.open {
            Some(open) if open.address == address => open.site.replace(site),
            Some(_) | None => {
                self.close();
                let (site, stop) = (Arc::new(Current::new(site)), CancellationToken::new());
                tokio::spawn(keep_open(address, Arc::clone(&site), stop.clone()));
                self.open = Some(Open { address, site, stop });
            }
        }
    }

    /// Closes it; requests under way have a second.
    pub(super) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.stop.cancel();
        }
    }
}

async fn keep_open(address: SocketAddr, site: Arc<Current>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match TcpListener::bind(address).await {
            Ok(listener) => tokio::select! {
                () = web::serve(listener, Arc::clone(&site), stop.clone().cancelled_owned()) => {}
                () = after(&stop, GRACE) => {}
            },
            Err(error) => tracing::error!(%address, %error, "the review page cannot be opened; tried again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

struct Beside {
    engine: Arc<Engine>,
    health: Vec<Arc<MailboxHealth>>,
}

impl Running for Beside {
    fn mailboxes(&self) -> Vec<MailboxState> {
        self.health.iter().map(|it| MailboxState { name: it.name.clone(), trouble: it.trouble() }).collect()
    }

    fn wake(&self) {
        self.engine.outbox_news.notify_one();
    }

    fn reload(&self) {
        self.engine.reload_asked.notify_one();
    }
}
