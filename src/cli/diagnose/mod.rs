//! `diagnose PATH…`: why messages bounced, without configuration or network unless `--evidence`.
//!
//! All cores work, one message each; results are printed in the order of the paths as soon as
//! they are known. What is read ahead is bounded, and a reader who goes away ends the work.

mod inputs;
mod knowledge;
pub mod line;
mod text;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

pub use self::knowledge::Knowledge;
use self::{
    inputs::Input,
    line::{ErrorLine, Found, Line},
};
use super::{
    Exit, Failure, Format, Terminal,
    evidence_arguments::{Evidence, EvidenceArgs},
};

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
    #[command(flatten)]
    evidence: EvidenceArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A country code of two letters, upper-cased.
pub fn country(text: &str) -> Result<String, String> {
    let sound = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    if sound { Ok(text.to_ascii_uppercase()) } else { Err("expected a country code of two letters, such as CN".into()) }
}

/// The bytes of one message: a file, or `-` for standard input.
pub(super) fn read_one(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = None;
    inputs::walk(&[path.to_owned()], false, &mut |input| {
        let first = content.is_none();
        content.get_or_insert(input.content);
        first
    });
    match content {
        Some(content) if !path.is_dir() => content.read(),
        _ => Err("is a folder; expected one message".to_owned()),
    }
}

/// What is done with one message: its source, and its bytes or why they cannot be had.
type Take<'a> = dyn FnMut(&str, Result<Vec<u8>, String>) -> std::io::Result<()> + 'a;

/// Each message of the paths in their order, one after the other, as `diagnose` reads them.
pub(super) fn each_message(paths: &[PathBuf], take: &mut Take<'_>) -> std::io::Result<()> {
    let mut result = Ok(());
    inputs::walk(paths, false, &mut |input| {
        result = take(&input.source, input.content.read());
        result.is_ok()
    });
    result
}

/// A result to be printed: a line, or why there is none.
type Outcome = Result<Line, ErrorLine>;

/// How many messages may be ahead of the printer.
const READ_AHEAD: usize = 256;
/// A MIME tree of the allowed depth fits (`crates.md` M1).
const STACK: usize = 8 * 1024 * 1024;

pub(super) fn run(config: &Path, args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (jobs, queue) = sync_channel::<(Input, Sender<Outcome>)>(READ_AHEAD);
    let queue = Mutex::new(queue);
    let (order, results) = sync_channel::<(String, Receiver<Outcome>)>(READ_AHEAD);
    // Not taken apart at the end: the process ends with the command.
    let knowledge: &Knowledge = Box::leak(Box::new(Knowledge::embedded_with_formats()?));
    let evidence = args.evidence.start(config)?;
    let (args_ref, queue, knowledge, evidence) = (args, &queue, knowledge, evidence.as_ref());
    thread::scope(|scope| {
        for _ in 0..workers {
            thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, move || work(args_ref, knowledge, evidence, queue))
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

fn work(
    args: &Args,
    knowledge: &Knowledge,
    evidence: Option<&Evidence>,
    queue: &Mutex<Receiver<(Input, Sender<Outcome>)>>,
) {
    let country = args.home_country.as_deref();
    loop {
        let job = queue.lock().map(|queue| queue.recv());
        let Ok(Ok((Input { source, content }, done))) = job else { return };
        let outcome = match content.read() {
            Ok(bytes) => Ok(Line::new(source, knowledge.recognise(&bytes), |bounce| match evidence {
                Some(evidence) => Found::Checked(evidence.findings(knowledge.catalogue(), bounce, country)),
                None => Found::Diagnosed(
                    bounce.recipients.iter().map(|report| knowledge.diagnose(bounce, report, country)).collect(),
                ),
            })),
            Err(error) => Err(ErrorLine { source, error }),
        };
        let _ = done.send(outcome);
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
            (Format::Json, Ok(line)) => terminal.json(line)?,
            (Format::Json, Err(line)) => terminal.json(line)?,
            (Format::Text, Ok(line)) => text::print(line, terminal)?,
            (Format::Text, Err(line)) => {
                writeln!(terminal.err(), "error: {}: {}", crate::review::printable(&line.source), line.error)?;
            }
        }
        terminal.flush()?;
        if outcome.is_err() {
            exit = Exit::UnreadableData;
        }
    }
    Ok(exit)
}
