//! `[[mailbox]]` and `[smtp]`: where we connect, who we are there, and what follows.

use std::{net::IpAddr, ops::Range, time::Duration};

use toml::Spanned;

use super::{
    file::{MailboxTable, Number, SmtpTable, Text},
    oauth2::{self, OAuth2Table},
    reader::Reader,
    secret::Sources,
    values,
};
use crate::{
    mail::{Mailbox, Role},
    net::{Endpoint, Login, TlsMode},
    outbound::{self, ReversePathMode, Route},
    source::{self, After, Place},
};

/// Longest wait for connecting and for each answer.
const TIMEOUT: Duration = Duration::from_mins(1);
const TLS_WORDS: [(&str, TlsMode); 3] =
    [("implicit", TlsMode::Implicit), ("starttls", TlsMode::StartTls), ("none", TlsMode::None)];

/// The keys of a connection, the same in both tables.
struct Connection<'a> {
    table: &'a str,
    span: Range<usize>,
    host: &'a Text,
    port: &'a Number,
    tls: &'a Text,
    ca_file: &'a Text,
    tls_fingerprint: &'a Text,
    /// Ports for implicit TLS and for the rest; and those that mean STARTTLS if `tls` is absent.
    ports: (u16, u16),
    starttls_ports: &'a [u16],
}

impl Connection<'_> {
    fn read(&self, reader: &mut Reader<'_>, tls_none_to: Option<&str>) -> Option<Endpoint> {
        let key = |name: &str| format!("{}.{name}", self.table);
        let host = reader.required(&key("host"), self.host, self.span.clone(), values::host);
        let port = reader.port(&key("port"), self.port);
        let usual = if port.is_some_and(|port| self.starttls_ports.contains(&port)) {
            TlsMode::StartTls
        } else {
            TlsMode::Implicit
        };
        let tls = reader.choice(&key("tls"), self.tls, &TLS_WORDS).unwrap_or(usual);
        let tls_fingerprint = reader.value(&key("tls_fingerprint"), self.tls_fingerprint, values::fingerprint);
        let host = host?;
        if tls == TlsMode::None && !is_loopback(&host) && tls_none_to != Some(host.as_str()) {
            let span = self.tls.as_ref().map_or(self.span.clone(), Spanned::span);
            let hint = format!("use \"implicit\" or \"starttls\"; on a network you trust, tls_none_to = \"{host}\"");
            reader.problem(
                &key("tls"),
                Some(span),
                format!("without TLS the password would be readable on the way to {host}"),
                Some(&hint),
            );
        }
        let (implicit, other) = self.ports;
        Some(Endpoint {
            port: port.unwrap_or(if tls == TlsMode::Implicit { implicit } else { other }),
            host,
            tls,
            ca_file: reader.file(self.ca_file),
            tls_fingerprint,
            timeout: TIMEOUT,
        })
    }
}

/// Whether nothing that goes there leaves this machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// All mailboxes; their names tell them apart.
pub(super) fn mailboxes(
    reader: &mut Reader<'_>,
    tables: &[Spanned<MailboxTable>],
    tls_none_to: Option<&str>,
) -> Vec<source::Settings> {
    let mut all: Vec<source::Settings> = Vec::new();
    for table in tables {
        let Some(settings) = mailbox(reader, table, tls_none_to) else { continue };
        if all.iter().any(|other| other.name == settings.name) {
            let span = table.get_ref().name.as_ref().map_or(table.span(), Spanned::span);
            reader.problem(
                "mailbox.name",
                Some(span),
                format!("a second mailbox has the name `{}`", settings.name),
                Some("give each its own `name`"),
            );
        }
        all.push(settings);
    }
    all
}

