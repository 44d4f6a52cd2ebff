//! The built program: a configuration for it, one command, or the daemon until the story ends.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use toml::{Table, Value};

use super::{
    DOMAIN, Dovecot, MASTER, MASTER_PASSWORD, PASSWORD, PATIENCE, Scratch,
    process::{Process, command},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_whybounced");

/// A configuration (`design.md` §6) and the directory of everything it names.
pub(crate) struct Config {
    table: Table,
    scratch: Scratch,
}

impl Config {
    /// Journal in a directory of its own, no DNS, no gathering, mailboxes and `[smtp]` still to come.
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let mut it = Self { table: Table::new(), scratch };
        it.set("domains", vec![DOMAIN]).set("language", "zh-CN");
        it.set("evidence.enabled", false).set("policy.gather", "0s");
        let journal = format!("sqlite:{}", it.path("journal.db").display());
        it.set("journal.url", journal);
        it
    }

    /// Watches `account`'s INBOX over plain IMAP, as a central mailbox.
    pub(crate) fn central(&mut self, dovecot: &Dovecot, account: &str) -> &mut Self {
        self.mailbox(account, dovecot.imap, account, PASSWORD, "central")
    }

    /// Watches `member`'s INBOX by the master user.
    pub(crate) fn member(&mut self, dovecot: &Dovecot, member: &str) -> &mut Self {
        let key = format!("mailbox.{}.master_user", self.mailboxes());
        self.mailbox(member, dovecot.imap, member, MASTER_PASSWORD, "member").set(&key, MASTER)
    }

    fn mailbox(&mut self, name: &str, server: SocketAddr, user: &str, password: &str, role: &str) -> &mut Self {
        let at = format!("mailbox.{}", self.mailboxes());
        let secret = self.scratch.write(&format!("{name}.secret"), format!("{password}\n"));
        private(&secret);
        self.set(&format!("{at}.name"), name).set(&format!("{at}.host"), server.ip().to_string());
        self.set(&format!("{at}.port"), i64::from(server.port())).set(&format!("{at}.tls"), "none");
        self.set(&format!("{at}.user"), user).set(&format!("{at}.role"), role);
        self.set(&format!("{at}.password_file"), secret.display().to_string())
    }

    fn mailboxes(&self) -> usize {
        self.table.get("mailbox").and_then(Value::as_array).map_or(0, Vec::len)
    }

    /// Submits in plain text, without AUTH, from `why@` our domain.
    pub(crate) fn smtp(&mut self, server: SocketAddr) -> &mut Self {
        self.set("smtp.host", server.ip().to_string()).set("smtp.port", i64::from(server.port()));
        self.set("smtp.tls", "none").set("smtp.from", format!("退信助手 <why@{DOMAIN}>"))
    }

    /// The submission server wants this login.
    pub(crate) fn smtp_login(&mut self, user: &str, password: &str) -> &mut Self {
        let secret = self.scratch.write("smtp.secret", format!("{password}\n"));
        private(&secret);
        self.set("smtp.user", user).set("smtp.password_file", secret.display().to_string())
    }

    /// Sets one key: `policy.mode`, or `mailbox.0.after`.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &mut self.table;
        let mut steps = path.split('.').filter(|it| !it.is_empty()).peekable();
        while let Some(step) = steps.next() {
            let slot = match steps.next_if(|it| it.parse::<usize>().is_ok()).and_then(|it| it.parse::<usize>().ok()) {
                None => table.entry(step).or_insert_with(|| Value::Table(Table::new())),
                Some(number) => {
                    let list = table.entry(step).or_insert_with(|| Value::Array(Vec::new()));
                    let list = list.as_array_mut().expect("an array of tables");
                    list.resize(list.len().max(number + 1), Value::Table(Table::new()));
                    &mut list[number]
                }
            };
            table = slot.as_table_mut().expect("a table");
        }
        table.insert(last.to_owned(), value.into());
        self
    }

    /// A path in the configuration's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes the file, and says where it is.
    pub(crate) fn file(&self) -> PathBuf {
        self.scratch.write("config.toml", toml::to_string(&self.table).expect("a configuration"))
    }

    /// Runs one command with this configuration.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let file = self.file();
        let mut all = arguments.to_vec();
        let file = file.display().to_string();
        all.extend(["--config", &file]);
        run(&all, b"")
    }
}

