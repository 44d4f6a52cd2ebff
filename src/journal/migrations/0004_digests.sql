-- Bounces that only a limit kept from being explained wait for a digest.
CREATE INDEX message_limited ON message (id) WHERE outbox IS NULL AND decision = 'suppress' AND reasons IN
    ('rate_limited_person', 'rate_limited_total', 'rate_limited_person,rate_limited_total');
CREATE INDEX outbox_digest ON outbox (person, created) WHERE kind = 'digest';
