//! One's own rules from draft to effect: suggest, fill in, test, check, replay (`design.md` §5).

use crate::harness::{Bounce, Letter, Outcome, Scratch, run};

/// Words that no rule knows.
const RIDDLE: &str = "554 5.0.0 zorp gate closed by mistress flimflam, ticket";

/// A company without servers: bounces in a Maildir, explanations as files, rules in `rules.d`.
struct Company {
    scratch: Scratch,
}

impl Company {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.write(
            "config.toml",
            "domains = ['corp.example.cn']\n[[mailbox]]\nmaildir = 'maildir'\n[smtp]\ndirectory = 'out'\n\
             from = 'b@corp.example.cn'\n[policy]\nmax_age = '36500d'\ngather = '0s'\n[evidence]\nenabled = false\n\
             [journal]\nurl = 'sqlite:journal.db'\n[log]\nto = 'stderr'\n",
        );
        for folder in ["maildir/cur", "maildir/new", "maildir/tmp", "rules.d"] {
            std::fs::create_dir_all(scratch.path().join(folder)).expect("our own directory");
        }
        Self { scratch }
    }

    /// A bounce with these words arrives.
    fn bounce(&self, name: &str, diagnostic: &str) -> String {
        let mut bounce = Bounce::of(&Letter::new("chen", "nobody@example.net", name));
        diagnostic.clone_into(&mut bounce.diagnostic);
        bounce.status = "5.0.0";
        self.scratch.write(&format!("maildir/new/{name}.a.b"), bounce.text()).display().to_string()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Outcome {
        let config = self.scratch.path().join("config.toml").display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", &config]);
        run(&all, b"")
    }
}

#[test]
fn a_rule_goes_from_proposal_to_effect_and_replay_shows_what_changes() {
    let company = Company::new();
    company.bounce("1", &format!("{RIDDLE} QX81ZZ02"));
    company.bounce("2", &format!("{RIDDLE} AB77CD11"));
    company.bounce("3", "550 5.1.1 User unknown");
    let done = company.run(&["run", "--once"]);
    assert_eq!(done.status, 0, "{}", done.stderr);

    let found = company.run(&["rules", "suggest", "--format", "json"]);
    assert_eq!(found.status, 0, "{}", found.stderr);
    let rules = found.json();
    assert_eq!(rules.len(), 1, "{}", found.stdout);
    assert_eq!(rules[0]["count"], 2);
    assert_eq!(rules[0]["phrase"], "zorp gate closed by mistress flimflam, ticket");
    assert!(rules[0]["places"][0].as_str().is_some_and(|it| it.starts_with("journal show ")), "{}", rules[0]);

    // As it is printed it says where the cause is missing; with one it loads, wins and passes `check`.
    let draft = company.run(&["rules", "suggest"]).stdout;
    assert!(draft.contains("# 2 times: journal show "), "{draft}");
    assert!(!draft.contains("QX81ZZ02"), "ids of the samples are made up: {draft}");
    let written = company.scratch.write("rules.d/own.toml", &draft);
    let refused = company.run(&["rules", "list"]);
    assert_eq!(refused.status, 78);
    let place = draft.lines().position(|line| line == "cause = \"\"").expect("a cause to fill in") + 1;
    let told = format!("{}:{place}:9: there is no cause ``", written.display());
    assert!(refused.stderr.contains(&told) && refused.stderr.contains("hint: "), "{}", refused.stderr);
    company.scratch.write("rules.d/own.toml", draft.replace("cause = \"\"", "cause = \"content_rejected\""));
    let verdict = company.run(&["rules", "test", "--format", "json", &format!("{RIDDLE} 77AA88BB")]).json();
    assert_eq!(verdict[0]["cause"], "content_rejected");
    assert_eq!(verdict[0]["rule"], rules[0]["id"]);
    let checked = company.run(&["check"]);
    assert!(checked.stdout.lines().any(|it| it.contains("rules") && it.contains("1 file")), "{}", checked.stdout);

    let differ = company.run(&["replay", "--format", "json"]);
    assert_eq!(differ.status, 0, "{}", differ.stderr);
    let lines = differ.json();
    assert_eq!(lines.len(), 2, "{}", differ.stdout);
    assert_eq!(
        (&lines[0]["before"]["cause"], &lines[0]["after"]["cause"]),
        (&"recipient_rejected".into(), &"content_rejected".into())
    );
    assert_eq!(lines[0]["recipient"], "nobody@example.net");
    let told = company.run(&["replay", "--since", "1h"]).stdout;
    assert!(told.ends_with("3 bounces, 3 recipients diagnosed again: 2 differ.\n"), "{told}");
    let none = company.run(&["replay", "--since", "2199-01-01"]).stdout;
    assert_eq!(none, "0 bounces, 0 recipients diagnosed again: 0 differ.\n");
    // Nothing was changed, and nothing is undetermined any more.
    assert_eq!(company.run(&["replay", "--format", "json"]).json(), lines);
    assert!(company.run(&["rules", "suggest", "--format", "json"]).stdout.is_empty());
}

