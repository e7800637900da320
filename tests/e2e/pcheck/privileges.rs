//! What a pcheck that watches may still do: no more than that takes; and what its scripts may: all that they ever could.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    process::Command,
};

use rustix::thread::CapabilitySet;
use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, kill, on_each_tier},
    kernel,
    pcheck::{Pcheck, die_with_the_test},
    program::{built, copy},
};

const NOBODY: u32 = 65_534;

/// A set of capabilities, as `/proc/PID/status` shows it.
fn set(status: &str, name: &str) -> CapabilitySet {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")).expect("a set");
    CapabilitySet::from_bits_retain(u64::from_str_radix(line, 16).expect("hexadecimal"))
}

/// What each thread of a process may do: in effect, and permitted.
fn of_threads(pid: Pid) -> Vec<(CapabilitySet, CapabilitySet)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let status = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("status")).ok();
    tasks.filter_map(status).map(|status| (set(&status, "CapEff"), set(&status, "CapPrm"))).collect()
}

/// What programs that a process runs may inherit.
fn inheritable(pid: Pid) -> CapabilitySet {
    set(&fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives"), "CapInh")
}

fn own() -> CapabilitySet {
    set(&fs::read_to_string("/proc/self/status").expect("/proc is there"), "CapEff")
}

#[test]
fn root_keeps_what_watching_takes_and_its_scripts_have_all() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let body = format!("cat /proc/self/status >${{H}}may\n{} </dev/null >/dev/null 2>&1 &", host.command(""));
        host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", &body)));
        let first = host.start("");
        // It may have been given some to be inherited.
        let pcheck = host.pcheck(tier);
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=+bpf,+chown"]).arg(pcheck.get_program()).args(pcheck.get_args());
        die_with_the_test(command.env_remove("WATCHER_LOG"));
        let mut pcheck = Pcheck::started(&mut command);
        pcheck.up(&svc);
        first.kill();
        pcheck.until("Try to restart");
        pcheck.up(&svc);
        let kept = CapabilitySet::CHOWN
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::DAC_READ_SEARCH
            | CapabilitySet::FOWNER
            | CapabilitySet::KILL
            | CapabilitySet::SYS_PTRACE;
        let threads = of_threads(pcheck.pid());
        assert!(!threads.is_empty());
        for (in_effect, permitted) in threads {
            let of_tier = of_this_kernel(tier, in_effect);
            assert_eq!(in_effect, (kept | of_tier) & own(), "{tier:?}");
            // For the process connector.
            let network = if tier == Tier::Poll { CapabilitySet::empty() } else { CapabilitySet::NET_ADMIN };
            let at_the_ready = network | CapabilitySet::SYS_ADMIN;
            assert_eq!(permitted, (kept | of_tier | at_the_ready) & own(), "{tier:?}");
        }
        let may = host.read("may");
        assert_eq!(set(&may, "CapEff"), own(), "of scripts nothing is taken");
        let given = CapabilitySet::BPF | CapabilitySet::CHOWN;
        assert!(set(&may, "CapInh").contains(given & own()), "{may}");
        pcheck.stop();
    });
}

#[test]
fn where_programs_can_gain_nothing_scripts_of_root_still_have_all() {
    let host = Host::new();
    let svc = host.svc();
    let body = format!("cat /proc/self/status >${{H}}may\n{} </dev/null >/dev/null 2>&1 &", host.command(""));
    host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", &body)));
    let mut command = Command::new("setpriv");
    let pcheck = host.pcheck(Tier::best());
    command.arg("--no-new-privs").arg(pcheck.get_program()).args(pcheck.get_args()).env_remove("WATCHER_LOG");
    die_with_the_test(&mut command);
    let mut pcheck = Pcheck::started(&mut command);
    pcheck.until(") Up");
    assert_eq!(set(&host.read("may"), "CapEff"), own());
    for (in_effect, _) in of_threads(pcheck.pid()) {
        assert!(!in_effect.contains(CapabilitySet::SYS_ADMIN) && in_effect.contains(CapabilitySet::KILL));
    }
    pcheck.stop();
}

