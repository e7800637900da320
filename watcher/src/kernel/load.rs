//! Loads the object: constants, sizes, programs, maps. What fails comes back as a sentence.

use std::fs;

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapData},
};
use tracing::debug;
use watcher_abi::{BITMAP_WORDS, COMM_LEN, ExitRecord, PORT_WORDS, PortKey, PortSlot, Stats, name};

use super::{
    Counters, Interest, OBJECT, Ports, Programs, Refusal, Ring, Starts, object,
    offsets::{self, Layout},
    on_demand::SocketPrograms,
    ports::PortMaps,
    self_test,
};
use crate::sys::{
    heap,
    host::{self, TimeOffsets},
    pod::Plain,
    ring_buffer::RingBuffer,
    shared_array::{SharedArray, SparseArray},
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
    /// TCP ports, and network namespaces, that can be watched at the same time.
    pub ports: u32,
}

impl Sizes {
    /// Room for this many processes, and for the deaths of all of them at the same instant, within reason: beyond
    /// 40,000 a burst may overflow the ring, which the counters tell and a sweep mends.
    #[must_use]
    pub fn for_processes(processes: usize) -> Self {
        const SMALLEST_RING: u32 = 64 * 1024;
        const LARGEST_RING: u32 = 4 * 1024 * 1024;
        // 280 bytes each.
        const PORTS: u32 = 1024;
        let processes = u32::try_from(processes).unwrap_or(u32::MAX).clamp(64, watcher_abi::PID_LIMIT);
        let all_at_once = processes.saturating_mul(size_of::<ExitRecord>() as u32 + RING_HEADER);
        let ring_bytes = all_at_once.clamp(SMALLEST_RING, LARGEST_RING).next_power_of_two();
        Self { processes, ring_bytes, ports: PORTS }
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
    /// The names of programs whose starts are told, for the executor.
    pub starts: Starts,
    /// The watched ports, for the executor.
    pub ports: Ports,
    /// Keeps programs and links alive; dropping it ends them.
    pub programs: Programs,
}

impl Handles {
    /// Loads, attaches, and lets a child die to see whether its death is reported: only then the tier works here. A second
    /// one shows whether deaths are explained; without that the tier works too.
    ///
    /// # Errors
    /// Says what this host lacks.
    pub fn load(sizes: Sizes, exactness: Exactness) -> Result<Self, Refusal> {
        let mut handles = Self::load_untested(sizes, exactness)?;
        self_test::run(&mut handles.ring, &mut handles.interest)?;
        let interruptible = handles.ring.counters().interruptible != 0;
        handles.programs.settle_whether_they_may_be_skipped(interruptible)?;
        if handles.programs.lacking().explanations.is_none()
            && let Err(reason) = self_test::explains(&mut handles.ring, &mut handles.interest)
        {
            handles.programs.stop_explaining(reason.to_string());
        }
        heap::give_back();
        Ok(handles)
    }

    fn load_untested(sizes: Sizes, exactness: Exactness) -> Result<Self, Refusal> {
        if let Some(missing) = object::missing() {
            return Err(Refusal::Stub { missing });
        }
        let namespace = host::own_pid_namespace().map_err(Refusal::Proc)?;
        let Layout { mut config, lacking } = {
            let btf = fs::read(host::KERNEL_BTF).map_err(Refusal::Btf)?;
            offsets::read(&btf, namespace, TimeOffsets::own())?
        };
        if exactness == Exactness::AsOnOlderKernels {
            config.has_group_dead = 0;
        }
        debug!(?config, ?sizes, "loading the kernel programs");
        let config = Plain(config);
        let ebpf = EbpfLoader::new()
            .override_global(name::CONFIG, &config, true)
            .map_max_entries(name::WATCH, sizes.processes)
            .map_max_entries(name::EVENTS, sizes.ring_bytes)
            .map_max_entries(name::PORTS, sizes.ports)
            .map_max_entries(name::PORT_SLOTS, sizes.ports)
            .load(OBJECT)?;
        // The programs first: taking the maps closes descriptors that loading them needs.
        let mut programs = Programs::load(ebpf, lacking)?;
        let socket_programs = SocketPrograms {
            on_state: programs.on_state(),
            on_synack: programs.on_synack(),
            on_memory: programs.on_memory(),
        };
        let Maps { ring, counters, interest, names, ports } = Maps::take(programs.ebpf(), sizes)?;
        let starts = Starts::new(names, programs.on_exec());
        let ports = Ports::new(ports, sizes.ports, socket_programs);
        Ok(Self { ring: Ring::new(ring, counters), interest, starts, ports, programs })
    }
}

struct Maps {
    ring: RingBuffer,
    counters: Counters,
    interest: Interest,
    names: HashMap<MapData, [u8; COMM_LEN], u32>,
    ports: PortMaps,
}

impl Maps {
    fn take(ebpf: &mut Ebpf, Sizes { processes: _, ring_bytes, ports }: Sizes) -> Result<Self, Refusal> {
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(Refusal::WrongObject { missing: name });
        let Map::RingBuf(ring) = take(name::EVENTS)? else {
            return Err(Refusal::WrongObject { missing: "a ring buffer" });
        };
        let ring = RingBuffer::of(ring.fd(), ring_bytes as usize).map_err(Refusal::Mapping)?;
        let table = HashMap::try_from(take(name::WATCH)?)?;
        let names = HashMap::try_from(take(name::WAITED_FOR)?)?;
        let bits =
            SparseArray::of(array(take(name::WATCH_BITS)?)?.fd(), BITMAP_WORDS as usize).map_err(Refusal::Mapping)?;
        let slot_words = ports as usize * (size_of::<PortSlot>() / size_of::<u64>());
        let stats = map_array(take(name::STATS)?, size_of::<Stats>() / size_of::<u64>())?;
        let ports = PortMaps {
            table: HashMap::<_, Plain<PortKey>, u32>::try_from(take(name::PORTS)?)?,
            bits: map_array(take(name::PORT_BITS)?, PORT_WORDS as usize)?,
            slots: SparseArray::of(array(take(name::PORT_SLOTS)?)?.fd(), slot_words).map_err(Refusal::Mapping)?,
        };
        Ok(Self { ring, counters: Counters::new(stats), interest: Interest::new(table, bits), names, ports })
    }
}

/// The pages outlive the descriptor: the mapping holds the map.
fn map_array(map: Map, words: usize) -> Result<SharedArray, Refusal> {
    SharedArray::map(array(map)?.fd(), words).map_err(Refusal::Mapping)
}

fn array(map: Map) -> Result<MapData, Refusal> {
    let Map::Array(data) = map else { return Err(Refusal::WrongObject { missing: "a mappable array" }) };
    Ok(data)
}
