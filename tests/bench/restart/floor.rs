//! The floor: no more than a loop over pidfds that spawns a script when one of them becomes readable.

use std::{
    fs,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use rustix::event::epoll;
use watcher::sys::pidfd;
use watcher_core::Pid;

/// How the bench starts itself as this: with the script and the number of entries.
pub(crate) const OPTION: &str = "--floor";

/// Said when a script has ended.
pub(crate) const RESTARTED: &str = "restarted";

pub(crate) fn run(mut arguments: impl Iterator<Item = String>) {
    let script = arguments.next().expect("a script");
    let entries: usize = arguments.next().and_then(|count| count.parse().ok()).expect("a number");
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set");
    let mut held = Vec::new();
    for entry in 1..=entries {
        restart(&script, entry);
        held.push(watch(&set, &script, entry));
    }
    let mut ready = Vec::with_capacity(1);
    loop {
        ready.clear();
        epoll::wait(&set, rustix::buffer::spare_capacity(&mut ready), None).expect("an epoll set");
        for event in &ready {
            let event: &epoll::Event = event;
            let entry = event.data.u64() as usize;
            restart(&script, entry);
            held[entry - 1] = watch(&set, &script, entry);
        }
    }
}

/// std spawns by `posix_spawn` where nothing forbids it, as here.
fn restart(script: &str, entry: usize) {
    let mut command = Command::new(script);
    command.env("PS_PENT_ID", entry.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    child.wait().expect("it is our child");
    eprintln!("{RESTARTED} {entry}");
}

fn watch(set: &OwnedFd, script: &str, entry: usize) -> OwnedFd {
    let path = Path::new(script).with_file_name(format!("pid.{entry}"));
    let pid = fs::read_to_string(path).expect("its script has run");
    let pid = pid.trim().parse().ok().and_then(Pid::new).expect("a pid");
    let pidfd = pidfd::open(pid).expect("it runs");
    epoll::add(set, &pidfd, epoll::EventData::new_u64(entry as u64), epoll::EventFlags::IN).expect("room");
    pidfd
}
