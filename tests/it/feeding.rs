//! The configurations of `docs/feeding`, word for word, in the real servers: a bounce that is born
//! here, one from outside, and a forged one.

use std::net::SocketAddr;

use crate::harness::{
    BOUNCES, Bounce, CHEN, Company, Config, Daemon, Letter, Maildir, postfix, send_mail, servers_here, wait_for,
};

/// A fenced block of a page, by the name that ends the line of its fence.
pub(crate) fn block(page: &str, name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/feeding").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().skip_while(|it| !(it.starts_with("```") && it.ends_with(&format!(" {name}"))));
    assert!(lines.next().is_some(), "{page} has no block {name}");
    let mut block = lines.take_while(|it| *it != "```").collect::<Vec<_>>().join("\n");
    block.push('\n');
    block
}

/// Sends all three through `server`: the first two are explained to their author, once; the third is
/// on record in `journal` as of unproven origin.
#[track_caller]
pub(crate) fn tell_the_three(server: SocketAddr, author: &Maildir, journal: impl Fn() -> String) {
    let born_here = Letter::new("chen", "nobody.local@example.net", "born-here");
    send_mail(server, CHEN, &[&born_here.to], &born_here.text());
    let outside = Letter::new("chen", "nobody@example.org", "outside");
    let mut bounce = Bounce::of(&outside);
    "mx.example.org".clone_into(&mut bounce.reporting_mta);
    send_mail(server, "", &[CHEN], &bounce.text());
    let mut forged = Letter::new("chen", "victim@example.org", "forged");
    forged.message_id = format!("<forged.{}@bot.example>", std::process::id());
    let mut bounce = Bounce::of(&forged);
    "mx.example.org".clone_into(&mut bounce.reporting_mta);
    // Nothing in its original was written by a server of ours.
    send_mail(server, "", &[CHEN], &bounce.text().replace("mail.corp.example.cn", "bot.example"));

    wait_for("the forged one on record", || {
        let journal = journal();
        let row = journal.lines().find(|it| it.contains("victim@example.org"))?.to_owned();
        assert!(row.contains("unproven_origin"), "{row}");
        Some(())
    });
    let mut expected = [born_here.message_id, outside.message_id];
    let explained = || author.explanations().iter().map(|it| it.header("In-Reply-To")).collect::<Vec<_>>();
    for id in &expected {
        wait_for("the explanations", || explained().contains(id).then_some(()));
    }
    let mut explained = explained();
    explained.sort();
    expected.sort();
    assert_eq!(explained, expected, "each once: {}", journal());
    // All three were delivered to the author as ever.
    wait_for("all five mails", || (author.mails().len() >= 5).then_some(()));
    assert_eq!(author.mails().len(), 5);
}

fn journal(config: &Config) -> String {
    config.run(&["journal", "list", "--all", "--format", "json"]).stdout
}

#[test]
fn postfix_copies_its_own_bounces_and_those_from_outside() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let main_cf = [block("postfix-copies.md", "main.cf"), block("postfix-inbound.md", "main.cf")].concat();
    let company = Company::with(postfix::Options { main_cf, ..postfix::Options::default() });
    let config = company.config();
    let _daemon = Daemon::start(&config);
    tell_the_three(company.postfix.smtp, &company.inbox(CHEN), || journal(&config));
}

#[test]
fn a_sieve_script_copies_each_members_bounces() {
    if !servers_here(&["dovecot", "postfix", "sievec"]) {
        return;
    }
    let mut company = Company::with(postfix::Options::default());
    let config = company.config();
    let script = config.path("redirect.sieve");
    std::fs::write(&script, block("dovecot-sieve.md", "whybounced.sieve")).expect("our own directory");
    let text = block("dovecot-sieve.md", "dovecot.conf")
        .replace("/etc/dovecot/whybounced.sieve", &script.display().to_string())
        .replace("mail.corp.example.cn:25", &company.postfix.smtp.to_string());
    company.dovecot.add(&text);
    company.dovecot.compile(&script);
    let _daemon = Daemon::start(&config);
    tell_the_three(company.postfix.smtp, &company.inbox(CHEN), || journal(&config));
    let copies = company.inbox(BOUNCES).mails();
    assert_eq!(copies.len(), 3, "no copy of an explanation came: {:?}", company.dovecot.log());
}
