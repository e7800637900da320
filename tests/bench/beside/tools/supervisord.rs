//! supervisord, in a virtual environment of Python: the workers are its own children.

use std::process::Command;

use super::{Ready, Running, Stage, Told};
use crate::{ground::named_in, kept::Kept};

/// Descriptors that it holds for each child: a pipe for each of its streams.
const DESCRIPTORS_EACH: u64 = 3;

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let ground = stage.ground;
    let wanted = ground.size as u64 * DESCRIPTORS_EACH + 100;
    let allowed = watcher::sys::limits::raise_descriptors().unwrap_or(u64::MAX);
    if wanted > allowed {
        return Err(format!(
            "it holds {DESCRIPTORS_EACH} descriptors a process; {wanted} are more than the {allowed} allowed here"
        ));
    }
    let at = |name: &str| ground.path(name);
    let text = format!(
        "[supervisord]\nnodaemon=true\nminfds={wanted}\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\n\
         [unix_http_server]\nfile={}\nchmod=0700\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:w]\ncommand={}/%(process_num)05d\nprocess_name=w%(process_num)05d\nnumprocs={}\nnumprocs_start=1\n\
         autorestart=true\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
        at("supervisord.pid"),
        at("supervisord.sock"),
        at("run"),
        ground.size,
    );
    let file = stage.file("supervisord.conf", &text)?;
    let program = stage.peers.join("supervisor/bin/supervisord");
    if !program.exists() {
        return Err(format!("{} is not there: `cargo xtask bench` installs it from PyPI", program.display()));
    }
    let mut command = Command::new(program);
    let kept = Kept::start(command.arg("-n").arg("-c").arg(file).env("PYTHONUNBUFFERED", "1"), stage.news)?;
    Ok(Running { kept, ready: Ready::AllWorkers })
}

pub(super) fn told(line: &str) -> Option<Told> {
    line.contains(" exited: ").then(|| named_in(line)).flatten().map(Told::Death)
}
