//! What a staff member's mail program does: one message to the submission port.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
};

/// Hands one message over; the server must take it.
pub(crate) fn send_mail(server: SocketAddr, from: &str, to: &[&str], message: &str) {
    let stream = TcpStream::connect(server).expect("the server listens");
    stream.set_read_timeout(Some(super::PATIENCE)).expect("a socket");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut stream = stream;
    let mut say = |line: &str, expected: char| {
        stream.write_all(line.as_bytes()).expect("the server reads");
        let mut reply = String::new();
        loop {
            reply.clear();
            reader.read_line(&mut reply).expect("the server answers");
            if reply.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        assert!(reply.starts_with(expected), "the server answered {line:?} with {reply:?}");
    };
    say("", '2');
    say("EHLO desk.corp.example.cn\r\n", '2');
    say(&format!("MAIL FROM:<{from}>\r\n"), '2');
    for to in to {
        say(&format!("RCPT TO:<{to}>\r\n"), '2');
    }
    say("DATA\r\n", '3');
    let mut stuffed = String::new();
    for line in message.lines() {
        stuffed.push_str(if line.starts_with('.') { "." } else { "" });
        stuffed.push_str(line);
        stuffed.push_str("\r\n");
    }
    say(&format!("{stuffed}.\r\n"), '2');
    say("QUIT\r\n", '2');
}
