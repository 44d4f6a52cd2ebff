//! A journal of a million bounces, and how long its lists and figures take.
//!
//! ```text
//! cargo bench --bench journal -- fill /dev/shm/journal.db 1000000
//! cargo bench --bench journal -- ask /dev/shm/journal.db
//! ```
//!
//! The first twenty thousand are recorded as the daemon does it; the rest are copies of them, set
//! back in time, with recipients of their own. `ask` prints the median and the 99th percentile of
//! each question in milliseconds, and what must stay below 100.

use std::{error::Error, io::Write as _, time::Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use whybounced::{
    bounce::{Action, Bounce, Envelope, Original, Provenance, RecipientReport, Recognition},
    diagnosis::{Acts, CauseId, Confidence, Diagnosis, Facts, Family},
    evidence::{self, Finding},
    journal::{self, Access, Filter, Journal, JournalEntry, Sort, search_words},
    mail::{Language, Mailbox, MessageId, MessageRef, ReversePath, Role},
    outbox::State,
    policy::{self, Decision, History, Incoming, LanguageChoice, Limit, Mode, Proof},
    reply::Reply,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Recorded one by one; then copied.
const BASE: i64 = 20_000;
/// Hours that they are spread over; each copy lies as much further back.
const HOURS: i64 = 86;
/// How often each question is asked.
const TIMES: usize = 200;
/// 2026-09-21.
const NOW: i64 = 1_790_000_000;

const CAUSES: [(&str, u64); 9] = [
    ("user_unknown", 40),
    ("mailbox_full", 20),
    ("blocklisted", 12),
    ("content_rejected", 10),
    ("undetermined", 6),
    ("auth_failure", 5),
    ("rate_limited", 4),
    ("mail_loop", 2),
    ("null_mx", 1),
];
const SUBJECTS: [&str; 6] = [
    "关于十一月订单的报价单",
    "发票与对账单请查收",
    "Shipping documents for order",
    "会议纪要",
    "Re: Fwd: price list",
    "付款通知",
];

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", path, number] => fill(path, number.parse()?).await,
        ["ask", path] => ask(path).await,
        // `cargo test --benches` gives nothing.
        _ => Ok(()),
    }
}

/// The same numbers in every run (PCG's multiplier).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn cause(&mut self) -> &'static str {
        let mut left = self.below(100);
        for (cause, weight) in CAUSES {
            if left < weight {
                return cause;
            }
            left -= weight;
        }
        "undetermined"
    }
}

fn settings(path: &str) -> journal::Settings {
    journal::Settings { url: format!("sqlite:{path}").into(), retain: SignedDuration::from_hours(24 * 3650) }
}

fn policy() -> policy::Settings {
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
        limit_person: Limit::Off,
        limit_total: Limit::Off,
        breaker: Limit::Off,
        language: LanguageChoice::Auto(Language::zh_cn()),
        languages: Vec::new(),
    }
}

struct Sample {
    recognition: Recognition,
    findings: Vec<Finding>,
    words: String,
}

