//! Messages that mean harm, or came to it: none may panic, and none may take long.

use super::{
    reader::tests::{REPORT, forward},
    recognise,
};

/// Input that broke parsers, ours or others': none may panic, and none may take long.
fn seeds() -> Vec<Vec<u8>> {
    let head = "From: MAILER-DAEMON@x.example\nSubject: failure notice\n";
    let text = |it: String| it.into_bytes();
    vec![
        REPORT.replace("gate", "\0").replace('w', "\0").into_bytes(),
        text(format!("{head}\n{}", "a".repeat(1_000_000))),
        text(format!("{head}\n{}", "<w@x.example>:\n550 5.1.1 no\n".repeat(8_000))),
        text(format!("{head}Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(10_000))),
        text((0..200).map(|it| format!("Content-Type: multipart/mixed; boundary=b{it}\n\n--b{it}\n")).collect()),
        text("Content-Type: message/rfc822\n\n".repeat(8_000)),
        text(format!(
            "{head}Content-Type: multipart/mixed; boundary=b\n\n{}",
            "--b\nContent-Type: message/rfc822\n\nSubject: x\n\n".repeat(4_000)
        )),
        text(REPORT.replace(
            "--b--",
            "--b--\n--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; f@x.example",
        )),
        text(format!("{head}\n{}", ">".repeat(200_000))),
        text(format!("{head}\n{}", "> From: a\n".repeat(20_000))),
        text(format!("{head}Content-Type: text/html\n\n{}", "<div style=\"display:none\"".repeat(8_000))),
        text(format!("{head}Content-Type: text/html\n\n{}", "&".repeat(200_000))),
        text(format!("{head}X: {}\n\n", "=?utf-8?Q?".repeat(20_000))),
        text(format!(
            "Content-Type: message/delivery-status\n\n{}",
            "Final-Recipient: rfc822; a@x.example\n\n".repeat(6_000)
        )),
        text(format!("{}\n\nx", "To: a@x.example, ".repeat(12_000))),
        vec![0xff; 100_000],
        vec![b'\n'; 200_000],
        vec![b'\r'; 200_000],
    ]
}

#[test]
fn hostile_messages_are_read_in_bounded_time() {
    let _ = recognise(REPORT.as_bytes()); // the formats are loaded once
    for (number, seed) in seeds().iter().enumerate() {
        let begun = std::time::Instant::now();
        let _ = recognise(seed);
        // Generous: a debug build on a busy machine. What is not linear takes minutes.
        assert!(begun.elapsed().as_secs() < 20, "seed {number} took {:?}", begun.elapsed());
    }
}

#[test]
fn a_report_cut_at_any_octet_is_read_without_panic() {
    for end in (0..REPORT.len()).step_by(if cfg!(debug_assertions) { 7 } else { 1 }) {
        let _ = recognise(&REPORT.as_bytes()[..end]);
    }
}

#[test]
fn mutated_messages_never_panic() {
    let whole = forward("Content-Type: message/rfc822", REPORT).into_bytes();
    arbtest::arbtest(|u| {
        let mut bytes = whole.clone();
        for _ in 0..u.int_in_range(1..=12)? {
            let at = u.choose_index(bytes.len())?;
            match u.int_in_range(0..=3)? {
                0 => bytes[at] = u.arbitrary()?,
                1 => bytes.truncate(at.max(1)),
                2 => {
                    let end = (at + u.int_in_range(1..=40)?).min(bytes.len());
                    let copied = bytes[at..end].to_vec();
                    let to = u.choose_index(bytes.len())?;
                    bytes.splice(to..to, copied);
                }
                _ => drop(bytes.drain(at..(at + u.int_in_range(1..=40)?).min(bytes.len()))),
            }
            if bytes.is_empty() {
                bytes.push(b'x');
            }
        }
        let _ = recognise(&bytes);
        Ok(())
    })
    .budget_ms(4_000);
}
