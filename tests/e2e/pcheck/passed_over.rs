//! A host that lacks something: pcheck says what, in a line for each tier that it passes over, and watches by the next one.

use std::process::Command;

use serde_json::Value;
use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, kill},
    pcheck::{Pcheck, die_with_the_test},
    program::{built, copy, run, watcher},
};

/// The words that put a command into a container as runtimes make them, its pids apart: with namespaces of its own, and
/// without the capabilities that they take away.
const CONTAINER: [&str; 8] = [
    "unshare",
    "--mount",
    "--net",
    "--ipc",
    "--uts",
    "setpriv",
    "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_raw,+sys_chroot,+mknod",
    "--inh-caps=-all",
];

/// A host with a service that is not there yet, and the pcheck that starts it.
fn host() -> (Host, Command) {
    let host = Host::new();
    let svc = host.svc();
    host.rules(&format!("{svc}:{}:86400:3:exit", host.restarts("start.sh", "")));
    let mut pcheck = watcher(["pcheck", "-f", &host.pfile(), "--run-dir", &host.run_dir(), "--log", "stderr"]);
    die_with_the_test(&mut pcheck);
    (host, pcheck)
}

/// What a pcheck behind this wrapper says up to its start.
fn told_behind(wrapper: &[&str]) -> Vec<String> {
    let (_host, alone) = host();
    let mut command = match wrapper.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(alone.get_program()).args(alone.get_args()).env_remove("WATCHER_LOG");
            die_with_the_test(&mut command);
            command
        }
        None => alone,
    };
    let mut pcheck = Pcheck::start(&mut command);
    let said = pcheck.until("Start pcheck: ");
    brings_back(pcheck);
    said
}

/// The service that pcheck starts dies, which is noticed.
fn brings_back(mut pcheck: Pcheck) {
    let up = pcheck.until(") Up");
    let pid = up.last().and_then(|line| line.split_once("pid=")?.1.strip_suffix(") Up")?.parse().ok());
    kill(pid.and_then(Pid::new).unwrap_or_else(|| panic!("no pid in {up:#?}")));
    pcheck.until("Try to restart");
    pcheck.until(") Up");
    pcheck.stop();
}

#[test]
fn what_does_not_work_here_by_the_doctor_is_passed_over_for_the_same_reason() {
    let report: Value = serde_json::from_str(&run(&mut watcher(["doctor", "--json"])).stdout).unwrap();
    let auto = report["auto"].as_str().unwrap();
    let mut wanted = Vec::new();
    for tier in report["tiers"].as_array().unwrap().iter().take_while(|tier| tier["name"] != auto) {
        assert_eq!(tier["works"], false, "it is better than {auto}: {tier}");
        let (name, reason) = (tier["name"].as_str().unwrap(), tier["reason"].as_str().unwrap());
        assert!(!reason.contains('\n'), "one line: {reason}");
        wanted.push(format!("Tier {name} passed over: {reason}"));
    }
    let mut said = told_behind(&[]);
    let start = said.pop().unwrap();
    assert!(start.ends_with(&format!(", tier {auto}")), "{start}");
    assert_eq!(said, wanted);
}

/// No system call, no right, and a kernel that has it but is too old: the reason, and what the kernel said.
#[test]
fn each_kind_of_refusal_leads_to_the_next_tier_with_what_the_kernel_said() {
    if !Tier::Ebpf.is_wanted() {
        return;
    }
    let (without, old) = (built("without_syscalls"), built("old_kernel"));
    let (without, old) = (without.to_str().unwrap(), old.to_str().unwrap());
    for (wrapper, reason, errno) in [
        (&[without, "ENOSYS", "bpf"][..], "there is no bpf() system call: the kernel lacks it, or ", 38),
        (&[without, "EPERM", "bpf"], "BPF is not permitted although the capabilities for it are there: ", 1),
        (&CONTAINER, "BPF is not permitted: CAP_BPF and CAP_PERFMON were taken away from root here; grant them ", 1),
        (&[old, "linux-5.4"], "this kernel is too old for ", 22),
    ] {
        let said = told_behind(wrapper);
        let [over, start] = said.as_slice() else { panic!("{wrapper:?}: {said:#?}") };
        assert!(over.starts_with(&format!("Tier ebpf passed over: {reason}")), "{wrapper:?}: {over}");
        assert!(over.ends_with(&format!("(os error {errno})]")), "{wrapper:?}: {over}");
        assert!(start.ends_with(", tier pidfd"), "{wrapper:?}: {start}");
    }
}

#[test]
fn what_hidepid_hides_from_an_ordinary_user_is_said_and_his_own_are_watched() {
    let (host, pcheck) = host();
    let script = r#"mount -t proc -o hidepid=2 none /proc && chown -R 65534:65534 "$0" && chmod 755 "$0" &&
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$0/watcher" "$@""#;
    // Where the tests were built, an ordinary user may not look.
    let (folder, svc) = (host.folder.path(), host.svc());
    std::fs::remove_file(&svc).unwrap();
    copy(built("service"), &svc);
    copy(built("watcher"), host.path("watcher"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(folder).args(pcheck.get_args());
    die_with_the_test(command.env_remove("WATCHER_LOG").current_dir("/"));
    let mut pcheck = Pcheck::start(&mut command);
    let said = pcheck.until("/proc hides ");
    let [over @ .., start, hides] = said.as_slice() else { panic!("{said:#?}") };
    assert!(
        over.iter().all(|line| line.contains(" passed over: ")) && start.starts_with("Start pcheck: "),
        "{said:#?}"
    );
    assert!(hides.starts_with("/proc hides processes of other users from this one (hidepid), so "), "{hides}");
    brings_back(pcheck);
}
