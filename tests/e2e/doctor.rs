//! `watcher doctor` on this host, which has everything.

use serde_json::{Value, json};
use watcher_tests::{
    host::connector_is_in_reach,
    program::{built, run, watcher},
};

#[test]
fn doctor_finds_that_every_tier_works_here() {
    let ended = run(&mut watcher(["doctor", "--json"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["schema"], &report["auto"]), (&json!(1), &json!("ebpf")));
    assert_eq!((&report["explains"], &report["explains_reason"]), (&json!(true), &Value::Null));
    assert_eq!((&report["sockets"], &report["sockets_reason"]), (&json!(true), &Value::Null));
    assert_eq!(report["bpf_object"]["missing"], Value::Null);
    assert!(report["bpf_object"]["bytes"].as_u64() > Some(1_000));
    assert_eq!(report["ring_buffer"], json!(true));
    let tiers: Vec<_> =
        report["tiers"].as_array().unwrap().iter().map(|tier| (&tier["name"], &tier["works"])).collect();
    let works = |name, works| (Value::from(name), Value::from(works));
    let wanted =
        [works("ebpf", true), works("pidfd", true), works("connector", connector_is_in_reach()), works("poll", true)];
    assert_eq!(tiers, wanted.iter().map(|(name, works)| (name, works)).collect::<Vec<_>>());
}

#[test]
fn doctor_in_text_says_which_tier_auto_takes() {
    let ended = run(&mut watcher(["doctor"]));
    assert!(ended.stdout.contains("tier ebpf         yes\n"), "{}", ended.stdout);
    assert!(
        ended.stdout.ends_with("explains deaths   yes\ntells of sockets  yes\nauto takes        ebpf\n"),
        "{}",
        ended.stdout
    );
}

/// What the doctor behind this wrapper says of tier `ebpf`.
fn of_ebpf(wrapper: &[&str]) -> String {
    let mut command = std::process::Command::new(wrapper[0]);
    let ended = run(command.args(&wrapper[1..]).arg(built("watcher")).args(["doctor", "--json"]));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["tiers"][0]["name"], "ebpf");
    report["tiers"][0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn root_of_a_user_namespace_is_told_that_it_is_none_of_the_host() {
    let reason = of_ebpf(&["unshare", "--user", "--map-root-user"]);
    assert!(reason.starts_with("BPF is not permitted in a user namespace "), "{reason}");
}

#[test]
fn root_from_whom_a_capability_was_taken_is_told_which() {
    // CAP_SYS_ADMIN would do for it.
    let reason = of_ebpf(&["setpriv", "--bounding-set=-bpf,-sys_admin"]);
    assert!(reason.starts_with("BPF is not permitted: CAP_BPF was taken away from root here; grant it ("), "{reason}");
}

#[test]
fn every_command_has_help() {
    for command in [&["--help"][..], &["doctor", "--help"], &["watch", "--help"]] {
        let ended = run(&mut watcher(command));
        assert_eq!(ended.code, Some(0), "{command:?}");
        assert!(ended.stdout.contains("Usage: watcher"), "{}", ended.stdout);
    }
}
