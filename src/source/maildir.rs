//! A Maildir on this machine: the embedded default, needing no server.
//!
//! Keys are the unique parts of the file names (before `:2,`), which stay when a mail reader moves
//! a message from `new` to `cur` or sets flags. It is watched by polling.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    After, Error, Found, HEAD, Kind, Outcome, SCAN_LIMIT, Scan, Settled, Survey, Wake, candidate, imap, stitch,
};
use crate::mail::{MessageRef, RawMessage, Recorded, Role};

/// The name of the one folder that is watched.
pub const FOLDER: &str = "INBOX";
/// A report is looked for no further into a file.
const DEEPEST: u64 = 64 * 1024 * 1024;

/// A Maildir at work.
#[derive(Clone, Debug)]
pub struct Maildir {
    name: String,
    path: PathBuf,
    role: Role,
    poll_interval: Duration,
    after: After,
    /// Done with, in this process; the journal knows the others.
    settled: HashSet<String>,
}

/// One file.
#[derive(Debug)]
struct Entry {
    key: String,
    path: PathBuf,
    received: Timestamp,
    size: u64,
}

impl Maildir {
    pub(super) fn new(name: String, path: PathBuf, role: Role, poll_interval: Duration, after: After) -> Self {
        Self { name, path, role, poll_interval, after, settled: HashSet::new() }
    }

    pub(super) async fn open(&self) -> Result<(), Error> {
        self.blocking(|path| {
            for folder in ["new", "cur"] {
                fs::read_dir(path.join(folder))?;
            }
            Ok(())
        })
        .await
        .map_err(|error| error.with_hint("`maildir` must name a directory that holds `new`, `cur` and `tmp`"))
    }

    pub(super) async fn scan(&mut self) -> Result<Scan, Error> {
        let mut entries = self.blocking(entries).await?;
        entries.retain(|entry| !self.settled.contains(&entry.key));
        if let Role::Member(_) = self.role {
            entries = self.blocking(move |_| Ok(entries.into_iter().filter(is_candidate).collect())).await?;
        }
        entries.sort_by(|a, b| (a.received, &a.key).cmp(&(b.received, &b.key)));
        let more = entries.len() > SCAN_LIMIT;
        entries.truncate(SCAN_LIMIT);
        let found = entries.into_iter().map(|entry| Found {
            reference: MessageRef { account: self.name.clone(), folder: FOLDER.to_owned(), key: entry.key },
            size: entry.size,
            received: entry.received,
        });
        Ok(Scan { found: found.collect(), cursor: None, more, renumbered: false })
    }

    pub(super) async fn fetch(&self, found: &Found) -> Result<Option<RawMessage>, Error> {
        let key = found.reference.key.clone();
        let read = self.blocking(move |path| match locate(path, &key)? {
            Some(file) => read_bounded(&file).map(Some),
            None => Ok(None),
        });
        Ok(read.await?.map(|(bytes, size)| RawMessage {
            reference: found.reference.clone(),
            received: found.received,
            bytes,
            size,
            role: self.role.clone(),
        }))
    }

    pub(super) async fn settle(&mut self, recorded: &Recorded, outcome: Outcome) -> Result<Settled, Error> {
        let key = recorded.reference().key.clone();
        if outcome == Outcome::Bounce && self.after != After::Leave {
            let (wanted, after) = (key.clone(), self.after.clone());
            self.blocking(move |path| carry_out(path, &wanted, &after))
                .await
                .map_err(|error| error.with_hint("the Maildir must be writable, or `after = \"leave\"`"))?;
        }
        self.settled.insert(key);
        Ok(Settled::Done)
    }

    pub(super) async fn survey(&self) -> Result<Survey, Error> {
        self.open().await?;
        let messages = self.blocking(entries).await?.len();
        let folder = (FOLDER.to_owned(), Ok(u32::try_from(messages).unwrap_or(u32::MAX)));
        Ok(Survey { can_move: true, folders: vec![folder], all_folders: vec![FOLDER.to_owned()], ..Survey::default() })
    }