#[test]
fn rules_are_proposed_from_files_without_a_configuration() {
    let company = Company::new();
    let path = company.bounce("1", &format!("{RIDDLE} QX81ZZ02"));
    let found = run(&["rules", "suggest", "--format", "json", &path, "--config", "/nonexistent"], b"");
    assert_eq!(found.status, 0, "{}", found.stderr);
    assert_eq!(found.json()[0]["places"][0], path);
    let missing = run(&["rules", "suggest", &path, "/nonexistent/x", "--config", "/nonexistent"], b"");
    assert_eq!(missing.status, 65, "{}", missing.stderr);
    let nothing = run(&["rules", "suggest", "--config", "/nonexistent"], b"");
    assert_eq!(nothing.status, 64, "{}", nothing.stderr);
}

#[test]
fn rules_test_shows_all_rules_that_matched_and_why_the_winner_won() {
    let text = "550 5.1.1 <li@example.org>: Recipient address rejected: User unknown";
    let done = run(&["rules", "test", text, "--config", "/nonexistent"], b"");
    assert_eq!(done.status, 0, "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines.iter().any(|it| it.trim_start().starts_with("won ")), "{}", done.stdout);
    // Level and weight stand below each rule, and below those of a loser why it lost.
    let lost: Vec<&[&str]> = lines.windows(3).filter(|it| it[0].trim_start().starts_with("lost ")).collect();
    let told = |it: &&[&str]| it[1].contains("weight ") && it[2].starts_with("       ") && !it[2].contains("weight ");
    assert!(!lost.is_empty() && lost.iter().all(told), "{}", done.stdout);
    assert!(lost.iter().any(|it| it[0].contains("code/")), "{}", done.stdout);
    let refused = "Connection refused: your IP 192.0.2.1 is on a blacklist";
    let reason = run(&["rules", "test", refused, "--config", "/nonexistent"], b"").stdout;
    assert!(reason.contains("blocklisted") && reason.contains("the reason told behind it goes before it"), "{reason}");
    let unknown = run(&["rules", "test", "250 zorp", "--config", "/nonexistent"], b"").stdout;
    assert!(unknown.contains("no rule knows these words"), "{unknown}");
}

#[test]
fn own_rules_go_first_switch_built_in_ones_off_and_are_listed_with_their_file() {
    let company = Company::new();
    company.scratch.write(
        "rules.d/10-own.toml",
        "off = [\"user_unknown/user-unknown\"]\n[[rule]]\nid = \"own/full\"\ncause = \"policy\"\n\
         any = [\"mailbox is full\"]\nsamples = [\"552 mailbox is full\"]\n",
    );
    let verdict = company.run(&["rules", "test", "--format", "json", "552 5.2.2 mailbox is full"]).json();
    assert_eq!((&verdict[0]["rule"], &verdict[0]["cause"]), (&"own/full".into(), &"policy".into()));
    let listed = company.run(&["rules", "list", "--format", "json"]).json();
    let own = listed.iter().find(|it| it["id"] == "own/full").expect("the own rule is listed");
    assert!(own["file"].as_str().is_some_and(|it| it.ends_with("/rules.d/10-own.toml")), "{own}");
    assert!(!listed.iter().any(|it| it["id"] == "user_unknown/user-unknown"));
    assert_eq!(company.run(&["rules", "show", "own/full"]).status, 0);
    assert_eq!(company.run(&["rules", "show", "own/none"]).status, 64);
    let causes = company.run(&["rules", "causes"]).stdout;
    assert!(causes.lines().any(|it| it.starts_with("mailbox_full ")), "{causes}");
}

#[test]
fn anonymise_writes_a_message_that_is_read_the_same_and_says_so() {
    let scratch = Scratch::new();
    let letter = Letter::new("chen", "wang.fang@bigbuyer.com", "first");
    let path = scratch.write("bounce.eml", Bounce::of(&letter).text()).display().to_string();
    let done = run(&["anonymise", &path], b"");
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(done.stderr.contains("user_unknown"), "{}", done.stderr);
    for secret in ["wang.fang", "bigbuyer", "SECRET", letter.message_id.as_str()] {
        assert!(!done.stdout.contains(secret), "{secret} in\n{}", done.stdout);
    }
    let read = |input: &str| run(&["diagnose", "--format", "json", "-"], input.as_bytes()).json().remove(0);
    let (before, after) = (read(&Bounce::of(&letter).text()), read(&done.stdout));
    for key in ["cause", "rule", "status", "reply_code", "acts", "confidence", "action"] {
        assert_eq!(before["bounces"][0][key], after["bounces"][0][key], "{key}");
    }
    assert_eq!(run(&["anonymise", "/nonexistent"], b"").status, 65);
    assert_eq!(run(&["anonymise"], b"").status, 64);
}
