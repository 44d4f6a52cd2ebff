//! What a person sees of the journal. It reads the journal; nothing reads it.

mod list;
mod show;
mod table;

pub use list::list;
pub use show::show;
pub use table::{Table, printable};
