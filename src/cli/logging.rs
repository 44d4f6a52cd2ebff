//! Where the log goes and what is in it.
//!
//! Under systemd, where standard error leads to its journal, each event goes there with its
//! fields (`bounce_id`, `cause`, `recipient_domain`, …); else to standard error. async-imap would
//! show passwords and mail at its lower levels, so it is held to warnings whatever the filter says.

use std::{
    env, fs,
    io::{self, IsTerminal as _},
    os::unix::fs::MetadataExt as _,
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::{Exit, Failure};
use crate::config::{LogSettings, LogTarget};

/// The variable that overrides `log.filter`.
const VARIABLE: &str = "WHYBOUNCED_LOG";

/// Starts logging, once in a process.
pub fn start(settings: &LogSettings) -> Result<(), Failure> {
    let wanted = env::var(VARIABLE).unwrap_or_else(|_| settings.filter.clone());
    let filter: EnvFilter = wanted.parse().map_err(|error| {
        Failure::new(Exit::Configuration, format!("`{wanted}` is not a log filter: {error}"))
            .hint(format!("{VARIABLE} and log.filter take a level such as info, or whybounced::source=debug,info"))
    })?;
    let layer = target(settings.to)?;
    tracing_subscriber::registry()
        .with(layer)
        .with(filter)
        .with(filter_fn(harmless))
        .try_init()
        .map_err(|error| Failure::new(Exit::Fault, format!("cannot start logging: {error}")))
}

/// Starts logging to standard error for a command that a person runs: only if `WHYBOUNCED_LOG`
/// asks for it.
pub fn start_if_asked() -> Result<(), Failure> {
    if env::var_os(VARIABLE).is_none() {
        return Ok(());
    }
    start(&LogSettings { filter: "warn".to_owned(), to: LogTarget::Stderr })
}

fn target(to: LogTarget) -> Result<Box<dyn Layer<Registry> + Send + Sync>, Failure> {
    let plain = || {
        let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        fmt::layer().with_writer(io::stderr).with_ansi(colour).boxed()
    };
    Ok(match to {
        LogTarget::Auto => match tracing_journald::layer() {
            Ok(journal) if leads_to_journal(env::var("JOURNAL_STREAM").ok().as_deref()) => journal.boxed(),
            _ => plain(),
        },
        LogTarget::Journald => tracing_journald::layer()
            .map_err(|error| {
                Failure::new(Exit::Configuration, format!("log.to = \"journald\": {error}"))
                    .hint("without systemd's journal use \"stderr\"")
            })?
            .boxed(),
        LogTarget::Stderr => plain(),
        LogTarget::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
    })
}

/// Whether standard error is the stream that systemd connected to its journal
/// (`JOURNAL_STREAM=device:inode`, systemd.exec(5)).
fn leads_to_journal(stream: Option<&str>) -> bool {
    let Ok(stderr) = fs::metadata("/proc/self/fd/2") else { return false };
    stream.is_some_and(|stream| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Crates that write secrets or mail into their log, at every level below warnings
/// (`async_imap::imap_stream`: LOGIN with the password).
fn harmless(metadata: &Metadata<'_>) -> bool {
    let telltale = ["async_imap", "imap_proto", "lettre"];
    let named = |target: &str| telltale.iter().any(|name| target.split("::").next() == Some(name));
    !named(metadata.target()) || *metadata.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn async_imap_is_held_to_warnings_whatever_the_filter_says() {
        let log = Log::default();
        let writer = log.clone();
        let layer = fmt::layer().with_writer(move || writer.clone());
        let filter: EnvFilter = "trace,async_imap::imap_stream=trace".parse().expect("a filter");
        let subscriber = tracing_subscriber::registry().with(layer).with(filter).with(filter_fn(harmless));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "async_imap::imap_stream", "LOGIN hunter2");
            tracing::warn!(target: "async_imap::client", "worth a word");
            tracing::trace!(target: "whybounced", "ours");
        });
        let text = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("worth a word") && text.contains("ours"), "{text}");
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let stderr = fs::metadata("/proc/self/fd/2").expect("there is one");
        assert!(leads_to_journal(Some(&format!("{}:{}", stderr.dev(), stderr.ino()))));
        assert!(!leads_to_journal(Some("1:2")) && !leads_to_journal(None));
    }
}
