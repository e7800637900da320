//! Hosts that lack something: a sentence says what, and the next tier takes over. Never a bare number, never a panic.

use std::process::Command;

use watcher_tests::{
    program::{Ended, Running, built, run, watcher},
    victim::Victim,
};

/// Runs `watcher watch` behind a wrapper, kills the watched process once it is watched, and returns what was said
/// before and the line that told the death.
fn watch_behind(wrapper: &mut Command) -> (Vec<String>, String) {
    let mut victim = Victim::start("vforks");
    let mut running = Running::start(wrapper.args(["watch", "--interval", "0.05", &victim.pid().to_string()]));
    let mut said = Vec::new();
    loop {
        let talk = running.talk();
        assert!(!talk.is_empty(), "it ended without watching: {said:?}");
        if talk.starts_with("watcher: watching ") {
            said.push(talk);
            break;
        }
        said.push(talk);
    }
    victim.kill();
    let told = running.line();
    assert_eq!(running.end(), Some(0));
    (said, told)
}

fn behind(wrapper: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(wrapper);
    command.args(arguments).arg(built("watcher"));
    command
}

fn without(errno: &str, names: &str) -> Command {
    let mut command = Command::new(built("without_syscalls"));
    command.args([errno, names]).arg(built("watcher"));
    command
}

