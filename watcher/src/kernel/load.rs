//! Loads the object: constants, sizes, maps, program, link. What fails comes back as a sentence.

use std::fs;

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapData, RingBuf},
    programs::RawTracePoint,
};
use tracing::debug;
use watcher_abi::{BITMAP_WORDS, ExitRecord, Stats, name};

use super::{Counters, Interest, OBJECT, Refusal, Ring, object, offsets, self_test};
use crate::sys::{
    heap,
    host::{self, TimeOffsets},
    pod::Plain,
    shared_array::SharedArray,
};

/// Bytes that the ring buffer puts before each record.
const RING_HEADER: u32 = 8;

/// How large the maps are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Processes that can be watched at the same time.
    pub processes: u32,
    /// Bytes of the ring buffer: a power of two, and a multiple of the page size.
    pub ring_bytes: u32,
}

impl Sizes {
    /// Room for this many processes, and for the deaths of all of them at the same instant, within reason: beyond
    /// 50,000 a burst may overflow the ring, which the counters tell and a sweep mends.
    #[must_use]
    pub fn for_processes(processes: usize) -> Self {
        const SMALLEST_RING: u32 = 64 * 1024;
        const LARGEST_RING: u32 = 4 * 1024 * 1024;
        let processes = u32::try_from(processes).unwrap_or(u32::MAX).clamp(64, watcher_abi::PID_LIMIT);
        let all_at_once = processes.saturating_mul(size_of::<ExitRecord>() as u32 + RING_HEADER);
        let ring_bytes = all_at_once.clamp(SMALLEST_RING, LARGEST_RING).next_power_of_two();
        Self { processes, ring_bytes }
    }
}

/// Whether the programs use what newer kernels tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exactness {
    /// Whatever this kernel offers.
    AsOffered,
    /// As on a kernel before Linux 6.16, whose tracepoint does not say whether the whole process dies.
    AsOnOlderKernels,
}

/// The loaded and attached programs, as handles for the rooms that use them.
#[derive(Debug)]
pub struct Handles {
    /// Records and counters, for the source.
    pub ring: Ring,
    /// The set of watched processes, for the executor.
    pub interest: Interest,
    /// Keeps programs and links alive; dropping it ends them.
    pub programs: Programs,
}

/// Programs and links. They vanish with this value.
pub struct Programs(Ebpf);

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.programs().map(|(name, _)| name)).finish()
    }
}

impl Programs {
    /// Numbers of the maps that the programs use, as the kernel counts maps.
    #[must_use]
    pub fn map_ids(&self) -> Vec<u32> {
        let infos = self.0.programs().filter_map(|(_, program)| program.info().ok());
        infos.filter_map(|info| info.map_ids().ok().flatten()).flatten().collect()
    }

    /// The programs, for inspection.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &aya::programs::Program)> {
        self.0.programs()
    }
}

impl Handles {
    /// Loads, attaches, and lets a child die to see whether its death is reported: only then the tier works here.
    ///
    /// # Errors
    /// Says what this host lacks.
    pub fn load(sizes: Sizes, exactness: Exactness) -> Result<Self, Refusal> {
        let mut handles = Self::load_untested(sizes, exactness)?;
        self_test::run(&mut handles.ring, &mut handles.interest)?;
        heap::give_back();
        Ok(handles)
    }

    fn load_untested(sizes: Sizes, exactness: Exactness) -> Result<Self, Refusal> {
        if let Some(missing) = object::missing() {
            return Err(Refusal::Stub { missing });
        }
        let namespace = host::own_pid_namespace().map_err(Refusal::Proc)?;
        let mut config = {
            let btf = fs::read(host::KERNEL_BTF).map_err(Refusal::Btf)?;
            offsets::read(&btf, namespace, TimeOffsets::own())?
        };
        if exactness == Exactness::AsOnOlderKernels {
            config.has_group_dead = 0;
        }
        debug!(?config, ?sizes, "loading the kernel programs");
        let config = Plain(config);
        let mut ebpf = EbpfLoader::new()
            .override_global(name::CONFIG, &config, true)
            .map_max_entries(name::WATCH, sizes.processes)
            .map_max_entries(name::EVENTS, sizes.ring_bytes)
            .load(OBJECT)?;
        // The program first: taking the maps closes descriptors that loading it needs.
        attach(&mut ebpf)?;
        let Maps { ring, counters, interest } = Maps::take(&mut ebpf)?;
        Ok(Self { ring: Ring::new(ring, counters), interest, programs: Programs(ebpf) })
    }
}

struct Maps {
    ring: RingBuf<MapData>,
    counters: Counters,
    interest: Interest,
}

impl Maps {
    fn take(ebpf: &mut Ebpf) -> Result<Self, Refusal> {
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(Refusal::WrongObject { missing: name });
        let ring = RingBuf::try_from(take(name::EVENTS)?)?;
        let table = HashMap::try_from(take(name::WATCH)?)?;
        let bits = map_array(take(name::WATCH_BITS)?, BITMAP_WORDS as usize)?;
        let stats = map_array(take(name::STATS)?, size_of::<Stats>() / size_of::<u64>())?;
        Ok(Self { ring, counters: Counters::new(stats), interest: Interest::new(table, bits) })
    }
}

/// The pages outlive the descriptor: the mapping holds the map.
fn map_array(map: Map, words: usize) -> Result<SharedArray, Refusal> {
    let Map::Array(data) = map else { return Err(Refusal::WrongObject { missing: "a mappable array" }) };
    SharedArray::map(data.fd(), words).map_err(Refusal::Mapping)
}

fn attach(ebpf: &mut Ebpf) -> Result<(), Refusal> {
    let program: &mut RawTracePoint =
        ebpf.program_mut(name::ON_EXIT).ok_or(Refusal::WrongObject { missing: name::ON_EXIT })?.try_into()?;
    program.load()?;
    program.attach(name::ON_EXIT_TRACEPOINT)?;
    Ok(())
}
