//! The same stories on PostgreSQL: a cluster of our own on loopback, ended by its process id.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{Connection as _, PgConnection};

use super::*;

/// A running cluster; gone when dropped.
struct Cluster {
    server: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Cluster {
    /// `None`: PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let programs = programs()?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        // PostgreSQL refuses to run as root.
        let root = Command::new("id").arg("-u").output().is_ok_and(|it| it.stdout.starts_with(b"0\n"));
        let run = |program: &str| {
            let program = programs.join(program);
            if !root {
                return Command::new(program);
            }
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        };
        if root {
            let own = |path: &Path| Command::new("chown").arg("postgres").arg(path).status();
            assert!(own(directory.path()).is_ok_and(|it| it.success()), "user postgres");
        }
        let made = run("initdb").args(["-A", "trust", "-U", "whybounced", "-N", "-D"]).arg(&data).output();
        assert!(made.as_ref().is_ok_and(|it| it.status.success()), "{made:?}");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
        let mut server = run("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut log = BufReader::new(server.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("ready to accept connections") {
            line.clear();
            assert!(log.read_line(&mut line).expect("its log") > 0, "PostgreSQL did not start");
        }
        // Its log must go on being read.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { server, port, _directory: directory })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://whybounced@127.0.0.1:{}/{database}", self.port)
    }

    /// A desk on an empty database.
    async fn desk(&self, name: &str) -> Desk {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("connected");
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(sql).execute(&mut connection).await.expect("created");
        Desk::on(&self.url(name), None).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown that takes its children along.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.flatten().map(|it| it.path().join("bin")).find(|it| it.join("initdb").exists())
}

macro_rules! all_stories {
    ($cluster:expr; $($story:ident)*) => { $(
        let name = concat!("s", line!(), "_", stringify!($story));
        let desk = $cluster.desk(&name[..name.len().min(60)]).await;
        stories::$story(desk).await;
    )* };
}

#[tokio::test]
async fn every_story_holds_on_postgresql() {
    let Some(cluster) = Cluster::start() else {
        assert!(std::env::var_os("WHYBOUNCED_REQUIRE_SERVERS").is_none(), "PostgreSQL is not installed");
        return;
    };
    with_stories!(all_stories; cluster);
    two_daemons_share_the_work(&cluster).await;
}

/// Two daemons on one journal: each row is claimed once, each bounce explained once.
async fn two_daemons_share_the_work(cluster: &Cluster) {
    let one = cluster.desk("shared").await;
    let two = Desk::on(&cluster.url("shared"), None).await;
    for n in 1..=20_u32 {
        let it = bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example");
        let (a, b) = (format!("1:{n}"), format!("2:{n}"));
        let mut people = [&one, &two];
        people.rotate_left(usize::from(n % 2 == 0));
        let (x, y) = tokio::join!(people[0].take(&a, &it, "a@x.example"), people[1].take(&b, &it, "a@x.example"));
        let answered = [&x, &y].iter().filter(|it| matches!(it, Decision::Reply(_))).count();
        assert_eq!(answered, usize::from(n <= 10), "{x:?} {y:?}");
    }
    let mut claimed = Vec::new();
    loop {
        let (a, b) = tokio::join!(one.journal.claim_due(one.now), two.journal.claim_due(two.now));
        let both: Vec<_> = [a, b].into_iter().filter_map(|it| it.expect("claim")).collect();
        if both.is_empty() {
            break;
        }
        for due in both {
            one.journal.finish(due.id, &accepted(), one.now).await.expect("written");
            claimed.push(due.id);
        }
    }
    let all = claimed.len();
    claimed.dedup();
    assert_eq!((claimed.len(), all), (10, 10), "each row once, in order");
    // What a daemon died over is taken over by the other when its lease has run out.
    one.journal.release_breaker(one.now).await.expect("written");
    two.journal.retry(1, two.now).await.expect("by hand");
    let lost = one.journal.claim_due(one.now).await.expect("claim").expect("due");
    two.journal.tend(&two.policy, two.now).await.expect("tend");
    assert!(two.journal.claim_due(two.now).await.expect("claim").is_none(), "it may be at work");
    let later = two.now + SignedDuration::from_mins(31);
    two.journal.tend(&two.policy, later).await.expect("tend");
    assert_eq!(two.journal.claim_due(later).await.expect("claim").map(|it| it.id), Some(lost.id));
}
