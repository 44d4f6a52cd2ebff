//! Who may look and who may act: passwords, sessions, a proxy's word, tokens against forged
//! requests, attempts that are limited. It knows nothing of pages.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs, io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

use crate::config::ReviewSettings;

/// The session's cookie.
const COOKIE: &str = "whybounced_session";
/// A session ends when nothing was asked for so long.
const IDLE: Duration = Duration::from_hours(12);
/// Sessions kept; the one that was silent for longest makes room.
const SESSIONS: usize = 500;
/// Wrong passwords from one address before it has to wait.
const ATTEMPTS: u32 = 5;
/// How long it has to wait.
const PAUSE: Duration = Duration::from_mins(5);
/// Addresses whose attempts are remembered.
const ADDRESSES: usize = 10_000;

/// What someone may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// Look.
    Reader,
    /// Look and act.
    Administrator,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// `None`: has to log in first.
    pub(super) role: Option<Role>,
    /// For the journal's entries.
    pub(super) name: String,
    /// What each form must bring back.
    pub(super) token: String,
}

impl Visitor {
    pub(super) fn acts(&self) -> bool {
        self.role == Some(Role::Administrator)
    }
}

struct Session {
    role: Role,
    token: String,
    seen: Instant,
}

/// Wrong passwords of one address.
struct Attempts {
    count: u32,
    last: Instant,
}

/// What came of a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Login {
    /// The cookie to set.
    Welcome(String),
    /// Wrong.
    Refused,
    /// Too many were wrong; try again after this long.
    Wait(Duration),
}

/// Who is logged in, and who guessed: outlives a reload of the configuration.
#[derive(Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, Session>>,
    attempts: Mutex<HashMap<IpAddr, Attempts>>,
    /// A digest of the passwords that they were opened with.
    passwords: Mutex<String>,
    /// For who has no session, as there need be none.
    token: OnceLock<String>,
}

impl Sessions {
    /// Ends all sessions if the passwords have changed.
    fn opened_with(&self, passwords: String) {
        let mut known = lock(&self.passwords);
        if *known != passwords {
            lock(&self.open).clear();
            *known = passwords;
        }
    }

    fn token(&self) -> String {
        self.token.get_or_init(|| random().unwrap_or_default()).clone()
    }
}

/// Decides who is who.
pub(super) struct Gate {
    administrator: Option<String>,
    reader: Option<String>,
    proxy: Option<IpAddr>,
    header: String,
    sessions: Arc<Sessions>,
}

impl Gate {
    /// Reads the password files.
    ///
    /// # Errors
    /// A file that cannot be read, or is empty.
    pub(super) fn new(settings: &ReviewSettings, sessions: Arc<Sessions>) -> Result<Self, io::Error> {
        let mut digest = Sha256::new();
        let mut read = |path: &Option<std::path::PathBuf>| {
            path.as_ref()
                .map(|path| {
                    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                    let text = fs::read_to_string(path).map_err(named)?;
                    digest.update(text.as_bytes());
                    digest.update([0]);
                    hashed(text.trim_end_matches(['\r', '\n'])).map_err(named)
                })
                .transpose()
        };
        let (administrator, reader) = (read(&settings.password_file)?, read(&settings.reader_password_file)?);
        sessions.opened_with(hex(&digest.finalize()));
        let (proxy, header) = (settings.proxy, settings.proxy_header.clone());
        Ok(Self { administrator, reader, proxy, header, sessions })
    }

    /// Whether anybody can log in here.
    pub(super) fn asks_for_a_password(&self) -> bool {
        self.administrator.is_some() || self.reader.is_some()
    }