/// In a mount namespace of its own, after these mounts.
fn with_mounts(script: &str) -> Command {
    let script = format!(r#"{script} && exec "$@""#);
    behind("unshare", &["--mount", "sh", "-c", &script, "sh"])
}

fn assert_sentence(said: &[String], wanted: &str) {
    assert!(said.iter().any(|line| line.contains(wanted)), "{wanted:?} is not said: {said:#?}");
}

#[test]
fn without_root_the_missing_capabilities_are_named() {
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let (said, told) = watch_behind(&mut copied_for_everyone(&nobody));
    assert_sentence(&said, "tier ebpf passed over: BPF is not permitted: this process lacks CAP_BPF and CAP_PERFMON");
    assert_sentence(&said, "by tier pidfd");
    // Whose zombie it is, and how it ended, is not for everyone to know.
    assert!(told.contains("vforks: ended after ") && told.ends_with(" (how is not known)"), "{told}");
}

/// The build folder may be closed to others; a copy in an open folder is not.
fn copied_for_everyone(setpriv: &[&str]) -> Command {
    let script = r#"d=$(mktemp -d) && chmod 755 "$d" && cp "$0" "$d/watcher" && trap 'rm -r "$d"' EXIT && "#;
    let script = format!(r#"{script} setpriv {} "$d/watcher" "$@""#, setpriv.join(" "));
    behind("sh", &["-c", &script])
}

#[test]
fn with_one_capability_dropped_that_one_is_named() {
    let drop = ["--bounding-set=-perfmon,-sys_admin", "--inh-caps=-perfmon,-sys_admin"];
    let (said, _) = watch_behind(&mut behind("setpriv", &drop));
    assert_sentence(&said, "this process lacks CAP_PERFMON;");
}

#[test]
fn a_seccomp_filter_that_forbids_bpf_is_suspected() {
    let (said, _) = watch_behind(&mut without("EPERM", "bpf"));
    assert_sentence(&said, "BPF is not permitted although the capabilities for it are there: a seccomp filter");
    assert_sentence(&said, "by tier pidfd");
}

#[test]
fn a_kernel_without_bpf_is_told_from_one_that_forbids_it() {
    let (said, _) = watch_behind(&mut without("ENOSYS", "bpf"));
    assert_sentence(&said, "there is no bpf() system call");
}

#[test]
fn without_bpf_and_pidfds_it_looks_at_proc() {
    let (said, told) = watch_behind(&mut without("ENOSYS", "bpf,pidfd_open"));
    assert_sentence(&said, "tier pidfd passed over: there are no pidfds: the kernel is older than Linux 5.3");
    assert_sentence(&said, "by tier poll");
    assert!(told.contains("vforks: killed by SIGKILL"), "{told}");
}

#[test]
fn without_pidfds_the_kernel_programs_still_tell() {
    let (said, told) = watch_behind(&mut without("ENOSYS", "pidfd_open"));
    assert_sentence(&said, "by tier ebpf");
    assert!(told.contains("vforks: killed by SIGKILL"), "{told}");
}

#[test]
fn without_type_information_its_file_is_named() {
    let (said, _) = watch_behind(&mut with_mounts("mount -t tmpfs none /sys/kernel/btf"));
    assert_sentence(&said, "the kernel offers no type information: /sys/kernel/btf/vmlinux does not exist");
    assert_sentence(&said, "by tier pidfd");
}

#[test]
fn type_information_that_is_damaged_is_no_reason_to_fall() {
    let damaged = "mount -t tmpfs none /sys/kernel/btf && head -c 100000 /dev/urandom > /sys/kernel/btf/vmlinux";
    let (said, _) = watch_behind(&mut with_mounts(damaged));
    assert_sentence(&said, "type information /sys/kernel/btf/vmlinux cannot be used");
}

#[test]
fn tracefs_is_not_needed() {
    let hidden = "mount -t tmpfs none /sys/kernel/tracing && mount -t tmpfs none /sys/kernel/debug";
    let (said, _) = watch_behind(&mut with_mounts(hidden));
    assert_sentence(&said, "by tier ebpf");
}

#[test]
fn few_descriptors_are_told_before_they_run_out() {
    let mut herd = Victim::run(Command::new(built("herd")).arg("500"));
    let pids = herd.next_word();
    let script = r#"ulimit -n 256; exec "$0" watch --tier pidfd "$@""#;
    let Ended { code, stderr, .. } = run(behind("sh", &["-c", script]).args(pids.split(' ')));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("needs a descriptor for each of the 500 processes, but only 256 are allowed"), "{stderr}");
}

#[test]
fn a_tier_that_is_asked_for_and_does_not_work_is_an_error() {
    let victim = Victim::start("vforks");
    let pid = victim.pid().to_string();
    let Ended { code, stdout, stderr } = run(without("ENOSYS", "bpf").args(["watch", "--tier", "ebpf", &pid]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let wanted = "tier ebpf was asked for and does not work here: there is no bpf() system call";
    assert!(stderr.contains(wanted) && stderr.contains("--tier auto"), "{stderr}");
}

#[test]
fn without_proc_there_is_a_sentence() {
    let ended = run(with_mounts("mount -t tmpfs none /proc").args(["watch", "1"]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("process 1 exists, but /proc does not show it"), "{}", ended.stderr);
    let ended = run(with_mounts("mount -t tmpfs none /proc").arg("doctor"));
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    for tier in ["ebpf ", "pidfd", "poll "] {
        assert!(
            ended.stdout.contains(&format!("tier {tier}        no: /proc is not mounted here")),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_process_that_proc_hides_is_not_called_missing() {
    let victim = Victim::start("vforks");
    let script = r#"mount -t proc -o hidepid=2 none /proc && d=$(mktemp -d) && chmod 755 "$d" && cp "$0" "$d/watcher" &&
        setpriv --reuid=65534 --regid=65534 --clear-groups "$d/watcher" watch "$1"; code=$?; rm -r "$d"; exit $code"#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(built("watcher")).arg(victim.pid().to_string());
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(1));
    let wanted = format!("process {} exists, but /proc does not show it to this user", victim.pid());
    assert!(ended.stderr.contains(&wanted), "{}", ended.stderr);
}

#[test]
fn doctor_says_no_when_only_polling_works() {
    let ended = run(without("ENOSYS", "bpf,pidfd_open").arg("doctor"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("auto takes        poll"), "{}", ended.stdout);
    assert_eq!(run(&mut watcher(["doctor"])).code, Some(0));
}
