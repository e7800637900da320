//! The kernel programs. They notice, filter and send; they never decide.
//!
//! One hook a file; all maps in `maps`, all reads of kernel memory in `task` and `sock`, all writes to the ring in `emit`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod emit;
mod exec;
mod exit;
mod interest;
mod maps;
mod memory;
mod oom;
mod ports;
mod pressure;
mod signal;
mod sock;
mod state;
mod synack;
mod task;

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::exit::Turn;

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn on_exit(ctx: RawTracePointContext) -> i32 {
    exit::on_exit(&ctx, Turn::First);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn on_exit_again(ctx: RawTracePointContext) -> i32 {
    exit::on_exit(&ctx, Turn::Second);
    0
}

#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn on_signal(ctx: RawTracePointContext) -> i32 {
    signal::on_signal(&ctx);
    0
}

#[raw_tracepoint(tracepoint = "mark_victim")]
pub fn on_out_of_memory(ctx: RawTracePointContext) -> i32 {
    oom::on_out_of_memory(&ctx);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn on_exec(ctx: RawTracePointContext) -> i32 {
    exec::on_exec(&ctx);
    0
}

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn on_state(ctx: RawTracePointContext) -> i32 {
    state::on_state(&ctx);
    0
}

#[raw_tracepoint(tracepoint = "tcp_retransmit_synack")]
pub fn on_synack(ctx: RawTracePointContext) -> i32 {
    synack::on_synack(&ctx);
    0
}

#[raw_tracepoint(tracepoint = "sock_exceed_buf_limit")]
pub fn on_memory(ctx: RawTracePointContext) -> i32 {
    pressure::on_memory(&ctx);
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