    /// Who sent these headers from `peer`.
    pub(super) fn visitor(&self, peer: IpAddr, headers: &HeaderMap, now: Instant) -> Visitor {
        if self.proxy.is_some_and(|proxy| proxy == peer)
            && let Some(name) = headers.get(&self.header).and_then(|it| it.to_str().ok()).filter(|it| !it.is_empty())
        {
            let name = name.chars().take(100).collect();
            return Visitor { role: Some(Role::Administrator), name, token: self.sessions.token() };
        }
        let mut sessions = lock(&self.sessions.open);
        if let Some(session) = cookie(headers).and_then(|it| sessions.get_mut(it))
            && now.saturating_duration_since(session.seen) < IDLE
        {
            session.seen = now;
            let name = match session.role {
                Role::Administrator => "administrator",
                Role::Reader => "reader",
            };
            return Visitor { role: Some(session.role), name: name.to_owned(), token: session.token.clone() };
        }
        let open = self.administrator.is_none() && self.proxy.is_none();
        let role = match (open, self.reader.is_some()) {
            (true, false) => Some(Role::Administrator),
            (true, true) | (false, _) => None,
        };
        Visitor { role, name: "local".to_owned(), token: self.sessions.token() }
    }

    /// Tries a password; slow on purpose, so call it off the runtime's threads.
    pub(super) fn log_in(&self, peer: IpAddr, password: &str, now: Instant) -> Login {
        if let Some(wait) = self.must_wait(peer, now) {
            return Login::Wait(wait);
        }
        let fits = |hash: &Option<String>| {
            hash.as_deref().is_some_and(|it| argon2::verify_encoded(it, password.as_bytes()).unwrap_or(false))
        };
        let role = if fits(&self.administrator) {
            Role::Administrator
        } else if fits(&self.reader) {
            Role::Reader
        } else {
            self.note_failure(peer, now);
            return Login::Refused;
        };
        lock(&self.sessions.attempts).remove(&peer);
        let (Ok(id), Ok(token)) = (random(), random()) else { return Login::Refused };
        let mut sessions = lock(&self.sessions.open);
        sessions.retain(|_, it| now.saturating_duration_since(it.seen) < IDLE);
        if sessions.len() >= SESSIONS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, it)| it.seen).map(|(id, _)| id.clone())
        {
            sessions.remove(&oldest);
        }
        sessions.insert(id.clone(), Session { role, token, seen: now });
        Login::Welcome(format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", IDLE.as_secs()))
    }

    /// Ends the session; the cookie that takes the old one away.
    pub(super) fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(id) = cookie(headers) {
            lock(&self.sessions.open).remove(id);
        }
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    fn must_wait(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let attempts = lock(&self.sessions.attempts);
        let it = attempts.get(&peer).filter(|it| it.count >= ATTEMPTS)?;
        PAUSE.checked_sub(now.saturating_duration_since(it.last)).filter(|wait| !wait.is_zero())
    }

    fn note_failure(&self, peer: IpAddr, now: Instant) {
        let mut attempts = lock(&self.sessions.attempts);
        if attempts.len() >= ADDRESSES {
            attempts.retain(|_, it| now.saturating_duration_since(it.last) < PAUSE);
        }
        let it = attempts.entry(peer).or_insert(Attempts { count: 0, last: now });
        if now.saturating_duration_since(it.last) >= PAUSE {
            it.count = 0;
        }
        it.count += 1;
        it.last = now;
    }
}

/// An Argon2 hash as it is; a password, hashed.
fn hashed(text: &str) -> Result<String, io::Error> {
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    let invalid = |why: argon2::Error| io::Error::new(io::ErrorKind::InvalidData, why.to_string());
    if text.starts_with("$argon2") {
        argon2::verify_encoded(text, b"").map_err(invalid)?;
        return Ok(text.to_owned());
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|why| io::Error::other(why.to_string()))?;
    // OWASP's second choice: 19 MiB, two passes.
    let config = argon2::Config { mem_cost: 19 * 1024, time_cost: 2, ..argon2::Config::default() };
    argon2::hash_encoded(text.as_bytes(), &salt, &config).map_err(invalid)
}

