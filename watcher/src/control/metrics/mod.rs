//! Figures for those who draw curves of them: what is gathered when they are asked for, and the page that they make.

pub(super) mod http;
mod page;
mod place;
mod text;

use watcher_core::{Mono, fleet::EntryView, pfile::AbsolutePath, tally::Tally};

pub use place::Place;
pub(super) use place::is_free;

use super::Process;

/// How everything stands at this moment that one process watches.
#[derive(Debug)]
pub struct Metrics {
    /// This moment.
    pub now: Mono,
    /// The process that watches.
    pub process: Process,
    /// What it has counted.
    pub tally: Tally,
    /// Each pfile.
    pub pfiles: Vec<PfileMetrics>,
}

/// How the watch over one pfile stands.
#[derive(Debug)]
pub struct PfileMetrics {
    /// It, by its full path.
    pub pfile: AbsolutePath,
    /// Whether it has rules that were not taken.
    pub refused: bool,
    /// Its entries.
    pub entries: Vec<EntryView>,
}
