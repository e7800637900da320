//! Processes that die one after the other, each writing down when it did.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use rustix::{
    mm::{MapFlags, ProtFlags, mmap_anonymous},
    pipe::pipe,
};
use watcher::sys::clock;
use watcher_core::{Mono, Pid, ProcId};
use watcher_tests::victim::identity;

/// Time between two deaths: long enough that they do not meet.
const PACE: Duration = Duration::from_micros(700);

/// A herd whose members wait to die. All of them end with this value.
pub(crate) struct Herd {
    members: Vec<ProcId>,
    stamps: &'static [AtomicU64],
    keeper: libc::pid_t,
    start: OwnedFd,
}

impl Herd {
    /// A keeper process forks the members, and later lets them die; the measuring process only measures.
    pub(crate) fn gather(count: usize) -> Self {
        Self::gather_of_whom_die(count, count)
    }

    /// The same, of whom only the first so many will die.
    pub(crate) fn gather_of_whom_die(count: usize, deaths: usize) -> Self {
        let stamps = shared_words(count * 2);
        let (pids, stamps) = stamps.split_at(count);
        let (started, start) = pipe().expect("a pipe");
        // SAFETY: one thread so far; the keeper only makes system calls.
        let keeper = unsafe { libc::fork() };
        if keeper == 0 {
            keep(pids, stamps, deaths, &started);
        }
        let members = pids.iter().map(|pid| identity(await_pid(pid))).collect();
        Self { members, stamps, keeper, start }
    }

    pub(crate) fn members(&self) -> &[ProcId] {
        &self.members
    }

    /// From now on one member dies after the other.
    pub(crate) fn let_die(&self) {
        rustix::io::write(&self.start, &[0]).expect("the keeper listens");
    }

    /// When a member called `_exit`.
    pub(crate) fn died_at(&self, proc: ProcId) -> Mono {
        let index = self.members.iter().position(|member| *member == proc).expect("a member");
        Mono(self.stamps[index].load(Ordering::Acquire))
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        // SAFETY: no memory is involved; the members die with their keeper.
        unsafe {
            libc::kill(self.keeper, libc::SIGKILL);
            libc::waitpid(self.keeper, ptr::null_mut(), 0);
        }
    }
}

fn keep(pids: &[AtomicU64], stamps: &[AtomicU64], deaths: usize, started: &OwnedFd) -> ! {
    // SAFETY: system calls without memory, here and in `member`.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let keeper = std::process::id();
    let (turn, next) = pipe().expect("a pipe");
    for (pid, stamp) in pids.iter().zip(stamps) {
        // SAFETY: one thread; the child only makes system calls.
        match unsafe { libc::fork() } {
            0 => member(keeper, &turn, stamp),
            child => pid.store(child as u64, Ordering::Release),
        }
    }
    let mut byte = [0];
    rustix::io::read(started, &mut byte).expect("the measuring process speaks");
    for _ in 0..deaths {
        thread::sleep(PACE);
        rustix::io::write(&next, &byte).expect("members wait");
    }
    loop {
        // SAFETY: as above.
        unsafe { libc::pause() };
    }
}

fn member(keeper: u32, turn: &OwnedFd, stamp: &AtomicU64) -> ! {
    let mut byte = 0_u8;
    // SAFETY: one byte into one byte; `_exit` does not return.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // The keeper may have gone before that.
        if libc::getppid() as u32 != keeper {
            libc::_exit(0);
        }
        libc::read(turn.as_raw_fd(), (&raw mut byte).cast(), 1);
        stamp.store(clock::now().0, Ordering::Release);
        libc::_exit(0)
    }
}

fn await_pid(pid: &AtomicU64) -> Pid {
    loop {
        if let Some(pid) = Pid::new(pid.load(Ordering::Acquire) as u32) {
            return pid;
        }
        thread::yield_now();
    }
}

fn shared_words(count: usize) -> &'static [AtomicU64] {
    let length = count * size_of::<AtomicU64>();
    // SAFETY: fresh zeroed pages, which are valid words; they are never unmapped.
    unsafe {
        let pages = mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        std::slice::from_raw_parts(pages.expect("memory").cast(), count)
    }
}
