//! What `check` finds on this machine: the clock, who may read what, room on the disk, and whether
//! another daemon does the same work.
//!
//! `df` and `timedatectl` are asked where the answer needs a call into C.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::UNIX_EPOCH,
};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::{Exit, Report};
use crate::{
    config::{self, Config, Secrets},
    source::Place,
};

/// The daemon's user, as sysusers makes it.
const USER: &str = "whybounced";
/// Less room than this is a failure, less than ten times this a warning, in KiB.
const ROOM: u64 = 20 * 1024;

pub(super) fn all(report: &mut Report<'_>, config: &Config) {
    clock(report, &config.path);
    permissions(report, config);
    room(report, config);
    daemons(report, config);
}

/// A clock that is wrong spoils certificates, ages and dates. No file of ours is from the future.
fn clock(report: &mut Report<'_>, path: &Path) {
    let now = Timestamp::now();
    let written = fs::metadata(path).ok().and_then(|meta| meta.modified().ok());
    let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |age| age.as_secs());
    let now_seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let remedy = Some("set the clock: timedatectl set-ntp true");
    if written > now_seconds + 60 {
        let detail = format!("{now:.0}: the configuration is from the future");
        report.failed("clock", &detail, remedy, Exit::Unavailable);
    } else if printed("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).as_deref() == Some("no") {
        report.warning("clock", &format!("{now:.0}, but nothing keeps it right"), remedy);
    } else {
        report.fine("clock", &format!("{now:.0}"));
    }
}

/// Whether the daemon's user can read the configuration with its secrets, and keep the journal. What
/// lies elsewhere than in /etc is somebody's own trial.
fn permissions(report: &mut Report<'_>, config: &Config) {
    let Some(who) = Reader::of_the_daemon().filter(|_| config.path.starts_with("/etc")) else { return };
    let mut files = vec![config.path.clone()];
    files.extend(named_files(&config.path));
    let mut sound = true;
    for path in files {
        let Ok(meta) = fs::metadata(&path) else { continue };
        if !who.may_read(&meta) {
            sound = false;
            let detail = format!("{}: the user {} cannot read it", path.display(), who.name);
            let remedy = format!("chown {0}:{0} {1} && chmod 0600 {1}", who.name, path.display());
            report.failed("permissions", &detail, Some(&remedy), Exit::Configuration);
        }
    }
    if let Some(directory) = journal_directory(config)
        && let Ok(meta) = fs::metadata(&directory)
        && meta.uid() != who.uid
    {
        sound = false;
        let detail = format!("{}: the user {} does not own it", directory.display(), who.name);
        let remedy = format!("chown -R {0}:{0} {1}", who.name, directory.display());
        report.failed("permissions", &detail, Some(&remedy), Exit::Configuration);
    }
    if sound {
        report.fine(
            "permissions",
            &format!("the user {} reads configuration and secrets, and owns the journal", who.name),
        );
    }
}

/// Who the daemon runs as.
struct Reader {
    name: String,
    uid: u32,
    gid: u32,
}

impl Reader {
    /// The system user if there is one and we may judge it; else nobody else than us matters.
    fn of_the_daemon() -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|it| it[0] == USER)?;
        let it = Self { name: USER.to_owned(), uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? };
        is_root.then_some(it)
    }

    fn may_read(&self, meta: &Metadata) -> bool {
        let needed = if meta.uid() == self.uid {
            0o400
        } else if meta.gid() == self.gid {
            0o040
        } else {
            0o004
        };
        meta.mode() & needed != 0
    }
}

/// The files beside the configuration that it names: its secrets.
fn named_files(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let settings = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<String>();
    let beside = path.parent().map(fs::read_dir).and_then(Result::ok).into_iter().flatten().flatten();
    let files = beside.map(|entry| entry.path()).filter(|it| it.is_file() && it != path);
    files.filter(|it| it.file_name().and_then(OsStr::to_str).is_some_and(|name| settings.contains(name))).collect()
}

/// Where a SQLite journal lies.
fn journal_directory(config: &Config) -> Option<PathBuf> {
    let path = Path::new(config.journal.url.expose_secret().strip_prefix("sqlite:")?);
    path.parent().filter(|it| it.is_dir()).map(Path::to_owned)
}

fn room(report: &mut Report<'_>, config: &Config) {
    let Some(directory) = journal_directory(config) else { return };
    // Absolute: `df` will not start where it cannot come back to.
    let Ok(directory) = std::path::absolute(directory) else { return };
    let Some(free) = directory.to_str().and_then(|it| printed("df", &["-k", "--output=avail", it])) else { return };
    let Some(free) = free.lines().last().and_then(|it| it.trim().parse::<u64>().ok()) else { return };
    let detail = format!("{}: {} MiB free", directory.display(), free / 1024);
    let remedy = Some("make room there; `journal prune` and journal.retain bound what is kept");
    if free < ROOM {
        report.failed("disk", &detail, remedy, Exit::Unavailable);
    } else if free < 10 * ROOM {
        report.warning("disk", &detail, remedy);
    } else {
        report.fine("disk", &detail);
    }
}

