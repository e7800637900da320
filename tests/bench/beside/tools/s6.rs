//! s6: a supervisor process for each worker, and one that looks after them.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::{Ready, Running, Stage};
use crate::{ground::number, kept::Kept};

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let ground = stage.ground;
    let services = ground.at("sv");
    let lay_out = || -> std::io::Result<()> {
        for worker in ground.workers() {
            let service = services.join(number(worker));
            fs::create_dir_all(&service)?;
            // The start script of the others, which becomes the worker.
            symlink(ground.at("program"), service.join("run"))?;
        }
        Ok(())
    };
    lay_out().map_err(|error| format!("{}: {error}", services.display()))?;
    let peer = stage.peer("usr/bin/s6-svscan")?;
    let mut command = Command::new("unshare");
    command.envs(peer.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // It runs /usr/bin/s6-supervise by that path, so it gets a /usr/bin of its own that has what was unpacked.
    let folder = stage.peers.join("usr/bin").display().to_string();
    let most = (ground.size * 2).max(500);
    let script = format!(
        "mount -t overlay overlay -o 'lowerdir={folder}:/usr/bin' /usr/bin && exec s6-svscan -c {most} {}",
        services.display()
    );
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    let kept = Kept::start(&mut command, stage.news)?;
    Ok(Running { kept, ready: Ready::AllWorkers })
}
