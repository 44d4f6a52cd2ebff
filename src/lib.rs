//! `whybounced` explains bounces to the people whose mail came back.
//!
//! One bounce flows left to right, and imports point the same way:
//!
//! ```text
//! source → bounce → diagnosis → evidence → policy → reply → journal + outbox → outbound
//! ```
//!
//! `mail`, `bounce`, `diagnosis`, `policy`, `reply` and `outbox` are pure: bytes and facts in,
//! values out, no I/O, clock, randomness or async. `journal` holds all SQL, `source` all IMAP,
//! `outbound` all SMTP, `evidence::dns` all DNS; `app` wires them, `cli` is what a person types.
//! `ARCHITECTURE.md` is the map.

pub mod anonymise;
pub mod app;
pub mod bounce;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod diagnosis;
pub mod evidence;
pub mod init;
pub mod journal;
mod literals;
pub mod mail;
pub mod net;
pub mod outbound;
pub mod outbox;
pub mod policy;
pub mod reply;
pub mod review;
pub mod source;
