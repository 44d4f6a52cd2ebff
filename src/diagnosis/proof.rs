//! Rules prove themselves (`design.md` §8.8): each wins on its own samples, each of its phrases
//! leads to its own cause, and no two causes tie.
//!
//! A test asserts that the built-in catalogue leaves nothing unproven; an overlay is refused at
//! load. So a new phrase that takes another rule's replies away is seen at once, by name.

use super::{Catalogue, Home, Rule, phrase::Phrase};

/// A reply that a rule claims and does not decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unproven {
    /// The rule that claims it.
    pub rule: String,
    /// The sample as written, or a phrase of the rule with its placeholders filled.
    pub text: String,
    /// The rule that decides it, or that ties with the claimant.
    pub decided_by: String,
}

impl Catalogue {
    /// All claims that do not hold.
    #[must_use]
    pub fn unproven(&self) -> Vec<Unproven> {
        self.rules.iter().flat_map(|rule| self.unproven_of(rule)).collect()
    }

    /// The claims of one rule that do not hold: samples that it does not win, phrases that another
    /// cause wins, ties with another cause.
    pub(super) fn unproven_of(&self, rule: &Rule) -> Vec<Unproven> {
        let claim =
            |text: &str, decided_by: String| Unproven { rule: rule.id.clone(), text: text.to_owned(), decided_by };
        let mut failed = Vec::new();
        if rule.rival {
            return failed; // it applies, and never wins
        }
        for sample in &rule.samples {
            let (winner, tied) = self.trial(rule, sample);
            if winner.as_deref() != Some(rule.id.as_str()) {
                failed.push(claim(sample, winner.unwrap_or_default()));
            } else if let Some(tied) = tied {
                failed.push(claim(sample, format!("{tied} (a tie)")));
            }
        }
        for phrase in &rule.any {
            let text = reply_with(rule, phrase);
            let (winner, tied) = self.trial(rule, &text);
            let cause = winner.as_deref().and_then(|id| self.rules.iter().find(|it| it.id == id)).map(|it| it.cause);
            if cause != Some(rule.cause) {
                failed.push(claim(&text, winner.unwrap_or_default()));
            } else if let Some(tied) = tied {
                failed.push(claim(&text, format!("{tied} (a tie)")));
            }
        }
        failed
    }

    /// The rule that wins on a text, spoken by the claimant's system, and one of another cause that
    /// is just as specific.
    fn trial(&self, rule: &Rule, text: &str) -> (Option<String>, Option<String>) {
        let home = if rule.abroad { Home::MainlandChina } else { Home::Elsewhere };
        let system = rule.systems.first().and_then(|it| self.systems.name(*it));
        let mut candidates = self.rank_text(text, system, home);
        candidates.retain(|(it, _)| !it.rival);
        let Some((best, rank)) = candidates.first() else { return (None, None) };
        let tied = candidates.iter().skip(1).find(|(it, other)| other == rank && it.cause != best.cause);
        (Some(best.id.clone()), tied.map(|(it, _)| it.id.clone()))
    }
}

/// The shortest reply that holds one phrase of a rule and whatever else the rule asks for.
fn reply_with(rule: &Rule, phrase: &Phrase) -> String {
    let reply = rule.reply.first().map(|it| format!("{it} ")).unwrap_or_default();
    let enhanced = rule.enhanced.first().map(|it| format!("{} ", it.example())).unwrap_or_default();
    let all: String = rule.all.iter().map(|it| format!("{}; ", filled(it.words()))).collect();
    let host = if rule.abroad { "; mx.example.org[192.0.2.1]" } else { "" };
    format!("{reply}{enhanced}{all}{}{host}", filled(phrase.words()))
}

fn filled(words: &str) -> String {
    words
        .replace("{address}", "li@example.org")
        .replace("{host}", "mx.example.org")
        .replace("{ip}", "192.0.2.1")
        .replace("{number}", "7")
        .replace("{recipient}", "user")
        .replace("{sender}", "sender")
        .replace("{client}", "your ip")
        .replace("{domain}", "domain")
        .replace("{message}", "message")
        .replace("{*}", " ")
        .replace("{~}", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_leaves_nothing_unproven() {
        let unproven = Catalogue::embedded().unwrap().unproven();
        let told: Vec<String> =
            unproven.iter().map(|it| format!("{}: `{}` is decided by {}", it.rule, it.text, it.decided_by)).collect();
        assert_eq!(told, [""; 0]);
    }
}
