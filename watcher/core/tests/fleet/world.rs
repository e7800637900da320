//! A host made of numbers: processes that die when told to, scripts that do as they are told, and a clock that stands
//! still until it is moved. It does what the fleet asks for, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use watcher_core::{
    Action, Answer, Comm, Ending, EntryId, Event, ExitNotice, Finish, Mono, Note, Now, Order, Outbox, Pid, ProbeId,
    ProcId, RequestId, RunEnd, RunId, SavedEntry, ScriptOrder, Signal, Span, StartTicks, Told, Uptime, Wall,
    fleet::{EntryView, Fleet},
    pfile::{
        EntryNumber, Pfile, UnknownOptions, read,
        select::{Process, Processes},
    },
    probe::Verdict,
};

pub(crate) use crate::{
    scripts::Script,
    services::{Ports, Service},
};

pub(crate) const SECOND: Span = Span::of_seconds(1);

/// What the world does by itself.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Appears(String),
    Dies(ProcId),
    GoesToBackground(ProcId, String),
    EndsDying(ProcId),
    Listed(Vec<Process>),
    ScriptEnds(RunId, RunEnd),
    Probed(ProbeId, Verdict),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) now: Mono,
    /// Processes, and whether each still lives (or is dying).
    pub(crate) processes: BTreeMap<ProcId, (Process, Life)>,
    pub(crate) scripts: BTreeMap<usize, Script>,
    pub(crate) default_script: Script,
    pub(crate) running: BTreeMap<RunId, (usize, Script)>,
    pub(crate) log: Vec<String>,
    pub(crate) told: Vec<(Mono, Told)>,
    pub(crate) ran: Vec<(Mono, ScriptOrder)>,
    pub(crate) watched: BTreeSet<ProcId>,
    pub(crate) expected: BTreeSet<String>,
    pub(crate) saved: BTreeMap<(Vec<u8>, u32), SavedEntry>,
    pub(crate) replies: Vec<(RequestId, Answer)>,
    pub(crate) finish: Option<Finish>,
    /// What `ReadRules` brings.
    pub(crate) rules: Result<Pfile, String>,
    /// Whether the kernel tells of deaths (or only looks do).
    pub(crate) tells_deaths: bool,
    /// How long a process takes to die.
    pub(crate) teardown: Span,
    /// How long a look takes; it shows who was there when it began.
    pub(crate) look_takes: Span,
    /// Every event that the fleet was given, for a replay.
    pub(crate) given: Vec<(Now, Event)>,
    pub(crate) asked: Vec<Action>,
    pub(crate) dumps: usize,
    pub(crate) pending: VecDeque<Event>,
    /// How the services on these ports behave; all others answer.
    pub(crate) services: BTreeMap<u16, Service>,
    /// Attempts that were asked for and not forgotten, and when, with their ports.
    pub(crate) asking: BTreeMap<ProbeId, u16>,
    pub(crate) asked_at: Vec<(Mono, u16)>,
    pub(crate) ports: Ports,
    /// Processes that not even SIGKILL ends.
    pub(crate) stuck: BTreeSet<ProcId>,
    happenings: BTreeMap<(Mono, u64), Happening>,
    next_happening: u64,
    pub(crate) next_pid: u32,
    stubborn: BTreeSet<ProcId>,
    pub(crate) at_work: BTreeMap<RunId, EntryId>,
    /// Told to be dying, and awaited: only then is it told that they have gone.
    announced: BTreeSet<ProcId>,
    awaited: BTreeSet<ProcId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dying,
}

pub(crate) fn rules(text: &str) -> Pfile {
    let reading = read(format!("IPCKEY 0x1\n{text}\n").as_bytes(), UnknownOptions::Refuse);
    reading.pfile.unwrap_or_else(|| panic!("{:#?}", reading.problems))
}

impl World {
    pub(crate) fn new(text: &str) -> Self {
        Self::with_saved(text, &[])
    }

    pub(crate) fn with_saved(text: &str, saved: &[SavedEntry]) -> Self {
        let pfile = rules(text);
        Self {
            fleet: Fleet::new(pfile.clone(), 2, saved),
            now: Mono(0).after(Span::of_seconds(1_000)),
            processes: BTreeMap::new(),
            scripts: BTreeMap::new(),
            default_script: Script::Restarts(5),
            running: BTreeMap::new(),
            log: Vec::new(),
            told: Vec::new(),
            ran: Vec::new(),
            watched: BTreeSet::new(),
            expected: BTreeSet::new(),
            saved: BTreeMap::new(),
            replies: Vec::new(),
            finish: None,
            rules: Ok(pfile),
            tells_deaths: true,
            teardown: Span::of_millis(1),
            look_takes: Span(0),
            given: Vec::new(),
            asked: Vec::new(),
            dumps: 0,
            pending: VecDeque::new(),
            services: BTreeMap::new(),
            asking: BTreeMap::new(),
            asked_at: Vec::new(),
            ports: Ports::default(),
            stuck: BTreeSet::new(),
            happenings: BTreeMap::new(),
            next_happening: 0,
            next_pid: 100,
            stubborn: BTreeSet::new(),
            at_work: BTreeMap::new(),
            announced: BTreeSet::new(),
            awaited: BTreeSet::new(),
        }
    }

