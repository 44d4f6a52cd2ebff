//! What a person sees of the journal. It reads the journal; nothing reads it.

mod event;
mod list;
mod show;
mod stats;
mod table;
pub mod web;
mod wrap;

pub use event::event;
pub use list::list;
pub use show::{name, observation_words, show};
pub use stats::stats;
pub use table::{Table, cut, printable};
pub use wrap::wrapped;
