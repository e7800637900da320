//! The bare loop over pidfds, as a process of its own.

use std::{env, process::Command};

use super::{Ready, Running, Stage, Told};
use crate::{floor, ground::named_in, kept::Kept};

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let mut command = Command::new(env::current_exe().expect("it is there"));
    command.arg(floor::OPTION).arg(stage.ground.at("")).arg(stage.ground.size.to_string());
    let kept = Kept::start(&mut command, stage.news)?;
    Ok(Running { kept, ready: Ready::Said(floor::READY.to_owned(), 1) })
}

pub(super) fn told(line: &str) -> Option<Told> {
    line.strip_prefix("gone ").and_then(named_in).map(Told::Death)
}
