//! The kernel programs. They notice, filter and send; they never decide.
//!
//! One hook a file; all maps in `maps`, all reads of kernel memory in `task`, all writes to the ring in `emit`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod emit;
mod exit;
mod interest;
mod maps;
mod task;

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn on_exit(ctx: RawTracePointContext) -> i32 {
    exit::on_exit(&ctx);
    0
}

/// Helpers that read kernel memory are open to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
