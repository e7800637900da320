//! What takes a thread to find out: looked up once for all who ask at the same time, and kept for a while.

use std::{collections::BTreeMap, panic, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, oneshot},
    task::{self, JoinError, JoinSet},
    time::Instant,
};

/// What nobody has asked for in so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What becomes of an old answer when a new one cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is true for as long as nobody knows better.
    Last,
    /// It is void.
    Fresh,
}

/// What is known, and what is being found out, by key.
#[derive(Debug)]
pub(super) struct Lookups<K, V, E> {
    find: fn(&K) -> Result<V, E>,
    fresh: Duration,
    keep: Keep,
    permits: Arc<Semaphore>,
    running: JoinSet<(K, Result<V, E>)>,
    known: BTreeMap<K, Known<V, E>>,
}

#[derive(Debug)]
struct Known<V, E> {
    last: Option<(Instant, V)>,
    asked: Instant,
    running: bool,
    waiting: Vec<oneshot::Sender<Result<V, E>>>,
}

/// What there is to a question.
#[derive(Debug)]
pub(super) enum Found<V, E> {
    /// The answer.
    Known(V),
    /// It is being found out.
    Coming {
        /// What was true when it was last asked for.
        last: Option<V>,
        /// Where it comes.
        answer: oneshot::Receiver<Result<V, E>>,
    },
}

impl<K, V, E> Lookups<K, V, E>
where
    K: Clone + Ord + Send + 'static,
    V: Clone + Send + 'static,
    E: Clone + Send + 'static,
{
    /// By this function, on so many threads at most.
    pub(super) fn new(find: fn(&K) -> Result<V, E>, threads: usize, fresh: Duration, keep: Keep) -> Self {
        let permits = Arc::new(Semaphore::new(threads));
        Self { find, fresh, keep, permits, running: JoinSet::new(), known: BTreeMap::new() }
    }

    pub(super) fn find(&mut self, key: &K) -> Found<V, E> {
        let now = Instant::now();
        if !self.known.contains_key(key) {
            self.known.retain(|_, known| known.running || now.duration_since(known.asked) < FORGOTTEN);
        }
        let unknown = || Known { last: None, asked: now, running: false, waiting: Vec::new() };
        let known = self.known.entry(key.clone()).or_insert_with(unknown);
        known.asked = now;
        let last = match &known.last {
            Some((since, value)) if now.duration_since(*since) < self.fresh => return Found::Known(value.clone()),
            Some((_, value)) => Some(value.clone()),
            None => None,
        };
        // Those who have given up: a thread that hangs must not make the list grow for ever.
        known.waiting.retain(|waiting| !waiting.is_closed());
        let (sender, answer) = oneshot::channel();
        known.waiting.push(sender);
        if !known.running {
            known.running = true;
            self.running.spawn(look_up(self.find, key.clone(), self.permits.clone()));
        }
        Found::Coming { last, answer }
    }

    /// Waits for an answer and hands it on; `None` when there is none to wait for.
    pub(super) async fn done(&mut self) -> Option<()> {
        let (key, result) = self.running.join_next().await?.unwrap_or_else(unwind);
        let known = self.known.get_mut(&key)?;
        known.running = false;
        let answer = match (result, &known.last) {
            (Ok(value), _) => {
                known.last = Some((Instant::now(), value.clone()));
                Ok(value)
            }
            (Err(_), Some((_, value))) if self.keep == Keep::Last => Ok(value.clone()),
            (Err(error), _) => Err(error),
        };
        for waiting in known.waiting.drain(..) {
            // Whoever has given up does not mind.
            let _told = waiting.send(answer.clone());
        }
        Some(())
    }
}

async fn look_up<K, V, E>(find: fn(&K) -> Result<V, E>, key: K, permits: Arc<Semaphore>) -> (K, Result<V, E>)
where
    K: Send + 'static,
    V: Send + 'static,
    E: Send + 'static,
{
    // Never closed: what it gives is a permit.
    let permit = permits.acquire_owned().await.ok();
    let found = task::spawn_blocking(move || {
        // It goes where the thread goes: whoever waits may be gone, the thread is not.
        let _permit = permit;
        let found = find(&key);
        (key, found)
    });
    found.await.unwrap_or_else(unwind)
}

fn unwind<T>(error: JoinError) -> T {
    panic::resume_unwind(error.into_panic())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn value<V: Clone, E>(found: Found<V, E>) -> V {
        match found {
            Found::Known(value) | Found::Coming { last: Some(value), .. } => value,
            Found::Coming { last: None, .. } => panic!("nothing is known"),
        }
    }

    #[test]
    fn threads_are_few_even_if_they_hang_and_nobody_waits_any_more() {
        static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        fn hangs(key: &u32) -> Result<u32, ()> {
            CALLS.fetch_add(1, Ordering::SeqCst);
            assert!(RUNNING.fetch_add(1, Ordering::SeqCst) < 2, "two may run at once");
            let open = GATE.1.wait_while(GATE.0.lock().unwrap(), |open| !*open).unwrap();
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            drop(open);
            Ok(*key)
        }
        runtime().block_on(async {
            let mut lookups = Lookups::new(hangs, 2, Duration::from_secs(60), Keep::Last);
            for key in 0..5 {
                // Whoever asks gives up at once; another one asks for the same.
                drop(lookups.find(&key));
                assert!(matches!(lookups.find(&key), Found::Coming { last: None, .. }));
            }
            assert_eq!(lookups.known.values().map(|known| known.waiting.len()).max(), Some(1));
            let Found::Coming { answer, .. } = lookups.find(&0) else { panic!("it hangs") };
            *GATE.0.lock().unwrap() = true;
            GATE.1.notify_all();
            for _ in 0..5 {
                lookups.done().await.unwrap();
            }
            assert_eq!(lookups.done().await, None);
            assert_eq!(answer.await.unwrap(), Ok(0));
            assert_eq!(CALLS.load(Ordering::SeqCst), 5);
            assert!((0..5).all(|key| matches!(lookups.find(&key), Found::Known(value) if value == key)));
        });
    }

    #[test]
    fn an_old_answer_holds_until_there_is_a_new_one_or_is_void() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        fn once_in_two(_: &u32) -> Result<usize, String> {
            let call = CALLS.fetch_add(1, Ordering::SeqCst);
            if call.is_multiple_of(2) { Ok(call) } else { Err("not now".to_owned()) }
        }
        runtime().block_on(async {
            for (keep, expected) in [(Keep::Last, Ok(0)), (Keep::Fresh, Err("not now".to_owned()))] {
                CALLS.store(0, Ordering::SeqCst);
                let mut lookups = Lookups::new(once_in_two, 1, Duration::ZERO, keep);
                drop(lookups.find(&1));
                lookups.done().await.unwrap();
                let Found::Coming { last: Some(0), answer } = lookups.find(&1) else { panic!("it is old") };
                lookups.done().await.unwrap();
                assert_eq!(answer.await.unwrap(), expected);
                assert_eq!(value(lookups.find(&1)), 0);
            }
        });
    }
}
