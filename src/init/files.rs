//! Writes the configuration and its secrets: each whole or not at all, with the modes that the
//! daemon's user needs and nobody else does.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

/// The daemon's user and group, as sysusers makes them.
const USER: &str = "whybounced";

/// Where the configuration goes, and for whom.
#[derive(Clone, Debug)]
pub struct Target {
    path: PathBuf,
    directory: PathBuf,
    /// The daemon's user and group, where we may give files to them.
    service: Option<(u32, u32)>,
}

/// What was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// Whether it belongs to the daemon's user or group.
    pub for_service: bool,
}

impl Target {
    /// Looks whether the place can be written to, before anybody is asked anything; makes the
    /// directory if it is missing.
    ///
    /// # Errors
    /// The place, and why not.
    pub fn new(path: &Path) -> io::Result<Self> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let missing = !directory.exists();
        if missing {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        }
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        // Elsewhere than in /etc it is somebody's own trial.
        let service = if is_root && path.starts_with("/etc") { service_ids() } else { None };
        if let (true, Some((_, group))) = (missing, service) {
            chown(&directory, None, Some(group))?;
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o750))?;
        }
        let trial = directory.join(".whybounced-init");
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&trial)?;
        fs::remove_file(&trial)?;
        Ok(Self { path: path.to_owned(), directory, service })
    }

    /// The configuration's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands there now, unless it is nothing but comments.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn existing(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok((!is_only_comments(&text)).then_some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes secrets first, the configuration last; a configuration that is there is kept beside
    /// it as `*.old`.
    ///
    /// # Errors
    /// The file, and why not.
    pub fn write(&self, text: &str, secrets: &BTreeMap<String, SecretString>) -> io::Result<Vec<Written>> {
        let mut written = Vec::new();
        for (name, secret) in secrets {
            let line = format!("{}\n", secret.expose_secret());
            written.push(self.one(&self.directory.join(name), line.as_bytes(), 0o600, self.service.map(|it| it.0))?);
        }
        if self.existing()?.is_some() {
            let mut old = self.path.clone().into_os_string();
            old.push(".old");
            fs::rename(&self.path, old)?;
        }
        // Without the daemon's group there is nobody to share it with.
        let mode = if self.service.is_some() { 0o640 } else { 0o600 };
        written.push(self.one(&self.path, text.as_bytes(), mode, None)?);
        Ok(written)
    }

    /// One file, by way of another name: nobody ever sees half of it, or an open mode.
    fn one(&self, path: &Path, bytes: &[u8], mode: u32, owner: Option<u32>) -> io::Result<Written> {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut partial = path.to_owned().into_os_string();
        partial.push(".new");
        let partial = PathBuf::from(partial);
        let _ = fs::remove_file(&partial);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&partial)?;
            file.write_all(bytes)?;
            if let Some((_, group)) = self.service {
                chown(&partial, owner, Some(group))?;
            }
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()?;
            fs::rename(&partial, path)
        };
        write().map_err(at)?;
        Ok(Written { path: path.to_owned(), mode, for_service: self.service.is_some() })
    }
}

/// Whether a configuration says nothing yet, as the package's does.
#[must_use]
pub fn is_only_comments(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The daemon's user and group, if there are any.
fn service_ids() -> Option<(u32, u32)> {
    let id = |file: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.split(':').next() == Some(USER))?;
        line.split(':').nth(2)?.parse().ok()
    };
    Some((id("/etc/passwd")?, id("/etc/group")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_whole_and_private_and_the_old_one_is_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("etc/config.toml");
        let target = Target::new(&path).expect("a place to write");
        let secrets = BTreeMap::from([("mailbox.password".to_owned(), SecretString::from("hunter2".to_owned()))]);
        assert_eq!(target.existing().expect("readable"), None);
        target.write("a = 1\n", &secrets).expect("written");
        target.write("a = 2\n", &secrets).expect("written again");
        let read = |name: &str| fs::read_to_string(root.path().join("etc").join(name)).expect("a file");
        assert_eq!(read("config.toml"), "a = 2\n");
        assert_eq!(read("config.toml.old"), "a = 1\n");
        assert_eq!(read("mailbox.password"), "hunter2\n");
        let mode = |name: &str| fs::metadata(root.path().join("etc").join(name)).expect("a file").mode() & 0o777;
        assert_eq!(mode("mailbox.password"), 0o600);
        assert_eq!(mode("config.toml") & 0o007, 0);
        assert_eq!(fs::read_dir(root.path().join("etc")).expect("a folder").count(), 3, "nothing is left over");
    }

    #[test]
    fn the_package_s_own_file_says_nothing_yet() {
        assert!(is_only_comments(include_str!("../../packaging/config.toml")));
        assert!(is_only_comments("") && !is_only_comments("# a\ndomains = []\n"));
    }
}
