//! The file as written: one struct a table, one field a key (`design.md` §6). Unknown keys are
//! refused here; what the values mean is for the other files of this module.

use std::{collections::BTreeMap, fmt};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::oauth2::OAuth2Table;

/// Text with its place in the file.
pub(super) type Text = Option<Spanned<String>>;
/// A whole number with its place in the file; the range is checked later, with a better message.
pub(super) type Number = Option<Spanned<i64>>;
/// A list of texts, each with its place.
pub(super) type List = Option<Vec<Spanned<String>>>;

/// The whole file. Its first keys stand before every table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The company's mail domains: only people in them are ever written to. Subdomains count only if listed; public
    /// mail services (qq.com, gmail.com) are refused. Required.
    pub(super) domains: List,
    /// Language of explanations: `zh-CN`, `en`, `both`, or `auto`: that of the message that bounced, else Chinese.
    /// Default: `auto`.
    pub(super) language: Text,
    /// Zone that times are shown in, by its IANA name, such as `Asia/Shanghai`. Default: this machine's.
    pub(super) timezone: Text,
    /// Where your side stands (ISO 3166, two letters), to tell trouble on the international link. Default: mainland
    /// China for authors under .cn and .中国, elsewhere for others.
    pub(super) home_country: Text,
    /// The one host besides this machine to which `tls = "none"` is allowed: the password goes there in the clear.
    pub(super) tls_none_to: Text,
    #[serde(default)]
    pub(super) mailbox: Vec<Spanned<MailboxTable>>,
    pub(super) smtp: Option<Spanned<SmtpTable>>,
    #[serde(default)]
    pub(super) reply: ReplyTable,
    #[serde(default)]
    pub(super) policy: PolicyTable,
    #[serde(default)]
    pub(super) evidence: EvidenceTable,
    #[serde(default)]
    pub(super) journal: JournalTable,
    #[serde(default)]
    pub(super) catalogue: CatalogueTable,
    #[serde(default)]
    pub(super) review: ReviewTable,
    #[serde(default)]
    pub(super) alerts: AlertsTable,
    #[serde(default)]
    pub(super) log: LogTable,
}

/// One `[[mailbox]]` to watch; repeat the table for more. Only `host`, `user` and a secret are
/// needed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxTable {
    /// Name in every log line and in the journal; must differ between mailboxes. Default: `user`.
    pub(super) name: Text,
    /// Host name or address of the IMAP server.
    pub(super) host: Text,
    /// TCP port. Default: 993 with `tls = "implicit"`, else 143.
    pub(super) port: Number,
    /// How the connection is secured: `implicit` (TLS from the first byte), `starttls`, or `none` (this machine, or
    /// the host named in `tls_none_to`). Default: `implicit`; with port 143 `starttls`.
    pub(super) tls: Text,
    /// A CA bundle (PEM) that is trusted besides the system's: for a company's own CA.
    pub(super) ca_file: Text,
    /// SHA-256 of the one certificate that is trusted, whoever signed it: for self-signed ones. 64 hexadecimal
    /// digits, colons allowed.
    pub(super) tls_fingerprint: Text,
    /// The login. For a member's mailbox it is the member's address.
    pub(super) user: Text,
    /// The password itself. It works, and is warned about if others may read this file; better is one of the next
    /// four. Only one of the five may stand.
    pub(super) password: Option<Spanned<InFile>>,
    /// File that holds the password and nothing else; one trailing newline is dropped. Keep it at mode 0600.
    pub(super) password_file: Text,
    /// Environment variable that holds the password.
    pub(super) password_env: Text,
    /// Shell command that prints the password, within 30 seconds.
    pub(super) password_command: Text,
    /// Name of a systemd credential (`LoadCredential=`) that holds the password.
    pub(super) password_credential: Text,
    /// Access tokens instead of a password: see the table `oauth2`.
    pub(super) oauth2: Option<Spanned<OAuth2Table>>,
    /// Dovecot: log in as this master user on behalf of `user`; the password is the master's.
    pub(super) master_user: Text,
    /// `central`: a mailbox that collects bounces, whose authors are answered. `member`: the inbox of `user`, who
    /// alone is answered. Default: `central`; never told from `user`.
    pub(super) role: Text,
    /// A folder, or a list: providers put bounces into Junk and 异常邮件, too. Default: `INBOX`.
    pub(super) folder: Option<OneOrMany>,
    /// Time between two looks; with IDLE the safety net. Default: `60s`.
    pub(super) poll_interval: Text,
    /// Whether IDLE is used where the server offers it: bounces are then seen at once. Default: `true`.
    pub(super) idle: Option<bool>,
    /// What is done to a bounce that is on record: `leave` (nothing at all is set), `seen`, or `move:FOLDER`. Nothing
    /// is ever deleted. Default: `seen` for a central mailbox, `leave` for a member's.
    pub(super) after: Text,
    /// A Maildir on this machine instead of `host`, `user` and a password.
    pub(super) maildir: Text,
}

