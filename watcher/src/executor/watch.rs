//! Watching processes, by whatever tier works on this host.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, mem,
};

use tracing::debug;
use watcher_core::{Comm, Ending, Event, ProcId, Tier};

use super::{
    eyes::Eyes,
    inspect::Look,
    looks::Looks,
    means::Means,
    pidfds::{Held, Pidfds},
};
use crate::{
    kernel::{Lacking, Ports},
    sys::{limits, raw_tracepoint::Runs},
};

/// So often a process that is dying, of which no descriptor tells, is looked at in a hurry while threads of it live on
/// without their leader. After that they may do so for good.
const HURRIED_LOOKS: u32 = 40;

/// The watched processes, and what is needed to learn of their ends.
#[derive(Debug)]
pub struct Watch {
    means: Means,
    eyes: Eyes,
    pidfds: Pidfds,
    /// Those whose pidfds are held for nothing but that the means may not tell of their deaths.
    witnessed: BTreeSet<ProcId>,
    /// Those that can only be looked at, time and again.
    looked_at: Looks,
    /// Those whose end is near, and can only be looked for.
    dying: BTreeMap<ProcId, Dying>,
    /// Why the tier can be trusted no longer.
    trouble: Option<String>,
    /// That some are looked at although a tier was meant to tell of them: said once.
    without_pidfd: Option<String>,
    is_without_pidfd: bool,
    /// That the kernel's table of watched processes is full: said once.
    overflow: Option<String>,
    is_full: bool,
}

/// Why a process is taken for one that is dying.
#[derive(Clone, Copy, Debug)]
enum Dying {
    /// Its end is awaited.
    Awaited,
    /// Its leader was seen to end. So often others were found to live on without it.
    Leader { gone: u32 },
}

impl Watch {
    /// Watches nobody yet.
    #[must_use]
    pub fn new(means: Means) -> Self {
        Self {
            means,
            eyes: Eyes::default(),
            pidfds: Pidfds::default(),
            witnessed: BTreeSet::new(),
            looked_at: Looks::default(),
            dying: BTreeMap::new(),
            trouble: None,
            without_pidfd: None,
            is_without_pidfd: false,
            overflow: None,
            is_full: false,
        }
    }

