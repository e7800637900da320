//! Starts children by `vfork`: one that becomes another program, and one that fails to and ends while it still shares
//! its parent's memory. Neither end is the parent's.

use std::process::{self, Command};

use watcher_tests::script::{say, wait_for_go};

fn main() {
    say("ready");
    wait_for_go();
    let succeeded = Command::new("true").status().expect("true is everywhere");
    assert!(succeeded.success());
    Command::new("/nonexistent/program").status().expect_err("there is no such program");
    say("vforked");
    wait_for_go();
    process::exit(4);
}
