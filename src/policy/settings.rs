//! Settings that would make us answer the world are refused here (`design.md` §3).

use super::Settings;
use crate::{catalogue, mail::Mailbox};

/// Why the settings are refused; `config` adds file and line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// No domain at all.
    #[error("`domains` is empty\n\nhint: name your company's mail domains, as in domains = [\"corp.example.cn\"]")]
    NoDomains,
    /// A wildcard.
    #[error(
        "`domains` contains `{0}`: wildcards are not taken, for forged bounces would make us write to strangers\n\nhint: list each domain and subdomain by its name"
    )]
    Wildcard(String),
    /// A provider's public domain.
    #[error(
        "`domains` contains `{0}`, a public mail domain: its users are not your staff\n\nhint: name your company's own domains only"
    )]
    PublicDomain(String),
    /// Not a domain.
    #[error(
        "`domains` contains `{0}`, which is not a domain name\n\nhint: write it without @, as in \"corp.example.cn\""
    )]
    NotADomain(String),
}

impl Settings {
    /// The only way from a configuration to settings in force: lower-cases the domains and refuses
    /// an empty list, wildcards and public mail domains.
    pub fn checked(mut self) -> Result<Self, SettingsError> {
        if self.domains.is_empty() {
            return Err(SettingsError::NoDomains);
        }
        for domain in &mut self.domains {
            *domain = check_domain(domain)?;
        }
        Ok(self)
    }

    /// Whether an address is a member's: exactly one of `domains`, no subdomain unless listed.
    #[must_use]
    pub fn is_member(&self, mailbox: &Mailbox) -> bool {
        let domain = ascii(mailbox.domain());
        self.domains.iter().any(|it| ascii(it) == domain)
    }
}

/// One of `domains`, lower-cased: no wildcard, no public mail domain, nothing that is no domain.
pub fn check_domain(domain: &str) -> Result<String, SettingsError> {
    let lower = domain.trim().trim_end_matches('.').to_lowercase();
    if lower.contains('*') {
        return Err(SettingsError::Wildcard(domain.to_owned()));
    }
    let sound = Mailbox::parse(&format!("x@{lower}")).is_some_and(|it| it.domain() == lower) && lower.contains('.');
    if !sound || lower.contains(['[', ':']) {
        return Err(SettingsError::NotADomain(domain.to_owned()));
    }
    let asked = ascii(&lower);
    if catalogue::is_public_domain(&asked) {
        return Err(SettingsError::PublicDomain(domain.to_owned()));
    }
    Ok(lower)
}

/// A domain as A-labels, for comparing.
fn ascii(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned())
}
