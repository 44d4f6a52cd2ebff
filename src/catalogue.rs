//! The knowledge that is compiled in: every file of `catalogue/`, by its path.
//!
//! Pure. Each stage parses its own part: `bounce` the formats, `diagnosis` causes and codes,
//! `reply` the languages.

/// `(path below catalogue/, text)`, sorted by path; made by `build.rs`.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The text of one file, by its path below `catalogue/`.
#[must_use]
pub fn file(path: &str) -> Option<&'static str> {
    FILES.binary_search_by_key(&path, |(name, _)| name).ok().map(|index| FILES[index].1)
}

/// The files below one folder, by path.
pub fn folder(prefix: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied().filter(move |(name, _)| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')))
}
