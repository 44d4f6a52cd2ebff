//! What goes out besides explanations, on either database.

use super::*;
use crate::{bounce::Action, outbox::Closed, policy::alert::Condition};

pub(super) async fn one_explanation_that_was_held_goes_out_as_it_is(mut desk: Desk) {
    desk.policy.breaker = Limit::PerPeriod { count: 0, period: SignedDuration::from_mins(10) };
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none());
    assert!(desk.journal.digests_due(&desk.policy, desk.now).await.expect("read").is_empty(), "not while it is open");
    assert!(desk.journal.release_breaker().await.expect("written"));
    let due = desk.journal.digests_due(&desk.policy, desk.now).await.expect("read");
    let mail = desk.notice("unused", &due[0].person);
    assert!(desk.journal.post_digest(&due[0], &mail, &desk.policy, desk.now).await.expect("written"));
    let sent = desk.journal.claim_due(desk.now).await.expect("claim").expect("the explanation");
    assert_eq!(sent.kind, Kind::Explanation);
}

pub(super) async fn a_person_gets_one_digest_in_the_limits_period(mut desk: Desk) {
    desk.policy.limit_person = Limit::PerPeriod { count: 1, period: SignedDuration::from_hours(24) };
    let take = |n| (format!("1:{n}"), bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"));
    for n in 1..=3 {
        let (key, it) = take(n);
        desk.take(&key, &it, "a@x.example").await;
    }
    desk.policy.gather = SignedDuration::from_secs(60);
    assert!(desk.journal.digests_due(&desk.policy, desk.now).await.expect("read").is_empty(), "more may come");
    let quiet = desk.now + SignedDuration::from_mins(15);
    let due = desk.journal.digests_due(&desk.policy, quiet).await.expect("read");
    assert_eq!(due.iter().map(|it| it.held.len()).collect::<Vec<_>>(), [2]);
    let mail = desk.notice(&due[0].identity, &due[0].person);
    assert!(desk.journal.post_digest(&due[0], &mail, &desk.policy, quiet).await.expect("written"));
    let (key, it) = take(4);
    desk.take(&key, &it, "a@x.example").await;
    let hours = |n| quiet + SignedDuration::from_hours(n);
    assert!(desk.journal.digests_due(&desk.policy, hours(23)).await.expect("read").is_empty(), "one a day");
    let due = desk.journal.digests_due(&desk.policy, hours(24)).await.expect("read");
    let mail = desk.notice(&due[0].identity, &due[0].person);
    // Another daemon, whose clock is ahead, or who had it in hand before: asked again at the commit.
    assert!(!desk.journal.post_digest(&due[0], &mail, &desk.policy, hours(23)).await.expect("read"), "one a day");
    assert!(desk.journal.post_digest(&due[0], &mail, &desk.policy, hours(24)).await.expect("written"));
}

pub(super) async fn a_digest_tells_only_what_is_still_held_when_it_is_committed(mut desk: Desk) {
    desk.policy.breaker = Limit::PerPeriod { count: 0, period: SignedDuration::from_mins(10) };
    for n in 1..=2 {
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"), "a@x.example")
            .await;
    }
    desk.journal.release_breaker().await.expect("written");
    let due = desk.journal.digests_due(&desk.policy, desk.now).await.expect("read");
    let mail = desk.notice(&due[0].identity, &due[0].person);
    // The breaker opens again meanwhile: everything is held.
    desk.take("1:3", &bounce(3, "<m3@corp.example.cn>", "a@x.example"), "a@x.example").await;
    assert!(!desk.journal.post_digest(&due[0], &mail, &desk.policy, desk.now).await.expect("read"));
    desk.journal.release_breaker().await.expect("written");
    // The administrator sends one of them by itself.
    desk.journal.retry(1, desk.now).await.expect("by hand");
    assert!(!desk.journal.post_digest(&due[0], &mail, &desk.policy, desk.now).await.expect("read"));
    let sent = desk.journal.claim_due(desk.now).await.expect("claim").expect("the one sent by hand");
    assert_eq!(sent.kind, Kind::Explanation);
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none(), "told once");
}

pub(super) async fn whoever_asks_too_often_is_owed_no_digest(mut desk: Desk) {
    let forward = |n| {
        let mut it = bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example");
        if let Recognition::Bounce(bounce) = &mut it {
            bounce.forwarded_by = Some(mailbox("li@corp.example.cn"));
            bounce.envelope.from = Some(mailbox("li@corp.example.cn"));
            bounce.envelope.return_path = None;
            bounce.envelope.authentication_results =
                vec!["corp.example.cn; dkim=pass header.d=corp.example.cn".to_owned()];
        }
        it
    };
    for n in 1..=6 {
        let decision = desk.take(&format!("1:{n}"), &forward(n), "a@x.example").await;
        assert_eq!(matches!(decision, Decision::Reply(_)), n <= 5, "{decision:?}");
    }
    desk.now += SignedDuration::from_hours(1);
    assert!(desk.journal.digests_due(&desk.policy, desk.now).await.expect("read").is_empty());
}

