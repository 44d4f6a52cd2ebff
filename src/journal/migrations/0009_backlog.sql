-- How others fared lately is asked for each bounce: in an outage of one domain, thousands of times a day.
CREATE INDEX finding_pair ON finding (domain, cause, message) WHERE action = 'failed';
CREATE INDEX finding_failed ON finding (cause, message, domain) WHERE action = 'failed';
CREATE INDEX finding_taken ON finding (domain, message) WHERE action IN ('delivered', 'relayed', 'expanded');

-- What is due next, however much is: the partial index was passed over for the one by state and id,
-- and every due row was sorted for each one sent.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (state, next_attempt, id);
