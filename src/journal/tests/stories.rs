//! What holds for either database. Each story gets an empty journal.

pub(super) use super::delivered::only_sound_receipts_make_acquaintances;
pub(super) use super::meanwhile::{
    of_many_senders_one_probes_a_paused_channel, of_two_decided_side_by_side_the_second_is_decided_again,
    the_breaker_stays_while_its_limit_is_exceeded_and_outlives_no_wrong_clock,
};
pub(super) use super::notices::{
    a_delay_is_not_told_once_the_mail_has_arrived, a_digest_tells_only_what_is_still_held_when_it_is_committed,
    a_person_gets_one_digest_in_the_limits_period, alerts_are_kept_with_what_they_tell_and_told_once,
    one_explanation_that_was_held_goes_out_as_it_is, people_are_named_to_the_administrator_only_if_that_is_wanted,
    the_gate_ends_a_row_or_keeps_it, whoever_asks_too_often_is_owed_no_digest,
};
use super::*;

pub(super) async fn a_bounce_is_explained_once_whatever_its_copies(desk: Desk) {
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
    assert_eq!(steps, [Step::Recorded, Step::Queued, Step::Attempted, Step::BodyStarted, Step::Sent]);
    assert_eq!(desk.journal.list(&Filter::default()).await.expect("list").len(), 2);
}

