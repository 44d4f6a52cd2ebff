//! The main job: a letter is refused, its bounce comes back, and the author is told why.

use crate::harness::{
    Answer, BOUNCES, Bounce, CHEN, Company, Config, Daemon, Dovecot, LI, Letter, Maildir, Scratch, ScriptedSmtp, Step,
    StoredMail, WHY, postfix, send_mail, servers_here, wait_for,
};

const SERVERS: &[&str] = &["dovecot", "postfix"];

/// What every explanation has, whatever it explains.
#[track_caller]
fn assert_explains(mail: &StoredMail, letter: &Letter, return_path: &str) {
    assert_eq!(mail.header("In-Reply-To"), letter.message_id);
    assert!(mail.header("References").ends_with(&letter.message_id), "References: {}", mail.header("References"));
    assert_eq!(mail.header("Return-Path"), return_path);
    assert!(mail.header("From").ends_with("<why@corp.example.cn>"), "From: {}", mail.header("From"));
    assert!(mail.header("To").contains(&letter.from), "To: {}", mail.header("To"));
    assert_eq!(mail.header("Auto-Submitted"), "auto-replied");
    assert_eq!(mail.header("X-Auto-Response-Suppress"), "All");
    assert_eq!(mail.header("Precedence"), "bulk");
    let id = mail.header("Message-ID");
    assert!(id.starts_with("<wb.") && id.ends_with("@corp.example.cn>"), "Message-ID: {id}");
    assert!(mail.body().contains(&letter.to), "names the recipient: {}", mail.body());
    assert!(mail.body().contains("WB-"), "carries a reference: {}", mail.body());
    assert!(!mail.text().contains("SECRET-BODY-WORDS") && !mail.body().contains("SECRET-BODY-WORDS"));
}

/// The explanation of this letter.
#[track_caller]
fn explanation_of(inbox: &Maildir, letter: &Letter) -> StoredMail {
    inbox.wait_for("the explanation", |it| it.is_explanation() && it.header("In-Reply-To") == letter.message_id)
}

#[test]
fn the_author_is_told_why_while_we_idle() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    // So rarely polled, only IDLE can bring the second and third in time.
    config.set("mailbox.0.poll_interval", "10m");
    let _daemon = Daemon::start(&config);
    for name in ["first", "second", "third"] {
        let letter = company.write_in_vain(CHEN, name);
        let explanation = explanation_of(&company.inbox(CHEN), &letter);
        assert_explains(&explanation, &letter, "<>");
    }
    assert_eq!(company.inbox(CHEN).explanations().len(), 3);
    assert_eq!(company.inbox(BOUNCES).mails().len(), 3, "nothing is deleted, and nothing of ours came back");
    wait_for("each bounce to be marked as seen", || {
        company.inbox(BOUNCES).mails().iter().all(|it| it.flags.contains('S')).then_some(())
    });
    assert!(company.world.accepted().is_empty(), "nothing of ours leaves the company");
    let listed = config.run(&["journal", "list", "--format", "json"]);
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    assert_eq!(listed.stdout.matches("user_unknown").count(), 3, "{}", listed.stdout);
}

#[test]
fn the_author_is_told_why_while_we_poll() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    config.set("mailbox.0.idle", false).set("mailbox.0.poll_interval", "1s").set("language", "en");
    let _daemon = Daemon::start(&config);
    for name in ["first", "second"] {
        let letter = company.write_in_vain(CHEN, name);
        let explanation = explanation_of(&company.inbox(CHEN), &letter);
        assert_explains(&explanation, &letter, "<>");
        assert!(explanation.subject().starts_with("Not delivered"), "{}", explanation.subject());
    }
    assert!(!company.dovecot.log().contains("IDLE"), "{}", company.dovecot.log());
}

#[test]
fn a_member_is_told_about_the_bounce_in_the_own_inbox_which_stays_untouched() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::with(postfix::Options::default());
    let mut config = Config::new();
    config.member(&company.dovecot, CHEN).member(&company.dovecot, LI).smtp(company.postfix.smtp);
    let _daemon = Daemon::start(&config);
    let private = b"From: wife@example.net\nTo: chen@corp.example.cn\nSubject: dinner\n\nSee you at seven.\n";
    company.inbox(CHEN).deliver(private);
    // The second time, the very same message fails again: that is no news.
    for (author, name) in [(CHEN, "twice"), (LI, "once"), (CHEN, "twice"), (CHEN, "last")] {
        let letter = company.write_in_vain(author, name);
        assert_explains(&explanation_of(&company.inbox(author), &letter), &letter, "<>");
    }
    assert_eq!(company.inbox(CHEN).explanations().len(), 2, "the same failure is explained once");
    assert_eq!(company.inbox(LI).explanations().len(), 1);
    for author in [CHEN, LI] {
        let mails = company.inbox(author).mails();
        assert!(mails.iter().all(|it| it.flags.is_empty()), "a member's mail is left as it is");
    }
}

