//! On the kernel of RHEL 7, and on Linux 5.4, as far as a launcher can stand in for it: that it does, and what watcher says there. The other
//! stories are told there by `cargo xtask old-kernel`.

use std::{env, fs, io, process::Command};

use serde_json::Value;
use watcher_tests::program::{Ended, built, run};

const PROFILES: [(&str, &str); 2] = [("linux-3.10", "3.10.108"), ("rhel-7.9", "3.10.0-1160.el7.x86_64")];

fn on(profile: &str) -> Command {
    let mut command = Command::new(built("old_kernel"));
    command.arg(profile);
    command
}

/// The error of a raw system call; 0 when it was done.
fn errno(number: libc::c_long, arguments: [u64; 4]) -> i32 {
    let [one, two, three, four] = arguments;
    // SAFETY: every call below gets numbers, null pointers, or pointers to what lives longer.
    match unsafe { libc::syscall(number, one, two, three, four) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap(),
        _ => 0,
    }
}

/// Run by the next test, behind the launcher.
#[test]
#[ignore = "a part of the next test"]
fn is_held_to_it() {
    const X32: libc::c_long = 0x4000_0000;
    let is_rhel = rustix::system::uname().release().to_bytes().ends_with(b"el7.x86_64");
    let kept = |errno: i32| if is_rhel { errno } else { libc::ENOSYS };
    let (at, path) = (libc::AT_FDCWD as u64, c"/tmp".as_ptr() as u64);
    for (what, number, arguments, wanted) in [
        ("one of the last that it has", libc::SYS_getcpu, [0; 4], 0),
        ("memfd_create", libc::SYS_memfd_create, [0; 4], kept(libc::EFAULT)),
        ("getrandom", libc::SYS_getrandom, [0; 4], kept(0)),
        ("statx", libc::SYS_statx, [at, path, 0, 0], libc::ENOSYS),
        ("pidfd_open", libc::SYS_pidfd_open, [1, 0, 0, 0], libc::ENOSYS),
        ("clone3", libc::SYS_clone3, [0; 4], libc::ENOSYS),
        ("one that nobody has yet", 4000, [0; 4], libc::ENOSYS),
        ("getpid of x32", X32 + libc::SYS_getpid, [0; 4], libc::ENOSYS),
        ("clone with a pidfd", libc::SYS_clone, [libc::CLONE_PIDFD as u64, 0, 0, 0], libc::EINVAL),
        ("waitid by a pidfd", libc::SYS_waitid, [3, 0, 0, u64::from(libc::WEXITED as u32)], libc::EINVAL),
        ("an old prctl", libc::SYS_prctl, [libc::PR_GET_DUMPABLE as u64, 0, 0, 0], 0),
        ("a new prctl", libc::SYS_prctl, [libc::PR_CAP_AMBIENT as u64, 4, 0, 0], libc::EINVAL),
        ("an old madvise", libc::SYS_madvise, [0, 0, libc::MADV_DONTNEED as u64, 0], 0),
        ("MADV_FREE", libc::SYS_madvise, [0, 0, libc::MADV_FREE as u64, 0], libc::EINVAL),
        ("locks of open files", libc::SYS_fcntl, [0, libc::F_OFD_GETLK as u64, 0, 0], libc::EINVAL),
        ("O_TMPFILE", libc::SYS_openat, [at, path, (libc::O_TMPFILE | libc::O_RDWR) as u64, 0o600], libc::EISDIR),
        ("an old file", libc::SYS_openat, [at, path, libc::O_RDONLY as u64, 0], 0),
    ] {
        assert_eq!(errno(number, arguments), wanted, "{what}");
    }
    // `BPF_MAP_CREATE` of four entries of four bytes: an array, then a ring buffer.
    for (kind, key, value, entries, wanted) in [(2, 4, 4, 4, kept(0)), (27, 0, 0, 4096, kept(libc::EINVAL))] {
        let attributes = [kind, key, value, entries, 0_u32];
        let pointer = attributes.as_ptr() as u64;
        assert_eq!(errno(libc::SYS_bpf, [0, pointer, size_of_val(&attributes) as u64, 0]), wanted, "map {kind}");
    }
    assert_eq!(errno(libc::SYS_bpf, [18, 0, 0, 0]), kept(libc::EINVAL), "BPF_BTF_LOAD");
}

