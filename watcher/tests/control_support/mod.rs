//! A small engine that answers from canned views, in a thread of its own.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc as channel, oneshot, watch};
use watcher::control::{Bounds, Command, Ended, Line, Making, Reply, Request, Server, Who};
use watcher_core::{
    Answer, EntryId, Mono, Order, Pid, Tier, Wall,
    fleet::{Doing, EntryView, FleetView, ProcStatus, StallStatus, StallView},
    no_such_entry,
    pfile::{AbsolutePath, EntryNumber, Port, StallKind},
};

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Shorter than in service, so that tests need not wait.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// The engine. It ends when this is dropped.
pub(crate) struct Engine {
    pub(crate) folder: TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) pfile: String,
    publish: channel::Sender<Told>,
    orders: mpsc::Receiver<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Told {
    End,
    Publish(Line, usize),
}

/// What it answers.
#[derive(Clone)]
pub(crate) struct Canned {
    pub(crate) who: Who,
    pub(crate) entries: Vec<EntryView>,
    pub(crate) lines: Vec<Line>,
    /// It takes orders and never answers them.
    pub(crate) mute: bool,
}

impl Canned {
    pub(crate) fn new(pfile: &str, entries: Vec<EntryView>) -> Self {
        let fleet = FleetView {
            ipc_key: "0x1F000001".to_owned(),
            msg_check_interval: 5,
            monitor_interval: 10,
            dump_file: None,
            entries: entries.len(),
            tier: Tier::Pidfd,
        };
        let pid = Pid::new(std::process::id()).unwrap();
        let pfile = AbsolutePath::new(pfile.as_bytes()).unwrap();
        let since = Wall { unix_ns: 1_318_383_648_000_000_000 };
        let lines = vec![Line::from("{\"event\":\"old\"}"); 5];
        Self { who: Who { pid, pfile, since, fleet }, entries, lines, mute: false }
    }
}

/// The entry of the newer published sample, but that its name is not UTF-8.
pub(crate) fn entry(index: usize) -> EntryView {
    EntryView {
        id: EntryId(index as u32),
        number: EntryNumber::of_index(index),
        process: AbsolutePath::new(b"/opt/HA/PS/\xff").unwrap(),
        script: AbsolutePath::new(b"/opt/HA/PS/test.sh").unwrap(),
        pid: Pid::new(26206),
        retry_count: 0,
        retries: 3,
        grace: 86_400,
        restart_count: 0,
        status: ProcStatus::Avail,
        doing: Doing::Watching,
        until: Some(Mono(3_500_000_000)),
        stall_checks: vec![StallView {
            kind: StallKind::Web,
            port: Port::new(80).unwrap(),
            status: StallStatus::Avail,
            failures: 0,
            failing_since: None,
            fault: None,
            alarms: Vec::new(),
            held: false,
            ended: false,
            took: None,
            certificate_days: None,
        }],
        retry_over: "continue".to_owned(),
        down_since: None,
        script_failed: None,
        rerun: None,
        include_strings: None,
        monitored: true,
        group: None,
    }
}

impl Engine {
    pub(crate) fn with_entries(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        Self::start(folder, &path, Canned::new("/etc/processsaver/a.pfile", (0..count).map(entry).collect()))
    }

