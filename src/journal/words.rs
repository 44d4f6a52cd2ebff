//! Full-text search in any script: which words a message is found by, and a search as the
//! database's own expression.
//!
//! Words of letters and digits are taken as they stand and found by their beginnings. Chinese,
//! Japanese and Korean are written without blanks: each pair of neighbouring characters is a word
//! (报价单 → 报价 价单), so that any stretch of text is found, from one character on. Parts that a
//! search writes together must stand together.

use super::{
    Error,
    database::{Database, Tx, Value},
};

/// Words of one message that are kept; a subject may be a megabyte.
const MOST_WORDS: usize = 600;
/// Characters of one word that count.
const LONGEST: usize = 40;
/// From this length on the beginning of a word suffices to find it.
const PREFIX: usize = 2;

/// Which database a statement is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Database {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres { .. } => Dialect::Postgres,
        }
    }
}

/// Written without blanks between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// The words by which a text is found, in order, lower-cased; each stretch of unspaced script ends in
/// its last character alone.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    // A blank at the end closes what is open.
    for c in text.chars().flat_map(char::to_lowercase).chain([' ']) {
        if words.len() >= MOST_WORDS {
            break;
        }
        let unspaced = is_unspaced(c);
        if let Some(first) = before.take() {
            words.push(if unspaced { format!("{first}{c}") } else { first.to_string() });
        }
        if unspaced || !c.is_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            before = unspaced.then_some(c);
        } else if word.chars().count() < LONGEST {
            word.push(c);
        }
    }
    words
}

/// Makes a message findable by `texts`.
pub(super) async fn index(tx: &mut Tx, message: i64, texts: &[&str]) -> Result<(), Error> {
    let mut all = words(&texts.join(" \n "));
    all.truncate(MOST_WORDS);
    if all.is_empty() {
        return Ok(());
    }
    match tx {
        Tx::Sqlite(_) | Tx::Member(_) => {
            let sql = "INSERT INTO message_text (rowid, words) VALUES ($1, $2)";
            tx.execute(sql, vec![Value::from(message), Value::from(all.join(" "))]).await?;
        }
        Tx::Postgres(_) => {
            let placed: Vec<String> =
                (1..).zip(&all).map(|(place, word): (u32, _)| format!("{word}:{place}")).collect();
            let sql = "INSERT INTO message_text (rowid, words) VALUES ($1, $2::tsvector)";
            tx.execute(sql, vec![Value::from(message), Value::from(placed.join(" "))]).await?;
        }
    }
    Ok(())
}

/// Takes a message's words out.
pub(super) async fn forget(tx: &mut Tx, message: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM message_text WHERE rowid = $1", vec![Value::from(message)]).await?;
    Ok(())
}

/// The condition on `message_text`, with one placeholder `?`, and its value. `None`: nothing to look for.
pub(super) fn condition(search: &str, dialect: Dialect) -> Option<(&'static str, Value)> {
    let phrases: Vec<String> = search.split_whitespace().take(10).filter_map(|it| phrase(it, dialect)).collect();
    if phrases.is_empty() {
        return None;
    }
    Some(match dialect {
        Dialect::Sqlite => ("message_text MATCH ?", Value::from(phrases.join(" AND "))),
        Dialect::Postgres => ("message_text.words @@ ?::tsquery", Value::from(phrases.join(" & "))),
    })
}

/// One part of a search, whose words must stand side by side.
fn phrase(part: &str, dialect: Dialect) -> Option<String> {
    let mut words = words(part);
    let last = |words: &[String]| words.last().map(|it| it.chars().collect::<Vec<_>>()).unwrap_or_default();
    let mut end = last(&words);
    if words.len() > 1 && end.len() == 1 && end.first().is_some_and(|c| is_unspaced(*c)) && follows(&words) {
        // What stands after these characters is not asked.
        words.pop();
        end = last(&words);
    }
    let unspaced = end.first().is_some_and(|c| is_unspaced(*c));
    let open = if unspaced { end.len() == 1 } else { end.len() >= PREFIX };
    if words.is_empty() {
        return None;
    }
    Some(match dialect {
        // Letters and digits only: nothing in them can end the quotes.
        Dialect::Sqlite => format!("\"{}\"{}", words.join(" "), if open { "*" } else { "" }),
        Dialect::Postgres => format!("({}{})", words.join(" <-> "), if open { ":*" } else { "" }),
    })
}

/// Whether the last word is the end of the pair before it.
fn follows(words: &[String]) -> bool {
    let [.., pair, last] = words else { return false };
    pair.chars().count() == 2 && pair.chars().next().is_some_and(is_unspaced) && pair.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspaced_script_is_taken_in_pairs_and_the_rest_in_words() {
        assert_eq!(words("Re: 报价单2026 Chen@Corp"), ["re", "报价", "价单", "单", "2026", "chen", "corp"]);
        assert_eq!(words("退"), ["退"]);
        assert!(words("\u{202e}\"';-- \0").is_empty());
        assert!(words(&"x y ".repeat(500_000)).len() <= MOST_WORDS);
        assert!(words(&"z".repeat(500_000)).concat().len() <= LONGEST);
    }

    #[test]
    fn a_search_is_a_phrase_a_part_and_cannot_break_out_of_its_quotes() {
        let sqlite = |search| phrase(search, Dialect::Sqlite);
        assert_eq!(sqlite("报价单").as_deref(), Some("\"报价 价单\""));
        assert_eq!(sqlite("单").as_deref(), Some("\"单\"*"));
        assert_eq!(sqlite("报价2026").as_deref(), Some("\"报价 价 2026\"*"));
        assert_eq!(sqlite("chen@corp").as_deref(), Some("\"chen corp\"*"));
        assert_eq!(sqlite("\"*").as_deref(), None);
        assert_eq!(phrase("chen@corp", Dialect::Postgres).as_deref(), Some("(chen <-> corp:*)"));
        assert!(condition("' OR 1=1 --", Dialect::Sqlite).is_some_and(|(sql, _)| !sql.contains("1=1")));
        assert!(condition(" \t ", Dialect::Postgres).is_none());
    }
}
