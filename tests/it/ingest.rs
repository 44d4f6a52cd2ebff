//! One message on standard input: by hand, from a real Postfix's `pipe`, from a Dovecot sieve script.

use std::{
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    feeding::block,
    harness::{
        BOUNCES, Bounce, CHEN, Config, Daemon, Dovecot, LI, Letter, Postfix, Process, ScriptedSmtp, command, postfix,
        run, send_mail, servers_here, wait_for,
    },
};

/// The program under the user of our own `sysusers` file, with a journal in a directory of its own.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) out: ScriptedSmtp,
    program: PathBuf,
    user: (u32, u32),
}

impl Service {
    pub(crate) fn new() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/whybounced.sysusers");
        let made = Command::new("systemd-sysusers").arg(file).status();
        assert!(made.is_ok_and(|it| it.success()), "systemd-sysusers makes the user");
        let passwd = std::fs::read_to_string("/etc/passwd").expect("every system has it");
        let line = passwd.lines().find(|it| it.starts_with("whybounced:")).expect("the user was made");
        let number = |at| line.split(':').nth(at).and_then(|it| it.parse().ok()).expect("passwd(5)");
        let out = ScriptedSmtp::start();
        let mut config = Config::new();
        config.smtp(out.address);
        let state = config.path("state");
        std::fs::create_dir(&state).expect("our own directory");
        config.set("journal.url", format!("sqlite:{}/journal.db", state.display()));
        // Where the build lies others may not look.
        let (built, program) = (env!("CARGO_BIN_EXE_whybounced"), config.path("whybounced"));
        std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(|_| ())).expect("a copy");
        let it = Self { config, out, program, user: (number(2), number(3)) };
        it.own(true);
        it
    }

    /// Whether the journal's directory belongs to the service; if not, nothing can be stored.
    fn own(&self, owned: bool) {
        let user = if owned { self.user } else { (0, 0) };
        let state = self.config.path("state");
        std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("our own");
        chown(state, Some(user.0), Some(user.1)).expect("root may");
    }

    /// A page's text with this program and this configuration in the place of the installed ones.
    pub(crate) fn installed(&self, text: &str) -> String {
        let (program, file) = (self.program.display(), self.config.file());
        text.replace("/usr/bin/whybounced ingest", &format!("{program} ingest --config {}", file.display()))
    }

    /// The directory of program, configuration and journal.
    pub(crate) fn directory(&self) -> &Path {
        self.program.parent().expect("a file has a directory")
    }

    /// Makes the user known in another root directory.
    pub(crate) fn enter(&self, root: &Path) {
        let (uid, gid) = self.user;
        for (file, line) in [
            ("etc/passwd", format!("whybounced:x:{uid}:{gid}::/:/usr/sbin/nologin")),
            ("etc/group", format!("whybounced:x:{gid}:")),
        ] {
            let text = std::fs::read_to_string(root.join(file)).expect("a root directory");
            let mut lines: Vec<&str> = text.lines().filter(|it| !it.starts_with("whybounced:")).collect();
            lines.push(&line);
            std::fs::write(root.join(file), lines.join("\n") + "\n").expect("root may");
        }
    }

    /// A command under the service's own user.
    fn command(&self, arguments: &[&str]) -> Command {
        let (uid, gid) = (self.user.0.to_string(), self.user.1.to_string());
        let mut command = command("setpriv");
        command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups", "--pdeathsig", "TERM", "--"]);
        command.arg(&self.program).args(arguments).arg("--config").arg(self.config.file());
        command
    }

    /// The daemon.
    pub(crate) fn start(&self) -> Process {
        Process::start("whybounced run", &mut self.command(&["run"]))
    }

    /// The journal, one JSON object a line.
    pub(crate) fn journal(&self) -> String {
        let listed = self.command(&["journal", "list", "--all", "--format", "json"]).output().expect("it runs");
        String::from_utf8(listed.stdout).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn wait_explained(&self, letter: &Letter) {
        wait_for(&format!("an explanation of {}", letter.message_id), || {
            self.out.accepted().iter().any(|it| it.header("In-Reply-To") == letter.message_id).then_some(())
        });
    }
}

fn letter(name: &str) -> (Letter, String) {
    let letter = Letter::new("chen", "nobody@example.net", name);
    let bounce = Bounce::of(&letter).text();
    (letter, bounce)
}

fn ingest(config: &Path, message: &str) -> i32 {
    run(&["ingest", "--config", &config.display().to_string()], message.as_bytes()).status
}

#[test]
fn what_is_ingested_is_answered_by_the_running_daemon_and_once_only() {
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.smtp(out.address);
    let file = config.file();
    let _daemon = Daemon::start(&config);
    let (first, bounce) = letter("first");
    assert_eq!(ingest(&file, &bounce), 0);
    // The MTA has not heard our answer, and hands it over again with one trace line more.
    assert_eq!(ingest(&file, &bounce), 0);
    assert_eq!(ingest(&file, &format!("Received: by mail.corp.example.cn\n{bounce}")), 0);
    assert_eq!(ingest(&file, "From: li@corp.example.cn\nSubject: lunch\n\nat noon?\n"), 0);
    let (last, bounce) = letter("last");
    assert_eq!(ingest(&file, &bounce), 0);
    let answered = wait_for("the last explanation", || {
        let answered: Vec<String> = out.accepted().iter().map(|it| it.header("In-Reply-To")).collect();
        answered.contains(&last.message_id).then_some(answered)
    });
    assert_eq!(answered, [first.message_id, last.message_id]);
    let listed = config.run(&["journal", "list", "--all", "--format", "json"]).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
}

