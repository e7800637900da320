//! The only writes to user space: a record in the ring buffer, or a count of what could not be delivered.

use core::{arch::asm, mem::offset_of};

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel_buf};
use watcher_abi::{COMM_LEN, ExitRecord, Stats};

use crate::maps::{EVENTS, STATS, config};

/// A record before it is written: what the ring entry is filled from.
pub struct Record {
    pub kind: u32,
    pub pid: u32,
    pub start_ns: u64,
    pub generation: u64,
    pub wait_status: u32,
    pub last_tid: u32,
    /// Address of the command name in kernel memory.
    pub comm: u64,
}

#[inline(always)]
pub fn emit(record: Record) {
    count(offset_of!(Stats, claimed));
    let Some(mut entry) = EVENTS.reserve::<ExitRecord>(0) else { return count_lost() };
    let Record { kind, pid, start_ns, generation, wait_status, last_tid, comm } = record;
    let mut name = [0; COMM_LEN];
    // SAFETY: the helper checks the address. Without a name the record still says who died.
    let _ = unsafe { bpf_probe_read_kernel_buf(comm as *const u8, &mut name) };
    // SAFETY: the helper has no precondition.
    let stamp_ns = unsafe { bpf_ktime_get_ns() }.wrapping_add_signed(config!(monotonic_offset_ns));
    entry.write(ExitRecord { kind, pid, stamp_ns, start_ns, generation, wait_status, last_tid, comm: name });
    // No flags: wakes user space only when it had caught up.
    entry.submit(0);
}

/// A death of which nothing can be told.
#[inline(always)]
pub fn count_unreadable() {
    count(offset_of!(Stats, claimed));
    count_lost();
}

#[inline(always)]
fn count_lost() {
    count(offset_of!(Stats, lost));
}

#[inline(always)]
pub fn count_stale() {
    count(offset_of!(Stats, stale));
}

/// Adds one to a counter, atomically: any CPU may be doing the same. (The BPF target of rustc has no such operation on
/// its atomic types.)
#[inline(always)]
fn count(offset: usize) {
    let Some(stats) = STATS.get_ptr_mut(0) else { return };
    // SAFETY: the offset is that of a 64-bit member, so the address is aligned and inside the map value.
    unsafe {
        asm!(
            "lock *(u64 *)({address} + 0) += {one}",
            address = in(reg) stats.byte_add(offset),
            one = in(reg) 1_u64,
        );
    }
}
