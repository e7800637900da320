//! What the kernel programs of a running watcher have counted, read from outside by the maps that it holds.

use std::{fs, mem::offset_of};

use aya::{
    maps::{Array, HashMap, Map, MapData},
    programs::{ProgramInfo, loaded_programs},
};
use watcher_abi::{PortSlot, name};
use watcher_core::{Pid, PortCounts, PortKey};

const WORDS: usize = size_of::<PortSlot>() / size_of::<u64>();

/// A slot as plain words.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
struct Slot([u64; WORDS]);

// SAFETY: integers without padding.
unsafe impl aya::Pod for Slot {}

/// The counters of watched ports.
pub struct Counted {
    ports: HashMap<MapData, u64, u32>,
    slots: Array<MapData, Slot>,
    pid: Pid,
    program: u32,
}

impl Counted {
    /// Those of this process.
    pub fn by(pid: Pid) -> Self {
        let held: Vec<_> = infos(pid).iter().filter_map(|info| value(info, "prog_id:")).collect();
        let is_ours = |program: &ProgramInfo| {
            program.name_as_str() == Some(name::ON_STATE) && held.contains(&program.id().into())
        };
        let program = loaded_programs().filter_map(Result::ok).find(is_ours);
        let program = program.unwrap_or_else(|| panic!("process {pid} holds no program {}", name::ON_STATE));
        let ids = program.map_ids().expect("the kernel tells of its programs").expect("Linux 4.15");
        let map = |wanted: &str| {
            let mut maps = ids.iter().filter_map(|id| MapData::from_id(*id).ok());
            maps.find(|map| map.info().is_ok_and(|info| info.name_as_str() == Some(wanted))).expect("it uses this map")
        };
        let ports = HashMap::try_from(Map::HashMap(map(name::PORTS))).expect("its layout");
        let slots = Array::try_from(Map::Array(map(name::PORT_SLOTS))).expect("its layout");
        Self { ports, slots, pid, program: program.id() }
    }

    /// How many sockets there are by them; none while that is not known.
    pub fn port(&self, PortKey { netns, port }: PortKey) -> Option<PortCounts> {
        let [n0, n1, n2, n3] = netns.0.to_ne_bytes();
        let [p0, p1, p2, p3] = u32::from(port).to_ne_bytes();
        let slot = self.ports.get(&u64::from_ne_bytes([n0, n1, n2, n3, p0, p1, p2, p3]), 0).ok()?;
        let Slot(words) = self.slots.get(&slot, 0).ok()?;
        let word = |offset: usize| words[offset / size_of::<u64>()].cast_signed();
        let sum = |base, delta| u64::try_from(word(base) + word(delta)).unwrap_or(0);
        (word(offset_of!(PortSlot, is_based)) == 1).then(|| PortCounts {
            listeners: sum(offset_of!(PortSlot, listeners_base), offset_of!(PortSlot, listeners)),
            established: sum(offset_of!(PortSlot, established_base), offset_of!(PortSlot, established)),
            close_wait: sum(offset_of!(PortSlot, close_wait_base), offset_of!(PortSlot, close_wait)),
        })
    }

    /// How often the program on changes of state could not run because it ran already: an interrupt had come. Before Linux
    /// 5.12 that is not counted.
    pub fn missed(&self) -> Option<u64> {
        self.said("recursion_misses:")
    }

    /// Nanoseconds that it took, and how often it ran, while the kernel kept such statistics.
    pub fn spent(&self) -> (u64, u64) {
        let said = |what| self.said(what).expect("Linux 5.1");
        (said("run_time_ns:"), said("run_cnt:"))
    }

    fn said(&self, what: &str) -> Option<u64> {
        let is_ours = |info: &String| value(info, "prog_id:") == Some(self.program.into());
        let mut infos = infos(self.pid).into_iter().filter(is_ours);
        infos.find_map(|info| value(&info, what))
    }
}

/// What `/proc` tells of the descriptors of a process.
fn infos(pid: Pid) -> Vec<String> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it lives").flatten();
    infos.filter_map(|info| fs::read_to_string(info.path()).ok()).collect()
}

fn value(info: &str, what: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(what)?.trim().parse().ok())
}