/// A bounce as it comes.
fn sample(n: i64, dice: &mut Dice) -> Result<Sample> {
    let mailbox = |text: &str| Mailbox::parse(text).ok_or("an address");
    let author = mailbox(&format!("staff{}@corp.example.cn", dice.below(2000)))?;
    // A few domains get much, most get little.
    let domain = dice.below(60).pow(2) / 12 + dice.below(3);
    let to = format!("person{}@customer{domain}.example", dice.below(100_000));
    let subject = format!("{} {n}", SUBJECTS[usize::try_from(dice.below(6))?]);
    let cause = dice.cause();
    let said = format!("550 5.1.1 <{to}>: Recipient address rejected: {cause} in virtual mailbox table {n}");
    let words = search_words(&format!("{subject} \n {author} \n {to} \n {said}")).join(" ");
    let report = RecipientReport {
        final_recipient: mailbox(&to)?,
        original_recipient: None,
        action: Action::Failed,
        status: "5.1.1".parse().ok(),
        reply_code: None,
        diagnostic: Some(said),
        remote_mta: Some(format!("mx.customer{domain}.example")),
        last_attempt_date: None,
        will_retry_until: None,
        expired: false,
        provenance: Provenance::ReportField,
    };
    let diagnosis = Diagnosis {
        cause: CauseId::new(cause),
        family: Family::Address,
        permanent: Some(true),
        expired: false,
        acts: if matches!(cause, "blocklisted" | "auth_failure") { Acts::OwnAdmin } else { Acts::Sender },
        confidence: Confidence::Certain,
        rule: format!("{cause}/sample"),
        matched: "Recipient address rejected".to_owned(),
        facts: Facts::default(),
        rivals: Vec::new(),
        system: Some("postfix".to_owned()),
    };
    let robot = dice.below(10) == 0;
    let original = Original {
        from: Some(author.clone()),
        return_path: Some(ReversePath::Mailbox(author)),
        message_id: MessageId::parse(&format!("<m{n}@corp.example.cn>")),
        subject: Some(subject),
        automatic: if robot { vec!["Auto-Submitted: auto-generated".to_owned()] } else { Vec::new() },
        header_text: "Received: from pc (pc.corp.example.cn [192.0.2.7])\r\n".repeat(8),
        ..Original::default()
    };
    let bounce = Bounce {
        format: "rfc3464".to_owned(),
        reporting_mta: Some("mx.corp.example.cn".to_owned()),
        arrival_date: None,
        original_envelope_id: None,
        recipients: vec![report.clone()],
        original: Some(original),
        forwarded_by: None,
        envelope: Envelope {
            from: Some(mailbox("MAILER-DAEMON@mx.corp.example.cn")?),
            return_path: Some(ReversePath::Null),
            message_id: MessageId::parse(&format!("<bounce{n}@mx.corp.example.cn>")),
            ..Envelope::default()
        },
        filler_seen: false,
        human_text: "This is the mail system at host mx.corp.example.cn.\n".repeat(4),
        defects: Vec::new(),
    };
    let finding = evidence::weigh(report, diagnosis, Vec::new(), false);
    Ok(Sample { recognition: Recognition::Bounce(bounce), findings: vec![finding], words })
}

async fn fill(path: &str, number: i64) -> Result<()> {
    let start = Instant::now();
    let journal = Journal::open(&settings(path), Access::Daemon).await?;
    let mut dice = Dice(42);
    let mut words = Vec::new();
    for n in 1..=BASE {
        let sample = sample(n, &mut dice)?;
        let at = Timestamp::from_second(NOW - HOURS * 3600 + n * HOURS * 3600 / BASE)?;
        record(&journal, n, &sample, at).await?;
        words.push(sample.words);
    }
    journal.close().await;
    say(&format!("{BASE} recorded one by one in {:.1} s", start.elapsed().as_secs_f64()))?;
    let options =
        SqliteConnectOptions::new().filename(path).pragma("synchronous", "OFF").pragma("cache_size", "-400000");
    let mut copier = SqliteConnection::connect_with(&options).await?;
    sqlx::query("CREATE TEMP TABLE said (id INTEGER PRIMARY KEY, words TEXT)").execute(&mut copier).await?;
    for (id, words) in (1_i64..).zip(&words) {
        sqlx::query("INSERT INTO temp.said VALUES ($1, $2)").bind(id).bind(words).execute(&mut copier).await?;
    }
    // All but one in a hundred were sent.
    let sent = "UPDATE outbox SET state = 'sent', finished = created + 4000, attempts = 1, next_attempt = NULL, \
                answer = 'final dot: 250 2.0.0 Ok: queued' WHERE id % 100 > 0";
    sqlx::query(sent).execute(&mut copier).await?;
    sqlx::query("UPDATE outbox SET state = 'failed', next_attempt = NULL WHERE state = 'due'")
        .execute(&mut copier)
        .await?;
    for copy in 1..number / BASE {
        copy_all(&mut copier, copy).await?;
    }
    copier.close().await?;
    say(&format!("{number} in {:.0} s", start.elapsed().as_secs_f64()))
}

