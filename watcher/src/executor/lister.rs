//! All processes of the host. Looking at them takes tens of milliseconds where there are thousands, so it is done aside.

use std::{io, time::Duration};

use tokio::{task::JoinSet, time::sleep};
use watcher_core::{
    Event, StartTicks,
    pfile::select::{Process, Processes},
};

use crate::sys::{clock, proc_table};

/// When to look again after it could not be done.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at all processes, one look at a time.
#[derive(Debug, Default)]
pub struct Lister {
    looking: JoinSet<io::Result<Vec<Process>>>,
    /// That it cannot be done was told.
    complained: bool,
}

impl Lister {
    /// Begins to look.
    pub fn start(&mut self) {
        self.looking.spawn_blocking(proc_table::processes);
    }

    /// Waits for what was seen. That nothing could be seen says nothing of anybody: then the look is repeated until it can
    /// be done.
    ///
    /// # Errors
    /// A sentence for the log: once, until it can be done again.
    pub async fn next(&mut self) -> Result<Event, String> {
        loop {
            let trouble = match self.looking.join_next().await {
                Some(Ok(Ok(processes))) => {
                    self.complained = false;
                    let ticks = clock::since_boot().0 / watcher_abi::NS_PER_TICK;
                    return Ok(Event::Listed { processes: Processes::new(processes), uptime: StartTicks(ticks) });
                }
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(error)) => error.to_string(),
                None => std::future::pending().await,
            };
            // Dropped in between, this is done at once: no harm.
            self.looking.spawn(async {
                sleep(AGAIN).await;
                tokio::task::spawn_blocking(proc_table::processes).await.unwrap_or_else(|error| Err(error.into()))
            });
            if !std::mem::replace(&mut self.complained, true) {
                return Err(format!("Processes cannot be listed: {trouble}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_done_is_told_once_and_tried_again() {
        let mut lister = Lister::default();
        for _ in 0..2 {
            lister.looking.spawn_blocking(|| Err(io::Error::other("no descriptor is left")));
            assert_eq!(lister.next().await.unwrap_err(), "Processes cannot be listed: no descriptor is left");
            assert!(matches!(lister.next().await, Ok(Event::Listed { .. })));
        }
    }
}
