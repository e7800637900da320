//! The kernel programs as an engine has them, with no other tier to go over to.

use std::time::Duration;

use watcher::{
    engine::{Pace, Senses},
    executor::{means::Means, watch::Watch},
    kernel::Handles,
    sources::ring::RingSource,
    sys::limits,
};

/// Nothing is looked at within a test unless events ask for it.
pub const NEVER: Pace = Pace { looks: HOUR, sweeps: HOUR };

const HOUR: Duration = Duration::from_secs(3_600);

/// Made inside a runtime.
pub fn senses(handles: Handles) -> Senses {
    let Handles { ring, interest, starts, ports, programs } = handles;
    let (interest, starts, ports) = (interest.into(), starts.into(), ports.into());
    let witnesses = programs.may_be_skipped();
    if witnesses {
        // As where the program starts: each takes a descriptor.
        limits::raise_descriptors();
    }
    Senses {
        ring: Some(RingSource::new(ring).expect("a descriptor")),
        watch: Watch::new(Means::Ebpf { interest, starts, ports, programs, witnesses }),
        tier_after: |_, _| Err(Vec::new()),
    }
}
