//! Restart scripts of the host made of numbers.

/// What a restart script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Starts the process, and ends after so many milliseconds.
    Restarts(u32),
    /// The same, but it ends those that are there first.
    Replaces(u32),
    /// The same as `Restarts`, but the process appears only so many milliseconds after its end.
    RestartsLate(u32),
    /// Starts a process that dies after so many milliseconds.
    StartsWhatDies(u32),
    /// Ends at once and starts nothing.
    DoesNothing,
    /// Cannot be started.
    Missing,
    /// Hangs until it is asked to end.
    Hangs,
    /// Hangs until it is ended by force.
    HangsHard,
}
