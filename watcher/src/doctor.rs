//! What this host allows, found out by trying.

use std::{fs, io};

use aya::{maps::MapType, sys::is_map_supported};
use rustix::thread::CapabilitySet;
use serde::Serialize;
use watcher_core::Tier;

use crate::{
    kernel::{self, Lacking},
    start,
    sys::{capabilities, host, limits, own},
};

/// What was found. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub schema: u32,
    /// The running kernel.
    pub kernel: Kernel,
    /// Whether this process is in the initial pid namespace, where all pids of the host are.
    pub initial_pid_namespace: Option<bool>,
    /// Whether `/proc` hides processes of other users from this one.
    pub others_hidden: bool,
    /// The kernel's type information.
    pub btf: Btf,
    /// Whether the kernel makes ring buffers for us.
    pub ring_buffer: bool,
    /// Where tracefs is mounted. The kernel programs do not need it.
    pub tracefs: Option<&'static str>,
    /// Lockdown mode, where the kernel shows it.
    pub lockdown: Option<String>,
    /// Capabilities that watcher can use.
    pub capabilities: Vec<Capability>,
    /// Open descriptors that are allowed; null: any number.
    pub descriptors: Option<u64>,
    /// The object in this binary.
    pub bpf_object: BpfObject,
    /// Every tier, best first.
    pub tiers: Vec<TierReport>,
    /// Whether the kernel programs tell who sent the signal that a process died of; null where they do not work.
    pub explains: Option<bool>,
    /// Why not, or what the explanation lacks.
    pub explains_reason: Option<String>,
    /// Whether the kernel programs tell what becomes of the sockets of a port; null where they do not work.
    pub sockets: Option<bool>,
    /// Why not, or what they do not tell.
    pub sockets_reason: Option<String>,
    /// The tier that `auto` takes, if any works.
    pub auto: Option<&'static str>,
}

/// The running kernel.
#[derive(Debug, Serialize)]
pub struct Kernel {
    /// As `uname -r` says.
    pub release: String,
    /// As `uname -m` says.
    pub machine: String,
}

/// The kernel's type information.
#[derive(Debug, Serialize)]
pub struct Btf {
    /// Where it is looked for.
    pub path: &'static str,
    /// Its size, if it can be read.
    pub bytes: Option<u64>,
}

/// A capability that watcher can use.
#[derive(Debug, Serialize)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    /// What for.
    pub purpose: &'static str,
    /// Whether it is in effect.
    pub effective: bool,
}

impl Capability {
    fn all() -> Vec<Self> {
        let effective = capabilities::effective();
        [
            (CapabilitySet::BPF, "CAP_BPF", "kernel programs"),
            (CapabilitySet::PERFMON, "CAP_PERFMON", "kernel programs"),
            (
                CapabilitySet::SYS_ADMIN,
                "CAP_SYS_ADMIN",
                "kernel programs, in place of the two above; sockets in other network namespaces",
            ),
            (CapabilitySet::SYS_RESOURCE, "CAP_SYS_RESOURCE", "kernel programs before Linux 5.11"),
            (
                CapabilitySet::SYS_PTRACE,
                "CAP_SYS_PTRACE",
                "which programs processes of other users run, and how they ended",
            ),
            (CapabilitySet::KILL, "CAP_KILL", "ending processes of other users"),
            (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN", "tier connector"),
        ]
        .map(|(capability, name, purpose)| Self { name, purpose, effective: effective.contains(capability) })
        .into()
    }
}

/// The BPF object in this binary.
#[derive(Debug, Serialize)]
pub struct BpfObject {
    /// Its size; 0 for the stub.
    pub bytes: usize,
    /// What was missing when this binary was built with a stub.
    pub missing: Option<&'static str>,
}

/// One tier.
#[derive(Debug, Serialize)]
pub struct TierReport {
    /// Its name.
    pub name: &'static str,
    /// Whether it works here.
    pub works: bool,
    /// Whether deaths are told by events.
    pub event_driven: bool,
    /// Why it does not work.
    pub reason: Option<String>,
}

impl Report {
    /// Finds out everything. Tries the tiers, which takes a runtime.
    ///
    /// # Errors
    /// When the runtime cannot be made.
    pub fn make() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tried: Vec<_> = runtime.block_on(async { Tier::ALL.into_iter().map(TierReport::of).collect() });
        let lacking = tried.iter().find_map(|(_, lacking)| lacking.clone());
        let tiers: Vec<_> = tried.into_iter().map(|(tier, _)| tier).collect();
        let auto = tiers.iter().find(|tier| tier.works).map(|tier| tier.name);
        Ok(Self {
            schema: 1,
            kernel: Kernel { release: host::kernel_release(), machine: host::machine() },
            initial_pid_namespace: host::own_pid_namespace().ok().map(|namespace| namespace.is_none()),
            others_hidden: own::is_kept_from_others(),
            btf: Btf {
                path: host::KERNEL_BTF,
                bytes: fs::File::open(host::KERNEL_BTF).and_then(|file| file.metadata()).ok().map(|data| data.len()),
            },
            ring_buffer: is_map_supported(MapType::RingBuf).unwrap_or(false),
            tracefs: host::tracefs(),
            lockdown: host::lockdown(),
            capabilities: Capability::all(),
            descriptors: limits::raise_descriptors(),
            bpf_object: BpfObject { bytes: kernel::OBJECT.len(), missing: kernel::missing() },
            tiers,
            explains: lacking.as_ref().map(|lacking| lacking.explanations.is_none()),
            sockets: lacking.as_ref().map(|lacking| lacking.sockets.is_none()),
            sockets_reason: lacking.as_ref().and_then(|Lacking { sockets, floods, socket_memory, .. }| {
                let floods = floods.as_ref().map(|reason| format!("floods of SYNs are not told: {reason}"));
                let memory =
                    socket_memory.as_ref().map(|reason| format!("a want of memory for TCP is not told: {reason}"));
                sockets.clone().or(floods).or(memory)
            }),
            explains_reason: lacking.and_then(|Lacking { explanations, out_of_memory, .. }| {
                let partly = |reason| format!("a want of memory is not recognised: {reason}");
                explanations.or_else(|| out_of_memory.map(partly))
            }),
            auto,
        })
    }

    /// Whether any event-driven tier works.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.tiers.iter().any(|tier| tier.works && tier.event_driven)
    }
}

impl TierReport {
    /// With what the kernel programs lack, on the tier that has them.
    fn of(tier: Tier) -> (Self, Option<Lacking>) {
        let (reason, lacking) = match start::tier(Some(tier), 1) {
            Ok(mut choice) => {
                let wrong = choice.started.watch.ports().and_then(|ports| ports.prove().err());
                let mut lacking = choice.started.watch.lacking().cloned();
                if let (Some(lacking), Some(error)) = (&mut lacking, wrong) {
                    lacking.sockets.get_or_insert_with(|| error.to_string());
                }
                (None, lacking)
            }
            Err(tried) => (tried.into_iter().next().map(|over| over.reason), None),
        };
        let (works, event_driven) = (reason.is_none(), tier.is_event_driven());
        (Self { name: tier.name(), works, event_driven, reason }, lacking)
    }
}
