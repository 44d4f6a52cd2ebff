//! From paths to messages: files, mboxes, Maildirs, folders, standard input (`design.md` §5).
//!
//! Messages are handed over one by one in the order of the paths, folders sorted by name, so that
//! a folder of any size needs no more memory than its list of names.

use std::{
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
            Self::File(path) => File::open(path).and_then(read_message).map_err(|e| e.to_string()),
        }
    }
}

/// Walks all paths; `take` gets each input and says whether to go on.
pub(super) fn walk(paths: &[PathBuf], mbox: bool, take: &mut dyn FnMut(Input) -> bool) {
    for path in paths {
        let source = path.to_string_lossy().into_owned();
        let going_on = if path.as_os_str() == "-" {
            standard_input(source, mbox, take)
        } else {
            match fs::metadata(path) {
                Ok(meta) if meta.is_dir() => folder(path, mbox, take),
                Ok(_) => file(path, mbox, take),
                Err(error) => take(Input { source, content: Content::Error(error.to_string()) }),
            }
        };
        if !going_on {
            return;
        }
    }
}

fn standard_input(source: String, mbox: bool, take: &mut dyn FnMut(Input) -> bool) -> bool {
    let stdin = io::stdin().lock();
    if mbox {
        return split_mbox(&source, stdin, take);
    }
    let content = match read_message(stdin) {
        Ok(bytes) => Content::Bytes(bytes),
        Err(error) => Content::Error(error.to_string()),
    };
    take(Input { source, content })
}

fn file(path: &Path, mbox: bool, take: &mut dyn FnMut(Input) -> bool) -> bool {
    let source = path.to_string_lossy().into_owned();
    if !(mbox || is_mbox(path)) {
        return take(Input { source, content: Content::File(path.to_owned()) });
    }
    match File::open(path) {
        Ok(file) => split_mbox(&source, BufReader::new(file), take),
        Err(error) => take(Input { source, content: Content::Error(error.to_string()) }),
    }
}

/// A folder's files and folders by name; of a Maildir only what lies in `cur` and `new`.
fn folder(path: &Path, mbox: bool, take: &mut dyn FnMut(Input) -> bool) -> bool {
    let failed = |path: &Path, error: &io::Error, take: &mut dyn FnMut(Input) -> bool| {
        take(Input { source: path.to_string_lossy().into_owned(), content: Content::Error(error.to_string()) })
    };
    let listed = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>());
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(error) => return failed(path, &error, take),
    };
    let maildir = ["cur", "new", "tmp"].iter().all(|name| path.join(name).is_dir());
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    for path in paths {
        let going_on = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => maildir && !holds_mail(&path) || folder(&path, mbox, take),
            // A link to a file is followed; one to a folder is not, so that nothing goes in circles.
            Ok(meta) if meta.is_file() || meta.is_symlink() && path.is_file() => maildir || file(&path, mbox, take),
            Ok(_) => true,
            Err(error) => failed(&path, &error, take),
        };
        if !going_on {
            return false;
        }
    }
    true
}

/// The parts of a Maildir that hold messages: `cur`, `new` and the subfolders (Maildir++: `.Name`).
fn holds_mail(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "cur" || name == "new" || name.as_encoded_bytes().starts_with(b"."))
}

fn is_mbox(path: &Path) -> bool {
    path.file_name() == Some(OsStr::new("mbox")) || path.extension() == Some(OsStr::new("mbox"))
}

fn read_message(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MESSAGE_LIMIT).read_to_end(&mut bytes)?;
    if bytes.starts_with(b"From ") {
        let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).map_or(bytes.len(), |at| at + 1);
        bytes.drain(..end);
    }
    Ok(bytes)
}

/// Splits at `From ` lines that begin the file or follow an empty line (RFC 4155 appendix A), and
/// takes away one `>` of `>From ` quoting.
fn split_mbox(source: &str, mut reader: impl BufRead, take: &mut dyn FnMut(Input) -> bool) -> bool {
    let mut number = 0_u64;
    let mut message: Option<Vec<u8>> = None;
    let mut after_blank = true;
    let mut line = Vec::new();
    loop {
        line.clear();
        let content = match reader.by_ref().take(MESSAGE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(&line),
            Err(error) => {
                return take(Input { source: source.to_owned(), content: Content::Error(error.to_string()) });
            }
        };
        let separator = content.is_some_and(|line| after_blank && line.starts_with(b"From "));
        if (separator || content.is_none())
            && let Some(bytes) = message.take()
        {
            number += 1;
            if !take(Input { source: format!("{source}#{number}"), content: Content::Bytes(bytes) }) {
                return false;
            }
        }
        let Some(line) = content else { return true };
        let blank = line.iter().all(|b| b"\r\n".contains(b));
        after_blank = blank;
        if separator {
            message = Some(Vec::new());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mbox(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        split_mbox("box", text.as_bytes(), &mut |input| {
            let bytes = input.content.read().expect("bytes");
            found.push((input.source, String::from_utf8(bytes).expect("text")));
            true
        });
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
        let mut found = Vec::new();
        walk(&[root.path().to_owned(), "/does/not/exist".into()], false, &mut |input| {
            found.push((input.source, input.content.read()));
            true
        });
        let root = format!("{}/", root.path().display());
        let names: Vec<&str> = found.iter().map(|(name, _)| name.strip_prefix(&root).unwrap_or(name)).collect();
        assert_eq!(names, ["a.eml", "b/1.eml", "b/2.eml", "m/.Junk/cur/q", "m/cur/x", "m/new/y", "/does/not/exist"]);
        assert_eq!(found[0].1.as_deref(), Ok(&b"A: b\n"[..]));
        assert!(found[6].1.is_err());
    }
}
