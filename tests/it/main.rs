//! The whole program against real servers: Dovecot, Postfix and, for what must fail, scripted ones.
//!
//! `harness` starts them on loopback addresses of their own; each other module is one group of stories.

mod fake_imap;
mod harness;
mod imap;
mod imap_quirks;
mod oauth;
mod peer;
mod sent;
mod servers;
mod smtp;
// As soon as `whybounced run` is there: explained, hostile, lifecycle, outage, secured.
