//! Explanations as files: for a trial, for `demo`, or for another program to pick up.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    mail::MessageId,
    outbox::{Delivery, SmtpReply, Stage},
    reply::Reply,
};

/// Writes the reply under a name made of its Message-ID, so that a repetition replaces it. The
/// file appears whole or not at all, and is on disk when this returns.
pub(super) async fn write(directory: PathBuf, reply: &Reply) -> Delivery {
    let path = directory.join(file_name(&reply.message_id));
    let (target, bytes) = (path.clone(), reply.bytes.clone());
    let written = tokio::task::spawn_blocking(move || write_whole(&directory, &target, &bytes)).await;
    match written {
        Ok(Ok(())) => Delivery::Accepted(SmtpReply { code: 250, text: format!("written to {}", path.display()) }),
        Ok(Err(error)) => refused(&path, &error.to_string()),
        Err(error) => refused(&path, &error.to_string()),
    }
}

fn refused(path: &Path, why: &str) -> Delivery {
    let hint = "hint: `smtp.directory` must be writable and have space";
    Delivery::ChannelRefused(Stage::Connect, format!("{}: {why}; {hint}", path.display()))
}

/// Creates what is missing, 0700 and 0600; an existing directory keeps its mode.
fn write_whole(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    File::open(directory)?.sync_all()
}

/// Whether a file could be written there; leaves nothing behind.
pub(super) fn is_writable(directory: &Path) -> io::Result<()> {
    // Made by whoever writes first: made here, it would be root's where root checks.
    if !directory.exists() && directory.ancestors().skip(1).any(Path::is_dir) {
        return Ok(());
    }
    let probe = directory.join(format!(".probe{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
    std::fs::remove_file(probe)
}

/// The Message-ID with everything replaced that a file name should not hold.
fn file_name(id: &MessageId) -> String {
    let name: String = id
        .as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-@+".contains(c) { c } else { '_' })
        .take(200)
        .collect();
    format!("{}.eml", name.trim_start_matches('.'))
}
