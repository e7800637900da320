//! Watching processes, by whatever tier works on this host.

use std::{collections::BTreeSet, io};

use tracing::warn;
use watcher_core::{Comm, Ending, Event, ProcId, Tier};

use super::{
    inspect::{Look, look},
    pidfds::{Held, Pidfds},
};
use crate::kernel::{Interest, Lacking, Ports, Programs, Starts};

/// The watched processes, and what is needed to learn of their ends.
#[derive(Debug)]
pub struct Watch {
    means: Means,
    pidfds: Pidfds,
    /// Those that can only be looked at, time and again.
    looked_at: BTreeSet<ProcId>,
    /// Those whose end is near, and can only be looked for.
    dying: BTreeSet<ProcId>,
}

fn look_at(procs: &BTreeSet<ProcId>, events: &mut Vec<Event>) {
    for &proc in procs {
        match look(proc) {
            Look::Alive | Look::Dying => {}
            Look::Gone => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Look::Zombie(ending) => events.push(Event::Zombie { proc, ending }),
        }
    }
}

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
    },
    /// A pidfd each.
    Pidfd,
    /// `/proc`.
    Poll,
}

impl Watch {
    /// # Errors
    /// When no epoll set can be made.
    pub fn new(means: Means) -> io::Result<Self> {
        Ok(Self { means, pidfds: Pidfds::new()?, looked_at: BTreeSet::new(), dying: BTreeSet::new() })
    }

    /// The tier that is in use.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        match self.means {
            Means::Ebpf { .. } => Tier::Ebpf,
            Means::Pidfd => Tier::Pidfd,
            Means::Poll => Tier::Poll,
        }
    }

    /// Whether the means work with the capabilities that are in effect.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        match &self.means {
            Means::Ebpf { interest, .. } => interest.is_open(),
            Means::Pidfd | Means::Poll => true,
        }
    }

    /// What the kernel programs cannot do on this host, on the tier that has them.
    #[must_use]
    pub const fn lacking(&self) -> Option<&Lacking> {
        match &self.means {
            Means::Ebpf { programs, .. } => Some(programs.lacking()),
            Means::Pidfd | Means::Poll => None,
        }
    }

    /// The ports whose sockets the kernel counts, on the tier that can.
    pub const fn ports(&mut self) -> Option<&mut Ports> {
        match &mut self.means {
            Means::Ebpf { ports, .. } => Some(ports),
            Means::Pidfd | Means::Poll => None,
        }
    }

    /// Wants to know of starts of the program with this base name. Says whether they will be told by events; one that came
    /// before this moment will not. A caller who is told no has to look for himself.
    pub fn expect(&mut self, name: &[u8]) -> bool {
        match &mut self.means {
            Means::Ebpf { starts, .. } => match starts.expect(Comm::of_program(name)) {
                Ok(()) => true,
                Err(error) => {
                    warn!(%error, name = %String::from_utf8_lossy(name), "starts of this program are not told");
                    false
                }
            },
            Means::Pidfd | Means::Poll => false,
        }
    }

    /// Takes back one call of [`Self::expect`] that was answered with yes.
    pub fn expect_no_more(&mut self, name: &[u8]) {
        match &mut self.means {
            Means::Ebpf { starts, .. } => starts.expect_no_more(Comm::of_program(name)),
            Means::Pidfd | Means::Poll => {}
        }
    }

    /// Watches a process. One that has gone meanwhile is told of at once.
    pub fn begin(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match &mut self.means {
            Means::Ebpf { interest, .. } => match interest.watch(proc, 0) {
                // It may have died, or begun to, before the kernel programs knew it.
                Ok(()) => self.check(proc, events),
                Err(error) => {
                    warn!(%error, pid = %proc.pid, "not watched by the kernel programs, but by its pidfd");
                    self.hold(proc, events);
                }
            },
            Means::Pidfd => self.hold(proc, events),
            Means::Poll => {
                self.looked_at.insert(proc);
            }
        }
    }

    /// A watched process is dying, or was told to: its end is wanted as soon as it comes, whatever the tier.
    pub fn await_end(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match self.pidfds.hold(proc) {
            Ok(Held::Yes) => {}
            Ok(Held::Gone) => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Err(_no_pidfds) => {
                self.dying.insert(proc);
            }
        }
    }

    /// Whether some processes are dying that have to be looked at, and often.
    #[must_use]
    pub fn must_hurry(&self) -> bool {
        !self.dying.is_empty()
    }

    /// Looks at those.
    pub fn look_at_dying(&self, events: &mut Vec<Event>) {
        look_at(&self.dying, events);
    }

    /// Watches a process no longer.
    pub fn end(&mut self, proc: ProcId) {
        if let Means::Ebpf { interest, .. } = &mut self.means {
            interest.unwatch(proc);
        }
        self.pidfds.let_go(proc);
        self.looked_at.remove(&proc);
        self.dying.remove(&proc);
    }

    /// Looks at a process that events should tell of, since one may have been missed.
    pub fn check(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match look(proc) {
            Look::Alive => {}
            Look::Dying => self.hold(proc, events),
            Look::Gone => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Look::Zombie(ending) => events.push(Event::Zombie { proc, ending }),
        }
    }

    /// Whether some processes have to be looked at time and again.
    #[must_use]
    pub fn must_look(&self) -> bool {
        !self.looked_at.is_empty()
    }

    /// Looks at those processes.
    pub fn look_again(&self, events: &mut Vec<Event>) {
        look_at(&self.looked_at, events);
    }

    /// Waits until a process whose pidfd is held has gone.
    ///
    /// # Errors
    /// When descriptors cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        self.pidfds.readable().await
    }

    /// Tells of the processes whose pidfds are held and which have gone.
    ///
    /// # Errors
    /// When descriptors cannot be read any more.
    pub fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        self.pidfds.drain(events)
    }

    fn hold(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match self.pidfds.hold(proc) {
            Ok(Held::Yes) => {}
            Ok(Held::Gone) => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Err(error) => {
                warn!(%error, pid = %proc.pid, "no pidfd for this process: it is looked at instead");
                self.looked_at.insert(proc);
            }
        }
    }
}
