//! The whole program against real servers: Dovecot, Postfix and, for what must fail, scripted ones.
//!
//! `harness` starts them on loopback addresses of their own; each other module is one group of stories.

mod alerts;
mod cli;
mod corpus;
mod dns;
mod dns_check;
mod dns_explained;
mod dns_limits;
mod dns_typing;
mod durable;
mod explained;
mod fake_imap;
mod faults;
mod feeding;
mod feeding_asking;
mod feeding_exim;
mod harness;
mod hostile;
mod imap;
mod imap_daemon;
mod imap_lies;
mod imap_quirks;
mod imap_unasked;
mod ingest;
mod init;
mod lifecycle;
mod load;
mod mixed_mailboxes;
mod oauth;
mod operations;
mod outage;
mod peer;
mod review;
mod rules;
mod secured;
mod sent;
mod servers;
mod shared_journal;
mod smtp;
