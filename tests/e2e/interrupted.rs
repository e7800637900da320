//! Signals that come while a tier is put to the test: what waits goes on waiting.

use std::{
    mem, ptr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use watcher::{
    executor::proc_events::ProcEvents,
    kernel::{Exactness, Handles, Sizes},
};
use watcher_tests::host::tier_is_wanted;

extern "C" fn ignore(_: libc::c_int) {}

/// Interrupts this thread, time and again, in whatever it waits for.
fn while_interrupted(pause: Duration, work: impl FnOnce()) {
    // SAFETY: zeros are a valid action; with no flags, no call is begun anew by the kernel. The handler does nothing.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &raw const action, ptr::null_mut()), 0);
    }
    // SAFETY: numbers only.
    let (process, this) = unsafe { (libc::getpid(), libc::gettid()) };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // SAFETY: the thread lives as long as this scope.
                unsafe { libc::syscall(libc::SYS_tgkill, process, this, libc::SIGUSR2) };
                thread::sleep(pause);
            }
        });
        // It ends, or the other one would go on for ever.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn signals_do_not_fail_the_test_of_the_process_connector() {
    if !tier_is_wanted("connector") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    while_interrupted(Duration::from_micros(20), || {
        for _ in 0..100 {
            ProcEvents::open(64).unwrap();
        }
    });
}

#[test]
fn signals_do_not_fail_the_test_of_the_kernel_programs() {
    if !tier_is_wanted("ebpf") {
        return;
    }
    let lacking = || {
        let handles = Handles::load(Sizes::for_processes(16), Exactness::AsOffered).unwrap();
        handles.programs.lacking().clone()
    };
    let begun = Instant::now();
    let undisturbed = lacking();
    // Far more signals than anybody gets, and still a program can be loaded between two of them, also on a busy machine.
    let pause = (begun.elapsed() / 10).max(Duration::from_millis(2));
    while_interrupted(pause, || {
        for _ in 0..10 {
            assert_eq!(lacking(), undisturbed);
        }
    });
}
