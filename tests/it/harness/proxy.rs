//! A wire between us and a real server that can be cut, noised or held at any byte.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::free_address;

/// Which way the bytes that are counted go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// From the server to us.
    FromServer,
    /// From us to the server.
    ToServer,
}

/// What happens to one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Both ways are closed after so many bytes this way.
    Cut(Way, usize),
    /// After so many bytes from the server, noise comes in their place.
    Garbage(usize),
    /// After so many bytes from the server, nothing comes any more, and nothing is closed.
    Stall(usize),
}

/// A running proxy; dropped, it takes no more connections.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    closed: Arc<AtomicBool>,
}

impl Proxy {
    /// Leads to `server`. The first connections meet these faults, one each; all later ones none.
    pub(crate) fn start(server: SocketAddr, faults: &[Fault]) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).expect("a free address");
        let faults = Arc::new(Mutex::new(VecDeque::from(faults.to_vec())));
        let it = Self { address, connections: Arc::default(), faults, closed: Arc::default() };
        let (connections, closed) = (Arc::clone(&it.connections), Arc::clone(&it.closed));
        let faults = Arc::clone(&it.faults);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let fault = faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Ok(far) = TcpStream::connect(server) else { continue };
                join(&near, &far, fault);
            }
        });
        it
    }

    /// Later connections meet no fault any more.
    pub(crate) fn calm(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many connections it saw.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Carries bytes both ways until either side ends or the fault does.
fn join(near: &TcpStream, far: &TcpStream, fault: Option<Fault>) {
    let ends = Arc::new(Mutex::new(vec![near.try_clone(), far.try_clone()]));
    for (way, from, to) in
        [(Way::FromServer, far.try_clone(), near.try_clone()), (Way::ToServer, near.try_clone(), far.try_clone())]
    {
        let (Ok(from), Ok(to)) = (from, to) else { return };
        let ends = Arc::clone(&ends);
        std::thread::spawn(move || {
            let _ = carry(from, to, way, fault);
            for end in ends.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten() {
                let _ = end.shutdown(Shutdown::Both);
            }
        });
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, way: Way, fault: Option<Fault>) -> std::io::Result<()> {
    let (limit, after) = match fault {
        Some(Fault::Cut(at, bytes)) if at == way => (bytes, After::Close),
        Some(Fault::Garbage(bytes)) if way == Way::FromServer => (bytes, After::Noise),
        Some(Fault::Stall(bytes)) if way == Way::FromServer => (bytes, After::Nothing),
        _ => (usize::MAX, After::Close),
    };
    let (mut left, mut buffer) = (limit, [0; 4096]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let good = read.min(left);
        to.write_all(&buffer[..good])?;
        left -= good;
        if left == 0 {
            match after {
                After::Close => return Ok(()),
                After::Noise => to.write_all(b"\x00\xff* {999999999999}\r\n* BYE? (((\r\n+\r\nA0001 WHAT\r\n")?,
                After::Nothing => {}
            }
        }
    }
}

#[derive(Clone, Copy)]
enum After {
    Close,
    Noise,
    Nothing,
}
