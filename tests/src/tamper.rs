//! Breaks a running program from outside: its descriptors are replaced under it, by system calls that it is made to do.

use std::{fs, mem, os::unix::fs::FileExt as _, path::Path};

use watcher_core::Pid;

/// A descriptor of another process: its number, what it is, and what the kernel says of it.
#[derive(Clone, Debug)]
pub struct Descriptor {
    pub number: i32,
    pub link: String,
    pub info: String,
}

/// All descriptors of a process.
pub fn descriptors(pid: Pid) -> Vec<Descriptor> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let one = |path: &Path| {
        let number = path.file_name()?.to_str()?.parse().ok()?;
        let link = fs::read_link(path).ok()?.to_string_lossy().into_owned();
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
        Some(Descriptor { number, link, info })
    };
    folder.filter_map(|item| one(&item.ok()?.path())).collect()
}

/// Links of BPF programs to where they are attached.
pub fn bpf_links(pid: Pid) -> Vec<Descriptor> {
    chosen(pid, |descriptor| descriptor.link.contains("bpf_link") || descriptor.link.contains("bpf-raw-tracepoint"))
}

/// All that has to do with BPF.
pub fn bpf(pid: Pid) -> Vec<Descriptor> {
    chosen(pid, |descriptor| descriptor.link.starts_with("anon_inode:bpf"))
}

/// Sets of pidfds: not that of the runtime, which has none.
pub fn pidfd_sets(pid: Pid) -> Vec<Descriptor> {
    let is_pidfd = |number: &str| {
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}"));
        link.is_ok_and(|link| link.to_string_lossy().contains("pid"))
    };
    chosen(pid, |Descriptor { link, info, .. }| {
        let members = info.lines().filter_map(|line| line.strip_prefix("tfd:")?.split_whitespace().next());
        link == "anon_inode:[eventpoll]" && members.into_iter().any(is_pidfd)
    })
}

/// Sockets of the process connector.
pub fn connectors(pid: Pid) -> Vec<Descriptor> {
    const NETLINK_CONNECTOR: &str = "11";
    let table = fs::read_to_string("/proc/net/netlink").expect("/proc is there");
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows =
        table.lines().skip(1).map(columns).filter(|row| row.get(1).is_some_and(|kind| kind == NETLINK_CONNECTOR));
    let inodes: Vec<_> = rows.filter_map(|row| Some(format!("socket:[{}]", row.last()?))).collect();
    chosen(pid, |descriptor| inodes.contains(&descriptor.link))
}

fn chosen(pid: Pid, wanted: impl Fn(&Descriptor) -> bool) -> Vec<Descriptor> {
    descriptors(pid).into_iter().filter(|descriptor| wanted(descriptor)).collect()
}

/// Puts standard input of the process in the place of each of these. Their numbers stay in use: what it closes later is
/// nothing else. Only of a child of this thread, or where ptrace is allowed; x86_64 only.
pub fn replace(pid: Pid, descriptors: &[Descriptor]) {
    assert!(!descriptors.is_empty(), "there is nothing to replace");
    let tracee = Tracee::stop(pid);
    for descriptor in descriptors {
        let number = descriptor.number as u64;
        assert_eq!(tracee.call(libc::SYS_dup2 as u64, [0, number]), number, "{}", descriptor.link);
    }
}

struct Tracee(libc::pid_t);

impl Tracee {
    fn stop(pid: Pid) -> Self {
        let tracee = Self(pid.number() as i32);
        tracee.ptrace(libc::PTRACE_SEIZE, 0);
        tracee.ptrace(libc::PTRACE_INTERRUPT, 0);
        tracee.wait();
        if !tracee.is_behind_a_call() {
            // It was stopped while it did something of its own: on to the begin of the next call, and to its end.
            for _ in 0..2 {
                tracee.ptrace(libc::PTRACE_SYSCALL, 0);
                tracee.wait();
            }
            assert!(tracee.is_behind_a_call(), "it makes its calls otherwise");
        }
        tracee
    }

    fn is_behind_a_call(&self) -> bool {
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        let mut bytes = [0; 2];
        let memory = fs::File::open(format!("/proc/{}/mem", self.0)).expect("it is ours to trace");
        memory.read_exact_at(&mut bytes, self.registers().rip - 2).is_ok() && bytes == SYSCALL
    }

    fn ptrace(&self, request: libc::c_uint, data: u64) {
        // SAFETY: the pointers that are passed as `data` are those of `registers` and `set_registers`.
        let done = unsafe { libc::ptrace(request, self.0, 0_u64, data) };
        assert_eq!(done, 0, "ptrace {request:#x}: {}", std::io::Error::last_os_error());
    }

    fn wait(&self) {
        let mut status = 0;
        // SAFETY: the status is ours. Of its threads only the first is traced.
        let waited = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL) };
        assert!(waited == self.0 && libc::WIFSTOPPED(status), "it is not stopped: {status:#x}");
    }

    fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: numbers only, of which the kernel fills in all.
        let mut registers: libc::user_regs_struct = unsafe { mem::zeroed() };
        self.ptrace(libc::PTRACE_GETREGS, &raw mut registers as u64);
        registers
    }

    fn set_registers(&self, registers: &libc::user_regs_struct) {
        self.ptrace(libc::PTRACE_SETREGS, &raw const *registers as u64);
    }

    /// The instruction before the next one is that which makes such calls.
    fn call(&self, number: u64, [one, two]: [u64; 2]) -> u64 {
        let before = self.registers();
        let mut registers = before;
        // It is not to be begun anew, either.
        (registers.rip, registers.orig_rax) = (before.rip - 2, u64::MAX);
        (registers.rax, registers.rdi, registers.rsi) = (number, one, two);
        self.set_registers(&registers);
        self.ptrace(libc::PTRACE_SINGLESTEP, 0);
        self.wait();
        let result = self.registers().rax;
        self.set_registers(&before);
        result
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        self.ptrace(libc::PTRACE_DETACH, 0);
    }
}