/// A secret is its owner's alone.
fn private(path: &Path) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("our own file");
}

/// What became of one command.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The exit code.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// One JSON object a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let parsed = self.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        parsed.unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

/// Runs the program to its end, with `input` on standard input.
#[track_caller]
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Outcome {
    let done = assert_cmd::Command::new(PROGRAM)
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("NOTIFY_SOCKET")
        .timeout(2 * PATIENCE)
        .write_stdin(input)
        .output()
        .expect("the program is built");
    Outcome {
        status: done.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// `whybounced run`, until the story ends.
pub(crate) struct Daemon {
    process: Process,
    notices: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, and waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn start(config: &Config) -> Self {
        let mut it = Self::spawn(config);
        it.wait_for_notice("READY=1");
        it
    }

    /// Starts it.
    pub(crate) fn spawn(config: &Config) -> Self {
        Self::spawn_with(config, &[], &[])
    }

    /// Starts it through another program, such as `setpriv` with its options, and with variables.
    pub(crate) fn spawn_through(config: &Config, program: &[&str], environment: &[(&str, String)]) -> Self {
        Self::spawn_with(config, program, environment)
    }

    /// Starts it under a watchdog that wants to hear of it so often.
    pub(crate) fn spawn_watched(config: &Config, watchdog: Duration) -> Self {
        Self::spawn_with(config, &[], &[("WATCHDOG_USEC", watchdog.as_micros().to_string())])
    }

    fn spawn_with(config: &Config, through: &[&str], environment: &[(&str, String)]) -> Self {
        let socket = config.path("notify");
        let _ = fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).expect("our own directory");
        let (sender, notices) = mpsc::channel();
        // Read at once, as systemd does: a full socket would hold the daemon up.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = notify.recv(&mut buffer) {
                if sender.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                    return;
                }
            }
        });
        let log = config.path("daemon.log");
        let sink = File::options().create(true).append(true).open(&log).expect("our own directory");
        let mut command = command(through.first().unwrap_or(&PROGRAM));
        if !through.is_empty() {
            command.args(&through[1..]).arg(PROGRAM);
        }
        command.arg("run").arg("--config").arg(config.file());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.env("NOTIFY_SOCKET", &socket).env("NO_COLOR", "1").env_remove("JOURNAL_STREAM");
        command.stdout(sink.try_clone().expect("a file")).stderr(Stdio::from(sink));
        Self { process: Process::start("whybounced run", &mut command), notices, log }
    }

    /// Waits for a state that holds `text` on the notification socket, after those waited for before.
    #[track_caller]
    pub(crate) fn wait_for_notice(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            match self.notices.recv_timeout(Duration::from_millis(50)) {
                Ok(notice) if notice.lines().any(|line| line.contains(text)) => return,
                Ok(_) => {}
                Err(_) => {
                    if let Some(status) = self.process.ended() {
                        panic!("the daemon ended with {status} before it said {text}");
                    }
                }
            }
        }
        panic!("the daemon did not say {text}");
    }

    /// Waits for a log line that holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        super::wait_for(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    /// Everything it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// SIGTERM; the exit status and how long it took, which may be 60 s at most.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.signal("TERM");
        self.process.wait(2 * PATIENCE).expect("the daemon ends when asked to")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Its exit status, if it ends within this time.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.wait(limit).map(|(status, _)| status)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Its arguments, as everybody on the machine can read them.
    pub(crate) fn command_line(&self) -> String {
        fs::read_to_string(format!("/proc/{}/cmdline", self.process.pid())).expect("it runs")
    }

    /// The most memory it ever held, in MiB (`VmHWM`).
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:") / 1024
    }

    /// The memory it holds now, in KiB (`VmRSS`).
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }

    /// How many file descriptors it holds.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.pid())).expect("it runs").count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::show("whybounced", &self.log());
        }
    }
}