#[test]
fn what_cannot_be_stored_stays_with_the_mta() {
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    let file = config.smtp(out.address).file();
    let (_, bounce) = letter("kept");
    let missing = config.path("no-such.toml");
    let asked = run(&["ingest", "--config", &missing.display().to_string()], bounce.as_bytes());
    assert_eq!(asked.status, 75, "{asked:?}");
    assert!(asked.stderr.contains("no-such.toml") && asked.stderr.contains("hint: "), "{asked:?}");
    let wrong = config.path("wrong.toml");
    std::fs::write(&wrong, "domains = 7\n").expect("our own directory");
    assert_eq!(ingest(&wrong, &bounce), 75);
    config.set("journal.url", "sqlite:/proc/nowhere/journal.db");
    assert_eq!(config.run(&["ingest"]).status, 65, "nothing on standard input");
    assert_eq!(ingest(&config.file(), &bounce), 75);
    assert_eq!(run(&["ingest", "--nonsense"], b"").status, 64);
    // The directory is there, and yet nothing can be written.
    let journal = config.path("taken");
    std::fs::create_dir(&journal).expect("our own directory");
    config.set("journal.url", format!("sqlite:{}", journal.display()));
    assert_eq!(ingest(&config.file(), &bounce), 75);
    config.set("journal.url", format!("sqlite:{}", config.path("journal.db").display()));
    // A password that only the service gets does not matter here.
    config.set("mailbox.0.host", "imap.example.cn").set("mailbox.0.user", BOUNCES);
    config.set("mailbox.0.password_credential", "imap");
    assert_eq!(config.file(), file);
    assert_eq!(ingest(&file, &bounce), 0);
}

#[test]
fn postfix_keeps_what_cannot_be_stored_and_hands_it_over_again() {
    if !servers_here(&["dovecot", "postfix", "systemd-sysusers"]) {
        return;
    }
    let dovecot = Dovecot::start(&[CHEN]);
    let service = Service::new();
    let quick = "queue_run_delay = 1s\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n";
    let options = postfix::Options {
        main_cf: format!("{quick}{}", block("postfix-pipe.md", "main.cf")),
        master_cf: service.installed(&block("postfix-pipe.md", "master.cf")),
        ..postfix::Options::default()
    };
    let postfix = Postfix::start(&dovecot, &options);
    service.own(false);
    let (kept, bounce) = letter("kept");
    send_mail(postfix.smtp, "", &[BOUNCES], &bounce);
    wait_for("a deferral", || postfix.log().contains("status=deferred").then_some(()));
    service.own(true);
    wait_for("the delivery", || postfix.log().contains("status=sent").then_some(()));
    let owner = std::fs::metadata(service.config.path("state/journal.db")).expect("it was made").uid();
    assert_eq!(owner, service.user.0, "it runs as whybounced");
    let _daemon = service.start();
    service.wait_explained(&kept);
    // Beside the running daemon.
    let (second, bounce) = letter("second");
    send_mail(postfix.smtp, "", &[BOUNCES], &bounce);
    service.wait_explained(&second);
    assert_eq!(service.out.accepted().len(), 2, "{}", postfix.log());
}

#[test]
fn a_sieve_script_pipes_each_members_bounces_and_disturbs_no_delivery() {
    if !servers_here(&["dovecot", "postfix", "sievec", "systemd-sysusers"]) {
        return;
    }
    let service = Service::new();
    let script = service.config.path("pipe.sieve");
    std::fs::write(&script, block("dovecot-sieve-pipe.md", "whybounced.sieve")).expect("our own directory");
    let text = service.installed(&block("dovecot-sieve-pipe.md", "dovecot.conf"));
    let text = text.replace("/etc/dovecot/whybounced.sieve", &script.display().to_string()).replace("vmail", "nobody");
    let dovecot = Dovecot::start_with(&[CHEN, LI], &text);
    dovecot.compile(&script);
    let postfix = Postfix::start(&dovecot, &postfix::Options::default());
    let _daemon = service.start();

    let (first, bounce) = letter("first");
    send_mail(postfix.smtp, "", &[CHEN], &bounce);
    service.wait_explained(&first);
    // Nobody's ordinary mail is piped; all mail arrives, whatever becomes of the pipe.
    send_mail(postfix.smtp, "someone@example.net", &[CHEN], "Subject: private\n\nlunch?\n");
    dovecot.inbox(CHEN).wait_for("the private letter", |it| it.subject() == "private");
    std::fs::remove_file(service.config.path("config.toml")).expect("our own file");
    let (_, bounce) = letter("unstored");
    send_mail(postfix.smtp, "", &[LI], &bounce);
    dovecot.inbox(LI).wait_for("the bounce", |it| it.text().contains("unstored"));
    service.config.file();
    let (last, bounce) = letter("last");
    send_mail(postfix.smtp, "", &[CHEN], &bounce);
    service.wait_explained(&last);
    assert_eq!(service.out.accepted().len(), 2, "{}", dovecot.log());
    assert_eq!(dovecot.inbox(CHEN).mails().len(), 3);
}
