//! A name server that misbehaves, or passes questions on and counts them. Never a stand-in for a
//! sound one: that is `Knot`.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// What it does with a question.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Nothing.
    Silent,
    /// Answers octets that are no message.
    Garbling,
    /// REFUSED, as a lame server does.
    Lame,
    /// Says that the answer is too long for UDP, and has no TCP.
    Truncating,
    /// Answers under another id, as one does who guesses.
    Guessing,
    /// Has an address for every name, as many resolvers of carriers do.
    Lying,
    /// Passes it on.
    Forwarding(SocketAddr),
}

/// The server; it lives as long as the test.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Starts it.
    pub(crate) fn start(manner: Manner) -> Self {
        let socket = UdpSocket::bind((super::address(), 0)).expect("our own address");
        let address = socket.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let query = &buffer[..length];
                let Some((name, end)) = question(query) else { continue };
                seen.lock().expect("no panic").push(name);
                if let Some(answer) = answer(manner, query, end) {
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Self { address, asked }
    }

    /// Every question so far: `name type`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// The name and type that are asked for, and where the question ends (RFC 1035 §4.1.2).
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    Some((format!("{} {kind}", labels.join(".")), at + 4))
}

fn answer(manner: Manner, query: &[u8], end: usize) -> Option<Vec<u8>> {
    let reply = |flags: u8, answers: u8| {
        let mut reply = query[..end].to_vec();
        reply[2..12].copy_from_slice(&[0x81, 0x80 | flags, 0, 1, 0, answers, 0, 0, 0, 0]);
        reply
    };
    match manner {
        Manner::Silent => None,
        Manner::Garbling => Some([&query[..2], &[0xff; 600]].concat()),
        Manner::Lame => Some(reply(5, 0)),
        Manner::Truncating => {
            let mut reply = reply(0, 0);
            reply[2] |= 2;
            Some(reply)
        }
        Manner::Guessing => {
            let mut reply = reply(3, 0);
            reply[1] ^= 1;
            Some(reply)
        }
        Manner::Lying if query[end - 3] == 1 => {
            let mut lie = reply(0, 1);
            lie.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 80]);
            Some(lie)
        }
        Manner::Lying => Some(reply(0, 0)),
        Manner::Forwarding(server) => {
            let socket = UdpSocket::bind((super::address(), 0)).ok()?;
            socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
            socket.send_to(query, server).ok()?;
            let mut buffer = vec![0; 65535];
            let length = socket.recv(&mut buffer).ok()?;
            Some(buffer[..length].to_vec())
        }
    }
}