    /// One that lets clients say nothing for as long as a test lasts.
    pub(crate) fn patient() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        Self::start_within(LIMIT, folder, &path, Canned::new("/etc/processsaver/a.pfile", vec![entry(0)]))
    }

    /// In a folder that is not its own.
    pub(crate) fn at(folder: PathBuf, count: usize) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let canned = Canned::new("/etc/processsaver/a.pfile", (0..count).map(entry).collect());
        Self::start(tempfile::tempdir().unwrap(), &folder, canned)
    }

    /// With these answers, in a folder.
    pub(crate) fn start(own: TempDir, folder: &Path, canned: Canned) -> Self {
        Self::start_within(PATIENCE, own, folder, canned)
    }

    fn start_within(patience: Duration, own: TempDir, folder: &Path, canned: Canned) -> Self {
        let socket = watcher::control::socket(folder);
        let (publish, told) = channel::channel(16);
        let (note, orders) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let pfile = canned.who.pfile.to_string();
        let path = socket.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let bounds = Bounds { patience, ..Bounds::default() };
                let server = Server::bind_within(&path, bounds).unwrap();
                ready.send(()).unwrap();
                run(server, canned, told, note).await;
            });
        });
        is_ready.recv().unwrap();
        Self { folder: own, socket, pfile, publish, orders, thread: Some(thread) }
    }

    /// The orders that have come.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.orders.try_iter().collect()
    }

    /// Tells followers of events.
    pub(crate) fn publish(&self, line: &str, times: usize) {
        self.publish.blocking_send(Told::Publish(Arc::from(line), times)).unwrap();
    }

    /// Ends the watch.
    pub(crate) fn end(&self) {
        // It may have ended by itself.
        let _told = self.publish.blocking_send(Told::End);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the engine failed");
    }
}

async fn run(mut server: Server, canned: Canned, mut told: channel::Receiver<Told>, note: mpsc::Sender<Order>) {
    let (events, _) = broadcast::channel(1_024);
    let end = watch::Sender::new(None);
    let mut unanswered: Vec<oneshot::Sender<Reply>> = Vec::new();
    loop {
        tokio::select! {
            Request { command, answer } = server.next() => {
                let ends = command == Command::Order(Order::Shutdown);
                if let Command::Order(order) = &command {
                    // A test may have had enough.
                    let _noted = note.send(order.clone());
                }
                if canned.mute && matches!(command, Command::Order(_)) {
                    unanswered.push(answer);
                    continue;
                }
                // Who asked may have gone.
                let _answered = answer.send(reply(&canned, (&events, &end), command));
                if ends {
                    end.send_replace(Some(Ended::Asked));
                    break;
                }
            }
            told = told.recv() => match told {
                Some(Told::Publish(line, times)) => for _ in 0..times {
                    let _followed = events.send(Line::clone(&line));
                },
                Some(Told::End) | None => break,
            }
        }
    }
    drop((events, end));
    server.finish().await;
}

fn reply(
    canned: &Canned,
    (events, end): (&broadcast::Sender<Line>, &watch::Sender<Option<Ended>>),
    command: Command,
) -> Reply {
    let Canned { who, entries, lines, mute: _ } = canned;
    match command {
        Command::Events { follow, last } => {
            let skipped = last.map_or(0, |last| lines.len().saturating_sub(last as usize));
            let live = follow.then(|| events.subscribe());
            Reply::Events { last: lines[skipped..].to_vec(), live }
        }
        Command::Join(_) => Reply::refused("nobody can join"),
        Command::Metrics => Reply::refused("no figures"),
        Command::Monitor(_) => Reply::refused("no monitor"),
        Command::Order(Order::Pause(Some(entry)) | Order::Resume(Some(entry))) if entry.number() > entries.len() => {
            Reply::Answer(Answer::Refused(no_such_entry(entry, entries.len())))
        }
        Command::Order(_) => Reply::Answer(Answer::Done),
        Command::Ping => Reply::Who(Box::new(who.clone())),
        Command::ShowEntries { entry } => {
            let shown: Vec<_> = entries.iter().filter(|view| entry.is_none_or(|entry| view.number == entry)).collect();
            match entry {
                Some(entry) if shown.is_empty() => Reply::Answer(Answer::Refused(no_such_entry(entry, entries.len()))),
                _ => Reply::Entries(Mono(1_000_000_000), shown.into_iter().cloned().collect()),
            }
        }
        Command::Wait => Reply::Wait(end.subscribe()),
        Command::ShowParam => Reply::Param(who.fleet.clone()),
        // As one that is too old for it.
        Command::Status { .. } => Reply::refused("this pcheck does not know the request: unknown variant `status`"),
        Command::Why { .. } => {
            let lines = lines.clone();
            Reply::Making(Making::by(move || Ok(lines)))
        }
    }
}
