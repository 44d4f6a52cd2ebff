//! The top of the file and the tables without a connection.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use jiff::{SignedDuration, tz::TimeZone};
use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;

use super::{
    AlertSettings, Config, LogSettings, LogTarget, ReviewSettings,
    connection::{self, Smtp},
    file::{File, JournalTable, PolicyTable, ReviewTable},
    reader::Reader,
    secret::Sources,
    values,
};
use crate::{
    catalogue, evidence, journal,
    mail::{Language, Mailbox},
    policy::{self, LanguageChoice, Limit, Mode, OurServer, Proof},
    reply,
};

/// Where the journal lies by default: the unit's `StateDirectory`.
const JOURNAL_URL: &str = "sqlite:/var/lib/whybounced/journal.db";

/// Everything; `None` only where a problem was noted.
pub(super) fn config(reader: &mut Reader<'_>, file: &File) -> Option<Config> {
    let tls_none_to = file.tls_none_to.as_ref().map(|host| host.get_ref().to_lowercase());
    let policy = policy(reader, file);
    let mailboxes = connection::mailboxes(reader, &file.mailbox, tls_none_to.as_deref());
    if file.smtp.is_none() {
        let hint = "[smtp] needs `host` and `from`, or `directory` and `from`";
        reader.problem("smtp", None, "the table is missing", Some(hint));
    }
    let smtp = file.smtp.as_ref().and_then(|table| connection::smtp(reader, table, tls_none_to.as_deref()));
    let journal = journal(reader, &file.journal);
    let evidence = evidence(reader, file);
    let alerts = alerts(reader, file);
    let timezone = reader.value("timezone", &file.timezone, |name| {
        TimeZone::get(name).map_err(|_| format!("`{name}` is not a time zone; expected a name like \"Asia/Shanghai\""))
    });
    let home_country = reader.value("home_country", &file.home_country, country);
    let review = review(reader, &file.review);
    let log = log(reader, file);
    let templates = reader.file(&file.reply.templates);
    if let (Some(path), Some(text)) = (&templates, &file.reply.templates)
        && !path.is_dir()
    {
        reader.problem("reply.templates", Some(text.span()), format!("{} is not a directory", path.display()), None);
    }
    let rules_dir = reader.file(&file.catalogue.rules_dir).unwrap_or_else(|| reader.resolve("rules.d"));
    let Smtp { outbound, from_name, reply_to } = smtp?;
    let text = |text: &Option<Spanned<String>>| text.as_ref().map(|text| text.get_ref().trim().to_owned());
    Some(Config {
        path: reader.path.to_owned(),
        home_country,
        mailboxes,
        reply: reply::Settings {
            from: outbound.from.clone(),
            from_name,
            reply_to,
            company: text(&file.reply.company),
            helpdesk: text(&file.reply.helpdesk),
            timezone: timezone.unwrap_or_else(TimeZone::system),
            administrator_is_told: !alerts.to.is_empty(),
        },
        outbound,
        templates,
        policy: policy?,
        evidence,
        journal: journal?,
        rules_dir,
        review,
        alerts,
        log,
        warnings: std::mem::take(&mut reader.warnings),
    })
}

/// `[review]`: beyond loopback only with a password, or behind a proxy that knows who it is.
fn review(reader: &mut Reader<'_>, table: &ReviewTable) -> ReviewSettings {
    let listen = reader.value("review.listen", &table.listen, |text| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("`{text}` is not an address with a port, such as \"127.0.0.1:8025\""))
    });
    let proxy = reader.value("review.proxy", &table.proxy, |text| {
        text.parse::<IpAddr>().map_err(|_| format!("`{text}` is not an address, such as \"127.0.0.1\""))
    });
    let guarded = table.password_file.is_some() || proxy.is_some();
    if let (Some(address), Some(text)) = (listen, &table.listen)
        && !guarded
        && !address.ip().is_loopback()
    {
        let hint = "set review.password_file, or listen on 127.0.0.1";
        reader.problem("review.listen", Some(text.span()), "is open to others, and there is no password", Some(hint));
    }
    if listen.is_some() && !guarded {
        reader
            .warnings
            .push("review: without password_file anyone who is logged in on this machine can open the page".to_owned());
    }
    let header = reader.value("review.proxy_header", &table.proxy_header, |text| {
        let token = !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
        if token { Ok(text.to_ascii_lowercase()) } else { Err(format!("`{text}` is not the name of a header")) }
    });
    ReviewSettings {
        listen,
        password_file: reader.file(&table.password_file),
        reader_password_file: reader.file(&table.reader_password_file),
        name: table.name.as_ref().map(|it| it.get_ref().to_ascii_lowercase()),
        proxy,
        proxy_header: header.unwrap_or_else(|| "x-remote-user".to_owned()),
    }
}