async fn record(journal: &Journal, n: i64, sample: &Sample, at: Timestamp) -> Result<()> {
    let (policy, role) = (policy(), Role::Central);
    let reference = MessageRef { account: "central".into(), folder: "INBOX".into(), key: format!("1:{n}") };
    let candidate = policy::candidate(&policy, &role, &sample.recognition).ok();
    let incoming = Incoming { role: &role, received: at, recognition: &sample.recognition, findings: &sample.findings };
    let decision = policy::decide(&policy, &incoming, &History::default(), at);
    let reply = match &decision {
        Decision::Reply(plan) | Decision::Hold(_, plan) => Some(Reply {
            message_id: MessageId::parse(&format!("<wb.{n}@corp.example.cn>")).ok_or("an id")?,
            to: plan.addressee.clone(),
            bytes: vec![b'x'; 1000],
        }),
        Decision::Suppress(_) => None,
    };
    let content = journal::content_hash(&n.to_be_bytes());
    let entry = JournalEntry {
        reference: &reference,
        role: &role,
        received: at,
        size: 4000,
        content: &content,
        recognition: &sample.recognition,
        findings: &sample.findings,
        candidate: candidate.as_ref(),
        decision: &decision,
        reply: reply.as_ref(),
        catalogue_version: "bench",
        at,
    };
    journal.record(&entry, &policy).await?;
    Ok(())
}

