//! The victims' side: what a victim says to its test, and how it is told to go on.

use std::io::{self, BufRead as _, Write as _};

/// Says a word to the test.
pub fn say(word: &str) {
    println!("{word}");
    io::stdout().flush().expect("the test listens");
}

/// Waits until the test says to go on.
pub fn wait_for_go() {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).expect("the test speaks");
}

/// Ends this thread only, with this code: what `exit(2)` does, and no C library offers.
pub fn end_thread(code: i32) -> ! {
    // SAFETY: nothing of this thread is used afterwards.
    unsafe { libc::syscall(libc::SYS_exit, code) };
    unreachable!("the thread has ended")
}
