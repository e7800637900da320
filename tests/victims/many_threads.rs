//! A hundred threads beside the leader. Told to go, all end at the same moment, so that several of them can see
//! themselves as the last one.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use watcher_tests::script::{end_thread, say, wait_for_go};

const THREADS: usize = 100;

fn main() {
    let barrier = Arc::new(Barrier::new(THREADS + 1));
    for _ in 0..THREADS {
        let barrier = Arc::clone(&barrier);
        thread::spawn(move || {
            barrier.wait();
            end_thread(0);
        });
    }
    say("ready");
    wait_for_go();
    barrier.wait();
    end_thread(0);
}
