//! A Knot DNS of our own that is the whole DNS: it serves the root, and every name is in one zone.

use std::{
    fs::File,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use super::{
    Scratch, free_address,
    process::{Process, command},
    show, wait_for,
};

/// The server, ended when dropped.
pub(crate) struct Knot {
    /// Where it answers, over UDP and TCP.
    pub(crate) address: SocketAddr,
    scratch: Scratch,
    process: Process,
    serial: u32,
}

impl Knot {
    /// Serves these records (`name TTL TYPE value` lines, names absolute). Besides them
    /// nothing exists, but for `broken.example`, whose zone cannot be loaded.
    #[track_caller]
    pub(crate) fn start(records: &str) -> Self {
        let scratch = Scratch::new();
        let address = free_address();
        let directory = scratch.path().display().to_string();
        let configuration = format!(
            "server:\n    rundir: \"{directory}\"\n    listen: {}@{}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\ndatabase:\n    storage: \"{directory}/db\"\nlog:\n  - target: stderr\n    any: info\n\
             template:\n  - id: default\n    storage: \"{directory}\"\n    semantic-checks: off\n    journal-content: none\n\
             zone:\n  - domain: .\n    file: root.zone\n  - domain: broken.example\n    file: none.zone\n",
            address.ip(),
            address.port()
        );
        let configuration = scratch.write("knot.conf", configuration);
        write(&scratch, 1, records);
        let log = File::create(scratch.path().join("knot.log")).expect("our own directory");
        let mut command = command("/usr/sbin/knotd");
        command.arg("-c").arg(configuration).stdout(log.try_clone().expect("a file")).stderr(log);
        let process = Process::start("knotd", &mut command);
        let it = Self { address, scratch, process, serial: 1 };
        it.wait_until_served();
        it
    }

    /// Serves these records from now on.
    #[track_caller]
    pub(crate) fn publish(&mut self, records: &str) {
        self.serial += 1;
        write(&self.scratch, self.serial, records);
        self.process.signal("HUP");
        self.wait_until_served();
    }

    #[track_caller]
    fn wait_until_served(&self) {
        let name = format!("serial-{}.probe", self.serial);
        wait_for("the zone", || exists(self.address, &name).then_some(()));
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show("knot", &std::fs::read_to_string(self.scratch.path().join("knot.log")).unwrap_or_default());
        }
    }
}

fn write(scratch: &Scratch, serial: u32, records: &str) {
    let head = format!(
        "$TTL 300\n. SOA ns.probe. admin.probe. {serial} 3600 600 86400 60\n. NS ns.probe.\nns.probe. A 127.0.0.1\n\
         serial-{serial}.probe. A 127.0.0.1\n"
    );
    scratch.write("root.zone", format!("{head}{records}\n"));
}

/// Whether the server has an address for this name.
fn exists(server: SocketAddr, name: &str) -> bool {
    let socket = UdpSocket::bind((super::address(), 0)).expect("our own address");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    // RFC 1035 §4.1: an id, no flags, one question for A in IN.
    let mut query = vec![7, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label"));
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let mut answer = [0; 512];
    socket.send_to(&query, server).is_ok()
        && socket.recv_from(&mut answer).is_ok_and(|(length, _)| length > 12 && answer[3] % 16 == 0 && answer[7] > 0)
}
