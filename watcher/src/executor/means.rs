//! What each tier has to learn of ends and starts by.

use std::{
    collections::BTreeMap,
    future::pending,
    io,
    time::{Duration, Instant},
};

use tracing::{info, warn};
use watcher_core::{Comm, Event, Pid, ProcId, Tier};

use super::proc_events::{LeaderExit, ProcEvents};
use crate::{
    kernel::{Interest, Lacking, Ports, Programs, Starts},
    sys::raw_tracepoint::Runs,
};

/// The means of a tier.
#[derive(Debug)]
pub enum Means {
    /// Kernel programs.
    Ebpf {
        /// The set that they filter by.
        interest: Box<Interest>,
        /// The names of programs whose starts they tell.
        starts: Box<Starts>,
        /// The ports whose sockets they count.
        ports: Box<Ports>,
        /// They live as long as this.
        programs: Programs,
        /// A pidfd for each watched process, beside them: they may be skipped for some deaths.
        witnesses: bool,
    },
    /// A pidfd each.
    Pidfd {
        /// What tells of starts, while one is expected, where that is allowed.
        starts: OnDemand,
    },
    /// The process connector.
    Connector {
        /// It.
        events: Box<ProcEvents>,
        /// Whose ends are wanted.
        watched: BTreeMap<Pid, ProcId>,
    },
    /// `/proc`.
    Poll,
}

/// The process connector, while it is needed.
#[derive(Debug, Default)]
pub enum OnDemand {
    /// It was never needed, or is not any more.
    #[default]
    Closed,
    /// It is needed.
    Open(Box<ProcEvents>),
    /// It did not work.
    Refused {
        /// Not before then is it tried again.
        until: Instant,
    },
}

/// For so long at least a refusal counts: a try may take some 0.2 s.
const REFUSED_FOR: Duration = Duration::from_secs(60);

impl Means {
    pub(super) const fn tier(&self) -> Tier {
        match self {
            Self::Ebpf { .. } => Tier::Ebpf,
            Self::Pidfd { .. } => Tier::Pidfd,
            Self::Connector { .. } => Tier::Connector,
            Self::Poll => Tier::Poll,
        }
    }

    /// Whether pidfds have to be held beside the means.
    pub(super) const fn wants_witnesses(&self) -> bool {
        match self {
            Self::Ebpf { witnesses, .. } => *witnesses,
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => false,
        }
    }

    pub(super) fn may_go_on(&self) -> bool {
        match self {
            Self::Ebpf { interest, .. } => interest.is_open(),
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => true,
        }
    }

    pub(super) const fn lacking(&self) -> Option<&Lacking> {
        match self {
            Self::Ebpf { programs, .. } => Some(programs.lacking()),
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => None,
        }
    }

    pub(super) const fn ports(&mut self) -> Option<&mut Ports> {
        match self {
            Self::Ebpf { ports, .. } => Some(ports),
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => None,
        }
    }

    pub(super) fn expect(&mut self, name: Comm) -> bool {
        let expected = match self {
            Self::Ebpf { starts, .. } => starts.expect(name).map_err(|error| error.to_string()),
            Self::Pidfd { starts } => match starts.open() {
                Some(events) => events.expect(name).map_err(|error| error.to_string()),
                None => return false,
            },
            Self::Connector { events, .. } => events.expect(name).map_err(|error| error.to_string()),
            Self::Poll => return false,
        };
        match expected {
            Ok(()) => true,
            Err(reason) => {
                warn!(%reason, %name, "starts of this program are not told");
                false
            }
        }
    }

    pub(super) fn expect_no_more(&mut self, name: Comm) {
        let done = match self {
            Self::Ebpf { starts, .. } => {
                starts.expect_no_more(name);
                Ok(())
            }
            Self::Pidfd { starts } => match starts {
                OnDemand::Open(events) => {
                    let done = events.expect_no_more(name);
                    if !events.expects_somebody() {
                        *starts = OnDemand::Closed;
                    }
                    done
                }
                OnDemand::Closed | OnDemand::Refused { .. } => Ok(()),
            },
            Self::Connector { events, .. } => events.expect_no_more(name),
            Self::Poll => Ok(()),
        };
        if let Err(error) = done {
            warn!(%error, "starts of programs are told although nobody wants to know");
        }
    }

