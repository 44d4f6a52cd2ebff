//! A child that ends with the story: by its pid, and by the kernel if the test itself is killed.

use std::{
    ffi::OsStr,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

/// A running program, the first of a session. Dropped, it is asked to end, then made to; what it
/// started and left behind is ended with it.
pub(crate) struct Process {
    child: Child,
    name: String,
}

/// The command that starts `program` in a session of its own, ended when the calling thread ends.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setsid");
    command.args(["setpriv", "--pdeathsig", "TERM", "--"]).arg(program).stdin(std::process::Stdio::null());
    command
}

impl Process {
    /// Starts it.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { child, name: name.to_owned() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status();
        assert!(sent.is_ok_and(|it| it.success()), "{} is gone: no {signal} sent", self.name);
    }

    /// The exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Waits for its end, and how long that took; `None` if it still runs after `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<(ExitStatus, Duration)> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Some((status, start.elapsed()));
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal("TERM");
            if self.wait(Duration::from_secs(5)).is_none() {
                self.kill();
            }
        }
        // Its children may outlive it for seconds, with the sockets that they inherited.
        let group = format!("-{}", self.pid());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(std::process::Stdio::null()).status();
    }
}
