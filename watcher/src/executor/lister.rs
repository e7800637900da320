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
    /// It could not be done: why, told once.
    pub trouble: Option<String>,
}

impl Lister {
    /// Begins to look.
    pub fn start(&mut self) {
        self.looking.spawn_blocking(proc_table::processes);
    }

    /// Waits for what was seen. That nothing could be seen says nothing of anybody: then the look is repeated until it can
    /// be done.
    pub async fn next(&mut self) -> Event {
        loop {
            let trouble = match self.looking.join_next().await {
                Some(Ok(Ok(processes))) => {
                    let ticks = clock::since_boot().0 / watcher_abi::NS_PER_TICK;
                    return Event::Listed { processes: Processes::new(processes), uptime: StartTicks(ticks) };
                }
                Some(Ok(Err(error))) => error.to_string(),
                Some(Err(error)) => error.to_string(),
                None => std::future::pending().await,
            };
            self.trouble = Some(format!("Processes cannot be listed: {trouble}"));
            // Dropped in between, this is done at once: no harm.
            self.looking.spawn(async {
                sleep(AGAIN).await;
                tokio::task::spawn_blocking(proc_table::processes).await.unwrap_or_else(|error| Err(error.into()))
            });
        }
    }
}
