//! Survives signals: SIGTERM makes it exit with code 0, as a well-behaved service does, SIGUSR1 nothing. Told to go, it
//! sends itself SIGUSR1 and faults once on purpose, as language runtimes do, and goes on; told again, it aborts.

use std::{
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use watcher_tests::script::{say, wait_for_go};

const PAGE: usize = 4096;

static FORBIDDEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn exit(_signal: i32) {
    // SAFETY: allowed in a handler.
    unsafe { libc::_exit(0) }
}

extern "C" fn nothing(_signal: i32) {}

extern "C" fn allow(_signal: i32) {
    let page = FORBIDDEN.load(Ordering::SeqCst);
    // SAFETY: the page that this program mapped for it.
    unsafe { mprotect(page as *mut _, PAGE, MprotectFlags::READ | MprotectFlags::WRITE) }.expect("its own page");
}

fn main() {
    // SAFETY: a fresh mapping, and handlers that only make system calls.
    let page = unsafe {
        let page = mmap_anonymous(ptr::null_mut(), PAGE, ProtFlags::empty(), MapFlags::PRIVATE).expect("a page");
        FORBIDDEN.store(page as usize, Ordering::SeqCst);
        libc::signal(libc::SIGTERM, exit as *const () as usize);
        libc::signal(libc::SIGUSR1, nothing as *const () as usize);
        libc::signal(libc::SIGSEGV, allow as *const () as usize);
        page.cast::<u8>()
    };
    say("ready");
    wait_for_go();
    // SAFETY: the handler makes the page writable.
    unsafe {
        libc::raise(libc::SIGUSR1);
        page.write_volatile(1);
    }
    say("survived");
    wait_for_go();
    std::process::abort();
}
