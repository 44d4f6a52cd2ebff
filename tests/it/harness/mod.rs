//! Servers on loopback, in directories of their own, ended by pid; and what a story says to them.
//!
//! Each test process has a loopback address of its own (`address`), so that no two of them can want
//! the same port. Nothing here sleeps where something can be waited for.

pub(crate) mod browser;
mod company;
mod daemon;
mod desk;
mod dovecot;
mod knot;
mod mailbox;
mod name_server;
mod pki;
pub(crate) mod postfix;
mod postgres;
mod process;
mod proxy;
mod sample;
mod smtp_client;
mod smtp_server;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

pub(crate) use self::{
    company::{BOUNCES, CHEN, Company, LI, WHY},
    daemon::{Config, Daemon, Outcome, run},
    desk::Desk,
    dovecot::{Dovecot, MASTER, MASTER_PASSWORD, PASSWORD},
    knot::Knot,
    mailbox::{Maildir, StoredMail},
    name_server::{Manner, NameServer},
    pki::Authority,
    postfix::Postfix,
    postgres::Postgres,
    process::{Process, command},
    proxy::{Fault, Proxy, Way},
    sample::{Bounce, Letter},
    smtp_client::send_mail,
    smtp_server::{Answer, ScriptedSmtp, Step},
};

/// The company of all stories.
pub(crate) const DOMAIN: &str = "corp.example.cn";

/// How long a story waits for what must happen; far beyond what it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// This process's own loopback address.
pub(crate) fn address() -> IpAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // A pid has 22 bits, and all of 127/8 is ours: no two processes share one.
    IpAddr::V4(Ipv4Addr::new(127, a + 1, b, c))
}

/// An address on which nobody listens, and which no one else will be told.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let candidate = SocketAddr::new(address(), NEXT.fetch_add(1, Ordering::Relaxed));
        if TcpListener::bind(candidate).is_ok() {
            return candidate;
        }
    }
}

/// A temporary directory that servers under other users can enter.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("wb-").tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("our own directory");
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file below, with these contents.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("our own directory");
        path
    }
}

/// Asks again and again until there is an answer; a story that waits in vain fails here.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, answer: impl FnMut() -> Option<T>) -> T {
    wait(PATIENCE, what, answer)
}

/// The same for what takes a minute by design.
#[track_caller]
pub(crate) fn wait_longer<T>(what: &str, answer: impl FnMut() -> Option<T>) -> T {
    wait(PATIENCE + Duration::from_mins(1), what, answer)
}

/// The same with a patience of its own.
#[track_caller]
pub(crate) fn wait<T>(patience: Duration, what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {patience:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until somebody listens there.
#[track_caller]
pub(crate) fn wait_until_open(address: SocketAddr) {
    wait_for(&format!("a server on {address}"), || TcpStream::connect(address).ok());
}

/// Waits until nobody holds the port any more, so that a server can be started on it again.
#[track_caller]
fn wait_until_free(address: SocketAddr) {
    wait_for(&format!("the end of whoever listens on {address}"), || TcpListener::bind(address).ok());
}

/// Whether these programs are installed and may be started. If not, the story is skipped, loudly;
/// with `WHYBOUNCED_REQUIRE_SERVERS=1`, as CI sets, it fails.
pub(crate) fn servers_here(programs: &[&str]) -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|it| !is_root || !["/usr/sbin", "/usr/bin"].iter().any(|dir| Path::new(dir).join(it).exists()))
        .collect();
    if missing.is_empty() {
        return true;
    }
    let reason = format!("needs root and {} (tests/run installs them)", missing.join(", "));
    assert!(std::env::var_os("WHYBOUNCED_REQUIRE_SERVERS").is_none(), "{reason}");
    skip(&reason);
    false
}

/// Says that the story is not told, and why.
pub(crate) fn skip(reason: &str) {
    // Past libtest's capturing, which only takes what the print macros write.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {reason}\n").as_bytes());
}

/// Shows the end of a server's log beside the failure of a story.
fn show(name: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(60)..].join("\n  ");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{name} logged last:\n  {tail}\n").as_bytes());
}
