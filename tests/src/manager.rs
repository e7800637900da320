//! A manager of services, as systemd is one: what it is told by `sd_notify`.

use std::{
    os::unix::net::UnixDatagram,
    path::Path,
    sync::mpsc::{self, Receiver},
    thread,
};

use crate::wait::DEADLINE;

/// It hears all the time, also when the test has other things to do: a socket takes ten messages, and what comes when it is
/// full is lost.
pub struct Manager(Receiver<String>);

impl Manager {
    /// Hears what is sent there.
    pub fn at(path: impl AsRef<Path>) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut message = [0; 1000];
            // Until nobody wants to know, or for as long as these tests last.
            while let Ok(length) = socket.recv(&mut message) {
                let text = String::from_utf8(message[..length].to_vec()).expect("text");
                if tell.send(text).is_err() {
                    return;
                }
            }
        });
        Self(told)
    }

    /// The next message.
    pub fn next(&self) -> String {
        self.0.recv_timeout(*DEADLINE).expect("it is told")
    }

    /// The next one that is not only a sign of life.
    pub fn news(&self) -> String {
        std::iter::repeat_with(|| self.next()).find(|message| message != "WATCHDOG=1").expect("there is one")
    }
}
