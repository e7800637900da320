//! A place of its own for a service: a folder, and an address on which nobody else listens.

use std::{
    fs::{self, Permissions},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use watcher_tests::program;

/// A folder and an address.
pub(super) struct Site {
    folder: TempDir,
    pub(super) address: SocketAddrV4,
}

impl Site {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let folder = tempfile::tempdir().unwrap();
        // Workers run as another user.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        // An address of its own, so that no other socket of this host takes the port while the service is away.
        let [_, _, high, low] = process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 1 + NEXT.fetch_add(1, Ordering::Relaxed), high, low.clamp(1, 254));
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        Self { folder, address: SocketAddrV4::new(address, port) }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same, as text.
    pub(super) fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self.at(name)
    }

    /// Writes a script, also over one that runs.
    pub(super) fn script(&self, name: &str, text: &str) -> String {
        program::script(self.path(name), text);
        self.at(name)
    }

    /// One of our rules for operators, with some of its lines changed.
    pub(super) fn adapted(&self, rule: &str, changes: &[(&str, &str)]) -> String {
        let file = format!("{}/../rules/{rule}", env!("CARGO_MANIFEST_DIR"));
        let mut text = fs::read_to_string(file).unwrap();
        // The host of the test may run systemd, but not these services as its units.
        for (from, to) in changes.iter().chain(&[("[ -d /run/systemd/system ]", "false")]) {
            assert_eq!(text.matches(from).count(), 1, "{from} in {rule}");
            text = text.replace(from, to);
        }
        self.script("restart.sh", &text)
    }

    /// The status line that the service answers with.
    pub(super) fn asks(&self) -> Option<String> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().next().map(ToOwned::to_owned)
    }

    /// Whether it answers as it should.
    pub(super) fn answers(&self) -> bool {
        self.asks().is_some_and(|line| line.ends_with(" 200 OK") || line.ends_with(" 200 ") || line.ends_with(" 200"))
    }
}
