//! Links between documents, and to pictures.

use regex::Regex;

use crate::{documents, root};

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let link = Regex::new(r#"(?:\]\(|<img src=")([^)#"\s]+)"#).expect("a pattern");
    let mut broken = Vec::new();
    for (path, text) in documents() {
        let folder = root().join(&path);
        let folder = folder.parent().expect("a file lies in a folder");
        for found in link.captures_iter(&text) {
            let target = &found[1];
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !folder.join(target).exists() {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n  {}", broken.join("\n  "));
}
