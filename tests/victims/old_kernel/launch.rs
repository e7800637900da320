//! Starts the command: in a mount namespace of its own, behind the filter, and with somebody beside it who answers.

use std::{
    env,
    ffi::{CString, OsStr},
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, process::CommandExt as _},
    },
    process::Command,
    ptr,
};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};

use crate::{answer, filter, profile::Profile};

const USAGE: &str =
    "usage: old_kernel [--log FILE] [--program FILE IN-PLACE-OF] linux-3.10|rhel-7.9|linux-5.4 COMMAND…";

/// Becomes the command.
pub fn run() -> ! {
    let mut words = env::args_os().skip(1);
    let mut next = || words.next().expect(USAGE);
    let (mut log, mut swap) = (None, None);
    let profile = loop {
        let word = next();
        match word.to_str() {
            Some("--log") => log = Some(next()),
            Some("--program") => swap = Some((next(), next())),
            name => break name.and_then(Profile::named).expect(USAGE),
        }
    };
    let program = next();

    let log =
        log.map(|log| fs::OpenOptions::new().append(true).create(true).open(log).expect("the log can be written"));
    let is_logged = log.is_some();
    let (here, there) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket pair");
    aside(|| answer::all(there.as_fd(), profile, log, &program.to_string_lossy()));
    drop(there);
    if rustix::process::geteuid().is_root() {
        hide_what_is_newer(profile).expect("a mount namespace of its own");
        if let Some((file, in_place_of)) = swap {
            mount(&file, &in_place_of, None, libc::MS_BIND).expect("one file can stand for the other");
        }
    } else {
        assert!(swap.is_none(), "only root can have one file stand for another");
    }
    let listener = apply(&filter::program(profile, is_logged)).expect("the kernel takes the filter");
    let descriptors = [listener.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(&here, &[io::IoSlice::new(b"!")], &mut ancillary, SendFlags::empty()).expect("somebody answers");
    drop((here, listener));
    panic!("{} did not start: {}", program.display(), Command::new(&program).args(words).exec());
}

/// Does something in a process that is no child of this one: the command must not see a child that it did not start.
fn aside(action: impl FnOnce()) {
    // SAFETY: there is one thread only, so a child can do whatever this process can.
    unsafe {
        match libc::fork() {
            0 => match libc::fork() {
                0 => {
                    action();
                    libc::_exit(0)
                }
                child => libc::_exit(i32::from(child == -1)),
            },
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child, "a process can be made");
                assert_eq!(status, 0, "two processes can be made");
            }
        }
    }
}

/// The files by which a kernel tells how new it is.
fn hide_what_is_newer(profile: &Profile) -> io::Result<()> {
    let file = env::temp_dir().join(format!("old-kernel-{}", std::process::id()));
    fs::write(&file, format!("{}\n", profile.release))?;
    // SAFETY: no memory is involved; there is one thread only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let none = OsStr::new("none");
    mount(none, "/".as_ref(), None, libc::MS_REC | libc::MS_SLAVE)?;
    let bound = mount(file.as_os_str(), "/proc/sys/kernel/osrelease".as_ref(), None, libc::MS_BIND);
    fs::remove_file(file)?;
    bound?;
    for folder in profile.lacks.iter().filter(|folder| fs::exists(folder).unwrap_or(false)) {
        mount(none, folder.as_ref(), Some("tmpfs"), 0)?;
    }
    Ok(())
}

fn mount(source: &OsStr, target: &OsStr, kind: Option<&str>, flags: libc::c_ulong) -> io::Result<()> {
    let text = |text: &OsStr| CString::new(text.as_bytes()).expect("no NUL");
    let (source, target, kind) = (text(source), text(target), kind.map(|kind| text(kind.as_ref())));
    let kind = kind.as_ref().map_or(ptr::null(), |kind| kind.as_ptr());
    // SAFETY: strings, or nothing.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, ptr::null()) })
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Holds this process to the filter; the descriptor tells of calls that it leaves to be answered.
fn apply(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let length = program.len().try_into().expect("short");
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel reads the program, which lives as long as this call takes; the descriptor is new.
    unsafe {
        // Root may do without: so file capabilities and set-user-ID programs work as ever.
        if !rustix::process::geteuid().is_root() {
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        }
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let listener = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program);
        let listener = i32::try_from(listener).expect("a descriptor");
        check(listener)?;
        let listener = OwnedFd::from_raw_fd(listener);
        assert!(listener.as_raw_fd() > 2);
        Ok(listener)
    }
}
