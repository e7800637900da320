//! keepalived `track_process`: it hears of deaths by the process connector, and tells that a group of processes has failed.
//!
//! The connector works in the host's network namespace only, so it runs there, on one end of a pair of interfaces whose other
//! end lies in a namespace of our own: nothing that it sends gets anywhere, and both are gone with that namespace.

use std::{fmt::Write as _, process::Command, sync::mpsc::channel, thread};

use super::{Ready, Running, Stage, Told};
use crate::{ground::name, kept::Kept};

const INTERFACE: &str = "wbench0";

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let ground = stage.ground;
    make_interfaces()?;
    // Announcements so rare that it never becomes master: it is measured as one who watches.
    let mut text = "global_defs { router_id bench\n script_user root\n enable_script_security\n }\n".to_owned();
    for worker in ground.workers() {
        let _written = writeln!(text, "vrrp_track_process {0} {{ process {0} }}", name(worker));
    }
    let _written = writeln!(
        text,
        "vrrp_instance V1 {{\n state BACKUP\n interface {INTERFACE}\n virtual_router_id 51\n priority 100\n advert_int 200\n \
         virtual_ipaddress {{ 192.0.2.77/32 dev {INTERFACE} }}\n track_process {{"
    );
    for worker in ground.workers() {
        let _written = writeln!(text, "  {}", name(worker));
    }
    let _written = writeln!(text, " }}\n notify_fault \"{}\"\n}}", ground.path("fault"));
    let file = stage.file("keepalived.conf", &text)?;
    let mut command = stage.peer("usr/sbin/keepalived")?;
    command.args(["--dont-fork", "--vrrp", "--log-console", "--log-detail", "--use-file"]).arg(file);
    command.args(["--pid", &ground.path("keepalived.pid"), "--vrrp_pid", &ground.path("vrrp.pid")]);
    let kept = Kept::start(&mut command, stage.news)?;
    Ok(Running { kept, ready: Ready::Said(RECOVERED.to_owned(), 1) })
}

const RECOVERED: &str = "Entering BACKUP STATE";

pub(super) fn told(line: &str) -> Option<Told> {
    line.contains(RECOVERED).then_some(Told::Recovered)
}

/// They last as long as this process.
fn make_interfaces() -> Result<(), String> {
    let (send, holder) = channel();
    thread::spawn(move || {
        watcher_tests::netns::enter_new();
        // SAFETY: no memory is involved.
        let _ = send.send(unsafe { libc::gettid() });
        loop {
            thread::park();
        }
    });
    let holder = holder.recv().map_err(|_| "a network namespace of its own takes root".to_owned())?.to_string();
    for words in [
        vec!["link", "add", INTERFACE, "type", "veth", "peer", "name", "wbench1", "netns", &holder],
        vec!["addr", "add", "192.0.2.1/24", "dev", INTERFACE],
        vec!["link", "set", INTERFACE, "up"],
    ] {
        let output = Command::new("ip").args(&words).output();
        let output =
            output.map_err(|error| format!("ip cannot be run ({error}); `apt-get install iproute2` brings it"))?;
        if !output.status.success() {
            return Err(format!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    // Up at both ends, so that the interface has a carrier.
    let script = format!("nsenter --net=/proc/{holder}/ns/net ip link set wbench1 up");
    let carried = Command::new("sh").args(["-c", &script]).status().is_ok_and(|status| status.success());
    if carried { Ok(()) } else { Err(format!("`{script}` has failed; `apt-get install util-linux` brings nsenter")) }
}
