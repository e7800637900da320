//! Loaded programs, and the records that they send.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use watcher::kernel::{Exactness, Handles, Interest, Lacking, Ports, Programs, Record, Ring, Sizes, Starts};
use watcher_abi::{ExitRecord, SocketRecord, Stats};
use watcher_core::ProcId;
use watcher_tests::wait::DEADLINE;

pub(crate) struct Probe {
    ring: Ring,
    interest: Interest,
    pub(crate) starts: Starts,
    pub(crate) ports: Ports,
    pub(crate) programs: Programs,
}

impl Probe {
    pub(crate) fn load() -> Self {
        Self::load_with(Exactness::AsOffered)
    }

    /// As this kernel allows, and as an older one would: both must tell the same.
    pub(crate) fn both_ways() -> [Self; 2] {
        [Exactness::AsOffered, Exactness::AsOnOlderKernels].map(Self::load_with)
    }

    fn load_with(exactness: Exactness) -> Self {
        Self::load_as(Sizes::for_processes(64), exactness)
    }

    pub(crate) fn load_as(sizes: Sizes, exactness: Exactness) -> Self {
        let handles = Handles::load(sizes, exactness);
        let Handles { ring, interest, starts, ports, programs } = handles.expect("these tests need root and eBPF");
        assert_eq!(*programs.lacking(), Lacking::default(), "a kernel that these tests know has all of it");
        Self { ring, interest, starts, ports, programs }
    }

    pub(crate) fn watch(&mut self, proc: ProcId) {
        self.interest.watch(proc, GENERATION).expect("room in the table");
    }

    pub(crate) fn unwatch(&mut self, proc: ProcId) {
        self.interest.unwatch(proc);
    }

    /// Waits for the next record, which is of a death.
    pub(crate) fn record(&mut self) -> ExitRecord {
        match self.any_record() {
            Record::Exit(record) => record,
            Record::Exec(_) | Record::Socket(_) => panic!("nobody waited for a start, and no port is watched"),
        }
    }

    /// Waits for the next record, which is of a socket.
    pub(crate) fn socket(&mut self) -> SocketRecord {
        match self.any_record() {
            Record::Socket(record) => record,
            Record::Exec(_) | Record::Exit(_) => panic!("nobody waits for processes"),
        }
    }

    /// Waits for the next record.
    pub(crate) fn any_record(&mut self) -> Record {
        loop {
            if let Some(record) = self.ring.take().unwrap() {
                return record;
            }
            let limit = Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 };
            let mut polled = [PollFd::from_borrowed_fd(self.ring.as_fd(), PollFlags::IN)];
            assert_eq!(poll(&mut polled, Some(&limit)), Ok(1), "no record came: {:?}", self.counters());
        }
    }

    /// The record that is there by now, if any.
    pub(crate) fn record_by_now(&mut self) -> Option<Record> {
        self.ring.take().unwrap()
    }

    /// Whether user space has been woken.
    pub(crate) fn is_readable(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled = [PollFd::from_borrowed_fd(self.ring.as_fd(), PollFlags::IN)];
        poll(&mut polled, Some(&now)).unwrap() > 0
    }

    /// How many links of this process hold this program attached.
    pub(crate) fn links(&self, program: &str) -> usize {
        let (_, program) = self.programs.iter().find(|(name, _)| *name == program).unwrap();
        let wanted = format!("prog_id:\t{}", program.info().unwrap().id());
        let infos = fs::read_dir("/proc/self/fdinfo").unwrap();
        // Descriptors of other tests may be closed meanwhile.
        let texts = infos.filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok());
        texts.filter(|text| text.contains("link_type:") && text.lines().any(|line| line == wanted)).count()
    }

    /// How often the kernel has skipped this program, because it was at work on that CPU already.
    pub(crate) fn skipped(&self, program: &str) -> u64 {
        let (_, program) = self.programs.iter().find(|(name, _)| *name == program).unwrap();
        let descriptor = program.fd().unwrap().as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
        // Kernels that do not count them skip none.
        let skipped = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
        skipped.map_or(0, |skipped| skipped.trim().parse().unwrap())
    }

    pub(crate) fn counters(&self) -> Stats {
        self.ring.counters()
    }
}

pub(crate) const GENERATION: u64 = 77;
