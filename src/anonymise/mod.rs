//! A bounce without personal data that is still diagnosed the same (`anonymise FILE`), so that
//! administrators can give samples.
//!
//! Pure. Addresses, names, hosts, IP addresses, ids and subjects are rewritten, each to the same
//! stand-in wherever it occurs; the body of the returned message is left out. What the diagnosis
//! needs stays: the servers' own words, providers' hosts, offices such as MAILER-DAEMON, charsets,
//! encodings and structure. The result is read again: if it is not recognised and diagnosed as
//! before, or if something personal that we know of is still in it, there is no result.

mod message;
mod names;
mod proof;
mod words;

use names::Names;

use crate::{
    bounce::{self, Recognition},
    diagnosis::Catalogue,
    mail::Mail,
};

/// A rewritten message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Anonymised {
    /// The message, LF lines.
    pub bytes: Vec<u8>,
    /// What it is recognised and diagnosed as, before and after: one line for people.
    pub verdict: String,
    /// Whether it is a bounce: of anything else the words of the body stand as they were.
    pub is_bounce: bool,
}

/// Why there is no result.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Something in the words that had to be rewritten decides.
    #[error("without its names this message would be read differently: {0}")]
    ReadDifferently(String),
    /// In a place that could not be rewritten, such as a picture's name.
    #[error("`{0}` would still stand in it")]
    StillThere(String),
}

/// Rewrites one message. `country` says where our side stands, as for `diagnose`.
pub fn anonymise(bytes: &[u8], catalogue: &Catalogue, country: Option<&str>) -> Result<Anonymised, Refusal> {
    let mail = Mail::parse(bytes);
    let before = bounce::recognise(bytes);
    let mut refusal = None;
    // A person's name may be a word of the reply: what costs the diagnosis its words is left standing
    // in the second try, unless it is an address.
    for bare_names in [true, false] {
        let mut names = Names::of(&mail, &before, catalogue, bare_names);
        let rewritten = message::rewrite(&mail, &mut names, catalogue);
        let after = bounce::recognise(&rewritten);
        let told = proof::same(catalogue, country, &names, &before, &after);
        match told.and_then(|verdict| proof::nothing_left(&names, &rewritten).map(|()| verdict)) {
            Ok(verdict) => {
                let is_bounce = match &before {
                    Recognition::Bounce(_) => true,
                    Recognition::NotABounce(other) => other.quoted.is_some(),
                };
                return Ok(Anonymised { bytes: rewritten, verdict, is_bounce });
            }
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(refusal.unwrap_or_else(|| Refusal::ReadDifferently("for no reason that we know".to_owned())))
}

#[cfg(test)]
mod tests;
