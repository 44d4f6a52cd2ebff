-- Lists by time go on by key within one millisecond; lists by state need not read what was sent.
DROP INDEX message_recorded;
CREATE INDEX message_recorded ON message (recorded, id);
CREATE INDEX outbox_state ON outbox (state) WHERE state <> 'sent';