pub(super) async fn further_bounces_of_one_original_join_while_it_waits_and_follow_later(mut desk: Desk) {
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

pub(super) async fn a_crash_before_the_body_is_a_plain_retry_and_after_it_one_repetition(desk: Desk) {
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
    // On PostgreSQL the attempt could be another daemon's until its lease is over.
    let mut now = desk.now + SignedDuration::from_mins(31);
    desk.journal.recover(now).await.expect("recover");
    let again = desk.journal.claim_due(now).await.expect("claim").expect("due again");
    assert_eq!((again.id, again.attempt, again.repeats_doubt), (due.id, 1, false));
    for expected in [true, false] {
        desk.journal.body_started(due.id, now).await.expect("written");
        now += SignedDuration::from_mins(31);
        desk.journal.recover(now).await.expect("recover");
        let claimed = desk.journal.claim_due(now).await.expect("claim");
        assert_eq!(claimed.as_ref().map(|it| it.repeats_doubt), expected.then_some(true));
    }
    let story = desk.journal.show("1").await.expect("the story");
    assert_eq!(story.reply.map(|it| it.state), Some(State::InDoubt), "never a third time");
}

pub(super) async fn a_refusing_channel_ends_no_row_and_lets_one_probe(desk: Desk) {
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

pub(super) async fn limits_hold_within_the_transaction_and_the_breaker_holds_everything(mut desk: Desk) {
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
    let soon = desk.now + SignedDuration::from_mins(59);
    assert!(!desk.journal.tend(&desk.policy, soon).await.expect("tend"), "not yet an hour");
    let later = desk.now + SignedDuration::from_hours(2);
    assert!(desk.journal.tend(&desk.policy, later).await.expect("tend"), "an hour below the limit");
    assert!(desk.journal.claim_due(later).await.expect("claim").is_none(), "what was held is told together");
    let due = desk.journal.digests_due(&desk.policy, later).await.expect("read");
    let [digest] = &due[..] else { panic!("one a person: {due:?}") };
    // Two of the first day, three of the burst, and the one that the limit kept back.
    assert_eq!(digest.held.len(), 6, "{digest:?}");
    let mail = desk.notice(&digest.identity, &digest.person);
    assert!(desk.journal.post_digest(digest, &mail, &desk.policy, later).await.expect("written"));
    assert!(!desk.journal.post_digest(digest, &mail, &desk.policy, later).await.expect("written"), "once");
    let sent = desk.journal.claim_due(later).await.expect("claim").expect("the digest");
    assert_eq!((sent.kind, &sent.reply), (Kind::Digest, &mail));
    desk.journal.finish(sent.id, &accepted(), later).await.expect("written");
    assert!(desk.journal.claim_due(later).await.expect("claim").is_none());
    assert!(desk.journal.digests_due(&desk.policy, later).await.expect("read").is_empty());
}

pub(super) async fn two_workers_with_copies_of_one_bounce_write_one_explanation(desk: Desk) {
    let it = bounce(1, "<m1@corp.example.cn>", "a@x.example");
    let (one, two) = tokio::join!(desk.take("1:1", &it, "a@x.example"), desk.take("2:1", &it, "a@x.example"));
    let answered = [&one, &two].iter().filter(|it| matches!(it, Decision::Reply(_))).count();
    assert_eq!(answered, 1, "{one:?} {two:?}");
}

pub(super) async fn what_a_dry_run_kept_goes_out_with_the_first_live_bounce_or_by_hand(mut desk: Desk) {
    desk.policy.mode = Mode::DryRun;
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    desk.take("1:2", &bounce(2, "<m2@corp.example.cn>", "a@x.example"), "a@x.example").await;
    desk.policy.mode = Mode::Live;
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "nothing old goes out by itself");
    desk.take("1:3", &bounce(3, "<m1@corp.example.cn>", "b@y.example"), "b@y.example").await;
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("the first, with the new bounce");
    assert_eq!(due.reply.bytes, b"2 cases");
    desk.journal.finish(due.id, &accepted(), desk.now).await.expect("written");
    desk.journal.retry(2, desk.now).await.expect("by hand");
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("the second");
    let while_sending = desk.journal.retry(2, desk.now).await.expect_err("it is under way");
    assert!(matches!(while_sending, Error::State { .. }));
    desk.journal.finish(due.id, &accepted(), desk.now).await.expect("written");
}

pub(super) async fn an_original_is_known_by_grounds_and_for_its_author_only(mut desk: Desk) {
    desk.policy.proof = Proof::None;
    let forged = |n| {
        let mut it = bounce(n, "<x@spam.example>", &format!("r{n}@x.example"));
        if let Recognition::Bounce(bounce) = &mut it {
            bounce.reporting_mta = None;
        }
        it
    };
    assert!(matches!(desk.take("1:1", &forged(1), "r1@x.example").await, Decision::Reply(_)));
    desk.policy.proof = Proof::Plausible;
    let again = desk.take("1:2", &forged(2), "r2@x.example").await;
    assert_eq!(again, Decision::Suppress(vec![Suppression::UnprovenOrigin]), "no proof grows out of none");
    let sound = bounce(3, "<m1@corp.example.cn>", "a@x.example");
    assert!(matches!(desk.take("1:3", &sound, "a@x.example").await, Decision::Reply(_)));
    let mut bare = bounce(4, "<m1@corp.example.cn>", "b@y.example");
    if let Recognition::Bounce(bounce) = &mut bare {
        bounce.reporting_mta = None;
    }
    let Decision::Reply(plan) = desk.take("1:4", &bare, "b@y.example").await else { panic!("answered") };
    assert!(plan.grounds.contains(&policy::Ground::JournalKnows), "{:?}", plan.grounds);
}

pub(super) async fn the_order_per_person_is_kept_and_persons_do_not_wait_for_each_other(desk: Desk) {
    let from = |n, author: &str| {
        let mut it = bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example");
        if let Recognition::Bounce(bounce) = &mut it
            && let Some(original) = &mut bounce.original
        {
            (original.from, original.return_path) = (Some(mailbox(author)), None);
        }
        it
    };
    desk.take("1:1", &from(1, "chen@corp.example.cn"), "a@x.example").await;
    desk.take("1:2", &from(2, "chen@corp.example.cn"), "a@x.example").await;
    desk.take("1:3", &from(3, "li@corp.example.cn"), "a@x.example").await;
    let first = desk.journal.claim_due(desk.now).await.expect("claim").expect("chen's first");
    let other = desk.journal.claim_due(desk.now).await.expect("claim").expect("li's");
    assert_eq!((first.reply.to, other.reply.to), (mailbox("chen@corp.example.cn"), mailbox("li@corp.example.cn")));
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "chen's second waits for the first");
    assert_eq!(desk.journal.next_due(desk.now).await.expect("read"), None, "nothing to wake up for");
    let later = SmtpReply { code: 451, text: "4.7.1 later".to_owned() };
    desk.journal.finish(first.id, &Delivery::Deferred(Stage::Rcpt, later), desk.now).await.expect("written");
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "also while the first is put off");
    let then = desk.now + SignedDuration::from_mins(30);
    let again = desk.journal.claim_due(then).await.expect("claim").expect("the first again");
    assert_eq!((again.id, again.attempt), (first.id, 2));
    let second = desk.journal.finish_and_claim(again.id, &accepted(), then).await.expect("written");
    let second = second.expect("now the second, claimed with the outcome of the first");
    let lost = Delivery::ChannelRefused(Stage::Connect, "connection refused".to_owned());
    let none = desk.journal.finish_and_claim(second.id, &lost, then).await.expect("written");
    assert!(none.is_none(), "nothing is claimed from a paused channel");
    assert_eq!(desk.journal.waiting().await.expect("read"), 2, "the second again, and li's on its way");
}