    pub(super) fn end(&mut self, proc: ProcId) {
        match self {
            Self::Ebpf { interest, .. } => interest.unwatch(proc),
            Self::Connector { watched, .. } => {
                // Somebody else may have the pid now, and be watched.
                if watched.get(&proc.pid) == Some(&proc) {
                    watched.remove(&proc.pid);
                }
            }
            Self::Pidfd { .. } | Self::Poll => {}
        }
    }

    /// Waits until [`Self::drain`] has something to take.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Connector { events, .. } | Self::Pidfd { starts: OnDemand::Open(events) } => events.readable().await,
            Self::Ebpf { .. } | Self::Pidfd { .. } | Self::Poll => pending().await,
        }
    }

    /// Takes the news of the process connector: the ends of leading threads of watched processes with their wait statuses,
    /// and events.
    pub(super) fn drain(&mut self, ends: &mut Vec<(ProcId, u32)>, events: &mut Vec<Event>) -> io::Result<()> {
        let mut all = Vec::new();
        match self {
            Self::Connector { events: source, watched } => {
                source.drain(&mut all, events)?;
                for LeaderExit { pid, status } in all {
                    match watched.get(&pid) {
                        Some(proc) => ends.push((*proc, status)),
                        // Strangers are not to wake us again.
                        None => source.narrow(watched.keys().copied()),
                    }
                }
            }
            Self::Pidfd { starts } => {
                if let OnDemand::Open(source) = starts
                    && let Err(error) = source.drain(&mut all, events)
                {
                    warn!(%error, "starts of programs are not told any more, but looked for");
                    *starts = OnDemand::refused();
                }
            }
            Self::Ebpf { .. } | Self::Poll => {}
        }
        Ok(())
    }

    /// Why the means fail, if they had to be put to the test, and did not stand it.
    pub(super) fn prove(&mut self) -> Result<(), String> {
        match self {
            Self::Connector { events, .. } => events.prove(),
            Self::Ebpf { .. } | Self::Pidfd { .. } | Self::Poll => Ok(()),
        }
    }

    /// How often the kernel has skipped what tells of deaths.
    pub(super) fn skipped(&self) -> u64 {
        match self {
            Self::Ebpf { programs, .. } => programs.skipped(),
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => 0,
        }
    }

    /// All are known who were dead, or dying, when it had been skipped so often.
    pub(super) const fn settle(&mut self, skipped: u64) {
        match self {
            Self::Ebpf { programs, .. } => programs.settle_skips(skipped),
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => {}
        }
    }

    /// How often the kernel programs ran, on the tier that has them.
    pub(super) fn runs(&self) -> Option<Vec<(String, Runs)>> {
        match self {
            Self::Ebpf { programs, .. } => Some(programs.runs()),
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => None,
        }
    }

    /// Why the means fail, if it was for them to tell of the death of a process that was found otherwise, and they have not.
    /// Asked once for each.
    pub(super) fn why_untold(&mut self, proc: ProcId) -> Option<String> {
        match self {
            Self::Ebpf { interest, programs, .. } => match interest.is_unreported(proc) {
                Ok(false) => None,
                Ok(true) if programs.was_skipped() => {
                    info!(pid = %proc.pid, "the kernel has skipped its programs for this death");
                    None
                }
                Ok(true) => Some(format!("the kernel programs have not told of the death of process {}", proc.pid)),
                Err(error) => Some(format!("the kernel's table of watched processes cannot be read: {error}")),
            },
            // Their news may come after the death can be seen.
            Self::Pidfd { .. } | Self::Connector { .. } | Self::Poll => None,
        }
    }
}

impl OnDemand {
    fn refused() -> Self {
        Self::Refused { until: Instant::now() + REFUSED_FOR }
    }

    fn open(&mut self) -> Option<&mut ProcEvents> {
        let is_due = match self {
            Self::Closed => true,
            Self::Open(_) => false,
            Self::Refused { until } => *until <= Instant::now(),
        };
        if is_due {
            *self = match ProcEvents::of_starts() {
                Ok(events) => Self::Open(events.into()),
                Err(reason) => {
                    warn!(%reason, "starts of programs are not told, but looked for");
                    Self::refused()
                }
            };
        }
        match self {
            Self::Open(events) => Some(events),
            Self::Closed | Self::Refused { .. } => None,
        }
    }
}
