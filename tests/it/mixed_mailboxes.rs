//! The daemon on twenty mailboxes of mixed kinds that fail in every way while bounces keep coming:
//! nothing lost, nothing told twice, no hot loop, no growth.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    fake_imap::{FakeImap, Say},
    harness::{
        Bounce, Config, Daemon, Dovecot, Fault, Letter, MASTER, MASTER_PASSWORD, Maildir, PASSWORD, Proxy,
        ScriptedSmtp, Way, servers_here, wait_longer,
    },
    oauth::TokenServer,
};

/// Of each kind.
const EACH: usize = 4;

/// For how long faults happen; `tests/mailboxes` sets more.
fn duration() -> Duration {
    let set = std::env::var("WHYBOUNCED_MAILBOX_SECONDS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(set.unwrap_or(12))
}

/// How a mailbox is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Plain,
    Member,
    OAuth2,
    NoIdle,
    NetEase,
}

const KINDS: [Kind; 5] = [Kind::Plain, Kind::Member, Kind::OAuth2, Kind::NoIdle, Kind::NetEase];

/// Where its bounces are put, and the wire that fails.
enum Behind {
    Dovecot(Maildir, Proxy),
    Fake(FakeImap),
}

struct Account {
    kind: Kind,
    /// Its local part.
    name: String,
    behind: Behind,
    received: u32,
}

impl Account {
    /// A bounce arrives; the letter it is about.
    fn receive(&mut self) -> Letter {
        self.received += 1;
        let author = if self.kind == Kind::Member { &self.name } else { "chen" };
        let letter = Letter::new(author, "nobody@example.net", &format!("{}-{}", self.name, self.received));
        let text = Bounce::of(&letter).text();
        match &self.behind {
            Behind::Dovecot(inbox, _) => inbox.deliver(text.as_bytes()),
            Behind::Fake(server) => drop(server.put(self.received, text.replace('\n', "\r\n"))),
        }
        letter
    }

    fn connections(&self) -> usize {
        match &self.behind {
            Behind::Dovecot(_, proxy) => proxy.connections(),
            Behind::Fake(server) => server.server.connections(),
        }
    }

    /// The wire is sound from now on; the numbering is one that nobody has seen.
    fn calm(&self) {
        match &self.behind {
            Behind::Dovecot(_, proxy) => proxy.calm(),
            Behind::Fake(server) => server.forgive(),
        }
    }

    /// What this server does until the next turn.
    fn turn(&self, number: u32) {
        let Behind::Fake(server) = &self.behind else { return };
        server.forgive();
        server.renumber(number + 2);
        match number % 6 {
            0 => server.on("UID SEARCH", Say::text("* BYE too many connections\r\n")),
            1 => server.on("NOOP", Say::text("{tag} NO [UNAVAILABLE] later\r\n")),
            2 => server
                .on("NOOP", Say::text("* 4000000 EXISTS\r\n* 3 EXPUNGE\r\n* OK [ALERT] full\r\n{tag} OK done\r\n")),
            3 => server.on("AUTHENTICATE", Say::text("{tag} NO [LIMIT] too many logins\r\n")),
            4 => server.on("UID STORE", Say::text("{tag} NO [OVERQUOTA] full\r\n")),
            _ => server.on("SELECT", Say::ThenClose(b"* 7 EXI".to_vec())),
        };
    }
}

/// Eight faults, at other places for each wire. A message may cost three broken or twelve lost
/// sessions before it is set aside: one noise, and seven others, are never enough.
fn faults(wire: usize, may_stall: bool) -> Vec<Fault> {
    let at = |turn: usize| 150 + (wire * 2_741 + turn * 1_733) % 9_000;
    let mut faults: Vec<Fault> = (0..7)
        .map(|turn| match turn % 3 {
            0 => Fault::Cut(Way::FromServer, at(turn)),
            1 => Fault::Cut(Way::ToServer, 20 + at(turn) % 900),
            _ if may_stall => Fault::Stall(at(turn)),
            _ => Fault::Cut(Way::FromServer, at(turn) / 3),
        })
        .collect();
    faults.insert(wire % 8, Fault::Garbage(at(9)));
    faults
}

