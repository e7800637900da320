//! Want of memory for TCP, in a control group that a test makes: nobody else's limits are touched.

use std::{
    fs, io,
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process, thread,
};

/// What TCP may take in the group: less than the buffers of two connections.
const BYTES: &str = "65536";

/// Such a group. It goes with this value.
pub struct Pinch(PathBuf);

impl Pinch {
    /// `None`, and why is said: only version 1 of control groups has a limit for TCP alone.
    pub fn make(name: &str) -> Option<Self> {
        let group = Path::new("/sys/fs/cgroup/memory").join(format!("watcher-{name}-{}", process::id()));
        let made = || -> io::Result<Self> {
            fs::create_dir(&group)?;
            let pinch = Self(group.clone());
            fs::write(group.join("memory.kmem.tcp.limit_in_bytes"), BYTES)?;
            Ok(pinch)
        };
        made().inspect_err(|error| eprintln!("skipped: no control group with a limit on TCP's memory: {error}")).ok()
    }

    /// Connections of a thread in the group, in the network namespace of the caller, that want more than there is.
    pub fn connections(&self) -> Vec<(TcpStream, TcpStream)> {
        let inside = || {
            let this = rustix::thread::gettid().as_raw_nonzero().to_string();
            fs::write(self.0.join("tasks"), this).expect("root may");
            let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            (0..8).map(|_| full(&server)).collect()
        };
        thread::scope(|scope| scope.spawn(inside).join().expect("why is told above"))
    }
}

impl Drop for Pinch {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).expect("nobody is in it any more");
    }
}

/// A connection into which was written what it takes.
fn full(server: &TcpListener) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let (accepted, _) = server.accept().unwrap();
    client.set_nonblocking(true).unwrap();
    let bytes = [7; 65_536];
    // It waits for memory, or for its peer to read.
    while client.write(&bytes).is_ok() {}
    (client, accepted)
}