/// `[smtp]`: the way out. Only `host` and `from` are needed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpTable {
    /// Host name or address of the submission server.
    pub(super) host: Text,
    /// TCP port. Default: 465 with `tls = "implicit"`, else 587.
    pub(super) port: Number,
    /// How the connection is secured: `implicit` (TLS from the first byte), `starttls`, or `none` (this machine, or
    /// the host named in `tls_none_to`). Default: `implicit`; with port 25 or 587 `starttls`.
    pub(super) tls: Text,
    /// A CA bundle (PEM) that is trusted besides the system's: for a company's own CA.
    pub(super) ca_file: Text,
    /// SHA-256 of the one certificate that is trusted, whoever signed it: for self-signed ones. 64 hexadecimal
    /// digits, colons allowed.
    pub(super) tls_fingerprint: Text,
    /// The login. Without it there is none, as for a relay that knows this machine.
    pub(super) user: Text,
    /// The password itself. It works, and is warned about if others may read this file; better is one of the next
    /// four. Only one of the five may stand.
    pub(super) password: Option<Spanned<InFile>>,
    /// File that holds the password and nothing else; one trailing newline is dropped. Keep it at mode 0600.
    pub(super) password_file: Text,
    /// Environment variable that holds the password.
    pub(super) password_env: Text,
    /// Shell command that prints the password, within 30 seconds.
    pub(super) password_command: Text,
    /// Name of a systemd credential (`LoadCredential=`) that holds the password.
    pub(super) password_credential: Text,
    /// Access tokens instead of a password: see the table `oauth2`.
    pub(super) oauth2: Option<Spanned<OAuth2Table>>,
    /// The sender of explanations; a display name is possible: `退信说明 <bounces@corp.example.cn>`. It may be the
    /// watched mailbox itself.
    pub(super) from: Text,
    /// Where answers go, if not to `from`.
    pub(super) reply_to: Text,
    /// Write `.eml` files into this directory instead of sending, for trying things out.
    pub(super) directory: Text,
    /// The envelope sender: `null`, `from`, or `auto`, which tries the null one, as RFC 3834 §3.3 asks, and the
    /// login's address where the server takes no other. Default: `auto`.
    pub(super) reverse_path: Text,
}

/// `[reply]`: what shows in explanations.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyTable {
    /// Directory with your own texts, laid over ours (docs/texts.md).
    pub(super) templates: Text,
    /// The company's name in the signature.
    pub(super) company: Text,
    /// Where people ask when they need help; shown in every explanation.
    pub(super) helpdesk: Text,
    /// People whose language is known, whatever they write in: `{ "j.smith@corp.example.cn" = "en" }`.
    #[serde(default)]
    pub(super) languages: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// `[policy]`: who is answered, and how much. Durations are `90s`, `15m`, `36h`, `3d`; limits
/// `NUMBER/DURATION` or `off`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    /// `live`; `dry_run`: the journal shows what would be sent, nothing is; `redirect`: everything goes to
    /// `redirect_to`. Default: `live`; `init` writes `dry_run`.
    pub(super) mode: Text,
    /// Who gets every explanation in `redirect` mode.
    pub(super) redirect_to: Text,
    /// Older bounces are recorded and not answered: a full inbox on the first day is no flood. Default: `3d`.
    pub(super) max_age: Text,
    /// How long further bounces of the same message are waited for, to explain them in one mail. Default: `60s`.
    pub(super) gather: Text,
    /// Whether "not delivered yet, still trying" is explained, too. Default: `false`.
    pub(super) delays: Option<bool>,
    /// What to do where no reason can be told: `answer` (and say so) or `mute`. Default: `answer`.
    pub(super) undetermined: Text,
    /// Whether members may forward a bounce to the mailbox and are answered. Default: `true`.
    pub(super) asking: Option<bool>,
    /// How much must speak for your having sent the message, against forged senders: `plausible` (one ground),
    /// `verified` (found in Sent or in the journal), `none` (the address suffices). Default: `plausible`.
    pub(super) proof: Text,
    /// Hosts and networks that send for you: names, `.domains`, addresses, networks, or a provider's by
    /// `preset:aliyun`, `preset:exmail`, `preset:netease`, `preset:microsoft365`, `preset:vianet21`, `preset:google`.
    /// Default: none.
    pub(super) our_servers: List,
    /// Addresses of people who want no explanations.
    pub(super) opt_out: List,
    /// Explanations to one person; further ones are recorded only. Default: `10/1d`.
    pub(super) limit_person: Text,
    /// Explanations in all. Default: `200/1h`.
    pub(super) limit_total: Text,
    /// More answers due than this, and everything is held until someone has looked, or for an hour. Default:
    /// `50/10m`.
    pub(super) breaker: Text,
}