fn policy(reader: &mut Reader<'_>, file: &File) -> Option<policy::Settings> {
    let domains = domains(reader, file);
    let it = &file.policy;
    let proofs = [("none", Proof::None), ("plausible", Proof::Plausible), ("verified", Proof::Verified)];
    let per = |count, hours| Limit::PerPeriod { count, period: SignedDuration::from_hours(hours) };
    let settings = policy::Settings {
        domains,
        mode: mode(reader, it),
        max_age: reader
            .value("policy.max_age", &it.max_age, values::signed_duration)
            .unwrap_or(SignedDuration::from_hours(72)),
        gather: reader
            .value("policy.gather", &it.gather, values::signed_duration)
            .unwrap_or(SignedDuration::from_secs(60)),
        delays: it.delays.unwrap_or(false),
        answer_undetermined: reader
            .choice("policy.undetermined", &it.undetermined, &[("answer", true), ("mute", false)])
            .unwrap_or(true),
        asking: it.asking.unwrap_or(true),
        proof: reader.choice("policy.proof", &it.proof, &proofs).unwrap_or(Proof::Plausible),
        our_servers: reader
            .list("policy.our_servers", it.our_servers.as_deref(), our_servers)
            .into_iter()
            .flatten()
            .collect(),
        opt_out: reader.list("policy.opt_out", it.opt_out.as_deref(), values::mailbox),
        limit_person: reader.value("policy.limit_person", &it.limit_person, values::limit).unwrap_or(per(10, 24)),
        limit_total: reader.value("policy.limit_total", &it.limit_total, values::limit).unwrap_or(per(200, 1)),
        breaker: reader
            .value("policy.breaker", &it.breaker, values::limit)
            .unwrap_or(Limit::PerPeriod { count: 50, period: SignedDuration::from_mins(10) }),
        language: language_choice(reader, file),
        languages: languages(reader, file),
    };
    (!settings.domains.is_empty()).then_some(settings)
}

fn mode(reader: &mut Reader<'_>, it: &PolicyTable) -> Mode {
    let redirect_to = reader.value("policy.redirect_to", &it.redirect_to, values::mailbox);
    let words = [("live", Some(Mode::Live)), ("dry_run", Some(Mode::DryRun)), ("redirect", None)];
    let mode = reader.choice("policy.mode", &it.mode, &words).unwrap_or(Some(Mode::Live));
    mode.or(redirect_to.map(Mode::Redirect)).unwrap_or_else(|| {
        let hint = "set it to the address that gets every explanation";
        let span = it.mode.as_ref().map(Spanned::span);
        reader.problem("policy.redirect_to", span, "is missing beside mode = \"redirect\"", Some(hint));
        Mode::DryRun
    })
}

/// `catalogue/our-servers.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    servers: Vec<String>,
}

/// One entry of `our_servers`: a host or network, or `preset:PROVIDER` for all of its hosts.
fn our_servers(text: &str) -> Result<Vec<OurServer>, String> {
    let Some(name) = text.strip_prefix("preset:") else { return values::our_server(text).map(|it| vec![it]) };
    let presets: BTreeMap<String, Provider> =
        catalogue::table("our-servers.toml").map_err(|error| error.to_string())?;
    match presets.get(name) {
        Some(provider) => provider.servers.iter().map(|host| values::our_server(host)).collect(),
        None => Err(format!(
            "there is no preset `{name}`; expected one of {}",
            presets.into_keys().collect::<Vec<_>>().join(", ")
        )),
    }
}

/// `domains`, each in both forms if it is an internationalised name.
fn domains(reader: &mut Reader<'_>, file: &File) -> Vec<String> {
    let hint = Some("list the company's mail domains: domains = [\"corp.example.cn\"]");
    let Some(list) = &file.domains else {
        reader.problem("domains", None, "is missing, and there is no default", hint);
        return Vec::new();
    };
    if list.is_empty() {
        reader.problem("domains", None, "is empty", hint);
    }
    let mut domains = Vec::new();
    for text in list {
        match values::domain(text.get_ref()) {
            Ok(domain) => {
                let forms =
                    [idna::domain_to_ascii(&domain).ok(), Some(idna::domain_to_unicode(&domain).0), Some(domain)];
                for form in forms.into_iter().flatten() {
                    if !domains.contains(&form) {
                        domains.push(form);
                    }
                }
            }
            Err((message, hint)) => reader.problem("domains", Some(text.span()), message, Some(&hint)),
        }
    }
    domains
}

/// Languages that explanations exist in: what `catalogue/languages/` holds.
fn language(text: &str) -> Result<Language, String> {
    let known =
        |tag: &str| tag == "zh-CN" || tag == "en" || catalogue::folder(&format!("languages/{tag}")).next().is_some();
    if !text.is_empty() && known(text) {
        Ok(Language::new(text))
    } else {
        Err(format!("there are no explanations in `{text}`; expected \"zh-CN\" or \"en\""))
    }
}

fn language_choice(reader: &mut Reader<'_>, file: &File) -> LanguageChoice {
    let read = |text: &str| match text {
        "auto" => Ok(LanguageChoice::Auto(Language::zh_cn())),
        "both" => Ok(LanguageChoice::Fixed(vec![Language::zh_cn(), Language::en()])),
        _ => language(text)
            .map(|one| LanguageChoice::Fixed(vec![one]))
            .map_err(|error| format!("{error}, \"auto\" or \"both\"")),
    };
    reader.value("language", &file.language, read).unwrap_or(LanguageChoice::Auto(Language::zh_cn()))
}