pub(super) async fn a_delay_is_not_told_once_the_mail_has_arrived(mut desk: Desk) {
    desk.policy.delays = true;
    desk.policy.gather = SignedDuration::from_secs(60);
    let with = |n, action| {
        let mut it = bounce(n, "<m1@corp.example.cn>", "a@x.example");
        if let Recognition::Bounce(bounce) = &mut it {
            bounce.recipients[0].action = action;
        }
        it
    };
    let later = desk.now + SignedDuration::from_mins(2);
    assert!(matches!(desk.take("1:1", &with(1, Action::Delayed), "a@x.example").await, Decision::Reply(_)));
    desk.take("1:2", &with(2, Action::Delivered), "a@x.example").await;
    assert!(desk.journal.claim_due(later).await.expect("claim").is_none(), "delivered after all");
    // A failure that comes after all is explained, as the first explanation.
    assert!(matches!(desk.take("1:3", &with(3, Action::Failed), "a@x.example").await, Decision::Reply(_)));
    assert!(desk.journal.claim_due(later).await.expect("claim").is_some());
}

pub(super) async fn the_gate_ends_a_row_or_keeps_it(desk: Desk) {
    for n in 1..=2 {
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"), "a@x.example")
            .await;
    }
    for (closed, state) in [(Closed::Never("no"), State::Failed), (Closed::Kept("not now"), State::DryRun)] {
        let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
        desk.journal.turn_back(due.id, closed, desk.now).await.expect("written");
        let story = desk.journal.show(&due.id.to_string()).await.expect("read");
        assert_eq!(story.reply.map(|it| it.state), Some(state));
    }
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_none());
    desk.journal.retry(2, desk.now).await.expect("by hand");
    assert!(desk.journal.claim_due(desk.now).await.expect("claim").is_some_and(|it| it.by_hand));
}

pub(super) async fn people_are_named_to_the_administrator_only_if_that_is_wanted(desk: Desk) {
    let mut watch = desk.journal.watch("here").await.expect("read");
    desk.take("1:1", &bounce(1, "<m1@corp.example.cn>", "a@x.example"), "a@x.example").await;
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
    let gone = SmtpReply { code: 550, text: "5.1.1 no such user".to_owned() };
    desk.journal.finish(due.id, &Delivery::Rejected(Stage::Rcpt, gone), desk.now).await.expect("written");
    for (by_person, watch) in [(true, &mut watch.clone()), (false, &mut watch)] {
        let news = desk.journal.news(watch, by_person).await.expect("read");
        let refused = news.iter().find(|it| it.condition == Condition::Refused).expect("told");
        assert_eq!(refused.detail.contains("chen@"), by_person, "{refused:?}");
    }
}

pub(super) async fn alerts_are_kept_with_what_they_tell_and_told_once(desk: Desk) {
    let mut watch = desk.journal.watch("here").await.expect("read");
    let to = Mailbox::parse("it@corp.example.cn").expect("sound");
    let mail = desk.notice("alert|1", &to);
    let reference = MessageRef { account: "central".into(), folder: "INBOX".into(), key: "7:43".into() };
    desk.journal.set_aside(&reference, desk.now, 1, desk.now).await.expect("written");
    let news = desk.journal.news(&mut watch, false).await.expect("read");
    assert_eq!(news.iter().map(|it| (&it.condition, it.count)).collect::<Vec<_>>(), [(&Condition::SetAside, 1)]);
    assert!(desk.journal.news(&mut watch, false).await.expect("read").is_empty(), "told once");
    for _ in 0..2 {
        desk.journal.tell("here", &watch, &[("alert|1".to_owned(), mail.clone())], desk.now).await.expect("written");
    }
    assert_eq!(desk.journal.watch("here").await.expect("read"), watch);
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("the alert");
    assert_eq!((due.kind, due.person), (Kind::Alert, None));
    // The channel's trouble is a state, and an alert's own refusal is no news.
    desk.journal
        .finish(due.id, &Delivery::ChannelRefused(Stage::Auth, "535 no".to_owned()), desk.now)
        .await
        .expect("written");
    let states = desk.journal.states(false).await.expect("read");
    assert_eq!(states.iter().map(|it| &it.condition).collect::<Vec<_>>(), [&Condition::ChannelPaused]);
    let soon = desk.now + SignedDuration::from_mins(1);
    let due = desk.journal.claim_due(soon).await.expect("claim").expect("the probe");
    let gone = SmtpReply { code: 550, text: "no such user".to_owned() };
    desk.journal.finish(due.id, &Delivery::Rejected(Stage::Rcpt, gone), soon).await.expect("written");
    assert!(desk.journal.claim_due(soon).await.expect("claim").is_none(), "there was only one");
    assert!(desk.journal.states(false).await.expect("read").is_empty());
    assert!(desk.journal.news(&mut watch, false).await.expect("read").is_empty());
}
