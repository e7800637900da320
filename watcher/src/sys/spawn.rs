//! Starting a program in a session of its own, with nothing of ours but the environment that it is given.
//!
//! The child shares our memory until it runs its program, as that of `posix_spawn` does, and we wait until then: so it
//! takes as long with a large parent as with a small one (a fork copies page tables), and an error is told exactly.
//! `posix_spawn` itself can make a session only since glibc 2.26, change the folder since 2.29, and close what was
//! inherited since 2.34; a `pre_exec` of std's `Command` would fork.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd, RawFd},
    ptr,
};

use thiserror::Error;
use watcher_core::Pid;

use super::limits;

/// A program to be started.
#[derive(Debug)]
pub struct Program<'a> {
    /// Its file. One without a first line that names an interpreter is run by `/bin/sh`, as shells do.
    pub path: &'a CStr,
    /// Its whole environment, as `NAME=VALUE`.
    pub environment: &'a [CString],
    /// Standard input.
    pub input: BorrowedFd<'a>,
    /// Standard output and standard error.
    pub output: BorrowedFd<'a>,
}

/// Why a program does not run.
#[derive(Debug, Error)]
pub enum NotSpawned {
    /// No process could be made.
    #[error("no process can be made: {0}")]
    NoProcess(io::Error),
    /// The process could not be made ready.
    #[error("its process cannot be made ready: {0}")]
    NotReady(io::Error),
    /// The file could not be run.
    #[error("it cannot be run: {0}")]
    NotRun(io::Error),
}

/// What the child takes along: all made before, since it may not allocate.
struct Plan {
    path: *const c_char,
    arguments: [*const c_char; 2],
    shell_arguments: [*const c_char; 3],
    environment: Vec<*const c_char>,
    input: RawFd,
    output: RawFd,
    close: Close,
    descriptors: Option<libc::rlimit>,
    every_signal: libc::sigset_t,
    no_signal: libc::sigset_t,
    failed: Option<(At, c_int)>,
}

/// How the child closes what it inherited.
enum Close {
    /// All at once: Linux 5.9 and later.
    Range,
    /// One by one.
    Listed(Vec<RawFd>),
}

#[derive(Clone, Copy)]
enum At {
    Ready,
    Run,
}

const SHELL: &CStr = c"/bin/sh";

/// More than the child needs, also in a build without optimisation.
const STACK: usize = 64 * 1024;

/// Starts a program as the leader of its own session, in `/`, with every signal as it was made, open descriptors 0, 1 and
/// 2, and the limit on descriptors that this process was started with. Returns once it runs: a file that cannot be read for
/// a while (a dead network file system) blocks the calling thread.
///
/// # Errors
/// When it does not run.
pub fn session(program: &Program<'_>) -> Result<Pid, NotSpawned> {
    let close = if range_works() { Close::Range } else { Close::Listed(inherited()) };
    spawn(program, close)
}

fn spawn(program: &Program<'_>, close: Close) -> Result<Pid, NotSpawned> {
    let Program { path, environment, input, output } = program;
    let path = path.as_ptr();
    let mut environment: Vec<_> = environment.iter().map(|variable| variable.as_ptr()).collect();
    environment.push(ptr::null());
    // SAFETY: both functions only write the set that they are given, of which every bit pattern is valid.
    let (every_signal, no_signal) = unsafe {
        let (mut every, mut none) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut every);
        libc::sigemptyset(&raw mut none);
        (every, none)
    };
    let mut plan = Plan {
        path,
        arguments: [path, ptr::null()],
        shell_arguments: [SHELL.as_ptr(), path, ptr::null()],
        environment,
        input: input.as_raw_fd(),
        output: output.as_raw_fd(),
        close,
        descriptors: limits::descriptors_at_start(),
        every_signal,
        no_signal,
        failed: None,
    };
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    let plan_of_child = &raw mut plan;
    // SAFETY: the child runs on a stack of its own, and only makes system calls; this thread does not run, and so neither
    // touches the plan nor frees anything, until the child has another memory or is gone (CLONE_VFORK). No handler runs in
    // the child, which would see our memory: all signals are blocked before, and set to their defaults by it. Signal
    // actions and descriptors are copies (no CLONE_SIGHAND, no CLONE_FILES).
    let child = unsafe {
        let mut before = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const (*plan_of_child).every_signal, &raw mut before);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let child = libc::clone(live, top.cast(), flags, plan_of_child.cast::<c_void>());
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        if child == -1 { Err(error) } else { Ok(child) }
    };
    let child = child.map_err(NotSpawned::NoProcess)?;
    let Some((at, error)) = plan.failed else {
        let pid = u32::try_from(child).ok().and_then(Pid::new);
        return pid.ok_or_else(|| NotSpawned::NoProcess(io::ErrorKind::InvalidData.into()));
    };
    let _reaped =
        rustix::process::waitpid(rustix::process::Pid::from_raw(child), rustix::process::WaitOptions::empty());
    let error = io::Error::from_raw_os_error(error);
    Err(match at {
        At::Ready => NotSpawned::NotReady(error),
        At::Run => NotSpawned::NotRun(error),
    })
}

/// The child's whole life in our memory.
extern "C" fn live(plan: *mut c_void) -> c_int {
    // SAFETY: the plan outlives this: see where the child is made. System calls only; `_exit` does not return.
    unsafe {
        let plan = &mut *plan.cast::<Plan>();
        let at = if make_ready(plan) { At::Run } else { At::Ready };
        if matches!(at, At::Run) {
            run(plan);
        }
        plan.failed = Some((at, *libc::__errno_location()));
        libc::_exit(127)
    }
}