pub(super) async fn a_day_of_refusals_ends_a_row_and_a_refusal_for_good_at_once(desk: Desk) {
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let mut now = desk.now;
    let mut attempts = 0;
    while let Some(due) = desk.journal.claim_due(now).await.expect("claim") {
        attempts += 1;
        let later = SmtpReply { code: 450, text: "later".to_owned() };
        desk.journal.finish(due.id, &Delivery::Deferred(Stage::Rcpt, later), now).await.expect("written");
        now = desk.journal.next_due(now).await.expect("read").unwrap_or(now);
    }
    assert_eq!(attempts, 7);
    assert!(now.duration_since(desk.now) <= SignedDuration::from_hours(24), "a day at most");
    let story = desk.journal.show("1").await.expect("the story");
    assert_eq!(story.reply.map(|it| it.state), Some(State::Failed));
    desk.take("1:2", &bounce(2, "<m2@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let due = desk.journal.claim_due(now).await.expect("claim").expect("due");
    let refused = SmtpReply { code: 550, text: "5.1.1 no".to_owned() };
    desk.journal.finish(due.id, &Delivery::Rejected(Stage::Rcpt, refused), now).await.expect("written");
    assert_eq!(desk.journal.waiting().await.expect("read"), 0);
}

pub(super) async fn figures_are_counted_and_personal_data_is_forgotten(desk: Desk) {
    for n in 1..=3 {
        let original = format!("<m{n}@corp.example.cn>");
        desk.take(&format!("1:{n}"), &bounce(n, &original, "a@x.example"), "a@x.example").await;
    }
    while let Some(due) = desk.journal.claim_due(desk.now).await.expect("claim") {
        desk.journal.finish(due.id, &accepted(), desk.now).await.expect("written");
        if due.id == 2 {
            break;
        }
    }
    desk.take("1:4", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let (since, until) = (desk.now - SignedDuration::from_hours(1), desk.now + SignedDuration::from_hours(1));
    let stats = desk.journal.stats(since, until, SignedDuration::from_hours(8)).await.expect("figures");
    let named = |name: &str, count| Count { name: name.to_owned(), count };
    assert_eq!((stats.messages, stats.bounces), (4, 4));
    assert_eq!(stats.causes, [named("user_unknown", 4)]);
    assert_eq!(stats.domains, [named("x.example", 4)]);
    assert_eq!(stats.days, [named("2026-09-21", 4)]);
    assert_eq!(stats.explanations, [named("sent", 2), named("due", 1)]);
    assert_eq!(stats.withheld, [named("already_explained", 1)]);
    assert_eq!(stats.would_answer, WouldAnswer { none: 3, plausible: 3, verified: 0 });
    let later = desk.now + SignedDuration::from_hours(48);
    let retain = SignedDuration::from_hours(24);
    assert_eq!(desk.journal.prune(retain, later).await.expect("pruned"), 3, "what is still to be sent stays");
    assert_eq!(desk.journal.prune(retain, later).await.expect("pruned"), 0);
    let story = desk.journal.show("1").await.expect("the story");
    assert_eq!((story.row.person, story.row.subject, story.row.recipient), (None, None, None));
    assert!(story.recognition.is_none() && story.findings.is_empty() && story.entries.is_empty());
    let reply = story.reply.expect("that there was one is known");
    assert!(reply.bytes.is_empty() && reply.to.is_none());
    assert_eq!(story.row.cause.as_deref(), Some("user_unknown"));
    desk.journal.retry(1, later).await.expect_err("there is nothing left to send");
    let copy = desk.take("9:1", &bounce(9, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    assert!(matches!(&copy, Decision::Reply(plan) if plan.sequence == 1), "{copy:?}");
    let known = desk.journal.history(None, &desk.policy, "1:1", desk.now).await.expect("history");
    assert!(known.history.bounce_seen, "the digest of the bounce is kept");
}

pub(super) async fn lists_go_by_key_and_by_every_filter(desk: Desk) {
    for n in 1..=5 {
        let original = format!("<m{n}@corp.example.cn>");
        let recipient = if n == 3 { "c@z.example" } else { "a@x.example" };
        desk.take(&format!("1:{n}"), &bounce(n, &original, recipient), recipient).await;
    }
    let ids = |filter: Filter| {
        let journal = desk.journal.clone();
        async move { journal.list(&filter).await.expect("list").iter().map(|it| it.id).collect::<Vec<_>>() }
    };
    let all = Filter::default;
    assert_eq!(ids(Filter { limit: 2, ..all() }).await, [5, 4]);
    assert_eq!(ids(Filter { limit: 2, before: Some(4), ..all() }).await, [3, 2]);
    assert_eq!(ids(Filter { domain: Some("Z.example".to_owned()), ..all() }).await, [3]);
    assert_eq!(ids(Filter { recipient: Some("c@z.example".to_owned()), ..all() }).await, [3]);
    assert_eq!(ids(Filter { text: Some("C@Z".to_owned()), ..all() }).await, [3]);
    assert_eq!(ids(Filter { cause: Some("user_unknown".to_owned()), limit: 1, ..all() }).await, [5]);
    assert_eq!(ids(Filter { cause: Some("mail_loop".to_owned()), ..all() }).await, [0_i64; 0]);
    assert_eq!(ids(Filter { state: Some(State::Due), decision: Some("answer".to_owned()), ..all() }).await.len(), 5);
    assert_eq!(ids(Filter { person: Some("Chen@corp.example.cn".to_owned()), ..all() }).await.len(), 5);
    assert_eq!(ids(Filter { since: Some(desk.now), until: Some(desk.now), ..all() }).await, [0_i64; 0]);
}

pub(super) async fn what_administrators_say_is_kept_with_their_names(desk: Desk) {
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "wang@buyer.example"), "wang@buyer.example").await;
    let journal = &desk.journal;
    journal.mark(1, "mailbox_full", "administrator", desk.now).await.expect("marked");
    journal.mark(1, "moved", "wang", desk.now).await.expect("marked");
    assert_eq!(
        journal.mark_of(1).await.expect("read").map(|it| (it.cause, it.actor)),
        Some(("moved".into(), "wang".into()))
    );
    assert_eq!(journal.marks(10).await.expect("read").len(), 1);
    assert!(matches!(journal.mark(7, "moved", "wang", desk.now).await, Err(Error::Unknown { .. })));
    let story = journal.show("1").await.expect("the story");
    let marks: Vec<&str> =
        story.entries.iter().filter(|it| it.step == Step::Marked).map(|it| it.actor.as_str()).collect();
    assert_eq!(marks, ["administrator", "wang"]);

    journal.mute("Buyer.example", "wang", desk.now).await.expect("muted");
    let second = bounce(2, "<m2@corp.example.cn>", "li@buyer.example");
    let decision = desk.take("1:2", &second, "li@buyer.example").await;
    assert_eq!(decision, Decision::Suppress(vec![Suppression::DomainMuted]));
    journal.unmute("buyer.example", "wang", desk.now).await.expect("unmuted");
    assert!(journal.muted().await.expect("read").is_empty());
    let third = bounce(3, "<m3@corp.example.cn>", "li@buyer.example");
    assert!(matches!(desk.take("1:3", &third, "li@buyer.example").await, Decision::Reply(_)));
}

pub(super) async fn a_copy_goes_to_a_colleague_once(desk: Desk) {
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "wang@buyer.example"), "wang@buyer.example").await;
    let story = desk.journal.show("1").await.expect("the story");
    let Some(Decision::Reply(plan)) = &story.decision else { panic!("{:?}", story.decision) };
    let reply = Reply {
        message_id: MessageId::parse("<copy@corp.example.cn>").expect("sound"),
        to: mailbox("li@corp.example.cn"),
        bytes: b"a copy".to_vec(),
    };
    desk.journal.send_copy(1, plan, &reply, "wang", desk.now).await.expect("queued");
    let again = desk.journal.send_copy(1, plan, &reply, "wang", desk.now).await;
    assert!(matches!(again, Err(Error::State { .. })), "{again:?}");
    let rows = desk.journal.outbox(None, 10).await.expect("read");
    let to: Vec<Option<&str>> = rows.iter().map(|it| it.to.as_deref()).collect();
    assert_eq!(to, [Some("li@corp.example.cn"), Some("chen@corp.example.cn")]);
    assert_eq!(desk.journal.outbox_states().await.expect("read"), [("due".to_owned(), 2)]);
    let delay = desk.journal.typical_delay(Timestamp::UNIX_EPOCH).await.expect("read");
    assert_eq!(delay, None, "nothing went out yet");
}

pub(super) async fn days_and_diagnoses_are_counted(desk: Desk) {
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    desk.take("1:2", &bounce(2, "<m2@corp.example.cn>", "b@x.example"), "b@x.example").await;
    let days = desk.journal.days(Timestamp::UNIX_EPOCH, Timestamp::MAX, SignedDuration::ZERO).await.expect("read");
    assert_eq!(days.iter().map(|it| (it.cause.as_str(), it.count)).collect::<Vec<_>>(), [("user_unknown", 2)]);
    let diagnosed = desk.journal.diagnosed(false, 10).await.expect("read");
    assert_eq!(diagnosed.iter().map(|it| it.message).collect::<Vec<_>>(), [2, 1]);
    assert!(desk.journal.diagnosed(true, 10).await.expect("read").is_empty());
}

pub(super) async fn any_words_find_a_bounce_in_any_script_until_it_is_forgotten(desk: Desk) {
    for n in 1..=3 {
        let original = format!("<m{n}@corp.example.cn>");
        desk.take(&format!("1:{n}"), &bounce(n, &original, "wang.wei@buyer.example"), "wang.wei@buyer.example").await;
    }
    let reference = desk.journal.show("2").await.expect("the story").row.reference_id.expect("it has one");
    let found = |text: &str| {
        let (journal, text) = (desk.journal.clone(), Some(text.to_owned()));
        async move {
            let filter = Filter { text, limit: 2, ..Filter::default() };
            journal.list(&filter).await.expect("found").iter().map(|it| it.id).collect::<Vec<_>>()
        }
    };
    for text in ["报价单", "报", "单", "十一月 报价", "WANG", "wang.wei@buyer", "unknown", "buy", "550 5.1.1"]
    {
        assert_eq!(found(text).await, [3, 2], "{text}");
    }
    for text in ["报单", "wei.wang", "buyers", "uyer", "十一月报价", "\"", "* OR a", "' --", "', zz)"] {
        assert_eq!(found(text).await, [0_i64; 0], "{text}");
    }
    assert_eq!(found(&reference).await, [2]);
    let page = Filter { text: Some("订单".to_owned()), before: Some(3), limit: 1, ..Filter::default() };
    assert_eq!(desk.journal.list(&page).await.expect("found").first().map(|it| it.id), Some(2));
    while let Some(due) = desk.journal.claim_due(desk.now).await.expect("claim") {
        desk.journal.finish(due.id, &accepted(), desk.now).await.expect("written");
    }
    let later = desk.now + SignedDuration::from_hours(48);
    desk.journal.prune(SignedDuration::from_hours(24), later).await.expect("pruned");
    assert_eq!(found("报价").await, [0_i64; 0]);
}

pub(super) async fn a_review_sees_the_whole_and_what_people_do_is_kept(desk: Desk) {
    for n in 1..=4 {
        let recipient = if n == 4 { "d@z.example" } else { "a@x.example" };
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), recipient), recipient).await;
    }
    desk.take("1:5", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
    let minute_later = desk.now + SignedDuration::from_secs(50);
    desk.journal.finish(due.id, &accepted(), minute_later).await.expect("written");
    let (since, until) = (desk.now - SignedDuration::from_hours(1), desk.now + SignedDuration::from_hours(1));
    let seen = desk.journal.overview(since, until, SignedDuration::from_hours(8)).await.expect("figures");
    let named = |name: &str, count| Count { name: name.to_owned(), count };
    assert_eq!((seen.bounces, seen.others, seen.sent, seen.median_wait), (5, 0, 1, Some(60)));
    assert_eq!(seen.causes, [named("user_unknown", 5)]);
    assert_eq!(seen.domains, [named("x.example", 4), named("z.example", 1)]);
    assert_eq!(seen.decisions, [named("answer", 4), named("suppress", 1)]);
    assert_eq!(seen.withheld, [named("already_explained", 1)]);
    assert_eq!(seen.days.iter().map(|it| it.day.to_string()).collect::<Vec<_>>(), ["2026-09-21"]);
    let nothing = desk.journal.overview(until, Timestamp::MAX, SignedDuration::ZERO).await.expect("figures");
    assert_eq!(nothing, Overview::default());

    desk.journal.mark(2, "mailbox_full", "li", desk.now).await.expect("written");
    let wrong = Filter { wrong: true, ..Filter::default() };
    let rows = desk.journal.list(&wrong).await.expect("list");
    assert_eq!(
        rows.iter().map(|it| (it.id, it.right_cause.as_deref())).collect::<Vec<_>>(),
        [(2, Some("mailbox_full"))]
    );
    desk.journal.keep_action("wang", "signed in", desk.now).await.expect("written");
    desk.journal.retry_by(3, "li", desk.now).await.expect("written");
    let actions = desk.journal.actions(None, 10).await.expect("list");
    let actions: Vec<_> = actions.iter().map(|it| (it.step, it.actor.as_str(), it.message)).collect();
    assert_eq!(
        actions,
        [(Step::Released, "li", Some(3)), (Step::Administered, "wang", None), (Step::Marked, "li", Some(2))]
    );
    let events = desk.journal.events(0, 1000).await.expect("list");
    assert!(events.windows(2).all(|it| it[0].id < it[1].id) && events.len() > 10);
    assert_eq!(events.last().map(|it| it.id), Some(desk.journal.last_event().await.expect("read")));
    assert_eq!(desk.journal.verify().await.expect("verified"), [""; 0]);
}