    /// Begins to watch.
    pub(crate) fn begin(&mut self) {
        let mut out = Outbox::default();
        self.fleet.begin(self.moment(), &mut out);
        self.carry_out(&mut out);
        self.settle();
    }

    fn moment(&self) -> Now {
        Now { mono: self.now, wall: Wall { unix_ns: self.now.0 } }
    }

    /// Starts a process with this command line.
    pub(crate) fn start(&mut self, command_line: &str) -> ProcId {
        self.next_pid += 1;
        let start = StartTicks(self.now.0 / 10_000_000);
        let proc = ProcId { pid: Pid::new(self.next_pid).unwrap(), start };
        let process = Process {
            proc,
            parent: Pid::new(1),
            group: Some(proc.pid),
            name: command_line.split(' ').next().unwrap().into(),
            command_line: command_line.into(),
            exe: None,
            exe_hidden: false,
            zombie: false,
            watcher: false,
        };
        self.processes.insert(proc, (process, Life::Alive));
        let name = command_line.split(' ').next().unwrap().rsplit('/').next().unwrap();
        if self.expected.contains(name) {
            self.pending.push_back(Event::Exec { proc });
        }
        proc
    }

    /// A process that does not heed SIGTERM.
    pub(crate) fn start_stubborn(&mut self, command_line: &str) -> ProcId {
        let proc = self.start(command_line);
        self.stubborn.insert(proc);
        proc
    }

    /// Kills a process.
    pub(crate) fn kill(&mut self, proc: ProcId) {
        self.end(proc, Ending::from_wait_status(9));
    }

    /// A process ends.
    pub(crate) fn end(&mut self, proc: ProcId, ending: Ending) {
        let Some((_, life @ Life::Alive)) = self.processes.get_mut(&proc) else { return };
        *life = Life::Dying;
        if self.tells_deaths && self.watched.contains(&proc) {
            self.announced.insert(proc);
            let comm = Comm::new([0; 16]);
            self.pending.push_back(Event::Exit(ExitNotice { proc, ending, at: self.now, comm, blame: None }));
        }
        self.later(self.teardown, Happening::EndsDying(proc));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.pending.push_back(event);
        self.settle();
    }

