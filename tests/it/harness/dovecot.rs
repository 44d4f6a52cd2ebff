//! A real Dovecot: IMAP (plain, STARTTLS, implicit TLS), LMTP, SASL for Postfix, a master user.

use std::{fmt::Write as _, net::SocketAddr, os::unix::net::UnixStream, path::PathBuf};

use super::{
    Authority, Maildir, Scratch, free_address,
    process::{Process, command},
    wait_for, wait_until_free, wait_until_open,
};

/// Every account's password.
pub(crate) const PASSWORD: &str = "correct horse 42";
/// The master user, who logs in as `member*master`.
pub(crate) const MASTER: &str = "watcher";
/// The master user's password.
pub(crate) const MASTER_PASSWORD: &str = "battery staple 7";

/// A running Dovecot, with a mailbox for each account.
pub(crate) struct Dovecot {
    /// IMAP: plain, or STARTTLS.
    pub(crate) imap: SocketAddr,
    /// IMAP in TLS from the first byte.
    pub(crate) imaps: SocketAddr,
    /// LMTP, for Postfix.
    pub(crate) lmtp: SocketAddr,
    /// Its certificate's authority.
    pub(crate) authority: Authority,
    config: PathBuf,
    process: Option<Process>,
    scratch: Scratch,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::show("dovecot", &self.log());
        }
    }
}

impl Dovecot {
    /// Starts one with these accounts, given as whole addresses.
    pub(crate) fn start(accounts: &[&str]) -> Self {
        Self::start_with(accounts, "")
    }

    /// Starts one that offers neither IDLE nor MOVE, as some hosters do not.
    pub(crate) fn start_plain(accounts: &[&str]) -> Self {
        Self::start_with(accounts, "imap_capability = IMAP4rev1 SASL-IR ID ENABLE UIDPLUS NAMESPACE\n")
    }

    /// Starts one whose configuration ends with `more`; `{dir}` in it is its own directory.
    pub(crate) fn start_with(accounts: &[&str], more: &str) -> Self {
        let scratch = Scratch::new();
        let authority = Authority::new(&scratch, "dovecot");
        let mut users = String::new();
        for account in accounts {
            writeln!(users, "{account}:{{PLAIN}}{PASSWORD}").expect("a string");
        }
        scratch.write("users", users);
        scratch.write("masters", format!("{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n"));
        let mail = scratch.path().join("mail");
        std::fs::create_dir(&mail).expect("our own directory");
        std::os::unix::fs::chown(&mail, Some(MAIL_USER), Some(MAIL_USER)).expect("root may");
        let (imap, imaps, lmtp) = (free_address(), free_address(), free_address());
        let mut text = configuration(&scratch, &authority, imap, imaps, lmtp);
        text.push_str(&more.replace("{dir}", &scratch.path().display().to_string()));
        let config = scratch.write("dovecot.conf", text);
        let mut it = Self { imap, imaps, lmtp, authority, config, process: None, scratch };
        it.start_again();
        it
    }

    /// Starts it again after `stop`, on the same ports with the same mail.
    pub(crate) fn start_again(&mut self) {
        self.process = Some(Process::start("dovecot", command("dovecot").arg("-F").arg("-c").arg(&self.config)));
        for address in [self.imap, self.imaps, self.lmtp] {
            wait_until_open(address);
        }
    }

    /// Ends it, and waits until all that it held is free.
    pub(crate) fn stop(&mut self) {
        self.process = None;
        for address in [self.imap, self.imaps, self.lmtp] {
            wait_until_free(address);
        }
        wait_for("the end of dovecot's own sockets", || self.sockets_are_dead().then_some(()));
    }

    /// Whether no process listens on the sockets that its parts talk through.
    fn sockets_are_dead(&self) -> bool {
        let files = std::fs::read_dir(self.scratch.path().join("run")).into_iter().flatten().flatten();
        files.into_iter().all(|it| UnixStream::connect(it.path()).is_err())
    }

    /// An account's INBOX, as it lies on disk.
    pub(crate) fn inbox(&self, account: &str) -> Maildir {
        Maildir::new(self.scratch.path().join("mail").join(account).join("Maildir"), MAIL_USER)
    }

    /// The accounts and their passwords, read at each login.
    pub(crate) fn users_file(&self) -> PathBuf {
        self.scratch.path().join("users")
    }

    /// Starts it again with `more` at the end of its configuration.
    pub(crate) fn add(&mut self, more: &str) {
        self.stop();
        let text = std::fs::read_to_string(&self.config).expect("our own file");
        std::fs::write(&self.config, text + more).expect("our own file");
        self.start_again();
    }

    /// Compiles a global sieve script, as its pages say.
    pub(crate) fn compile(&self, script: &std::path::Path) {
        let compiled = command("sievec").arg("-c").arg(&self.config).arg(script).status();
        assert!(compiled.is_ok_and(|it| it.success()), "sievec takes {}", script.display());
    }

    /// Its certificate is replaced by the one of `authority`; takes effect when it is started again.
    pub(crate) fn replace_certificate(&self, authority: &Authority) {
        for (from, to) in [(&authority.certificate, &self.authority.certificate), (&authority.key, &self.authority.key)]
        {
            std::fs::copy(from, to).expect("our own directory");
        }
    }

    /// Where Postfix asks for passwords.
    pub(crate) fn sasl_socket(&self) -> PathBuf {
        self.scratch.path().join("run/sasl")
    }

    /// What it logged; for a story that wonders.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("dovecot.log")).unwrap_or_default()
    }
}

/// `nobody`, on every Debian.
const MAIL_USER: u32 = 65_534;

fn configuration(
    scratch: &Scratch,
    authority: &Authority,
    imap: SocketAddr,
    imaps: SocketAddr,
    lmtp: SocketAddr,
) -> String {
    let dir = scratch.path().display();
    let listen = imap.ip();
    let (cert, key) = (authority.certificate.display(), authority.key.display());
    let (imap, imaps, lmtp) = (imap.port(), imaps.port(), lmtp.port());
    format!(
        "base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
listen = {listen}
protocols = imap lmtp
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_master_user_separator = *
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
first_valid_uid = 1000
default_vsz_limit = 1G
passdb {{
  driver = passwd-file
  args = {dir}/masters
  master = yes
  result_success = continue
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid={MAIL_USER} gid={MAIL_USER} home={dir}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {listen}
    port = {lmtp}
  }}
}}
service auth {{
  unix_listener sasl {{
    mode = 0666
  }}
}}
"
    )
}
