//! The whole program against real servers: Dovecot, Postfix and, for what must fail, scripted ones.
//!
//! `harness` starts them on loopback addresses of their own; each other module is one group of stories.

mod cli;
mod corpus;
mod fake_imap;
mod harness;
mod imap;
mod imap_quirks;
mod oauth;
mod peer;
mod sent;
mod servers;
mod smtp;
