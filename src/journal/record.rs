//! The single transaction (`design.md` §1): all of one message, or nothing.
//!
//! Writers come one after the other (`database`), so what is checked here still holds at the
//! commit: that the message is new, that nobody was faster with the same original, and that the
//! limits leave room.

use jiff::Timestamp;

use super::{
    Error, Journal, JournalEntry, Recording, Step,
    columns::Columns,
    database::{Tx, json, values},
    history::standing,
    identity_hash,
    memory::check_breaker,
    notices::withdraw_settled,
};
use crate::{
    bounce::{Envelope, NotABounce, Recognition, WhyNot},
    evidence::Finding,
    mail::{MessageRef, Recorded, Role},
    policy::{self, Decision, HoldReason, ReplyPlan, Suppression},
    reply::Reply,
};

/// Whoever did a step: the daemon itself. `journal retry` names the person's command.
const DAEMON: &str = "whybounced";

impl Journal {
    /// Commits one message with everything about it. Only its return lets the mailbox be touched.
    pub async fn record(&self, it: &JournalEntry<'_>, settings: &policy::Settings) -> Result<Recording, Error> {
        let private = private(it);
        let it = &JournalEntry { recognition: private.as_ref().unwrap_or(it.recognition), ..*it };
        let mut tx = self.database.write().await?;
        let Some(decision) = recheck(&mut tx, it, settings).await? else { return Ok(Recording::Conflict) };
        let outbox = match (&decision, it.reply) {
            (Decision::Reply(plan), Some(reply)) => queue(&mut tx, it, plan, reply, "due").await?,
            (Decision::Hold(HoldReason::Breaker, plan), Some(reply)) => queue(&mut tx, it, plan, reply, "held").await?,
            (Decision::Hold(HoldReason::DryRun, plan), Some(reply)) => {
                queue(&mut tx, it, plan, reply, "dry_run").await?
            }
            (Decision::Suppress(_), _) | (_, None) => Queued::No,
        };
        let row = match outbox {
            Queued::Row(row, step, detail) => Some((row, step, detail)),
            Queued::No => None,
            Queued::Conflict => return Ok(Recording::Conflict),
        };
        let outbox = row.as_ref().map(|it| it.0);
        let Some(id) = insert_message(&mut tx, it, &decision, outbox).await? else {
            // Under this reference already: that stands, and what was written above is undone.
            drop(tx);
            return self.on_record(it.reference).await;
        };
        entry(&mut tx, Some(id), outbox, it.at, Step::Recorded, Some(it.catalogue_version), "").await?;
        withdraw_settled(&mut tx, it).await?;
        if let Some((row, step, detail)) = row {
            entry(&mut tx, None, Some(row), it.at, step, None, detail).await?;
            check_breaker(&mut tx, settings, it.at).await?;
        }
        tx.commit().await?;
        Ok(done(it.reference, id, decision))
    }

    /// What is on disk under this reference; `Conflict` while that is not.
    async fn on_record(&self, reference: &MessageRef) -> Result<Recording, Error> {
        let found = id_of(&mut self.database.read().await?, reference).await?;
        Ok(found.map_or(Recording::Conflict, |(id, decision)| done(reference, id, decision)))
    }

    /// Commits that a message is left alone after three failures, so that the scan goes on.
    pub async fn set_aside(
        &self,
        reference: &MessageRef,
        received: Timestamp,
        size: u64,
        now: Timestamp,
    ) -> Result<Recorded, Error> {
        let nothing =
            NotABounce { because: WhyNot::Unreadable, forwarded_by: None, quoted: None, envelope: Envelope::default() };
        let content = super::content_hash(format!("{reference:?}").as_bytes());
        let it = JournalEntry {
            reference,
            role: &Role::Central,
            received,
            size,
            content: &content,
            recognition: &Recognition::NotABounce(nothing),
            findings: &[],
            candidate: None,
            decision: &Decision::Suppress(vec![Suppression::NotABounce]),
            reply: None,
            catalogue_version: "",
            at: now,
        };
        let mut tx = self.database.write().await?;
        if let Some(id) = insert_message(&mut tx, &it, it.decision, None).await? {
            entry(&mut tx, Some(id), None, now, Step::SetAside, None, "it failed three times").await?;
            tx.commit().await?;
        }
        Ok(Recorded::by_journal(reference.clone()))
    }
}

