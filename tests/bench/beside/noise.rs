//! Strangers: short processes that come and go, and concern nobody.

use std::{fs, process::Command, sync::mpsc::Sender, time::Instant};

use crate::{ground::Ground, kept::Kept, news::News};

pub(crate) struct Noise<'a> {
    ground: &'a Ground,
    _maker: Kept,
}

impl<'a> Noise<'a> {
    pub(crate) fn make(ground: &'a Ground, rate: u64, news: &Sender<News>) -> Result<Self, String> {
        let mut command = Command::new(ground.at("program"));
        let maker = Kept::start(command.arg("noise").arg(rate.to_string()), news)?;
        Ok(Self { ground, _maker: maker })
    }

    /// How many there have been, and when that was.
    pub(crate) fn so_far(&self) -> (u64, Instant) {
        let count = fs::read(self.ground.at("noise")).unwrap_or_default();
        (count.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes)), Instant::now())
    }
}
