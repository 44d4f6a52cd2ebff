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

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) domains: List,
    pub(super) language: Text,
    pub(super) timezone: Text,
    pub(super) home_country: Text,
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

/// One `[[mailbox]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailboxTable {
    pub(super) name: Text,
    pub(super) host: Text,
    pub(super) port: Number,
    pub(super) tls: Text,
    pub(super) ca_file: Text,
    pub(super) tls_fingerprint: Text,
    pub(super) user: Text,
    pub(super) password: Option<Spanned<InFile>>,
    pub(super) password_file: Text,
    pub(super) password_env: Text,
    pub(super) password_command: Text,
    pub(super) password_credential: Text,
    pub(super) oauth2: Option<Spanned<OAuth2Table>>,
    pub(super) master_user: Text,
    pub(super) role: Text,
    pub(super) folder: Option<OneOrMany>,
    pub(super) poll_interval: Text,
    pub(super) idle: Option<bool>,
    pub(super) after: Text,
    pub(super) maildir: Text,
}

/// `[smtp]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpTable {
    pub(super) host: Text,
    pub(super) port: Number,
    pub(super) tls: Text,
    pub(super) ca_file: Text,
    pub(super) tls_fingerprint: Text,
    pub(super) user: Text,
    pub(super) password: Option<Spanned<InFile>>,
    pub(super) password_file: Text,
    pub(super) password_env: Text,
    pub(super) password_command: Text,
    pub(super) password_credential: Text,
    pub(super) oauth2: Option<Spanned<OAuth2Table>>,
    pub(super) from: Text,
    pub(super) reply_to: Text,
    pub(super) directory: Text,
    pub(super) reverse_path: Text,
}

/// `[reply]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplyTable {
    pub(super) templates: Text,
    pub(super) company: Text,
    pub(super) helpdesk: Text,
    #[serde(default)]
    pub(super) languages: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// `[policy]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    pub(super) mode: Text,
    pub(super) redirect_to: Text,
    pub(super) max_age: Text,
    pub(super) gather: Text,
    pub(super) delays: Option<bool>,
    pub(super) undetermined: Text,
    pub(super) asking: Option<bool>,
    pub(super) proof: Text,
    pub(super) our_servers: List,
    pub(super) opt_out: List,
    pub(super) limit_person: Text,
    pub(super) limit_total: Text,
    pub(super) breaker: Text,
}

/// `[evidence]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceTable {
    pub(super) enabled: Option<bool>,
    pub(super) budget: Text,
    pub(super) resolvers: List,
    pub(super) blocklists: List,
    pub(super) sending_ips: List,
    pub(super) dkim_selectors: List,
    pub(super) probe_port_25: Option<bool>,
    pub(super) probe_control: Text,
}

/// `[journal]`. The URL may hold a database password, so it is a secret like any other.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalTable {
    pub(super) url: Option<Spanned<InFile>>,
    pub(super) url_file: Text,
    pub(super) url_env: Text,
    pub(super) url_command: Text,
    pub(super) url_credential: Text,
    pub(super) retain: Text,
}

/// `[catalogue]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogueTable {
    pub(super) rules_dir: Text,
}

/// `[review]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewTable {
    pub(super) listen: Text,
    pub(super) password_file: Text,
}

/// `[alerts]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsTable {
    pub(super) to: Option<OneOrMany>,
    pub(super) by_person: Option<bool>,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogTable {
    pub(super) filter: Text,
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
