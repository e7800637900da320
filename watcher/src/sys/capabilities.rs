//! Capabilities: what the kernel lets this process do beyond what its user may. They belong to threads: whoever gives some
//! up does so before there are other threads, which get what their maker has.

use std::io;

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, capabilities_secure_bits, no_new_privs,
    set_capabilities,
};

/// Those in effect; none when they cannot be read.
#[must_use]
pub fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// What a program that is run by this process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfPrograms {
    /// All, as programs of root may, whatever we have given up.
    All,
    /// All that we may still do, and have not given up for good: `no_new_privs` takes the rest from programs of root.
    Permitted,
    /// What is inherited.
    Inherited,
}

/// What programs may do that are run from here.
#[must_use]
pub fn of_programs() -> OfPrograms {
    let dropped_for_good =
        || capabilities_secure_bits().is_ok_and(|bits| bits.contains(CapabilitiesSecureBits::NO_ROOT));
    match rustix::process::geteuid().is_root() && !dropped_for_good() {
        true if no_new_privs().unwrap_or(false) => OfPrograms::Permitted,
        true => OfPrograms::All,
        false => OfPrograms::Inherited,
    }
}

/// Gives up what is in neither set, for good. What is only held at the ready is in effect within [`with`] alone. Programs
/// that are run inherit nothing of the third set.
///
/// # Errors
/// When the kernel refuses; nothing has changed then.
pub fn keep(in_effect: CapabilitySet, at_the_ready: CapabilitySet, not_inherited: CapabilitySet) -> io::Result<()> {
    let before = capabilities(None)?;
    let permitted = before.permitted & (in_effect | at_the_ready);
    let inheritable = before.inheritable - not_inherited;
    set_capabilities(None, CapabilitySets { effective: permitted & in_effect, permitted, inheritable })?;
    Ok(())
}

/// Puts all in effect that is permitted.
///
/// # Errors
/// When the kernel refuses; nothing has changed then.
pub fn raise_all() -> io::Result<()> {
    let before = capabilities(None)?;
    set_capabilities(None, CapabilitySets { effective: before.permitted, ..before })?;
    Ok(())
}

/// Does something with a capability that is held at the ready. Without it where it is not held, or cannot be used.
pub fn with<T>(wanted: CapabilitySet, action: impl FnOnce() -> T) -> T {
    let Ok(before) = capabilities(None) else { return action() };
    let raised = before.effective | (before.permitted & wanted);
    if raised == before.effective || set_capabilities(None, CapabilitySets { effective: raised, ..before }).is_err() {
        return action();
    }
    let _lowered = Lower(before);
    action()
}

/// Also when what was done ends early.
struct Lower(CapabilitySets);

impl Drop for Lower {
    fn drop(&mut self) {
        // Taking away from the set in effect is always allowed.
        let _lowered = set_capabilities(None, self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A thread of its own: what it gives up, the other tests keep.
    fn alone(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().unwrap();
    }

    #[test]
    fn what_is_not_kept_is_gone_for_good() {
        alone(|| {
            let all = capabilities(None).unwrap().permitted;
            keep(CapabilitySet::KILL, CapabilitySet::empty(), CapabilitySet::empty()).unwrap();
            assert_eq!(effective(), all & CapabilitySet::KILL);
            with(CapabilitySet::SYS_ADMIN, || assert!(!effective().contains(CapabilitySet::SYS_ADMIN)));
            keep(CapabilitySet::all(), CapabilitySet::empty(), CapabilitySet::empty()).unwrap();
            assert_eq!(capabilities(None).unwrap().permitted, all & CapabilitySet::KILL);
        });
    }

    #[test]
    fn what_is_not_inherited_is_taken_from_what_programs_inherit_and_nothing_else_is() {
        alone(|| {
            let before = capabilities(None).unwrap();
            let wanted = before.permitted & (CapabilitySet::KILL | CapabilitySet::CHOWN);
            set_capabilities(None, CapabilitySets { inheritable: wanted, ..before }).unwrap();
            keep(CapabilitySet::all(), CapabilitySet::empty(), CapabilitySet::KILL).unwrap();
            let after = capabilities(None).unwrap();
            let expected = CapabilitySets { inheritable: wanted & CapabilitySet::CHOWN, ..before };
            assert_eq!((after.inheritable, after.permitted), (expected.inheritable, expected.permitted));
        });
    }

    #[test]
    fn what_is_at_the_ready_is_in_effect_only_where_it_is_wanted() {
        alone(|| {
            let held = capabilities(None).unwrap().permitted.contains(CapabilitySet::SYS_ADMIN);
            keep(CapabilitySet::KILL, CapabilitySet::SYS_ADMIN, CapabilitySet::empty()).unwrap();
            let in_effect = || effective().contains(CapabilitySet::SYS_ADMIN);
            assert!(!in_effect());
            assert_eq!(with(CapabilitySet::SYS_ADMIN, in_effect), held);
            assert!(!in_effect());
        });
    }
}
