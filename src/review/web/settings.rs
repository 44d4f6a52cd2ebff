//! The configuration as it is in force. Nothing that could open a mailbox is shown: only what is
//! named here is.

use std::{fmt::Debug, sync::Arc};

use axum::extract::{Extension, State};
use minijinja::{Value, context};

use super::{Page, Site, guard::Frame, page};
use crate::{
    config::Config,
    mail::Language,
    policy::{LanguageChoice, Limit, Mode, Proof},
    source::After,
};

/// GET /settings
pub(super) async fn settings(State(site): State<Arc<Site>>, Extension(frame): Extension<Frame>) -> Page {
    let mut muted: Vec<String> = site.journal.muted().await?.into_iter().collect();
    muted.sort();
    let config = &site.config;
    let content = context! {
        path => config.path.display().to_string(),
        warnings => config.warnings.clone(),
        groups => groups(config),
        muted,
    };
    page("settings.html", &frame, content)
}

fn groups(config: &Config) -> Vec<Value> {
    let (policy, evidence, reply) = (&config.policy, &config.evidence, &config.reply);
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    let list = |them: Vec<String>| them.join(", ");
    let mut groups = vec![group(
        "",
        vec![
            ("domains", policy.domains.join(", ")),
            ("home_country", text(&config.home_country)),
            ("timezone", reply.timezone.iana_name().unwrap_or_default().to_owned()),
            ("language", language(&policy.language)),
        ],
    )];
    for mailbox in &config.mailboxes {
        groups.push(group("[[mailbox]]", vec![("name", mailbox.name.clone()), ("after", after(&mailbox.after))]));
    }
    groups.push(group(
        "[policy]",
        vec![
            ("mode", mode(&policy.mode)),
            ("max_age", plain(&policy.max_age)),
            ("gather", plain(&policy.gather)),
            ("delays", policy.delays.to_string()),
            ("undetermined", if policy.answer_undetermined { "answer" } else { "mute" }.to_owned()),
            ("asking", policy.asking.to_string()),
            ("proof", proof(policy.proof).to_owned()),
            ("our_servers", list(policy.our_servers.iter().map(plain).collect())),
            ("opt_out", list(policy.opt_out.iter().map(ToString::to_string).collect())),
            ("limit_person", limit(policy.limit_person)),
            ("limit_total", limit(policy.limit_total)),
            ("breaker", limit(policy.breaker)),
        ],
    ));
    groups.push(group(
        "[reply]",
        vec![
            ("company", text(&reply.company)),
            ("helpdesk", text(&reply.helpdesk)),
            ("templates", config.templates.as_ref().map(|it| it.display().to_string()).unwrap_or_default()),
        ],
    ));
    groups.push(group(
        "[evidence]",
        vec![
            ("enabled", evidence.enabled.to_string()),
            ("budget", plain(&evidence.budget)),
            ("resolvers", list(evidence.resolvers.iter().map(ToString::to_string).collect())),
            ("blocklists", evidence.blocklists.join(", ")),
            ("sending_ips", list(evidence.sending_ips.iter().map(ToString::to_string).collect())),
            ("dkim_selectors", evidence.dkim_selectors.join(", ")),
        ],
    ));
    groups.push(group("[smtp]", vec![("from", config.outbound.from.to_string())]));
    groups.push(group("[journal]", vec![("retain", plain(&config.journal.retain))]));
    groups.push(group("[catalogue]", vec![("rules_dir", config.rules_dir.display().to_string())]));
    groups.push(group("[alerts]", vec![("to", list(config.alerts.to.iter().map(ToString::to_string).collect()))]));
    groups
}

fn group(name: &str, values: Vec<(&str, String)>) -> Value {
    let shown = |value: String| if value.is_empty() { "—".to_owned() } else { value };
    let values: Vec<(String, String)> = values.into_iter().map(|(key, it)| (key.to_owned(), shown(it))).collect();
    context! { name => if name.is_empty() { "config.toml" } else { name }, values }
}

fn language(choice: &LanguageChoice) -> String {
    match choice {
        LanguageChoice::Auto(otherwise) => format!("auto ({})", otherwise.as_str()),
        LanguageChoice::Fixed(languages) => languages.iter().map(Language::as_str).collect::<Vec<_>>().join(", "),
    }
}

fn mode(mode: &Mode) -> String {
    match mode {
        Mode::Live => "live".to_owned(),
        Mode::DryRun => "dry_run".to_owned(),
        Mode::Redirect(to) => format!("redirect: {to}"),
    }
}

fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::None => "none",
        Proof::Plausible => "plausible",
        Proof::Verified => "verified",
    }
}

fn limit(limit: Limit) -> String {
    match limit {
        Limit::PerPeriod { count, period } => format!("{count}/{period:#}"),
        Limit::Off => "off".to_owned(),
    }
}

fn after(after: &After) -> String {
    match after {
        After::Leave => "leave".to_owned(),
        After::Seen => "seen".to_owned(),
        After::Move(folder) => format!("move:{folder}"),
    }
}

/// A setting's value in the program's own words; secrets are no part of what is asked.
fn plain(value: &impl Debug) -> String {
    format!("{value:?}")
}
