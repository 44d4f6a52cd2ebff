//! The file format of all texts: sections under `# name` or `# name (condition, condition)`.
//!
//! What stands before the first heading is a note to the editor. Of several sections with one
//! name, the one with the most conditions that all hold is taken; the first of equals.

/// Facts that a section may be written for. A heading that names any other is an error.
pub(super) const CONDITIONS: &[&str] = &[
    // how sure, and whose words (explanations.md, principle 4)
    "certain",
    "likely",
    "guess",
    "looked up",
    // our server tells: what it met at theirs, or (with "own server") what it refused itself
    "our words",
    "own server",
    // the kind of explanation
    "delayed",
    "asking",
    "follow-up",
    "after delay",
    "wrote it",
    "several",
    "some delivered",
    // whose move it is, where that is not the author's
    "their move",
    "own admin",
    "wait",
    // the recipient: a colleague; of a mail service open to all, so without an IT department
    "own side",
    "public",
    "forwarded",
    // what is known of the case
    "expired",
    "limit known",
    "size known",
    "files known",
    "small",
    "suggestion",
    "new address",
    "verified",
    "list known",
    "reachable",
    "unreachable",
    "told",
    "others too",
    "only you",
    // what their words name, by `[marked]` in catalogue/reply.toml
    "spf",
    "dkim",
    "dmarc",
    "sending quota",
    "many recipients",
    "busy mailbox",
    "sender limited",
    "broke off",
    "not encrypted",
    "spoofed",
    "sender mismatch",
    // words to pass on are not in the language of the page
    "other language",
];

/// The conditions that hold for one case.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions(Vec<&'static str>);

impl Conditions {
    /// Adds `name` if `holds`; `name` must be one of [`CONDITIONS`].
    pub(super) fn set(&mut self, name: &'static str, holds: bool) {
        debug_assert!(CONDITIONS.contains(&name), "`{name}` is not a condition");
        if holds && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

/// One section of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section<'t> {
    pub(super) name: &'t str,
    pub(super) conditions: Vec<&'t str>,
    /// A template, trimmed.
    pub(super) body: &'t str,
    /// Line of the heading, from 1.
    pub(super) line: usize,
}

/// All sections of a file, in order.
pub(super) fn parse(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut begin = 0;
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(heading) = line.strip_prefix("# ") {
            if let Some(last) = sections.last_mut() {
                last.body = text[begin..at].trim();
            }
            let heading = heading.trim();
            let (name, conditions) = heading
                .strip_suffix(')')
                .and_then(|rest| rest.split_once(" ("))
                .map_or((heading, Vec::new()), |(name, list)| (name, list.split(',').map(str::trim).collect()));
            sections.push(Section { name, conditions, body: "", line: index + 1 });
            begin = at + line.len();
        }
        at += line.len();
    }
    if let Some(last) = sections.last_mut() {
        last.body = text[begin..].trim();
    }
    sections
}

/// The section of that name which fits best.
pub(super) fn choose<'a, 't>(sections: &'a [Section<'t>], name: &str, holding: &Conditions) -> Option<&'a Section<'t>> {
    let mut best: Option<&Section<'t>> = None;
    for section in sections.iter().filter(|it| it.name == name && it.conditions.iter().all(|c| holding.holds(c))) {
        if best.is_none_or(|it| section.conditions.len() > it.conditions.len()) {
            best = Some(section);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_with_the_most_fulfilled_conditions_wins() {
        let text =
            "A note.\n# steps\nplain\n# steps (limit known)\nlimit\n\n# steps (limit known, size known)\nboth\n# end\n";
        let sections = parse(text);
        assert_eq!(sections.iter().map(|it| it.line).collect::<Vec<_>>(), [2, 4, 7, 9]);
        let mut holding = Conditions::default();
        let body = |holding: &Conditions| choose(&sections, "steps", holding).map(|it| it.body);
        assert_eq!(body(&holding), Some("plain"));
        holding.set("size known", true);
        assert_eq!(body(&holding), Some("plain"));
        holding.set("limit known", true);
        assert_eq!(body(&holding), Some("both"));
        assert_eq!(choose(&sections, "end", &holding).map(|it| it.body), Some(""));
    }
}
