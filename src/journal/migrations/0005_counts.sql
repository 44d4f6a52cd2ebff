-- Lists in any order, what people did, and counts, each off an index.

DROP INDEX message_author;
DROP INDEX message_cause;
DROP INDEX outbox_state;
CREATE INDEX message_author ON message (COALESCE(author, ''), id);
CREATE INDEX message_recipient ON message (COALESCE(recipient, ''), id);
CREATE INDEX message_cause ON message (COALESCE(cause, ''), id);
CREATE INDEX outbox_state ON outbox (state, id);
CREATE INDEX entry_person ON entry (id) WHERE actor <> 'whybounced';

-- Counts by hour since 1970: what (`cause`, `domain`, …), which, how often.
CREATE TABLE tally (
    what TEXT NOT NULL,
    hour BIGINT NOT NULL,
    name TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (what, hour, name)
);
INSERT INTO tally (what, hour, name, n)
    SELECT 'message', recorded / 3600000, CASE kind WHEN 'not_a_bounce' THEN 'other' ELSE 'bounce' END, COUNT(*)
    FROM message GROUP BY 2, 3;
INSERT INTO tally (what, hour, name, n)
    SELECT 'decision', recorded / 3600000, decision, COUNT(*) FROM message WHERE kind <> 'not_a_bounce' GROUP BY 2, 3;
INSERT INTO tally (what, hour, name, n)
    SELECT 'cause', recorded / 3600000, cause, COUNT(*) FROM message
    WHERE kind <> 'not_a_bounce' AND cause IS NOT NULL GROUP BY 2, 3;
INSERT INTO tally (what, hour, name, n)
    SELECT 'domain', m.recorded / 3600000, f.domain, COUNT(*) FROM finding f JOIN message m ON m.id = f.message
    WHERE f.action = 'failed' AND m.kind <> 'not_a_bounce' GROUP BY 2, 3;