fn languages(reader: &mut Reader<'_>, file: &File) -> Vec<(Mailbox, Language)> {
    let mut all = Vec::new();
    for (address, tag) in &file.reply.languages {
        let address = reader.value("reply.languages", &Some(address.clone()), values::mailbox);
        let tag = reader.value("reply.languages", &Some(tag.clone()), language);
        all.extend(address.zip(tag));
    }
    all
}

fn evidence(reader: &mut Reader<'_>, file: &File) -> evidence::Settings {
    let it = &file.evidence;
    let name = |text: &str| {
        if values::is_host_name(text) {
            Ok(text.to_lowercase())
        } else {
            Err(format!("`{text}` is not a name in the DNS"))
        }
    };
    let probe_port_25 = it.probe_port_25.unwrap_or(false);
    let probe_control = reader.value("evidence.probe_control", &it.probe_control, control);
    if probe_port_25 && it.probe_control.is_none() {
        let hint = "set probe_control = \"IP\": a host outside whose port 25 is known to answer; many networks close that port";
        reader.problem(
            "evidence.probe_port_25",
            None,
            "a failed probe says nothing without a control host",
            Some(hint),
        );
    }
    evidence::Settings {
        enabled: it.enabled.unwrap_or(true),
        budget: reader
            .value("evidence.budget", &it.budget, values::positive_duration)
            .unwrap_or(std::time::Duration::from_secs(5)),
        resolvers: reader.list("evidence.resolvers", it.resolvers.as_deref(), name_server),
        blocklists: reader.list("evidence.blocklists", it.blocklists.as_deref(), name),
        sending_ips: reader.list("evidence.sending_ips", it.sending_ips.as_deref(), |text| {
            text.parse::<IpAddr>().map_err(|_| format!("`{text}` is not an IP address"))
        }),
        dkim_selectors: reader.list("evidence.dkim_selectors", it.dkim_selectors.as_deref(), name),
        probe_port_25,
        probe_control,
    }
}

/// A name server: `IP:port`; the port may be left out.
///
/// # Errors
/// What is wrong with the text.
pub fn name_server(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    alone
        .or_else(|_| text.parse())
        .map_err(|_| format!("`{text}` is not an address with a port, such as \"192.0.2.53:53\""))
}

/// `IP`, or `IP:port` for a control host that listens elsewhere.
fn control(text: &str) -> Result<SocketAddr, String> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 25));
    alone.or_else(|_| text.parse()).map_err(|_| format!("`{text}` is not an address, such as \"198.51.100.25\""))
}

fn journal(reader: &mut Reader<'_>, it: &JournalTable) -> Option<journal::Settings> {
    let retain = reader.value("journal.retain", &it.retain, values::signed_duration);
    let sources = Sources {
        key: "journal.url",
        in_file: &it.url,
        file: &it.url_file,
        env: &it.url_env,
        command: &it.url_command,
        credential: &it.url_credential,
    };
    let url = if sources.any() { sources.read_always(reader)? } else { JOURNAL_URL.into() };
    let text = url.expose_secret();
    let url = if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        let path = reader.resolve(path.strip_prefix("//").unwrap_or(path));
        SecretString::from(format!("sqlite:{}", path.display()))
    } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        url
    } else {
        let span = it.url.as_ref().map(Spanned::span);
        reader.problem(
            "journal.url",
            span,
            "expected \"sqlite:PATH\" or \"postgres://…\" (the value is not shown)",
            None,
        );
        return None;
    };
    Some(journal::Settings { url, retain: retain.unwrap_or(SignedDuration::from_hours(180 * 24)) })
}

fn alerts(reader: &mut Reader<'_>, file: &File) -> AlertSettings {
    let mut to = Vec::new();
    for text in file.alerts.to.as_ref().map(|list| list.0.as_slice()).unwrap_or_default() {
        match values::mailbox(text) {
            Ok(address) => to.push(address),
            Err(message) => reader.problem("alerts.to", None, message, None),
        }
    }
    AlertSettings { to, by_person: file.alerts.by_person.unwrap_or(false) }
}

fn log(reader: &mut Reader<'_>, file: &File) -> LogSettings {
    let filter = reader.value("log.filter", &file.log.filter, |text| {
        text.parse::<tracing_subscriber::EnvFilter>().map(|_| text.to_owned()).map_err(|error| {
            format!("`{text}` is not a filter ({error}); expected a level such as \"info\", or \"whybounced::source=debug,info\"")
        })
    });
    let targets = [
        ("auto", LogTarget::Auto),
        ("journald", LogTarget::Journald),
        ("stderr", LogTarget::Stderr),
        ("json", LogTarget::Json),
    ];
    LogSettings {
        filter: filter.unwrap_or_else(|| "info".to_owned()),
        to: reader.choice("log.to", &file.log.to, &targets).unwrap_or_default(),
    }
}

fn country(text: &str) -> Result<String, String> {
    let sound = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    if sound {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(format!("`{text}` is not a country code; expected two letters, such as \"CN\""))
    }
}
