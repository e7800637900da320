//! All processes of the host. Looking at them takes tens of milliseconds where there are thousands, so it is done aside.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use watcher_core::{
    Event, Pid,
    pfile::select::{Process, Processes},
};

use crate::sys::{clock, heap, proc_table};

/// When to look again after it could not be done.
const AGAIN: Duration = Duration::from_secs(1);

/// What a look at so many processes has taken is given back to the kernel, once none has been taken for so long.
const MANY: usize = 1_000;
const CALM: Duration = Duration::from_millis(500);

/// A look that takes longer than this hangs at some process.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to look: at all but these, telling all the time who is being looked at.
type Look = fn(&BTreeSet<Pid>, &AtomicU32) -> io::Result<Vec<Process>>;

/// Looks at all processes, one look at a time.
#[derive(Debug)]
pub struct Lister {
    look: Look,
    patience: Duration,
    /// Looks under way, by number: the last one counts, those before hang.
    looking: JoinSet<(u64, io::Result<Vec<Process>>)>,
    current: Option<Current>,
    number: u64,
    /// At these a look has hung.
    shunned: BTreeSet<Pid>,
    trouble: Option<String>,
    /// It was told that looks fail, and none has succeeded since.
    complained: bool,
    /// When memory is to be given back.
    give_back_at: Option<Instant>,
}

#[derive(Debug)]
struct Current {
    until: Instant,
    next: Next,
    looking_at: Arc<AtomicU32>,
}

/// What comes when the time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It could not be done, and is tried again.
    Again,
    /// It hangs.
    Shun,
}

impl Default for Lister {
    fn default() -> Self {
        Self::with(proc_table::processes_but, PATIENCE)
    }
}

impl Lister {
    fn with(look: Look, patience: Duration) -> Self {
        let (looking, shunned) = (JoinSet::new(), BTreeSet::new());
        Self {
            look,
            patience,
            looking,
            current: None,
            number: 0,
            shunned,
            trouble: None,
            complained: false,
            give_back_at: None,
        }
    }

    /// Begins to look.
    pub fn start(&mut self) {
        self.number += 1;
        let looking_at = Arc::new(AtomicU32::new(0));
        let (look, number, shunned) = (self.look, self.number, self.shunned.clone());
        let told = Arc::clone(&looking_at);
        self.looking.spawn_blocking(move || (number, look(&shunned, &told)));
        self.current = Some(Current { until: Instant::now() + self.patience, next: Next::Shun, looking_at });
    }

    /// Waits for what was seen. That nothing could be seen says nothing of anybody: then there is trouble to take, and the
    /// look is repeated until it can be done.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let until = self.current.as_ref().map(|current| current.until);
            tokio::select! {
                Some(looked) = self.looking.join_next() => {
                    let (number, looked) = looked.unwrap_or_else(|error| (self.number, Err(error.into())));
                    // What hung was started anew meanwhile, and shows how it was then.
                    if number != self.number || self.current.is_none() {
                        continue;
                    }
                    match looked {
                        Ok(processes) => {
                            (self.current, self.complained) = (None, false);
                            self.give_back_at = (processes.len() >= MANY).then(|| Instant::now() + CALM);
                            return Some(listed(processes));
                        }
                        Err(error) => {
                            self.try_again(&error);
                            return None;
                        }
                    }
                }
                () = over(until), if until.is_some() => {
                    self.give_up();
                    return None;
                }
                () = over(self.give_back_at), if self.give_back_at.is_some() => {
                    self.give_back_at = None;
                    heap::give_back();
                }
                else => std::future::pending().await,
            }
        }
    }

    /// A sentence for the log, if there is one.
    pub fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    fn try_again(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            self.trouble = Some(format!("Processes cannot be listed, trying again: {error}"));
        }
        if let Some(current) = &mut self.current {
            (current.until, current.next) = (Instant::now() + AGAIN, Next::Again);
        }
    }

    /// It takes too long.
    fn give_up(&mut self) {
        let Some(Current { next, looking_at, .. }) = self.current.take() else { return };
        if next == Next::Shun {
            // A process that has begun to hang meanwhile will be found so by the next look.
            let hangs = Pid::new(looking_at.load(Ordering::Relaxed));
            self.shunned.extend(hangs);
            let who =
                hangs.map_or_else(|| "/proc".to_owned(), |pid| format!("process {pid}, which is passed over now"));
            self.trouble = Some(format!("Listing processes hangs at {who}"));
        }
        self.start();
    }
}

fn listed(processes: Vec<Process>) -> Event {
    Event::Listed { processes: Processes::new(processes), uptime: clock::uptime() }
}

async fn over(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn pid(number: u32) -> Pid {
        Pid::new(number).unwrap()
    }

    /// Process 7 holds up whoever looks at it.
    fn hangs_at_seven(shunned: &BTreeSet<Pid>, looking_at: &AtomicU32) -> io::Result<Vec<Process>> {
        looking_at.store(7, Ordering::Relaxed);
        if !shunned.contains(&pid(7)) {
            thread::sleep(Duration::from_secs(2));
        }
        Ok(Vec::new())
    }

    #[tokio::test]
    async fn a_process_at_which_a_look_hangs_is_passed_over_from_then_on() {
        // Long enough for a look that does not hang, also on a busy machine.
        let mut lister = Lister::with(hangs_at_seven, Duration::from_millis(500));
        lister.start();
        assert!(lister.next().await.is_none());
        assert_eq!(lister.take_trouble().unwrap(), "Listing processes hangs at process 7, which is passed over now");
        assert!(matches!(lister.next().await, Some(Event::Listed { .. })));
        assert_eq!(lister.looking.len(), 1, "the one that hangs");
        assert!(tokio::time::timeout(Duration::from_secs(3), lister.next()).await.is_err(), "nothing to tell of it");
        lister.start();
        assert!(matches!(lister.next().await, Some(Event::Listed { .. })));
        assert_eq!(lister.take_trouble(), None);
        assert!(lister.shunned.contains(&pid(7)));
    }

    fn fails(_: &BTreeSet<Pid>, _: &AtomicU32) -> io::Result<Vec<Process>> {
        Err(io::Error::other("out of descriptors"))
    }

    #[tokio::test]
    async fn a_look_that_cannot_be_taken_says_nothing_of_anybody_and_is_repeated() {
        let mut lister = Lister::with(fails, Duration::from_secs(60));
        lister.start();
        assert!(lister.next().await.is_none());
        assert_eq!(lister.take_trouble().unwrap(), "Processes cannot be listed, trying again: out of descriptors");
        assert!(lister.next().await.is_none());
        assert_eq!((lister.number, lister.take_trouble()), (2, None), "tried again after a second");
        assert!(lister.next().await.is_none());
        assert_eq!(lister.take_trouble(), None, "told once");
    }
}