/// 256 random bits.
fn random() -> Result<String, io::Error> {
    let mut octets = [0_u8; 32];
    getrandom::fill(&mut octets).map_err(|why| io::Error::other(why.to_string()))?;
    Ok(hex(&octets))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(64), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// The session's cookie among all that a browser sends (RFC 6265 §5.4).
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|it| it.to_str().ok());
    all.flat_map(|it| it.split(';')).find_map(|it| it.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn gate(password: Option<&str>, reader: Option<&str>) -> Gate {
        let hash = |it: Option<&str>| it.map(|it| hashed(it).expect("hashed"));
        Gate {
            administrator: hash(password),
            reader: hash(reader),
            proxy: None,
            header: "x-remote-user".to_owned(),
            sessions: Arc::default(),
        }
    }

    fn with_cookie(set: &str) -> HeaderMap {
        let pair = set.split(';').next().expect("a pair");
        [(header::COOKIE, format!("lang=en; {pair}").parse().expect("ascii"))].into_iter().collect()
    }

    #[test]
    fn a_password_opens_a_session_that_ends_by_itself_and_by_hand() {
        let gate = gate(Some("sesame 开门"), Some("look"));
        let now = Instant::now();
        assert_eq!(gate.visitor(PEER, &HeaderMap::new(), now).role, None);
        let Login::Welcome(set) = gate.log_in(PEER, "sesame 开门", now) else { panic!("refused") };
        assert!(set.contains("HttpOnly; SameSite=Strict"), "{set}");
        let headers = with_cookie(&set);
        assert!(gate.visitor(PEER, &headers, now).acts());
        assert_eq!(gate.visitor(PEER, &headers, now + IDLE).role, None);
        let Login::Welcome(set) = gate.log_in(PEER, "look", now) else { panic!("refused") };
        let headers = with_cookie(&set);
        let reader = gate.visitor(PEER, &headers, now);
        assert_eq!((reader.role, reader.acts()), (Some(Role::Reader), false));
        gate.log_out(&headers);
        assert_eq!(gate.visitor(PEER, &headers, now).role, None);
    }

    #[test]
    fn a_reload_keeps_sessions_and_another_password_ends_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("password");
        let settings = ReviewSettings { password_file: Some(file.clone()), ..ReviewSettings::default() };
        let sessions: Arc<Sessions> = Arc::default();
        let open = |password: &str| {
            fs::write(&file, password).expect("written");
            Gate::new(&settings, Arc::clone(&sessions)).expect("read")
        };
        let now = Instant::now();
        let Login::Welcome(set) = open("sesame\n").log_in(PEER, "sesame", now) else { panic!("refused") };
        let headers = with_cookie(&set);
        assert!(open("sesame\n").visitor(PEER, &headers, now).acts());
        assert_eq!(open("another\n").visitor(PEER, &headers, now).role, None);
    }

    #[test]
    fn wrong_passwords_cost_time_for_that_address_alone() {
        let gate = gate(Some("sesame"), None);
        let now = Instant::now();
        for _ in 0..ATTEMPTS {
            assert_eq!(gate.log_in(PEER, "guess", now), Login::Refused);
        }
        assert!(matches!(gate.log_in(PEER, "sesame", now), Login::Wait(_)));
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(matches!(gate.log_in(other, "sesame", now), Login::Welcome(_)));
        assert!(matches!(gate.log_in(PEER, "sesame", now + PAUSE), Login::Welcome(_)));
    }

    #[test]
    fn the_header_is_believed_from_the_proxy_alone() {
        let mut gate = gate(None, None);
        let headers: HeaderMap =
            [("x-remote-user".parse::<header::HeaderName>().expect("name"), "wang".parse().expect("ascii"))]
                .into_iter()
                .collect();
        gate.proxy = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
        let now = Instant::now();
        assert_eq!(gate.visitor(PEER, &headers, now).role, None);
        let through = gate.visitor(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), &headers, now);
        assert_eq!((through.acts(), through.name.as_str()), (true, "wang"));
    }

    #[test]
    fn on_loopback_without_any_password_all_is_open() {
        assert!(gate(None, None).visitor(PEER, &HeaderMap::new(), Instant::now()).acts());
    }
}
