//! A program that ends with the bench.

use std::{
    process::{Child, Command, Stdio},
    sync::mpsc::Sender,
};

use watcher_tests::pcheck::die_with_the_test;

use crate::news::{self, News};

#[derive(Debug)]
pub(crate) struct Kept(Child);

impl Kept {
    /// Starts it; what it says becomes news.
    pub(crate) fn start(command: &mut Command, news: &Sender<News>) -> Result<Self, String> {
        die_with_the_test(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.spawn();
        let mut child =
            spawned.map_err(|error| format!("{} cannot be run: {error}", command.get_program().display()))?;
        news::read_said(child.stdout.take().expect("piped"), news.clone());
        news::read_said(child.stderr.take().expect("piped"), news.clone());
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.0.try_wait().expect("it is our child").map(|status| status.to_string())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Both fail when it has ended by itself, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
