//! Runs one cell as a process of its own, under a keeper who ends all that it leaves behind, however this one ends.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

/// What is heard of it.
enum Heard {
    /// By the keeper.
    Kept(String),
    /// By itself.
    Said(String),
}

/// Runs a program with these words, under the keeper of this folder; `show` is given what it is at.
pub(super) fn run(
    folder: &Path,
    program: &Path,
    words: &[String],
    limit: Duration,
    stop: &AtomicBool,
    show: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let mut keeper = Command::new(folder.join("keeps"));
    keeper.arg(program).args(words);
    keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut keeper = Keeper(keeper.spawn().with_context(|| format!("{}/keeps", folder.display()))?);
    let (send, heard) = channel();
    listen(keeper.0.stdout.take().context("piped")?, send.clone(), Heard::Kept);
    listen(keeper.0.stderr.take().context("piped")?, send, Heard::Said);
    let begun = Instant::now();
    let (mut said, mut phase) = (Vec::new(), String::new());
    loop {
        match heard.recv_timeout(Duration::from_millis(250)) {
            Ok(Heard::Kept(line)) => match line.strip_prefix("ended ") {
                Some("0") => return Ok(()),
                Some(code) => {
                    // What it has said last may still be on its way.
                    thread::sleep(Duration::from_millis(100));
                    said.extend(heard.try_iter().filter_map(|heard| match heard {
                        Heard::Said(line) => Some(line),
                        Heard::Kept(_) => None,
                    }));
                    let last = said.get(said.len().saturating_sub(5)..).unwrap_or_default();
                    bail!("{} has ended with {code}: {}", program.display(), last.join("\n"));
                }
                None => {}
            },
            Ok(Heard::Said(line)) => match line.strip_prefix("phase ") {
                Some(now) => phase = now.to_owned(),
                None => said.push(line),
            },
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{} and its keeper were ended by somebody else", program.display())
            }
        }
        show(&phase);
        if stop.load(Ordering::Acquire) {
            bail!("stopped; what has been measured is kept, and the same command goes on from there");
        }
        if begun.elapsed() > limit {
            bail!("it has not ended within {} s; it was at: {phase}", limit.as_secs());
        }
    }
}

/// What it has written.
pub(super) fn result<T: serde::de::DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{text} is no result"))
}

/// Ends all that it keeps as soon as nobody holds its standard input any more: also when this process is killed.
struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends by itself, once nothing is left.
        let _reaped = self.0.wait();
    }
}

fn listen(stream: impl Read + Send + 'static, heard: Sender<Heard>, kind: fn(String) -> Heard) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if heard.send(kind(line)).is_err() {
                break;
            }
        }
    });
}
