//! The tests that ask others: name servers, mailboxes, the way out, the journal.

use jiff::Timestamp;

use super::{Exit, Report, split_hint};
use crate::{
    config::Config,
    evidence::{Answer, EvidenceRequest, Observation, dns::Resolver},
    init::{Providers, Trouble},
    journal::{self, Access, Filter, Journal},
    outbound::{Route, Sender},
    outbox::Stage,
    source::{self, After, Mailbox, Place},
};

pub(super) async fn all(report: &mut Report<'_>, config: &Config) {
    names(report, config).await;
    for settings in &config.mailboxes {
        mailbox(report, settings).await;
    }
    way_out(report, config).await;
    journal(report, config).await;
}

/// The resolver, and the mail hosts of our own domains.
async fn names(report: &mut Report<'_>, config: &Config) {
    if !config.evidence.enabled {
        return;
    }
    let resolver = match Resolver::new(&config.evidence) {
        Ok(resolver) => resolver,
        Err(error) => return report.error("dns", &error, Exit::Unavailable),
    };
    for domain in &config.policy.domains {
        let seen = resolver.observe(&[EvidenceRequest::MailHosts(domain.clone())], Timestamp::now).await;
        if seen.lies.is_some() {
            let remedy = "name an honest one in evidence.resolvers; until then nothing is overturned by look-ups";
            report.warning("dns", "the resolver answers for names that do not exist", Some(remedy));
        }
        let about = |it: &&Observation| it.check == "mx" || it.check == "address";
        let Some(last) = seen.observed.iter().flat_map(|it| &it.observations).rfind(about) else {
            continue;
        };
        let check = format!("dns {domain}");
        match &last.answer {
            Answer::Found(records) => report.fine(&check, &records.join(", ")),
            Answer::NoRecord | Answer::NoSuchName => {
                report.warning(&check, "has neither MX nor address", Some("is it spelt right in `domains`?"));
            }
            Answer::Unavailable(why) => {
                let remedy =
                    "explanations are sent all the same, without look-ups; evidence.resolvers names other servers";
                report.warning(&check, &format!("could not be asked: {why}"), Some(remedy));
            }
        }
    }
}

async fn mailbox(report: &mut Report<'_>, settings: &source::Settings) {
    let check = format!("mailbox {}", settings.name);
    let mut mailbox = Mailbox::new(settings.clone());
    if let Err(error) = mailbox.connect().await {
        return trouble(report, &check, &settings.place, &error);
    }
    let survey = match mailbox.survey().await {
        Ok(survey) => survey,
        Err(error) => return trouble(report, &check, &settings.place, &error),
    };
    mailbox.close().await;
    match &settings.place {
        Place::Imap { endpoint, idle, .. } => {
            let tls = survey.tls.unwrap_or("not encrypted (tls = \"none\")");
            let news = match (idle, survey.idle) {
                (true, true) => "IDLE: bounces are seen at once".to_owned(),
                (true, false) => format!("no IDLE: polled every {} s", settings.poll_interval.as_secs()),
                (false, _) => format!("polled every {} s", settings.poll_interval.as_secs()),
            };
            report.fine(&check, &format!("logged in at {}, {tls}, {news}", endpoint.place()));
        }
        Place::Maildir(path) => report.fine(&check, &format!("{} is a Maildir", path.display())),
    }
    for (folder, messages) in &survey.folders {
        match messages {
            Ok(messages) => report.fine(&check, &format!("folder {folder}: {messages} messages")),
            Err(error) => shut(report, &check, &settings.place, error),
        }
    }
    if let (After::Move(folder), false) = (&settings.after, survey.can_move) {
        let remedy = "bounces get \\Seen instead; after = \"seen\" says the same";
        report.warning(&check, &format!("the server cannot move messages to {folder}"), Some(remedy));
    }
    let watched = |name: &str| survey.folders.iter().any(|(folder, _)| folder == name);
    let telltale = ["junk", "spam", "垃圾", "异常邮件", "bulk"];
    let more: Vec<&str> = survey.all_folders.iter().map(String::as_str).collect();
    let more: Vec<&str> = more
        .into_iter()
        .filter(|name| !watched(name) && telltale.iter().any(|word| name.to_lowercase().contains(word)))
        .collect();
    if !more.is_empty() {
        let remedy = "bounces land there too: add it to `folder`";
        report.warning(&check, &format!("not watched: {}", more.join(", ")), Some(remedy));
    }
}