#[test]
fn a_postfix_that_refuses_the_null_reverse_path_gets_the_logins_own() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::with(postfix::Options {
        copies_to: Some(BOUNCES.to_owned()),
        strict_senders: true,
        ..postfix::Options::default()
    });
    let config = company.config_with_login();
    let mut daemon = Daemon::start(&config);
    for name in ["first", "second"] {
        let letter = company.write_in_vain(CHEN, name);
        assert_explains(&explanation_of(&company.inbox(CHEN), &letter), &letter, "<why@corp.example.cn>");
    }
    assert!(daemon.terminate().0.success());
    // What was found out survives a restart.
    let _daemon = Daemon::start(&config);
    let letter = company.write_in_vain(CHEN, "third");
    assert_explains(&explanation_of(&company.inbox(CHEN), &letter), &letter, "<why@corp.example.cn>");
    let refusals = company.postfix.log().matches("Sender address rejected").count();
    assert_eq!(refusals, 1, "the null reverse-path is tried once: {}", company.postfix.log());
}

#[test]
fn a_login_that_may_use_the_null_reverse_path_uses_it() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config_with_login();
    config.set("smtp.port", i64::from(company.postfix.submissions.port())).set("smtp.tls", "implicit");
    let _daemon = Daemon::start(&config);
    let letter = company.write_in_vain(CHEN, "first");
    assert_explains(&explanation_of(&company.inbox(CHEN), &letter), &letter, "<>");
}

#[test]
fn an_explained_bounce_is_moved_where_the_administrator_wants_it() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    config.set("mailbox.0.after", "move:Explained");
    let _daemon = Daemon::start(&config);
    company
        .inbox(BOUNCES)
        .deliver(b"From: it@corp.example.cn\nTo: bounces@corp.example.cn\nSubject: hello\n\nA person wrote this.\n");
    let letter = company.write_in_vain(CHEN, "first");
    explanation_of(&company.inbox(CHEN), &letter);
    let moved = company.inbox(BOUNCES).folder("Explained").wait_for("the bounce", |_| true);
    assert!(moved.text().contains(&letter.message_id));
    let left = company.inbox(BOUNCES).mails();
    assert_eq!(left.len(), 1, "only what was explained is moved");
    assert!(left[0].text().contains("A person wrote this"));
}

#[test]
fn bounces_in_other_folders_are_found_where_the_administrator_says_so() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.central(&dovecot, BOUNCES).smtp(out.address);
    config.set("mailbox.0.folder", vec!["INBOX", "Junk"]).set("mailbox.0.poll_interval", "1s");
    let _daemon = Daemon::start(&config);
    let letter = Letter::new("chen", "nobody@example.net", "junk");
    dovecot.inbox(BOUNCES).folder("Junk").deliver(Bounce::of(&letter).text().as_bytes());
    let sent = wait_for("the explanation", || out.accepted().pop());
    assert_eq!(sent.header("In-Reply-To"), letter.message_id);
    assert_eq!((sent.from.as_str(), sent.to), ("", vec![CHEN.to_owned()]));
}

#[test]
fn a_dry_run_sends_nothing_and_the_journal_shows_what_it_would_have_sent() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    config.set("policy.mode", "dry_run");
    let mut daemon = Daemon::start(&config);
    let letter = company.write_in_vain(CHEN, "first");
    wait_for("the journal's entry", || {
        let listed = config.run(&["journal", "list", "--format", "json"]).stdout;
        (listed.contains(&letter.to) && listed.contains("dry_run")).then_some(())
    });
    assert!(daemon.terminate().0.success());
    // Switched to live, nothing old is answered.
    config.set("policy.mode", "live");
    let _daemon = Daemon::start(&config);
    let later = company.write_in_vain(CHEN, "second");
    explanation_of(&company.inbox(CHEN), &later);
    assert_eq!(company.inbox(CHEN).explanations().len(), 1);
}

#[test]
fn in_redirect_mode_everything_goes_to_one_address() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    config.set("policy.mode", "redirect").set("policy.redirect_to", LI);
    let _daemon = Daemon::start(&config);
    company.write_in_vain(CHEN, "first");
    company.inbox(LI).wait_for_explanation();
    assert_eq!(company.inbox(CHEN).explanations().len(), 0);
}

#[test]
fn a_server_without_idle_is_polled_and_one_without_move_moves_all_the_same() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start_plain(&[BOUNCES]);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.central(&dovecot, BOUNCES).smtp(out.address);
    config.set("mailbox.0.poll_interval", "1s").set("mailbox.0.after", "move:Explained");
    let _daemon = Daemon::start(&config);
    for number in 1..=2 {
        let letter = Letter::new("chen", "nobody@example.net", &format!("number-{number}"));
        dovecot.inbox(BOUNCES).deliver(Bounce::of(&letter).text().as_bytes());
        wait_for("the explanation", || (out.accepted().len() == number).then_some(()));
    }
    wait_for("both bounces moved", || {
        let moved = dovecot.inbox(BOUNCES).folder("Explained").mails().len();
        (moved == 2 && dovecot.inbox(BOUNCES).mails().is_empty()).then_some(())
    });
}

