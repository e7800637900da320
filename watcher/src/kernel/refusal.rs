//! Why the kernel programs cannot be used on this host, as a sentence that says what is missing.

use std::{error::Error, fmt, io};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use rustix::thread::CapabilitySet;
use thiserror::Error;
use tracing::debug;
use watcher_abi::name;

use super::btf::BtfError;
use crate::sys::{capabilities, host, limits};

/// Why the kernel programs cannot be used.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The binary carries no object.
    #[error("this binary was built without its BPF object: {missing}")]
    Stub {
        /// What was missing at build time.
        missing: &'static str,
    },
    /// There is no type information, or it cannot be read.
    #[error("{}", no_btf(.0))]
    Btf(#[source] io::Error),
    /// The type information lacks something.
    #[error("the kernel's type information {file} cannot be used: {0}", file = host::KERNEL_BTF)]
    Layout(#[from] BtfError),
    /// The kernel refused a map, a program or the attachment.
    #[error("{}", refused(.0))]
    Kernel(#[source] Box<EbpfError>),
    /// A BPF array could not be mapped into memory.
    #[error("the kernel does not let BPF arrays be mapped into memory, which needs Linux 5.5 ({0})")]
    Mapping(#[source] io::Error),
    /// The object is not the one that this program was made for.
    #[error("the BPF object in this binary has no {missing}: binary and object do not belong together")]
    WrongObject {
        /// What was looked for.
        missing: &'static str,
    },
    /// `/proc` cannot be read.
    #[error("/proc cannot be read: {0}")]
    Proc(#[source] io::Error),
    /// No child could be made for the self-test.
    #[error("no child could be made for the self-test: {}", limits::sentence(.0))]
    SelfTestChild(#[source] io::Error),
    /// Everything loaded, but what was reported is not what happened.
    #[error("the kernel programs loaded, but their self-test failed: {what}")]
    SelfTest {
        /// What was wrong.
        what: String,
    },
}

impl From<EbpfError> for Refusal {
    fn from(error: EbpfError) -> Self {
        Self::Kernel(Box::new(error))
    }
}

impl From<MapError> for Refusal {
    fn from(error: MapError) -> Self {
        EbpfError::from(error).into()
    }
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Self {
        EbpfError::from(error).into()
    }
}

fn no_btf(error: &io::Error) -> String {
    let file = host::KERNEL_BTF;
    if error.kind() == io::ErrorKind::NotFound {
        format!(
            "the kernel offers no type information: {file} does not exist (built without CONFIG_DEBUG_INFO_BTF, or /sys \
             is hidden here)"
        )
    } else {
        format!("the kernel's type information {file} cannot be read: {}", limits::sentence(error))
    }
}

/// What the kernel's answer means. The same number means different things for different calls.
fn refused(error: &EbpfError) -> String {
    let what = step(error);
    let chain = Chain(error);
    if let Some(verdict) = verifier_verdict(error) {
        return verdict;
    }
    let sentence = match chain.errno() {
        // Which map it was is chance: the first is refused, and they come in no order.
        Some(libc::EPERM | libc::EACCES) => not_permitted(),
        Some(libc::ENOSYS) => {
            format!("there is no bpf() system call: the kernel lacks it, or a seccomp filter hides it ({what} failed)")
        }
        Some(libc::EINVAL) if what.is_map(name::EVENTS) => {
            "this kernel is too old for the BPF ring buffer, which came with Linux 5.8".to_owned()
        }
        Some(libc::ENOMEM) => format!(
            "there is not enough memory for {what}; before Linux 5.11 it counts against the limit on locked memory \
             (raise it: ulimit -l, or LimitMEMLOCK= in a unit)"
        ),
        Some(libc::EMFILE) => format!(
            "the kernel programs need more descriptors than this process may open (ulimit -n, or LimitNOFILE= in a unit; {what} failed)"
        ),
        Some(libc::E2BIG) => format!("the table of watched processes is full ({what} failed)"),
        _ => return format!("{what} failed: {chain}"),
    };
    // What it means is a guess; what was said is not.
    format!("{sentence} [{chain}]")
}

/// What the verifier has against the program. (It answers `EACCES` or `EINVAL`; who may not load gets `EPERM`, and no log.)
fn verifier_verdict(error: &EbpfError) -> Option<String> {
    let EbpfError::ProgramError(ProgramError::LoadError { io_error, verifier_log }) = error else { return None };
    let is_of_the_verifier = !matches!(
        io_error.raw_os_error(),
        Some(libc::EPERM | libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSYS)
    );
    if !is_of_the_verifier {
        return None;
    }
    let log = verifier_log.to_string();
    debug!(%log, "the verifier's log");
    let verdict = log.lines().rev().find(|line| !is_statistics(line)).unwrap_or("it does not say why");
    Some(format!("the kernel's verifier refused the program ({verdict}); WATCHER_LOG=debug shows its whole log"))
}

/// Lines that the verifier ends every log with.
fn is_statistics(line: &str) -> bool {
    ["processed ", "verification time ", "stack depth "].iter().any(|start| line.starts_with(start)) || line.is_empty()
}

/// What decides on whether BPF is permitted.
#[derive(Clone, Copy, Debug)]
struct Rights<'a> {
    effective: CapabilitySet,
    is_root: bool,
    in_a_user_namespace: bool,
    lockdown: Option<&'a str>,
}

fn not_permitted() -> String {
    let lockdown = host::lockdown();
    Rights {
        effective: capabilities::effective(),
        is_root: rustix::process::geteuid().is_root(),
        in_a_user_namespace: host::in_a_user_namespace(),
        lockdown: lockdown.as_deref(),
    }
    .lacking()
}

impl Rights<'_> {
    fn lacking(self) -> String {
        let Self { effective, is_root, in_a_user_namespace, lockdown } = self;
        // Whatever it holds there.
        if in_a_user_namespace {
            return "BPF is not permitted in a user namespace (unshare --user, a container without root): capabilities there \
                    are none of the host; run it in the initial one"
                .to_owned();
        }
        let needed = [(CapabilitySet::BPF, "CAP_BPF"), (CapabilitySet::PERFMON, "CAP_PERFMON")];
        let lacking = needed.into_iter().filter(|(capability, _)| !effective.contains(*capability));
        let lacking: Vec<_> = lacking.map(|(_, name)| name).collect();
        if lacking.is_empty() || effective.contains(CapabilitySet::SYS_ADMIN) {
            let reason = match lockdown {
                Some("confidentiality") => "the kernel is locked down in mode confidentiality",
                _ => "a seccomp filter, a security module or the container runtime forbids it",
            };
            return format!("BPF is not permitted although the capabilities for it are there: {reason}");
        }
        let lacking = lacking.join(" and ");
        if is_root {
            let (were, them) = if lacking.contains(" and ") { ("were", "them") } else { ("was", "it") };
            return format!(
                "BPF is not permitted: {lacking} {were} taken away from root here; grant {them} (--cap-add of the container, \
                 CapabilityBoundingSet= of the unit)"
            );
        }
        format!(
            "BPF is not permitted: this process lacks {lacking}; run it as root, or grant both (setcap \
             cap_bpf,cap_perfmon+ep on the program, AmbientCapabilities= in a unit)"
        )
    }
}

/// What was being done.
#[derive(Debug)]
enum Step {
    Map(String),
    Program,
    Attach,
    Other,
}

impl Step {
    fn is_map(&self, name: &str) -> bool {
        matches!(self, Self::Map(map) if map == name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(name) => write!(f, "the BPF map {name}"),
            Self::Program => f.write_str("loading a BPF program"),
            Self::Attach => f.write_str("attaching a BPF program"),
            Self::Other => f.write_str("setting up BPF"),
        }
    }
}

fn step(error: &EbpfError) -> Step {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum of which three variants matter")]
    match error {
        EbpfError::MapError(MapError::CreateError { name, .. }) => Step::Map(name.clone()),
        EbpfError::ProgramError(ProgramError::LoadError { .. }) => Step::Program,
        EbpfError::ProgramError(ProgramError::SyscallError(_)) => Step::Attach,
        _ => Step::Other,
    }
}

/// An error with all its causes, each said once. aya keeps the number that the kernel gave out of its own texts.
struct Chain<'a>(&'a (dyn Error + 'static));

impl<'a> Chain<'a> {
    fn causes(&self) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
        std::iter::successors(Some(self.0), |&error| error.source())
    }

    fn errno(&self) -> Option<i32> {
        self.causes().find_map(|error| error.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error)
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = String::new();
        for cause in self.causes().map(ToString::to_string) {
            if !said.ends_with(&cause) {
                let separator = if said.is_empty() { "" } else { ": " };
                write!(f, "{separator}{cause}")?;
                said = cause;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);

    fn said(effective: CapabilitySet, is_root: bool) -> String {
        Rights { effective, is_root, in_a_user_namespace: false, lockdown: None }.lacking()
    }

    #[test]
    fn only_what_lacks_is_named() {
        let none = CapabilitySet::empty();
        assert!(said(none, false).contains("this process lacks CAP_BPF and CAP_PERFMON; run it as root"));
        assert!(said(CapabilitySet::BPF, false).contains("this process lacks CAP_PERFMON; "));
        let of_root = said(CapabilitySet::PERFMON, true);
        assert!(of_root.contains(": CAP_BPF was taken away from root here; ") && !of_root.contains("run it as root"));
        assert!(said(none, true).contains(": CAP_BPF and CAP_PERFMON were taken away from root here; grant them ("));
        for enough in [BOTH, CapabilitySet::SYS_ADMIN] {
            assert!(
                said(enough, true).ends_with("a seccomp filter, a security module or the container runtime forbids it")
            );
        }
    }

    #[test]
    fn in_a_user_namespace_no_capability_is_of_use() {
        for effective in [BOTH, CapabilitySet::empty()] {
            let rights = Rights { effective, is_root: true, in_a_user_namespace: true, lockdown: None };
            assert!(rights.lacking().starts_with("BPF is not permitted in a user namespace "));
        }
    }
}
