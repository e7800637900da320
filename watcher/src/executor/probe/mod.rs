//! Asks services: one attempt, one verdict. When to ask, and what follows from verdicts, is for the core to say.

mod attempt;
mod connect;
mod http;
mod lookup;
mod names;
mod pulse;
mod smtp;
mod text;
mod tls;
mod wire;

use std::{
    collections::{BTreeMap, HashMap},
    future, panic,
    sync::Arc,
    time::Duration,
};

use rustls::ClientConfig;
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};
use watcher_core::{
    ProbeId,
    pfile::Bytes,
    probe::{Ask, Fault, How, HttpAsk, TlsAsk, Verdict},
};

use attempt::Means;
pub use attempt::{Attempt, Timings};
use lookup::{Found, Keep, Lookups};
pub use names::needs_resolver;
use names::{Addresses, NoAddress, Target};
use pulse::Pulse;
pub use tls::{Agreed, Certificate, unusable_ca};

/// So many names are looked up at once. A resolver may hang for as long as it likes, and no thread can be told to give up.
const RESOLVERS: usize = 8;
/// For so long an address is taken for that of its name. Then the resolver is asked again.
const FRESH_NAME: Duration = Duration::from_secs(60);
/// So many files of certificates are read at once.
const READERS: usize = 2;
/// For so long the keys of sessions are used again, and authorities are not read again: a certificate that is replaced is
/// seen by then, and one that expires is, too.
const FRESH_TRUST: Duration = Duration::from_secs(600);

/// What is being asked at the moment. It belongs to one thread, and shares nothing.
#[derive(Debug)]
pub struct Prober {
    attempts: JoinSet<Attempt>,
    /// Each with its beginning.
    by_probe: BTreeMap<ProbeId, (AbortHandle, Instant)>,
    by_task: HashMap<Id, ProbeId>,
    pulse: Option<Pulse>,
    names: Lookups<Bytes, Addresses, NoAddress>,
    tls: Lookups<TlsAsk, Arc<ClientConfig>, String>,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

impl Prober {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            attempts: JoinSet::new(),
            by_probe: BTreeMap::new(),
            by_task: HashMap::new(),
            pulse: None,
            names: Lookups::new(names::resolve, RESOLVERS, FRESH_NAME, Keep::Last),
            tls: Lookups::new(tls::config, READERS, FRESH_TRUST, Keep::Fresh),
        }
    }

    /// Begins an attempt. It ends within the limit of what is asked, and [`Self::ready`] tells how.
    pub fn start(&mut self, probe: ProbeId, ask: Arc<Ask>) {
        self.forget(probe);
        let started = Instant::now();
        let nobody_is_asked = self.by_probe.is_empty();
        self.pulse.get_or_insert_with(Pulse::new).begin(nobody_is_asked, started);
        let addresses = match names::target(ask.host.as_ref()) {
            Target::Known(addresses) => Found::Known(addresses),
            Target::Name(name) => self.names.find(&name),
        };
        let tls = match &ask.how {
            How::Http(HttpAsk { tls: Some(tls), .. }) => Some(self.tls.find(tls)),
            How::Http(_) | How::Smtp | How::Tcp => None,
        };
        let task = self.attempts.spawn(attempt::run(ask, started, Means { addresses, tls }));
        self.by_task.insert(task.id(), probe);
        self.by_probe.insert(probe, (task, started));
    }

    /// Ends an attempt. Nothing is told of it any more, even if it has its verdict already.
    pub fn forget(&mut self, probe: ProbeId) {
        if let Some((task, _)) = self.by_probe.remove(&probe) {
            self.by_task.remove(&task.id());
            task.abort();
        }
    }

    /// How many attempts there are at the moment.
    #[must_use]
    pub fn running(&self) -> usize {
        self.by_probe.len()
    }

    /// Waits until an attempt has ended, and adds all that have; for ever when there is none. Nothing is lost when it is
    /// dropped before: an arm of a `select!`.
    pub async fn ready(&mut self, done: &mut Vec<(ProbeId, Attempt)>) {
        loop {
            tokio::select! {
                biased;
                () = beat(self.pulse.as_mut()), if !self.by_probe.is_empty() => {}
                Some(()) = self.names.done() => {}
                Some(()) = self.tls.done() => {}
                Some(ended) = self.attempts.join_next_with_id() => {
                    let before = done.len();
                    self.ended(ended, done);
                    while let Some(ended) = self.attempts.try_join_next_with_id() {
                        self.ended(ended, done);
                    }
                    if done.len() > before {
                        return;
                    }
                }
                else => future::pending().await,
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Attempt), JoinError>, done: &mut Vec<(ProbeId, Attempt)>) {
        match ended {
            Ok((task, mut attempt)) => {
                // None: it was forgotten.
                if let Some(probe) = self.by_task.remove(&task)
                    && let Some((_, started)) = self.by_probe.remove(&probe)
                {
                    let was_away = self.pulse.as_mut().is_some_and(|pulse| pulse.has_missed(started));
                    // Part of the time was not the service's: what it may have said in the rest tells nothing.
                    let fault = match &attempt.verdict {
                        Verdict::Bad(fault) => Some(fault),
                        Verdict::Good { .. } => None,
                    };
                    if was_away && fault.is_some_and(Fault::may_be_for_want_of_time) {
                        attempt.verdict = Verdict::Bad(Fault::Overrun);
                    }
                    done.push((probe, attempt));
                }
            }
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_forgotten) => {}
        }
    }
}

async fn beat(pulse: Option<&mut Pulse>) {
    match pulse {
        Some(pulse) => pulse.beat().await,
        None => future::pending().await,
    }
}