pub(super) async fn lists_are_sorted_and_paged_by_any_key(desk: Desk) {
    let recipients = ["m@x.example", "a@x.example", "z@x.example", "a@x.example", "b@x.example"];
    for (n, recipient) in (1..).zip(recipients) {
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), recipient), recipient).await;
    }
    for (sort, expected) in [
        (Sort::Newest, [5, 4, 3, 2, 1]),
        (Sort::Oldest, [1, 2, 3, 4, 5]),
        (Sort::Recipient, [2, 4, 5, 1, 3]),
        (Sort::Person, [1, 2, 3, 4, 5]),
        (Sort::Cause, [1, 2, 3, 4, 5]),
    ] {
        for since in [None, Some(desk.now)] {
            let mut seen = Vec::new();
            let mut filter = Filter { sort, since, limit: 2, ..Filter::default() };
            loop {
                let page = desk.journal.list(&filter).await.expect("list");
                seen.extend(page.iter().map(|it| it.id));
                assert!(seen.len() <= 5, "{sort:?}: {seen:?}");
                let Some(last) = page.last() else { break };
                filter.before = Some(last.id);
            }
            assert_eq!(seen, expected, "{sort:?}, since {since:?}");
        }
    }
}

pub(super) async fn the_last_week_of_a_domain_is_counted_by_mail_and_person(mut desk: Desk) {
    let by = |author: &str, n: u32, id: &str, recipient: &str| {
        let Recognition::Bounce(mut it) = bounce(n, id, recipient) else { unreachable!("a bounce") };
        if let Some(original) = &mut it.original {
            original.from = Some(mailbox(author));
            original.return_path = None;
        }
        Recognition::Bounce(it)
    };
    let chen = mailbox("chen@corp.example.cn");
    let weeks = async |desk: &Desk| desk.journal.weeks(&[finding("a@x.example")], &chen, desk.now).await.expect("read");
    assert!(weeks(&desk).await.is_empty(), "an empty journal knows nothing");
    desk.take("1:1", &by("wu@corp.example.cn", 1, "<m1@corp.example.cn>", "old@x.example"), "old@x.example").await;
    desk.now += SignedDuration::from_hours(8 * 24);
    assert!(weeks(&desk).await.is_empty(), "what is older than a week does not count");
    for (n, author, id, recipient) in [
        (2, "chen@corp.example.cn", "<m2@corp.example.cn>", "a@x.example"),
        (3, "wu@corp.example.cn", "<m3@corp.example.cn>", "b@x.example"),
        (4, "wu@corp.example.cn", "<m3@corp.example.cn>", "c@x.example"),
        (5, "li@corp.example.cn", "<m5@corp.example.cn>", "d@x.example"),
        (6, "li@corp.example.cn", "<m6@corp.example.cn>", "e@y.example"),
    ] {
        desk.take(&format!("1:{n}"), &by(author, n, id, recipient), recipient).await;
    }
    let found = weeks(&desk).await;
    let [week] = &found[..] else { panic!("{found:?}") };
    assert_eq!((week.domain.as_str(), week.cause.as_str(), week.whole), ("x.example", "user_unknown", true));
    assert_eq!((week.mails, week.people, week.mails_of_others, week.others), (3, 3, 2, 2), "{week:?}");
    assert_eq!((week.seen_of_others, week.elsewhere, week.delivered), (2, 1, 0), "{week:?}");
    assert_eq!(week.first, Some(desk.now));
}