/// The same for a kernel that has BPF, but not all that we use.
#[test]
#[ignore = "a part of the next test"]
fn is_held_to_linux_5_4() {
    const MMAPABLE: u32 = 1 << 10;
    for (what, number, arguments, wanted) in [
        ("pidfd_open", libc::SYS_pidfd_open, [u64::MAX, 0, 0, 0], libc::EINVAL),
        ("clone3, its last one", libc::SYS_clone3, [0; 4], libc::EINVAL),
        ("close_range", libc::SYS_close_range, [0; 4], libc::ENOSYS),
        ("epoll_pwait2", libc::SYS_epoll_pwait2, [0; 4], libc::ENOSYS),
        ("PIDFD_GET_INFO", libc::SYS_ioctl, [0, 0xC040_FF0B, 0, 0], libc::ENOTTY),
    ] {
        assert_eq!(errno(number, arguments), wanted, "{what}");
    }
    // An array, the same to be mapped into memory, a ring buffer; each goes when this process does.
    for (kind, key, value, entries, flags, wanted) in
        [(2, 4, 4, 4, 0, 0), (2, 4, 4, 4, MMAPABLE, libc::EINVAL), (27, 0, 0, 4096, 0, libc::EINVAL)]
    {
        let attributes = [kind, key, value, entries, flags];
        let pointer = attributes.as_ptr() as u64;
        assert_eq!(errno(libc::SYS_bpf, [0, pointer, size_of_val(&attributes) as u64, 0]), wanted, "map {kind}");
    }
    let lookup_batch = 24;
    assert_eq!(errno(libc::SYS_bpf, [lookup_batch, 0, 0, 0]), libc::EINVAL);
}

#[test]
fn the_launcher_refuses_what_such_a_kernel_does_not_have_and_nothing_else() {
    let part = |name| ["--exact", name, "--ignored"];
    let each = PROFILES.map(|(profile, release)| (profile, release, part("old_kernel::is_held_to_it")));
    let newer = ("linux-5.4", "5.4.302", part("old_kernel::is_held_to_linux_5_4"));
    for (profile, release, part) in each.into_iter().chain([newer]) {
        let this = env::current_exe().unwrap();
        let ended = run(on(profile).arg(this).args(part));
        assert_eq!(ended.code, Some(0), "{profile}: {}", ended.stdout);
        assert!(ended.stdout.contains("1 passed"), "{}", ended.stdout);
        let seen = run(on(profile).args(["sh", "-c", "uname -r; cat /proc/sys/kernel/osrelease; echo $$ >&2"]));
        assert_eq!(seen.stdout, format!("{release}\n{release}\n"));
    }
    let here = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(!here.starts_with("3.10.") && here.trim() != "5.4.302", "it stays with them");
}

#[test]
fn doctor_names_the_kernel_and_what_it_lacks() {
    for (profile, release) in PROFILES {
        let Ended { stdout, stderr, .. } = run(on(profile).arg(built("watcher")).args(["doctor", "--json"]));
        assert_eq!(stderr, "");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(report["kernel"]["release"], release, "{report}");
        let reason = |tier: &str| {
            let tiers = report["tiers"].as_array().unwrap();
            let tier = tiers.iter().find(|known| known["name"] == tier).unwrap();
            (tier["works"].as_bool().unwrap(), tier["reason"].as_str().unwrap_or_default().to_owned())
        };
        assert!(!reason("ebpf").0, "{report}");
        let (works, why) = reason("pidfd");
        assert!(!works && why.contains("older than Linux 5.3"), "{why}");
        // The process connector is as old as Linux 2.6.15, so it may be the best; looking works in any case.
        assert!(matches!(report["auto"].as_str(), Some("connector" | "poll")), "{report}");
        assert_eq!(reason("poll"), (true, String::new()));
    }
}
