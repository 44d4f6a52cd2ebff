//! `diagnose PATH…`: why messages bounced, without configuration or network.
//!
//! All cores work, one message each; results are printed in the order of the paths as soon as
//! they are known. What is read ahead is bounded, and a reader who goes away ends the work.

mod inputs;
pub mod line;
mod stages;
mod text;

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use self::{
    inputs::{Content, Input},
    line::{ErrorLine, Line},
};
use super::{Exit, Failure, Format, Terminal};
use crate::{bounce::Bounce, diagnosis::Home};

/// Arguments of `diagnose`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Messages, mboxes (named `mbox` or `*.mbox`), Maildirs, folders (with all below), `-` for
    /// standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Every file is an mbox.
    #[arg(long)]
    mbox: bool,
    /// Where our side stands (ISO 3166, such as CN); else told from the author's domain.
    #[arg(long, value_name = "CC", value_parser = country)]
    home_country: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A country code of two letters, upper-cased.
pub fn country(text: &str) -> Result<String, String> {
    let sound = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    if sound { Ok(text.to_ascii_uppercase()) } else { Err("expected a country code of two letters, such as CN".into()) }
}

/// Where our side stands: the country if one is named, else mainland China only when the author's
/// domain is under `.cn` or `.中国` (`design.md` §5).
#[must_use]
pub fn home_of(bounce: &Bounce, country: Option<&str>) -> Home {
    let mainland = match country {
        Some(country) => country == "CN",
        None => bounce.original.as_ref().and_then(|it| it.from.as_ref()).is_some_and(|author| {
            let top = author.domain().rsplit('.').next().unwrap_or_default();
            matches!(top, "cn" | "中国" | "xn--fiqs8s")
        }),
    };
    if mainland { Home::MainlandChina } else { Home::Elsewhere }
}

/// A result to be printed: a line, or why there is none.
type Outcome = Result<Line, ErrorLine>;

/// How many messages may be ahead of the printer.
const READ_AHEAD: usize = 256;
/// A MIME tree of the allowed depth fits (`crates.md` M1).
const STACK: usize = 8 * 1024 * 1024;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (jobs, queue) = sync_channel::<(Input, Sender<Outcome>)>(READ_AHEAD);
    let queue = Mutex::new(queue);
    let (order, results) = sync_channel::<(String, Receiver<Outcome>)>(READ_AHEAD);
    let (args_ref, queue) = (args, &queue);
    thread::scope(|scope| {
        for _ in 0..workers {
            thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, move || work(args_ref, queue))
                .map_err(|error| Failure::new(Exit::Fault, format!("cannot start a thread: {error}")))?;
        }
        scope.spawn(move || enumerate(args_ref, &jobs, &order));
        print(args, results, terminal)
    })
}

/// Hands out the messages in order: to the printer a place in the line, to the workers the work.
fn enumerate(
    args: &Args,
    jobs: &SyncSender<(Input, Sender<Outcome>)>,
    order: &SyncSender<(String, Receiver<Outcome>)>,
) {
    inputs::walk(&args.paths, args.mbox, &mut |input| {
        let (done, result) = channel();
        order.send((input.source.clone(), result)).is_ok() && jobs.send((input, done)).is_ok()
    });
}

fn work(args: &Args, queue: &Mutex<Receiver<(Input, Sender<Outcome>)>>) {
    loop {
        let job = queue.lock().map(|queue| queue.recv());
        let Ok(Ok((Input { source, content }, done))) = job else { return };
        // A fault in one message is that message's: the rest is still done.
        let outcome = std::panic::catch_unwind(|| diagnose(args, source, content));
        if let Ok(outcome) = outcome {
            let _ = done.send(outcome);
        }
    }
}

fn diagnose(args: &Args, source: String, content: Content) -> Outcome {
    match content.read() {
        Ok(bytes) => Ok(stages::line(source, &bytes, args.home_country.as_deref())),
        Err(error) => Err(ErrorLine { source, error }),
    }
}

fn print(
    args: &Args,
    results: Receiver<(String, Receiver<Outcome>)>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let mut exit = Exit::Fine;
    for (source, result) in results {
        let outcome = result.recv().unwrap_or_else(|_| {
            Err(ErrorLine { source, error: "a fault of this program stopped the reading; please report it".to_owned() })
        });
        match (args.format, &outcome) {
            (Format::Json, Ok(line)) => json(line, terminal)?,
            (Format::Json, Err(line)) => json(line, terminal)?,
            (Format::Text, Ok(line)) => text::print(line, terminal)?,
            (Format::Text, Err(line)) => {
                writeln!(terminal.err(), "error: {}: {}", super::printable(&line.source), line.error)?;
            }
        }
        terminal.flush()?;
        if outcome.is_err() {
            exit = Exit::UnreadableData;
        }
    }
    Ok(exit)
}

fn json(line: &impl serde::Serialize, terminal: &mut Terminal) -> Result<(), Failure> {
    let text = serde_json::to_string(line).map_err(|error| Failure::new(Exit::Fault, error))?;
    writeln!(terminal.out(), "{text}")?;
    Ok(())
}
