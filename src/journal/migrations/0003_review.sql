-- What administrators said on the review page.

-- A diagnosis that was wrong, with the cause that would be right.
CREATE TABLE mark (
    message BIGINT PRIMARY KEY REFERENCES message (id),
    cause TEXT NOT NULL,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- Domains whose bounces nobody is told of.
CREATE TABLE mute (
    domain TEXT PRIMARY KEY,
    actor TEXT NOT NULL,
    at BIGINT NOT NULL
);
