//! What `init` can be told beforehand: what a flag or a variable says is not asked.

use std::{net::SocketAddr, path::PathBuf};

use clap::ValueEnum;

use crate::{config, net::TlsMode};

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Ask nothing: what is not given takes its default.
    #[arg(long, short = 'y')]
    pub(super) yes: bool,
    /// A mail domain of the company; repeat it, or separate by commas.
    #[arg(long, env = "WHYBOUNCED_DOMAIN", value_delimiter = ',')]
    pub(super) domain: Vec<String>,
    /// aliyun, exmail, netease, coremail, 263, microsoft365, vianet21, google, or `local` for the
    /// mail server on this machine; else told from the domain's MX records.
    #[arg(long, env = "WHYBOUNCED_PROVIDER")]
    pub(super) provider: Option<String>,
    /// IMAP server, if not the provider's usual one.
    #[arg(long, env = "WHYBOUNCED_IMAP", value_name = "HOST[:PORT]")]
    pub(super) imap: Option<String>,
    /// How the IMAP connection is secured, if the port does not tell.
    #[arg(long, value_enum)]
    pub(super) imap_tls: Option<Tls>,
    /// A Maildir on this machine instead of an IMAP account.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["imap", "provider"])]
    pub(super) maildir: Option<PathBuf>,
    /// Login of the mailbox where bounces arrive. Its password comes from `WHYBOUNCED_PASSWORD`,
    /// from --password-file, or is asked for; never from an argument, which everybody can read.
    #[arg(long, env = "WHYBOUNCED_USER")]
    pub(super) user: Option<String>,
    /// The configuration shall name this file for the password.
    #[arg(long, env = "WHYBOUNCED_PASSWORD_FILE", value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// A folder to watch; repeat it. Default: INBOX, and the junk folder if there is one.
    #[arg(long)]
    pub(super) folder: Vec<String>,
    /// Submission server, if not the provider's usual one.
    #[arg(long, env = "WHYBOUNCED_SMTP", value_name = "HOST[:PORT]")]
    pub(super) smtp: Option<String>,
    /// How the SMTP connection is secured, if the port does not tell.
    #[arg(long, value_enum)]
    pub(super) smtp_tls: Option<Tls>,
    /// Login of the submission server, if not the mailbox's; `none` for no login.
    #[arg(long, env = "WHYBOUNCED_SMTP_USER")]
    pub(super) smtp_user: Option<String>,
    /// The file of its password, if that is another one.
    #[arg(long, value_name = "FILE")]
    pub(super) smtp_password_file: Option<PathBuf>,
    /// Write explanations as files into this directory instead of sending them.
    #[arg(long, value_name = "DIR", conflicts_with = "smtp")]
    pub(super) directory: Option<PathBuf>,
    /// Sender of the explanations; a display name is possible. Default: the login.
    #[arg(long, env = "WHYBOUNCED_FROM")]
    pub(super) from: Option<String>,
    /// zh-CN, en, both, or auto: the language of each message that bounced.
    #[arg(long, env = "WHYBOUNCED_LANGUAGE")]
    pub(super) language: Option<String>,
    /// What happens to explanations at first.
    #[arg(long, env = "WHYBOUNCED_MODE", value_enum)]
    pub(super) mode: Option<Mode>,
    /// Who gets every explanation with --mode redirect.
    #[arg(long, env = "WHYBOUNCED_REDIRECT_TO", value_name = "ADDRESS")]
    pub(super) redirect_to: Option<String>,
    /// Where people ask for help; shown in every explanation.
    #[arg(long, env = "WHYBOUNCED_HELPDESK", value_name = "TEXT")]
    pub(super) helpdesk: Option<String>,
    /// Trust this CA (PEM) besides the system's.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// SHA-256 of the IMAP server's certificate, if that is self-signed.
    #[arg(long, value_name = "SHA-256", value_parser = fingerprint)]
    pub(super) imap_fingerprint: Option<String>,
    /// SHA-256 of the submission server's certificate, if that is self-signed.
    #[arg(long, value_name = "SHA-256", value_parser = fingerprint)]
    pub(super) smtp_fingerprint: Option<String>,
    /// Application id for the OAuth device flow (Microsoft 365).
    #[arg(long, value_name = "ID")]
    pub(super) oauth_client_id: Option<String>,
    /// Organisation for the OAuth device flow: its id or domain. Default: the mail domain.
    #[arg(long, value_name = "TENANT")]
    pub(super) oauth_tenant: Option<String>,
    /// Where the device flow begins, if not at the provider's usual place.
    #[arg(long, value_name = "URL", requires = "oauth_token_url")]
    pub(super) oauth_device_url: Option<String>,
    /// Where tokens come from, if not from the provider's usual place.
    #[arg(long, value_name = "URL")]
    pub(super) oauth_token_url: Option<String>,
    /// Where the journal goes: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    pub(super) journal: Option<String>,
    /// Ask these name servers instead of this machine's, now and later.
    #[arg(long, value_name = "IP:PORT")]
    pub(super) resolver: Vec<SocketAddr>,
    /// Where the domain's autoconfig file lies, if not at the usual places.
    #[arg(long, value_name = "URL")]
    pub(super) autoconfig: Option<String>,
    /// Replace a configuration that is there; the old one is kept as *.old.
    #[arg(long)]
    pub(super) force: bool,
    /// Print the configuration instead of writing it; secrets are not shown.
    #[arg(long)]
    pub(super) print: bool,
}

fn fingerprint(text: &str) -> Result<String, String> {
    config::fingerprint(text).map(|_| text.to_owned())
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Tls {
    /// TLS from the first byte.
    Implicit,
    /// Plain greeting, then TLS.
    Starttls,
    /// No TLS: on this machine only.
    None,
}

impl From<Tls> for TlsMode {
    fn from(it: Tls) -> Self {
        match it {
            Tls::Implicit => Self::Implicit,
            Tls::Starttls => Self::StartTls,
            Tls::None => Self::None,
        }
    }
}

/// What happens to explanations.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Mode {
    /// Recorded, none sent.
    #[value(name = "dry_run", alias = "dry-run")]
    DryRun,
    /// All to one address.
    Redirect,
    /// To the authors.
    Live,
}

impl Mode {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::Redirect => "redirect",
            Self::Live => "live",
        }
    }
}
