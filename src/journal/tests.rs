//! The conformance suite: the same stories on a real SQLite file and on a real PostgreSQL.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    bounce::{Bounce, Envelope, Original, RecipientReport},
    diagnosis::{Acts, CauseId, Confidence, Diagnosis, Facts, Family},
    evidence::Finding,
    mail::{Language, Mailbox, MessageId, ReversePath},
    outbox::{Delivery, Kind, SmtpReply, Stage, State},
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
    keeps: Option<tempfile::TempDir>,
    settings: Settings,
    policy: policy::Settings,
    now: Timestamp,
}

impl Desk {
    async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", directory.path().join("state/journal.db").display());
        Self::on(&url, Some(directory)).await
    }

    async fn on(url: &str, keeps: Option<tempfile::TempDir>) -> Self {
        let settings = super::Settings { url: url.into(), retain: SignedDuration::from_hours(24) };
        let journal = Journal::open(&settings, Access::Daemon).await.expect("a fresh journal");
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        Self { journal, keeps, settings, policy: self::settings(), now }
    }

    /// SQLite's file.
    fn path(&self) -> std::path::PathBuf {
        self.keeps.as_ref().expect("SQLite").path().join("state/journal.db")
    }

    /// A mail that is no explanation.
    fn notice(&self, identity: &str, to: &Mailbox) -> Reply {
        let message_id = crate::mail::mark::message_id(identity, &self.policy.domains[0]).expect("sound");
        Reply { message_id, to: to.clone(), bytes: b"a notice".to_vec() }
    }

    /// As the pipeline does it: history, decide, render, record, again on conflict.
    async fn take(&self, key: &str, recognition: &Recognition, recipient: &str) -> Decision {
        loop {
            let decided = self.decide_about(key, recognition, recipient).await;
            if let Some(decision) = self.record(key, recognition, &decided).await {
                return decision;
            }
        }
    }

    /// What would be done, and written, on what is known now.
    async fn decide(&self, key: &str, recognition: &Recognition) -> Decided {
        self.decide_about(key, recognition, "a@x.example").await
    }

    async fn decide_about(&self, key: &str, recognition: &Recognition, recipient: &str) -> Decided {
        let mut finding = finding(recipient);
        if let Recognition::Bounce(bounce) = recognition {
            finding.report.action = bounce.kind();
        }
        let findings = vec![finding];
        let candidate = policy::candidate(&self.policy, &Role::Central, recognition).ok();
        let known = self.journal.history(candidate.as_ref(), &self.policy, key, self.now).await.expect("history");
        let incoming = Incoming { role: &Role::Central, received: self.now, recognition, findings: &findings };
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
        Decided { candidate, findings, decision, reply }
    }

    /// What came of it; `None`: it is to be decided again.
    async fn record(&self, key: &str, recognition: &Recognition, decided: &Decided) -> Option<Decision> {
        let entry = JournalEntry {
            reference: &MessageRef { account: "central".into(), folder: "INBOX".into(), key: key.to_owned() },
            role: &Role::Central,
            received: self.now,
            size: 1000,
            content: key,
            recognition,
            findings: &decided.findings,
            candidate: decided.candidate.as_ref(),
            decision: &decided.decision,
            reply: decided.reply.as_ref(),
            catalogue_version: "test",
            at: self.now,
        };
        match self.journal.record(&entry, &self.policy).await.expect("record") {
            Recording::Conflict => None,
            Recording::Done { decision, .. } => Some(*decision),
        }
    }
}

/// A decision that is not yet on record.
struct Decided {
    candidate: Option<policy::Candidate>,
    findings: Vec<Finding>,
    decision: Decision,
    reply: Option<Reply>,
}

fn accepted() -> Delivery {
    Delivery::Accepted(SmtpReply { code: 250, text: "2.0.0 Ok: queued".to_owned() })
}

/// Hands the list of stories to a macro: one list for both databases.
macro_rules! with_stories {
    ($each:ident; $($with:tt)*) => {
        $each! { $($with)*;
            a_bounce_is_explained_once_whatever_its_copies
            further_bounces_of_one_original_join_while_it_waits_and_follow_later
            a_crash_before_the_body_is_a_plain_retry_and_after_it_one_repetition
            a_refusing_channel_ends_no_row_and_lets_one_probe
            limits_hold_within_the_transaction_and_the_breaker_holds_everything
            two_workers_with_copies_of_one_bounce_write_one_explanation
            what_a_dry_run_kept_goes_out_with_the_first_live_bounce_or_by_hand
            an_original_is_known_by_grounds_and_for_its_author_only
            the_order_per_person_is_kept_and_persons_do_not_wait_for_each_other
            a_day_of_refusals_ends_a_row_and_a_refusal_for_good_at_once
            figures_are_counted_and_personal_data_is_forgotten
            lists_go_by_key_and_by_every_filter
            what_administrators_say_is_kept_with_their_names
            a_copy_goes_to_a_colleague_once
            days_and_diagnoses_are_counted
            one_explanation_that_was_held_goes_out_as_it_is
            a_person_gets_one_digest_in_the_limits_period
            a_digest_tells_only_what_is_still_held_when_it_is_committed
            whoever_asks_too_often_is_owed_no_digest
            people_are_named_to_the_administrator_only_if_that_is_wanted
            the_breaker_stays_while_its_limit_is_exceeded_and_outlives_no_wrong_clock
            of_two_decided_side_by_side_the_second_is_decided_again
            of_many_senders_one_probes_a_paused_channel
            a_delay_is_not_told_once_the_mail_has_arrived
            the_gate_ends_a_row_or_keeps_it
            alerts_are_kept_with_what_they_tell_and_told_once
            lists_are_sorted_and_paged_by_any_key
            any_words_find_a_bounce_in_any_script_until_it_is_forgotten
            a_review_sees_the_whole_and_what_people_do_is_kept
            the_last_week_of_a_domain_is_counted_by_mail_and_person
            only_sound_receipts_make_acquaintances
        }
    };
}

macro_rules! on_sqlite {
    (; $($story:ident)*) => { $(
        #[tokio::test]
        async fn $story() {
            stories::$story(Desk::sqlite().await).await;
        }
    )* };
}

with_stories!(on_sqlite;);

mod delivered;
mod meanwhile;
mod notices;
mod postgres;
mod sqlite;
mod stories;
