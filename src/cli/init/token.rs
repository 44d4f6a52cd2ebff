//! The OAuth device flow: a person agrees in a browser, anywhere; we keep the refresh token.

use super::{Args, Exit, Failure, ask::Ask};
use crate::{
    config,
    init::{Draft, Secret},
    net::oauth::Device,
    review::printable,
};

/// Until the person has agreed.
pub(super) async fn agree(ask: &mut Ask<'_>, args: &Args, draft: &Draft) -> Result<Secret, Failure> {
    let provider = draft.provider.filter(|it| it.oauth.is_some());
    let unknown = || {
        Failure::new(Exit::Usage, "this provider offers no device flow that is known")
            .hint("give --oauth-device-url and --oauth-token-url, or a password")
    };
    let client_id = match &args.oauth_client_id {
        Some(id) => id.clone(),
        None => ask.text("Application (client) id, as registered in the directory", "--oauth-client-id", None)?,
    };
    let domain = draft.domains.first().map(String::as_str);
    let tenant = match &args.oauth_tenant {
        Some(tenant) => tenant.clone(),
        None => ask.text("Organisation (tenant): its id or domain", "--oauth-tenant", domain)?,
    };
    let url = |given: &Option<String>, usual: Option<&String>| {
        let text = given.clone().or_else(|| usual.map(|it| it.replace("{tenant}", &tenant))).ok_or_else(unknown)?;
        config::url(&text).map_err(|why| Failure::new(Exit::Usage, why))
    };
    let device = Device {
        device: url(&args.oauth_device_url, provider.and_then(|it| it.device_url.as_ref()))?,
        token: url(&args.oauth_token_url, provider.and_then(|it| it.token_url.as_ref()))?,
        client_id: client_id.clone(),
        scope: provider.and_then(|it| it.scope.clone()).unwrap_or_else(|| "offline_access".to_owned()),
    };
    let failed = |error: crate::net::Error| Failure::with_hint(Exit::Unavailable, &error.to_string());
    let invitation = device.begin().await.map_err(failed)?;
    let (uri, code) = (printable(&invitation.verification_uri), printable(&invitation.user_code));
    ask.say(&format!("  Open {uri} in any browser, log in as {}, and type {code}", printable(&draft.user)))?;
    ask.say("  waiting …")?;
    let token = device.wait(&invitation).await.map_err(failed)?;
    ask.say("  agreed")?;
    Ok(Secret::RefreshToken { token, client_id, tenant, token_url: args.oauth_token_url.clone() })
}
