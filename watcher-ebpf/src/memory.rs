//! Reads kernel memory at an address that somebody found in a kernel structure: for `task` and `sock` only.

use aya_ebpf::{cty::c_void, helpers::generated::bpf_probe_read_kernel};

/// The integer that lies at this offset of a structure.
#[inline(always)]
pub fn read<T: Default>(base: u64, offset: u32) -> Option<T> {
    let mut value = T::default();
    let address = (base + u64::from(offset)) as *const c_void;
    // SAFETY: the helper checks the address and fails instead of faulting; every `T` used here is a plain integer.
    let failed = unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, address) };
    (failed == 0).then_some(value)
}
