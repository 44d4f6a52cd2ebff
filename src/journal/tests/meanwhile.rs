//! What others do, and what the clock does, between a look and the commit; on either database.

use super::*;

pub(super) async fn the_breaker_stays_while_its_limit_is_exceeded_and_outlives_no_wrong_clock(mut desk: Desk) {
    let released = async |desk: &Desk, minutes| {
        desk.journal.tend(&desk.policy, desk.now + SignedDuration::from_mins(minutes)).await.expect("tend")
    };
    desk.policy.breaker = Limit::PerPeriod { count: 1, period: SignedDuration::from_hours(2) };
    for n in 1..=2 {
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"), "a@x.example")
            .await;
    }
    for minutes in [90, 121, 149] {
        assert!(!released(&desk, minutes).await, "not an hour below the limit after {minutes} minutes");
    }
    assert!(released(&desk, 150).await);
    // It opens five days ahead; then the clock is set right.
    desk.now += SignedDuration::from_hours(5 * 24);
    for n in 3..=4 {
        desk.take(&format!("1:{n}"), &bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example"), "a@x.example")
            .await;
    }
    desk.now -= SignedDuration::from_hours(5 * 24);
    desk.policy.breaker = Limit::Off;
    assert!(!released(&desk, 0).await, "the hour begins now");
    assert!(released(&desk, 60).await);
}

/// What was decided on the same knowledge is asked again under the write lock.
pub(super) async fn of_two_decided_side_by_side_the_second_is_decided_again(mut desk: Desk) {
    let per_hour = |count| Limit::PerPeriod { count, period: SignedDuration::from_hours(1) };
    let by = |n, bounce_id: u32, original: &str, recipient: &str| {
        let mut it = bounce(n, original, recipient);
        if let Recognition::Bounce(bounce) = &mut it {
            bounce.envelope.message_id = MessageId::parse(&format!("<bounce{bounce_id}@mx.corp.example.cn>"));
        }
        it
    };
    // One bounce in two mailboxes, about two originals.
    let [one, two] = [by(1, 1, "<m1@corp.example.cn>", "a@x.example"), by(2, 1, "<m2@corp.example.cn>", "a@x.example")];
    let (first, second) = (desk.decide("1:1", &one).await, desk.decide("1:2", &two).await);
    assert!(matches!(desk.record("1:1", &one, &first).await, Some(Decision::Reply(_))));
    let again = desk.record("1:2", &two, &second).await;
    assert_eq!(again, Some(Decision::Suppress(vec![Suppression::AlreadyExplained])));
    // Two bounces of one original: the second joins the first, or follows it; a third joins with it.
    desk.policy.gather = SignedDuration::from_secs(60);
    let of_one = |n| by(n, n, "<m3@corp.example.cn>", &format!("r{n}@x.example"));
    let (first, second) = (desk.decide("2:3", &of_one(3)).await, desk.decide("2:4", &of_one(4)).await);
    assert!(desk.record("2:3", &of_one(3), &first).await.is_some());
    assert_eq!(desk.record("2:4", &of_one(4), &second).await, None, "one explanation of one original");
    let (first, second) = (desk.decide("2:4", &of_one(4)).await, desk.decide("2:5", &of_one(5)).await);
    assert!(desk.record("2:4", &of_one(4), &first).await.is_some());
    assert_eq!(desk.record("2:5", &of_one(5), &second).await, None, "it would have left the other out");
    // The last place that a limit leaves.
    desk.policy.limit_total = per_hour(3);
    let [one, two] = [6, 7].map(|n| by(n, n, &format!("<m{n}@corp.example.cn>"), "a@x.example"));
    let (first, second) = (desk.decide("3:6", &one).await, desk.decide("3:7", &two).await);
    assert!(matches!(desk.record("3:6", &one, &first).await, Some(Decision::Reply(_))));
    let again = desk.record("3:7", &two, &second).await;
    assert_eq!(again, Some(Decision::Suppress(vec![Suppression::RateLimitedTotal])));
    desk.policy.limit_total = Limit::Off;
    desk.policy.limit_person = per_hour(4);
    let [one, two] = [8, 9].map(|n| by(n, n, &format!("<m{n}@corp.example.cn>"), "a@x.example"));
    let (first, second) = (desk.decide("4:8", &one).await, desk.decide("4:9", &two).await);
    assert!(matches!(desk.record("4:8", &one, &first).await, Some(Decision::Reply(_))));
    let again = desk.record("4:9", &two, &second).await;
    assert_eq!(again, Some(Decision::Suppress(vec![Suppression::RateLimitedPerson])));
    // The breaker opens with the first.
    desk.policy.limit_person = Limit::Off;
    desk.policy.breaker = per_hour(4);
    let [one, two] = [10, 11].map(|n| by(n, n, &format!("<m{n}@corp.example.cn>"), "a@x.example"));
    let (first, second) = (desk.decide("5:10", &one).await, desk.decide("5:11", &two).await);
    assert!(matches!(desk.record("5:10", &one, &first).await, Some(Decision::Reply(_))));
    let again = desk.record("5:11", &two, &second).await;
    assert!(matches!(again, Some(Decision::Hold(policy::HoldReason::Breaker, _))), "{again:?}");
}

pub(super) async fn of_many_senders_one_probes_a_paused_channel(desk: Desk) {
    for (n, author) in (1..).zip(["chen", "li", "wu", "zhao"]) {
        let mut it = bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example");
        if let Recognition::Bounce(Bounce { original: Some(original), .. }) = &mut it {
            (original.from, original.return_path) = (Some(mailbox(&format!("{author}@corp.example.cn"))), None);
        }
        desk.take(&format!("1:{n}"), &it, "a@x.example").await;
    }
    let due = desk.journal.claim_due(desk.now).await.expect("claim").expect("due");
    let refused = Delivery::ChannelRefused(Stage::Connect, "connection refused".to_owned());
    desk.journal.finish(due.id, &refused, desk.now).await.expect("written");
    let then = desk.now + SignedDuration::from_mins(1);
    let claimed = futures_util::future::join_all((0..4).map(|_| desk.journal.claim_due(then))).await;
    let probes = claimed.into_iter().filter(|it| it.as_ref().expect("claim").is_some()).count();
    assert_eq!(probes, 1);
}
