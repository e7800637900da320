//! What the bench is asked to measure.

use std::{path::PathBuf, time::Duration};

use crate::tools::{self, Tool};

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) tool: &'static Tool,
    pub(crate) size: usize,
    /// Programs of the peers.
    pub(crate) peers: PathBuf,
    /// Where the workers and the tool have their files.
    pub(crate) folder: PathBuf,
    /// Where the result goes.
    pub(crate) out: PathBuf,
    pub(crate) windows: Windows,
}

/// How long each part takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// After the tool is ready, before anything is measured.
    pub(crate) warm_up: Duration,
    /// Nothing happens.
    pub(crate) idle: Duration,
    /// Workers are killed.
    pub(crate) kills: Duration,
    /// So long is waited for a start script after the last kill; later ones are missed.
    pub(crate) patience: Duration,
    /// Short processes a second in the second half; 0: there is none.
    pub(crate) noise: u64,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut tool, mut size, mut peers, mut folder, mut out) = (None, None, None, None, None);
        let second = Duration::from_secs(1);
        let mut windows =
            Windows { warm_up: second, idle: 2 * second, kills: 2 * second, patience: 5 * second, noise: 0 };
        while let Some(option) = words.next() {
            let word = words.next().ok_or_else(|| format!("{option} wants a value"))?;
            let number = || word.parse::<u64>().map_err(|_| format!("{option} wants a number, not {word}"));
            let seconds = || number().map(Duration::from_secs);
            match option.as_str() {
                "--tool" => tool = Some(tools::find(&word).ok_or_else(|| format!("no tool is called {word}"))?),
                "--size" => size = Some(number()? as usize),
                "--peers" => peers = Some(PathBuf::from(word)),
                "--folder" => folder = Some(PathBuf::from(word)),
                "--out" => out = Some(PathBuf::from(word)),
                "--warm-up" => windows.warm_up = seconds()?,
                "--idle" => windows.idle = seconds()?,
                "--kills" => windows.kills = seconds()?,
                "--patience" => windows.patience = seconds()?,
                "--noise" => windows.noise = number()?,
                _ => return Err(format!("{option} is not known")),
            }
        }
        let missing = |name: &str| format!("--{name} is missing");
        Ok(Self {
            tool: tool.ok_or_else(|| missing("tool"))?,
            size: size.filter(|size| (1..=99_999).contains(size)).ok_or("--size is 1 to 99999")?,
            peers: peers.ok_or_else(|| missing("peers"))?,
            folder: folder.ok_or_else(|| missing("folder"))?,
            out: out.ok_or_else(|| missing("out"))?,
            windows,
        })
    }
}
