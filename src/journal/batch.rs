//! Statements that go to SQLite together.
//!
//! sqlx keeps a thread for each connection to SQLite, and the way to that thread and back costs more
//! than most of our statements do. One text may hold several: those whose result nobody waits for
//! go with the next one.

use super::database::Value;

/// More are not kept waiting: a report may name any number of recipients.
const MOST: usize = 16;

/// Statements in their order, and what is bound to them.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
    statements: usize,
}

impl Batch {
    /// Adds a statement; its `$1` is the first value after those that came before.
    pub(super) fn push(&mut self, sql: &str, values: Vec<Value>) {
        let mut parts = sql.split('$');
        self.sql.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, rest) = part.split_at(digits);
            let number = number.parse::<usize>().unwrap_or_default() + self.values.len();
            self.sql.push('$');
            self.sql.push_str(&number.to_string());
            self.sql.push_str(rest);
        }
        self.sql.push(';');
        self.values.extend(values);
        self.statements += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.statements >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::database::values;

    #[test]
    fn values_are_counted_on() {
        let mut batch = Batch::default();
        batch.push("SAVEPOINT member", values![]);
        batch.push("UPDATE t SET a = $2, b = $2 WHERE id = $1", values![1_i64, 2_i64]);
        batch.push("INSERT INTO t VALUES ($1)", values![3_i64]);
        let sql = "SAVEPOINT member;UPDATE t SET a = $2, b = $2 WHERE id = $1;INSERT INTO t VALUES ($3);";
        assert_eq!((batch.sql.as_str(), batch.values.len()), (sql, 3));
    }
}
