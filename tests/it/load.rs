//! Much at once, and much for long: bounded memory, flat descriptors, nothing lost, nobody flooded.
//!
//! Small in CI; `tests/soak` and `tests/storm` set the sizes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::harness::{Bounce, Daemon, Desk, Letter, PATIENCE, servers_here, wait};

/// What a running daemon may hold at most, in MiB (unoptimised build).
const MEMORY: u64 = 200;
/// Descriptors it may hold with one mailbox: journal, sockets, the runtime's own.
const DESCRIPTORS: usize = 64;
/// Bounces a second of the soak.
const RATE: u64 = 20;
/// The people who are written to.
const PEOPLE: u64 = 20;

fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

fn say(report: &str) {
    // Past libtest's capturing, which only takes what the print macros write.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{report}\n").as_bytes());
}

fn letter(number: u64) -> Letter {
    Letter::new(&format!("person{}", number % PEOPLE), "nobody@example.net", &format!("load-{number}"))
}

/// A bounce of mail that a spammer wrote in a member's name.
fn forged(number: u64) -> String {
    let mut letter = letter(number);
    letter.message_id = format!("<{number}.spam@spam.example>");
    let mut bounce = Bounce::of(&letter);
    "mx.example.org".clone_into(&mut bounce.reporting_mta);
    bounce.text().replace("mail.corp.example.cn", "bot.example.org")
}

#[test]
fn a_storm_of_forged_and_real_bounces_floods_nobody() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let bounces = number_of("WHYBOUNCED_STORM", 400);
    let mut desk = Desk::open();
    // The limits are the defaults: 10 a person a day, 200 an hour, everything held beyond 50 in ten minutes.
    desk.config.set("policy.gather", "1s").set("language", "en").set("alerts.to", "it@admin.example");
    let inbox = desk.inbox();
    // One of four is real.
    for number in 0..bounces {
        let real = number % 4 == 3;
        let text = if real { Bounce::of(&letter(number / 4)).text() } else { forged(number) };
        inbox.deliver(text.as_bytes());
    }
    let start = Instant::now();
    let daemon = Daemon::start(&desk.config);
    let patience = PATIENCE + Duration::from_millis(100 * bounces);
    let mut descriptors = 0;
    let all = usize::try_from(bounces).expect("a count");
    wait(patience, "all to be on record", || {
        descriptors = descriptors.max(daemon.descriptors());
        (inbox.counts() == (all, all)).then_some(())
    });
    let took = start.elapsed();
    // Notices take turns: the breaker must stay until the administrator has been told of it.
    wait(PATIENCE, "the breaker's alert", || {
        desk.out.of_accepted(|mails| mails.iter().any(|it| it.to[0] == "it@admin.example")).then_some(())
    });
    let released = desk.config.run(&["journal", "retry", "--held"]);
    assert_eq!(released.status, 0, "{}", released.stderr);
    let people: BTreeSet<String> =
        (0..PEOPLE.min(bounces / 4)).map(|it| format!("person{it}@corp.example.cn")).collect();
    let got = || {
        desk.out.of_accepted(|mails| {
            let mut got: BTreeMap<String, usize> = BTreeMap::new();
            for mail in mails {
                *got.entry(mail.to[0].clone()).or_default() += 1;
            }
            got
        })
    };
    wait(PATIENCE + Duration::from_mins(2), "a mail to each person", || {
        let got = got();
        people.iter().all(|it| got.contains_key(it)).then_some(())
    });
    let got = got();
    let most = got.iter().filter(|(to, _)| people.contains(*to)).map(|(_, count)| *count).max().unwrap_or(0);
    let forged = desk.out.of_accepted(|mails| {
        mails.iter().filter(|it| it.text.contains("spam.example") || it.header("In-Reply-To").contains("spam")).count()
    });
    say(&format!(
        "storm: {bounces} bounces ({} real) on record in {took:?}, {:.0} a second; peak {} MiB, {descriptors} descriptors; \
         {} people got at most {most} mails each, {forged} forged answered, {} alerts",
        bounces / 4,
        f64::from(u32::try_from(bounces).unwrap_or(u32::MAX)) / took.as_secs_f64(),
        daemon.peak_memory(),
        people.len(),
        got.get("it@admin.example").copied().unwrap_or(0),
    ));
    assert_eq!(forged, 0);
    assert!(most <= 11, "the limit and one digest: {got:?}");
    assert!(got.keys().all(|to| people.contains(to) || to == "it@admin.example"), "{got:?}");
    assert!(got.get("it@admin.example").is_some_and(|alerts| *alerts <= 24), "{got:?}");
    assert!(daemon.peak_memory() < MEMORY, "{} MiB", daemon.peak_memory());
    assert!(descriptors < DESCRIPTORS, "{descriptors}");
}

#[test]
fn soaked_at_twenty_bounces_a_second_it_stays_as_it_was_and_loses_none() {
    if !servers_here(&["dovecot"]) {
        return;
    }
    let seconds = number_of("WHYBOUNCED_SOAK", 5);
    let desk = Desk::open().without_limits();
    let (inbox, total) = (desk.inbox(), seconds * RATE);
    let daemon = Daemon::start(&desk.config);
    // Resident KiB and descriptors, twenty samples.
    let mut samples: Vec<(u64, usize)> = Vec::new();
    let (pace, paced) = mpsc::channel::<()>();
    let start = Instant::now();
    for number in 0..total {
        inbox.deliver(Bounce::of(&letter(number)).text().as_bytes());
        if number % (total / 20).max(1) == 0 {
            samples.push((daemon.resident(), daemon.descriptors()));
        }
        let next = Duration::from_millis(1000 * (number + 1) / RATE);
        let _ = paced.recv_timeout(next.saturating_sub(start.elapsed()));
    }
    drop(pace);
    let all = usize::try_from(total).expect("a count");
    wait(PATIENCE + Duration::from_secs(seconds), "all explanations", || {
        desk.out.of_accepted(|mails| mails.len() >= all).then_some(())
    });
    samples.push((daemon.resident(), daemon.descriptors()));
    let (letters, ids) = desk.out.of_accepted(|mails| {
        let letters: BTreeSet<String> = mails.iter().map(|it| it.header("In-Reply-To")).collect();
        let ids: BTreeSet<String> = mails.iter().map(|it| it.header("Message-ID")).collect();
        (letters.len(), ids.len())
    });
    let explained = desk.out.of_accepted(<[_]>::len);
    let shown: Vec<String> = samples.iter().map(|(kib, open)| format!("{}/{open}", kib / 1024)).collect();
    say(&format!(
        "soak: {total} bounces in {:?}, {explained} explanations of {letters} letters under {ids} Message-IDs, \
         lost {}; MiB/descriptors: {}",
        start.elapsed(),
        all.saturating_sub(letters),
        shown.join(" ")
    ));
    assert_eq!((letters, ids, explained), (all, all, all));
    assert!(samples.iter().all(|(_, open)| *open < DESCRIPTORS), "{samples:?}");
    if seconds < 60 {
        return;
    }
    // The second half holds no more than the first did, but for what allocators keep.
    let middle = samples.len() / 2;
    let (first, second) = samples.split_at(middle);
    let most = |half: &[(u64, usize)]| half.iter().map(|it| it.0).max().unwrap_or(0);
    assert!(most(second) <= most(first) + 12 * 1024, "{samples:?}");
}