/// # Safety
/// Only in the child.
unsafe fn make_ready(plan: &Plan) -> bool {
    // SAFETY: system calls on numbers and on what the plan holds.
    unsafe {
        for signal in 1..=64 {
            // Not by the C library, which refuses the signals of its own: they may have been inherited as ignored, too.
            let default_action = [0_u64; 4];
            let nothing = ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default_action.as_ptr(), nothing, size_of::<u64>());
        }
        let ready = libc::setsid() != -1
            && libc::chdir(c"/".as_ptr()) == 0
            && libc::dup2(plan.input, 0) == 0
            && libc::dup2(plan.output, 1) == 1
            && libc::dup2(plan.output, 2) == 2;
        match &plan.close {
            Close::Range => {
                libc::syscall(libc::SYS_close_range, 3, c_int::MAX, 0);
            }
            Close::Listed(descriptors) => {
                for descriptor in descriptors {
                    libc::close(*descriptor);
                }
            }
        }
        if let Some(limit) = &plan.descriptors {
            libc::setrlimit(libc::RLIMIT_NOFILE, limit);
        }
        ready
    }
}

/// Returns only when the program cannot be run.
///
/// # Safety
/// Only in the child.
unsafe fn run(plan: &Plan) {
    // SAFETY: all pointers lead to strings, and to lists that end in a null pointer, of the plan or of whoever made it.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const plan.no_signal, ptr::null_mut());
        libc::execve(plan.path, plan.arguments.as_ptr(), plan.environment.as_ptr());
        if *libc::__errno_location() == libc::ENOEXEC {
            libc::execve(SHELL.as_ptr(), plan.shell_arguments.as_ptr(), plan.environment.as_ptr());
        }
    }
}

/// Whether descriptors can be closed all at once. A filter of system calls may forbid what the kernel knows.
fn range_works() -> bool {
    // SAFETY: there is no such descriptor to close.
    unsafe { libc::syscall(libc::SYS_close_range, c_int::MAX, c_int::MAX, 0) == 0 }
}

/// Descriptors above the standard ones that are open now. Whatever is opened later by another of our threads closes itself.
fn inherited() -> Vec<RawFd> {
    const UNLISTED: RawFd = 4096;
    match fs::read_dir("/proc/self/fd") {
        Ok(items) => {
            let numbers = items.flatten().filter_map(|item| item.file_name().to_str()?.parse().ok());
            numbers.filter(|number| *number > 2).collect()
        }
        Err(_) => (3..UNLISTED).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::process::{WaitOptions, waitpid};

    use super::*;

    fn run_with(close: Close, script: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script");
        // Written by another process: nobody here holds it open for writing when it is run.
        let made = std::process::Command::new("/bin/sh")
            .args(["-c", "printf %s \"$2\" >\"$1\" && chmod 755 \"$1\"", "-"])
            .args([path.as_os_str(), script.as_ref()])
            .status();
        assert!(made.unwrap().success());
        let output = fs::File::create(folder.path().join("output")).unwrap();
        let null = fs::File::open("/dev/null").unwrap();
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let environment = [c"PATH=/usr/bin:/bin".to_owned()];
        // As something that was inherited: it does not close itself.
        let (left_open, _other) = std::io::pipe().unwrap();
        rustix::io::fcntl_setfd(&left_open, rustix::io::FdFlags::empty()).unwrap();
        let program = Program { path: &path, environment: &environment, input: null.as_fd(), output: output.as_fd() };
        let pid = spawn(&program, close).unwrap();
        let raw = rustix::process::Pid::from_raw(pid.number() as i32);
        waitpid(raw, WaitOptions::empty()).unwrap();
        fs::read_to_string(folder.path().join("output")).unwrap()
    }

    #[test]
    fn a_program_starts_clean_in_a_session_of_its_own() {
        let script = "#!/bin/sh\nls /proc/self/fd | tr '\\n' ' '\npwd\n[ $(ps -o sid= -p $$) = $$ ] && echo leads\n\
                      cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)' | tr -d '\\t\\n'; env | tr '\\n' ' '";
        for close in [Close::Range, Close::Listed(inherited_with_room())] {
            let seen = run_with(close, script);
            // `ls` has the folder that it reads as descriptor 3.
            assert!(seen.starts_with("0 1 2 3 /\nleads\n"), "{seen}");
            let none = "SigBlk:0000000000000000SigIgn:0000000000000000SigCgt:0000000000000000";
            assert!(seen.contains(none), "{seen}");
            assert!(seen.contains("PATH=/usr/bin:/bin "), "{seen}");
        }
    }

    /// The pipe of the test is made later.
    fn inherited_with_room() -> Vec<RawFd> {
        (3..256).chain(inherited()).collect()
    }

    #[test]
    fn a_file_without_a_first_line_is_run_by_the_shell() {
        assert_eq!(run_with(Close::Range, "echo \"by $0 with $#\" | sed 's/ .*script/ script/'"), "by script with 0\n");
    }

    #[test]
    fn what_cannot_be_run_says_why_and_leaves_nobody() {
        let null = fs::File::open("/dev/null").unwrap();
        let program = Program { path: c"/nonexistent", environment: &[], input: null.as_fd(), output: null.as_fd() };
        let failed = session(&program).unwrap_err();
        assert_eq!(failed.to_string(), "it cannot be run: No such file or directory (os error 2)");
    }
}