/// Before Linux 5.19 programs that are loaded take a capability, too.
fn of_this_kernel(tier: Tier, in_effect: CapabilitySet) -> CapabilitySet {
    if tier == Tier::Ebpf && kernel() < (5, 19) { in_effect & CapabilitySet::BPF } else { CapabilitySet::empty() }
}

/// A pcheck of an ordinary user, behind this wrapper, which starts his service: it dies, and is brought back.
fn of_a_user(wrapper: &[&str], tier: &str) -> (Vec<String>, String) {
    let host = Host::new();
    let svc = host.svc();
    for name in ["", "life"] {
        chown(host.path(name), Some(NOBODY), Some(NOBODY)).expect("we are root");
    }
    fs::set_permissions(host.folder.path(), Permissions::from_mode(0o755)).expect("ours");
    // Where the tests were built, an ordinary user may not look.
    fs::remove_file(&svc).expect("a link");
    copy(built("service"), &svc);
    copy(built("watcher"), host.path("watcher"));
    let body = format!("cat /proc/self/status >${{H}}may\n{} </dev/null >/dev/null 2>&1 &", host.command(""));
    host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", &body)));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(wrapper).arg(host.path("watcher"));
    command.args(["pcheck", "-f", &host.pfile(), "--run-dir", &host.run_dir(), "--log", "stderr", "--tier", tier]);
    die_with_the_test(command.env_remove("WATCHER_LOG").current_dir("/"));
    without_limit_on_locked_memory(&mut command);
    let mut pcheck = Pcheck::start(&mut command);
    let said = pcheck.until(") Up");
    let up = said.last().and_then(|line| line.split_once("pid=")?.1.strip_suffix(") Up")?.parse().ok());
    kill(up.and_then(Pid::new).expect("a pid"));
    pcheck.until("Try to restart");
    pcheck.until(") Up");
    assert_eq!(inheritable(pcheck.pid()), CapabilitySet::empty());
    for (in_effect, permitted) in of_threads(pcheck.pid()) {
        let lacking_before_linux_5_19 = in_effect & CapabilitySet::BPF & of_this_kernel(Tier::Ebpf, in_effect);
        assert_eq!((in_effect, permitted), (lacking_before_linux_5_19, lacking_before_linux_5_19));
    }
    pcheck.stop();
    (said, host.read("may"))
}

/// Before Linux 5.11 BPF maps count against it, and an ordinary user cannot raise it. In a container root may not either; there
/// it has to be high, or the kernel newer.
fn without_limit_on_locked_memory(command: &mut Command) {
    let none = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a system call is all that is done in the child.
    unsafe {
        command.pre_exec(move || {
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const none);
            Ok(())
        });
    }
}

#[test]
fn an_ordinary_user_watches_his_own_processes() {
    // Where nobody has the kernel programs, that is said instead.
    if !Tier::Ebpf.is_wanted() {
        return;
    }
    let (said, may) = of_a_user(&["--inh-caps=-all"], "auto");
    let passed_over = "Tier ebpf passed over: BPF is not permitted: this process lacks CAP_BPF and CAP_PERFMON;";
    assert!(said[0].starts_with(passed_over), "{said:#?}");
    // Where everybody may call bpf(), he can make maps, and is refused later.
    let all_may = fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").is_ok_and(|mode| mode.trim() == "0");
    assert!(said[0].ends_with("(os error 1)]"), "{said:#?}");
    assert_eq!(!said[0].contains("[map error: failed to create map "), all_may, "{said:#?}");
    assert!(said[1].starts_with("Start pcheck: 1 entry of ") && said[1].ends_with(", tier pidfd"), "{said:#?}");
    assert_eq!(set(&may, "CapEff"), CapabilitySet::empty());
}

#[test]
fn an_ordinary_user_with_two_capabilities_has_the_kernel_programs_and_his_scripts_do_not_inherit_them() {
    // Where nobody has the kernel programs, that is said instead.
    if !Tier::Ebpf.is_wanted() {
        return;
    }
    let caps = ["--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon"];
    let (said, may) = of_a_user(&caps, "ebpf");
    assert!(said[0].starts_with("Start pcheck: 1 entry of ") && said[0].ends_with(", tier ebpf"), "{said:#?}");
    let none = CapabilitySet::empty();
    assert_eq!(["CapEff", "CapAmb", "CapInh"].map(|name| set(&may, name)), [none; 3]);
}
