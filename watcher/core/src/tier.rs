//! How deaths are learned of, from best to last resort.

use std::fmt;

/// A way to learn of deaths. The order is the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Kernel programs: events, filtered in the kernel.
    Ebpf,
    /// A pidfd for each process: events, one descriptor a process.
    Pidfd,
    /// The kernel's process connector: events, for every process on the host.
    Connector,
    /// A look at `/proc` at intervals.
    Poll,
}

impl Tier {
    /// All tiers, best first.
    pub const ALL: [Self; 4] = [Self::Ebpf, Self::Pidfd, Self::Connector, Self::Poll];

    /// Whether deaths are told by events, rather than looked for.
    #[must_use]
    pub const fn is_event_driven(self) -> bool {
        match self {
            Self::Ebpf | Self::Pidfd | Self::Connector => true,
            Self::Poll => false,
        }
    }

    /// As it is written on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Pidfd => "pidfd",
            Self::Connector => "connector",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tier that does not work here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Which.
    pub tier: Tier,
    /// Why, as a sentence.
    pub reason: String,
}

/// The best tier that works, and why each better one does not.
#[derive(Debug)]
pub struct Choice<T> {
    /// The tier.
    pub tier: Tier,
    /// What trying it brought to life.
    pub started: T,
    /// Better tiers that did not work, best first.
    pub passed_over: Vec<PassedOver>,
}

/// Tries tiers from best to last and takes the first that works.
///
/// # Errors
/// When none works: all of them, with the reasons.
pub fn choose<T>(
    tiers: impl IntoIterator<Item = Tier>,
    mut attempt: impl FnMut(Tier) -> Result<T, String>,
) -> Result<Choice<T>, Vec<PassedOver>> {
    let mut passed_over = Vec::new();
    for tier in tiers {
        match attempt(tier) {
            Ok(started) => return Ok(Choice { tier, started, passed_over }),
            Err(reason) => passed_over.push(PassedOver { tier, reason }),
        }
    }
    Err(passed_over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tier_that_works_is_taken_and_the_better_ones_are_named_with_the_reason() {
        let attempt = |tier| if tier == Tier::Poll { Ok("started") } else { Err(format!("no {tier} here")) };
        let Choice { tier, started, passed_over } = choose(Tier::ALL, attempt).unwrap();
        assert_eq!((tier, started), (Tier::Poll, "started"));
        let reasons: Vec<_> = passed_over.into_iter().map(|over| over.reason).collect();
        assert_eq!(reasons, ["no ebpf here", "no pidfd here", "no connector here"]);
    }

    #[test]
    fn no_tier_at_all_is_an_error_with_every_reason() {
        let failed = choose(Tier::ALL, |tier| Err::<(), _>(tier.to_string())).unwrap_err();
        assert_eq!(failed.len(), Tier::ALL.len());
    }
}
