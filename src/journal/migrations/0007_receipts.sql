-- What was delivered is looked for by itself, and is little beside what failed.
CREATE INDEX finding_delivered ON finding (domain, message) WHERE action = 'delivered';
