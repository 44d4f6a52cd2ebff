//! `--evidence` of `diagnose` and `explain`: who is asked, and about which of our own hosts.

use std::{fs::File, net::SocketAddr, path::Path};

use tokio::runtime::{Builder, Runtime};

use super::{Exit, Failure};
use crate::{
    app::Checked,
    bounce::Bounce,
    config::{self, Secrets},
    diagnosis::{Catalogue, home_of},
    evidence::{Finding, Settings, dns::Resolver},
    mail::Mailbox,
};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct EvidenceArgs {
    /// Look up what can be looked up; `[evidence]` of the configuration is used, if there is one.
    #[arg(long)]
    evidence: bool,
    /// Ask this name server instead; may be repeated.
    #[arg(long, value_name = "IP[:PORT]", requires = "evidence", value_parser = config::name_server)]
    resolver: Vec<SocketAddr>,
}

/// Asks on behalf of a command.
#[derive(Debug)]
pub(super) struct Evidence {
    runtime: Runtime,
    resolver: Resolver,
    settings: Settings,
    domains: Vec<String>,
    home_country: Option<String>,
}

impl EvidenceArgs {
    /// What is to be asked; `None` without `--evidence`.
    pub(super) fn start(&self, path: &Path) -> Result<Option<Evidence>, Failure> {
        if !self.evidence {
            return Ok(None);
        }
        // A configuration that this user may not read is the service's, not theirs.
        let config = match File::open(path) {
            Ok(_) => Some(config::load(path, Secrets::Skip)?),
            Err(_) => None,
        };
        let (mut settings, domains, home_country) = match config {
            Some(config) => (config.evidence, config.policy.domains, config.home_country),
            None => (Settings::default(), Vec::new(), None),
        };
        if !self.resolver.is_empty() {
            settings.resolvers.clone_from(&self.resolver);
        }
        let resolver = Resolver::new(&settings)
            .map_err(|error| Failure::new(Exit::Unavailable, error).hint("name a resolver: --resolver 192.0.2.53"))?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Exit::Fault, format!("cannot start: {error}")))?;
        Ok(Some(Evidence { runtime, resolver, settings, domains, home_country }))
    }
}

impl Evidence {
    /// A finding for each recipient of the report, with what was checked about it.
    pub(super) fn findings(&self, catalogue: &Catalogue, bounce: &Bounce, country: Option<&str>) -> Vec<Finding> {
        let author = bounce.original.as_ref().and_then(|it| it.from.as_ref());
        let home = home_of(author.map(Mailbox::domain), country.or(self.home_country.as_deref()));
        let checked = Checked {
            catalogue,
            resolver: Some(&self.resolver),
            settings: &self.settings,
            domains: &self.domains,
            delivered: None,
        };
        self.runtime.block_on(checked.findings(bounce, home))
    }
}
