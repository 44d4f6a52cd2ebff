//! One pattern, made quick to build and quick to refuse: most lines are no match of most patterns.
//!
//! The tree becomes a list of steps, beside what tells at a glance that a text or a place in it is
//! no match; `search` follows them.

use super::syntax::{Node, Set, parse};

/// Groups of one pattern.
pub(super) const MOST_GROUPS: usize = 4;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Octet(u8),
    Set(Set),
    Start,
    End,
    WordEdge,
    /// A group's begin or end, in this slot.
    Save(usize),
    Go(usize),
    /// The first, and if that leads nowhere the second.
    Either(usize, usize),
    /// Each of these, by turns.
    Any(Box<Branches>),
    Matched,
}

/// Alternatives: which of them can begin with an octet, as bits, and where they are.
#[derive(Clone, Debug)]
pub(super) struct Branches {
    pub(super) by_octet: [u64; 256],
    /// Those that need no octet.
    pub(super) empty: u64,
    pub(super) steps: Vec<usize>,
}

/// A pattern ready for use.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) steps: Vec<Step>,
    pub(super) groups: Vec<String>,
    /// What every match begins with, in lower case; most patterns have something.
    pub(super) prefix: Vec<u8>,
    /// Octets with which a match begins where the text does; `None` if it may be empty.
    pub(super) first: Option<Set>,
    /// The same within the text, where nothing begins with `^`.
    pub(super) first_within: Option<Set>,
    /// It begins where the text does.
    pub(super) anchored: bool,
    /// Octets that every match has.
    needs: Set,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let node = parse(pattern)?;
        let mut this = Self {
            steps: Vec::new(),
            groups: Vec::new(),
            prefix: Vec::new(),
            first: None,
            first_within: None,
            anchored: false,
            needs: node.needs(),
        };
        this.add(&node);
        this.steps.push(Step::Matched);
        if this.groups.len() > MOST_GROUPS {
            return Err(format!("`{pattern}`: more than {MOST_GROUPS} groups"));
        }
        for at in 0..this.steps.len() {
            this.fill_branches(at);
        }
        let first = |(first, may_be_empty): (Set, bool)| (!may_be_empty).then_some(first);
        this.first = first(this.begins(0, true));
        this.first_within = first(this.begins(0, false));
        let octet = |it: &Step| if let Step::Octet(it) = it { Some(*it) } else { None };
        this.prefix = this.steps.iter().map_while(octet).collect();
        this.anchored = matches!(this.steps.first(), Some(Step::Start));
        Ok(this)
    }

    fn add(&mut self, node: &Node) {
        match node {
            Node::Octet(it) => self.steps.push(Step::Octet(*it)),
            Node::Set(it) => self.steps.push(Step::Set(*it)),
            Node::Start => self.steps.push(Step::Start),
            Node::End => self.steps.push(Step::End),
            Node::WordEdge => self.steps.push(Step::WordEdge),
            Node::Named(name, inside) => {
                let known = self.groups.iter().position(|it| it == name);
                let number = known.unwrap_or_else(|| {
                    self.groups.push(name.clone());
                    self.groups.len() - 1
                });
                self.steps.push(Step::Save(2 * number));
                self.add(inside);
                self.steps.push(Step::Save(2 * number + 1));
            }
            Node::Sequence(all) => all.iter().for_each(|it| self.add(it)),
            // Branches are kept as the bits of a number.
            Node::Alternatives(all) if all.len() > 64 => {
                let (some, others) = all.split_at(63);
                let mut all = some.to_vec();
                all.push(Node::Alternatives(others.to_vec()));
                self.add(&Node::Alternatives(all));
            }
            Node::Alternatives(all) => self.alternatives(all),
            Node::Repeated { what, least, most, greedy } => {
                (0..*least).for_each(|_| self.add(what));
                match most {
                    None => {
                        let at = self.optional(what, *greedy);
                        self.steps.push(Step::Go(at));
                        self.lead_past(at, *greedy);
                    }
                    Some(most) => {
                        let optional: Vec<usize> = (*least..*most).map(|_| self.optional(what, *greedy)).collect();
                        for at in optional {
                            self.lead_past(at, *greedy);
                        }
                    }
                }
            }
        }
    }

    fn alternatives(&mut self, all: &[Node]) {
        let at = self.steps.len();
        self.steps.push(Step::Matched);
        let mut ends = Vec::new();
        let mut steps = Vec::new();
        for branch in all {
            steps.push(self.steps.len());
            self.add(branch);
            ends.push(self.steps.len());
            self.steps.push(Step::Matched);
        }
        let out = self.steps.len();
        for end in ends {
            self.steps[end] = Step::Go(out);
        }
        self.steps[at] = Step::Any(Box::new(Branches { by_octet: [0; 256], empty: 0, steps }));
    }

    /// A step that tries `what` or leads past it, once `lead_past` has told where that is.
    fn optional(&mut self, what: &Node, greedy: bool) -> usize {
        let at = self.steps.len();
        self.steps.push(if greedy { Step::Either(at + 1, at) } else { Step::Either(at, at + 1) });
        self.add(what);
        at
    }

    fn lead_past(&mut self, at: usize, greedy: bool) {
        let out = self.steps.len();
        self.steps[at] = if greedy { Step::Either(at + 1, out) } else { Step::Either(out, at + 1) };
    }

    fn fill_branches(&mut self, at: usize) {
        let Some(Step::Any(branches)) = self.steps.get(at) else { return };
        let begins: Vec<(Set, bool)> = branches.steps.iter().map(|it| self.begins(*it, true)).collect();
        let Some(Step::Any(branches)) = self.steps.get_mut(at) else { return };
        for (number, (set, may_be_empty)) in begins.into_iter().enumerate() {
            let bit = 1 << number;
            if may_be_empty {
                branches.empty |= bit;
            }
            let octets = (0..=u8::MAX).zip(&mut branches.by_octet);
            octets.filter(|(octet, _)| may_be_empty || set.has(*octet)).for_each(|(_, bits)| *bits |= bit);
        }
    }

    /// With which octets what is left from a step on can begin, and whether it may be empty, where
    /// the text begins or else within it.
    fn begins(&self, step: usize, at_start: bool) -> (Set, bool) {
        let (mut set, mut may_be_empty) = (Set::default(), false);
        let mut seen = vec![false; self.steps.len()];
        let mut left = vec![step];
        while let Some(at) = left.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match &self.steps[at] {
                Step::Octet(it) => {
                    set.add(*it);
                    set.add(it.to_ascii_uppercase());
                }
                Step::Set(it) => set.join(it),
                Step::Start if !at_start => {}
                Step::Start | Step::End | Step::WordEdge | Step::Save(_) => left.push(at + 1),
                Step::Go(to) => left.push(*to),
                Step::Either(first, second) => left.extend([first, second]),
                Step::Any(branches) => left.extend(&branches.steps),
                Step::Matched => may_be_empty = true,
            }
        }
        (set, may_be_empty)
    }

    /// Whether a text of these octets can match at all.
    pub(super) fn is_possible(&self, octets: &Set) -> bool {
        octets.holds(&self.needs)
    }
}