/// The base once more, `copy` spans of time earlier; nothing that must be unique is repeated.
async fn copy_all(copier: &mut SqliteConnection, copy: i64) -> Result<()> {
    let back = copy * HOURS * 3_600_000;
    // Ids go up with time, as if they had been recorded in this order.
    let shift = -copy * BASE;
    let statements = [
        format!(
            "INSERT INTO message SELECT id + {shift}, account, folder, key || ':{copy}', role, received - {back}, \
             recorded - {back}, size, kind, because, bounce_message_id || '.{copy}', content_hash || '{copy}', \
             original_message_id || '.{copy}', author, subject, REPLACE(recipient, '@', '.{copy}@'), recipients, \
             cause, identity || '{copy}', reference_id, decision, reasons, proven, outbox + {shift}, pruned \
             FROM message WHERE id > 0"
        ),
        format!("INSERT INTO report SELECT message + {shift}, recognition, decision FROM report WHERE message > 0"),
        format!(
            "INSERT INTO finding SELECT message + {shift}, position, REPLACE(recipient, '@', '.{copy}@'), domain, \
             action, cause, acts, rule, finding FROM finding WHERE message > 0"
        ),
        format!(
            "INSERT INTO outbox SELECT id + {shift}, kind, identity || '{copy}', sequence, reference_id, message_id, \
             person, mail_to, reply, asked, state, version, attempts, doubts, created - {back}, next_attempt, lease, \
             finished - {back}, answer FROM outbox WHERE id > 0"
        ),
        format!(
            "INSERT INTO entry (message, outbox, at, step, actor, program, catalogue, detail) SELECT \
             message + {shift}, outbox + {shift}, at - {back}, step, actor, program, catalogue, detail \
             FROM entry WHERE id <= (SELECT MAX(id) FROM entry) AND at > {}",
            (NOW - HOURS * 3600) * 1000
        ),
        format!("INSERT INTO message_text (rowid, words) SELECT id + {shift}, words FROM temp.said"),
        format!(
            "INSERT INTO tally SELECT what, hour - {}, name, n FROM tally WHERE hour > {} AND 1 = 1 \
             ON CONFLICT (what, hour, name) DO UPDATE SET n = tally.n + excluded.n",
            copy * HOURS,
            (NOW - HOURS * 3600) / 3600
        ),
    ];
    let mut tx = copier.begin().await?;
    for sql in statements {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn ask(path: &str) -> Result<()> {
    let journal = Journal::open(&settings(path), Access::Read).await?;
    let day = |days: i64| Timestamp::from_second(NOW - days * 86_400);
    let (all, name) = (Filter::default, |it: &str| Some(it.to_owned()));
    let mut questions: Vec<(&str, Filter)> = vec![
        ("no filter", all()),
        ("page in the middle", Filter { before: Some(-480_000), ..all() }),
        ("since a week", Filter { since: Some(day(7)?), ..all() }),
        ("until half a year ago", Filter { until: Some(day(170)?), ..all() }),
        (
            "one day long ago, 2nd page",
            Filter { since: Some(day(100)?), until: Some(day(99)?), before: Some(-550_000), ..all() },
        ),
        ("person", Filter { person: name("staff77@corp.example.cn"), ..all() }),
        ("recipient", Filter { recipient: name("person1.7@customer1.example"), ..all() }),
        ("domain, busy", Filter { domain: name("customer1.example"), ..all() }),
        ("domain, quiet", Filter { domain: name("customer291.example"), ..all() }),
        ("cause, frequent", Filter { cause: name("user_unknown"), ..all() }),
        ("cause, rare", Filter { cause: name("null_mx"), ..all() }),
        ("cause, absent", Filter { cause: name("virus"), ..all() }),
        ("decision answer", Filter { decision: name("answer"), ..all() }),
        ("decision suppress", Filter { decision: name("suppress"), ..all() }),
        ("state sent", Filter { state: Some(State::Sent), ..all() }),
        ("state failed", Filter { state: Some(State::Failed), ..all() }),
        ("state due (none)", Filter { state: Some(State::Due), ..all() }),
        ("text, frequent word", Filter { text: name("rejected"), ..all() }),
        ("text, rare number", Filter { text: name("12345"), ..all() }),
        ("text, Chinese", Filter { text: name("报价单"), ..all() }),
        ("text, one character", Filter { text: name("单"), ..all() }),
        ("text, beginning of words", Filter { text: name("cust"), ..all() }),
        ("text, address", Filter { text: name("staff77@corp.example.cn"), ..all() }),
        ("text, two words", Filter { text: name("付款 blocklisted"), ..all() }),
        ("text, nowhere", Filter { text: name("zzzzzz"), ..all() }),
        ("all", Filter { all: true, ..all() }),
        ("wrong", Filter { wrong: true, ..all() }),
    ];
    for (name, sort) in [
        ("oldest first", Sort::Oldest),
        ("by person", Sort::Person),
        ("by recipient", Sort::Recipient),
        ("by cause", Sort::Cause),
    ] {
        questions.push((name, Filter { sort, ..all() }));
    }
    for (name, filter) in &questions {
        let mut times = Vec::new();
        let mut rows = 0;
        for _ in 0..TIMES {
            let start = Instant::now();
            rows = journal.list(filter).await?.len();
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
        tell(name, rows, &mut times)?;
    }
    let (mut month, mut story) = (Vec::new(), Vec::new());
    for n in 0..TIMES {
        let start = Instant::now();
        journal.overview(day(30)?, day(0)?, SignedDuration::from_hours(8)).await?;
        month.push(start.elapsed().as_secs_f64() * 1000.0);
        let start = Instant::now();
        journal.show(&(i64::try_from(n)? * 90 + 1).to_string()).await?;
        story.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    tell("overview of a month", 1, &mut month)?;
    tell("show", 1, &mut story)?;
    let start = Instant::now();
    journal.stats(day(30)?, day(0)?, SignedDuration::from_hours(8)).await?;
    say(&format!("stats of a month: {:.0} ms", start.elapsed().as_secs_f64() * 1000.0))?;
    let start = Instant::now();
    let problems = journal.verify().await?;
    say(&format!("verified in {:.0} s: {problems:?}", start.elapsed().as_secs_f64()))?;
    journal.close().await;
    Ok(())
}

fn tell(name: &str, rows: usize, times: &mut [f64]) -> Result<()> {
    times.sort_by(f64::total_cmp);
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let mark = if most < 100.0 { "" } else { "  TOO SLOW" };
    say(&format!("{name:<28} {rows:>3} rows  median {half:>7.2} ms  p99 {most:>7.2} ms{mark}"))
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
