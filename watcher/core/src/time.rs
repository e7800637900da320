//! Time as the core knows it: points on the monotonic clock, handed in by whoever calls.

use std::fmt;

/// A point in time: nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(pub u64);

impl Mono {
    /// Time passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// So much later; the end of time at the latest.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// What the wall clock says: for showing only. It can be set to anything at any time, so there is no earlier and later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wall {
    /// Nanoseconds since 1970.
    pub unix_ns: u64,
}

/// A moment: the clock that decides, and the one that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Decides.
    pub mono: Mono,
    /// Is shown.
    pub wall: Wall,
}

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// Whole seconds.
    #[must_use]
    pub const fn of_seconds(seconds: u32) -> Self {
        Self(seconds as u64 * 1_000_000_000)
    }

    /// Milliseconds.
    #[must_use]
    pub const fn of_millis(millis: u32) -> Self {
        Self(millis as u64 * 1_000_000)
    }

    /// What is left of it after some of it; nothing when that is all.
    #[must_use]
    pub const fn minus(self, some: Self) -> Option<Self> {
        match self.0.checked_sub(some.0) {
            Some(0) | None => None,
            Some(left) => Some(Self(left)),
        }
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// In microseconds.
    #[must_use]
    pub fn micros(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

/// For people: `27.1 us`, `3.42 s`, `2 h 05 min`, `3 d 04 h`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let whole = self.0 / 1_000_000_000;
        match whole {
            0 if self.0 < 1_000_000 => write!(f, "{:.1} us", self.micros()),
            0 => write!(f, "{:.1} ms", self.0 as f64 / 1e6),
            1..MINUTE => write!(f, "{:.2} s", self.seconds()),
            MINUTE..HOUR => write!(f, "{} min {:02} s", whole / MINUTE, whole % MINUTE),
            HOUR..DAY => write!(f, "{} h {:02} min", whole / HOUR, whole % HOUR / MINUTE),
            DAY.. => write!(f, "{} d {:02} h", whole / DAY, whole % DAY / HOUR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_in_the_unit_that_fits() {
        let shown = |nanoseconds| Span(nanoseconds).to_string();
        assert_eq!(shown(27_140), "27.1 us");
        assert_eq!(shown(3_420_000), "3.4 ms");
        assert_eq!(shown(3_420_000_000), "3.42 s");
        assert_eq!(shown(185_000_000_000), "3 min 05 s");
        assert_eq!(shown(7_500_000_000_000), "2 h 05 min");
        assert_eq!(shown(273_600_000_000_000), "3 d 04 h");
    }

    #[test]
    fn time_that_runs_backwards_counts_as_none() {
        assert_eq!(Mono(5).since(Mono(9)), Span(0));
    }
}