/// What is no bounce in a member's own mailbox is nobody's business: only that it was seen is kept
/// (`design.md` §3, *Privacy*).
fn private(it: &JournalEntry<'_>) -> Option<Recognition> {
    match (it.role, it.recognition) {
        (Role::Member(_), Recognition::NotABounce(other)) => Some(Recognition::NotABounce(NotABounce {
            because: other.because,
            forwarded_by: None,
            quoted: None,
            envelope: Envelope::default(),
        })),
        (Role::Member(_), Recognition::Bounce(_)) | (Role::Central, _) => None,
    }
}

fn done(reference: &MessageRef, bounce_id: i64, decision: Decision) -> Recording {
    Recording::Done { recorded: Recorded::by_journal(reference.clone()), bounce_id, decision: Box::new(decision) }
}

/// The row of a message that is on record under this reference, and what was decided then.
pub(super) async fn id_of(tx: &mut Tx, reference: &MessageRef) -> Result<Option<(i64, Decision)>, Error> {
    let sql = "SELECT m.id AS id, r.decision AS decision FROM message m LEFT JOIN report r ON r.message = m.id \
               WHERE m.account = $1 AND m.folder = $2 AND m.key = $3";
    let key = values![reference.account.as_str(), reference.folder.as_str(), reference.key.as_str()];
    let Some(row) = tx.row(sql, key).await? else { return Ok(None) };
    let decision = match row.maybe_text("decision")? {
        Some(_) => row.json("decision")?,
        // Pruned: only that it was seen is left.
        None => Decision::Suppress(vec![Suppression::AlreadyExplained]),
    };
    Ok(Some((row.int("id")?, decision)))
}

/// Uniqueness and limits, asked again under the write lock. `None`: decide again.
async fn recheck(tx: &mut Tx, it: &JournalEntry<'_>, settings: &policy::Settings) -> Result<Option<Decision>, Error> {
    let plan = match it.decision {
        Decision::Reply(plan) | Decision::Hold(_, plan) => plan,
        Decision::Suppress(_) => return Ok(Some(it.decision.clone())),
    };
    let standing = standing(tx, it.content, it.candidate, settings, it.at).await?;
    let mut reasons = Vec::new();
    if standing.bounce_seen {
        reasons.push(Suppression::AlreadyExplained);
    }
    if plan.gathers.is_none() && !matches!(it.decision, Decision::Hold(HoldReason::DryRun, _)) {
        if !settings.person_limit(plan.asked).allows(standing.sent_to_person) {
            reasons.push(Suppression::RateLimitedPerson);
        }
        if !settings.limit_total.allows(standing.sent_in_all) {
            reasons.push(Suppression::RateLimitedTotal);
        }
    }
    if !reasons.is_empty() {
        return Ok(Some(Decision::Suppress(reasons)));
    }
    Ok(match it.decision {
        Decision::Reply(plan) if standing.breaker_open && plan.gathers.is_none() => {
            Some(Decision::Hold(HoldReason::Breaker, plan.clone()))
        }
        other => Some(other.clone()),
    })
}

