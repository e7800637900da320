//! Harness: victims that do as they are told, the program under test, and waiting with a deadline.

pub mod block;
pub mod bpf_time;
pub mod cost;
pub mod counted;
pub mod family;
pub mod flood;
pub mod host;
pub mod load;
pub mod manager;
pub mod memory;
pub mod netns;
pub mod pcheck;
pub mod program;
pub mod script;
pub mod senses;
pub mod server;
pub mod story;
#[cfg(target_arch = "x86_64")]
pub mod tamper;
pub mod victim;
pub mod wait;

/// Whether this is a guest of `cargo xtask vm`: emulated, each instruction takes ten times as long, and on a busy machine
/// still longer. Its init says so.
pub fn is_emulated() -> bool {
    std::env::var_os("WATCHER_TEST_EMULATED").is_some_and(|value| value == "1")
}

/// Major and minor version of the running kernel.
pub fn kernel() -> (u32, u32) {
    let release = watcher::sys::host::kernel_release();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse().ok());
    (numbers.next().expect("a number"), numbers.next().expect("another one"))
}

/// Whether there is time: stories that could go on for long do so when the environment variable `WATCHER_LONG_TESTS` is 1.
pub fn is_long() -> bool {
    std::env::var_os("WATCHER_LONG_TESTS").is_some_and(|value| value == "1")
}
