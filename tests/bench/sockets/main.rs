//! `cargo xtask bench sockets`: what it costs that the sockets of a port are watched: in the kernel, in wake-ups, and to nginx
//! under load. All of it happens in a network namespace of its own, over loopback.

#[path = "../exit/floor.rs"]
mod floor;
#[path = "../probe/kept.rs"]
#[expect(dead_code, reason = "another bench also wants to know what it says")]
mod kept;
mod kernel;
mod nginx;
mod scene;
mod wake_ups;
mod wrk;

use std::{env, path::PathBuf};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// For each figure of kernel time: so often so many.
    rounds: usize,
    connections: usize,
    /// For each count of wake-ups.
    seconds: u64,
    /// Pairs of runs of wrk, with and without watcher,
    pairs: usize,
    /// and how long each takes.
    wrk_seconds: u64,
}

fn main() {
    let (mut quick, mut peers, mut only) = (false, None, None);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => quick = true,
            "--peers" => peers = words.next().map(PathBuf::from),
            "--only" => only = words.next(),
            other => panic!("{other} is not known; --quick, --peers FOLDER and --only kernel|wake-ups|nginx are"),
        }
    }
    let scale = if quick {
        Scale { rounds: 3, connections: 500, seconds: 2, pairs: 2, wrk_seconds: 1 }
    } else {
        Scale { rounds: 9, connections: 5_000, seconds: 30, pairs: 24, wrk_seconds: 4 }
    };
    // SAFETY: no memory is involved, and no other thread runs yet.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "root");
    watcher_tests::netns::loopback_up();
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wanted("kernel") {
        kernel::run(scale);
    }
    if wanted("wake-ups") {
        wake_ups::run(scale);
    }
    if wanted("nginx") {
        match peers {
            Some(peers) => nginx::run(scale, &peers),
            None => println!("## nginx under wrk\n\nNot measured: wrk is not there.\n"),
        }
    }
}
