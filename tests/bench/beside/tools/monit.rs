//! monit with a cycle of one second: a `check process … matching` a worker.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _};

use super::{Ready, Running, Stage, Told};
use crate::{
    ground::{name, named_in},
    kept::Kept,
};

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let ground = stage.ground;
    let at = |name: &str| ground.path(name);
    let mut text = format!(
        "set daemon 1\nset pidfile {}\nset idfile {}\nset statefile {}\nset httpd unixsocket {} allow localhost\n",
        at("monit.pid"),
        at("monit.id"),
        at("monit.state"),
        at("monit.sock"),
    );
    for worker in ground.workers() {
        let (name, program, script) = (name(worker), ground.program(worker), ground.script(worker));
        let _written = writeln!(
            text,
            "check process {name} matching \"{program} infinity\"\n  start program = \"{script}\" with timeout 10 seconds\n  \
             if does not exist then start"
        );
    }
    let file = stage.file("monitrc", &text)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(|error| error.to_string())?;
    let mut command = stage.peer("usr/bin/monit")?;
    command.args(["-I", "-c", &at("monitrc")]);
    let kept = Kept::start(&mut command, stage.news)?;
    let mut summary = stage.peer("usr/bin/monit")?;
    summary.args(["-c", &at("monitrc"), "-B", "summary"]);
    let size = ground.size;
    let is_ready = move || {
        let Ok(output) = summary.output() else { return false };
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.contains(" OK")).count() >= size
    };
    Ok(Running { kept, ready: Ready::Asked(Box::new(is_ready)) })
}

pub(super) fn told(line: &str) -> Option<Told> {
    line.contains("process is not running").then(|| named_in(line)).flatten().map(Told::Death)
}
