//! Who is measured: one line a tool, one file a program.

mod floor;
mod keepalived;
mod monit;
mod process_exporter;
mod restartd;
mod s6;
mod supervisord;
pub(crate) mod watcher;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::Sender,
};

use crate::{
    ground::{Ground, Worker},
    kept::Kept,
    news::News,
};

#[derive(Debug)]
pub(crate) struct Tool {
    /// As it is called on the command line and in the report.
    pub(crate) name: &'static str,
    /// It watches children of its own only, so it starts them.
    pub(crate) own_children: bool,
    /// A script of ours runs at each death.
    pub(crate) runs_scripts: bool,
    /// It says when it has learned of a death.
    pub(crate) tells_deaths: bool,
    /// Its state must be as before until the next one may die.
    pub(crate) one_at_a_time: bool,
    pub(crate) revival: Revival,
    pub(crate) start: fn(&Stage<'_>) -> Result<Running, String>,
    /// What one line that it says means.
    pub(crate) told: fn(&str) -> Option<Told>,
}

/// Who brings a worker back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Revival {
    /// Nobody but the bench does.
    ByHand,
    ByTool,
}

pub(crate) enum Told {
    Death(Worker),
    Recovered,
}

/// What a tool is given.
pub(crate) struct Stage<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) peers: &'a Path,
    pub(crate) news: &'a Sender<News>,
}

impl Stage<'_> {
    /// A peer's program, with the libraries that came with it.
    fn peer(&self, program: &str) -> Result<Command, String> {
        let path = self.peers.join(program);
        if !path.exists() {
            return Err(format!(
                "{} is not there: `cargo xtask bench` unpacks it from Debian's package",
                path.display()
            ));
        }
        let mut command = Command::new(path);
        let folders =
            ["usr/lib", "lib"].map(|lib| self.peers.join(format!("{lib}/{}-linux-gnu", std::env::consts::ARCH)));
        command.env("LD_LIBRARY_PATH", folders.map(|folder| folder.display().to_string()).join(":"));
        Ok(command)
    }

    /// A configuration file with this text.
    fn file(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.ground.at(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

/// A tool that has been started.
pub(crate) struct Running {
    pub(crate) kept: Kept,
    pub(crate) ready: Ready,
}

/// By what it is known that it watches.
pub(crate) enum Ready {
    /// All workers run: it has started them.
    AllWorkers,
    /// It has said this, so many times.
    Said(String, usize),
    /// It says so when it is asked.
    Asked(Box<dyn FnMut() -> bool>),
}

const SUPERVISOR: Tool = Tool {
    name: "",
    own_children: true,
    runs_scripts: true,
    tells_deaths: false,
    one_at_a_time: false,
    revival: Revival::ByTool,
    start: floor::start,
    told: |_| None,
};

const WATCHER: Tool = Tool { own_children: false, tells_deaths: true, told: watcher::told, ..SUPERVISOR };

pub(crate) const ALL: [Tool; 11] = [
    Tool { name: "watcher-ebpf", start: |stage| watcher::start(stage, "ebpf"), ..WATCHER },
    Tool { name: "watcher-pidfd", start: |stage| watcher::start(stage, "pidfd"), ..WATCHER },
    Tool { name: "watcher-connector", start: |stage| watcher::start(stage, "connector"), ..WATCHER },
    Tool { name: "watcher-poll", start: |stage| watcher::start(stage, "poll"), ..WATCHER },
    Tool {
        name: "floor",
        own_children: false,
        tells_deaths: true,
        start: floor::start,
        told: floor::told,
        ..SUPERVISOR
    },
    Tool {
        name: "monit",
        own_children: false,
        tells_deaths: true,
        start: monit::start,
        told: monit::told,
        ..SUPERVISOR
    },
    Tool { name: "supervisord", tells_deaths: true, start: supervisord::start, told: supervisord::told, ..SUPERVISOR },
    Tool {
        name: "keepalived",
        own_children: false,
        one_at_a_time: true,
        revival: Revival::ByHand,
        start: keepalived::start,
        told: keepalived::told,
        ..SUPERVISOR
    },
    Tool { name: "s6", start: s6::start, ..SUPERVISOR },
    Tool { name: "restartd", own_children: false, start: restartd::start, ..SUPERVISOR },
    Tool {
        name: "process-exporter",
        own_children: false,
        runs_scripts: false,
        tells_deaths: true,
        revival: Revival::ByHand,
        start: process_exporter::start,
        told: process_exporter::told,
        ..SUPERVISOR
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    const TOOLS: &[Tool] = &ALL;
    TOOLS.iter().find(|tool| tool.name == name)
}
