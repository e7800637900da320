//! The process connector at work: ends of processes, and starts of those programs that somebody waits for.

use std::{
    cell::Cell,
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use tracing::{debug, warn};
use watcher_core::{Comm, Event, Pid};

use crate::sys::{
    child::WaitingChild,
    limits, proc,
    proc_connector::{Ends, News, ProcConnector, Ranges, Wanted},
    readable::Readable,
};

/// How long the news of a death may take; it takes microseconds on a healthy host.
const LIMIT: Duration = Duration::from_secs(5);

/// The exit code of a child that dies as a test: one that nothing else would give by chance.
const CODE: u8 = 87;

/// So much news is taken at once, for nothing else to wait long.
const AT_ONCE: usize = 256;

/// The process connector.
#[derive(Debug)]
pub struct ProcEvents {
    connector: ProcConnector,
    readable: Readable,
    /// How often each name is expected.
    expected: BTreeMap<Comm, u32>,
    /// The kernel has refused a filter by process.
    is_too_large: bool,
    /// The socket was not read to its end.
    has_more: bool,
    /// Since then others had their turn.
    others_had_turn: Cell<bool>,
    /// Losses that nobody was told of yet.
    lost: u64,
    /// A child whose end is to be told, and since when.
    canary: Option<(WaitingChild, Instant)>,
}

/// The end of a leading thread.
#[derive(Clone, Copy, Debug)]
pub struct LeaderExit {
    /// Of the process with this number, whoever that is by now.
    pub pid: Pid,
    /// Its own wait status.
    pub status: u32,
}

impl ProcEvents {
    /// Listens, with room for the ends of so many processes at once, and lets a child die to see whether that is told.
    ///
    /// # Errors
    /// Says what this host lacks, as a sentence.
    pub fn open(room: usize) -> Result<Self, String> {
        let mut connector = connector(Wanted { ends: Ends::Nobody, starts: false }, room)?;
        test(&mut connector)?;
        Self::new(connector)
    }

    /// Listens to starts only, once some are expected.
    ///
    /// # Errors
    /// Says what this host lacks, as a sentence.
    pub fn of_starts() -> Result<Self, String> {
        /// So many programs may be started at once.
        const ROOM: usize = 1024;
        Self::new(connector(Wanted { ends: Ends::Nobody, starts: false }, ROOM)?)
    }

    fn new(connector: ProcConnector) -> Result<Self, String> {
        let readable = Readable::of(&connector).map_err(|error| limits::sentence(&error))?;
        let (has_more, others_had_turn) = (false, Cell::new(false));
        Ok(Self {
            connector,
            readable,
            expected: BTreeMap::new(),
            is_too_large: false,
            has_more,
            others_had_turn,
            lost: 0,
            canary: None,
        })
    }

    /// From now on the end of this process is told, as are those of all others until [`Self::narrow`].
    ///
    /// # Errors
    /// When the kernel does not take the filter.
    pub fn widen_for(&mut self, pid: Pid) -> io::Result<()> {
        match &self.connector.wanted().ends {
            Ends::All => Ok(()),
            Ends::Of(ranges) if ranges.contains(pid.number()) => Ok(()),
            Ends::Of(_) | Ends::Nobody => self.want_ends(Ends::All),
        }
    }

    /// From now on only the ends of these are told, and of others whose numbers are near.
    pub fn narrow(&mut self, watched: impl Iterator<Item = Pid>) {
        if self.is_too_large || self.canary.is_some() || self.connector.wanted().ends != Ends::All {
            return;
        }
        if let Err(error) = self.want_ends(Ends::Of(Ranges::of(watched.map(Pid::number)))) {
            // For want of memory, by the limit on what belongs to sockets.
            warn!(%error, "the ends of all processes wake watcher up: the kernel takes no filter by process");
            self.is_too_large = true;
        }
    }

    /// Lets a child die for the news of it to come soon: others may have made the kernel tell nobody. To be called now and
    /// then, after [`Self::drain`].
    ///
    /// # Errors
    /// When that of the last one has not come, or what a filter is for fails.
    pub fn prove(&mut self) -> Result<(), String> {
        match &self.canary {
            Some((child, since)) if since.elapsed() > LIMIT && !self.has_more => Err(format!(
                "the process connector has not told of the death of a child of ours, process {}",
                child.pid()
            )),
            Some(_) => Ok(()),
            None => {
                let child = match WaitingChild::fork(CODE) {
                    Ok(child) => child,
                    Err(error) => {
                        debug!(%error, "no child could be made to test the process connector");
                        return Ok(());
                    }
                };
                let no_filter = |error| format!("the process connector takes no filter any more: {error}");
                self.widen_for(child.pid()).map_err(no_filter)?;
                if child.release().is_ok() {
                    self.canary = Some((child, Instant::now()));
                }
                Ok(())
            }
        }
    }

    fn want_ends(&mut self, ends: Ends) -> io::Result<()> {
        self.connector.want(Wanted { ends, ..self.connector.wanted().clone() })
    }

    /// From now on starts of programs with this command name are told.
    ///
    /// # Errors
    /// When they will not be told.
    pub fn expect(&mut self, comm: Comm) -> io::Result<()> {
        if self.expected.is_empty() {
            self.want_starts(true)?;
        }
        *self.expected.entry(comm).or_insert(0) += 1;
        Ok(())
    }

    /// The name is expected once less. Starts that are on their way may still be told.
    ///
    /// # Errors
    /// When the kernel does not take the filter.
    pub fn expect_no_more(&mut self, comm: Comm) -> io::Result<()> {
        match self.expected.get_mut(&comm) {
            None => return Ok(()),
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => {
                self.expected.remove(&comm);
            }
        }
        if self.expected.is_empty() { self.want_starts(false) } else { Ok(()) }
    }

    fn want_starts(&mut self, starts: bool) -> io::Result<()> {
        self.connector.want(Wanted { starts, ..self.connector.wanted().clone() })
    }

    /// Whether some name is expected.
    #[must_use]
    pub fn expects_somebody(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Waits until there is news.
    ///
    /// # Errors
    /// When the socket cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        if !self.has_more {
            return self.readable.next().await;
        }
        // Whoever is preferred to this drops it here.
        if !self.others_had_turn.replace(true) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Takes news, of much only the oldest: ends, for the caller to look into; and as events the starts of expected programs,
    /// and that some news was lost.
    ///
    /// # Errors
    /// When the socket cannot be read any more.
    pub fn drain(&mut self, ends: &mut Vec<LeaderExit>, events: &mut Vec<Event>) -> io::Result<()> {
        self.others_had_turn.set(false);
        self.has_more = true;
        for _ in 0..AT_ONCE {
            let Some(news) = self.connector.take()? else {
                self.has_more = false;
                break;
            };
            match news {
                News::Exec { pid } => events.extend(self.expected_start(pid)),
                News::LeaderExit { pid, status } => {
                    self.canary.take_if(|(child, _)| child.pid() == pid);
                    ends.push(LeaderExit { pid, status });
                }
                // How much it was the kernel does not say.
                News::Lost => {
                    self.lost += 1;
                    self.canary = None;
                }
            }
        }
        // From a loss on until the socket was read to its end more is lost without a word: not before may anybody look. A
        // second loss says that it was.
        let going_on = u64::from(self.has_more);
        if self.lost > going_on {
            events.push(Event::Lost { records: self.lost - going_on });
            self.lost = going_on;
        }
        Ok(())
    }

    fn expected_start(&self, pid: Pid) -> Option<Event> {
        if self.expected.is_empty() {
            return None;
        }
        let facts = proc::facts(pid).ok()??;
        self.expected.contains_key(&Comm::of_program(facts.comm.as_bytes())).then_some(Event::Exec { proc: facts.proc })
    }
}

fn connector(wanted: Wanted, room: usize) -> Result<ProcConnector, String> {
    ProcConnector::open(wanted, room).map_err(|reason| reason.to_string())
}

/// Whether the end of a child is told: a filter that lets nothing through would be silent. Then the ends of all are.
fn test(connector: &mut ProcConnector) -> Result<(), String> {
    let no_child = |error| format!("no child could be made for the self-test: {}", limits::sentence(&error));
    let child = WaitingChild::fork(CODE).map_err(no_child)?;
    let no_filter = |error| format!("putting a filter on the process connector failed: {error}");
    // Others could be so many that this one is lost.
    let own = Ends::Of(Ranges::of([child.pid().number()]));
    connector.want(Wanted { ends: own, starts: false }).map_err(no_filter)?;
    child.release().map_err(no_child)?;
    let limit = Instant::now() + LIMIT;
    loop {
        let news = connector.take().map_err(|error| format!("the process connector cannot be read: {error}"))?;
        match news {
            Some(News::LeaderExit { pid, status }) if pid == child.pid() => {
                let is_right = status == u32::from(CODE) << 8;
                return if is_right {
                    connector.want(Wanted { ends: Ends::All, starts: false }).map_err(no_filter)
                } else {
                    Err(format!("a child's death was told with status {status:#x}"))
                };
            }
            Some(News::LeaderExit { .. } | News::Exec { .. } | News::Lost) => {}
            None => {
                let no_wait = |error| format!("the process connector cannot be waited for: {error}");
                if !connector.wait_until(limit).map_err(no_wait)? {
                    return Err("the process connector answers, but did not tell of the death of a child".to_owned());
                }
            }
        }
    }
}
