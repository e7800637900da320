//! Restart scripts that go wrong, and what they leave behind (4.11 and 10.7 of the spec).

use std::{fs, os::unix::fs::PermissionsExt as _};

use watcher_core::Pid;
use watcher_tests::{
    host::{Host, Tier, kill, lives, on_each_tier},
    is_emulated,
    pcheck::Pcheck,
    wait::until,
};

/// The children of pcheck, dead ones included.
fn children(pcheck: &Pcheck) -> Vec<Pid> {
    let processes = watcher::sys::proc_table::processes().unwrap();
    let children = processes.into_iter().filter(|process| process.parent == Some(pcheck.pid()));
    children.map(|process| process.proc.pid).collect()
}

/// How often the entry is tried.
const RETRIES: usize = 1;

/// Begins with a pfile whose only entry has this script, and no process: all lines up to the end.
fn all_lines(host: &Host, tier: Tier, script: &str) -> Vec<String> {
    host.rules(&format!("{}:{script}:86400:{RETRIES}:exit", host.svc()));
    let (lines, code) = Pcheck::started(&mut host.pcheck(tier)).end();
    assert_eq!(code, Some(4), "{lines:#?}");
    lines
}

#[test]
fn a_script_that_cannot_be_run_says_why_and_counts_as_a_try() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let with_mode = |name: &str, mode| {
            let path = host.script(name, "exit 0");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let open = with_mode("open.sh", 0o757);
        let shut = with_mode("shut.sh", 0o644);
        let no_interpreter = host.write("strange.sh", "#!/no/such/interpreter\n");
        fs::set_permissions(&no_interpreter, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(host.path("folder.sh")).unwrap();
        for (script, why) in [
            (host.path("missing.sh"), "it does not exist".to_owned()),
            (shut.clone(), format!("it is not executable (chmod 755 {shut})")),
            (open, "others than root may change what root would run: ".to_owned()),
            (no_interpreter, "the interpreter that its first line names does not exist".to_owned()),
            (host.path("folder.sh"), "it is not a file".to_owned()),
        ] {
            let lines = all_lines(&host, tier, &script);
            // At the start, so that nobody learns of it only when it is needed, and when it is.
            let begin =
                ["cannot run", "was not started"].map(|what| format!("Restart script of ({svc}) {what}: {why}"));
            let is_said = |line: &String| begin.iter().any(|begin| line.starts_with(begin)) && line.ends_with(&script);
            let bracketed =
                |line: &&String| line.strip_suffix(']').map(ToOwned::to_owned).is_some_and(|line| is_said(&line));
            let (said, others): (Vec<_>, Vec<_>) = lines.iter().partition(bracketed);
            let count = |begin: &String| said.iter().filter(|line| line.starts_with(begin)).count();
            assert_eq!(begin.each_ref().map(count), [1, 1], "{lines:#?}");
            let story = [
                format!("Set pid fail ({svc})"),
                format!("Try to restart ({svc})"),
                // There never was one.
                format!("Process [{svc},pid=0] Down"),
                format!("({svc}) RETRY_OVER:EXIT"),
                format!("({svc}) FATAL"),
            ];
            assert_eq!(others, story.iter().collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_script_that_fails_is_told_with_what_it_said_and_the_look_decides() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let body =
            "echo to the log; echo and this >&2; printf 'no\\033end'\n${H}svc </dev/null >/dev/null 2>&1 &\nexit 7";
        let script = host.script("start.sh", body);
        host.rules(&format!("{svc}:{script}:86400:3:exit"));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.expect([
            format!("Set pid fail ({svc})"),
            format!("Try to restart ({svc})"),
            format!("Restart script of ({svc}) says: to the log"),
            format!("Restart script of ({svc}) says: and this"),
            format!("Restart script of ({svc}) says: no#033end"),
            format!("Restart script of ({svc}) exited with code 7 [{script}]"),
        ]);
        pcheck.up(&svc);
        assert_eq!(pcheck.stop(), [] as [String; 0]);
    });
}

#[test]
fn a_daemon_that_keeps_its_output_open_holds_up_nobody_and_outlives_pcheck() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", "${H}svc chatter &")));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        let up = pcheck.until(") Up").pop().unwrap();
        let daemon = host.pid_of(1);
        assert_eq!(up, format!("({svc} ,pid={daemon}) Up"));
        let output = host.own_dir().join("1.out");
        let size = || fs::metadata(&output).unwrap().len();
        until("it writes", || size() > 0);
        pcheck.stop();
        let (before, alive) = (size(), lives(daemon));
        assert!(alive, "it has died with pcheck");
        until("it goes on writing", || size() > before + 100);
        assert!(lives(daemon));
    });
}

