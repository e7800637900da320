//! The cluster scripts of `rules/cluster`, as a cluster runs them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod clp_support;

use std::{fs, process::Command};

use clp_support::{Host, Monitor, Service, ran};

const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../rules/cluster");

/// A script, run with commands that keep their records on this host of the test, and ask this port.
fn script(host: &Host, name: &str, port: u16, event: &str, disk: &str) -> Command {
    let bin = host.path("bin");
    fs::create_dir_all(&bin).unwrap();
    for command in ["clp_httpmon", "clp_smtpmon"] {
        let (real, run) = (host.path(command), host.path("run"));
        let (real, run) = (real.display(), run.display());
        let text = format!(
            "#!/bin/sh\ncase $* in *--stop*) ;; *) set -- \"$@\" -s 127.0.0.1 -n {port} -i 1 ;; esac\n\
             exec {real} \"$@\" --run-dir {run} --log stderr\n"
        );
        // By another process: what is open for writing here is so in a child that another test is making, and cannot be run.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$2\" >\"$1\" && chmod 755 \"$1\"", "-"]).arg(bin.join(command)).arg(text);
        assert!(shell.status().unwrap().success());
    }
    let mut command = Command::new(format!("{CLUSTER}/{name}"));
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    command.env("CLP_EVENT", event).env("CLP_DISK", disk).env("CLP_SERVER", "HOME");
    command
}

#[test]
fn a_group_that_starts_is_monitored_until_it_leaves() {
    let services = [Service::http(), Service::smtp("220 ready", "250 Ok")];
    for ((kind, protocol), service) in [("httpmon", "HTTP"), ("smtpmon", "SMTP")].into_iter().zip(services) {
        for event in ["START", "FAILOVER"] {
            let host = Host::new();
            let run = |name: &str| script(&host, &format!("{kind}/{name}.sh"), service.port, event, "SUCCESS");
            let monitor = Monitor::of(run("start").stdout(std::process::Stdio::null())).begun();
            service.asked();
            let stopped = ran(&mut run("stop"));
            assert_eq!((stopped.code, stopped.err.as_str()), (Some(0), ""), "{stopped:?}");
            assert!(stopped.out.contains(&format!("clp_{kind} stops: {event} on its home server")), "{stopped:?}");
            let id = kind.replace("mon", "watch");
            let line = format!("clp_{kind} will stop monitoring the {protocol} daemon. [ID:{id}]");
            assert_eq!(monitor.end(), (vec![line], Some(0)));
            let again = ran(&mut run("stop"));
            assert_eq!(again.code, Some(0));
            assert!(again.out.contains("could not be stopped") && again.err.contains("could not perform"), "{again:?}");
        }
    }
}

#[test]
fn without_a_disk_or_a_cluster_nothing_is_done_and_that_is_said() {
    let host = Host::new();
    for name in ["httpmon/start.sh", "httpmon/stop.sh", "smtpmon/start.sh", "smtpmon/stop.sh"] {
        for (event, disk, why) in [
            ("START", "FAILURE", "CLP_DISK is 'FAILURE' at START"),
            ("FAILOVER", "", "CLP_DISK is '' at FAILOVER"),
            ("", "SUCCESS", "CLP_EVENT is '', neither START nor FAILOVER"),
            ("RECOVER", "SUCCESS", "CLP_EVENT is 'RECOVER', neither START nor FAILOVER"),
        ] {
            let ran = ran(&mut script(&host, name, 9, event, disk));
            assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
            assert!(ran.out.contains(why), "{ran:?}");
        }
    }
    assert!(!host.path("run").exists());
}
