//! The configuration as it is in force. Nothing that could open a mailbox is shown: only what is
//! named here is.

use std::{fmt::Debug, sync::Arc};

use axum::extract::{Extension, State};
use minijinja::{Value, context};

use super::{Page, Site, guard::Frame, page};
use crate::config::Config;

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
            ("language", plain(&policy.language)),
        ],
    )];
    for mailbox in &config.mailboxes {
        groups.push(group("[[mailbox]]", vec![("name", mailbox.name.clone()), ("after", plain(&mailbox.after))]));
    }
    groups.push(group(
        "[policy]",
        vec![
            ("mode", plain(&policy.mode)),
            ("max_age", plain(&policy.max_age)),
            ("gather", plain(&policy.gather)),
            ("delays", policy.delays.to_string()),
            ("undetermined", if policy.answer_undetermined { "answer" } else { "mute" }.to_owned()),
            ("asking", policy.asking.to_string()),
            ("proof", plain(&policy.proof)),
            ("our_servers", list(policy.our_servers.iter().map(plain).collect())),
            ("opt_out", list(policy.opt_out.iter().map(ToString::to_string).collect())),
            ("limit_person", plain(&policy.limit_person)),
            ("limit_total", plain(&policy.limit_total)),
            ("breaker", plain(&policy.breaker)),
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

/// A setting's value in the program's own words; secrets are no part of what is asked.
fn plain(value: &impl Debug) -> String {
    format!("{value:?}")
}
