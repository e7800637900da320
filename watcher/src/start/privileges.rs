//! What this process may do once everything is wired: no more than running takes. Restart scripts are not touched by it.

use rustix::thread::CapabilitySet;
use tracing::{debug, warn};
use watcher_core::Tier;

use crate::{
    executor::watch::Watch,
    sys::capabilities::{self, OfPrograms},
};

/// What only starting takes: loading and attaching kernel programs, locking memory for them.
const FOR_THE_START: CapabilitySet =
    CapabilitySet::BPF.union(CapabilitySet::PERFMON).union(CapabilitySet::SYS_RESOURCE);

/// Reading rules, and writing logs and dumps, wherever the operator has put them, and whoever owns the folder.
const FILES: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::FOWNER);

/// Ending processes of other users; seeing which program they run, which files they hold, and how they ended.
const PROCESSES: CapabilitySet = CapabilitySet::KILL.union(CapabilitySet::SYS_PTRACE);

/// Entering network namespaces, and kernel stacks of hung processes: in effect only while that is done.
const AT_THE_READY: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// Whoever watches processes gives up the rest. From here on threads may be made.
pub fn keep_for_watching(watch: &Watch) {
    let running = FILES | PROCESSES;
    let at_the_ready = match watch.tier() {
        // What tells of starts on tier pidfd, and of deaths where a better tier fails.
        Tier::Ebpf | Tier::Pidfd | Tier::Connector => AT_THE_READY | CapabilitySet::NET_ADMIN,
        Tier::Poll => AT_THE_READY,
    };
    give_up_all_but(running, at_the_ready | CapabilitySet::BPF);
    // Before Linux 5.19 every call of bpf() takes the capability, also one about a map that is open already.
    let of_maps = if watch.may_go_on() { CapabilitySet::empty() } else { CapabilitySet::BPF };
    if !of_maps.is_empty() {
        debug!("this kernel wants CAP_BPF also for what is loaded already: it is kept");
    }
    give_up_all_but(running | of_maps, at_the_ready);
}

/// Whoever lets a daemon watch runs scripts and looks after them. It may have to start alone: that stays at the ready.
pub fn keep_as_guest() {
    let all = CapabilitySet::all();
    match capabilities::of_programs() {
        OfPrograms::All | OfPrograms::Permitted => put_out_of_effect(FILES | PROCESSES, all),
        // It is meant for what it starts.
        OfPrograms::Inherited => {}
    }
}

/// It has to start alone: what was kept at the ready is in effect again.
pub fn take_up_again() {
    if let Err(error) = capabilities::raise_all() {
        warn!(%error, "capabilities that were put out of effect cannot be used again");
    }
}

/// Whoever only asks services gives up the rest.
pub fn keep_for_asking() {
    give_up_all_but(FILES, CapabilitySet::empty());
}

/// What scripts may do must not be less for it.
///
/// An ordinary user who was given some capabilities may have meant them for what his scripts start, which inherit them:
/// only those that are for the start of watcher are given up, and not inherited. Of scripts of root nothing is taken.
fn give_up_all_but(running: CapabilitySet, at_the_ready: CapabilitySet) {
    let nothing = CapabilitySet::empty();
    let (in_effect, at_the_ready, not_inherited) = match capabilities::of_programs() {
        OfPrograms::All => (running, at_the_ready, nothing),
        // Nothing can be given up for good: root's scripts, and the services that they start, would lack it.
        OfPrograms::Permitted => (running, CapabilitySet::all(), nothing),
        OfPrograms::Inherited => {
            ((CapabilitySet::all() - FOR_THE_START) | (running & FOR_THE_START), at_the_ready, FOR_THE_START)
        }
    };
    // A security module may forbid it. What is not given up does no harm by itself.
    if let Err(error) = capabilities::keep(in_effect, at_the_ready, not_inherited) {
        warn!(%error, "capabilities that are not needed any more cannot be given up");
    }
}

fn put_out_of_effect(in_effect: CapabilitySet, at_the_ready: CapabilitySet) {
    if let Err(error) = capabilities::keep(in_effect, at_the_ready, CapabilitySet::empty()) {
        warn!(%error, "capabilities that are not needed now cannot be put out of effect");
    }
}