fn mailbox(
    reader: &mut Reader<'_>,
    table: &Spanned<MailboxTable>,
    tls_none_to: Option<&str>,
) -> Option<source::Settings> {
    let (span, it) = (table.span(), table.get_ref());
    let user = it.user.as_ref().map(|user| user.get_ref().clone());
    let name = it.name.as_ref().or(it.user.as_ref()).or(it.host.as_ref()).or(it.maildir.as_ref());
    let name = name.map_or_else(String::new, |name| name.get_ref().clone());
    let is_member = reader.choice("mailbox.role", &it.role, &[("central", false), ("member", true)]).unwrap_or(false);
    let role = if is_member {
        Role::Member(reader.required("mailbox.user", &it.user, span.clone(), member)?)
    } else {
        Role::Central
    };
    let place = if let Some(path) = reader.file(&it.maildir) {
        no_server_keys(reader, it);
        Some(Place::Maildir(path))
    } else {
        imap(reader, it, &span, tls_none_to, user)
    };
    let usual = if is_member { After::Leave } else { After::Seen };
    let after = reader.value("mailbox.after", &it.after, after).unwrap_or(usual);
    let poll_interval = reader.value("mailbox.poll_interval", &it.poll_interval, values::positive_duration);
    Some(source::Settings {
        name,
        place: place?,
        role,
        poll_interval: poll_interval.unwrap_or(Duration::from_mins(1)),
        after,
    })
}

fn imap(
    reader: &mut Reader<'_>,
    it: &MailboxTable,
    span: &Range<usize>,
    tls_none_to: Option<&str>,
    user: Option<String>,
) -> Option<Place> {
    let endpoint = Connection {
        table: "mailbox",
        span: span.clone(),
        host: &it.host,
        port: &it.port,
        tls: &it.tls,
        ca_file: &it.ca_file,
        tls_fingerprint: &it.tls_fingerprint,
        ports: (993, 143),
        starttls_ports: &[143],
    }
    .read(reader, tls_none_to);
    reader.required("mailbox.user", &it.user, span.clone(), |_| Ok(()));
    let folders = it.folder.as_ref().map_or_else(|| vec!["INBOX".to_owned()], |folder| folder.0.clone());
    if folders.is_empty() || folders.iter().any(String::is_empty) {
        reader.problem("mailbox.folder", Some(span.clone()), "expected a folder's name, or a list of names", None);
    }
    let sources = Sources {
        key: "mailbox.password",
        in_file: &it.password,
        file: &it.password_file,
        env: &it.password_env,
        command: &it.password_command,
        credential: &it.password_credential,
    };
    let login = match (&it.master_user, &it.oauth2) {
        (_, Some(oauth2)) => token_login(reader, "mailbox", oauth2, user, &sources, it.master_user.as_ref()),
        // Dovecot's form of a master login; Cyrus and others take it through PLAIN in the same way.
        (Some(master), None) => {
            password_login(reader, &sources, span, user.map(|user| format!("{user}*{}", master.get_ref())))
        }
        (None, None) => password_login(reader, &sources, span, user),
    };
    Some(Place::Imap { endpoint: endpoint?, login: login?, folders, idle: it.idle.unwrap_or(true) })
}

fn password_login(
    reader: &mut Reader<'_>,
    sources: &Sources<'_>,
    span: &Range<usize>,
    user: Option<String>,
) -> Option<Login> {
    let password = sources.read(reader);
    if !sources.any() {
        let hint = "set password_file, password_env, password_command or password_credential";
        reader.problem(sources.key, Some(span.clone()), "is missing", Some(hint));
    }
    Some(Login::Password { user: user?, password: password? })
}

/// A login by access tokens; a password beside it is a mistake worth telling.
fn token_login(
    reader: &mut Reader<'_>,
    table: &str,
    oauth2: &Spanned<OAuth2Table>,
    user: Option<String>,
    sources: &Sources<'_>,
    master: Option<&Spanned<String>>,
) -> Option<Login> {
    if sources.any() || master.is_some() {
        let hint = "keep either the password or `oauth2`; a master user needs a password";
        reader.problem(&format!("{table}.oauth2"), Some(oauth2.span()), "stands beside another login", Some(hint));
    }
    let tokens = oauth2::read(reader, &format!("{table}.oauth2"), oauth2);
    Some(Login::OAuth2 { user: user?, tokens: tokens? })
}

/// A Maildir has no server: what belongs to one is a mistake worth telling.
fn no_server_keys(reader: &mut Reader<'_>, it: &MailboxTable) {
    for (key, value) in
        [("host", &it.host), ("tls", &it.tls), ("password_file", &it.password_file), ("master_user", &it.master_user)]
    {
        if let Some(value) = value {
            let hint = "keep either `maildir` or `host`";
            reader.problem(
                &format!("mailbox.{key}"),
                Some(value.span()),
                "has no meaning beside `maildir`",
                Some(hint),
            );
        }
    }
}