#[cfg(test)]
mod tests {
    use regex::bytes::RegexBuilder;

    use super::*;

    /// What a pattern finds, and what the crate `regex` does: place and groups of each match.
    fn agrees(pattern: &str, text: &str) -> bool {
        let ours = Pattern::new(pattern).unwrap();
        let regex = RegexBuilder::new(pattern).unicode(false).case_insensitive(true).build().unwrap();
        let names: Vec<&str> = regex.capture_names().flatten().collect();
        let theirs: Vec<_> = regex
            .captures_iter(text.as_bytes())
            .map(|it| {
                let group = |name: &&str| Some(String::from_utf8_lossy(it.name(name)?.as_bytes()).into_owned());
                (it.get(0).unwrap().range(), names.iter().map(group).collect::<Vec<_>>())
            })
            .collect();
        let found: Vec<_> = ours
            .find_all(text)
            .map(|it| {
                let group = |name: &&str| it.group(name).map(std::borrow::Cow::into_owned);
                (it.start..it.end, names.iter().map(group).collect::<Vec<_>>())
            })
            .collect();
        let asked = ours.is_match(text.into()) == regex.is_match(text.as_bytes());
        found == theirs && asked
    }

    #[test]
    fn patterns_mean_what_they_mean_to_the_crate_regex() {
        let patterns = [
            "because:\\s*(?P<reason>.*)$",
            "^(?P<reason>.*(?:host \\S+ ?\\[|said:).*[45]\\d\\d.*)$",
            "(?:收\\s*件\\s*人|to)\\s*:?\\s*<?(?P<a>[^<>@ ]+@[a-z0-9.-]+)",
            "\\b(?:a|ab|abc)(?P<x>c?d{2,3}?)",
            "responded with|^(?P<host>[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?) said",
            "(?P<a>x+?)(?P<b>x*)$",
            "(?:na|nan|anna)+[^a-m\\s]",
            "\\x27(?P<q>[^\\x27]*)\\x27",
            "^-{5,}|\\W{3,7}é?$",
        ];
        let texts = [
            "",
            "Because: no such USER",
            "xbecause:",
            "host mx.example.org [192.0.2.1] said: 550 no",
            "收 件人： <wang@example.org>, to li@example.org",
            "abcdd abcddd abd acddd zab",
            "mx.example.org said responded WITH",
            "xxxx",
            "bananannax nan0",
            "a 'b' ''c'",
            "------ ... é",
        ];
        for pattern in patterns {
            for text in texts {
                assert!(agrees(pattern, text), "`{pattern}` in `{text}`");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for pattern in ["(", "a)", "[a", "(?i)a", "*a", "a{2", "\\p{L}", "[[:alpha:]]", "[é]", "\\"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    /// Where trying everything would take for ever, what failed is remembered.
    #[test]
    fn a_search_is_bounded_by_the_length_of_the_text() {
        let pattern = Pattern::new("(?:a*)*(?:a|aa)+.*a.*b$").unwrap();
        assert!(!pattern.is_match("a".repeat(4096).as_str().into()));
        assert!(pattern.is_match(format!("{}b", "a".repeat(4096)).as_str().into()));
    }
}
