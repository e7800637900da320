//! What a cell of the table has: figures as they were measured, and what is made of them.

use serde::{Deserialize, Serialize};

/// What came of a cell.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    /// The tool cannot do this, and why.
    Cannot {
        cannot: String,
    },
    Done(Box<Measured>),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Measured {
    /// Seconds from its start until it watched all of them.
    pub(super) ready_s: f64,
    pub(super) quiet: Half,
    /// The same among strangers.
    pub(super) noisy: Option<Half>,
    /// Workers that live at the end.
    pub(super) living: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Half {
    pub(super) idle: Window,
    pub(super) memory: Memory,
    pub(super) deaths: Deaths,
    /// Short processes that there really were.
    pub(super) strangers_a_second: Option<f64>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Window {
    pub(super) seconds: f64,
    pub(super) cpu_ns: u64,
    pub(super) wake_ups: u64,
    /// Of its programs in the kernel.
    pub(super) kernel_ns: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Memory {
    pub(super) rss_mib: f64,
    pub(super) pss_mib: f64,
    pub(super) processes: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Deaths {
    pub(super) kills: usize,
    pub(super) known_ns: Vec<u64>,
    pub(super) began_ns: Vec<u64>,
    pub(super) missed: usize,
    pub(super) needless: usize,
}

impl Window {
    /// Percent of one processor.
    pub(super) fn cpu_percent(&self) -> f64 {
        self.cpu_ns as f64 / 1e7 / self.seconds.max(1e-9)
    }

    pub(super) fn wake_ups_a_second(&self) -> f64 {
        self.wake_ups as f64 / self.seconds.max(1e-9)
    }

    /// Microseconds a second.
    pub(super) fn kernel_us(&self) -> f64 {
        self.kernel_ns as f64 / 1e3 / self.seconds.max(1e-9)
    }
}

impl Measured {
    pub(super) fn half(&self, noisy: bool) -> Option<&Half> {
        if noisy { self.noisy.as_ref() } else { Some(&self.quiet) }
    }
}

/// The value at this share of some values, in milliseconds.
pub(super) fn quantile_ms(nanoseconds: &[u64], share: f64) -> Option<f64> {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len().checked_sub(1)? as f64 * share).round() as usize;
    sorted.get(index).map(|value| *value as f64 / 1e6)
}

/// Three digits that count, and no more.
pub(super) fn brief(value: f64) -> String {
    let places = match value.abs() {
        0.0 => 0,
        size if size < 0.0005 => return "< 0.001".to_owned(),
        size if size < 0.995 => 3,
        size if size < 9.95 => 2,
        size if size < 99.5 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::{Outcome, brief, quantile_ms};

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = [5_000_000, 1_000_000, 3_000_000, 2_000_000, 4_000_000];
        assert_eq!(quantile_ms(&values, 0.0), Some(1.0));
        assert_eq!(quantile_ms(&values, 0.5), Some(3.0));
        assert_eq!(quantile_ms(&values, 0.99), Some(5.0));
        assert_eq!(quantile_ms(&[7_000_000], 0.5), Some(7.0));
        assert_eq!(quantile_ms(&[], 0.5), None);
    }

    #[test]
    fn a_figure_shows_no_digits_that_mean_nothing() {
        let brief = |value| brief(value);
        assert_eq!(
            [0.0, 0.0001, 0.1234, 1.234, 12.34, 123.4].map(brief),
            ["0", "< 0.001", "0.123", "1.23", "12.3", "123"]
        );
    }

    #[test]
    fn a_reason_and_a_measurement_are_told_apart() {
        let cannot: Outcome = serde_json::from_str(r#"{"cannot":"too few descriptors"}"#).unwrap();
        assert!(matches!(cannot, Outcome::Cannot { cannot } if cannot == "too few descriptors"));
        assert!(serde_json::from_str::<Outcome>(r#"{"ready_s":1.0}"#).is_err());
    }
}
