//! One rule: what it asks for, what it says, and how specific it is.

use std::{borrow::Cow, ops::Range};

use super::{
    Acts, Confidence,
    code::EnhancedPattern,
    form::Shape,
    phrase::Phrase,
    text::Text,
    together::{self, Group, Sentences},
};
use crate::{
    literals::Hits,
    mail::{EnhancedStatusCode, ReplyCode},
};

/// How specific a rule is, whatever its words: the higher wins (`design.md` §1).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Level {
    /// What the text looks like, or nothing at all.
    Shape,
    /// A reply code alone.
    ReplyCode,
    /// Words that tell only at which command the refusal came.
    Stage,
    /// A registry code that says no more than its subject (5.7.1).
    VagueCode,
    /// Words that name no reason ("mailbox unavailable").
    VaguePhrase,
    /// A registry code.
    RegistryCode,
    /// A code of a system that uses it in its own way.
    SystemCode,
    /// Words of one sentence that together tell the reason.
    Together,
    /// Words that name no reason, with a code that does.
    VaguePhraseWithCode,
    /// A phrase that any server may say.
    Phrase,
    /// A phrase of this system, or of the administrator's own rules.
    SystemPhrase,
}

/// A rule of the catalogue or of the administrator.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) id: String,
    /// Index into the catalogue's causes.
    pub(super) cause: usize,
    pub(super) any: Vec<Phrase>,
    pub(super) all: Vec<Phrase>,
    pub(super) together: Vec<Group>,
    pub(super) none: Vec<Phrase>,
    pub(super) enhanced: Vec<EnhancedPattern>,
    pub(super) reply: Vec<u16>,
    /// Indices into the catalogue's systems.
    pub(super) systems: Vec<usize>,
    pub(super) level: Level,
    pub(super) overlay: bool,
    pub(super) abroad: bool,
    /// Not of a recipient in the reporting server's own domain.
    pub(super) foreign: bool,
    pub(super) vague: bool,
    pub(super) stage: bool,
    pub(super) rival: bool,
    pub(super) shape: Option<Shape>,
    pub(super) acts: Option<Acts>,
    pub(super) confidence: Option<Confidence>,
    pub(super) permanent: Option<bool>,
    pub(super) source: Cow<'static, str>,
    pub(super) samples: Vec<Cow<'static, str>>,
    pub(super) file: String,
}

/// What a rule may be held against.
pub(super) struct Words<'a> {
    pub(super) text: Text<'a>,
    pub(super) hits: Hits,
    pub(super) sentences: Sentences,
    /// Codes in the text first, then the report's Status.
    pub(super) enhanced: Vec<(EnhancedStatusCode, Option<usize>)>,
    pub(super) reply: Option<ReplyCode>,
    pub(super) systems: Vec<usize>,
    pub(super) abroad: bool,
    /// The reporting server and the recipient's domain.
    pub(super) domains: Option<(&'a str, &'a str)>,
}

impl Words<'_> {
    /// Whether the recipient is in the reporting server's own organisation, as the public suffix list tells it:
    /// `mx.example.cn` and `mail.example.cn`.
    fn is_own_domain(&self) -> bool {
        let organisation = |name: &str| psl::domain_str(&name.to_ascii_lowercase()).map(str::to_owned);
        let Some((server, recipient)) = self.domains else { return false };
        server.eq_ignore_ascii_case(recipient)
            || organisation(server).is_some_and(|it| Some(it) == organisation(recipient))
    }
}

/// A rule that applies: how much of it, and to which words.
pub(super) struct Match {
    pub(super) weight: usize,
    pub(super) place: Option<Range<usize>>,
}

