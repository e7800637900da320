//! A folder with the workers' program and all its names, and what it writes there.

use std::{
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStrExt as _,
            fs::{FileExt as _, symlink},
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use watcher::sys::{pidfd, proc};
use watcher_core::Pid;

/// A worker's number, from 1.
pub(crate) type Worker = usize;

pub(crate) struct Ground {
    folder: PathBuf,
    pids: File,
    pub(crate) size: usize,
}

impl Ground {
    /// The folder is empty so far. It belongs to whoever has called this program, and who removes it.
    pub(crate) fn lay_out(folder: &Path, size: usize) -> Self {
        let at = |name: &str| folder.join(name);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/beside/program.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-static", "-O2", "-o"]).arg(at("program")).arg(source);
        compiler.arg(format!("-DFOLDER=\"{}\"", folder.display()));
        let built = compiler.status().expect("a C compiler (cc); `apt-get install gcc libc6-dev` brings one");
        assert!(built.success(), "the workers' program is built");
        for kind in ["bin", "start", "run", "again"] {
            fs::create_dir(at(kind)).expect("an empty folder");
        }
        for worker in 1..=size {
            symlink(at("program"), folder.join("bin").join(name(worker))).expect("a link");
            for kind in ["start", "run", "again"] {
                symlink(at("program"), folder.join(kind).join(number(worker))).expect("a link");
            }
        }
        symlink(at("program"), at("fault")).expect("a link");
        mknodat(CWD, at("stamps"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a fifo");
        let pids = File::options().read(true).write(true).create_new(true).open(at("pids")).expect("a new file");
        Self { folder: folder.to_owned(), pids, size }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of a file, as it stands in configurations.
    pub(crate) fn path(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    pub(crate) fn workers(&self) -> impl Iterator<Item = Worker> + Clone + use<> {
        1..=self.size
    }

    /// Who that worker is, if he lives and has become what he should be.
    pub(crate) fn living(&self, worker: Worker) -> Option<Pid> {
        let mut bytes = [0; 4];
        self.pids.read_exact_at(&mut bytes, worker as u64 * 4).ok()?;
        let pid = Pid::new(u32::from_ne_bytes(bytes))?;
        let facts = proc::facts(pid).ok().flatten()?;
        let name = name(worker);
        (facts.comm.as_ref() as &[u8] == name.as_bytes() && !facts.leader_zombie).then_some(pid)
    }

    /// A worker, held so that nobody else can be meant, if he lives.
    pub(crate) fn hold(&self, worker: Worker) -> Option<OwnedFd> {
        let pid = self.living(worker)?;
        let held = pidfd::open(pid).ok()?;
        // What is held is still the one that was looked at.
        (self.living(worker) == Some(pid)).then_some(held)
    }

    /// Ends a worker, if he lives.
    pub(crate) fn kill(&self, worker: Worker) {
        if let Some(held) = self.hold(worker) {
            let _gone = pidfd::send(&held, libc::SIGKILL as u8);
        }
    }

    /// A worker's program, by the name that is his.
    pub(crate) fn program(&self, worker: Worker) -> String {
        self.path(&format!("bin/{}", name(worker)))
    }

    /// His start script.
    pub(crate) fn script(&self, worker: Worker) -> String {
        self.path(&format!("start/{}", number(worker)))
    }

    /// How many of them live.
    pub(crate) fn count_living(&self) -> usize {
        self.workers().filter(|worker| self.living(*worker).is_some()).count()
    }

    /// Whether a process is one of the workers, or becomes one.
    pub(crate) fn is_worker(&self, pid: u32) -> bool {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == self.at("program"))
    }
}

/// Those that were started again have no parent that would take them along.
impl Drop for Ground {
    fn drop(&mut self) {
        for worker in self.workers() {
            self.kill(worker);
        }
    }
}

/// The name of a worker's program, and his command name.
pub(crate) fn name(worker: Worker) -> String {
    format!("w{worker:05}")
}

/// The name of his scripts.
pub(crate) fn number(worker: Worker) -> String {
    format!("{worker:05}")
}

/// The worker that a text names first: `w` and five digits.
pub(crate) fn named_in(text: &str) -> Option<Worker> {
    let bytes = std::ffi::OsStr::new(text).as_bytes();
    bytes.windows(6).find_map(|six| match six.split_first() {
        Some((b'w', digits)) if digits.iter().all(u8::is_ascii_digit) => std::str::from_utf8(digits).ok()?.parse().ok(),
        Some(_) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn a_worker_is_found_in_what_tools_say() {
        assert_eq!(named_in("Process [/tmp/x/bin/w00042,pid=312] Down"), Some(42));
        assert_eq!(named_in("'w00001' process is not running"), Some(1));
        assert_eq!(named_in("we wait for w123"), None);
        assert_eq!(named_in(""), None);
    }
}
