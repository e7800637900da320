//! Workers who are there before the tool.

use std::{
    process::Command,
    sync::mpsc::Sender,
    thread,
    time::{Duration, Instant},
};

use crate::{ground::Ground, kept::Kept, news::News};

/// So long may it take until all processes are there.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts all of them.
pub(crate) fn gather(ground: &Ground, news: &Sender<News>) -> Result<Kept, String> {
    let mut command = Command::new(ground.at("program"));
    let herd = Kept::start(command.arg("herd").arg(ground.size.to_string()), news)?;
    await_all(ground, LIMIT, || None)?;
    Ok(herd)
}

/// Waits until all of them are there, or something has gone wrong.
pub(crate) fn await_all(
    ground: &Ground,
    limit: Duration,
    mut wrong: impl FnMut() -> Option<String>,
) -> Result<(), String> {
    let end = Instant::now() + limit;
    loop {
        let living = ground.count_living();
        if living == ground.size {
            return Ok(());
        }
        if let Some(wrong) = wrong() {
            return Err(wrong);
        }
        if Instant::now() > end {
            return Err(format!("after {} s only {living} of {} processes run", limit.as_secs(), ground.size));
        }
        thread::sleep(Duration::from_millis(50));
    }
}