    pub(crate) fn order(&mut self, order: Order) -> Answer {
        let request = RequestId(self.replies.len() as u64 + 1_000);
        self.event(Event::Order { request: Some(request), order });
        let reply = self.replies.iter().find(|(id, _)| *id == request);
        reply.expect("every order is answered").1.clone()
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, span: Span) {
        let end = self.now.after(span);
        loop {
            self.settle();
            let happening = self.happenings.keys().next().map(|(at, _)| *at);
            let next = [happening, self.fleet.next_deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(due) = self.happenings.first_entry().filter(|due| due.key().0 <= self.now) {
                let happening = due.remove();
                self.happen(happening);
            }
            if self.finish.is_some() {
                continue;
            }
            if self.fleet.next_deadline().is_some_and(|at| at <= self.now) {
                self.pending.push_back(Event::Deadline);
            }
        }
        self.now = end;
    }

    /// Time passes, but the watcher does not run: whatever was due is told afterwards.
    pub(crate) fn sleep_through(&mut self, span: Span) {
        self.now = self.now.after(span);
        while let Some(due) = self.happenings.first_entry().filter(|due| due.key().0 <= self.now) {
            let happening = due.remove();
            self.happen(happening);
        }
        if self.fleet.next_deadline().is_some_and(|at| at <= self.now) {
            self.pending.push_back(Event::Deadline);
        }
        self.settle();
    }

    /// Hands the fleet everything that is known, until nothing is left.
    pub(crate) fn settle(&mut self) {
        let mut turns = 0;
        while let Some(event) = self.pending.pop_front() {
            turns += 1;
            assert!(turns < 10_000, "the fleet turns in circles");
            if self.finish.is_some() {
                continue;
            }
            let mut out = Outbox::default();
            self.given.push((self.moment(), event.clone()));
            self.fleet.step(self.moment(), event, &mut out);
            self.carry_out(&mut out);
        }
    }

    pub(crate) fn later(&mut self, span: Span, happening: Happening) {
        self.next_happening += 1;
        self.happenings.insert((self.now.after(span), self.next_happening), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Appears(command_line) => {
                self.start(&command_line);
            }
            Happening::Dies(proc) => self.kill(proc),
            Happening::GoesToBackground(proc, command_line) => {
                self.start(&command_line);
                self.end(proc, Ending::Exited { code: 0 });
            }
            Happening::EndsDying(proc) => {
                self.processes.remove(&proc);
                let is_told = self.awaited.contains(&proc) || !self.announced.contains(&proc);
                if self.watched.contains(&proc) && is_told {
                    self.pending.push_back(Event::Gone { proc, ending: Ending::Unknown });
                }
            }
            Happening::Listed(processes) => {
                let uptime = Uptime { ticks: StartTicks(self.now.0 / 10_000_000), at: self.now };
                self.pending.push_back(Event::Listed { processes: Processes::new(processes), uptime });
            }
            Happening::Probed(probe, verdict) => {
                if self.asking.remove(&probe).is_some() {
                    self.pending.push_back(Event::Probed { probe, verdict });
                }
            }
            Happening::ScriptEnds(run, end) => {
                self.at_work.remove(&run);
                if self.running.remove(&run).is_some() {
                    self.pending.push_back(Event::RunEnded { run, end });
                }
            }
        }
    }

    /// What the command line of an entry's process must be.
    pub(crate) fn command_line(&self, entry: usize) -> String {
        let number = EntryNumber::of_index(entry - 1);
        let view = self.fleet.views().into_iter().find(|view| view.number == number).expect("the entry is there");
        let words = view.include_strings.map(|strings| strings.written().to_string().replace('&', " "));
        format!("{} {}", view.process, words.unwrap_or_default()).trim_end().to_owned()
    }

    fn carry_out(&mut self, out: &mut Outbox<Action>) {
        for action in out.drain() {
            self.asked.push(action.clone());
            match action {
                Action::AwaitEnd(proc) => {
                    self.awaited.insert(proc);
                    if !self.processes.contains_key(&proc) {
                        self.pending.push_back(Event::Gone { proc, ending: Ending::Unknown });
                    }
                }
                Action::Dump => self.dumps += 1,
                Action::EndRun { run, force } => {
                    let ends = self.running.get(&run).is_some_and(|(_, script)| force || *script == Script::Hangs);
                    if ends {
                        let signal = if force { Signal::KILL } else { Signal::TERM };
                        let end = RunEnd::Ended(Ending::Killed { signal, core_dumped: false });
                        self.later(Span::of_millis(1), Happening::ScriptEnds(run, end));
                    }
                }
                Action::Expect(name) => assert!(self.expected.insert(name.to_string()), "expected twice"),
                Action::ExpectNoMore(name) => assert!(self.expected.remove(&name.to_string()), "not expected"),
                Action::WatchPort { watch, proc: _, port, thresholds: _ } => self.watch_port(watch, port.number()),
                Action::UnwatchPort(watch) => self.unwatch_port(watch),
                Action::LookAtPort(watch) => self.look_at_port(watch),
                Action::ForgetProbe(probe) => self.forget_probe(probe),
                Action::Probe { probe, ask } => self.probe(probe, &ask),
                Action::Finish(finish) => assert!(self.finish.replace(finish).is_none(), "it ends once"),
                Action::List => {
                    let alive = self.processes.values().filter(|(_, life)| *life == Life::Alive);
                    let processes = alive.map(|(process, _)| process.clone()).collect();
                    let listed = Happening::Listed(processes);
                    if self.look_takes == Span(0) { self.happen(listed) } else { self.later(self.look_takes, listed) }
                }
                Action::ReadRules { request } => {
                    let rules = self.rules.clone().map(Box::new);
                    self.pending.push_back(Event::Rules { request, rules });
                }
                Action::Renew(all) => {
                    self.saved.clear();
                    all.iter().for_each(|saved| self.save(saved));
                }
                Action::Reply { request, answer } => self.replies.push((request, answer)),
                Action::Run(order) => self.run(*order),
                Action::Save(saved) => self.save(&saved),
                Action::Signal { proc, signal } | Action::SignalGroup { leader: proc, signal } => {
                    let heeds = signal == Signal::KILL || !self.stubborn.contains(&proc);
                    if heeds && !self.stuck.contains(&proc) {
                        self.kill(proc);
                    }
                }
                Action::Remember(_) | Action::Snapshot { .. } | Action::Sweep => {}
                Action::Tell(told) => {
                    self.log.extend(told.line().map(|(_, line)| String::from_utf8(line).unwrap()));
                    self.told.push((self.now, told));
                }
                Action::Unwatch(proc) => assert!(self.watched.remove(&proc), "it was not watched"),
                Action::Watch(proc) => {
                    assert!(self.watched.insert(proc), "watched twice");
                    if !self.processes.contains_key(&proc) {
                        self.pending.push_back(Event::Gone { proc, ending: Ending::Unknown });
                    }
                }
            }
        }
    }

    fn save(&mut self, saved: &SavedEntry) {
        self.saved.insert((saved.text.as_slice().to_vec(), saved.occurrence), saved.clone());
    }

    pub(crate) fn view(&self, number: usize) -> EntryView {
        let number = EntryNumber::of_index(number - 1);
        self.fleet.views().into_iter().find(|view| view.number == number).expect("the entry is there")
    }

    /// Takes the lines of the log so far.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// How often something was told of an entry.
    pub(crate) fn count(&self, entry: usize, is_it: impl Fn(&Note) -> bool) -> usize {
        let of_entry = |told: &&(Mono, Told)| told.1.entry.as_ref().is_some_and(|of| of.number.number() == entry);
        self.told.iter().filter(of_entry).filter(|(_, told)| is_it(&told.note)).count()
    }
}
