//! `serve`: the review page alone, on an existing journal, beside a daemon or without one.
//!
//! What it puts into the outbox is sent by the daemon; rules that it saves are taken up when the
//! daemon reads its configuration again.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{Exit, Failure, Terminal, journal};
use crate::{
    config::{self, Config, Secrets},
    journal::{Access, Journal},
    review::web::{self, Current, Sessions, Site},
};

/// Where the page listens if nothing says so.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8025);

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port instead of review.listen.
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(path: &Path, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let config = config::load(path, Secrets::Skip)?;
    super::logging::start(&config.log)?;
    let listen = args.listen.or(config.review.listen).unwrap_or(LISTEN);
    let guarded = config.review.password_file.is_some() || config.review.proxy.is_some();
    if !listen.ip().is_loopback() && !guarded {
        let failure =
            Failure::new(Exit::Configuration, format!("{listen} is open to others, and there is no password"));
        return Err(failure.hint("set review.password_file, or listen on 127.0.0.1"));
    }
    super::block_on(serve(config, listen, terminal))?
}

/// Serves until SIGINT or SIGTERM.
pub(super) async fn serve(config: Config, listen: SocketAddr, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let journal = Journal::open(&config.journal, Access::Write).await.map_err(|error| journal::failure(&error))?;
    let unusable = |error: std::io::Error| {
        let failure = Failure::new(Exit::Unavailable, format!("the review page cannot be opened on {listen}: {error}"));
        failure.hint("is it open already (review.listen)? `--listen 127.0.0.1:8026` takes another port")
    };
    let site = Site::new(Arc::new(config), journal.clone(), None, Arc::<Sessions>::default()).map_err(unusable)?;
    let listener = TcpListener::bind(listen).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    writeln!(terminal.err(), "The review page is at http://{address}/ until Ctrl-C.")?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unusable)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unusable)?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    web::serve(listener, Arc::new(Current::new(site)), stop).await;
    journal.close().await;
    Ok(Exit::Fine)
}
