//! Under which names no person writes, or one in an office, and which fields programs write: `catalogue/senders.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::text::squeeze;
use crate::{
    catalogue::{self, fits},
    mail::header::Headers,
};

/// The file, read strictly.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Senders {
    daemon: Vec<String>,
    daemon_too: Vec<String>,
    postmaster: Vec<String>,
    mailer_daemon: Vec<String>,
    nobody: Vec<String>,
    notice: Vec<String>,
    robot: Vec<String>,
    office: Vec<String>,
    asked: Vec<String>,
    list_office: Vec<String>,
    list_bounces: Vec<String>,
    dressed: Vec<String>,
    answer_field: Vec<String>,
    list_field: Vec<String>,
    service_field: Vec<String>,
}

static SENDERS: LazyLock<Senders> = LazyLock::new(|| catalogue::table("senders.toml").unwrap_or_default());

/// Whether a sender bears a name that daemons alone bear.
pub(super) fn is_daemon(from: &str) -> bool {
    is_named(from, &SENDERS.daemon)
}

/// Whether a sender bears a name of daemons, or of a few others.
pub(super) fn may_be_daemon(from: &str) -> bool {
    is_daemon(from) || is_named(from, &SENDERS.daemon_too)
}

/// Whether a sender bears the name of an office at which people sit too.
pub(super) fn is_postmaster(from: &str) -> bool {
    is_named(from, &SENDERS.postmaster) && !is_mailer_daemon(from)
}

/// Whether a sender bears the name under which nobody writes letters.
pub(super) fn is_mailer_daemon(from: &str) -> bool {
    is_named(from, &SENDERS.mailer_daemon)
}

/// Local parts behind which nobody reads.
pub(super) fn is_nobody(local: &str) -> bool {
    is_named(local, &SENDERS.nobody)
}

/// Local parts under which services tell of what happened elsewhere.
pub(super) fn is_notice(local: &str) -> bool {
    is_named(local, &SENDERS.notice)
}

/// Local parts that programs write as.
pub(super) fn is_robot(local: &str) -> bool {
    is_named(local, &SENDERS.robot) || local.split(['+', '-']).skip(1).any(|it| it.eq_ignore_ascii_case("owner"))
}

/// Local parts that offices and services write as, and programs.
pub(super) fn is_office(local: &str) -> bool {
    is_robot(local) || is_named(local, &SENDERS.office)
}

/// Local parts of those whom a bounce names to be asked.
pub(super) fn is_asked(local: &str) -> bool {
    is_named(local, &SENDERS.asked)
}

/// Local parts at which a list or its manager takes requests.
pub(super) fn is_list_office(local: &str) -> bool {
    is_of_list(local.split('+'), &SENDERS.list_office)
}

/// Local parts at which a list takes bounces.
pub(super) fn takes_bounces(local: &str) -> bool {
    is_of_list(local.split(['+', '=']), &SENDERS.list_bounces)
}

/// Whether a sender's name is one that those who forge bounces bear.
pub(super) fn is_dressed(name: &str) -> bool {
    let name = name.to_lowercase();
    SENDERS.dressed.iter().any(|it| name.contains(it.as_str()))
}

/// Whether a robot that answers wrote the fields.
pub(super) fn has_answer_fields(headers: &Headers) -> bool {
    SENDERS.answer_field.iter().any(|it| headers.first(it).is_some_and(|it| !it.trim().is_empty()))
}

/// Whether a list wrote the fields.
pub(super) fn has_list_fields(headers: &Headers) -> bool {
    SENDERS.list_field.iter().any(|it| headers.first(it).is_some())
}

/// Whether a tracker, a scheduler or a monitor wrote the fields.
pub(super) fn has_service_fields(headers: &Headers) -> bool {
    let begins = |name: &str, it: &str| name.get(..it.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(it));
    headers.iter().any(|field| SENDERS.service_field.iter().any(|it| begins(field.name, it)))
}

fn is_named(name: &str, patterns: &[String]) -> bool {
    let squeezed = squeeze(name);
    patterns.iter().any(|it| fits(it, &squeezed))
}

fn is_of_list<'a>(mut pieces: impl Iterator<Item = &'a str>, patterns: &[String]) -> bool {
    let name = pieces.next().unwrap_or_default().to_ascii_lowercase();
    patterns.iter().any(|it| fits(it, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_is_read() {
        let written: Senders = catalogue::written("senders.toml");
        assert!(!written.daemon.is_empty());
    }

    #[test]
    fn names_are_told_however_they_are_spelled() {
        assert!(is_daemon("Mail Delivery System <x@y.example>") && is_daemon("\"邮件 管理员\" <x@y.example>"));
        assert!(is_postmaster("Postmaster <x@y.example>") && !is_postmaster("Postmaster <MAILER-DAEMON@y.example>"));
        assert!(is_robot("web.admin") && is_robot("talk-owner") && !is_robot("administration"));
        assert!(is_list_office("talk-Request+7") && takes_bounces("talk-bounces+li=x.example") && !takes_bounces("li"));
    }
}
