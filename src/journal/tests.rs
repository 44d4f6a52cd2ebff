//! One suite for the journal, on a real SQLite file (and on PostgreSQL where a test names one).

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    bounce::{Bounce, Envelope, Original, RecipientReport},
    diagnosis::{Acts, CauseId, Confidence, Diagnosis, Facts, Family},
    evidence::Finding,
    mail::{Language, Mailbox, MessageId, ReversePath},
    outbox::{Delivery, SmtpReply, Stage, State},
    policy::{self, Incoming, LanguageChoice, Limit, Mode, Proof, Suppression},
    reply::Reply,
};

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a sound address")
}

fn settings() -> policy::Settings {
    let per = |count, period| Limit::PerPeriod { count, period };
    policy::Settings {
        domains: vec!["corp.example.cn".to_owned()],
        mode: Mode::Live,
        max_age: SignedDuration::from_hours(72),
        gather: SignedDuration::ZERO,
        delays: false,
        answer_undetermined: true,
        asking: true,
        proof: Proof::Plausible,
        our_servers: Vec::new(),
        opt_out: Vec::new(),
        limit_person: per(10, SignedDuration::from_hours(24)),
        limit_total: per(200, SignedDuration::from_hours(1)),
        breaker: per(50, SignedDuration::from_mins(10)),
        language: LanguageChoice::Auto(Language::zh_cn()),
        languages: Vec::new(),
    }
}

/// A bounce of chen's message `original`, itself numbered `n`, about one recipient.
fn bounce(n: u32, original: &str, recipient: &str) -> Recognition {
    Recognition::Bounce(Bounce {
        format: "rfc3464".to_owned(),
        reporting_mta: Some("mx.corp.example.cn".to_owned()),
        arrival_date: None,
        original_envelope_id: None,
        recipients: vec![report(recipient)],
        original: Some(Original {
            from: Some(mailbox("chen@corp.example.cn")),
            return_path: Some(ReversePath::Mailbox(mailbox("chen@corp.example.cn"))),
            message_id: MessageId::parse(original),
            subject: Some("关于十一月订单的报价单".to_owned()),
            ..Original::default()
        }),
        forwarded_by: None,
        envelope: Envelope {
            from: Some(mailbox("MAILER-DAEMON@mx.corp.example.cn")),
            return_path: Some(ReversePath::Null),
            message_id: MessageId::parse(&format!("<bounce{n}@mx.corp.example.cn>")),
            ..Envelope::default()
        },
        filler_seen: false,
        human_text: String::new(),
        defects: Vec::new(),
    })
}

fn report(recipient: &str) -> RecipientReport {
    RecipientReport {
        final_recipient: mailbox(recipient),
        original_recipient: None,
        action: crate::bounce::Action::Failed,
        status: "5.1.1".parse().ok(),
        reply_code: None,
        diagnostic: Some("550 5.1.1 User unknown".to_owned()),
        remote_mta: None,
        last_attempt_date: None,
        will_retry_until: None,
        expired: false,
        provenance: crate::bounce::Provenance::ReportField,
    }
}

fn finding(recipient: &str) -> Finding {
    let diagnosis = Diagnosis {
        cause: CauseId::new("user_unknown"),
        family: Family::Address,
        permanent: Some(true),
        expired: false,
        acts: Acts::Sender,
        confidence: Confidence::Certain,
        rule: "user_unknown/test".to_owned(),
        matched: "User unknown".to_owned(),
        facts: Facts::default(),
        rivals: Vec::new(),
        system: None,
    };
    let mut finding = crate::evidence::weigh(report(recipient), diagnosis, Vec::new(), false);
    finding.observations.clear();
    finding
}

struct Desk {
    journal: Journal,
    directory: tempfile::TempDir,
    settings: Settings,
    policy: policy::Settings,
    now: Timestamp,
}

