-- The words of each message, made by `journal/words.rs`; `rowid` is named as on SQLite.
CREATE TABLE message_text (
    rowid BIGINT PRIMARY KEY,
    words TSVECTOR NOT NULL
);
CREATE INDEX message_text_words ON message_text USING GIN (words);
