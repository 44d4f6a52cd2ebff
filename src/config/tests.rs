//! The example holds every key with its default; each broken file in `tests/bad-configs` gives
//! exactly the words beside it.

use std::{fs, path::Path};

use secrecy::ExposeSecret as _;

use super::*;
use crate::{
    net::TlsMode,
    outbound::Route,
    policy::OurServer,
    source::{After, Login, Place},
};

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Keys whose commented line in the example shows an example, since they have no fixed default.
const NO_DEFAULT: &[&str] = &[
    "timezone",
    "home_country",
    "tls_none_to",
    "name",
    "ca_file",
    "tls_fingerprint",
    "password_env",
    "password_command",
    "password_credential",
    "oauth2",
    "master_user",
    "maildir",
    "reply_to",
    "directory",
    "probe_control",
    "templates",
    "company",
    "helpdesk",
    "languages",
    "redirect_to",
    "our_servers",
    "opt_out",
    "resolvers",
    "url_file",
    "url_env",
    "url_command",
    "url_credential",
    "listen",
    "password_file",
    "reader_password_file",
    "proxy",
    "to",
];

/// The example with those commented keys switched on that `wanted` (table, key) asks for.
fn example(wanted: impl Fn(&str, &str) -> bool) -> String {
    let mut table = String::new();
    let lines = EXAMPLE.lines().map(|line| {
        if line.starts_with('[') {
            line.clone_into(&mut table);
        }
        let key = line.strip_prefix("# ").and_then(|rest| Some((rest.split_once(" = ")?.0, rest)));
        match key {
            Some((key, rest)) if !key.contains(' ') && wanted(&table, key) => rest,
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(text, Path::new("/etc/whybounced/config.toml"), Secrets::Skip, &|_| None)
}

#[test]
fn the_example_shows_the_defaults() {
    let plain = read(EXAMPLE).expect("the example is right");
    let spelt_out = example(|table, key| !NO_DEFAULT.contains(&key) || (table == "[log]" && key == "to"));
    assert_ne!(spelt_out, EXAMPLE);
    let spelt_out = read(&spelt_out).expect("the defaults are right");
    assert_eq!(format!("{plain:#?}"), format!("{spelt_out:#?}"));
}

#[test]
fn the_example_shows_every_key_and_every_line_of_it_is_read() {
    let all = example(|_, _| true);
    toml::from_str::<File>(&all).expect("every commented line holds a known key");
    for table in [
        "",
        "[[mailbox]]",
        "[smtp]",
        "[reply]",
        "[policy]",
        "[evidence]",
        "[journal]",
        "[catalogue]",
        "[review]",
        "[alerts]",
        "[log]",
    ] {
        let error = toml::from_str::<File>(&format!("{table}\nno_such_key = 1\n")).expect_err("unknown");
        let section = if table.is_empty() {
            &all
        } else {
            all.split_once(&format!("\n{table}\n")).expect("the table is there").1
        };
        let section = section.split("\n[").next().expect("split gives one piece at least");
        for key in error.message().split('`').skip(3).step_by(2) {
            let is_table = table.is_empty() && all.contains(&format!("[{key}]"));
            let shown = section.lines().any(|line| line.starts_with(&format!("{key} = ")));
            // A password in the file itself is told of, not shown.
            assert!(shown || is_table || key == "password", "{table} {key} is not in config.example.toml");
        }
    }
}

#[test]
fn the_smallest_configuration_has_defaults_for_the_rest() {
    let config = read(
        "domains = ['corp.example.cn']\n[[mailbox]]\nhost = 'imap.example.cn'\nuser = 'b@corp.example.cn'\npassword_env = 'X'\n\
         [smtp]\nhost = 'smtp.example.cn'\nport = 587\nfrom = '退信说明 <b@corp.example.cn>'\n",
    )
    .expect("enough");
    let mailbox = &config.mailboxes[0];
    assert_eq!((mailbox.name.as_str(), &mailbox.after), ("b@corp.example.cn", &After::Seen));
    let Place::Imap { endpoint, folders, idle, .. } = &mailbox.place else { panic!("IMAP") };
    assert_eq!((endpoint.port, endpoint.tls, *idle), (993, TlsMode::Implicit, true));
    assert_eq!(folders, &["INBOX"]);
    let Route::Smtp { endpoint, login, .. } = &config.outbound.route else { panic!("SMTP") };
    assert_eq!((endpoint.port, endpoint.tls, login.is_none()), (587, TlsMode::StartTls, true));
    assert_eq!(config.reply.from_name.as_deref(), Some("退信说明"));
    assert_eq!(config.rules_dir, Path::new("/etc/whybounced/rules.d"));
}

#[test]
fn providers_hosts_are_named_by_a_preset() {
    let smallest = "domains = ['a.example']\n[smtp]\ndirectory = 'out'\nfrom = 'a@a.example'\n[policy]\n";
    let config = read(&format!("{smallest}our_servers = ['preset:exmail', 'mx.a.example']\n")).expect("known");
    let named = |name: &str| OurServer::Name(name.to_owned());
    assert!(config.policy.our_servers.contains(&named(".exmail.qq.com")));
    assert_eq!(config.policy.our_servers.last(), Some(&named("mx.a.example")));
    let error = read(&format!("{smallest}our_servers = ['preset:nobody']\n")).expect_err("unknown").to_string();
    assert!(error.contains("aliyun, exmail, google"), "{error}");
}

#[test]
fn secrets_come_from_files_variables_commands_and_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "from file \n\n").expect("written");
    let path = folder.path().join("config.toml");
    let variable = |name: &str| match name {
        "IMAP" => Some("from variable".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some(folder.path().display().to_string()),
        _ => None,
    };
    for (source, expected) in [
        ("password_file = 'secret'", "from file \n"),
        ("password_env = 'IMAP'", "from variable"),
        ("password_command = 'echo from command'", "from command"),
        ("password_credential = 'secret'", "from file \n"),
        ("password = 'from here'", "from here"),
    ] {
        let text = format!(
            "domains = ['a.example']\n[smtp]\ndirectory = 'out'\nfrom = 'a@a.example'\n[[mailbox]]\nhost = 'h'\nuser = 'u'\n{source}\n"
        );
        let config = parse(&text, &path, Secrets::Read, &variable).expect(source);
        assert!(!format!("{config:?}").contains("from "), "{source} is shown by Debug");
        let Place::Imap { login: Login::Password { password, .. }, .. } = &config.mailboxes[0].place else {
            panic!("IMAP")
        };
        assert_eq!(password.expose_secret(), expected);
    }
}

/// `UPDATE_EXPECTED=1 cargo nextest run bad_configs` writes the files anew, to be read before commit.
#[test]
fn bad_configs_say_where_what_and_what_next() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-configs");
    let mut cases: Vec<_> = fs::read_dir(&root).expect("the cases").map(|it| it.expect("listed").path()).collect();
    cases.sort();
    assert!(cases.len() >= 20);
    for case in cases {
        let text = fs::read_to_string(case.join("config.toml")).expect("a config.toml in each case");
        let error =
            parse(&text, Path::new("config.toml"), Secrets::Read, &|_| None).expect_err(&case.display().to_string());
        let said = format!("{error}\n");
        assert!(!said.contains("hunter2"), "{}: a secret is shown", case.display());
        let expected = case.join("expected");
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &said).expect("written");
        }
        assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{}", case.display());
    }
}
