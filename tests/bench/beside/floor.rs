//! The floor: no more than a loop over pidfds that spawns a start script when one of them becomes readable.

use std::{
    fs,
    io::Write as _,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use rustix::event::epoll;
use watcher::sys::pidfd;
use watcher_core::Pid;

use crate::ground::{Worker, name, number};

/// How the bench starts itself as this: with the folder and the number of workers.
pub(crate) const OPTION: &str = "--floor";

/// Said when all are watched.
pub(crate) const READY: &str = "ready";

pub(crate) fn run(mut words: impl Iterator<Item = String>) {
    let folder = PathBuf::from(words.next().expect("a folder"));
    let size: usize = words.next().and_then(|size| size.parse().ok()).expect("a number");
    let pids = fs::File::open(folder.join("pids")).expect("workers");
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll set");
    let mut held: Vec<_> = (1..=size).map(|worker| watch(&set, &pids, worker)).collect();
    println!("{READY}");
    let mut ready = Vec::with_capacity(1);
    loop {
        ready.clear();
        epoll::wait(&set, rustix::buffer::spare_capacity(&mut ready), None).expect("an epoll set");
        for event in &ready {
            let event: &epoll::Event = event;
            let worker = event.data.u64() as usize;
            writeln!(std::io::stdout(), "gone {}", name(worker)).expect("somebody listens");
            let mut script = Command::new(folder.join("start").join(number(worker)));
            let script = script.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            script.status().expect("it starts");
            held[worker - 1] = watch(&set, &pids, worker);
        }
    }
}

fn watch(set: &OwnedFd, pids: &fs::File, worker: Worker) -> OwnedFd {
    let mut pid = [0; 4];
    pids.read_exact_at(&mut pid, worker as u64 * 4).expect("it has been started");
    let pid = Pid::new(u32::from_ne_bytes(pid)).expect("a pid");
    let pidfd = pidfd::open(pid).expect("it runs");
    epoll::add(set, &pidfd, epoll::EventData::new_u64(worker as u64), epoll::EventFlags::IN).expect("room");
    pidfd
}