fn configure(config: &mut Config, number: usize, account: &Account, server: SocketAddr, tokens: SocketAddr) {
    let at = format!("mailbox.{number}");
    let address = format!("{}@corp.example.cn", account.name);
    let password = if account.kind == Kind::Member { MASTER_PASSWORD } else { PASSWORD };
    for (key, value) in [("name", account.name.as_str()), ("tls", "none"), ("user", &address), ("poll_interval", "1s")]
    {
        config.set(&format!("{at}.{key}"), value);
    }
    config.set(&format!("{at}.host"), server.ip().to_string()).set(&format!("{at}.port"), i64::from(server.port()));
    match account.kind {
        Kind::OAuth2 => {
            let at = format!("{at}.oauth2");
            config
                .set(&format!("{at}.token_url"), format!("http://{tokens}/token"))
                .set(&format!("{at}.scope"), "mail");
            config.set(&format!("{at}.client_id"), address).set(&format!("{at}.client_secret"), "s3cret");
        }
        Kind::Member => {
            config.set(&format!("{at}.role"), "member").set(&format!("{at}.master_user"), MASTER);
            config.set(&format!("{at}.password"), password);
        }
        Kind::Plain | Kind::NoIdle | Kind::NetEase => drop(config.set(&format!("{at}.password"), password)),
    }
}

fn times_explained(letters: &[Letter], out: &ScriptedSmtp) -> BTreeMap<String, usize> {
    let mut times: BTreeMap<String, usize> = letters.iter().map(|it| (it.message_id.clone(), 0)).collect();
    for mail in out.accepted() {
        *times.entry(mail.header("In-Reply-To")).or_default() += 1;
    }
    times
}

#[test]
fn twenty_mixed_mailboxes_under_faults_lose_nothing_and_repeat_nothing() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let duration = duration();
    let names: Vec<(Kind, String)> = KINDS
        .iter()
        .flat_map(|kind| (0..EACH).map(move |number| (*kind, format!("{kind:?}{number}").to_lowercase())))
        .collect();
    let addresses: Vec<String> = names.iter().map(|(_, name)| format!("{name}@corp.example.cn")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let tokens = TokenServer::start();
    let dovecot = Dovecot::start_with(&addresses, &tokens.passdb("xoauth2"));
    let plain = Dovecot::start_plain(&addresses);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.smtp(out.address);
    for limit in ["limit_person", "limit_total", "breaker"] {
        config.set(&format!("policy.{limit}"), "off");
    }
    let may_stall = duration >= Duration::from_mins(2);
    let mut accounts: Vec<Account> = Vec::new();
    for (number, (kind, name)) in names.into_iter().enumerate() {
        let server = if kind == Kind::NoIdle { &plain } else { &dovecot };
        let behind = if kind == Kind::NetEase {
            Behind::Fake(FakeImap::netease())
        } else {
            let inbox = server.inbox(&format!("{name}@corp.example.cn"));
            Behind::Dovecot(inbox, Proxy::start(server.imap, &faults(number, may_stall)))
        };
        let address = match &behind {
            Behind::Dovecot(_, proxy) => proxy.address,
            Behind::Fake(server) => server.server.address,
        };
        let account = Account { kind, name, behind, received: 0 };
        configure(&mut config, number, &account, address, tokens.server.address);
        accounts.push(account);
    }

    let begun = Instant::now();
    let mut daemon = Daemon::start(&config);
    let mut letters = Vec::new();
    let (_never, pause) = mpsc::channel::<()>();
    let turns = u32::try_from(duration.as_secs() / 4).unwrap_or(1).clamp(1, 60);
    let mut turn = 0;
    while begun.elapsed() < duration {
        let count = accounts.len();
        letters.push(accounts[letters.len() % count].receive());
        if begun.elapsed() > duration / turns * turn {
            for account in &accounts {
                account.turn(turn);
            }
            turn += 1;
        }
        let _ = pause.recv_timeout(Duration::from_millis(200));
    }
    accounts.iter().for_each(Account::calm);
    // Waits that have grown long are given up: an administrator does so by a reload.
    daemon.signal("HUP");
    wait_longer("all explanations", || (out.accepted().len() >= letters.len()).then_some(()));
    let (elapsed, peak) = (begun.elapsed(), daemon.peak_memory());
    let times = times_explained(&letters, &out);
    let lost = times.values().filter(|it| **it == 0).count();
    let repeated = times.values().filter(|it| **it > 1).count();
    let connections: Vec<usize> = accounts.iter().map(Account::connections).collect();
    let report = format!(
        "{} mailboxes, {} s: {} bounces, lost {lost}, repeated {repeated}; {} connections, {} at most; peak {peak} MiB\n",
        accounts.len(),
        elapsed.as_secs(),
        letters.len(),
        connections.iter().sum::<usize>(),
        connections.iter().max().expect("twenty"),
    );
    let _ = std::io::stderr().write_all(report.as_bytes());
    assert!(daemon.is_running());
    assert_eq!((lost, repeated), (0, 0), "{times:?}");
    let most = 12 + elapsed.as_secs() / 4;
    for (account, connections) in accounts.iter().zip(connections) {
        assert!((connections as u64) < most, "{}: {connections} connections in {elapsed:?}", account.name);
    }
    assert!(peak < 300, "{peak} MiB");
}
