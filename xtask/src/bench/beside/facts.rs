//! Which machine it is, and which programs are measured.

use std::{
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::Path,
    thread,
};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::plan::{METHOD, Plan, Program, Tool};
use crate::{bench::peers, workspace};

/// The name of watcher's own program among the tools.
const WATCHER: &str = "watcher";

pub(super) struct Facts {
    pub(super) machine: Vec<(&'static str, String)>,
    /// Names of tools, and which version of them was measured.
    pub(super) versions: Vec<(&'static str, String)>,
    /// How busy it was before anything was measured or built.
    pub(super) load: f64,
    /// Names of tools, and by what their programs differ from others.
    prints: Vec<(&'static str, u64)>,
}

impl Facts {
    pub(super) fn gather(shell: &Shell, plan: &Plan, folder: &Path, load: f64) -> anyhow::Result<Self> {
        let mut facts = Self { machine: machine(shell), versions: Vec::new(), load, prints: Vec::new() };
        facts.prints.push((WATCHER, print_of(Program::Watcher, folder)?));
        for tool in &plan.tools {
            // A program that is missing has no version, which is a condition, too.
            facts.prints.push((tool.name, print_of(tool.program, folder)?));
            facts.versions.push((tool.title, version_of(shell, tool, folder)));
        }
        Ok(facts)
    }

    /// Under which conditions a cell of this tool is measured.
    pub(super) fn key(&self, tool: &Tool, plan: &Plan) -> String {
        let print = self.print(tool.name);
        format!("method {METHOD}; {}; {print:016x}; {:?}", self.machine(), plan.windows)
    }

    /// The same for a section, which concerns watcher.
    pub(super) fn key_of_section(&self) -> String {
        format!("method {METHOD}; {}; {:016x}", self.machine(), self.print(WATCHER))
    }

    fn print(&self, name: &str) -> u64 {
        self.prints.iter().find(|(known, _)| *known == name).map_or(0, |(_, print)| *print)
    }

    fn machine(&self) -> String {
        let machine: Vec<_> = self.machine.iter().map(|(what, value)| format!("{what} {value}")).collect();
        machine.join(", ")
    }
}

/// How many processes want a processor, over a minute.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

fn machine(shell: &Shell) -> Vec<(&'static str, String)> {
    let word = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let field = |file: &str, name: &str| {
        let text = word(file);
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default()
            .trim_start_matches([' ', '\t', ':']);
        line.trim().to_owned()
    };
    let memory: u64 =
        field("/proc/meminfo", "MemTotal:").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let open_files = cmd!(shell, "sh -c 'ulimit -Hn'").quiet().read().unwrap_or_default();
    let hypervisor = field("/proc/cpuinfo", "flags").split(' ').any(|flag| flag == "hypervisor");
    vec![
        ("kernel", word("/proc/sys/kernel/osrelease")),
        ("processors", format!("{processors} × {}", field("/proc/cpuinfo", "model name"))),
        ("virtual machine", if hypervisor { "yes" } else { "no" }.to_owned()),
        ("memory", format!("{} GiB", (memory + (1 << 19)) >> 20)),
        ("open files allowed", open_files),
        ("pid_max", word("/proc/sys/kernel/pid_max")),
    ]
}

fn version_of(shell: &Shell, tool: &Tool, folder: &Path) -> String {
    let missing = || "not there".to_owned();
    match tool.program {
        Program::Debian(package, _) => peers::version_of(shell, folder, package)
            .map_or_else(missing, |version| format!("Debian's package {package} {version}")),
        Program::Own => "part of this bench".to_owned(),
        Program::Python => {
            let program = folder.join(peers::SUPERVISORD);
            let version = cmd!(shell, "{program} --version").quiet().ignore_stderr().read();
            version.map_or_else(|_| missing(), |version| format!("PyPI's supervisor {version}"))
        }
        Program::Watcher => {
            let commit =
                cmd!(shell, "git rev-parse --short=12 HEAD").quiet().ignore_stderr().read().unwrap_or_default();
            let changed = cmd!(shell, "git status --porcelain --untracked-files=no -- watcher watcher-ebpf Cargo.lock");
            let changed = changed.quiet().ignore_stderr().read().is_ok_and(|files| !files.is_empty());
            format!("commit {commit}{}, release build", if changed { " and changes" } else { "" })
        }
    }
}

fn print_of(program: Program, folder: &Path) -> anyhow::Result<u64> {
    let path = match program {
        Program::Debian(_, program) => folder.join(program),
        Program::Own => return Ok(0),
        Program::Python => folder.join(peers::SUPERVISORD),
        Program::Watcher => workspace::target()?.join("release/watcher"),
    };
    if !path.exists() {
        return Ok(1);
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?);
    Ok(hasher.finish())
}

#[cfg(test)]
impl Facts {
    pub(super) fn made_up() -> Self {
        Self {
            machine: vec![("kernel", "6.1".to_owned())],
            versions: vec![("monit", "5.33".to_owned())],
            load: 0.0,
            prints: Vec::new(),
        }
    }
}
