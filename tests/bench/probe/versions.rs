//! Who is measured, and where.

use std::{fs, path::Path, process::Command, thread};

use watcher_tests::program::built;

pub(crate) fn tell(peers: Option<&Path>) {
    let word = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    println!("## Who is measured, and where\n");
    println!(
        "- Linux {}, {processors} processors, load before {}",
        word("/proc/sys/kernel/osrelease"),
        word("/proc/loadavg")
    );
    println!("- {}", first_line(Command::new(built("watcher")).arg("--version")));
    println!("- {}, one worker; HTTPS with an ECDSA P-256 certificate", first_line(Command::new("nginx").arg("-v")));
    if let Some(peers) = peers {
        println!("- {}", first_line(Command::new(peers.join("usr/bin/monit")).arg("-V")));
        let mut blackbox = Command::new(peers.join("usr/bin/prometheus-blackbox-exporter"));
        println!("- {}", first_line(blackbox.arg("--version")));
    }
    println!();
}

fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return format!("{:?}: cannot be run", command.get_program()) };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}
