//! `cargo xtask bench exit`: from a death to knowing it, beside peers, and what it costs everybody else; and `bench tiers`.
//!
//! Ratios within one run count, not absolute times: virtual machines are noisy.

mod cost;
mod floor;
mod footprint;
mod herd;
mod latency;
mod peers;
mod tiers;

use std::env;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Deaths for each figure of latency.
    deaths: usize,
    /// Unrelated exits for each figure of cost.
    exits: usize,
    /// Seconds of unrelated exits for each count of wake-ups.
    seconds: u64,
}

fn main() {
    let quick = env::args().any(|argument| argument == "--quick");
    let scale = if quick {
        Scale { deaths: 300, exits: 2_000, seconds: 1 }
    } else {
        Scale { deaths: 5_000, exits: 20_000, seconds: 10 }
    };
    if env::args().any(|argument| argument == "--tiers") {
        return tiers::run(scale);
    }
    latency::run(scale);
    cost::run(scale);
    footprint::run(scale);
}

/// The value at this share of a sorted list.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let index = ((sorted.len() as f64 - 1.0) * share).round() as usize;
    sorted.get(index).copied().unwrap_or(0)
}