impl Rule {
    /// `cause/name`, unique.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it decides on, phrases as written.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        let together = self.together.iter().flat_map(|it| &it.phrases);
        self.any.iter().chain(&self.all).chain(together).map(Phrase::words)
    }

    /// Replies that it decides; at least one.
    pub fn samples(&self) -> &[Cow<'static, str>] {
        &self.samples
    }

    /// Where the fact is known from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The file it stands in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How specific it is.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether it is only listed beside the rule that wins.
    pub fn never_wins(&self) -> bool {
        self.rival
    }

    /// The level that follows from what the rule asks for.
    pub(super) fn standing(&self) -> Level {
        let codes = !self.enhanced.is_empty() || !self.reply.is_empty();
        let phrases = !self.any.is_empty() || !self.all.is_empty() || !self.together.is_empty();
        if self.shape.is_some() {
            return Level::Phrase; // the filler suffices by itself (`design.md` §4)
        }
        if self.rival {
            return Level::Shape;
        }
        if self.stage {
            return Level::Stage;
        }
        if !self.together.is_empty() && !self.overlay {
            return Level::Together;
        }
        match (phrases, self.vague, codes) {
            (true, true, true) => Level::VaguePhraseWithCode,
            (true, true, false) => Level::VaguePhrase,
            (true, false, _) if self.overlay || !self.systems.is_empty() => Level::SystemPhrase,
            (true, false, _) => Level::Phrase,
            (false, _, false) => Level::Shape,
            (false, ..) if self.enhanced.is_empty() => Level::ReplyCode,
            (false, ..) if self.overlay || !self.systems.is_empty() => Level::SystemCode,
            (false, true, _) => Level::VagueCode,
            (false, false, _) => Level::RegistryCode,
        }
    }

    /// Literals of which one must be found before the rule need be looked at.
    pub(super) fn keys(&self) -> Vec<u32> {
        let mut keys: Vec<u32> = if self.any.is_empty() && self.all.is_empty() {
            let telling = self.together.iter().max_by_key(|it| it.shortest());
            telling.into_iter().flat_map(Group::keys).collect()
        } else if self.any.is_empty() {
            self.all.iter().max_by_key(|it| it.weight()).into_iter().map(Phrase::key).collect()
        } else {
            self.any.iter().map(Phrase::key).collect()
        };
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether it applies to these words.
    pub(super) fn apply(&self, words: &Words<'_>) -> Option<Match> {
        let speaks = self.systems.is_empty() || self.systems.iter().any(|it| words.systems.contains(it));
        if !speaks || self.abroad && !words.abroad || self.foreign && words.is_own_domain() {
            return None;
        }
        if self.stage && words.reply.is_some_and(|it| it.get() < 500) {
            return None; // that it was put off, whatever the command, is no refusal
        }
        let mut weight = 10 * usize::from(self.abroad) + usize::from(self.vague && !self.systems.is_empty()) * 100;
        let mut place = None;
        if !self.reply.is_empty() {
            words.reply.filter(|it| self.reply.contains(&it.get()))?;
            weight += 8;
        }
        if !self.enhanced.is_empty() {
            let (code_weight, at) = self.code(words)?;
            weight += code_weight;
            place = at;
        }
        if let Some(shape) = self.shape {
            place = Some(shape.fits(&words.text)?);
        }
        if !self.any.is_empty() {
            let found = self.any.iter().filter_map(|it| Some((it.weight(), it.find(&words.text, &words.hits)?)));
            let (best, at) = found.max_by_key(|(weight, at)| (*weight, usize::MAX - at.start))?;
            weight += best;
            place = Some(at);
        }
        for phrase in &self.all {
            let at = phrase.find(&words.text, &words.hits)?;
            weight += phrase.weight();
            place = Some(
                place
                    .filter(|_| !self.any.is_empty())
                    .map_or(at.clone(), |known| known.start.min(at.start)..known.end.max(at.end)),
            );
        }
        if !self.together.is_empty() {
            let found = together::find(&self.together, words)?;
            weight += found.weight;
            place = place.or(found.place);
        }
        if self.none.iter().any(|it| it.find(&words.text, &words.hits).is_some()) {
            return None;
        }
        Some(Match { weight, place })
    }

    /// The weight of the best code that fits, and where in the text it stands.
    fn code(&self, words: &Words<'_>) -> Option<(usize, Option<Range<usize>>)> {
        words.enhanced.iter().find_map(|(code, at)| {
            let pattern = self.enhanced.iter().find(|it| it.covers(*code))?;
            let place = at.map(|at| at..at + code.to_string().len());
            Some((10 + pattern.weight() + 2 * usize::from(at.is_some()), place))
        })
    }
}

impl Shape {
    /// Where in the text the shape is seen.
    fn fits(self, text: &Text<'_>) -> Option<Range<usize>> {
        match self {
            Self::Filler => {
                let squeezed = text.squeezed();
                let start = squeezed.iter().position(|b| !b.is_ascii_digit())?;
                let letters = squeezed.get(start..)?;
                let run = letters.iter().take_while(|b| matches!(b, b'a' | b'z')).count();
                let filler = letters.get(..run)?;
                let turns = filler.windows(2).filter(|it| it.first() != it.last()).count();
                let repeated = filler.windows(3).any(|it| it.iter().all(|b| Some(b) == it.first()));
                (run >= 10 && turns >= 1 && repeated).then(|| text.range(start..start + run))
            }
        }
    }
}
