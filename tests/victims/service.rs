//! Stands for the services of a host: plain ones, and those that die early, do not want to end, fork, answer badly, late
//! or no more, or run out of sockets.
//!
//! Words that are not understood are only there to be seen in the command line. Whatever it does, it ends when nobody holds
//! the FIFO `life` beside it open for writing any more: no test leaves one behind.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    path::PathBuf,
    process::exit,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, socket_with,
    sockopt::{set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport},
};

fn main() {
    let mut arguments = env::args_os();
    let own = PathBuf::from(arguments.next().expect("argv[0]"));
    let words: Vec<_> = arguments.map(|word| word.into_string().expect("text")).collect();
    let value = |name: &str| {
        let value = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.parse::<u64>().expect("a number"))
    };
    let has = |word: &str| words.iter().any(|other| other == word);
    if has("daemon") {
        go_to_the_background();
    }
    if let Some(most) = value("nofile") {
        // SAFETY: nothing was opened yet but by whoever started this.
        unsafe {
            // One by one: on an old kernel, too.
            for descriptor in 3..1024 {
                libc::close(descriptor);
            }
        }
        may_open(most);
    }
    let life = Life::of(&own);
    if has("ignore_term") {
        // SAFETY: nothing but the disposition changes.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    }
    for _ in 0..value("workers").unwrap_or(0) {
        if fork() {
            life.wait(None);
        }
    }
    if has("zombie") && fork() {
        exit(0);
    }
    if let Some(port) = value("port") {
        if has("late") {
            wait_for_a_signal();
        }
        let port = u16::try_from(port).expect("a port");
        let asked = has("tells").then(|| own.with_file_name("asked"));
        let families = if has("dual") {
            Families::Both
        } else if has("six") {
            Families::Six
        } else {
            Families::Four
        };
        let listener = listen(port, value("backlog"), families, has("shared"));
        // A worker does the work, which may open fewer.
        if let Some(most) = value("prefork") {
            if fork() {
                may_open(most);
            } else {
                life.wait(None);
            }
        }
        if has("keeps") {
            keep(listener);
        } else {
            serve(listener, asked, value("slow").map(Duration::from_millis), has("closes"));
        }
    }
    if has("chatter") {
        thread::spawn(|| {
            while writeln!(std::io::stdout(), "still here").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
            // It could not write: the test looks for this.
            exit(8);
        });
    }
    life.wait(value("for").map(Duration::from_millis));
}

/// So many descriptors, and no more.
fn may_open(most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: it points to one structure, which outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}

/// Answers on a port: after a while, if so wished. Each connection is told of in a file, before it is answered. One that
/// `closes` does so when it gets SIGUSR1, and goes on living.
fn serve(listener: TcpListener, asked: Option<PathBuf>, slow: Option<Duration>, closes: bool) {
    if closes {
        let listener = listener.as_raw_fd();
        // SAFETY: a listener that is shut down listens no more, and whoever waits for it is told.
        on_signal(move || assert_eq!(unsafe { libc::shutdown(listener, libc::SHUT_RDWR) }, 0));
    }
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { return };
            if let Some(asked) = &asked {
                let file = OpenOptions::new().create(true).append(true).open(asked);
                file.and_then(|mut file| file.write_all(b"asked\n")).expect("the test reads it");
            }
            thread::sleep(slow.unwrap_or_default());
            // What was not read would end the connection by a reset.
            let _request = (&connection).read(&mut [0; 4096]);
            let _gone = (&connection).write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        }
    });
}

/// Takes connections, and never closes one before it gets SIGUSR1.
fn keep(listener: TcpListener) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let to_close = Arc::clone(&kept);
    on_signal(move || to_close.lock().expect("nobody fails while holding it").clear());
    thread::spawn(move || {
        for connection in listener.incoming() {
            kept.lock().expect("nobody fails while holding it").extend(connection.ok());
        }
    });
}

/// By which it can be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Families {
    Four,
    Six,
    Both,
}

/// Listens on loopback, or on every address if IPv6 is among its families, and beside others on the port if it is `shared`.
fn listen(port: u16, backlog: Option<u64>, families: Families, shared: bool) -> TcpListener {
    let (family, address) = match families {
        Families::Four => (AddressFamily::INET, SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Families::Six | Families::Both => (AddressFamily::INET6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
    };
    let made = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).and_then(|socket| {
        // As `TcpListener` does it.
        set_socket_reuseaddr(&socket, true)?;
        set_socket_reuseport(&socket, shared)?;
        if families != Families::Four {
            set_ipv6_v6only(&socket, families == Families::Six)?;
        }
        bind(&socket, &address)?;
        rustix::net::listen(&socket, backlog.unwrap_or(4_096) as i32)?;
        Ok(socket)
    });
    TcpListener::from(made.unwrap_or_else(|_| exit(9)))
}

/// Does this at each SIGUSR1.
fn on_signal(action: impl Fn() + Send + 'static) {
    let set = blocked_signal();
    thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: the set is ours.
        while unsafe { libc::sigwait(&raw const set, &raw mut signal) } == 0 {
            action();
        }
    });
}

/// Waits for the first SIGUSR1.
fn wait_for_a_signal() {
    let (set, mut signal) = (blocked_signal(), 0);
    // SAFETY: the set is ours.
    assert_eq!(unsafe { libc::sigwait(&raw const set, &raw mut signal) }, 0);
}

/// SIGUSR1, which ends nobody any more.
fn blocked_signal() -> libc::sigset_t {
    // SAFETY: the set is ours, and outlives the calls.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        // There is one thread, and all others will have its mask.
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        set
    }
}

/// As daemons do it: its starter does not wait for it, and it has no terminal.
fn go_to_the_background() {
    if !fork() {
        exit(0);
    }
    // SAFETY: no memory is involved.
    unsafe { libc::setsid() };
    if !fork() {
        exit(0);
    }
}

/// Whether this is the child.
fn fork() -> bool {
    // SAFETY: there is one thread only.
    match unsafe { libc::fork() } {
        -1 => exit(7),
        child => child == 0,
    }
}

/// The test, by what it holds open.
struct Life(File);

impl Life {
    fn of(own: &std::path::Path) -> Self {
        let life = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(own.with_file_name("life"));
        let mut life = life.unwrap_or_else(|_| exit(6));
        // Nobody holds it any more: the test has ended while this was being started.
        if matches!(life.read(&mut [0]), Ok(0)) {
            exit(5);
        }
        Self(life)
    }

    /// Lives until the test ends, or so long.
    fn wait(&self, at_most: Option<Duration>) -> ! {
        let end = at_most.map(|span| Instant::now() + span);
        loop {
            let left = end.map_or(-1, |end| end.saturating_duration_since(Instant::now()).as_millis() as i32);
            let mut polled = libc::pollfd { fd: self.0.as_raw_fd(), events: 0, revents: 0 };
            // SAFETY: it points to one structure, which outlives the call.
            let ready = unsafe { libc::poll(&raw mut polled, 1, left) };
            if ready != -1 {
                // Its time is up, or the test has ended.
                exit(if ready == 0 { 3 } else { 0 });
            }
        }
    }
}
