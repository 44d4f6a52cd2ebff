//! A Maildir read and filled on disk, without going through what is being tested.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use super::wait_for;

/// One folder of an account.
#[derive(Clone, Debug)]
pub(crate) struct Maildir {
    path: PathBuf,
    owner: u32,
}

/// One message in it.
#[derive(Clone, Debug)]
pub(crate) struct StoredMail {
    /// The flags of the file name, `S` for `\Seen`.
    pub(crate) flags: String,
    /// The message.
    pub(crate) bytes: Vec<u8>,
}

impl StoredMail {
    /// The message with the encoded bytes as they are.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header field's body, unfolded; empty where there is no such field.
    pub(crate) fn header(&self, name: &str) -> String {
        header(&self.text(), name)
    }

    /// The Subject field, decoded.
    pub(crate) fn subject(&self) -> String {
        let parsed = mail_parser::MessageParser::default().parse(&self.bytes).expect("a message");
        parsed.subject().unwrap_or_default().to_owned()
    }

    /// The decoded text of the first text part.
    pub(crate) fn body(&self) -> String {
        let parsed = mail_parser::MessageParser::default().parse(&self.bytes).expect("a message");
        parsed.body_text(0).unwrap_or_default().into_owned()
    }

    /// Whether it is one of our explanations.
    pub(crate) fn is_explanation(&self) -> bool {
        !self.header("X-Whybounced").is_empty()
    }
}

/// A header field's body, unfolded.
pub(crate) fn header(message: &str, name: &str) -> String {
    let head = message.split("\n\n").next().unwrap_or_default().split("\r\n\r\n").next().unwrap_or_default();
    let mut body = String::new();
    let mut inside = false;
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            if inside {
                body.push(' ');
                body.push_str(line.trim());
            }
        } else if inside {
            break;
        } else if let Some((field, rest)) = line.split_once(':') {
            inside = field.eq_ignore_ascii_case(name);
            if inside {
                rest.trim().clone_into(&mut body);
            }
        }
    }
    body
}

impl Maildir {
    /// The folder at `path`; what is put there belongs to `owner`.
    pub(crate) fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// A folder below, by its plain ASCII name.
    pub(crate) fn folder(&self, name: &str) -> Self {
        Self { path: self.path.join(format!(".{}", name.replace('/', "."))), owner: self.owner }
    }

    /// Renames it to `other`, which must not exist, and gives that.
    pub(crate) fn rename(&self, other: &Self) -> Self {
        std::fs::rename(&self.path, &other.path).expect("our own directory");
        other.clone()
    }

    /// Everything in it, oldest first as far as file names tell.
    pub(crate) fn mails(&self) -> Vec<StoredMail> {
        let mut paths: Vec<PathBuf> = ["new", "cur"]
            .iter()
            .filter_map(|sub| std::fs::read_dir(self.path.join(sub)).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
        // A file may be renamed (a flag set) between listing and reading: it is seen the next time.
        paths
            .into_iter()
            .filter_map(|path| {
                let name = path.file_name()?.to_string_lossy().into_owned();
                let flags = name.split_once(":2,").map(|(_, flags)| flags.to_owned()).unwrap_or_default();
                Some(StoredMail { flags, bytes: std::fs::read(&path).ok()? })
            })
            .collect()
    }

    /// How many messages lie in it, and how many of them are marked as read.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let dirs = ["new", "cur"].iter().filter_map(|sub| std::fs::read_dir(self.path.join(sub)).ok());
        dirs.flatten().flatten().fold((0, 0), |(all, seen), entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_seen = name.split_once(":2,").is_some_and(|(_, flags)| flags.contains('S'));
            (all + 1, seen + usize::from(is_seen))
        })
    }

    /// The explanations in it.
    pub(crate) fn explanations(&self) -> Vec<StoredMail> {
        self.mails().into_iter().filter(StoredMail::is_explanation).collect()
    }

    /// Waits for the first message that `wanted` accepts.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&StoredMail) -> bool) -> StoredMail {
        wait_for(&format!("{what} in {}", self.path.display()), || self.mails().into_iter().find(|it| wanted(it)))
    }

    /// Waits for an explanation.
    #[track_caller]
    pub(crate) fn wait_for_explanation(&self) -> StoredMail {
        self.wait_for("an explanation", StoredMail::is_explanation)
    }

    /// Puts a message there as a delivery agent does: written aside, then renamed.
    pub(crate) fn deliver(&self, bytes: &[u8]) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let owner = Some(self.owner);
        for sub in ["", "cur", "new", "tmp"] {
            let dir = self.path.join(sub);
            if !dir.exists() {
                std::fs::create_dir_all(&dir).expect("our own directory");
                std::os::unix::fs::chown(&dir, owner, owner).expect("root may");
            }
        }
        let account = self.path.parent().expect("a Maildir has a parent");
        std::os::unix::fs::chown(account, owner, owner).expect("root may");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.M{number}P{}.story", 1_700_000_000 + number, std::process::id());
        let aside = self.path.join("tmp").join(&name);
        std::fs::write(&aside, bytes).expect("our own directory");
        std::os::unix::fs::chown(&aside, owner, owner).expect("root may");
        std::fs::rename(aside, self.path.join("new").join(name)).expect("our own directory");
    }
}
