//! Long output on a terminal goes through `$PAGER`, as git's does; elsewhere straight on.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    process::{Command, Stdio},
};

use super::{Failure, Terminal};

/// How wide the terminal is; `None`: standard output is none.
pub(super) fn columns() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(terminal_size::Width(columns), _)| usize::from(columns))
}

/// Prints `text`, through the pager where a person looks and wants one.
pub(super) fn print(text: &str, no_pager: bool, terminal: &mut Terminal) -> Result<(), Failure> {
    let pager = env::var("PAGER").unwrap_or_else(|_| "less".to_owned());
    let wanted = !no_pager && io::stdout().is_terminal() && io::stdin().is_terminal();
    if wanted && !pager.trim().is_empty() && pager != "cat" && page(&pager, text).is_ok() {
        return Ok(());
    }
    terminal.out().write_all(text.as_bytes())?;
    Ok(())
}

/// `Err`: the pager cannot be started.
fn page(pager: &str, text: &str) -> io::Result<()> {
    // As git does: what fits is not held, colours pass, the screen stays. Long lines are wrapped: what
    // is not held could not be scrolled to its end.
    let less = env::var_os("LESS").unwrap_or_else(|| "FRX".into());
    // The person's own command line, with its options.
    let mut child = Command::new("sh")
        .args(["-c", &format!("command -v {} >/dev/null || exit 127; exec {pager}", first_word(pager))])
        .env("LESS", less)
        .env("LESSCHARSET", "utf-8")
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever leaves the pager early has seen enough.
        let _ = stdin.write_all(text.as_bytes());
    }
    match child.wait()?.code() {
        Some(127) => Err(io::Error::from(io::ErrorKind::NotFound)),
        _ => Ok(()),
    }
}

/// The program's name in a command line.
fn first_word(pager: &str) -> &str {
    pager.split_whitespace().next().unwrap_or_default()
}
