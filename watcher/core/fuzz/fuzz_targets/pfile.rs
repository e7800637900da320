//! Any bytes are read without a panic, and what was read can be printed and read again:
//! `cargo +nightly fuzz run pfile -- -max_total_time=60 -max_len=65536`, in `watcher/core`.
#![no_main]

#[path = "../../tests/pfile_support/mod.rs"]
mod pfile_support;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    pfile_support::read_and_print(text);
});
