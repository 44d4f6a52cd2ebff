//! From paths to messages: files, mboxes, Maildirs, folders, standard input (`design.md` §5).
//!
//! Messages are handed over one by one in the order of the paths, folders sorted by name, so that
//! a folder of any size needs no more memory than its list of names.

use std::{
    cmp::Reverse,
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// More of one message is not read: no bounce's report lies beyond.
const MESSAGE_LIMIT: u64 = 32 * 1024 * 1024;

/// One message, or the reason why a path gave none.
#[derive(Debug)]
pub(super) struct Input {
    /// The path as given or found; `#n` behind it in mboxes.
    pub(super) source: String,
    /// Where the bytes are.
    pub(super) content: Content,
}

/// Where the bytes of an input are.
#[derive(Debug)]
pub(super) enum Content {
    /// Still to be read by whoever works on it.
    File(PathBuf),
    /// Already read (mbox, standard input).
    Bytes(Vec<u8>),
    /// Cannot be had.
    Error(String),
}

impl Content {
    /// The message's bytes, without a leading `From ` line.
    pub(super) fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Error(error) => Err(error),
            Self::File(path) => read_file(&path).map_err(|e| e.to_string()),
        }
    }
}

/// All messages of all paths, one by one.
pub(super) struct Inputs {
    /// What is still to be looked at, the next last.
    left: Vec<Left>,
    /// Every file is an mbox.
    mbox: bool,
}

/// Something still to be looked at.
enum Left {
    /// As given by the user.
    Given(PathBuf),
    /// Found in a folder.
    Folder(PathBuf),
    File(PathBuf),
    Mbox(Mbox),
    Failed(PathBuf, io::Error),
}

impl Inputs {
    pub(super) fn new(paths: &[PathBuf], mbox: bool) -> Self {
        Self { left: paths.iter().rev().cloned().map(Left::Given).collect(), mbox }
    }

    /// What `left` itself gives, having put back what is behind it.
    fn open(&mut self, left: Left) -> Option<Input> {
        match left {
            Left::Given(path) if path.as_os_str() == "-" => self.standard_input(),
            Left::Given(path) => match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.open(Left::Folder(path)),
                Ok(_) => self.open(Left::File(path)),
                Err(error) => self.open(Left::Failed(path, error)),
            },
            Left::Folder(path) => match listed(&path) {
                Ok(mut entries) => {
                    self.left.append(&mut entries);
                    None
                }
                Err(error) => self.open(Left::Failed(path, error)),
            },
            Left::File(path) if self.mbox || is_mbox(&path) => match File::open(&path) {
                Ok(file) => self.open(Left::Mbox(Mbox::new(name(&path), BufReader::new(file)))),
                Err(error) => self.open(Left::Failed(path, error)),
            },
            Left::File(path) => Some(Input { source: name(&path), content: Content::File(path) }),
            Left::Mbox(mut mbox) => {
                let input = mbox.next()?;
                self.left.push(Left::Mbox(mbox));
                Some(input)
            }
            Left::Failed(path, error) => {
                Some(Input { source: name(&path), content: Content::Error(error.to_string()) })
            }
        }
    }

    fn standard_input(&mut self) -> Option<Input> {
        if self.mbox {
            return self.open(Left::Mbox(Mbox::new("-".to_owned(), BufReader::new(io::stdin()))));
        }
        let content = match read_message(io::stdin().lock(), 0) {
            Ok(bytes) => Content::Bytes(bytes),
            Err(error) => Content::Error(error.to_string()),
        };
        Some(Input { source: "-".to_owned(), content })
    }
}

impl Iterator for Inputs {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            let left = self.left.pop()?;
            if let Some(input) = self.open(left) {
                return Some(input);
            }
        }
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A folder's files and folders, by name from the last to the first; of a Maildir only what lies in
/// `cur` and `new`.
fn listed(path: &Path) -> io::Result<Vec<Left>> {
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<fs::DirEntry>>>()?;
    let maildir = ["cur", "new", "tmp"].iter().all(|name| path.join(name).is_dir());
    entries.sort_by_cached_key(|it| Reverse(it.file_name()));
    let left = entries.into_iter().filter_map(|entry| {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => (!maildir || holds_mail(&path)).then_some(Left::Folder(path)),
            // A link to a file is followed; one to a folder is not, so that nothing goes in circles.
            Ok(kind) => {
                (!maildir && (kind.is_file() || kind.is_symlink() && path.is_file())).then_some(Left::File(path))
            }
            Err(error) => Some(Left::Failed(path, error)),
        }
    });
    Ok(left.collect())
}

/// The parts of a Maildir that hold messages: `cur`, `new` and the subfolders (Maildir++: `.Name`).
fn holds_mail(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "cur" || name == "new" || name.as_encoded_bytes().starts_with(b"."))
}

fn is_mbox(path: &Path) -> bool {
    path.file_name() == Some(OsStr::new("mbox")) || path.extension() == Some(OsStr::new("mbox"))
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    read_message(file, size)
}

