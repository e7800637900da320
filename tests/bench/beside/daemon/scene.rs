//! Workers, and daemons that watch them.

use std::{
    process::Command,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    ground::Ground,
    herd,
    kept::Kept,
    news::{self, News},
    tools::watcher::{OPTIONS, RUN_DIR, pfile, watcher},
};

/// Whoever takes longer than that hangs.
pub(super) const LIMIT: Duration = Duration::from_secs(180);

pub(super) struct Scene {
    /// Ended first, then its folder is removed.
    _herd: Kept,
    pub(super) ground: Ground,
    pub(super) send: Sender<News>,
    pub(super) news: Receiver<News>,
    _folder: TempDir,
}

impl Scene {
    /// So many workers, and nobody who watches them.
    pub(super) fn of(size: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Ground::lay_out(folder.path(), size);
        let (send, news) = channel();
        news::read_stamps(&ground.at("stamps"), send.clone());
        let herd = herd::gather(&ground, &send).expect("all workers start");
        Self { _herd: herd, ground, send, news, _folder: folder }
    }

    /// A pcheck over all of them; and how long it took until it said that all are up.
    pub(super) fn pcheck(&self) -> (Kept, Duration) {
        std::fs::write(self.ground.at("pfile"), pfile(&self.ground, self.ground.workers(), 1)).expect("room");
        let mut command = watcher(&self.ground);
        command.arg("pcheck").arg("-f").arg(self.ground.at("pfile")).args(["--tier", "ebpf"]);
        self.start(&mut command)
    }

    /// A daemon that watches all of them.
    pub(super) fn start(&self, command: &mut Command) -> (Kept, Duration) {
        let begun = Instant::now();
        let kept = Kept::start(command.args(OPTIONS).arg(self.ground.at(RUN_DIR)), &self.send).expect("it starts");
        self.await_up(self.ground.size);
        (kept, begun.elapsed())
    }

    /// Waits until so many have been said to be up.
    pub(super) fn await_up(&self, count: usize) {
        let mut up = 0;
        let end = Instant::now() + LIMIT;
        let mut last = String::new();
        while up < count {
            match self.news.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(News::Said(_, line)) => {
                    up += usize::from(line.contains(") Up"));
                    last = line;
                }
                Ok(News::Began(..)) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{up} of {count} are up; last it was said: {last}")
                }
            }
        }
    }

    /// `padmin` with these words: how long it took.
    pub(super) fn padmin(&self, pfile: &str, words: &[&str]) -> Duration {
        let mut command = watcher(&self.ground);
        command.arg("padmin").arg("-f").arg(self.ground.at(pfile)).args(OPTIONS).arg(self.ground.at(RUN_DIR));
        command.arg("-c").args(words);
        let begun = Instant::now();
        let output = command.output().expect("it starts");
        let took = begun.elapsed();
        assert!(output.status.success(), "padmin: {}", String::from_utf8_lossy(&output.stderr));
        took
    }
}

/// Milliseconds, of the one in the middle, and of the longest.
pub(super) fn middle_and_longest(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    (ms(times.len() / 2), ms(times.len().saturating_sub(1)))
}
