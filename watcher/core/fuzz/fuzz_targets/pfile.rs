//! Any bytes are read without a panic, and what was read can be printed and read again:
//! `cargo xtask fuzz`.
#![no_main]

#[path = "../../tests/pfile_support/mod.rs"]
mod pfile_support;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    pfile_support::read_and_print(text);
});