impl Desk {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", directory.path().join("state/journal.db").display());
        let settings = super::Settings { url: url.into(), retain: SignedDuration::from_hours(24) };
        let journal = Journal::open(&settings, Access::Daemon).await.expect("a fresh journal");
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        Self { journal, directory, settings, policy: self::settings(), now }
    }

    /// As the pipeline does it: history, decide, render, record, again on conflict.
    async fn take(&self, key: &str, recognition: &Recognition, recipient: &str) -> Decision {
        let role = Role::Central;
        let reference = MessageRef { account: "central".into(), folder: "INBOX".into(), key: key.to_owned() };
        let findings = [finding(recipient)];
        let candidate = policy::candidate(&self.policy, &role, recognition).ok();
        loop {
            let known = self.journal.history(candidate.as_ref(), &self.policy, key, self.now).await.expect("history");
            let incoming = Incoming { role: &role, received: self.now, recognition, findings: &findings };
            let decision = policy::decide(&self.policy, &incoming, &known.history, self.now);
            let reply = match &decision {
                Decision::Reply(plan) | Decision::Hold(_, plan) => Some(Reply {
                    message_id: crate::mail::mark::message_id(
                        &format!("{}|{}", plan.identity, plan.sequence),
                        "corp.example.cn",
                    )
                    .expect("sound"),
                    to: plan.addressee.clone(),
                    bytes: format!("{} cases", known.earlier.len() + 1).into_bytes(),
                }),
                Decision::Suppress(_) => None,
            };
            let entry = JournalEntry {
                reference: &reference,
                role: &role,
                received: self.now,
                size: 1000,
                content: key,
                recognition,
                findings: &findings,
                candidate: candidate.as_ref(),
                decision: &decision,
                reply: reply.as_ref(),
                catalogue_version: "test",
                at: self.now,
            };
            match self.journal.record(&entry, &self.policy).await.expect("record") {
                Recording::Conflict => {}
                Recording::Done { decision, .. } => return *decision,
            }
        }
    }
}

fn accepted() -> Delivery {
    Delivery::Accepted(SmtpReply { code: 250, text: "2.0.0 Ok: queued".to_owned() })
}

#[tokio::test]
async fn a_bounce_is_explained_once_whatever_its_copies() {
    let desk = Desk::new().await;
    let first = bounce(1, "<m1@corp.example.cn>", "wang@buyer.example");
    assert!(matches!(desk.take("1:1", &first, "wang@buyer.example").await, Decision::Reply(_)));
    // The same reference again (killed before the mailbox was touched), and a copy under another.
    assert!(matches!(desk.take("1:1", &first, "wang@buyer.example").await, Decision::Reply(_)));
    let copy = desk.take("2:1", &first, "wang@buyer.example").await;
    assert_eq!(copy, Decision::Suppress(vec![Suppression::AlreadyExplained]));
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("one row");
    assert_eq!(due.attempt, 1);
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "one explanation only");
    desk.journal.body_started(due.id, desk.now).await.expect("written");
    desk.journal.finish(due.id, &accepted(), desk.now).await.expect("written");
    let story = desk.journal.show("1").await.expect("the story");
    assert_eq!(story.reply.as_ref().map(|it| it.state), Some(State::Sent));
    let steps: Vec<Step> = story.entries.iter().map(|it| it.step).collect();
    assert_eq!(steps, [Step::Queued, Step::Recorded, Step::Attempted, Step::BodyStarted, Step::Sent]);
    assert_eq!(desk.journal.list(&Filter::default()).await.expect("list").len(), 2);
}

