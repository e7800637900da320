//! What systemd is told of us, when it asks for it: `sd_notify`. Nothing else is needed of its library, so it is not used.

use std::{env, ffi::OsStr, io, os::unix::ffi::OsStrExt as _, time::Duration};

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};

use crate::sys::{clock, own};

/// Ready to work; also the end of what [`reloading`] begins.
pub fn ready() {
    tell("READY=1");
}

/// The rules are read again.
pub fn reloading() {
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::now().0 / 1000));
}

/// About to end.
pub fn stopping() {
    tell("STOPPING=1");
}

/// What `systemctl status` shows.
pub fn status(text: &str) {
    tell(&format!("STATUS={}", text.replace('\n', " ")));
}

/// Alive.
pub fn watchdog() {
    tell("WATCHDOG=1");
}

/// How often [`watchdog`] is to be called: twice as often as systemd expects it. None when it expects nothing.
#[must_use]
pub fn watchdog_period() -> Option<Duration> {
    period(env::var_os("WATCHDOG_USEC").as_deref(), env::var_os("WATCHDOG_PID").as_deref())
}

fn period(micros: Option<&OsStr>, pid: Option<&OsStr>) -> Option<Duration> {
    let number = |text: &OsStr| text.to_str()?.parse::<u64>().ok();
    // Set for another process, whose environment we have got.
    if pid.is_some_and(|pid| number(pid) != Some(own::pid().number().into())) {
        return None;
    }
    micros.and_then(number).filter(|micros| *micros > 1).map(|micros| Duration::from_micros(micros / 2))
}

fn tell(message: &str) {
    if let Some(place) = env::var_os("NOTIFY_SOCKET") {
        // Nobody could be told that systemd cannot be told; it notices by itself.
        let _told = send(&place, message);
    }
}

fn send(place: &OsStr, message: &str) -> io::Result<()> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        path => SocketAddrUnix::new(path)?,
    };
    // It never waits: a manager that does not read must not stop us.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    sendto(&socket, message.as_bytes(), SendFlags::NOSIGNAL, &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        os::{
            linux::net::SocketAddrExt as _,
            unix::net::{SocketAddr, UnixDatagram},
        },
        process::{Command, Stdio},
    };

    use super::*;

    fn next(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut message = [0; 1000];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// Run by the test below, in a process of its own: a variable of the environment is that of the process.
    #[test]
    #[ignore = "a part of the next test"]
    fn tells_everything() {
        ready();
        reloading();
        status("two\nentries");
        watchdog();
        stopping();
    }

    #[test]
    fn systemd_is_told_if_it_wants_to_know() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "executor::service::tests::tells_everything", "--ignored"]).env("NOTIFY_SOCKET", &path);
        assert!(child.stdin(Stdio::null()).output().unwrap().status.success());
        assert_eq!(next(&socket), "READY=1");
        let reloading = next(&socket);
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse::<u64>().unwrap();
        assert!(since <= clock::now().0 / 1000 && since > 0);
        assert_eq!([next(&socket), next(&socket), next(&socket)], ["STATUS=two entries", "WATCHDOG=1", "STOPPING=1"]);
    }

    #[test]
    fn an_abstract_socket_will_do_and_a_missing_one_is_an_error() {
        let name = format!("watcher-test-{}", own::pid());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(format!("@{name}").as_ref(), "READY=1").unwrap();
        assert_eq!(next(&socket), "READY=1");
        assert!(send("/nowhere/notify".as_ref(), "READY=1").is_err());
        assert!(send("".as_ref(), "READY=1").is_err());
    }

    #[test]
    fn a_manager_that_does_not_read_stops_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let sent = (0..10_000).map(|_| send(path.as_os_str(), "WATCHDOG=1")).find(Result::is_err);
        assert_eq!(sent.unwrap().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_needs_if_it_is_ours() {
        let own = own::pid().to_string();
        let of = |micros: &str, pid: Option<&str>| period(Some(micros.as_ref()), pid.map(OsStr::new));
        assert_eq!(of("30000000", None), Some(Duration::from_secs(15)));
        assert_eq!(of("30000000", Some(&own)), Some(Duration::from_secs(15)));
        assert_eq!(of("30000000", Some("1")), None);
        assert_eq!([of("0", None), of("x", None), period(None, Some(own.as_ref()))], [None; 3]);
    }
}
