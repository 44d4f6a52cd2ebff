//! The configuration of `docs/feeding/exim.md` in a real Exim, in a root directory of its own.

use std::{fs, net::SocketAddr, os::unix::fs::chown, path::Path, process::Command};

use crate::{
    feeding::{block, tell_the_three},
    harness::{
        Answer, CHEN, Dovecot, Process, Scratch, ScriptedSmtp, Step, command, free_address, servers_here, wait_for,
        wait_until_open,
    },
    ingest::Service,
};

/// A running Exim, with the service's own directory where it is outside.
struct Exim {
    smtp: SocketAddr,
    scratch: Scratch,
    _process: Process,
}

impl Drop for Exim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = |name: &str| fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default();
            crate::harness::skip(&format!("Exim logged {}{}", log("log-main"), log("log-panic")));
        }
    }
}

impl Exim {
    fn start(smtp: SocketAddr, service: &Service, dovecot: &Dovecot, world: SocketAddr) -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = Command::new(top.join("tests/exim-root")).status();
        assert!(made.is_ok_and(|it| it.success()), "tests/exim-root makes it");
        let root = top.join("target/exim-root");
        let scratch = Scratch::new();
        fs::create_dir(scratch.path().join("spool")).expect("our own directory");
        let owner = user_in(&root, "Debian-exim");
        for path in [scratch.path().to_owned(), scratch.path().join("spool")] {
            chown(path, Some(owner), None).expect("root may");
        }
        service.enter(&root);
        let filter = scratch.write("whybounced.filter", block("exim.md", "whybounced.filter"));
        let text = service.installed(&configuration(&scratch, smtp, dovecot.lmtp, world));
        let text = text.replace("/etc/exim4/whybounced.filter", &filter.display().to_string());
        fs::write(root.join("etc/exim4/exim4.conf"), text).expect("our own directory");
        let bound = [Path::new("/proc"), Path::new("/dev"), scratch.path(), service.directory()];
        let script = "root=$1; shift; for it; do mkdir -p \"$root$it\"; mount --rbind \"$it\" \"$root$it\"; done; \
                      exec chroot \"$root\" /usr/sbin/exim4 -bdf -oX \"$SMTP\"";
        let mut start = command("unshare");
        start.args(["--mount", "--propagation", "private", "--", "sh", "-ec", script, "exim"]).arg(&root).args(bound);
        start.env("SMTP", format!("<; [{}]:{}", smtp.ip(), smtp.port()));
        let process = Process::start("exim", &mut start);
        wait_until_open(smtp);
        Self { smtp, scratch, _process: process }
    }
}

/// A user's number as that root directory has it.
fn user_in(root: &Path, name: &str) -> u32 {
    let passwd = fs::read_to_string(root.join("etc/passwd")).expect("a root directory");
    let line = passwd.lines().find(|it| it.starts_with(&format!("{name}:"))).expect("Exim is installed");
    line.split(':').nth(2).and_then(|it| it.parse().ok()).expect("passwd(5)")
}

fn configuration(scratch: &Scratch, smtp: SocketAddr, lmtp: SocketAddr, world: SocketAddr) -> String {
    let dir = scratch.path().display();
    let [main, router, transport] = ["main", "router", "transport"].map(|it| block("exim.md", it));
    format!(
        "primary_hostname = mail.corp.example.cn
spool_directory = {dir}/spool
log_file_path = {dir}/log-%s
pid_file_path = {dir}/spool/exim.pid
local_interfaces = {listen}
tls_advertise_hosts =
host_lookup =
keep_environment =
acl_smtp_rcpt = everybody
{main}
begin acl
everybody:
  accept
begin routers
{router}
company:
  driver = manualroute
  domains = corp.example.cn
  route_list = * {lmtp_host}
  self = send
  transport = lmtp
world:
  driver = manualroute
  route_list = * {world_host}
  self = send
  transport = world
begin transports
lmtp:
  driver = smtp
  protocol = lmtp
  port = {lmtp_port}
  hosts_try_fastopen =
world:
  driver = smtp
  port = {world_port}
{transport}
begin retry
* * F,1h,1s
",
        listen = smtp.ip(),
        lmtp_host = lmtp.ip(),
        lmtp_port = lmtp.port(),
        world_host = world.ip(),
        world_port = world.port(),
    )
}

#[test]
fn exim_pipes_its_own_bounces_and_those_from_outside() {
    if !servers_here(&["dovecot", "mmdebstrap", "systemd-sysusers", "unshare"]) {
        return;
    }
    let world = ScriptedSmtp::start();
    world.on(Step::Rcpt, "<nobody", Answer::Reply("550 5.1.1 <nobody@example.net>: User unknown".to_owned()));
    let dovecot = Dovecot::start(&[CHEN]);
    let smtp = free_address();
    let mut service = Service::new();
    service.config.smtp(smtp);
    let exim = Exim::start(smtp, &service, &dovecot, world.address);
    let _daemon = service.start();
    wait_for("the journal", || service.config.path("state/journal.db").exists().then_some(()));
    tell_the_three(exim.smtp, &dovecot.inbox(CHEN), || service.journal());
}
