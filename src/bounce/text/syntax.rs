//! A pattern's text as a tree: what of regular expressions the descriptors need, and no more.
//!
//! Groups (plain and named), alternatives, classes of ASCII and `\x…` octets, `\d \w \s \D \W \S`,
//! `. ^ $ \b`, and `? * + {m,n}`, each lazy with `?` behind it. All mean what they mean to the
//! crate `regex` without Unicode and without regard to case, to which a test compares them.

/// A set of octets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Set([u64; 4]);

/// Deeper groups are refused.
const DEPTH: usize = 20;

impl Set {
    #[inline]
    pub(super) fn has(&self, octet: u8) -> bool {
        self.0[usize::from(octet >> 6)] >> (octet & 63) & 1 == 1
    }

    #[inline]
    pub(super) fn add(&mut self, octet: u8) {
        self.0[usize::from(octet >> 6)] |= 1 << (octet & 63);
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own |= other);
    }

    /// The octets of a text, in lower case.
    pub(super) fn of_text(text: &str) -> Self {
        let mut set = Self::default();
        text.bytes().for_each(|it| set.add(it));
        // `A` to `Z` stand 32 bits before `a` to `z`.
        set.0[1] |= (set.0[1] & 0x07ff_fffe) << 32;
        set
    }

    /// What both hold.
    fn shared(self, other: Self) -> Self {
        Self(std::array::from_fn(|it| self.0[it] & other.0[it]))
    }

    #[inline]
    pub(super) fn holds(&self, all: &Self) -> bool {
        all.0.iter().zip(self.0).all(|(wanted, own)| wanted & !own == 0)
    }

    fn inverted(self) -> Self {
        Self(self.0.map(|it| !it))
    }

    fn of(ranges: &[(u8, u8)]) -> Self {
        let mut set = Self::default();
        for (first, last) in ranges {
            (*first..=*last).for_each(|it| set.add(it));
        }
        set
    }

    /// With each letter its other case.
    fn in_any_case(mut self) -> Self {
        for letter in b'a'..=b'z' {
            if self.has(letter) || self.has(letter.to_ascii_uppercase()) {
                self.add(letter);
                self.add(letter.to_ascii_uppercase());
            }
        }
        self
    }
}

/// A pattern or a part of one.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// An octet, letters in lower case.
    Octet(u8),
    Set(Set),
    /// `^`: where the text begins.
    Start,
    /// `$`: where it ends.
    End,
    /// `\b`
    WordEdge,
    Named(String, Box<Node>),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeated {
        what: Box<Node>,
        least: u32,
        most: Option<u32>,
        greedy: bool,
    },
}

impl Node {
    /// The octets without which nothing matches, in lower case.
    pub(super) fn needs(&self) -> Set {
        match self {
            Self::Octet(it) => Set::of(&[(*it, *it)]),
            Self::Named(_, inside) => inside.needs(),
            Self::Sequence(all) => all.iter().fold(Set::default(), |mut set, it| {
                set.join(&it.needs());
                set
            }),
            Self::Alternatives(all) => all.iter().map(Self::needs).reduce(Set::shared).unwrap_or_default(),
            Self::Repeated { what, least, .. } if *least > 0 => what.needs(),
            Self::Repeated { .. } | Self::Set(_) | Self::Start | Self::End | Self::WordEdge => Set::default(),
        }
    }
}

/// Reads a pattern; the error says what of it is wrong or not known here.
pub(super) fn parse(pattern: &str) -> Result<Node, String> {
    let mut parser = Parser { rest: pattern.as_bytes(), depth: 0 };
    let node = parser.alternatives()?;
    if parser.rest.is_empty() { Ok(node) } else { Err(format!("`{pattern}`: a `)` too many")) }
}

