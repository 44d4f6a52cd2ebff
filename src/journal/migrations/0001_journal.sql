-- One text for both databases: `ID_COLUMN` and `BYTES` are replaced by each one's own words
-- (open.rs). Times are milliseconds since 1970. Migrations are added, never edited.

-- Every message that was looked at, and what was decided. Lean: what is large lies in `report`.
CREATE TABLE message (
    id ID_COLUMN,
    account TEXT NOT NULL,
    folder TEXT NOT NULL,
    key TEXT NOT NULL,
    role TEXT NOT NULL,
    received BIGINT NOT NULL,
    recorded BIGINT NOT NULL,
    size BIGINT NOT NULL,
    kind TEXT NOT NULL,
    because TEXT,
    bounce_message_id TEXT,
    content_hash TEXT NOT NULL,
    original_message_id TEXT,
    author TEXT,
    subject TEXT,
    recipient TEXT,
    recipients BIGINT NOT NULL,
    cause TEXT,
    identity TEXT,
    reference_id TEXT,
    decision TEXT NOT NULL,
    reasons TEXT NOT NULL,
    proven BIGINT NOT NULL,
    outbox BIGINT,
    pruned BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX message_reference ON message (account, folder, key);
CREATE INDEX message_content ON message (content_hash);
CREATE INDEX message_bounce ON message (bounce_message_id) WHERE bounce_message_id IS NOT NULL;
CREATE INDEX message_recorded ON message (recorded);
CREATE INDEX message_author ON message (author, id);
CREATE INDEX message_cause ON message (cause, id);
CREATE INDEX message_decision ON message (decision, id);
CREATE INDEX message_original ON message (original_message_id) WHERE original_message_id IS NOT NULL;
CREATE INDEX message_identity ON message (identity) WHERE identity IS NOT NULL;
CREATE INDEX message_reference_id ON message (reference_id) WHERE reference_id IS NOT NULL;
CREATE INDEX message_outbox ON message (outbox) WHERE outbox IS NOT NULL;
CREATE INDEX message_unpruned ON message (recorded) WHERE pruned = 0;

-- The recognition and the decision, whole, as JSON of the border types.
CREATE TABLE report (
    message BIGINT PRIMARY KEY REFERENCES message (id),
    recognition TEXT NOT NULL,
    decision TEXT NOT NULL
);

-- One row a recipient that the report names.
CREATE TABLE finding (
    message BIGINT NOT NULL REFERENCES message (id),
    position BIGINT NOT NULL,
    recipient TEXT NOT NULL,
    domain TEXT NOT NULL,
    action TEXT NOT NULL,
    cause TEXT NOT NULL,
    acts TEXT NOT NULL,
    rule TEXT NOT NULL,
    finding TEXT NOT NULL,
    PRIMARY KEY (message, position)
);
CREATE INDEX finding_cause ON finding (cause, message);
CREATE INDEX finding_domain ON finding (domain, message);
CREATE INDEX finding_recipient ON finding (recipient, message);

-- Every mail that goes out; `state` as in `outbox::State`. `identity` is a digest.
CREATE TABLE outbox (
    id ID_COLUMN,
    kind TEXT NOT NULL,
    identity TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    reference_id TEXT,
    message_id TEXT NOT NULL,
    person TEXT,
    mail_to TEXT,
    reply BYTES,
    asked BIGINT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    doubts BIGINT NOT NULL DEFAULT 0,
    created BIGINT NOT NULL,
    next_attempt BIGINT,
    lease BIGINT,
    finished BIGINT,
    answer TEXT
);
CREATE UNIQUE INDEX outbox_identity ON outbox (identity, sequence);
CREATE INDEX outbox_due ON outbox (next_attempt, id) WHERE state = 'due';
CREATE INDEX outbox_underway ON outbox (lease) WHERE state IN ('attempting', 'body_started');
CREATE INDEX outbox_open ON outbox (person, id) WHERE state IN ('due', 'attempting', 'body_started');
CREATE INDEX outbox_person ON outbox (person, created);
CREATE INDEX outbox_created ON outbox (created);
CREATE INDEX outbox_held ON outbox (person, id) WHERE state = 'held';
CREATE INDEX outbox_reference_id ON outbox (reference_id) WHERE reference_id IS NOT NULL;

-- What happened, appended only.
CREATE TABLE entry (
    id ID_COLUMN,
    message BIGINT,
    outbox BIGINT,
    at BIGINT NOT NULL,
    step TEXT NOT NULL,
    actor TEXT NOT NULL,
    program TEXT NOT NULL,
    catalogue TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX entry_message ON entry (message, id) WHERE message IS NOT NULL;
CREATE INDEX entry_outbox ON entry (outbox, id) WHERE outbox IS NOT NULL;

-- How far each folder has been read (RFC 9051 §2.3.1.1).
CREATE TABLE cursor (
    account TEXT NOT NULL,
    folder TEXT NOT NULL,
    uid_validity BIGINT NOT NULL,
    last_uid BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (account, folder)
);

-- Messages that broke the pipeline: after three failures they are left alone.
CREATE TABLE poison (
    account TEXT NOT NULL,
    folder TEXT NOT NULL,
    key TEXT NOT NULL,
    failures BIGINT NOT NULL,
    why TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (account, folder, key)
);

-- Small things that outlive the process: the channel's state, the breaker's, the reverse-path chosen.
CREATE TABLE memory (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    at BIGINT NOT NULL
);
