//! Secrets: from a file, a variable, a command, a systemd credential, or the file itself.
//!
//! No error, warning or `Debug` shows a value.

use std::{
    fs,
    io::Read as _,
    ops::Range,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;

use super::{
    file::{InFile, Text},
    reader::Reader,
};

/// How long `*_command` may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// More is no password.
const SIZE_LIMIT: u64 = 64 * 1024;

/// The keys that one secret may come from.
pub(super) struct Sources<'a> {
    /// `mailbox.bounces.password`; the others' names have a suffix.
    pub(super) key: &'a str,
    pub(super) in_file: &'a Option<Spanned<InFile>>,
    pub(super) file: &'a Text,
    pub(super) env: &'a Text,
    pub(super) command: &'a Text,
    pub(super) credential: &'a Text,
}

impl Sources<'_> {
    /// Whether any of the keys is set.
    pub(super) fn any(&self) -> bool {
        self.in_file.is_some() || [self.file, self.env, self.command, self.credential].iter().any(|key| key.is_some())
    }

    /// The secret; `None` if there is none, or if it cannot be had, which is then a problem.
    /// Empty where secrets are not asked for.
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Option<SecretString> {
        if reader.secrets { self.read_always(reader) } else { self.any().then(SecretString::default) }
    }

    /// `read`, whether or not secrets are asked for.
    pub(super) fn read_always(&self, reader: &mut Reader<'_>) -> Option<SecretString> {
        let others =
            [("_file", self.file), ("_env", self.env), ("_command", self.command), ("_credential", self.credential)];
        let mut named: Vec<(&str, Range<usize>)> =
            others.iter().filter_map(|(suffix, text)| Some((*suffix, text.as_ref()?.span()))).collect();
        named.extend(self.in_file.as_ref().map(|secret| ("", secret.span())));
        if let [_, (suffix, span), ..] = named.as_slice() {
            let key = format!("{}{suffix}", self.key);
            reader.problem(&key, Some(span.clone()), "this secret has a second source", Some("keep one of them"));
            return None;
        }
        if let Some(secret) = self.in_file {
            let secret = &secret.get_ref().0;
            // `journal.url` is a secret only where it names a server.
            if !secret.expose_secret().starts_with("sqlite:") {
                warn_if_readable(reader, reader.path, self.key);
            }
            return Some(secret.clone());
        }
        let (suffix, text) = others.iter().find_map(|(suffix, text)| Some((*suffix, text.as_ref()?)))?;
        let value = text.get_ref();
        let read = match suffix {
            "_file" => {
                let path = reader.resolve(value);
                warn_if_readable(reader, &path, &format!("{}_file", self.key));
                read_file(&path)
            }
            "_env" => (reader.variable)(value).map(SecretString::from).ok_or_else(|| {
                (format!("the environment has no variable {value}"), "set it for the service, or use *_file")
            }),
            "_command" => run(value),
            _ => credential(reader, value),
        };
        match read.and_then(|secret| trimmed(&secret)) {
            Ok(secret) => Some(secret),
            Err((message, hint)) => {
                reader.problem(&format!("{}{suffix}", self.key), Some(text.span()), message, Some(hint));
                None
            }
        }
    }
}

type Outcome = Result<SecretString, (String, &'static str)>;

/// Drops one trailing newline (`design.md` §6); what is left may not be empty.
fn trimmed(secret: &SecretString) -> Outcome {
    let text = secret.expose_secret();
    let cut = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if cut.is_empty() {
        return Err(("the secret is empty".to_owned(), "write the password into it, nothing else"));
    }
    Ok(cut.to_owned().into())
}

fn read_file(path: &Path) -> Outcome {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(SIZE_LIMIT).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text.into()),
        Err(error) => Err((
            format!("cannot read {}: {error}", path.display()),
            "the file must exist and be readable for the user that runs whybounced, best with mode 0600",
        )),
    }
}

/// `$CREDENTIALS_DIRECTORY/NAME`, as `LoadCredential=` of systemd gives it.
fn credential(reader: &Reader<'_>, name: &str) -> Outcome {
    let hint = "the unit needs LoadCredential=NAME:FILE; outside of systemd use *_file";
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err((format!("`{name}` is not a credential's name"), hint));
    }
    let Some(directory) = (reader.variable)("CREDENTIALS_DIRECTORY") else {
        return Err(("there are no systemd credentials here ($CREDENTIALS_DIRECTORY is not set)".to_owned(), hint));
    };
    read_file(&Path::new(&directory).join(name)).map_err(|(message, _)| (message, hint))
}

/// What the command prints; its own complaints go to our standard error.
fn run(command: &str) -> Outcome {
    let hint = "try the command in a shell as the same user; it must print the secret and end with 0";
    let failed = |what: String| (format!("the command {what}"), hint);
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let (done, printed) = mpsc::channel();
    let output = child.stdout.take();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.map(|output| output.take(SIZE_LIMIT).read_to_string(&mut text));
        let _ = done.send(matches!(read, Some(Ok(_))).then(|| SecretString::from(text)));
    });
    let printed = printed.recv_timeout(COMMAND_LIMIT);
    if printed.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    match printed {
        Err(_) => Err(failed(format!("did not end within {} seconds", COMMAND_LIMIT.as_secs()))),
        Ok(_) if !status.success() => Err(failed(format!("failed ({status})"))),
        Ok(None) => Err(failed("printed something other than text".to_owned())),
        Ok(Some(secret)) => Ok(secret),
    }
}

/// A secret that others than its owner may read works, and is worth a warning.
fn warn_if_readable(reader: &mut Reader<'_>, path: &Path, key: &str) {
    let Ok(meta) = fs::metadata(path) else { return };
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        reader.warnings.push(format!("{key}: {path} holds a secret and has mode {mode:04o}; chmod 0600 {path}"));
    }
}
