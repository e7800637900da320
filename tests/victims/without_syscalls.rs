//! Runs a command on a hostile host: `without_syscalls ERRNO NAME[,NAME…] COMMAND…` answers these system calls with
//! ERRNO (`EPERM` as container runtimes do, `ENOSYS` as kernels that lack them).

use std::{collections::BTreeMap, env, os::unix::process::CommandExt as _, process::Command};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

fn main() {
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().expect("usage: without_syscalls ERRNO NAME[,NAME…] COMMAND…");
    let errno = match next().as_str() {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        other => panic!("unknown errno {other}"),
    };
    let refused: BTreeMap<_, _> = next().split(',').map(|name| (number(name), Vec::new())).collect();
    let program = next();
    let arch = TargetArch::try_from(env::consts::ARCH).expect("a machine that seccomp filters know");
    let filter = SeccompFilter::new(refused, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch);
    let filter: BpfProgram = filter.and_then(BpfProgram::try_from).expect("a filter");
    if let Err(error) = apply_filter(&filter) {
        // Before Linux 3.17 there is no system call for it; what else is needed has been done.
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr() as *mut libc::sock_filter };
        // SAFETY: the kernel reads the filter, which has the layout that it wants.
        let taken = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
        assert_eq!(taken, 0, "the filter is taken: {error}");
    }
    panic!("{program} did not start: {}", Command::new(&program).args(arguments).exec());
}

fn number(name: &str) -> i64 {
    match name {
        "bpf" => libc::SYS_bpf,
        "pidfd_open" => libc::SYS_pidfd_open,
        "socket" => libc::SYS_socket,
        other => panic!("unknown system call {other}"),
    }
}
