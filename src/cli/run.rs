//! `run [--once]`: the daemon, or one pass over what is there.
//!
//! Exit 78 where configuration, rules or texts are wrong, 69 where the journal cannot be used, 75
//! where `--once` left a mailbox or a row, or where stopping took too long.

use std::{path::Path, time::Duration};

use tokio::runtime::{Builder, Runtime};

use super::{Exit, Failure, journal, logging};
use crate::{
    app::{self, Ended, Engine, Left, StartError},
    config::{self, Config, Secrets},
    journal::{Access, Journal},
};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Work off what is in the folders and what is due, then end.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(path: &Path, args: &Args) -> Result<Exit, Failure> {
    let config = config::load(path, Secrets::Read)?;
    logging::start(&config.log)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if args.once {
        let left = once(config)?;
        return Ok(if left == Left::default() { Exit::Fine } else { Exit::TryAgain });
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(app::run(config, || config::load(path, Secrets::Read))).map_err(failure);
    // What did not end in time holds nothing that is not on record.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(match ended? {
        Ended::Cleanly => Exit::Fine,
        Ended::Overrun => Exit::TryAgain,
    })
}

/// One pass, as `run --once` and `demo` make it.
pub(super) fn once(config: Config) -> Result<Left, Failure> {
    runtime()?.block_on(async {
        let journal = Journal::open(&config.journal, Access::Daemon).await.map_err(|error| journal::failure(&error))?;
        let engine = Engine::new(config, journal).map_err(failure)?;
        app::run_once(engine).await.map_err(failure)
    })
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Fault, format!("cannot start: {error}")))
}

fn failure(error: StartError) -> Failure {
    match error {
        StartError::Journal(error) => journal::failure(&error),
        StartError::Catalogue(_) | StartError::Texts(_) | StartError::Directory { .. } => {
            Failure::with_hint(Exit::Configuration, &error.to_string())
        }
        StartError::Resolver(_) => Failure::with_hint(Exit::Unavailable, &error.to_string()),
    }
}