    /// The tier that is in use.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.means.tier()
    }

    /// Whether the means work with the capabilities that are in effect.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        self.means.may_go_on()
    }

    /// What the kernel programs cannot do on this host, on the tier that has them.
    #[must_use]
    pub const fn lacking(&self) -> Option<&Lacking> {
        self.means.lacking()
    }

    /// How often each kernel program ran, and for how long, as far as the kernel has counted that; on the tier that has them.
    #[must_use]
    pub fn runs(&self) -> Option<Vec<(String, Runs)>> {
        self.means.runs()
    }

    /// The ports whose sockets the kernel counts, on the tier that can.
    pub const fn ports(&mut self) -> Option<&mut Ports> {
        self.means.ports()
    }

    /// Wants to know of starts of the program with this base name. Says whether they will be told by events; one that came
    /// before this moment will not. A caller who is told no has to look for himself.
    pub fn expect(&mut self, name: &[u8]) -> bool {
        self.means.expect(Comm::of_program(name))
    }

    /// Takes back one call of [`Self::expect`] that was answered with yes.
    pub fn expect_no_more(&mut self, name: &[u8]) {
        self.means.expect_no_more(Comm::of_program(name));
    }

    /// Watches a process. One that has gone meanwhile is told of at once.
    pub fn begin(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match &mut self.means {
            Means::Ebpf { interest, .. } => match interest.watch(proc, 0) {
                Ok(()) => {
                    if self.means.wants_witnesses() {
                        self.hold(proc, events);
                        if self.pidfds.holds(proc) {
                            self.witnessed.insert(proc);
                        }
                    }
                    // It may have died, or begun to, before the kernel programs knew it.
                    self.check(proc, events);
                }
                Err(error) => {
                    debug!(%error, pid = %proc.pid, "not watched by the kernel programs, but by its pidfd");
                    self.say_that_it_is_full(&error.to_string());
                    self.hold(proc, events);
                }
            },
            Means::Pidfd { .. } => self.hold(proc, events),
            Means::Connector { events: source, watched } => {
                watched.insert(proc.pid, proc);
                match source.widen_for(proc.pid) {
                    // The same.
                    Ok(()) => self.check(proc, events),
                    Err(error) => self.fail(format!("the process connector takes no filter any more: {error}")),
                }
            }
            Means::Poll => self.looked_at.insert(proc),
        }
    }

    /// A watched process is dying, or was told to: its end is wanted as soon as it comes, whatever the tier.
    pub fn await_end(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        if !self.hold_dying(proc, events) {
            self.dying.insert(proc, Dying::Awaited);
        }
    }

    /// Its leader was seen to end, and others may live on: of their end only its pidfd tells.
    fn await_end_of_others(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        if !self.hold_dying(proc, events) {
            self.dying.entry(proc).or_insert(Dying::Leader { gone: 0 });
        }
    }

    fn hold_dying(&mut self, proc: ProcId, events: &mut Vec<Event>) -> bool {
        self.witnessed.remove(&proc);
        match self.pidfds.hold(proc) {
            Ok(Held::Yes) => {}
            Ok(Held::Gone) => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Err(error) => {
                debug!(%error, pid = %proc.pid, "no pidfd for this process: it is looked at in a hurry");
                return false;
            }
        }
        true
    }

    /// Whether some processes are dying that have to be looked at, and often.
    #[must_use]
    pub fn must_hurry(&self) -> bool {
        !self.dying.is_empty()
    }

    /// Looks at those.
    pub fn look_at_dying(&mut self, events: &mut Vec<Event>) {
        let eyes = &mut self.eyes;
        self.dying.retain(|&proc, dying| {
            match (eyes.look(proc), dying) {
                (Look::Alive | Look::Dying | Look::Leaderless | Look::Unseen, Dying::Awaited)
                | (Look::Dying | Look::Unseen, Dying::Leader { .. }) => {}
                // One of the others has taken the leader's place: it runs another program now.
                (Look::Alive, Dying::Leader { .. }) => return false,
                (Look::Leaderless, Dying::Leader { gone }) => {
                    *gone += 1;
                    if *gone == HURRIED_LOOKS {
                        self.looked_at.insert(proc);
                        return false;
                    }
                }
                (Look::Gone, _) => events.push(Event::Gone { proc, ending: Ending::Unknown }),
                (Look::Zombie(ending), _) => events.push(Event::Zombie { proc, ending }),
            }
            true
        });
    }

    /// Watches a process no longer.
    pub fn end(&mut self, proc: ProcId) {
        self.means.end(proc);
        self.eyes.forget(proc);
        self.pidfds.let_go(proc);
        self.witnessed.remove(&proc);
        self.looked_at.remove(proc);
        self.dying.remove(&proc);
    }

    /// Looks at a process that events should tell of, since one may have been missed.
    fn check(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match self.eyes.look(proc) {
            Look::Alive | Look::Unseen => {}
            Look::Dying | Look::Leaderless => self.await_end_of_others(proc, events),
            Look::Gone => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Look::Zombie(ending) => events.push(Event::Zombie { proc, ending }),
        }
    }

    /// Looks at all of these, and at the means of the tier: who is found dead, and should have been told of long ago, shows
    /// that they fail.
    pub fn sweep(&mut self, watched: impl IntoIterator<Item = ProcId>, events: &mut Vec<Event>) {
        let skipped = self.means.skipped();
        for proc in watched {
            let found = events.len();
            self.check(proc, events);
            // Those that are held, or were seen to be dying, did so before the means knew them, or were told of.
            let is_witnessed = self.witnessed.contains(&proc);
            let was_for_the_means = is_witnessed || (!self.pidfds.holds(proc) && !self.dying.contains_key(&proc));
            if events.len() > found && was_for_the_means {
                self.blame_means_if_untold(proc);
            }
        }
        // What can be read no more says so.
        self.drain(Ok(()), events);
        self.means.settle(skipped);
        if let Err(reason) = self.means.prove() {
            self.fail(reason);
        }
    }

    /// Somebody is dead of whose death it was for the means to tell.
    fn blame_means_if_untold(&mut self, proc: ProcId) {
        self.witnessed.remove(&proc);
        if let Some(reason) = self.means.why_untold(proc) {
            self.fail(reason);
        }
    }

    /// Whether some processes have to be looked at time and again.
    #[must_use]
    pub fn must_look(&self) -> bool {
        !self.looked_at.is_empty() || !self.eyes.see_all()
    }

    /// In how many slices those are looked at, for none of them to take long.
    #[must_use]
    pub fn slices(&self) -> u32 {
        self.looked_at.slices()
    }

    /// Looks at the next slice of those processes, and at those that could not be seen.
    pub fn look_again(&mut self, events: &mut Vec<Event>) {
        for proc in self.eyes.unseen() {
            self.check(proc, events);
        }
        for proc in self.looked_at.next_slice() {
            match self.eyes.look(proc) {
                Look::Alive | Look::Dying | Look::Leaderless | Look::Unseen => {}
                Look::Gone => events.push(Event::Gone { proc, ending: Ending::Unknown }),
                Look::Zombie(ending) => events.push(Event::Zombie { proc, ending }),
            }
        }
    }

    /// Waits until there is something to be taken by [`Self::drain`].
    ///
    /// # Errors
    /// When descriptors cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        tokio::select! {
            readable = self.pidfds.readable() => readable,
            readable = self.means.readable() => readable,
        }
    }

    /// Tells of the processes whose pidfds are held and which have gone, and what the process connector tells, once that is
    /// readable, or failed to be.
    pub fn drain(&mut self, readable: io::Result<()>, events: &mut Vec<Event>) {
        let mut ends = Vec::new();
        if let Err(error) = readable {
            self.fail(format!("its descriptors cannot be waited for: {error}"));
        }
        if let Err(error) = self.means.drain(&mut ends, events) {
            self.fail(format!("the process connector cannot be read: {error}"));
        }
        let found = events.len();
        if let Err(error) = self.pidfds.drain(events) {
            self.fail(format!("the pidfds cannot be waited for: {error}"));
        }
        // Who was told of by the means is about to be held for that reason, but may be gone already.
        for event in events.iter().skip(found) {
            if let Event::Gone { proc, .. } = event
                && self.witnessed.contains(proc)
            {
                self.blame_means_if_untold(*proc);
            }
        }
        for (proc, status) in ends {
            // Of the leader alone, if others live. Then it is a zombie for as long as they do, and is held by now; if it
            // was reaped it was the last one, or ended together with all others.
            let told = Ending::from_wait_status(status);
            match self.eyes.look(proc) {
                // An earlier owner of the pid has ended.
                Look::Alive => {}
                Look::Dying | Look::Leaderless | Look::Unseen => self.await_end_of_others(proc, events),
                Look::Gone => events.push(Event::Gone { proc, ending: told }),
                Look::Zombie(Ending::Unknown) => events.push(Event::Zombie { proc, ending: told }),
                Look::Zombie(ending) => events.push(Event::Zombie { proc, ending }),
            }
        }
    }

    /// The tier can be trusted no longer.
    pub fn fail(&mut self, reason: String) {
        self.trouble.get_or_insert(reason);
    }

    /// Why it cannot, once.
    pub fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// A sentence for the operator about processes that are not watched as they should be. Each is said once.
    pub fn take_complaint(&mut self) -> Option<String> {
        self.eyes.take_complaint().or_else(|| self.overflow.take()).or_else(|| self.without_pidfd.take())
    }

    /// Goes over to the means of another tier: whoever is watched is so by these from now on, whoever was about to end still
    /// is, and who has gone meanwhile is told of.
    pub fn change_over(&mut self, other: Self, watched: impl IntoIterator<Item = ProcId>, events: &mut Vec<Event>) {
        let before = mem::replace(self, other);
        // On tier pidfd those that are held need not be about to end.
        let are_dying = before.tier() != Tier::Pidfd;
        for proc in before.pidfds.procs().filter(|proc| !before.witnessed.contains(proc)) {
            if !self.hold_dying(proc, events) && are_dying {
                self.dying.insert(proc, Dying::Awaited);
            }
        }
        for proc in before.dying.into_keys() {
            self.await_end(proc, events);
        }
        for proc in watched {
            self.begin(proc, events);
            self.check(proc, events);
        }
    }

    /// The table cannot grow. Of whom it has no room for, a pidfd tells as well: that takes a descriptor, and leaves his death
    /// unexplained.
    fn say_that_it_is_full(&mut self, why: &str) {
        if !mem::replace(&mut self.is_full, true) {
            limits::raise_descriptors();
            self.overflow = Some(format!(
                "The kernel's table of watched processes takes no more ({why}): those that come now are watched by pidfds, and \
                 their deaths are not explained; starting watcher anew makes room for them"
            ));
        }
    }

    fn hold(&mut self, proc: ProcId, events: &mut Vec<Event>) {
        match self.pidfds.hold(proc) {
            Ok(Held::Yes) => {}
            Ok(Held::Gone) => events.push(Event::Gone { proc, ending: Ending::Unknown }),
            Err(error) => {
                if !mem::replace(&mut self.is_without_pidfd, true) {
                    self.without_pidfd = Some(format!(
                        "Process {}, and maybe others, can only be looked at from time to time; no pidfd: {}",
                        proc.pid,
                        limits::sentence(&error)
                    ));
                }
                self.looked_at.insert(proc);
            }
        }
    }
}
