//! The only writes to user space: a record in the ring buffer, or a count of what could not be delivered.

use core::{arch::asm, mem::offset_of};

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel_buf};
use watcher_abi::{Blame, COMM_LEN, ExecRecord, ExitRecord, SocketRecord, Stats};

use crate::maps::{EVENTS, STATS, config};

/// A death before it is written: what the ring entry is filled from.
pub struct Death {
    pub kind: u32,
    pub pid: u32,
    pub start_ns: u64,
    pub generation: u64,
    pub wait_status: u32,
    pub last_tid: u32,
    /// Address of the command name in kernel memory.
    pub comm: u64,
    pub blame: Blame,
}

#[inline(always)]
pub fn death(death: Death) {
    count(offset_of!(Stats, claimed));
    let Some(mut entry) = EVENTS.reserve::<ExitRecord>(0) else { return count_lost() };
    let Death { kind, pid, start_ns, generation, wait_status, last_tid, comm, blame } = death;
    let mut name = [0; COMM_LEN];
    // SAFETY: the helper checks the address. Without a name the record still says who died.
    let _ = unsafe { bpf_probe_read_kernel_buf(comm as *const u8, &mut name) };
    let stamp_ns = stamp_ns();
    entry.write(ExitRecord { kind, pid, stamp_ns, start_ns, generation, wait_status, last_tid, comm: name, blame });
    // No flags: wakes user space only when it had caught up.
    entry.submit(0);
}

/// The present, on the daemon's monotonic clock.
#[inline(always)]
pub fn stamp_ns() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }.wrapping_add_signed(config!(monotonic_offset_ns))
}

/// A start. It is no death: the counters of deaths must not hear of it, since user space waits until these add up.
#[inline(always)]
pub fn start(record: ExecRecord) {
    let Some(mut entry) = EVENTS.reserve::<ExecRecord>(0) else { return count_lost_exec() };
    entry.write(record);
    entry.submit(0);
}

#[inline(always)]
pub fn count_lost_exec() {
    count(offset_of!(Stats, lost_execs));
}

/// Something about sockets: no death either. Says whether it could be told.
#[inline(always)]
pub fn socket(record: SocketRecord) -> bool {
    let Some(mut entry) = EVENTS.reserve::<SocketRecord>(0) else {
        count(offset_of!(Stats, lost_sockets));
        return false;
    };
    entry.write(record);
    entry.submit(0);
    true
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

/// Not counted: it stays so.
#[inline(always)]
pub fn note_interruptible() {
    let Some(stats) = STATS.get_ptr_mut(0) else { return };
    // SAFETY: a value of the map, of which others write the same.
    unsafe { (*stats).interruptible = 1 };
}

#[inline(always)]
fn count(offset: usize) {
    let Some(stats) = STATS.get_ptr_mut(0) else { return };
    // SAFETY: the offset is that of a 64-bit member, so the address is aligned and inside the map value.
    unsafe { add(stats.byte_add(offset).cast(), 1) };
}

/// Adds to a counter, atomically: any CPU may be doing the same. (The BPF target of rustc has no such operation on its
/// atomic types.)
///
/// # Safety
/// The address is that of a word inside a map value.
#[inline(always)]
pub unsafe fn add(counter: *mut i64, change: i64) {
    // SAFETY: as the caller says.
    unsafe {
        asm!(
            "lock *(u64 *)({address} + 0) += {change}",
            address = in(reg) counter,
            change = in(reg) change,
        );
    }
}