/// `[evidence]`: what is looked up about a failed recipient. Only the DNS is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceTable {
    /// Whether the DNS is asked about what a bounce says. Default: `true`.
    pub(super) enabled: Option<bool>,
    /// Time for all questions about one bounce; what comes later is left out. Default: `5s`.
    pub(super) budget: Text,
    /// Name servers to ask, as `IP` or `IP:port`. Default: this machine's.
    pub(super) resolvers: List,
    /// Blocklists to ask about `sending_ips`. Default: none, so that none is told of your addresses.
    pub(super) blocklists: List,
    /// The addresses that your mail leaves from.
    pub(super) sending_ips: List,
    /// DKIM selectors of your domains.
    pub(super) dkim_selectors: List,
    /// Whether port 25 of the recipient's server is tried; many networks forbid it. Default: `false`.
    pub(super) probe_port_25: Option<bool>,
    /// `IP:port` of a host whose port 25 is known to answer: without its answer a failed probe says nothing. Default:
    /// none.
    pub(super) probe_control: Text,
}

/// `[journal]`: the record of everything. Its URL may hold a password, so it is a secret like any
/// other.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalTable {
    /// `sqlite:PATH`, or `postgres://USER@HOST/DATABASE` where several daemons share the work. Default:
    /// `sqlite:/var/lib/whybounced/journal.db`.
    pub(super) url: Option<Spanned<InFile>>,
    /// File that holds the URL, where that has a password in it.
    pub(super) url_file: Text,
    /// Environment variable that holds the URL.
    pub(super) url_env: Text,
    /// Shell command that prints the URL.
    pub(super) url_command: Text,
    /// Name of a systemd credential that holds the URL.
    pub(super) url_credential: Text,
    /// How long the journal keeps what it knows of a bounce; after that only hashes, so that nothing is explained
    /// twice. Default: `180d`.
    pub(super) retain: Text,
}

/// `[catalogue]`: the knowledge of causes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogueTable {
    /// Directory with your own rules, laid over ours; it need not exist. Default: `rules.d` beside this file.
    pub(super) rules_dir: Text,
}

/// `[review]`: the review page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewTable {
    /// Address and port where the review page listens, such as `127.0.0.1:8025`. Default: nowhere.
    pub(super) listen: Text,
    /// File with the page's password, as it is or as an Argon2 hash (`$argon2id$…`). Without one only loopback is
    /// allowed.
    pub(super) password_file: Text,
    /// File with the password of those who may look and change nothing.
    pub(super) reader_password_file: Text,
    /// The host name that people open the page by, if it is not an address or `localhost`.
    pub(super) name: Text,
    /// Address of a reverse proxy that has asked who it is already. Only with it `proxy_header` is believed.
    pub(super) proxy: Text,
    /// The header in which that proxy names the person. Default: `X-Remote-User`.
    pub(super) proxy_header: Text,
}

/// `[alerts]`: what the administrator is told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsTable {
    /// The administrator's address, or a list. Without it the administrator gets no mail.
    pub(super) to: Option<OneOrMany>,
    /// Whether digests count by person; else by domain. Default: `false`.
    pub(super) by_person: Option<bool>,
}

/// `[log]`: the program's own log.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTable {
    /// A level (`error`, `warn`, `info`, `debug`), or levels by module: `whybounced::source=debug,info`. The variable
    /// `WHYBOUNCED_LOG` overrides it. Default: `info`.
    pub(super) filter: Text,
    /// `auto` (systemd's journal where standard error leads there, else standard error), `journald`, `stderr`, or
    /// `json` (standard error, one object a line). Default: `auto`.
    pub(super) to: Text,
}

/// A secret written into the file. Its error never shows the value, whatever type it has.
#[derive(Debug)]
pub(super) struct InFile(pub(super) SecretString);

impl<'de> Deserialize<'de> for InFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        macro_rules! refuse {
            ($($visit:ident($kind:ty)),*) => {
                $(fn $visit<E: de::Error>(self, _: $kind) -> Result<InFile, E> { Err(E::custom(EXPECTED)) })*
            };
        }
        const EXPECTED: &str = "expected text in quotes (the value is not shown)";
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = InFile;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<InFile, E> {
                Ok(InFile(text.to_owned().into()))
            }
            refuse!(
                visit_bool(bool),
                visit_i64(i64),
                visit_u64(u64),
                visit_f64(f64),
                visit_i128(i128),
                visit_u128(u128)
            );
            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<InFile, A::Error> {
                Err(de::Error::custom(EXPECTED))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<InFile, A::Error> {
                Err(de::Error::custom(EXPECTED))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One text, or a list of texts.
#[derive(Debug)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text in quotes, or a list of such")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
