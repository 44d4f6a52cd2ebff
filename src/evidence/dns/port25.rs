//! Whether port 25 of a mail host answers: a connection, closed at once.
//!
//! Many networks close that port to everybody, so a failure counts only if the control host, which
//! the administrator knows to answer, can be reached at the same time.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::super::{Port25, names};

const SMTP: u16 = 25;
/// A host that takes longer to accept is as good as closed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tries a host, and where that fails the control host.
pub(super) async fn probe(host: IpAddr, control: SocketAddr, deadline: Instant) -> Port25 {
    // In a laboratory on this machine alone, and never else, local addresses are connected to.
    let of_a_test = host.is_loopback() && control.ip().is_loopback();
    if !names::is_public(host) && !of_a_test {
        return Port25::Unknown;
    }
    let deadline = deadline.min(Instant::now() + PATIENCE);
    let (host, control) = tokio::join!(answers(SocketAddr::new(host, SMTP), deadline), answers(control, deadline));
    match (host, control) {
        (true, _) => Port25::Open,
        (false, true) => Port25::Closed,
        (false, false) => Port25::Unknown,
    }
}

async fn answers(address: SocketAddr, deadline: Instant) -> bool {
    matches!(timeout_at(deadline, TcpStream::connect(address)).await, Ok(Ok(_)))
}
