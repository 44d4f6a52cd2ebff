-- The words of each message, made by `journal/words.rs`; an index only, the words are not kept.
CREATE VIRTUAL TABLE message_text USING fts5 (
    words, content = '', contentless_delete = 1, prefix = '2 3', tokenize = "unicode61 remove_diacritics 0"
);
