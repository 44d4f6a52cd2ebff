//! The language a person is written to in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A BCP 47 tag of a language that the explanations exist in, such as `zh-CN` or `en`.
///
/// Which tags exist is data (`catalogue/languages/`): a third language needs no change here.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Language(String);

impl Language {
    /// Any tag; whether explanations exist in it is asked of `reply::Texts`.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self(tag.to_owned())
    }

    /// Chinese as written on the mainland.
    #[must_use]
    pub fn zh_cn() -> Self {
        Self::new("zh-CN")
    }

    /// English, which also stands in where a text is missing in another language.
    #[must_use]
    pub fn en() -> Self {
        Self::new("en")
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
