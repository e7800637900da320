//! Takes memory until somebody stops it: the kernel does, for want of memory.

use watcher_tests::script::{say, wait_for_go};

fn main() {
    say("ready");
    wait_for_go();
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
        // Kept, and touched: an optimiser must not see through this.
        std::hint::black_box(&eaten);
    }
}
