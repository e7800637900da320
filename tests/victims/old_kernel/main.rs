//! Runs a command as on an old kernel: `old_kernel [--log FILE] [--program FILE IN-PLACE-OF] linux-3.10|rhel-7.9|linux-5.4
//! COMMAND…`. The first two are of the time of RHEL 7; the third has BPF, but less of it than we need. System calls that this kernel does not have are refused as it would refuse them, and it calls itself by that
//! kernel's name. The command has the pid of the launcher; whatever it starts is held to the same. For x86_64: numbers are others elsewhere.

#[cfg(target_arch = "x86_64")]
mod answer;
#[cfg(target_arch = "x86_64")]
mod filter;
#[cfg(target_arch = "x86_64")]
mod launch;
#[cfg(target_arch = "x86_64")]
mod profile;

fn main() {
    #[cfg(target_arch = "x86_64")]
    launch::run();
    #[cfg(not(target_arch = "x86_64"))]
    panic!("which system calls Linux 3.10 had is known here for x86_64 only");
}
