//! Answers what the filter leaves: `uname`, `bpf` as such a kernel has it, and everything refused that is to be counted.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, IoSliceMut, Write as _},
    mem::{MaybeUninit, zeroed},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
};

use crate::profile::{BPF, Bpf, Call, Profile, UNAME, errno};

const NAMES: [(libc::c_long, &str); 20] = [
    (libc::SYS_bpf, "bpf"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_close_range, "close_range"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_epoll_pwait2, "epoll_pwait2"),
    (libc::SYS_faccessat2, "faccessat2"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_getrandom, "getrandom"),
    (libc::SYS_memfd_create, "memfd_create"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_openat2, "openat2"),
    (libc::SYS_pidfd_open, "pidfd_open"),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
    (libc::SYS_prctl, "prctl"),
    (libc::SYS_preadv2, "preadv2"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_rseq, "rseq"),
    (libc::SYS_statx, "statx"),
    (libc::SYS_waitid, "waitid"),
];

/// Answers until nobody is left to ask. `from` brings the descriptor by which they do.
pub fn all(from: BorrowedFd<'_>, profile: &Profile, mut log: Option<File>, program: &str) {
    // Signals to the command's group or terminal are not for this process, and its output is not to be held open.
    rustix::process::setsid().expect("it leads no group yet");
    let listener = listener(from).expect("the launcher sends it");
    let kept = [Some(listener.as_raw_fd()), log.as_ref().map(|log| log.as_raw_fd())];
    for descriptor in (0..1024).filter(|descriptor| !kept.contains(&Some(*descriptor))) {
        // SAFETY: nothing here uses it any more.
        unsafe { libc::close(descriptor) };
    }
    let mut refused = BTreeMap::<u32, u64>::new();
    while let Ok(call) = next(&listener) {
        let number = call.data.nr as u32;
        let (error, flags) = match judge(profile, &call) {
            Judgement::Answered => (0, 0),
            Judgement::Allowed => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Judgement::Refused(errno) => {
                *refused.entry(number).or_default() += 1;
                (-errno, 0)
            }
        };
        let mut response = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
        // SAFETY: the kernel reads a response. Whoever asked may be gone.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) };
    }
    let names: BTreeMap<_, _> = NAMES.iter().map(|(number, name)| (*number as u32, *name)).collect();
    let lines: String = refused
        .iter()
        .map(|(number, count)| format!("{program}: {} ({number}): {count}\n", names.get(number).unwrap_or(&"?")))
        .collect();
    if let Some(log) = &mut log {
        // In one piece: others write to it, too.
        let _written = log.write_all(lines.as_bytes());
    }
}

fn listener(from: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The next call; an error when nobody is left.
fn next(listener: &impl AsFd) -> io::Result<libc::seccomp_notif> {
    loop {
        let mut polled = [PollFd::new(listener, PollFlags::IN)];
        poll(&mut polled, None)?;
        if !polled[0].revents().contains(PollFlags::IN) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // SAFETY: zeros are wanted, and the kernel writes a call into them.
        let (answer, call) = unsafe {
            let mut call: libc::seccomp_notif = zeroed();
            let listener = listener.as_fd().as_raw_fd();
            (libc::ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call), call)
        };
        // Who asked may have been killed meanwhile.
        if answer == 0 {
            return Ok(call);
        }
    }
}

enum Judgement {
    Answered,
    Allowed,
    Refused(i32),
}

fn judge(profile: &Profile, call: &libc::seccomp_notif) -> Judgement {
    let libc::seccomp_notif { id: _, pid, flags: _, data } = call;
    match data.nr as u32 {
        UNAME => match uname(*pid, data, profile.release) {
            Ok(()) => Judgement::Answered,
            Err(error) => Judgement::Refused(error.raw_os_error().unwrap_or(libc::EFAULT)),
        },
        number => match &profile.bpf {
            Some(known) if number == BPF => bpf(known, *pid, data),
            _ => Judgement::Refused(errno(profile, data)),
        },
    }
}

/// As this kernel answers it, but for the release.
fn uname(pid: u32, call: &Call, release: &str) -> io::Result<()> {
    // SAFETY: zeros are a valid structure, which the kernel fills in; its bytes may be looked at.
    unsafe {
        let mut answer: libc::utsname = zeroed();
        libc::uname(&raw mut answer);
        answer.release.fill(0);
        for (to, from) in answer.release.iter_mut().zip(release.bytes()) {
            *to = from as libc::c_char;
        }
        let from = libc::iovec { iov_base: (&raw mut answer).cast(), iov_len: size_of_val(&answer) };
        let to = libc::iovec { iov_base: call.args[0] as *mut libc::c_void, iov_len: from.iov_len };
        let written = libc::process_vm_writev(pid as i32, &raw const from, 1, &raw const to, 1, 0);
        if written == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// What it has of BPF is left to the running kernel.
fn bpf(known: &Bpf, pid: u32, call: &Call) -> Judgement {
    const MAP_CREATE: u64 = 0;
    const PROG_LOAD: u64 = 5;
    let Bpf { command, map, program, map_flags } = known;
    let newest = match call.args[0] {
        MAP_CREATE => *map,
        PROG_LOAD => *program,
        known if known <= *command => return Judgement::Allowed,
        _ => return Judgement::Refused(libc::EINVAL),
    };
    // Both begin with their kind; of a map, size of a key, size of a value, number of entries and flags follow.
    let mut words = [0_u32; 5];
    // SAFETY: that many bytes into as many bytes; whether they can be read is for the kernel to say.
    let read = unsafe {
        let to = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
        let from = libc::iovec { iov_base: call.args[1] as *mut libc::c_void, iov_len: to.iov_len };
        libc::process_vm_readv(pid as i32, &raw const to, 1, &raw const from, 1, 0)
    };
    let [kind, _, _, _, flags] = words;
    let is_known = kind <= newest && (call.args[0] != MAP_CREATE || flags & !map_flags == 0);
    if read == 20 && is_known { Judgement::Allowed } else { Judgement::Refused(libc::EINVAL) }
}
