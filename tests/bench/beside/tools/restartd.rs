//! restartd: looks at all of /proc every second, with a regular expression a worker.

use std::fmt::Write as _;

use super::{Ready, Running, Stage};
use crate::{ground::name, kept::Kept};

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let ground = stage.ground;
    let mut text = String::new();
    for worker in ground.workers() {
        let (name, program, script) = (name(worker), ground.program(worker), ground.script(worker));
        let _written = writeln!(text, "{name} \"{program} infinity\" \"{script}\" \"\"");
    }
    let file = stage.file("restartd.conf", &text)?;
    let mut command = stage.peer("usr/sbin/restartd")?;
    command.args(["-f", "-i", "1", "-c"]).arg(file);
    let kept = Kept::start(&mut command, stage.news)?;
    // It says nothing; what it does before is part of its warm-up.
    Ok(Running { kept, ready: Ready::Asked(Box::new(|| true)) })
}