#[test]
fn run_once_works_off_what_is_there_and_ends() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let dovecot = Dovecot::start(&[BOUNCES]);
    let out = ScriptedSmtp::start();
    let mut config = Config::new();
    config.central(&dovecot, BOUNCES).smtp(out.address).set("policy.gather", "1s");
    let letters: Vec<Letter> =
        ["a", "b", "c"].iter().map(|name| Letter::new("chen", "nobody@example.net", name)).collect();
    for letter in &letters {
        dovecot.inbox(BOUNCES).deliver(Bounce::of(letter).text().as_bytes());
    }
    let done = config.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let mut answered: Vec<String> = out.accepted().iter().map(|it| it.header("In-Reply-To")).collect();
    answered.sort();
    let mut asked: Vec<String> = letters.iter().map(|it| it.message_id.clone()).collect();
    asked.sort();
    assert_eq!(answered, asked);
    // A second pass finds nothing new.
    assert_eq!(config.run(&["run", "--once"]).status, 0);
    assert_eq!(out.accepted().len(), 3);
}

#[test]
fn a_maildir_and_a_directory_need_no_server() {
    let scratch = Scratch::new();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(scratch.path()).expect("our own"));
    let maildir = Maildir::new(scratch.path().join("account/Maildir"), owner);
    let letter = Letter::new("chen", "nobody@example.net", "first");
    maildir.deliver(Bounce::of(&letter).text().as_bytes());
    let mut config = Config::new();
    let out = config.path("out");
    config.set("mailbox.0.name", "local");
    config.set("mailbox.0.maildir", scratch.path().join("account/Maildir").display().to_string());
    config.set("smtp.from", WHY).set("smtp.directory", out.display().to_string());
    let done = config.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let written: Vec<_> = std::fs::read_dir(&out).expect("the directory is made").flatten().collect();
    assert_eq!(written.len(), 1);
    let text = std::fs::read_to_string(written[0].path()).expect("readable");
    assert!(text.contains(&format!("In-Reply-To: {}", letter.message_id)), "{text}");
}

#[test]
fn each_refusal_of_a_real_server_gets_its_own_cause() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let refusals = [
        ("full", Step::Rcpt, "552 5.2.2 The mailbox is full, over quota", "mailbox_full"),
        ("closed", Step::Rcpt, "550 5.2.1 This account has been disabled", "mailbox_disabled"),
        (
            "listed",
            Step::Rcpt,
            "550 5.7.1 Service unavailable; client host [192.0.2.7] blocked using zen.spamhaus.org",
            "blocklisted",
        ),
        ("spam", Step::Dot, "554 5.7.1 Message rejected as spam by content scanning", "content_rejected"),
        ("large", Step::Dot, "552 5.3.4 Message size exceeds fixed maximum message size", "message_too_large"),
    ];
    for (name, step, line, _) in refusals {
        // After the final dot the server knows the letter by its Message-ID.
        let needle = if step == Step::Dot { format!("<{name}.") } else { format!("<{name}@") };
        company.world.on(step, &needle, Answer::Reply(line.to_owned()));
    }
    let config = company.config();
    let _daemon = Daemon::start(&config);
    for (name, _, line, cause) in refusals {
        let letter = Letter::new("chen", &format!("{name}@example.net"), name);
        send_mail(company.postfix.smtp, CHEN, &[&letter.to], &letter.text());
        let explanation = explanation_of(&company.inbox(CHEN), &letter);
        assert_explains(&explanation, &letter, "<>");
        let words = line.split_whitespace().nth(2).expect("words");
        assert!(explanation.body().contains(words), "{name} is quoted: {}", explanation.body());
        let listed = config.run(&["journal", "list", "--format", "json"]).stdout;
        let row = listed.lines().find(|it| it.contains(&letter.to)).expect("a row");
        assert!(row.contains(cause), "{name} is {cause}: {row}");
    }
}

#[test]
fn several_failed_recipients_of_one_letter_are_explained_in_one_mail() {
    if !servers_here(SERVERS) {
        return;
    }
    let company = Company::open();
    let mut config = company.config();
    config.set("policy.gather", "2s");
    let _daemon = Daemon::start(&config);
    let mut letter = Letter::new("chen", "nobody.one@example.net", "several");
    let others = ["nobody.two@example.org", "somebody@example.com"];
    letter.more = format!("Cc: {}\n", others.join(", "));
    send_mail(company.postfix.smtp, CHEN, &[&letter.to, others[0], others[1]], &letter.text());
    let explanation = explanation_of(&company.inbox(CHEN), &letter);
    assert_explains(&explanation, &letter, "<>");
    assert!(explanation.body().contains(others[0]), "{}", explanation.body());
    let last = company.write_in_vain(CHEN, "last");
    explanation_of(&company.inbox(CHEN), &last);
    assert_eq!(company.inbox(CHEN).explanations().len(), 2, "one mail a letter");
}
