//! Everything that can be said against a pfile, by name.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file does not load.
    Error,
    /// The file loads, but this will hurt.
    Warning,
}

impl Severity {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! checks {
    ($($(#[doc = $about:literal])+ $variant:ident $name:literal $severity:ident,)+) => {
        /// One thing that is looked for. The warnings among them are lints: `#@ allow=NAME` silences them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[doc = $about])+ $variant,)+
        }

        impl Check {
            /// All of them, errors first.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, which never changes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it finds, in a few words.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim_ascii_start(),)+ }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }
        }
    };
}

checks! {
    /// A block asks for more or fewer arguments than its kind of check knows
    ArgumentCount "argument-count" Error,
    /// A block that stands before any entry
    BlockWithoutEntry "block-without-entry" Error,
    /// A control character in a line that is no comment
    ControlCharacter "control-character" Error,
    /// More processes wanted at least than at most
    CountRange "count-range" Error,
    /// The same line twice in one block
    DuplicateBlockLine "duplicate-block-line" Error,
    /// The same extension twice where one is possible
    DuplicateExtension "duplicate-extension" Error,
    /// The same option twice in one entry
    DuplicateOption "duplicate-option" Error,
    /// The same parameter twice
    DuplicateParameter "duplicate-parameter" Error,
    /// A PS_EXEC line that has not the number of fields that it announces
    FieldCount "field-count" Error,
    /// A stall check more often than every 10 seconds
    IntervalTooShort "interval-too-short" Error,
    /// A value that cannot be understood
    InvalidValue "invalid-value" Error,
    /// The library of another kind of check
    LibraryMismatch "library-mismatch" Error,
    /// A block that is not opened with a name and a brace
    MalformedBlock "malformed-block" Error,
    /// A #@ line that is not made of KEY=VALUE
    MalformedExtension "malformed-extension" Error,
    /// An extension that belongs after an entry
    MisplacedExtension "misplaced-extension" Error,
    /// A field that is not there
    MissingField "missing-field" Error,
    /// A parameter that must be given
    MissingParameter "missing-parameter" Error,
    /// A byte of value zero
    NulByte "nul-byte" Error,
    /// A path that does not begin with a slash
    RelativePath "relative-path" Error,
    /// A time until a stall is declared that is shorter than the interval of the checks
    RetryOverTooShort "retry-over-too-short" Error,
    /// A line that belongs into a block, or that does not
    StrayLine "stray-line" Error,
    /// A block that is not closed
    UnclosedBlock "unclosed-block" Error,
    /// A retry-over action that does not exist
    UnknownAction "unknown-action" Error,
    /// A kind of block that does not exist
    UnknownBlock "unknown-block" Error,
    /// A kind of block line that does not exist
    UnknownBlockLine "unknown-block-line" Error,
    /// An extension that does not exist
    UnknownExtension "unknown-extension" Error,
    /// A library that stands for no built-in check
    UnknownLibrary "unknown-library" Error,
    /// A lint that does not exist
    UnknownLint "unknown-lint" Error,
    /// An option that does not exist
    UnknownOption "unknown-option" Error,
    /// A host of a stall check that has no address
    UnresolvedHost "unresolved-host" Error,
    /// The file begins with a byte order mark
    ByteOrderMark "byte-order-mark" Warning,
    /// A ca= file of which no certificate can be read
    CaUnusable "ca-unusable" Warning,
    /// Lines end as on Windows
    Crlf "crlf" Warning,
    /// A block line with other separators than it should have, as in the printed samples
    DamagedLine "damaged-line" Warning,
    /// An entry that also matches what its process has started, which strings could tell apart
    DescendantsMatch "descendants-match" Warning,
    /// The dump cannot be written
    DumpNotWritable "dump-not-writable" Warning,
    /// Two files write the same dump
    DuplicateDumpFile "duplicate-dump-file" Warning,
    /// Two files have the same key
    DuplicateIpckey "duplicate-ipckey" Warning,
    /// A field with nothing in it
    EmptyField "empty-field" Warning,
    /// Search strings with nothing between two &
    EmptySearchWord "empty-search-word" Warning,
    /// A comment that would be an extension, with a blank after #@
    GluedExtension "glued-extension" Warning,
    /// The grace period ends before all retries can have been made, so that there is never a retry-over
    GraceTooShort "grace-too-short" Warning,
    /// A block that lacks a line that cannot be changed anyway
    IncompleteBlock "incomplete-block" Warning,
    /// An entry that matches the watcher itself
    MatchesWatcher "matches-watcher" Warning,
    /// A block name that is misspelt as in the manual
    MisspeltBlock "misspelt-block" Warning,
    /// A library name that is misspelt as in the manual
    MisspeltLibrary "misspelt-library" Warning,
    /// A file that watches nothing
    NoEntries "no-entries" Warning,
    /// An entry that matches no running process
    NoMatch "no-match" Warning,
    /// Two entries that match the same process
    OverlappingEntries "overlapping-entries" Warning,
    /// A stall check of a port on which nobody listens
    PortNotListening "port-not-listening" Warning,
    /// A process path that does not exist
    ProcessMissing "process-missing" Warning,
    /// A socket check of a port that a web check asks already
    RedundantSocketCheck "redundant-socket-check" Warning,
    /// A restart script whose first line names an interpreter that cannot run it
    ScriptInterpreter "script-interpreter" Warning,
    /// A restart script that does not exist
    ScriptMissing "script-missing" Warning,
    /// A restart script that cannot be executed
    ScriptNotExecutable "script-not-executable" Warning,
    /// A restart script that others may change
    ScriptWritable "script-writable" Warning,
    /// An entry that matches several processes which do not descend from one of them
    SeveralMatches "several-matches" Warning,
    /// A host of a stall check whose address cannot be found out at this time
    SilentResolver "silent-resolver" Warning,
    /// A time limit of a check that is above its interval, or leaves the retry-over time too short for two checks
    TimeoutAboveInterval "timeout-above-interval" Warning,
    /// A parameter that does not exist
    UnknownParameter "unknown-parameter" Warning,
    /// An extension that does nothing, by the entry's blocks or its other extensions
    UnusedExtension "unused-extension" Warning,
    /// The rest of a comment that was broken in two
    WrappedComment "wrapped-comment" Warning,
    /// A block line that was broken in two
    WrappedLine "wrapped-line" Warning,
}

impl Check {
    /// The lint with this name. Errors are no lints: they cannot be allowed.
    #[must_use]
    pub fn lint(name: &[u8]) -> Option<Self> {
        Self::lints().find(|check| check.name().as_bytes() == name)
    }

    /// Everything that can be allowed.
    pub fn lints() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|check| check.severity() == Severity::Warning)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_only_warnings_can_be_allowed() {
        let names: BTreeSet<_> = Check::ALL.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert_eq!(Check::lint(b"script-missing"), Some(Check::ScriptMissing));
        assert_eq!(Check::lint(b"nul-byte"), None);
    }
}
