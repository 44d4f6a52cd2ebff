//! A real Postfix: submission for the staff, local delivery to Dovecot, everything else to a scripted server.

use std::{fs, net::SocketAddr, os::unix::fs::chown, path::Path};

use super::{
    DOMAIN, Dovecot, Scratch, free_address,
    process::{Process, command},
    wait_until_open,
};

/// How a Postfix differs from the plain one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Where mail for other domains goes; without it, Postfix keeps trying in vain.
    pub(crate) relay: Option<SocketAddr>,
    /// Copies of all bounces it makes go to this address (`bounce_notice_recipient`).
    pub(crate) copies_to: Option<String>,
    /// Refuses the null reverse-path, and each sender but the login's own, where clients submit.
    pub(crate) strict_senders: bool,
    /// Lines at the end of `main.cf`.
    pub(crate) main_cf: String,
    /// Lines at the end of `master.cf`.
    pub(crate) master_cf: String,
}

/// The directories that Postfix's own user owns.
const OWNED: [&str; 15] = [
    "data",
    "queue/active",
    "queue/bounce",
    "queue/corrupt",
    "queue/defer",
    "queue/deferred",
    "queue/flush",
    "queue/hold",
    "queue/incoming",
    "queue/maildrop",
    "queue/private",
    "queue/public",
    "queue/saved",
    "queue/trace",
    "queue/verify",
];

/// A running Postfix with configuration, queue and ports of its own.
pub(crate) struct Postfix {
    /// Without AUTH and TLS, as for a host inside `mynetworks`.
    pub(crate) smtp: SocketAddr,
    /// With STARTTLS and AUTH.
    pub(crate) submission: SocketAddr,
    /// With TLS from the first byte and AUTH.
    pub(crate) submissions: SocketAddr,
    _process: Process,
    scratch: Scratch,
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::show("postfix", &self.log());
        }
    }
}

impl Postfix {
    /// Starts one that delivers the company's mail to `dovecot`.
    pub(crate) fn start(dovecot: &Dovecot, options: &Options) -> Self {
        let scratch = Scratch::new();
        let config = scratch.path().join("etc");
        fs::create_dir(&config).expect("our own directory");
        // What `postfix check` would make; Postfix's own user owns all but the pid directory.
        let owner = Some(owner_of(Path::new("/var/lib/postfix")));
        fs::create_dir_all(scratch.path().join("queue/pid")).expect("our own directory");
        for dir in OWNED.iter().map(|it| scratch.path().join(it)) {
            fs::create_dir(&dir).expect("our own directory");
            chown(dir, owner, None).expect("root may");
        }
        chown(scratch.write("postfix.log", ""), owner, None).expect("root may");
        let (smtp, submission, submissions) = (free_address(), free_address(), free_address());
        fs::write(config.join("main.cf"), main_cf(&scratch, dovecot, options)).expect("our own directory");
        fs::write(config.join("master.cf"), master_cf(smtp, submission, submissions, options))
            .expect("our own directory");
        let mut master = command("/usr/lib/postfix/sbin/master");
        let process = Process::start("postfix", master.arg("-s").arg("-c").arg(&config));
        for address in [smtp, submission, submissions] {
            wait_until_open(address);
        }
        Self { smtp, submission, submissions, _process: process, scratch }
    }

    /// What it logged; for a story that wonders.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("postfix.log")).unwrap_or_default()
    }
}

fn owner_of(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).expect("postfix is installed"))
}

fn main_cf(scratch: &Scratch, dovecot: &Dovecot, options: &Options) -> String {
    let dir = scratch.path().display();
    let more = &options.main_cf;
    let lmtp = dovecot.lmtp;
    let (ip, port) = (lmtp.ip(), lmtp.port());
    let chain = dovecot.authority.chain.display();
    let sasl = dovecot.sasl_socket();
    let sasl = sasl.display();
    let relay =
        options.relay.map_or("retry:4.4.1 no route".to_owned(), |it| format!("smtp:[{}]:{}", it.ip(), it.port()));
    let copies = options.copies_to.as_ref().map_or(String::new(), |it| {
        format!("notify_classes = bounce, 2bounce\nbounce_notice_recipient = {it}\n2bounce_notice_recipient = {it}\n")
    });
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = mail.{DOMAIN}
mydomain = {DOMAIN}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtp_connect_timeout = 5s
smtp_helo_timeout = 5s
smtp_mail_timeout = 5s
smtp_rcpt_timeout = 5s
smtp_data_init_timeout = 5s
smtp_data_done_timeout = 5s
smtpd_client_connection_rate_limit = 0
message_size_limit = 100000000
virtual_mailbox_domains = {DOMAIN}
virtual_transport = lmtp:inet:{ip}:{port}
default_transport = {relay}
smtpd_tls_chain_files = {chain}
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
{copies}{more}"
    )
}

fn master_cf(smtp: SocketAddr, submission: SocketAddr, submissions: SocketAddr, options: &Options) -> String {
    let senders = if options.strict_senders {
        "  -o { smtpd_sender_restrictions = check_sender_access inline:{ { <> = REJECT } }, reject_sender_login_mismatch }
  -o { smtpd_sender_login_maps = regexp:{ { /^(.*)$$/ $$1 } } }
"
    } else {
        ""
    };
    let auth = "  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=
";
    format!(
        "{smtp} inet n - n - - smtpd
{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
{auth}{senders}{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
{auth}{senders}pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
{}",
        options.master_cf
    )
}