/// Another `whybounced run`, with the configuration that it reads.
struct Daemon {
    pid: u32,
    config: PathBuf,
}

/// Two daemons with one SQLite journal exclude each other by its lock; two with a journal each
/// would explain everything twice.
fn daemons(report: &mut Report<'_>, config: &Config) {
    let ours = fs::canonicalize(&config.path).unwrap_or_else(|_| config.path.clone());
    let (same, other): (Vec<Daemon>, Vec<Daemon>) = running().into_iter().partition(|it| it.config == ours);
    let mut sound = true;
    for daemon in other {
        // Its secrets are not ours to read.
        let Ok(theirs) = config::load(&daemon.config, Secrets::Skip) else { continue };
        let shared: Vec<String> = accounts(&theirs).into_iter().filter(|it| accounts(config).contains(it)).collect();
        if !shared.is_empty() && theirs.journal.url.expose_secret() != config.journal.url.expose_secret() {
            sound = false;
            let detail = format!(
                "process {} with {} watches {} too, with a journal of its own: all would be explained twice",
                daemon.pid,
                daemon.config.display(),
                shared.join(", ")
            );
            let remedy = "end one of them, or give both the same postgres:// journal";
            report.failed("daemons", &detail, Some(remedy), Exit::Configuration);
        }
    }
    let is_sqlite = config.journal.url.expose_secret().starts_with("sqlite:");
    let pids: Vec<String> = same.iter().map(|it| it.pid.to_string()).collect();
    match pids.as_slice() {
        [] if sound => report.fine("daemons", "none runs with this configuration"),
        [] => {}
        [_, _, ..] if is_sqlite => {
            let detail = format!("processes {} share one SQLite journal", pids.join(", "));
            report.failed("daemons", &detail, Some("end all but one"), Exit::Configuration);
        }
        running => report.fine("daemons", &format!("process {} runs with this configuration", running.join(", "))),
    }
}

/// What is watched: `user at host:port`, or a path.
fn accounts(config: &Config) -> Vec<String> {
    let name = |place: &Place| match place {
        Place::Imap { endpoint, login, .. } => format!("{} at {}", login.user(), endpoint.place()),
        Place::Maildir(path) => path.display().to_string(),
    };
    config.mailboxes.iter().map(|it| name(&it.place)).collect()
}

/// All daemons that we are let see.
fn running() -> Vec<Daemon> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        let words: Vec<String> = line.split(|&b| b == 0).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        if let Some(config) = daemon_config(&words) {
            let directory = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let config = directory.join(config);
            found.push(Daemon { pid, config: fs::canonicalize(&config).unwrap_or(config) });
        }
    }
    found
}

/// The configuration of a command line, if that is a daemon's.
fn daemon_config(words: &[String]) -> Option<PathBuf> {
    let program = Path::new(words.first()?).file_name()?;
    let is_daemon =
        program == "whybounced" && words.iter().any(|it| it == "run") && !words.iter().any(|it| it == "--once");
    let mut rest = words.iter().skip_while(|it| *it != "--config").skip(1);
    let given = rest.next().or_else(|| words.iter().find(|it| it.starts_with("--config=")));
    let given = given.map_or(crate::cli::DEFAULT_CONFIG, |it| it.trim_start_matches("--config="));
    is_daemon.then(|| PathBuf::from(given))
}

/// What a program prints; `None` if it is not there, or fails.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_known_by_its_command_line() {
        let config = |line: &str| daemon_config(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(config("/usr/bin/whybounced run"), Some("/etc/whybounced/config.toml".into()));
        assert_eq!(config("whybounced run --config /a/b.toml"), Some("/a/b.toml".into()));
        assert_eq!(config("whybounced --config=c.toml run"), Some("c.toml".into()));
        for line in ["whybounced run --once", "whybounced check", "vim whybounced run", "", "setpriv whybounced run"] {
            assert_eq!(config(line), None, "{line}");
        }
    }

    #[test]
    fn a_file_is_read_by_owner_group_or_all() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("secret");
        fs::write(&path, "x").expect("written");
        let mode = |mode| {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("ours");
            fs::metadata(&path).expect("there")
        };
        let meta = mode(0o640);
        let who = |uid, gid| Reader { name: USER.to_owned(), uid, gid };
        assert!(who(meta.uid(), 1).may_read(&meta) && who(meta.uid() + 1, meta.gid()).may_read(&meta));
        assert!(!who(meta.uid() + 1, meta.gid() + 1).may_read(&meta));
        assert!(who(meta.uid() + 1, meta.gid() + 1).may_read(&mode(0o644)));
    }
}
