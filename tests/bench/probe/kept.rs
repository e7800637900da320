//! A program that runs as long as it is needed, with all that it starts.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use watcher_tests::program::built;

/// It ends when this is dropped.
pub(crate) struct Kept {
    keeper: Child,
    pub(crate) pid: u32,
    said: PathBuf,
}

impl Kept {
    /// Starts it. What it says on standard error goes to a file.
    pub(crate) fn start(command: &Command, said: &Path) -> Self {
        let mut keeper = Command::new(built("keeps"));
        keeper.arg(command.get_program()).args(command.get_args());
        let file = File::create(said).expect("room");
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file);
        let mut keeper = keeper.spawn().expect("the keeper starts");
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().expect("piped")).read_line(&mut pid).expect("the keeper speaks");
        let pid = pid.trim().parse().unwrap_or_else(|_| panic!("{:?} does not start", command.get_program()));
        Self { keeper, pid, said: said.to_owned() }
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).expect("the file is there")).into_owned()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _reaped = self.keeper.wait();
    }
}
