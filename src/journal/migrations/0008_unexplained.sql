-- What no rule explains is looked for by itself; the condition is the one of `Journal::diagnosed`.
CREATE INDEX finding_unexplained ON finding (message) WHERE cause = 'undetermined' OR rule LIKE '%/stage';