/// What is wrong, in the provider's own terms where its words are known.
fn trouble(report: &mut Report<'_>, check: &str, place: &Place, error: &source::Error) {
    let detail = format!("{}: {}", error.place, error.reason);
    let known = match (place, error.kind) {
        (Place::Imap { endpoint, .. }, source::Kind::LoginRefused | source::Kind::Setup) => {
            meaning(&endpoint.host, &error.reason)
        }
        (Place::Imap { .. } | Place::Maildir(_), _) => None,
    };
    match known {
        Some(it) => {
            let detail = format!("{detail}: {}", it.because);
            report.failed(check, &detail, Some(&it.remedy), Exit::Unavailable);
        }
        None => report.failed(check, &detail, error.hint.as_deref(), Exit::Unavailable),
    }
}

/// A folder that does not open: missing, or the provider will not have us (NetEase: `Unsafe Login`).
fn shut(report: &mut Report<'_>, check: &str, place: &Place, text: &str) {
    let known = match place {
        Place::Imap { endpoint, .. } => meaning(&endpoint.host, text),
        Place::Maildir(_) => None,
    };
    match known {
        Some(it) => {
            let (detail, _) = split_hint(text);
            report.failed(check, &format!("{detail}: {}", it.because), Some(&it.remedy), Exit::Unavailable);
        }
        None => report.error(check, text, Exit::Unavailable),
    }
}

/// What the words of a refusal mean at the provider whose host this is.
fn meaning(host: &str, words: &str) -> Option<Trouble> {
    let providers = Providers::embedded()?;
    // Our own hint is no word of the server's.
    providers.trouble(providers.by_host(host), split_hint(words).0)
}

async fn way_out(report: &mut Report<'_>, config: &Config) {
    let check = match &config.outbound.route {
        Route::Smtp { .. } => "smtp",
        Route::Directory(_) => "smtp directory",
    };
    let mut sender = Sender::new(config.outbound.clone(), None);
    let probe = sender.probe().await;
    let last = probe.steps.len().saturating_sub(1);
    for (index, (stage, result)) in probe.steps.iter().enumerate() {
        match result {
            Ok(found) => report.fine(check, found),
            // A null reverse-path that is refused, with the login's address taken after it.
            Err(why) if index < last => report.warning(check, split_hint(why).0, None),
            Err(why) => match (&config.outbound.route, stage) {
                (Route::Smtp { endpoint, .. }, Stage::Auth) if let Some(it) = meaning(&endpoint.host, why) => {
                    let (detail, _) = split_hint(why);
                    report.failed(check, &format!("{detail}: {}", it.because), Some(&it.remedy), Exit::Unavailable);
                }
                _ => report.error(check, why, Exit::Unavailable),
            },
        }
    }
    sender.close().await;
}

/// Opens for reading: a daemon may be at work on it.
async fn journal(report: &mut Report<'_>, config: &Config) {
    let last = match Journal::open(&config.journal, Access::Read).await {
        Ok(journal) => {
            let rows = journal.list(&Filter { all: true, limit: 1, ..Filter::default() }).await;
            let problems = journal.verify().await;
            journal.close().await;
            rows.and_then(|rows| Ok((rows, problems?)))
        }
        Err(error) => Err(error),
    };
    match last {
        Ok((rows, problems)) => {
            let last = rows.first().map(|row| format!(", last written {:.0}", row.recorded)).unwrap_or_default();
            if problems.is_empty() {
                report.fine("journal", &format!("is sound{last}"));
            }
            let remedy = "stop whybounced and put back the last backup; or move the journal aside: the inbox is read \
                          again, and what was explained in the last policy.max_age is explained once more, under the \
                          same Message-ID";
            for problem in problems {
                report.failed("journal", &format!("is damaged: {problem}"), Some(remedy), Exit::Unavailable);
            }
        }
        Err(journal::Error::Missing { path }) => match path.parent().filter(|directory| !directory.is_dir()) {
            Some(directory) => {
                let detail = format!("{}: the directory is not there yet", directory.display());
                let remedy = "systemd makes it (StateDirectory); else make it for the user that runs whybounced";
                report.warning("journal", &detail, Some(remedy));
            }
            None => report.fine("journal", &format!("{} is made at the first run", path.display())),
        },
        // Root looks at everything else, and must not touch this: SQLite's files belong to who touches them.
        Err(error @ journal::Error::Owner { .. }) if is_root() => {
            let text = error.to_string();
            let (detail, remedy) = split_hint(&text);
            report.warning("journal", detail, remedy);
        }
        Err(error) => {
            let exit =
                if matches!(error, journal::Error::Url { .. }) { Exit::Configuration } else { Exit::Unavailable };
            report.error("journal", &error.to_string(), exit);
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}
