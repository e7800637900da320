//! The init of a guest of `cargo xtask vm`: makes a small Linux system of a bare kernel, runs what `/plan` names, and
//! halts.
//!
//! Each line of the plan is a name, a tier, a limit in seconds, and a command. What the console shows between the marks
//! belongs to that command.

use std::{
    ffi::CString,
    fs,
    io::{self, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{self, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use watcher_tests::netns;

fn main() {
    assert_eq!(process::id(), 1, "this is the init of a guest: see `cargo xtask vm`");
    // What a panic says is on the console; a kernel without its init stops, and with it the guest.
    make_a_system();
    let plan = fs::read_to_string("/plan").expect("the plan is in the image");
    for line in plan.lines() {
        let mut words = line.split_whitespace();
        let (name, tier) = (words.next().expect("a name"), words.next().expect("a tier"));
        let limit = words.next().and_then(|seconds| seconds.parse().ok()).expect("a limit");
        mark(&format!("begin {name} {tier}"));
        let begin = Instant::now();
        let ended = run(tier, Duration::from_secs(limit), words.collect());
        mark(&format!("end {name} {tier} {} {ended}", begin.elapsed().as_secs()));
    }
    mark("done");
    halt();
}

fn mark(what: &str) {
    println!("\n@@ {what}");
    io::stdout().flush().expect("the console is there");
}

fn make_a_system() {
    for (kind, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("securityfs", "/sys/kernel/security"),
        ("tracefs", "/sys/kernel/tracing"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/dev/shm"),
    ] {
        // Some are for lack of the folder that the kernel would have made.
        let _there_already = fs::create_dir_all(place);
        if let Err(error) = mount(kind, place) {
            println!("{place}: {error}");
        }
    }
    // For a guest that is to take another kernel's type information for its own.
    if fs::exists("/btf").unwrap_or(false) {
        mount("tmpfs", "/sys/kernel").expect("the kernel has a tmpfs");
        fs::create_dir("/sys/kernel/btf").expect("it is ours");
        fs::copy("/btf/vmlinux", "/sys/kernel/btf/vmlinux").expect("there is room");
    }
    for module in fs::read_to_string("/modules/order").unwrap_or_default().lines() {
        if let Err(error) = load(&format!("/modules/{module}")) {
            println!("module {module}: {error}");
        }
    }
    credit_entropy();
    netns::loopback_up();
    fs::write("/proc/sys/kernel/core_pattern", "core").expect("it is ours");
}

fn mount(kind: &str, place: &str) -> io::Result<()> {
    let [kind, place] = [kind, place].map(|text| CString::new(text).expect("no zeros"));
    // SAFETY: both are strings; no data goes along.
    done(i64::from(unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) }))
}

fn load(module: &str) -> io::Result<()> {
    let image = fs::read(module)?;
    // SAFETY: the kernel copies the image, and the empty string of parameters.
    done(unsafe { libc::syscall(libc::SYS_init_module, image.as_ptr(), image.len(), c"".as_ptr()) })
}

/// A guest in which nothing happens would wait for ever for random numbers. They need not be good ones here.
fn credit_entropy() {
    #[repr(C)]
    struct Pool {
        bits: i32,
        bytes: i32,
        content: [u8; 64],
    }
    const RNDADDENTROPY: u64 = 0x4008_5203;
    let random = fs::File::options().write(true).open("/dev/urandom").expect("every kernel has it");
    let pool = Pool { bits: 512, bytes: 64, content: [0x5a; 64] };
    // SAFETY: the kernel reads the structure that this request is about.
    let answer = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&random), RNDADDENTROPY as _, &raw const pool) };
    done(i64::from(answer)).expect("init may do that");
}

fn done(answer: i64) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs a command to its end, or to the limit; how it ended. Nothing of it is left afterwards.
fn run(tier: &str, limit: Duration, words: Vec<&str>) -> String {
    let (program, arguments) = words.split_first().expect("a command");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).current_dir("/t").env_clear();
    command.envs([("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root"), ("LANG", "C")]);
    command.env("RUST_BACKTRACE", "0").env("SHELL", "/bin/sh").env("WATCHER_TEST_EMULATED", "1");
    if tier != "-" {
        command.env("WATCHER_TEST_TIERS", tier);
    }
    // SAFETY: a system call is all that is done in the child.
    unsafe {
        command.pre_exec(|| done(i64::from(libc::setsid())));
    }
    // Blocked, it waits for us; children begin with nothing blocked.
    let news = block_sigchld();
    let child = match command.spawn() {
        Ok(child) => child.id() as i32,
        Err(error) => return format!("not-started: {error}"),
    };
    let end = Instant::now() + limit;
    let ended = loop {
        if let Some(status) = reap_until(child) {
            break match status.code() {
                Some(code) => format!("exit {code}"),
                None => format!("signal {}", status.signal().unwrap_or_default()),
            };
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break "time-limit".to_owned();
        }
        wait_for(&news, left);
    };
    // SAFETY: no memory is involved. For init, this means everybody else in this guest.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    while reap().is_some() {}
    ended
}

fn block_sigchld() -> libc::sigset_t {
    // SAFETY: zeros are a valid set, and the calls only write to it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        set
    }
}

fn wait_for(news: &libc::sigset_t, limit: Duration) {
    let limit = libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    // SAFETY: set and limit live; nothing is written.
    unsafe { libc::sigtimedwait(news, std::ptr::null_mut(), &raw const limit) };
}

/// Reaps all that have ended, orphans too; the status of this one if it is among them.
fn reap_until(wanted: i32) -> Option<ExitStatus> {
    std::iter::from_fn(|| reap_one(libc::WNOHANG)).find(|(pid, _)| *pid == wanted).map(|(_, status)| status)
}

/// Waits for the end of a child; none when there is none any more.
fn reap() -> Option<(i32, ExitStatus)> {
    reap_one(0)
}

fn reap_one(flags: i32) -> Option<(i32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: the kernel writes the status.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
    (pid > 0).then(|| (pid, ExitStatus::from_raw(status)))
}

/// A machine that cannot be switched off is restarted, which ends the emulator as well. User-mode-linux would begin anew.
fn halt() -> ! {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let how = if cpu.contains("User Mode Linux") { libc::RB_POWER_OFF } else { libc::RB_AUTOBOOT };
    // SAFETY: no memory is involved.
    unsafe {
        libc::sync();
        libc::reboot(how);
    }
    unreachable!("the machine has ended");
}
