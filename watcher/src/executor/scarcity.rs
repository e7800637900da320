//! Who of those that serve a port has used up most of its descriptors: the watched process, or a worker that it has made.

use watcher_core::{ListenerFacts, Pid, Thresholds};

use crate::sys::{descriptors, proc, tcp};

/// So many children are looked at, which takes some 35 us each.
const CHILDREN: usize = 64;

/// Descriptors of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scarcest {
    /// Whose, where they are not those of the watched process.
    pub child: Option<Pid>,
    /// How many are open,
    pub open: u64,
    /// and how many may be.
    pub limit: u64,
}

impl Scarcest {
    fn of(pid: Pid, child: Option<Pid>) -> Option<Self> {
        Some(Self { child, open: descriptors::open(pid).ok()?, limit: descriptors::limit(pid).ok()?? })
    }

    fn has_used(&self, percent: u32) -> bool {
        self.open >= self.limit.saturating_mul(percent.into()) / 100
    }

    /// In millionths.
    fn share(&self) -> u64 {
        self.open.saturating_mul(1_000_000) / self.limit.max(1)
    }
}

/// Of the process and its children. That a child really serves the port is asked of those only that are short, since it
/// takes a look at each of their descriptors.
pub fn of(process: Pid, listeners: &[ListenerFacts], thresholds: &Thresholds) -> Option<Scarcest> {
    let own = Scarcest::of(process, None);
    let Some(band) = thresholds.descriptors else { return own };
    let children = proc::children(process).into_iter().take(CHILDREN);
    let mut all: Vec<_> = children.filter_map(|child| Scarcest::of(child, Some(child))).chain(own).collect();
    // Of equals the process itself, which comes last.
    all.sort_by_key(Scarcest::share);
    let serves = |pid| {
        let open = tcp::sockets(pid);
        listeners.iter().any(|listener| open.contains(&listener.inode))
    };
    all.into_iter().rev().find(|one| one.child.is_none_or(|child| !one.has_used(band.clear) || serves(child)))
}