enum Queued {
    /// The row, and what the history says of it, after the message itself was recorded.
    Row(i64, Step, &'static str),
    No,
    Conflict,
}

/// Puts the reply into the outbox, or in the place of the one that waits (`design.md` §8.7).
async fn queue(
    tx: &mut Tx,
    it: &JournalEntry<'_>,
    plan: &ReplyPlan,
    reply: &Reply,
    state: &'static str,
) -> Result<Queued, Error> {
    if let Some(gathering) = plan.gathers {
        let sql = "UPDATE outbox SET reply = $3, mail_to = $4, version = version + 1 \
                   WHERE id = $1 AND version = $2 AND attempts = 0 AND state IN ('due', 'held', 'dry_run', 'withdrawn') \
                   RETURNING id";
        let values = values![gathering.row, gathering.version, reply.bytes.clone(), reply.to.to_string()];
        if tx.touched(sql, values).await? == 0 {
            return Ok(Queued::Conflict);
        }
        if state != "dry_run" {
            // What a dry run left, or what was withdrawn, becomes an explanation with the next bounce.
            let sql = "UPDATE outbox SET state = $2, created = $3, next_attempt = $4 \
                       WHERE id = $1 AND state IN ('dry_run', 'withdrawn')";
            let next = (state == "due").then_some(plan.not_before);
            tx.execute(sql, values![gathering.row, state, it.at, next]).await?;
        }
        return Ok(Queued::Row(gathering.row, Step::Gathered, ""));
    }
    let identity = identity_hash(&plan.identity);
    let sql = "INSERT INTO outbox (kind, identity, sequence, reference_id, message_id, person, mail_to, reply, asked, \
               state, created, next_attempt) VALUES ('explanation', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (identity, sequence) DO NOTHING RETURNING id";
    let next = (state == "due").then_some(plan.not_before);
    let values = values![
        identity,
        plan.sequence,
        plan.reference_id.as_str(),
        reply.message_id.as_str(),
        plan.addressee.to_string().to_lowercase(),
        reply.to.to_string(),
        reply.bytes.clone(),
        plan.asked,
        state,
        it.at,
        next,
    ];
    let Some(row) = tx.row(sql, values).await? else { return Ok(Queued::Conflict) };
    Ok(Queued::Row(row.int("id")?, Step::Queued, state))
}

/// The row's id; `None` if the message is on record already.
async fn insert_message(
    tx: &mut Tx,
    it: &JournalEntry<'_>,
    decision: &Decision,
    outbox: Option<i64>,
) -> Result<Option<i64>, Error> {
    let facts = Columns::of(it, decision);
    let sql = "INSERT INTO message (account, folder, key, role, received, recorded, size, kind, because, \
               bounce_message_id, content_hash, original_message_id, author, subject, recipient, recipients, cause, \
               identity, reference_id, decision, reasons, proven, outbox) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
               $22, $23) ON CONFLICT (account, folder, key) DO NOTHING RETURNING id";
    let values = values![
        it.reference.account.as_str(),
        it.reference.folder.as_str(),
        it.reference.key.as_str(),
        json(it.role)?,
        it.received,
        it.at,
        i64::try_from(it.size).unwrap_or(i64::MAX),
        facts.kind.as_str(),
        facts.because.as_deref(),
        facts.bounce_message_id.as_deref(),
        it.content,
        facts.original_message_id.as_deref(),
        facts.author.as_deref(),
        facts.subject.as_deref(),
        facts.recipient.as_deref(),
        facts.recipients,
        facts.cause.as_deref(),
        it.candidate.map(|it| identity_hash(&it.identity)),
        it.candidate.map(|it| it.reference_id.to_string()),
        facts.decision,
        facts.reasons.as_str(),
        facts.proven,
        outbox,
    ];
    let Some(row) = tx.row(sql, values).await? else { return Ok(None) };
    let id = row.int("id")?;
    let sql = "INSERT INTO report (message, recognition, decision) VALUES ($1, $2, $3)";
    tx.execute(sql, values![id, json(it.recognition)?, json(decision)?]).await?;
    insert_findings(tx, id, it.findings).await?;
    super::columns::tally(tx, it, &facts).await?;
    super::columns::index(tx, id, it, &facts).await?;
    Ok(Some(id))
}

async fn insert_findings(tx: &mut Tx, id: i64, findings: &[Finding]) -> Result<(), Error> {
    for (position, finding) in (0_u32..).zip(findings) {
        let sql = "INSERT INTO finding (message, position, recipient, domain, action, cause, acts, rule, finding) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (report, diagnosis) = (&finding.report, &finding.diagnosis);
        let values = values![
            id,
            position,
            report.final_recipient.to_string(),
            report.final_recipient.domain(),
            name(&report.action)?,
            diagnosis.cause.as_str(),
            name(&diagnosis.acts)?,
            diagnosis.rule.as_str(),
            json(finding)?,
        ];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// An enum's name as serde writes it.
pub(super) fn name<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(Error::Row { what: "a name was expected".to_owned() }),
    }
}

/// One line of the story.
pub(super) struct Entry<'a> {
    pub(super) message: Option<i64>,
    pub(super) outbox: Option<i64>,
    pub(super) at: Timestamp,
    pub(super) step: Step,
    pub(super) actor: &'a str,
    pub(super) catalogue: Option<&'a str>,
    pub(super) detail: &'a str,
}

/// Appends to the story what somebody did.
pub(super) async fn entry_by(tx: &mut Tx, it: &Entry<'_>) -> Result<(), Error> {
    let sql = "INSERT INTO entry (message, outbox, at, step, actor, program, catalogue, detail) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let program = env!("CARGO_PKG_VERSION");
    let values = values![it.message, it.outbox, it.at, name(&it.step)?, it.actor, program, it.catalogue, it.detail];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Appends to the story what the daemon did.
pub(super) async fn entry(
    tx: &mut Tx,
    message: Option<i64>,
    outbox: Option<i64>,
    at: Timestamp,
    step: Step,
    catalogue: Option<&str>,
    detail: &str,
) -> Result<(), Error> {
    entry_by(tx, &Entry { message, outbox, at, step, actor: DAEMON, catalogue, detail }).await
}
