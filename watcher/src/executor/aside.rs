//! Work that may hang in a file system or a resolver, done on threads of its own: so many at once, first come first served.
//! Who takes long does not hold up others, and however many hang, there are threads left for everything else.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, spawn_blocking},
    time::timeout,
};

/// Who takes longer than this waits for something, rather than works.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many may do so, beside those who work.
const SLOW: usize = 24;

/// Where the ledgers of a host have their work done. A clone is the same.
#[derive(Clone, Debug)]
pub struct Desks {
    /// Rules are read, and scripts looked at.
    pub reading: Aside,
    /// Processes that are dying are looked at: they vanish soon.
    pub looking: Aside,
    /// Dumps are written.
    pub writing: Aside,
}

impl Default for Desks {
    fn default() -> Self {
        Self { reading: Aside::new(8), looking: Aside::new(8), writing: Aside::new(8) }
    }
}

/// Places for those who work aside. A clone is the same places.
#[derive(Clone, Debug)]
pub struct Aside {
    places: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    patience: Duration,
}

impl Aside {
    /// So many at once.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Self::with(at_once, SLOW, PATIENCE)
    }

    fn with(at_once: usize, slow: usize, patience: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), slow: Arc::new(Semaphore::new(slow)), patience }
    }

    /// Does something, when its turn has come. If this is dropped before, it is not done.
    ///
    /// # Errors
    /// When it has panicked.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, JoinError>> + Send + 'static {
        let Self { places, slow, patience } = self.clone();
        async move {
            // It is never closed.
            let place = places.acquire_owned().await.ok();
            let mut working = spawn_blocking(work);
            match timeout(patience, &mut working).await {
                Ok(done) => done,
                Err(_) => {
                    let _place = step_aside(place, &slow);
                    working.await
                }
            }
        }
    }
}

/// Makes room for the next, as long as not too many have done so.
fn step_aside(place: Option<OwnedSemaphorePermit>, slow: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    match Arc::clone(slow).try_acquire_owned() {
        Ok(other) => {
            drop(place);
            Some(other)
        }
        Err(_) => place,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        thread::sleep,
    };

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn so_many_work_at_once_and_all_have_their_turn() {
        let (aside, working, most) = (Aside::new(3), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = JoinSet::new();
        for number in 0..200 {
            let (working, most) = (Arc::clone(&working), Arc::clone(&most));
            all.spawn(aside.run(move || {
                most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_millis(1));
                working.fetch_sub(1, Ordering::SeqCst);
                number
            }));
        }
        let mut done: Vec<_> = all.join_all().await.into_iter().map(Result::unwrap).collect();
        done.sort_unstable();
        assert_eq!(done, (0..200).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn some_that_hang_hold_up_nobody_and_too_many_take_no_more_threads() {
        let aside = Aside::with(2, 5, Duration::from_millis(1));
        let hanging = Arc::new(AtomicUsize::new(0));
        let (go_on, waiting): (Vec<_>, Vec<_>) = (0..20).map(|_| mpsc::sync_channel::<()>(1)).unzip();
        let mut all = JoinSet::new();
        for (number, wait) in waiting.into_iter().enumerate() {
            if number == 6 {
                // One place is left, since five have stepped aside.
                assert_eq!(aside.run(|| 7).await.unwrap(), 7);
            }
            let hanging = Arc::clone(&hanging);
            all.spawn(aside.run(move || {
                hanging.fetch_add(1, Ordering::SeqCst);
                wait.recv().unwrap();
            }));
        }
        while hanging.load(Ordering::SeqCst) < 7 {
            tokio::task::yield_now().await;
        }
        assert!(timeout(Duration::from_millis(50), aside.run(|| 7)).await.is_err(), "all places are taken");
        assert_eq!(hanging.load(Ordering::SeqCst), 7, "threads are left for everything else");
        go_on.iter().for_each(|go_on| go_on.send(()).unwrap());
        assert_eq!(all.join_all().await.len(), 20);
        assert_eq!(aside.run(|| 7).await.unwrap(), 7);
    }
}