fn member(text: &str) -> Result<Mailbox, String> {
    values::mailbox(text).map_err(|error| format!("{error}; for a member's mailbox `user` is the member's address"))
}

fn after(text: &str) -> Result<After, String> {
    match text {
        "leave" => Ok(After::Leave),
        "seen" => Ok(After::Seen),
        _ => match text.strip_prefix("move:").map(str::trim) {
            Some(folder) if !folder.is_empty() => Ok(After::Move(folder.to_owned())),
            _ => Err(format!("expected \"leave\", \"seen\" or \"move:FOLDER\", found \"{text}\"")),
        },
    }
}

/// `[smtp]`: the way out, and what of it shows in a mail.
pub(super) struct Smtp {
    pub(super) outbound: outbound::Settings,
    pub(super) from_name: Option<String>,
    pub(super) reply_to: Option<Mailbox>,
}

pub(super) fn smtp(reader: &mut Reader<'_>, table: &Spanned<SmtpTable>, tls_none_to: Option<&str>) -> Option<Smtp> {
    let (span, it) = (table.span(), table.get_ref());
    let from = reader.required("smtp.from", &it.from, span.clone(), values::named_mailbox);
    let reply_to = reader.value("smtp.reply_to", &it.reply_to, values::mailbox);
    let route = match (reader.file(&it.directory), &it.host) {
        (Some(directory), None) => Some(Route::Directory(directory)),
        (Some(_), Some(host)) => {
            reader.problem(
                "smtp.host",
                Some(host.span()),
                "has no meaning beside `directory`",
                Some("keep either of them"),
            );
            None
        }
        (None, _) => submission(reader, it, &span, tls_none_to),
    };
    let (from_name, from) = from?;
    Some(Smtp { outbound: outbound::Settings { route: route?, from }, from_name, reply_to })
}

fn submission(
    reader: &mut Reader<'_>,
    it: &SmtpTable,
    span: &Range<usize>,
    tls_none_to: Option<&str>,
) -> Option<Route> {
    let endpoint = Connection {
        table: "smtp",
        span: span.clone(),
        host: &it.host,
        port: &it.port,
        tls: &it.tls,
        ca_file: &it.ca_file,
        tls_fingerprint: &it.tls_fingerprint,
        ports: (465, 587),
        starttls_ports: &[25, 587],
    }
    .read(reader, tls_none_to);
    let sources = Sources {
        key: "smtp.password",
        in_file: &it.password,
        file: &it.password_file,
        env: &it.password_env,
        command: &it.password_command,
        credential: &it.password_credential,
    };
    let password = if it.oauth2.is_none() { sources.read(reader) } else { None };
    let login = match (&it.user, password) {
        (user, _) if let Some(oauth2) = &it.oauth2 => {
            if user.is_none() {
                reader.problem("smtp.user", Some(span.clone()), "is missing beside `oauth2`", None);
            }
            token_login(reader, "smtp", oauth2, user.as_ref().map(|it| it.get_ref().clone()), &sources, None)
        }
        (Some(user), Some(password)) => Some(Login::Password { user: user.get_ref().clone(), password }),
        (Some(user), None) => {
            if !sources.any() {
                let hint =
                    "set password_file, password_env, password_command or password_credential; or leave `user` out";
                reader.problem("smtp.password", Some(user.span()), "is missing for this user", Some(hint));
            }
            None
        }
        (None, Some(_)) => {
            reader.problem(
                "smtp.user",
                Some(span.clone()),
                "is missing beside the password",
                Some("without `user` there is no login"),
            );
            None
        }
        (None, None) => None,
    };
    let words = [("auto", ReversePathMode::Auto), ("null", ReversePathMode::Null), ("from", ReversePathMode::From)];
    let reverse_path = reader.choice("smtp.reverse_path", &it.reverse_path, &words).unwrap_or(ReversePathMode::Auto);
    Some(Route::Smtp { endpoint: endpoint?, login, reverse_path })
}
