//! A scripted server on a socket: it fakes failures and quirks that no real server will do on demand.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use crate::harness::free_address;

/// One client's connection, seen from the server.
pub(crate) struct Peer {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Peer {
    /// Sends these bytes; a client that has gone does not matter.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// The client's next line without its end; `None` when it has gone.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line).ok()?;
        (read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Exactly so many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.lines.read_exact(&mut bytes).ok().map(|()| bytes)
    }

    /// Says nothing until the client goes.
    pub(crate) fn silence(&mut self) {
        while self.line().is_some() {}
    }
}

/// Takes its time.
pub(crate) fn pause(pause: Duration) {
    let (_never, paced) = mpsc::channel::<()>();
    let _ = paced.recv_timeout(pause);
}

/// A running server; it takes connections until the test process ends.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// Runs `script` for each connection, in a thread of its own.
    pub(crate) fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).expect("a free address");
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, script) = (Arc::clone(&connections), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                counter.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                std::thread::spawn(move || {
                    let lines = BufReader::new(stream.try_clone().expect("a socket"));
                    script(&mut Peer { stream, lines });
                });
            }
        });
        Self { address, connections }
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
