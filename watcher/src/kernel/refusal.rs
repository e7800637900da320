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
            "the kernel offers no type information: {file} does not exist (older than Linux 5.4, built without \
             CONFIG_DEBUG_INFO_BTF, or /sys is hidden here)"
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
    let sentence = match (chain.errno(), what.newer()) {
        // Which map it was is chance: the first is refused, and they come in no order.
        (Some(libc::EPERM | libc::EACCES), _) => not_permitted(),
        (Some(libc::ENOSYS), _) => {
            format!("there is no bpf() system call: the kernel lacks it, or a seccomp filter hides it ({what} failed)")
        }
        (Some(libc::EINVAL), Some(newer)) => format!("this kernel is too old for {newer}"),
        (Some(libc::ENOMEM), _) => format!(
            "there is not enough memory for {what}; before Linux 5.11 it counts against the limit on locked memory \
             (raise it: ulimit -l, or LimitMEMLOCK= in a unit)"
        ),
        (Some(libc::EMFILE), _) => format!(
            "the kernel programs need more descriptors than this process may open (ulimit -n, or LimitNOFILE= in a unit; \
             {what} failed)"
        ),
        (Some(libc::E2BIG), _) => format!("the table of watched processes is full ({what} failed)"),
        _ => return format!("{what} failed: {chain}"),
    };
    // What it means is a guess; what was said is not.
    format!("{sentence} [{chain}]")
}

/// What the verifier has against the program. (It answers `EACCES` or `EINVAL`; who may not load gets `EPERM`, and no log.)
fn verifier_verdict(error: &EbpfError) -> Option<String> {
    let EbpfError::ProgramError(ProgramError::LoadError { io_error, verifier_log }) = error else { return None };
    let log = verifier_log.to_string();
    let verdict = log.lines().rev().find(|line| !is_statistics(line));
    match (io_error.raw_os_error(), verdict) {
        // It is not the verifier that says so.
        (Some(libc::EPERM | libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSYS), _) => None,
        // It was not asked: the kernel does not know programs of this kind.
        (Some(libc::EINVAL), None) => Some(format!(
            "this kernel is too old for BPF programs on raw tracepoints, which came with Linux 4.17, or was built without \
             CONFIG_BPF_EVENTS [loading a BPF program: {io_error}]"
        )),
        (_, verdict) => {
            debug!(%log, "the verifier's log");
            Some(refused_by_the_verifier(
                verdict.unwrap_or("it does not say why"),
                host::lockdown().as_deref(),
                io_error,
            ))
        }
    }
}

fn refused_by_the_verifier(verdict: &str, lockdown: Option<&str>, error: &io::Error) -> String {
    // A kernel that is locked down takes the functions away that read its memory: to the verifier they do not exist.
    let is_about_reading = verdict.contains("bpf_probe_read");
    let why = match lockdown {
        Some("confidentiality") if is_about_reading => {
            "the kernel is locked down in mode confidentiality, in which no BPF program may read its memory; mode integrity \
             would do (lockdown=integrity on its command line)"
        }
        // The file that would tell may not be there.
        None if is_about_reading => {
            "the kernel lets no BPF program read its memory, as when it is locked down in mode confidentiality"
        }
        Some(_) | None => "the kernel's verifier refused the program",
    };
    format!("{why} (the verifier: {verdict}; WATCHER_LOG=debug shows its whole log) [loading a BPF program: {error}]")
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
    /// What this takes that kernels have not always had. (They come in no order: where several are missing, chance decides
    /// which of them is told.)
    fn newer(&self) -> Option<&'static str> {
        let Self::Map(map) = self else { return None };
        match map.as_str() {
            name::EVENTS => Some("the BPF ring buffer, which came with Linux 5.8"),
            name::WATCH_BITS | name::STATS | name::PORT_BITS | name::PORT_SLOTS => {
                Some("BPF arrays that are mapped into memory, which came with Linux 5.5")
            }
            _ => None,
        }
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
    fn lockdown_is_named_where_it_is_what_the_verifier_stumbled_over() {
        let refused = io::Error::from_raw_os_error(libc::EINVAL);
        let said = |verdict, lockdown| refused_by_the_verifier(verdict, lockdown, &refused);
        let missing = "unknown func bpf_probe_read#4";
        let of_lockdown = said(missing, Some("confidentiality"));
        assert!(of_lockdown.starts_with("the kernel is locked down in mode confidentiality, "), "{of_lockdown}");
        assert!(
            of_lockdown.contains(missing) && of_lockdown.ends_with("Invalid argument (os error 22)]"),
            "{of_lockdown}"
        );
        assert!(said(missing, None).contains(" as when it is locked down in mode confidentiality (the verifier: "));
        for (verdict, lockdown) in [("R1 invalid mem access", Some("confidentiality")), (missing, Some("integrity"))] {
            let other = said(verdict, lockdown);
            assert!(
                other.starts_with(&format!("the kernel's verifier refused the program (the verifier: {verdict}; ")),
                "{other}"
            );
        }
    }

    #[test]
    fn a_map_that_is_refused_names_what_is_too_new_in_it() {
        let said = |name: &str, errno| {
            let (name, io_error) = (name.to_owned(), io::Error::from_raw_os_error(errno));
            refused(&MapError::CreateError { name, io_error }.into())
        };
        let too_old = "this kernel is too old for BPF arrays that are mapped into memory, which came with Linux 5.5 [";
        for name in [name::WATCH_BITS, name::STATS, name::PORT_BITS, name::PORT_SLOTS] {
            let said = said(name, libc::EINVAL);
            assert!(said.starts_with(too_old) && said.ends_with("Invalid argument (os error 22)]"), "{said}");
        }
        assert!(said(name::EVENTS, libc::EINVAL).starts_with("this kernel is too old for the BPF ring buffer, which "));
        assert!(
            said(name::WATCH, libc::EINVAL).starts_with("the BPF map WATCH failed: "),
            "{}",
            said(name::WATCH, libc::EINVAL)
        );
    }

    #[test]
    fn in_a_user_namespace_no_capability_is_of_use() {
        for effective in [BOTH, CapabilitySet::empty()] {
            let rights = Rights { effective, is_root: true, in_a_user_namespace: true, lockdown: None };
            assert!(rights.lacking().starts_with("BPF is not permitted in a user namespace "));
        }
    }
}
