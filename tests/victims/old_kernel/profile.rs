//! Which calls old kernels know.

/// `struct seccomp_data`: a call.
pub type Call = libc::seccomp_data;

/// A kernel.
#[derive(Debug)]
pub struct Profile {
    name: &'static str,
    /// What `uname -r` says.
    pub release: &'static str,
    /// Its newest system call, by number.
    pub last: u32,
    /// System calls above that which this kernel has: ports of newer ones.
    pub keeps: &'static [u32],
    /// Old calls with arguments that are newer.
    pub rules: &'static [Rule],
    /// What it has of BPF.
    pub bpf: Option<Bpf>,
    /// Folders that it does not have.
    pub lacks: &'static [&'static str],
}

/// What a kernel has of BPF: the newest of each kind, by its number.
#[derive(Debug)]
pub struct Bpf {
    pub command: u64,
    pub map: u32,
    pub program: u32,
    /// Flags that maps may have.
    pub map_flags: u32,
}

const BTF: &str = "/sys/kernel/btf";
const TRACING: &str = "/sys/kernel/tracing";

const PROFILES: [Profile; 3] = [
    Profile {
        name: "linux-3.10",
        release: "3.10.108",
        last: FINIT_MODULE,
        keeps: &[],
        rules: OF_3_10,
        bpf: None,
        lacks: &[BTF, TRACING],
    },
    Profile {
        name: "rhel-7.9",
        release: "3.10.0-1160.el7.x86_64",
        last: FINIT_MODULE,
        // From sched_setattr to bpf without execveat, then userfaultfd to copy_file_range, and memory protection keys.
        keeps: &[314, 315, 316, 317, 318, 319, 320, BPF, 323, 324, 325, 326, 329, 330, 331],
        rules: OF_3_10,
        // Hash tables and arrays, and programs for tracepoints: no ring buffer, no raw tracepoints, no type information.
        bpf: Some(Bpf { command: 7, map: 11, program: 7, map_flags: 0b11 }),
        lacks: &[BTF, TRACING],
    },
    // Type information and raw tracepoints, but neither a ring buffer nor arrays that can be mapped.
    Profile {
        name: "linux-5.4",
        release: "5.4.302",
        last: libc::SYS_clone3 as u32,
        keeps: &[],
        rules: OF_5_4,
        bpf: Some(Bpf { command: 23, map: 25, program: 25, map_flags: 0x3FF }),
        lacks: &[],
    },
];

/// The newest system call of Linux 3.10.
const FINIT_MODULE: u32 = 313;

pub const BPF: u32 = libc::SYS_bpf as u32;
pub const UNAME: u32 = libc::SYS_uname as u32;

impl Profile {
    pub fn named(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    pub fn has(&self, call: u32) -> bool {
        call <= self.last && (call != BPF || self.bpf.is_some()) || self.keeps.contains(&call)
    }
}

/// What an argument is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    /// From here to there, both included.
    Within(u32, u32),
    /// One of these bits.
    Flagged(u32),
}

/// An old call with an argument that is newer: all of these arguments, by their position, and the error that it gave.
#[derive(Debug)]
pub struct Rule {
    pub call: u32,
    pub arguments: &'static [(usize, Is)],
    pub errno: i32,
}

const ANY: u32 = u32::MAX;
const NEW_SOCKET_OPTION: [(usize, Is); 2] = [(1, Is::Within(1, 1)), (2, Is::Within(46, ANY))];
/// `__O_TMPFILE`; a flag that 3.10 does not know, on a folder that is to be opened for writing.
const TMPFILE: Is = Is::Flagged(0o20_000_000);

const fn rule(call: libc::c_long, arguments: &'static [(usize, Is)], errno: i32) -> Rule {
    Rule { call: call as u32, arguments, errno }
}

/// `PIDFD_GET_INFO` of Linux 6.15, with the size that it has there.
const PIDFD_GET_INFO: Is = Is::Within(0xC040_FF0B, 0xC040_FF0B);

/// Of what watcher uses, this is newer than Linux 5.4.
const OF_5_4: &[Rule] = &[rule(libc::SYS_ioctl, &[(1, PIDFD_GET_INFO)], libc::ENOTTY)];

/// All that is newer than Linux 3.10.
const OF_3_10: &[Rule] = &[
    rule(libc::SYS_clone, &[(0, Is::Flagged(libc::CLONE_PIDFD as u32))], libc::EINVAL),
    rule(libc::SYS_waitid, &[(0, Is::Within(libc::P_PIDFD, ANY))], libc::EINVAL),
    // Up to PR_GET_TID_ADDRESS; but not those of security modules, which have large numbers.
    rule(libc::SYS_prctl, &[(0, Is::Within(41, 0xFFFF))], libc::EINVAL),
    rule(libc::SYS_prctl, &[(0, Is::Within(libc::PR_SET_VMA as u32, libc::PR_SET_VMA as u32))], libc::EINVAL),
    rule(libc::SYS_madvise, &[(2, Is::Within(libc::MADV_FREE as u32, libc::MADV_FREE as u32))], libc::EINVAL),
    rule(libc::SYS_madvise, &[(2, Is::Within(libc::MADV_DODUMP as u32 + 1, 99))], libc::EINVAL),
    // Locks of open files, then seals and hints.
    rule(libc::SYS_fcntl, &[(1, Is::Within(libc::F_OFD_GETLK as u32, libc::F_OFD_SETLKW as u32))], libc::EINVAL),
    rule(libc::SYS_fcntl, &[(1, Is::Within(libc::F_ADD_SEALS as u32, ANY))], libc::EINVAL),
    rule(libc::SYS_setsockopt, &NEW_SOCKET_OPTION, libc::ENOPROTOOPT),
    rule(libc::SYS_getsockopt, &NEW_SOCKET_OPTION, libc::ENOPROTOOPT),
    rule(libc::SYS_open, &[(1, TMPFILE)], libc::EISDIR),
    rule(libc::SYS_openat, &[(2, TMPFILE)], libc::EISDIR),
];

impl Rule {
    pub fn refuses(&self, call: &Call) -> bool {
        let holds = |(at, is): &(usize, Is)| {
            let argument = call.args[*at] as u32;
            match is {
                Is::Within(from, to) => (*from..=*to).contains(&argument),
                Is::Flagged(bits) => argument & bits != 0,
            }
        };
        call.nr as u32 == self.call && self.arguments.iter().all(holds)
    }
}

/// How the kernel refuses what only newer ones know.
pub fn errno(profile: &Profile, call: &Call) -> i32 {
    if !profile.has(call.nr as u32) {
        return libc::ENOSYS;
    }
    profile.rules.iter().find(|rule| rule.refuses(call)).map_or(libc::EINVAL, |rule| rule.errno)
}
