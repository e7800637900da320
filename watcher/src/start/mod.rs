//! Wiring, once: which tier, then its sources and its executor.

mod enlist;
pub mod guard;
mod join;
pub mod monitor;
pub mod pcheck;
pub mod privileges;

use std::{collections::BTreeMap, io};

use tracing::warn;
use watcher_core::{Choice, PassedOver, Tier, choose};

use crate::{
    engine::Senses,
    executor::{
        means::{Means, OnDemand},
        proc_events::ProcEvents,
        watch::Watch,
    },
    kernel::{Exactness, Handles, Sizes},
    sources::ring::RingSource,
    sys::{limits, own, pidfd},
};

/// Starts the best tier that works, or the one that was asked for, for this many processes.
///
/// # Errors
/// When none works: every tier that was tried, with the reason.
pub fn tier(wanted: Option<Tier>, processes: usize) -> Result<Choice<Senses>, Vec<PassedOver>> {
    let tiers = wanted.map_or_else(|| Tier::ALL.to_vec(), |tier| vec![tier]);
    choose(tiers, |tier| attempt(tier, processes))
}

/// Starts the best tier that works of those that come after one, since that fails. The last one is begun anew, whatever
/// `/proc` is like just now: to stop watching would be worse.
fn tier_after(failed: Tier, processes: usize) -> Result<Choice<Senses>, Vec<PassedOver>> {
    let is_left = |tier: &Tier| *tier > failed || *tier == Tier::Poll;
    choose(Tier::ALL.into_iter().filter(is_left), |tier| match tier {
        Tier::Poll => Ok(senses(None, Means::Poll)),
        Tier::Ebpf | Tier::Pidfd | Tier::Connector => attempt(tier, processes),
    })
}

fn senses(ring: Option<RingSource>, means: Means) -> Senses {
    Senses { ring, watch: Watch::new(means), tier_after }
}

fn attempt(tier: Tier, processes: usize) -> Result<Senses, String> {
    let sentence = |error: io::Error| limits::sentence(&error);
    proc_works()?;
    let (ring, means) = match tier {
        Tier::Ebpf => {
            let handles = Handles::load(Sizes::for_processes(processes), Exactness::AsOffered);
            let Handles { ring, interest, starts, ports, programs } = handles.map_err(|refusal| refusal.to_string())?;
            let (interest, starts, ports) = (interest.into(), starts.into(), ports.into());
            let witnesses = programs.may_be_skipped() && can_hold(processes);
            (
                Some(RingSource::new(ring).map_err(sentence)?),
                Means::Ebpf { interest, starts, ports, programs, witnesses },
            )
        }
        Tier::Pidfd => {
            pidfd_works(processes)?;
            (None, Means::Pidfd { starts: OnDemand::default() })
        }
        Tier::Connector => {
            let events = ProcEvents::open(processes.saturating_add(STRANGERS))?.into();
            (None, Means::Connector { events, watched: BTreeMap::new() })
        }
        Tier::Poll => (None, Means::Poll),
    };
    Ok(senses(ring, means))
}

/// So many others may end at once before some news is lost.
const STRANGERS: usize = 4096;

/// Descriptors that are wanted for other things than processes.
const OTHER_DESCRIPTORS: u64 = 64;

/// Whether a pidfd can be held for each process, beside the kernel programs.
fn can_hold(processes: usize) -> bool {
    match pidfd_works(processes) {
        Ok(()) => true,
        Err(reason) => {
            warn!(%reason, "this kernel may skip deaths, and what would tell of those does not work: the next look does");
            false
        }
    }
}

fn pidfd_works(processes: usize) -> Result<(), String> {
    pidfd::open(own::pid()).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "there are no pidfds: the kernel is older than Linux 5.3, or a seccomp filter hides them".to_owned()
        }
        Some(libc::EPERM) => "a seccomp filter forbids pidfds".to_owned(),
        _ => format!("no pidfd can be opened: {}", limits::sentence(&error)),
    })?;
    match limits::raise_descriptors() {
        Some(limit) if limit < processes as u64 + OTHER_DESCRIPTORS => Err(format!(
            "it needs a descriptor for each of the {processes} processes and {OTHER_DESCRIPTORS} for other things, but only \
             {limit} are allowed (ulimit -n, or LimitNOFILE= in a unit)"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether `/proc` is there, and is that of this pid namespace: who somebody is, and whether he lives, stands there. The
/// numbers of another namespace would name strangers.
///
/// # Errors
/// Says what is wrong with it.
pub fn proc_works() -> Result<(), String> {
    match own::pid_by_proc() {
        Ok(Some(pid)) if pid == own::pid() => Ok(()),
        Ok(Some(_)) => {
            Err("/proc belongs to another pid namespace: mount that of this one (unshare --mount-proc)".into())
        }
        Ok(None) => Err("/proc is not mounted here, or does not show this process".to_owned()),
        Err(error) => Err(format!("/proc cannot be read: {error}")),
    }
}
