//! The truth: all SQL, and nothing but SQL.
//!
//! A message, its report, diagnoses, findings, decision and finished reply are committed in one
//! transaction, before the inbox is touched and before anything is sent (`flow.md`, *Order of
//! writes*). SQLite is the default (`sqlite:PATH`), PostgreSQL when several daemons share the work.

/// `[journal]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`; may hold a password, never shown.
    pub url: secrecy::SecretString,
    /// How long personal data is kept.
    pub retain: jiff::SignedDuration,
}
