//! The configurations of `docs/feeding`, word for word, in the real servers.

/// A fenced block of a page, by the name that ends the line of its fence.
pub(crate) fn block(page: &str, name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/feeding").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().skip_while(|it| !(it.starts_with("```") && it.ends_with(&format!(" {name}"))));
    assert!(lines.next().is_some(), "{page} has no block {name}");
    let mut block = lines.take_while(|it| *it != "```").collect::<Vec<_>>().join("\n");
    block.push('\n');
    block
}
