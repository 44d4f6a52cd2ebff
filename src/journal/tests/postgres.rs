//! The same stories on a real PostgreSQL.

use super::*;

#[expect(dead_code, reason = "the whole-program stories use more of it")]
#[path = "../../../tests/it/harness/postgres.rs"]
mod server;

use server::Postgres;

/// A desk on an empty database.
async fn empty(cluster: &Postgres, name: &str) -> Desk {
    cluster.create_database(name);
    Desk::on(&cluster.url(name), None).await
}

macro_rules! all_stories {
    ($cluster:expr; $($story:ident)*) => { $(
        let name = concat!("s", line!(), "_", stringify!($story));
        let desk = empty(&$cluster, &name[..name.len().min(60)]).await;
        stories::$story(desk).await;
    )* };
}

#[tokio::test]
async fn every_story_holds_on_postgresql() {
    let Some(cluster) = Postgres::start(None) else {
        assert!(std::env::var_os("WHYBOUNCED_REQUIRE_SERVERS").is_none(), "PostgreSQL is not installed");
        return;
    };
    with_stories!(all_stories; cluster);
    Box::pin(two_daemons_share_the_work(&cluster)).await;
}

/// Two daemons on one journal: each row is claimed once, each bounce explained once.
async fn two_daemons_share_the_work(cluster: &Postgres) {
    let one = empty(cluster, "shared").await;
    let two = Desk::on(&cluster.url("shared"), None).await;
    for n in 1..=20_u32 {
        let it = bounce(n, &format!("<m{n}@corp.example.cn>"), "a@x.example");
        let (a, b) = (format!("1:{n}"), format!("2:{n}"));
        let mut people = [&one, &two];
        people.rotate_left(usize::from(n % 2 == 0));
        let (x, y) = tokio::join!(people[0].take(&a, &it, "a@x.example"), people[1].take(&b, &it, "a@x.example"));
        let answered = [&x, &y].iter().filter(|it| matches!(it, Decision::Reply(_))).count();
        assert_eq!(answered, usize::from(n <= 10), "{x:?} {y:?}");
    }
    let mut claimed = Vec::new();
    loop {
        let (a, b) = tokio::join!(one.journal.claim_due(one.now), two.journal.claim_due(two.now));
        let both: Vec<_> = [a, b].into_iter().filter_map(|it| it.expect("claim")).collect();
        if both.is_empty() {
            break;
        }
        for due in both {
            one.journal.finish(due.id, &accepted(), one.now).await.expect("written");
            claimed.push(due.id);
        }
    }
    let all = claimed.len();
    claimed.dedup();
    assert_eq!((claimed.len(), all), (10, 10), "each row once, in order");
    // What a daemon died over is taken over by the other when its lease has run out.
    one.journal.release_breaker().await.expect("written");
    two.journal.retry(1, two.now).await.expect("by hand");
    let lost = one.journal.claim_due(one.now).await.expect("claim").expect("due");
    two.journal.tend(&two.policy, two.now).await.expect("tend");
    assert!(two.journal.claim_due(two.now).await.expect("claim").is_none(), "it may be at work");
    let later = two.now + SignedDuration::from_mins(31);
    two.journal.tend(&two.policy, later).await.expect("tend");
    assert_eq!(two.journal.claim_due(later).await.expect("claim").map(|it| it.id), Some(lost.id));
}