/// A message of about `size` octets, without a leading `From ` line.
fn read_message(reader: impl Read, size: u64) -> io::Result<Vec<u8>> {
    // Room for one octet more, or the end would be looked for in a larger buffer.
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(MESSAGE_LIMIT) + 1).unwrap_or_default());
    reader.take(MESSAGE_LIMIT).read_to_end(&mut bytes)?;
    if bytes.starts_with(b"From ") {
        let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).map_or(bytes.len(), |at| at + 1);
        bytes.drain(..end);
    }
    Ok(bytes)
}

/// An mbox, split at `From ` lines that begin the file or follow an empty line (RFC 4155 appendix A);
/// one `>` of `>From ` quoting is taken away.
struct Mbox {
    source: String,
    /// None once it has ended or failed.
    reader: Option<Box<dyn BufRead + Send>>,
    /// How many messages were handed out.
    number: u64,
    /// Whether the line before was empty.
    after_blank: bool,
    /// Whether the `From ` line of the next message was read.
    begun: bool,
}

impl Mbox {
    fn new(source: String, reader: impl BufRead + Send + 'static) -> Self {
        Self { source, reader: Some(Box::new(reader)), number: 0, after_blank: true, begun: false }
    }

    fn next(&mut self) -> Option<Input> {
        let mut message = self.begun.then(Vec::new);
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.reader.as_mut()?.take(MESSAGE_LIMIT).read_until(b'\n', &mut line) {
                Ok(0) => {
                    self.reader = None;
                    return message.map(|it| self.numbered(it));
                }
                Ok(_) => {}
                Err(error) => {
                    self.reader = None;
                    return Some(Input { source: self.source.clone(), content: Content::Error(error.to_string()) });
                }
            }
            let separator = self.after_blank && line.starts_with(b"From ");
            let blank = line.iter().all(|b| b"\r\n".contains(b));
            self.after_blank = blank;
            if separator {
                self.begun = true;
                if let Some(message) = message.replace(Vec::new()) {
                    return Some(self.numbered(message));
                }
            } else if message.is_some() || !blank {
                let quoted =
                    line.iter().position(|&b| b != b'>').is_some_and(|at| at > 0 && line[at..].starts_with(b"From "));
                let message = message.get_or_insert_default();
                if message.len() as u64 + line.len() as u64 <= MESSAGE_LIMIT {
                    message.extend_from_slice(&line[usize::from(quoted)..]);
                }
            }
        }
    }

    fn numbered(&mut self, message: Vec<u8>) -> Input {
        self.number += 1;
        Input { source: format!("{}#{}", self.source, self.number), content: Content::Bytes(message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mbox(text: &str) -> Vec<(String, String)> {
        let mut mbox = Mbox::new("box".to_owned(), io::Cursor::new(text.to_owned()));
        let mut found = Vec::new();
        while let Some(input) = mbox.next() {
            let bytes = input.content.read().expect("bytes");
            found.push((input.source, String::from_utf8(bytes).expect("text")));
        }
        found
    }

    #[test]
    fn an_mbox_is_split_at_from_lines_after_an_empty_line() {
        let found = mbox("From a Mon\nSubject: 1\n\ntext\nFrom here on\n\n>From b\n\nFrom c Tue\r\nSubject: 2\r\n\r\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], ("box#1".to_owned(), "Subject: 1\n\ntext\nFrom here on\n\nFrom b\n\n".to_owned()));
        assert_eq!(found[1], ("box#2".to_owned(), "Subject: 2\r\n\r\n".to_owned()));
        assert!(mbox("").is_empty());
    }

    #[test]
    fn folders_are_walked_by_name_and_of_a_maildir_only_its_mail() {
        let root = tempfile::tempdir().expect("a folder");
        for path in
            ["b/2.eml", "a.eml", "b/1.eml", "m/cur/x", "m/new/y", "m/tmp/z", "m/dovecot-uidlist", "m/.Junk/cur/q"]
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            fs::write(path, "From x\nA: b\n").expect("written");
        }
        for path in ["m/.Junk/new", "m/.Junk/tmp"] {
            fs::create_dir_all(root.path().join(path)).expect("made");
        }
        let inputs = Inputs::new(&[root.path().to_owned(), "/does/not/exist".into()], false);
        let found: Vec<(String, Result<Vec<u8>, String>)> = inputs.map(|it| (it.source, it.content.read())).collect();
        let root = format!("{}/", root.path().display());
        let names: Vec<&str> = found.iter().map(|(name, _)| name.strip_prefix(&root).unwrap_or(name)).collect();
        assert_eq!(names, ["a.eml", "b/1.eml", "b/2.eml", "m/.Junk/cur/q", "m/cur/x", "m/new/y", "/does/not/exist"]);
        assert_eq!(found[0].1.as_deref(), Ok(&b"A: b\n"[..]));
        assert!(found[6].1.is_err());
    }
}
