//! TLS with a company's own authority, and without any trust where there is no ground for it.

use crate::harness::{
    Authority, BOUNCES, Bounce, CHEN, Company, Config, Daemon, Dovecot, Letter, PASSWORD, Scratch, ScriptedSmtp,
    servers_here, wait_for,
};

/// A Dovecot with one bounce in it, and a configuration that reaches it by `tls`.
struct Secured {
    dovecot: Dovecot,
    out: ScriptedSmtp,
    config: Config,
}

impl Secured {
    fn new(tls: &str) -> Self {
        let dovecot = Dovecot::start(&[BOUNCES]);
        let letter = Letter::new("chen", "nobody@example.net", "first");
        dovecot.inbox(BOUNCES).deliver(Bounce::of(&letter).text().as_bytes());
        let out = ScriptedSmtp::start();
        let mut config = Config::new();
        config.central(&dovecot, BOUNCES).smtp(out.address);
        let port = if tls == "implicit" { dovecot.imaps.port() } else { dovecot.imap.port() };
        config.set("mailbox.0.tls", tls).set("mailbox.0.port", i64::from(port));
        config.set("mailbox.0.poll_interval", "1s");
        Self { dovecot, out, config }
    }

    /// The bounce is explained, once.
    #[track_caller]
    fn assert_works(&self) {
        let _daemon = Daemon::start(&self.config);
        wait_for("the explanation", || self.out.accepted().pop());
    }

    /// Nothing is told to the server, and we say why.
    #[track_caller]
    fn assert_refused(&self, reason: &str) {
        let mut daemon = Daemon::spawn(&self.config);
        daemon.wait_for_log(reason);
        assert!(daemon.is_running(), "it keeps trying");
        let checked = self.config.run(&["check"]);
        assert_eq!(checked.status, 69, "{}{}", checked.stdout, checked.stderr);
        assert!((checked.stdout + &checked.stderr).contains(reason));
        assert!(!self.dovecot.log().contains("Login: user="), "{}", self.dovecot.log());
        assert_eq!(self.out.accepted().len(), 0);
    }
}

#[test]
fn implicit_tls_and_starttls_work_with_a_private_authority() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    for tls in ["implicit", "starttls"] {
        let mut secured = Secured::new(tls);
        let ca_file = secured.dovecot.authority.ca_file.display().to_string();
        secured.config.set("mailbox.0.ca_file", ca_file);
        secured.assert_works();
    }
}

#[test]
fn a_certificate_of_a_strange_authority_is_refused() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let scratch = Scratch::new();
    let strange = Authority::new(&scratch, "strange");
    for tls in ["implicit", "starttls"] {
        let mut secured = Secured::new(tls);
        // Only the system's authorities at first, then another private one.
        secured.assert_refused("certificate");
        secured.config.set("mailbox.0.ca_file", strange.ca_file.display().to_string());
        secured.assert_refused("certificate");
    }
}

#[test]
fn a_submission_server_with_a_strange_certificate_learns_no_password() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    let scratch = Scratch::new();
    let strange = Authority::new(&scratch, "strange");
    let mut config = company.config_with_login();
    config.set("smtp.ca_file", strange.ca_file.display().to_string());
    let daemon = Daemon::start(&config);
    company.write_in_vain(CHEN, "first");
    daemon.wait_for_log("certificate");
    assert_eq!(company.inbox(CHEN).explanations().len(), 0);
    assert!(!company.postfix.log().contains("sasl_method"), "{}", company.postfix.log());
    drop(daemon);
    // Trusted, the explanation that was held back goes out, however long the channel was shut.
    config.set("smtp.ca_file", company.dovecot.authority.ca_file.display().to_string());
    let _daemon = Daemon::start(&config);
    company.inbox(CHEN).wait_for_explanation();
}

#[test]
fn passwords_are_nowhere_to_be_seen() {
    if !servers_here(&["dovecot", "postfix"]) {
        return;
    }
    let company = Company::open();
    let mut config = company.config_with_login();
    config.set("log.filter", "trace");
    let mut daemon = Daemon::start(&config);
    company.write_in_vain(CHEN, "first");
    company.inbox(CHEN).wait_for_explanation();
    let arguments = daemon.command_line();
    assert!(daemon.terminate().0.success());
    let checked = config.run(&["check"]);
    let seen = [daemon.log(), arguments, checked.stdout, checked.stderr];
    // Plain, and as AUTH PLAIN and AUTH LOGIN would carry it.
    for secret in [PASSWORD, "Y29ycmVjdCBob3JzZSA0Mg", "AGNvcnJlY3QgaG9yc2UgNDI", "SECRET-BODY-WORDS"] {
        assert!(seen.iter().all(|it| !it.contains(secret)), "{secret} was shown");
    }
}
