//! Hosts that lack something: a sentence says what, and the next tier takes over. Never a bare number, never a panic.

use std::process::Command;

use watcher_tests::{
    host::connector_is_in_reach,
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
    assert_sentence(&said, ": CAP_PERFMON was taken away from root here;");
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
fn without_bpf_and_pidfds_and_the_process_connector_it_looks_at_proc() {
    let lacking = without("ENOSYS", "bpf,pidfd_open");
    let (said, told) = watch_behind(Command::new("unshare").arg("--net").args(words(&lacking)));
    assert_sentence(&said, "tier pidfd passed over: there are no pidfds: the kernel is older than Linux 5.3");
    assert_sentence(&said, "tier connector passed over: the kernel's process connector is out of reach");
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
fn type_information_that_is_wrong_is_found_out_by_the_self_test() {
    // The start time is looked for where something else lies.
    let swap = r"LC_ALL=C sed 's/\x00start_boottime\x00/\x00xtart_boottime\x00/; s/\x00parent_exec_id\x00/\x00start_boottime\x00/'";
    let script = format!(
        "{swap} /sys/kernel/btf/vmlinux > /tmp/wrong-btf-$$ && mount -t tmpfs none /sys/kernel/btf && \
         mv /tmp/wrong-btf-$$ /sys/kernel/btf/vmlinux"
    );
    let (said, told) = watch_behind(&mut with_mounts(&script));
    assert_sentence(&said, "tier ebpf passed over: the kernel programs loaded, but their self-test failed");
    assert_sentence(&said, "by tier pidfd");
    assert!(told.contains("vforks: killed by SIGKILL"), "{told}");
}

#[test]
fn proc_of_another_pid_namespace_is_refused() {
    // Number 2 is a kernel thread there, and would be taken for the sleeper.
    let script = r#"sleep 600 & exec "$0" watch $!"#;
    for tier in ["auto", "ebpf", "pidfd", "poll"] {
        let script = format!("{script} --tier {tier}");
        let arguments = ["--pid", "--fork", "--kill-child", "--", "sh", "-c", &script];
        let ended = run(Command::new("unshare").args(arguments).arg(built("watcher")));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{tier}");
        assert!(ended.stderr.contains("/proc belongs to another pid namespace"), "{tier}: {}", ended.stderr);
    }
}

#[test]
fn a_process_that_hides_is_not_dead() {
    let script = r#"
        mount -t proc -o hidepid=2 none /proc && d=$(mktemp -d) && chmod 755 "$d" || exit 90
        cp "$0" "$d/watcher" && cp "$1" "$d/hides" || exit 91
        mkfifo "$d/in" "$d/out"; chmod 666 "$d/in" "$d/out"
        nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
        $nobody "$d/hides" <"$d/in" >"$d/out" & victim=$!
        exec 3>"$d/in" 4<"$d/out"; read -r _ <&4
        $nobody "$d/watcher" watch --tier poll --interval 0.05 $victim 2>"$d/said" & watch=$!
        for try in $(seq 2000); do grep -q watching "$d/said" && break; sleep 0.01; done
        echo >&3; read -r hidden <&4
        # Many looks; nothing tells of what does not happen.
        sleep 2; kill $watch; wait $watch; code=$?; cat "$d/said" >&2
        kill -9 $victim; rm -r "$d"; [ "$hidden" = hidden ] || exit 92; exit $code
    "#;
    let mut command = Command::new("unshare");
    let ended = run(command.args(["--mount", "bash", "-c", script]).arg(built("watcher")).arg(built("hides")));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(143), ""), "told dead while it lived: {}", ended.stderr);
    assert!(ended.stderr.contains("watching 1 process by tier poll"), "{}", ended.stderr);
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
    assert!(
        stderr.contains(
            "needs a descriptor for each of the 500 processes and 64 for other things, but only 256 are allowed"
        ),
        "{stderr}"
    );
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
    assert_eq!(ended.stderr, "watcher: /proc is not mounted here, or does not show this process\n");
    let ended = run(with_mounts("mount -t tmpfs none /proc").arg("doctor"));
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    for tier in ["ebpf ", "pidfd", "poll "] {
        assert!(
            ended.stdout.contains(&format!("tier {tier}        no: /proc is not mounted here, or")),
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

/// A command as the words that run it.
fn words(command: &Command) -> impl Iterator<Item = &std::ffi::OsStr> {
    std::iter::once(command.get_program()).chain(command.get_args())
}

#[test]
fn without_bpf_and_pidfds_the_process_connector_tells() {
    if !connector_is_in_reach() {
        return;
    }
    let (said, told) = watch_behind(&mut without("ENOSYS", "bpf,pidfd_open"));
    assert_sentence(&said, "tier ebpf passed over: there is no bpf() system call");
    assert_sentence(&said, "tier pidfd passed over: there are no pidfds: the kernel is older than Linux 5.3");
    assert_sentence(&said, "by tier connector");
    assert!(told.contains("vforks: killed by SIGKILL after "), "{told}");
}

#[test]
fn where_the_process_connector_is_out_of_reach_it_is_said_why() {
    let lacking = without("ENOSYS", "bpf,pidfd_open");
    for (namespace, wanted) in [
        (&["--net"][..], "the kernel's process connector is out of reach in this network namespace"),
        (&["--pid", "--fork", "--mount-proc"][..], "it tells nobody outside the initial pid namespace"),
    ] {
        let mut unshare = Command::new("unshare");
        unshare.args(namespace).args(words(&lacking)).arg("doctor");
        let said = run(&mut unshare).stdout;
        assert!(said.lines().any(|line| line.starts_with("tier connector") && line.contains(wanted)), "{said}");
    }
    let said = run(without("EPERM", "socket").arg("doctor")).stdout;
    let wanted = "the process connector is not permitted although CAP_NET_ADMIN is there";
    assert!(said.lines().any(|line| line.starts_with("tier connector") && line.contains(wanted)), "{said}");
}

#[test]
fn doctor_says_no_when_only_polling_works() {
    let mut unshare = Command::new("unshare");
    let ended = run(unshare.arg("--net").args(words(&without("ENOSYS", "bpf,pidfd_open"))).arg("doctor"));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("auto takes        poll"), "{}", ended.stdout);
    assert_eq!(run(&mut watcher(["doctor"])).code, Some(0));
}
