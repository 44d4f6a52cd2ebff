//! The knowledge that is compiled in: every file of `catalogue/`, by its path.
//!
//! Pure. Each stage parses its own part: `bounce` the formats, `diagnosis` causes and codes,
//! `reply` the languages.

use serde::Deserialize;

/// `(path below catalogue/, text)`, sorted by path; made by `build.rs`. A TOML file's text is JSON here.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The text of one file, by its path below `catalogue/`.
#[must_use]
pub fn file(path: &str) -> Option<&'static str> {
    FILES.binary_search_by_key(&path, |(name, _)| name).ok().map(|index| FILES[index].1)
}

/// The entries of a list, by its path below `catalogue/`: a line each, without notes and blanks around them.
pub(crate) fn list(path: &str) -> impl Iterator<Item = &'static str> + use<> {
    let lines = file(path).unwrap_or_default().lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether anybody can have a mailbox there; a domain in lower case, as A-labels.
pub(crate) fn is_public_domain(domain: &str) -> bool {
    list("public-domains.txt").any(|it| it == domain)
}

/// Whether a name is of a pattern: `*` at either end of that stands for anything.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (Some(within), Some(_)) => name.contains(within.strip_suffix('*').unwrap_or_default()),
        (None, None) => name == pattern,
    }
}

/// What one TOML file says, by its path below `catalogue/`; a test reads it as it is written (`written`).
pub(crate) fn table<T: Deserialize<'static>>(path: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(file(path).unwrap_or_default())
}

/// The files below one folder, by path.
pub fn folder(prefix: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied().filter(move |(name, _)| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')))
}

/// A TOML file as people write it. Panics with the place of a mistake.
#[cfg(test)]
pub(crate) fn written<T: serde::de::DeserializeOwned>(path: &str) -> T {
    toml::from_str(&source(path)).unwrap_or_else(|wrong| panic!("catalogue/{path}: {wrong}"))
}

/// A file as it lies in the source tree.
#[cfg(test)]
pub(crate) fn source(path: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue").join(path);
    std::fs::read_to_string(file).expect("what was embedded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_open_at_its_stars() {
        for (pattern, fitting, other) in
            [("a", "a", "ab"), ("a*", "ab", "ba"), ("*a", "ba", "ab"), ("*a*", "bab", "bb")]
        {
            assert!(fits(pattern, fitting) && !fits(pattern, other), "{pattern}");
        }
    }

    #[test]
    fn what_is_embedded_says_what_is_written() {
        for (path, text) in
            FILES.iter().filter(|(path, _)| std::path::Path::new(path).extension().is_some_and(|it| it == "toml"))
        {
            let embedded: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(embedded, serde_json::to_value(written::<toml::Table>(path)).unwrap(), "{path}");
        }
    }
}