#[test]
fn a_gigabyte_of_output_fills_neither_disk_nor_memory_nor_log() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        // Emulated, all of it would take longer than a script may before that is said.
        let bytes: u64 = if is_emulated() { 50_000_000 } else { 1_000_000_000 };
        // In bursts: on a busy host all at once may come before pcheck has its turn.
        let body = format!(
            "for i in 1 2 3 4 5 6 7 8 9 10; do yes 'a line of output that is of no use to anybody' | head -c {}; sleep 0.1; \
             done\n${{H}}svc </dev/null >/dev/null 2>&1 &",
            bytes / 10
        );
        host.rules(&format!("{svc}:{}:86400:3:exit", host.script("start.sh", &body)));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.until("Try to restart");
        let mut lines = pcheck.until(") Up");
        // Four of these at the same time may take a busy machine so long.
        lines.retain(|line| !line.contains(") runs for 30 s now: "));
        let said = lines.iter().filter(|line| line.contains(" says: ")).count();
        assert_eq!(said, 20, "{lines:#?}");
        assert!(lines[20].contains("bytes more: see "), "{}", lines[20]);
        assert_eq!(lines.len(), 22, "{lines:#?}");
        let size = fs::metadata(host.own_dir().join("1.out")).unwrap().len();
        // What comes between the last look and the end of the script is there still.
        let status = fs::read_to_string(format!("/proc/{}/status", pcheck.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 100 * 1024, "{peak} kB");
        assert!(size < bytes / 2, "{size}");
    });
}

#[test]
fn while_a_script_hangs_others_are_served_and_no_zombie_is_left() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (svc, other) = (host.svc(), host.install("other"));
        let hangs = host.script("hangs.sh", "echo $$ > ${H}hangs.new; mv ${H}hangs.new ${H}hangs; exec cat ${H}life");
        let works = host.script("works.sh", "${H}other </dev/null >/dev/null 2>&1 &");
        host.rules(&format!("{svc}:{hangs}:86400:3:exit\n{other}:{works}:0:1000:exit"));
        let first = host.start_as("other", "");
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.until("Try to restart");
        until("it hangs", || !host.read("hangs").is_empty());
        let mut service = first.pid;
        for _ in 0..3 {
            kill(service);
            pcheck.until(&format!("Try to restart ({other})"));
            service = pcheck.up(&other);
        }
        assert_eq!(host.entry(1)["doing"], "restarting");
        let script = Pid::new(host.read("hangs").trim().parse().unwrap()).unwrap();
        assert_eq!(children(&pcheck), [script], "only the script that runs");
        assert_eq!(host.padmin("stop").code, Some(0));
        kill(script);
        pcheck.until(&format!("Restart script of ({svc}) "));
        assert_eq!(children(&pcheck), []);
    });
}

#[test]
fn a_script_that_takes_too_long_is_ended_with_all_its_processes_and_the_try_has_failed() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        let body = "cat ${H}life &\necho $! > ${H}child.new; mv ${H}child.new ${H}child; wait; cat ${H}life";
        let script = host.script("start.sh", body);
        // Until then it has told who its child is.
        let limit = if is_emulated() { 20 } else { 5 };
        host.rules(&format!("{svc}:{script}:86400:1:exit\n#@ script_timeout={limit}"));
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        pcheck.expect([
            format!("Set pid fail ({svc})"),
            format!("Try to restart ({svc})"),
            format!("Restart script of ({svc}) takes longer than {limit} s, it is ended [{script}]"),
            format!("Restart script of ({svc}) killed by SIGTERM [{script}]"),
        ]);
        let child = Pid::new(host.read("child").trim().parse().unwrap()).unwrap();
        until("what it has started has ended, too", || !lives(child));
        let (lines, code) = pcheck.end();
        assert_eq!(code, Some(4));
        assert_eq!(lines.last().unwrap(), &format!("({svc}) FATAL"));
    });
}
