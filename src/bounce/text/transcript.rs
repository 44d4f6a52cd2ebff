//! The transcript of an SMTP session within a bounce, as Sendmail and its kin print it.
//!
//! `... while talking to HOST:`, `>>> RCPT To:<a@b>`, `<<< 550 …`, and the program's own line
//! `550 5.1.1 <a@b>... User unknown` after them.

use std::borrow::Cow;

use super::{codes, lines::Line, patterns::addresses};

/// What a transcript says of one address, or of all.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// Address as written and the reply to its RCPT, or the program's line about it.
    pub(super) replies: Vec<(String, String)>,
    /// The first refusal whatever it was about.
    pub(super) general: Option<String>,
    /// Refusals of several lines, whatever they were about.
    pub(super) long: Vec<String>,
    /// The host that was talked to.
    pub(super) host: Option<String>,
}

/// Reads the lines of a transcript.
pub(super) fn read(lines: &[Line<'_>]) -> Transcript {
    let mut found = Transcript::default();
    let mut addressed: Option<String> = None;
    let mut reply: Vec<&str> = Vec::new();
    let mut output: Vec<&str> = Vec::new();
    let lines = rejoined(lines);
    for line in &lines {
        let text = &**line;
        if let Some(host) = after(text, "while talking to ") {
            found.host = Some(host.trim_end_matches([':', '.', ' ']).to_owned());
        } else if let Some(command) = text.strip_prefix(">>>") {
            flush(&mut found, addressed.as_deref(), &mut reply);
            let rcpt = command.trim().get(..4).is_some_and(|it| it.eq_ignore_ascii_case("rcpt"));
            addressed = if rcpt { address(command) } else { None };
        } else if let Some(answer) = text.strip_prefix("<<<") {
            reply.push(answer.trim());
        } else {
            flush(&mut found, addressed.as_deref(), &mut reply);
            match codes::reply_code(text).filter(|_| text.starts_with(['4', '5'])) {
                Some(_) => own_line(&mut found, text, &std::mem::take(&mut output)),
                None if text.contains("... Deferred: ") => own_line(&mut found, text, &[]),
                // `----- Transcript of session follows -----`
                None if text.contains("-----") => output.clear(),
                None => output.push(text.trim()),
            }
        }
    }
    flush(&mut found, addressed.as_deref(), &mut reply);
    found
}

/// The lines of which a gateway has broken those of replies that were too long for it.
fn rejoined<'l>(lines: &'l [Line<'_>]) -> Vec<Cow<'l, str>> {
    let mut whole: Vec<Cow<'l, str>> = Vec::with_capacity(lines.len());
    for line in lines {
        match whole.last_mut().filter(|it| is_broken_off(it, &line.text)) {
            Some(before) => *before = Cow::Owned(format!("{before} {}", line.text)),
            None => whole.push(Cow::Borrowed(&line.text)),
        }
    }
    whole
}

/// Whether a reply ends amid its sentence, and a line goes on with it.
fn is_broken_off(reply: &str, next: &str) -> bool {
    let is_reply = || codes::reply_code(reply.trim_start_matches("<<< ")).is_some();
    let amid = reply.ends_with(':') || reply.ends_with(char::is_lowercase) && next.starts_with(char::is_lowercase);
    amid && next.starts_with(char::is_alphabetic) && is_reply()
}

fn flush(found: &mut Transcript, addressed: Option<&str>, reply: &mut Vec<&str>) {
    let is_long = reply.len() > 1;
    let said = codes::one_line(reply.drain(..)).filter(|it| it.starts_with(['4', '5']));
    let Some(said) = said else { return };
    if let Some(address) = addressed.map(str::to_owned).or_else(|| address(&said)) {
        found.replies.push((address, said.clone()));
    }
    if is_long {
        found.long.push(said.clone());
    }
    found.general.get_or_insert(said);
}

/// `550 5.1.1 <a@b>... reason`, the program's summing up; a server's own words came before it, or what a command
/// that took the message printed when it failed.
fn own_line(found: &mut Transcript, text: &str, output: &[&str]) {
    if let Some((named, why)) = text.split_once("... Deferred: ")
        && let Some(address) = address(named)
    {
        // Of a long reply it repeats the first line.
        let whole = found.general.as_ref().filter(|it| codes::goes_on(why) && it.starts_with(why));
        found.replies.push((address, whole.map_or(why, String::as_str).to_owned()));
        return;
    }
    if let Some(address) = address(text)
        && !found.replies.iter().any(|(known, _)| known.eq_ignore_ascii_case(&address))
    {
        let said = found.general.clone().unwrap_or_else(|| text.to_owned());
        found.replies.push((address, said));
    }
    found.general.get_or_insert_with(|| match codes::one_line(output.iter().copied()) {
        Some(output) if text.contains("mailer error") => format!("{text}: {output}"),
        _ => text.to_owned(),
    });
}

fn address(text: &str) -> Option<String> {
    addresses(text).into_iter().next().map(|(it, _)| it).filter(|it| !is_sender(text, it))
}

/// Whether a reply to MAIL speaks of the address, as `Domain of sender address a@b does not resolve` does.
fn is_sender(text: &str, address: &str) -> bool {
    text.match_indices(address).filter_map(|(at, _)| text.get(..at)).any(|before| {
        let before = before.trim_end_matches(['<', '"', '\'', ':', ' ']).to_ascii_lowercase();
        before.ends_with("sender address") || before.ends_with("sender")
    })
}

fn after<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    text.find(words).and_then(|at| text.get(at + words.len()..))
}

#[cfg(test)]
mod tests {
    use super::{super::lines::lines, *};

    #[test]
    fn a_reply_belongs_to_the_command_before_it() {
        let text = "... while talking to mx.example.org.:\n>>> RCPT To:<a@example.org>\n<<< 550-5.1.1 no\n\
                    <<< 550 5.1.1 such user\n550 5.1.1 <a@example.org>... User unknown\n>>> DATA\n<<< 503 none\n";
        let found = read(&lines(text));
        assert_eq!(found.host.as_deref(), Some("mx.example.org"));
        assert_eq!(found.replies, [("a@example.org".to_owned(), "550-5.1.1 no such user".to_owned())]);
        let found =
            read(&lines("550 <a@example.org>: Recipient address rejected:\nUser unknown in local\nrecipient table\n"));
        let whole = "550 <a@example.org>: Recipient address rejected: User unknown in local recipient table";
        assert_eq!(found.replies, [("a@example.org".to_owned(), whole.to_owned())]);
        let text = "... while talking to mx.example.org.:\n<<< 550 no\n554 5.0.0 Service unavailable\n\
                    ... while talking to mx.example.net.:\n<<< 554-mx.example.net\n<<< 554 bad reputation\n";
        assert_eq!(read(&lines(text)).long, ["554-mx.example.net bad reputation"]);
        let found = read(&lines(
            "from a host\n ----- Transcript -----\nprocmail: over\nquota\n554 5.3.0 unknown mailer error 99\n",
        ));
        assert_eq!(found.general.as_deref(), Some("554 5.3.0 unknown mailer error 99: procmail: over quota"));
        let found = read(&lines("<a@example.org>... Deferred: Connection refused by mx.example.org.\n"));
        assert_eq!(found.replies, [("a@example.org".to_owned(), "Connection refused by mx.example.org.".to_owned())]);
    }

    #[test]
    fn a_sender_that_a_reply_speaks_of_is_no_recipient() {
        let said = "451 4.1.8 Domain of sender address s@example.org does not resolve";
        let found = read(&lines(&format!(">>> DATA\n<<< {said}\n<a@example.org>... Deferred: {said}\n")));
        assert_eq!(found.replies, [("a@example.org".to_owned(), said.to_owned())]);
    }
}
