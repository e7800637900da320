//! What many entries take of memory, and that deaths and restarts without end take no more.
#![expect(unsafe_code, reason = "an allocator that counts is made of it")]
#![expect(clippy::expect_used, reason = "a test may fail where it stands")]
#![expect(clippy::print_stdout, reason = "numbers for whoever wants to know them")]
#![expect(clippy::disallowed_methods, reason = "tests have an environment, which says whether there is time")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicUsize, Ordering},
};

use watcher_core::{
    Action, Ending, Event, FleetId, Mono, Note, Now, Outbox, Pid, ProcId, RunEnd, Signal, StartTicks, Uptime, Wall,
    fleets::{Asked, AtOnce, Fleets},
    pfile::{
        Bytes, UnknownOptions, read,
        select::{Process, Processes},
    },
};

/// Counts what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as asked for.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

const SECOND: u64 = 1_000_000_000;

/// A host whose scripts bring back at once what has died.
struct Host {
    fleets: Fleets,
    now: Mono,
    procs: BTreeMap<Bytes, ProcId>,
    next_pid: u32,
    pending: VecDeque<Event>,
    ups: usize,
    events: usize,
}

impl Host {
    fn new(pfiles: u32, each: u32) -> Self {
        let fleets = Fleets::new(AtOnce { scripts: 4, probes: 1 });
        let (procs, pending) = (BTreeMap::new(), VecDeque::new());
        let mut host = Self { fleets, now: Mono(9 * SECOND), procs, next_pid: 1, pending, ups: 0, events: 0 };
        let mut out = Outbox::default();
        for number in 1..=pfiles {
            let name = |entry| format!("/opt/services/bin/service-{number:03}-{entry:05}");
            let entries: String =
                (0..each).map(|entry| format!("{}:/opt/services/restart.sh:1:9:continue\n", name(entry))).collect();
            (0..each).for_each(|entry| host.appears(name(entry).as_str().into()));
            let text = format!("IPCKEY {number:#x}\nMONITOR_INTERVAL 1\n{entries}");
            let rules = read(text.as_bytes(), UnknownOptions::Refuse).pfile.expect("it loads");
            host.fleets.begin(FleetId::new(number).expect("a name"), &rules, &[], host.clock(), &mut out);
            host.perform(&mut out);
        }
        host
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, wall: Wall { unix_ns: self.now.0 } }
    }

    fn appears(&mut self, name: Bytes) {
        let pid = Pid::new(self.next_pid).expect("a pid");
        self.next_pid = self.next_pid % 4_000_000 + 1;
        self.procs.insert(name, ProcId { pid, start: StartTicks(self.now.0 / 10_000_000) });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "this host does what scripts and looks do, and nothing else")]
    fn perform(&mut self, out: &mut Outbox<Asked>) {
        let actions: Vec<_> = out.drain().collect();
        for Asked { by: _, action } in actions {
            match action {
                Action::List => {
                    let process = |(name, proc): (&Bytes, &ProcId)| Process {
                        proc: *proc,
                        parent: None,
                        group: Some(proc.pid),
                        name: name.clone(),
                        command_line: name.clone(),
                        exe: Some(name.clone()),
                        exe_hidden: false,
                        zombie: false,
                        watcher: false,
                    };
                    let processes = Processes::new(self.procs.iter().map(process).collect());
                    let uptime = Uptime { ticks: StartTicks(self.now.0 / 10_000_000), at: self.now };
                    self.pending.push_back(Event::Listed { processes, uptime });
                }
                Action::Run(order) => {
                    let name = Bytes::from(order.process.as_slice());
                    let script = ProcId { pid: Pid::new(5_000_000).expect("a pid"), start: StartTicks(1) };
                    self.pending.push_back(Event::RunStarted { run: order.run, script });
                    self.appears(name);
                    let end = RunEnd::Ended(Ending::Exited { code: 0 });
                    self.pending.push_back(Event::RunEnded { run: order.run, end });
                }
                Action::Tell(told) => self.ups += usize::from(matches!(told.note, Note::Up { .. })),
                _ => {}
            }
        }
    }

    fn step(&mut self, event: Event) {
        let mut out = Outbox::default();
        self.events += 1;
        self.fleets.step(self.clock(), event, &mut out);
        self.perform(&mut out);
    }

    /// Goes on until so many processes were told to be there.
    fn until_up(&mut self, count: usize) {
        self.ups = 0;
        while self.ups < count {
            if let Some(event) = self.pending.pop_front() {
                self.step(event);
            } else {
                let deadline = self.fleets.next_deadline().expect("something is waited for");
                self.now = self.now.max(deadline);
                self.step(Event::Deadline);
            }
        }
        assert_eq!(self.ups, count);
    }

    fn kill(&mut self, names: impl Iterator<Item = Bytes>) -> usize {
        let procs: Vec<_> = names.map(|name| self.procs[&name]).collect();
        for proc in &procs {
            let ending = Ending::Killed { signal: Signal(9), core_dumped: false };
            self.step(Event::Gone { proc: *proc, ending });
        }
        procs.len()
    }
}

/// One test: they would count what the others hold.
#[test]
fn an_entry_takes_little_and_a_million_deaths_take_nothing() {
    let count = 2_000;
    let before = held();
    let mut host = Host::new(1, count);
    host.until_up(count as usize);
    let of_host: usize = host.procs.keys().map(|name| name.as_slice().len() + 80).sum();
    let each = (held() - before - of_host) / count as usize;
    println!("{each} bytes for each entry");
    assert!(each < 1_150, "{each} bytes for each entry");
    drop(host);

    let is_long = std::env::var_os("WATCHER_LONG_TESTS").is_some_and(|value| value == "1");
    let wanted = if is_long { 1_000_000 } else { 10_000 };
    let mut host = Host::new(20, 20);
    host.until_up(400);
    let names: Vec<_> = host.procs.keys().cloned().collect();
    let (mut deaths, mut at_first) = (0, 0);
    for round in 0_usize.. {
        // Each has its turn, and never twice within its grace.
        host.now = Mono(host.now.0 + 2 * SECOND);
        let killed = host.kill(names.iter().skip(round % 4).step_by(4).cloned());
        host.until_up(killed);
        deaths += killed;
        if round == 8 {
            at_first = held();
        }
        if deaths >= wanted {
            break;
        }
    }
    let more = held().saturating_sub(at_first);
    println!("{deaths} deaths, {} events, {more} bytes more than at first", host.events);
    assert!(more < 16_384, "{more} bytes more after {deaths} deaths");
}
