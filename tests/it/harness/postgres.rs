//! A PostgreSQL of our own: its files and its socket in one directory, run as user `postgres`.
//! Of the standard library only, for the journal's own stories (`src/journal/tests`) use it too.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A cluster; ended with its processes when dropped.
pub(crate) struct Postgres {
    programs: PathBuf,
    directory: tempfile::TempDir,
    listen: Option<SocketAddr>,
    server: Option<Child>,
}

impl Postgres {
    /// Runs a fresh cluster, on a socket and, if wanted, over TCP. `None`: it is not installed.
    pub(crate) fn start(listen: Option<SocketAddr>) -> Option<Self> {
        let programs = programs()?;
        let directory = tempfile::Builder::new().prefix("wb-pg-").tempdir().expect("a temporary directory");
        if is_root() {
            let own = Command::new("chown").arg("postgres").arg(directory.path()).status();
            assert!(own.is_ok_and(|it| it.success()), "there is no user postgres");
        }
        let mut it = Self { programs, directory, listen, server: None };
        let mut initdb = it.command("initdb");
        initdb.args(["-A", "trust", "-U", "whybounced", "-N", "--no-locale", "-E", "UTF8", "-D"]).arg(it.data());
        let made = initdb.output().expect("initdb runs");
        assert!(made.status.success(), "{made:?}");
        it.go();
        Some(it)
    }

    /// Runs it (again), until it takes connections.
    pub(crate) fn go(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        let address = self.listen.map_or_else(String::new, |it| it.ip().to_string());
        command.args(["-h", &address, "-c", "fsync=off", "-c", "shared_buffers=16MB"]);
        if let Some(listen) = self.listen {
            command.args(["-p", &listen.port().to_string()]);
        }
        let mut server = command.stderr(Stdio::piped()).spawn().expect("postgres runs");
        let mut log = BufReader::new(server.stderr.take().expect("piped"));
        let mut line = String::new();
        let mut all = String::new();
        while !line.contains("ready to accept connections") {
            line.clear();
            assert!(log.read_line(&mut line).expect("its log") > 0, "PostgreSQL did not start: {all}");
            all.push_str(&line);
        }
        // Its log must go on being read.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        self.server = Some(server);
    }

    /// Ends it as a crash would: nothing is tidied up, every connection breaks.
    pub(crate) fn crash(&mut self) {
        self.end("QUIT");
    }

    /// What a journal is opened with.
    pub(crate) fn url(&self, database: &str) -> String {
        match self.listen {
            Some(listen) => format!("postgres://whybounced@{listen}/{database}?sslmode=disable"),
            None => format!("postgres://whybounced@localhost/{database}?host={}", self.directory.path().display()),
        }
    }

    /// A database of this name, empty.
    pub(crate) fn create_database(&self, name: &str) {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-U", "whybounced", "-Xq", "-d", "postgres", "-c", &format!("CREATE DATABASE {name}"), "-h"]);
        psql.arg(self.directory.path());
        if let Some(listen) = self.listen {
            psql.args(["-p", &listen.port().to_string()]);
        }
        let answer = psql.output().expect("psql runs");
        assert!(answer.status.success(), "{name}: {}", String::from_utf8_lossy(&answer.stderr));
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// PostgreSQL refuses to run as root. It ends with the thread that started it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]).stdin(Stdio::null()).stdout(Stdio::null());
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        command.arg("--").arg(self.programs.join(program)).current_dir(self.directory.path());
        command
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            let _ = Command::new("kill").args([&format!("-{signal}"), &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end("QUIT");
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

/// Debian keeps each version's programs apart.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql")).ok()?;
    versions.flatten().map(|it| it.path().join("bin")).filter(|it| it.join("initdb").exists()).max()
}