    pub(super) async fn wait(&self, cancel: &CancellationToken) -> Wake {
        tokio::select! {
            () = cancel.cancelled() => Wake::Stopped,
            () = tokio::time::sleep(self.poll_interval) => Wake::Poll,
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.path.clone();
        let place = path.display().to_string();
        let failed = |reason: String| Error::new(&self.name, place.clone(), Kind::Unavailable, reason);
        match tokio::task::spawn_blocking(move || work(&path)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn key_of(name: &str) -> &str {
    name.split(":2,").next().unwrap_or(name)
}

fn entries(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for folder in ["new", "cur"] {
        for file in fs::read_dir(path.join(folder))? {
            let file = file?;
            let Ok(name) = file.file_name().into_string() else { continue };
            if name.starts_with('.') {
                continue;
            }
            // A file that was moved just now is met again at the next look.
            let Ok(meta) = file.metadata() else { continue };
            if meta.is_file() {
                let received = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
                entries.push(Entry {
                    key: key_of(&name).to_owned(),
                    path: file.path(),
                    received: received.unwrap_or(Timestamp::UNIX_EPOCH),
                    size: meta.len(),
                });
            }
        }
    }
    Ok(entries)
}

fn is_candidate(entry: &Entry) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(&entry.path).and_then(|file| file.take(16 * 1024).read_to_end(&mut head));
    let end = stitch::find(&head, b"\n\n").or_else(|| stitch::find(&head, b"\r\n\r\n")).unwrap_or(head.len());
    read.is_ok() && candidate::likely_bounce(head.get(..end).unwrap_or_default())
}

/// The file of this key, wherever a mail reader has put it.
fn locate(path: &Path, key: &str) -> io::Result<Option<PathBuf>> {
    let straight = path.join("new").join(key);
    if !key.contains('/') && straight.is_file() {
        return Ok(Some(straight));
    }
    Ok(entries(path)?.into_iter().find(|entry| entry.key == key).map(|entry| entry.path))
}

/// The head, and the report part where it lies beyond.
fn read_bounded(file: &Path) -> io::Result<(Vec<u8>, u64)> {
    let mut file = fs::File::open(file)?;
    let size = file.metadata()?.len();
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    if size > head.len() as u64
        && stitch::report_may_follow(&head)
        && let Some(pieces) = stitch::search(io::BufReader::new(file.take(DEEPEST)))?
    {
        head = stitch::stitch(&head, &pieces);
    }
    Ok((head, size))
}

fn carry_out(path: &Path, key: &str, after: &After) -> io::Result<()> {
    let Some(file) = locate(path, key)? else { return Ok(()) };
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or(key).to_owned();
    let mut flags: Vec<char> = name.split_once(":2,").map(|(_, flags)| flags.chars().collect()).unwrap_or_default();
    if !flags.contains(&'S') {
        flags.push('S');
    }
    // Flags stand in ASCII order.
    flags.sort_unstable();
    let name = format!("{key}:2,{}", flags.into_iter().collect::<String>());
    let target = match after {
        After::Leave => return Ok(()),
        After::Seen => path.join("cur"),
        After::Move(folder) => subfolder(path, folder)?,
    };
    fs::rename(file, target.join(name))
}

/// Maildir++: `A/B` is the directory `.A.B`, in modified UTF-7 as Dovecot has it.
fn subfolder(path: &Path, folder: &str) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let parts: Vec<String> = folder.split('/').map(|part| imap::encode_folder(part).replace('.', "_")).collect();
    let directory = path.join(format!(".{}", parts.join(".")));
    for inner in ["cur", "new", "tmp"] {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory.join(inner))?;
    }
    Ok(directory.join("cur"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildir(after: After) -> (tempfile::TempDir, Maildir) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for folder in ["new", "cur", "tmp"] {
            fs::create_dir(directory.path().join(folder)).expect("created");
        }
        let it = Maildir::new(
            "bounces".to_owned(),
            directory.path().to_owned(),
            Role::Central,
            Duration::from_secs(1),
            after,
        );
        (directory, it)
    }

    #[tokio::test]
    async fn a_message_is_found_fetched_and_seen_once() {
        let (directory, mut it) = maildir(After::Seen);
        fs::write(directory.path().join("new/1.a"), "Subject: x\n\nbody").expect("written");
        fs::write(directory.path().join("cur/2.b:2,F"), "Subject: y\n\nbody").expect("written");
        it.open().await.expect("opens");
        let scan = it.scan().await.expect("scans");
        assert_eq!(scan.found.len(), 2);
        for found in &scan.found {
            let message = it.fetch(found).await.expect("reads").expect("is there");
            assert!(message.bytes.starts_with(b"Subject: "));
            let recorded = Recorded::by_journal(found.reference.clone());
            it.settle(&recorded, Outcome::Bounce).await.expect("settles");
            it.settle(&recorded, Outcome::Bounce).await.expect("does no harm again");
        }
        assert!(directory.path().join("cur/1.a:2,S").is_file());
        assert!(directory.path().join("cur/2.b:2,FS").is_file());
        assert_eq!(it.scan().await.expect("scans").found, []);
    }

    #[tokio::test]
    async fn ordinary_mail_is_left_where_it_is_and_bounces_are_moved() {
        let (directory, mut it) = maildir(After::Move("已处理".to_owned()));
        fs::write(directory.path().join("new/1.a"), "Subject: x\n\nbody").expect("written");
        fs::write(directory.path().join("new/2.b"), "Subject: y\n\nbody").expect("written");
        let scan = it.scan().await.expect("scans");
        let outcomes = [Outcome::Bounce, Outcome::Other];
        let mut keys: Vec<_> = scan.found.iter().map(|it| it.reference.clone()).collect();
        keys.sort();
        for (reference, outcome) in keys.into_iter().zip(outcomes) {
            it.settle(&Recorded::by_journal(reference), outcome).await.expect("settles");
        }
        assert!(directory.path().join(".&XfJZBHQG-/cur/1.a:2,S").is_file());
        assert!(directory.path().join("new/2.b").is_file());
    }

    #[tokio::test]
    async fn the_report_of_a_large_message_is_found() {
        let (directory, it) = maildir(After::Leave);
        let mut mail =
            b"Subject: z\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/plain\n\n".to_vec();
        mail.extend(std::iter::repeat_n(&b"filler filler filler\n"[..], 20_000).flatten());
        mail.extend(b"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.cn\n\n--b\nContent-Type: message/rfc822\n\nSubject: offer\nFrom: a@example.cn\n\nbody\n--b--\n");
        let size = mail.len() as u64;
        fs::write(directory.path().join("new/1.a"), mail).expect("written");
        let mut it = it;
        let scan = it.scan().await.expect("scans");
        let message = it.fetch(&scan.found[0]).await.expect("reads").expect("is there");
        assert_eq!(message.size, size);
        assert!(message.bytes.len() < HEAD);
        let text = String::from_utf8_lossy(&message.bytes).into_owned();
        assert!(text.contains("Reporting-MTA: dns; mx.example.cn") && text.contains("Subject: offer"), "{text}");
    }
}