struct Parser<'p> {
    rest: &'p [u8],
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest.strip_prefix(wanted.as_bytes());
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    /// What stands before `end`, which is passed over.
    fn up_to(&mut self, end: u8) -> Result<String, String> {
        let at = self.rest.iter().position(|it| *it == end).ok_or("something is not closed")?;
        let (found, rest) = self.rest.split_at(at);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(String::from_utf8_lossy(found).into_owned())
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        let mut all = vec![self.sequence()?];
        while self.take("|") {
            all.push(self.sequence()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Node::Alternatives(all) })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut all = Vec::new();
        while self.rest.first().is_some_and(|it| !matches!(it, b'|' | b')')) {
            let what = self.one()?;
            all.push(self.repeated(what)?);
        }
        Ok(Node::Sequence(all))
    }

    fn repeated(&mut self, what: Node) -> Result<Node, String> {
        let (least, most) = match self.rest.first() {
            Some(b'?') => (0, Some(1)),
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'{') => (0, Some(0)),
            _ => return Ok(what),
        };
        let braces = self.next() == Some(b'{');
        let (least, most) = if braces { bounds(&self.up_to(b'}')?)? } else { (least, most) };
        let greedy = !self.take("?");
        Ok(Node::Repeated { what: Box::new(what), least, most, greedy })
    }

    fn one(&mut self) -> Result<Node, String> {
        let first = self.next().ok_or("the pattern ends too early")?;
        Ok(match first {
            b'(' => self.group()?,
            b'[' => Node::Set(self.class()?),
            b'.' => Node::Set(Set::of(&[(b'\n', b'\n')]).inverted()),
            b'^' => Node::Start,
            b'$' => Node::End,
            b'\\' if self.take("b") => Node::WordEdge,
            b'\\' => match self.escaped()? {
                Escaped::Octet(it) => Node::Octet(it.to_ascii_lowercase()),
                Escaped::Set(it) => Node::Set(it),
            },
            b'?' | b'*' | b'+' | b'{' => return Err("nothing stands before what repeats".to_owned()),
            ascii if ascii.is_ascii() => Node::Octet(ascii.to_ascii_lowercase()),
            lead => {
                // A character beyond ASCII is one thing, which may be repeated.
                let more = self.rest.iter().take_while(|it| **it & 0xc0 == 0x80).count();
                let (more, rest) = self.rest.split_at(more);
                self.rest = rest;
                Node::Sequence([&[lead], more].concat().into_iter().map(Node::Octet).collect())
            }
        })
    }

    fn group(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("groups are nested too deeply".to_owned());
        }
        let name = if self.take("?P<") {
            Some(self.up_to(b'>')?)
        } else if self.take("?:") {
            None
        } else {
            return Err("a group is written `(?:…)` or `(?P<name>…)`".to_owned());
        };
        let inside = self.alternatives()?;
        self.depth -= 1;
        if !self.take(")") {
            return Err("a group is not closed".to_owned());
        }
        Ok(match name {
            Some(name) => Node::Named(name, Box::new(inside)),
            None => inside,
        })
    }

    fn class(&mut self) -> Result<Set, String> {
        let inverted = self.take("^");
        let mut set = Set::default();
        loop {
            let first = match self.next().ok_or("a class is not closed")? {
                b']' => break,
                b'\\' => match self.escaped()? {
                    Escaped::Octet(it) => it,
                    Escaped::Set(it) => {
                        set.join(&it);
                        continue;
                    }
                },
                b'[' => return Err("write `\\[` in a class".to_owned()),
                other if other.is_ascii() => other,
                _ => return Err("a class holds ASCII and `\\x…` only".to_owned()),
            };
            let range = self.rest.first() == Some(&b'-') && self.rest.get(1).is_some_and(|it| *it != b']');
            let mut last = first;
            if range {
                self.next();
                last = match self.next() {
                    Some(b'\\') => match self.escaped()? {
                        Escaped::Octet(it) => it,
                        Escaped::Set(_) => return Err("a range ends with a character".to_owned()),
                    },
                    other => other.ok_or("a class is not closed")?,
                };
            }
            set.join(&Set::of(&[(first, last)]));
        }
        let set = set.in_any_case();
        Ok(if inverted { set.inverted() } else { set })
    }

    fn escaped(&mut self) -> Result<Escaped, String> {
        let word = Set::of(&[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z'), (b'_', b'_')]);
        let blank = Set::of(&[(b'\t', b'\r'), (b' ', b' ')]);
        let digit = Set::of(&[(b'0', b'9')]);
        Ok(match self.next().ok_or("the pattern ends with a `\\`")? {
            b'd' => Escaped::Set(digit),
            b'w' => Escaped::Set(word),
            b's' => Escaped::Set(blank),
            b'D' => Escaped::Set(digit.inverted()),
            b'W' => Escaped::Set(word.inverted()),
            b'S' => Escaped::Set(blank.inverted()),
            b'n' => Escaped::Octet(b'\n'),
            b't' => Escaped::Octet(b'\t'),
            b'x' => {
                let digits = self.rest.get(..2).and_then(|it| std::str::from_utf8(it).ok());
                let octet = digits.and_then(|it| u8::from_str_radix(it, 16).ok()).ok_or("`\\x` wants two digits")?;
                self.rest = self.rest.get(2..).unwrap_or_default();
                Escaped::Octet(octet)
            }
            mark if mark.is_ascii_punctuation() => Escaped::Octet(mark),
            other => return Err(format!("`\\{}` is not known", char::from(other))),
        })
    }
}

enum Escaped {
    Octet(u8),
    Set(Set),
}

/// `{3}`, `{3,}`, `{3,7}`
fn bounds(text: &str) -> Result<(u32, Option<u32>), String> {
    let number = |it: &str| it.parse::<u32>().ok().filter(|it| *it <= 100).ok_or("`{m,n}` wants numbers up to 100");
    match text.split_once(',') {
        None => Ok((number(text)?, Some(number(text)?))),
        Some((least, "")) => Ok((number(least)?, None)),
        Some((least, most)) => Ok((number(least)?, Some(number(most)?))),
    }
}
