//! Reply codes (RFC 5321 §4.2) and enhanced status codes (RFC 3463 §2).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// RFC 3463 §2: class "." subject "." detail. `FromStr` is the only way in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnhancedStatusCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatusCode {
    /// 2 (success), 4 (persistent transient failure) or 5 (permanent failure).
    #[must_use]
    pub fn class(self) -> u8 {
        self.class
    }

    /// What the code is about: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    #[must_use]
    pub fn subject(self) -> u16 {
        self.subject
    }

    /// The detail below the subject.
    #[must_use]
    pub fn detail(self) -> u16 {
        self.detail
    }

    /// `x.0.0`: nothing is known but the class (RFC 3463 §3.1).
    #[must_use]
    pub fn says_nothing(self) -> bool {
        self.subject == 0 && self.detail == 0
    }

    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split('.');
        let class = match fields.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let number = |digits: &str| {
            let sound = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
            if sound { digits.parse().ok() } else { None }
        };
        let code = Self { class, subject: number(fields.next()?)?, detail: number(fields.next()?)? };
        fields.next().is_none().then_some(code)
    }
}

impl FromStr for EnhancedStatusCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text.trim()).ok_or_else(|| format!("`{text}` is not an enhanced status code (RFC 3463 §2)"))
    }
}

impl fmt::Display for EnhancedStatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl TryFrom<String> for EnhancedStatusCode {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EnhancedStatusCode> for String {
    fn from(it: EnhancedStatusCode) -> Self {
        it.to_string()
    }
}

/// The three digits that begin a server's reply, 200 to 599 (RFC 5321 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// `None` outside 200 to 599.
    #[must_use]
    pub fn new(code: u16) -> Option<Self> {
        (200..600).contains(&code).then_some(Self(code))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for ReplyCode {
    type Error = String;
    fn try_from(code: u16) -> Result<Self, Self::Error> {
        Self::new(code).ok_or_else(|| format!("{code} is not an SMTP reply code"))
    }
}

impl From<ReplyCode> for u16 {
    fn from(it: ReplyCode) -> Self {
        it.0
    }
}