#[tokio::test]
async fn further_bounces_of_one_original_join_while_it_waits_and_follow_later() {
    let mut desk = Desk::new().await;
    desk.policy.gather = SignedDuration::from_secs(60);
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    desk.take("1:2", &bounce(2, "<m1@corp.example.cn>", "b@y.example"), "b@y.example").await;
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "it waits for more");
    desk.now += SignedDuration::from_secs(61);
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("one row for both");
    assert_eq!(due.reply.bytes, b"2 cases");
    desk.journal.finish(due.id, &accepted(), desk.now).await.expect("written");
    let later = desk.take("1:3", &bounce(3, "<m1@corp.example.cn>", "c@z.example"), "c@z.example").await;
    assert!(matches!(later, Decision::Reply(plan) if plan.sequence == 1), "a follow-up");
    let again = desk.take("1:4", &bounce(4, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    assert_eq!(again, Decision::Suppress(vec![Suppression::AlreadyExplained]), "the same recipient once more");
}

#[tokio::test]
async fn a_crash_before_the_body_is_a_plain_retry_and_after_it_one_repetition() {
    let desk = Desk::new().await;
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
    desk.journal.recover(desk.now).await.expect("recover");
    let again = desk.journal.claim_due(desk.now).await.expect("claim").expect("due again");
    assert_eq!((again.id, again.attempt, again.repeats_doubt), (due.id, 1, false));
    for (expected, later) in [(true, 61), (false, 122)] {
        desk.journal.body_started(due.id, desk.now).await.expect("written");
        desk.journal.recover(desk.now).await.expect("recover");
        let then = desk.now + SignedDuration::from_secs(later);
        let claimed = desk.journal.claim_due(then).await.expect("claim");
        assert_eq!(claimed.as_ref().map(|it| it.repeats_doubt), expected.then_some(true));
    }
    let story = desk.journal.show("1").await.expect("the story");
    assert_eq!(story.reply.map(|it| it.state), Some(State::InDoubt), "never a third time");
}

#[tokio::test]
async fn a_refusing_channel_ends_no_row_and_lets_one_probe() {
    let desk = Desk::new().await;
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let mut now = desk.now;
    for wait in [1, 5, 15, 60, 60] {
        let due = desk.journal.claim_due(now).await.expect("claim").expect("the probe");
        assert_eq!(due.attempt, 1, "the channel's fault counts against no row");
        let refused = Delivery::ChannelRefused(Stage::Connect, "connection refused".to_owned());
        desk.journal.finish(due.id, &refused, now).await.expect("written");
        now = now + SignedDuration::from_mins(wait) - SignedDuration::from_secs(1);
        assert!(desk.journal.claim_due(now).await.expect("claim").is_none(), "paused");
        now += SignedDuration::from_secs(1);
    }
    assert!(desk.journal.paused().await.expect("read").is_some());
}

#[tokio::test]
async fn limits_hold_within_the_transaction_and_the_breaker_holds_everything() {
    let mut desk = Desk::new().await;
    desk.policy.limit_person = Limit::PerPeriod { count: 2, period: SignedDuration::from_hours(24) };
    for n in 1..=3 {
        let decision = desk
            .take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"), "a@x.example")
            .await;
        assert_eq!(matches!(decision, Decision::Reply(_)), n <= 2, "{decision:?}");
    }
    desk.policy.limit_person = Limit::Off;
    desk.policy.breaker = Limit::PerPeriod { count: 3, period: SignedDuration::from_mins(10) };
    for n in 4..=6 {
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"), "a@x.example")
            .await;
    }
    assert!(desk.journal.breaker().await.expect("read").is_some());
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "everything is held");
    assert!(!desk.journal.tend(&desk.policy, desk.now).await.expect("tend"));
    let later = desk.now + SignedDuration::from_hours(2);
    assert!(desk.journal.tend(&desk.policy, later).await.expect("tend"), "an hour below the limit");
    assert!(desk.journal.claim_due(later).await.expect("claim").is_some());
}

#[tokio::test]
async fn two_workers_with_copies_of_one_bounce_write_one_explanation() {
    let desk = Desk::new().await;
    let it = bounce(1, "<m1@corp.example.cn>", "a@x.example");
    let (one, two) = tokio::join!(desk.take("1:1", &it, "a@x.example"), desk.take("2:1", &it, "a@x.example"));
    let answered = [&one, &two].iter().filter(|it| matches!(it, Decision::Reply(_))).count();
    assert_eq!(answered, 1, "{one:?} {two:?}");
}

#[tokio::test]
async fn a_second_daemon_and_a_damaged_file_are_refused_with_the_next_step() {
    let desk = Desk::new().await;
    let second = Journal::open(&desk.settings, Access::Daemon).await.expect_err("in use");
    assert!(matches!(second, Error::InUse { .. }) && second.to_string().contains("hint:"), "{second}");
    Journal::open(&desk.settings, Access::Read).await.expect("looking is allowed");
    let broken = tempfile::tempdir().expect("a temporary directory");
    let path = broken.path().join("journal.db");
    std::fs::write(&path, [b'x'; 4096]).expect("written");
    let url = format!("sqlite:{}", path.display());
    let settings = super::Settings { url: url.into(), retain: SignedDuration::from_hours(1) };
    let error = Journal::open(&settings, Access::Daemon).await.expect_err("not a database");
    assert!(matches!(error, Error::Damaged { .. }) && error.to_string().contains("hint:"), "{error}");
}

#[tokio::test]
async fn files_are_private_and_cursors_and_failures_are_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new().await;
    let state = desk.directory.path().join("state");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("journal.db"))), (0o700, 0o600));
    let cursor = crate::mail::Cursor { uid_validity: 7, uid: 42 };
    desk.journal.keep_cursor("central", "INBOX", cursor, desk.now).await.expect("written");
    assert_eq!(desk.journal.cursor("central", "INBOX").await.expect("read"), Some(cursor));
    let reference = MessageRef { account: "central".into(), folder: "INBOX".into(), key: "7:43".into() };
    desk.journal.poison(&reference, 1, "it broke", desk.now).await.expect("written");
    desk.journal.poison(&reference, 1, "it broke", desk.now).await.expect("written");
    assert_eq!(desk.journal.poisoned(&reference).await.expect("read"), 2);
    desk.journal.set_aside(&reference, desk.now, 1, desk.now).await.expect("written");
    assert!(desk.journal.recorded(&reference).await.expect("read"));
}
