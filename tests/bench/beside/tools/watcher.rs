//! `watcher pcheck`, one entry a worker, on a given tier.

use std::{fmt::Write as _, process::Command};

use watcher_tests::program::built;

use super::{Ready, Running, Stage, Told};
use crate::{
    ground::{Ground, Worker, named_in},
    kept::Kept,
};

/// Retries that nobody uses up: what is measured is not the giving up.
const RETRIES: u32 = 1_000;

pub(super) fn start(stage: &Stage<'_>, tier: &str) -> Result<Running, String> {
    let ground = stage.ground;
    let text = pfile(ground, ground.workers(), 1);
    let pfile = stage.file("pfile", &text)?;
    let mut command = watcher(ground);
    command.arg("pcheck").arg("-f").arg(pfile).args(["--tier", tier]).args(OPTIONS).arg(ground.at(RUN_DIR));
    let kept = Kept::start(&mut command, stage.news)?;
    Ok(Running { kept, ready: Ready::Said(") Up".to_owned(), ground.size) })
}

/// What all are started with: the last option wants `RUN_DIR`.
pub(crate) const OPTIONS: [&str; 3] = ["--log", "stderr", "--run-dir"];

pub(crate) const RUN_DIR: &str = "run.d";

/// The program, without anything that the environment would make it say.
pub(crate) fn watcher(ground: &Ground) -> Command {
    let mut command = Command::new(built("watcher"));
    command.env_remove("WATCHER_LOG").current_dir(ground.at(""));
    command
}

/// A pfile for these workers.
pub(crate) fn pfile(ground: &Ground, workers: impl Iterator<Item = Worker>, key: usize) -> String {
    let dump = ground.path(&format!("dump.{key}"));
    let mut text = format!("IPCKEY {:#x}\nMONITOR_INTERVAL 1\nSHM_DUMP_FILE {dump}\n", 0x1f00_0000 + key);
    for worker in workers {
        let (program, script) = (ground.program(worker), ground.script(worker));
        let _written = writeln!(text, "{program}:{script}:86400:{RETRIES}:continue");
    }
    text
}

pub(crate) fn told(line: &str) -> Option<Told> {
    let is_death = line.contains("Process [") && line.ends_with("] Down");
    is_death.then(|| named_in(line)).flatten().map(Told::Death)
}
