//! The listening ports of this network namespace, as the kernel shows them when it is asked, and whose they are.

mod trend;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

pub use self::trend::Trend;
use serde::Serialize;
use watcher_core::{ListenerFacts, Pid, PortFacts, StateCounts};

use crate::sys::{
    descriptors, netns, own, proc,
    sock_diag::SockDiag,
    tcp,
    tcp_limits::{self, TcpLimits},
};

/// What was found. Documented in `docs/json.md`; members are added, never changed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub schema: u32,
    /// Inode of the network namespace.
    pub network_namespace: Option<u32>,
    /// `sock_diag` or `proc`.
    pub source: &'static str,
    /// Why not by `sock_diag`.
    pub source_reason: Option<String>,
    /// Listeners whose process this user may not see, or which have none.
    pub without_owner: usize,
    /// From the first look to this one, in seconds; null when there was only one.
    pub trend_s: Option<u32>,
    /// Each port once, in their order.
    pub ports: Vec<Port>,
    /// What the namespace has left; null where `/proc` does not tell.
    pub namespace: Option<Namespace>,
}

/// A port.
#[derive(Debug, Serialize)]
pub struct Port {
    /// Its number.
    pub port: u16,
    /// The sockets that listen on it; none for a port that was asked for and nobody listens on.
    pub listeners: Vec<Listener>,
    /// Connections of this local port, by state.
    pub established: u64,
    /// The same.
    pub close_wait: u64,
    /// The same.
    pub syn_recv: u64,
    /// The same.
    pub time_wait: u64,
    /// Connections in any other state.
    pub other: u64,
    /// What has changed since the first look; null when there was only one, or the port was not seen in it.
    pub trend: Option<Trend>,
}

/// A socket that listens.
#[derive(Debug, Serialize)]
pub struct Listener {
    /// The address, without the port.
    pub address: String,
    /// The socket's number.
    pub inode: u64,
    /// Its user.
    pub uid: u32,
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// How many may; null where the kernel does not tell.
    pub backlog_limit: Option<u32>,
    /// How many were turned away, or had to come again; null where the kernel does not tell.
    pub drops: Option<u32>,
    /// The process that holds it: of several, the one with the lowest pid.
    pub owner: Option<Owner>,
    /// How many processes hold it, as far as this user sees them.
    pub holders: usize,
}

/// A process that holds a listening socket.
#[derive(Clone, Debug, Serialize)]
pub struct Owner {
    /// Its pid.
    pub pid: u32,
    /// Its command name.
    pub comm: String,
    /// Open descriptors of whichever holder has the fewest left.
    pub descriptors: Option<u64>,
    /// How many that one may have; null: any number, or unknown.
    pub descriptor_limit: Option<u64>,
    /// Its pid.
    pub descriptor_pid: Option<u32>,
}

/// What a network namespace has left for TCP.
#[derive(Debug, Serialize)]
pub struct Namespace {
    /// First and last of the ports that connections get by themselves.
    pub port_range: Option<(u16, u16)>,
    /// Sockets in use.
    pub in_use: u64,
    /// Sockets that no process holds any more.
    pub orphans: u64,
    /// Sockets in TIME_WAIT.
    pub time_wait: u64,
    /// Memory of TCP on the whole host, in pages.
    pub memory_pages: u64,
    /// `tcp_mem`: from how many pages on TCP is free, saves, and refuses; null outside of the initial namespace.
    pub memory_limits: Option<[u64; 3]>,
}

impl Report {
    /// Of these ports, or of all that somebody listens on.
    ///
    /// # Errors
    /// When neither sock_diag nor `/proc` tells.
    pub fn make(wanted: &BTreeSet<u16>) -> io::Result<Self> {
        let (facts, source_reason) = match by_sock_diag(wanted) {
            Ok(facts) => (facts, None),
            Err(error) => {
                let mut facts = tcp::ports(own::pid())?;
                facts.retain(|port, facts| is_wanted(wanted, *port, facts));
                (facts, Some(format!("the kernel does not tell by sock_diag: {error}")))
            }
        };
        let sockets = facts.values().flat_map(|facts| &facts.listeners).map(|listener| listener.inode).collect();
        let mut holders = Holders { of: holders(&sockets), looked_at: BTreeMap::new() };
        let nobody = wanted.iter().filter(|port| !facts.contains_key(port)).map(|port| (*port, PortFacts::default()));
        let mut ports: Vec<_> =
            nobody.chain(facts.clone()).map(|(port, facts)| Port::of(port, &facts, &mut holders)).collect();
        ports.sort_by_key(|port| port.port);
        let listeners = ports.iter().flat_map(|port| &port.listeners);
        Ok(Self {
            schema: 1,
            network_namespace: netns::own().ok().map(|netns| netns.0),
            source: if source_reason.is_none() { "sock_diag" } else { "proc" },
            source_reason,
            trend_s: None,
            without_owner: listeners.filter(|listener| listener.owner.is_none()).count(),
            ports,
            namespace: tcp_limits::of(own::pid()).ok().map(Namespace::of),
        })
    }
}

impl Namespace {
    const fn of(limits: TcpLimits) -> Self {
        let TcpLimits { port_range, in_use, orphans, time_wait, memory, memory_limits } = limits;
        Self { port_range, in_use, orphans, time_wait, memory_pages: memory, memory_limits }
    }
}

impl Port {
    fn of(port: u16, PortFacts { listeners, states }: &PortFacts, holders: &mut Holders) -> Self {
        let StateCounts {
            established,
            syn_sent,
            syn_recv,
            fin_wait1,
            fin_wait2,
            time_wait,
            close_wait,
            last_ack,
            closing,
        } = *states;
        Self {
            port,
            listeners: listeners.iter().map(|facts| Listener::of(facts, holders)).collect(),
            established,
            close_wait,
            syn_recv,
            time_wait,
            other: syn_sent + fin_wait1 + fin_wait2 + last_ack + closing,
            trend: None,
        }
    }
}

impl Listener {
    fn of(facts: &ListenerFacts, holders: &mut Holders) -> Self {
        let ListenerFacts { address, inode, uid, queue, limit, drops } = *facts;
        Self {
            address: address.ip().to_string(),
            inode,
            uid,
            backlog: queue,
            backlog_limit: limit,
            drops,
            owner: holders.owner(inode),
            holders: holders.of.get(&inode).map_or(0, Vec::len),
        }
    }
}

/// Who holds which socket. Those who hold many are looked at once.
struct Holders {
    of: BTreeMap<u64, Vec<Pid>>,
    looked_at: BTreeMap<Vec<Pid>, Owner>,
}

impl Holders {
    fn owner(&mut self, socket: u64) -> Option<Owner> {
        let holders = self.of.get(&socket)?;
        if let Some(owner) = self.looked_at.get(holders) {
            return Some(owner.clone());
        }
        let owner = Owner::of(*holders.first()?, holders);
        self.looked_at.insert(holders.clone(), owner.clone());
        Some(owner)
    }
}

impl Owner {
    fn of(pid: Pid, holders: &[Pid]) -> Self {
        let comm = proc::facts(pid).ok().flatten().map(|facts| facts.comm).unwrap_or_default();
        let known = holders.iter().filter_map(|pid| {
            Some((*pid, descriptors::open(*pid).ok()?, descriptors::limit(*pid).ok()?.unwrap_or(u64::MAX)))
        });
        let scarcest = known.min_by_key(|(_, open, limit)| limit.saturating_sub(*open));
        Self {
            pid: pid.number(),
            comm,
            descriptors: scarcest.map(|(_, open, _)| open),
            descriptor_limit: scarcest.map(|(_, _, limit)| limit).filter(|limit| *limit != u64::MAX),
            descriptor_pid: scarcest.map(|(pid, _, _)| pid.number()),
        }
    }
}

fn is_wanted(wanted: &BTreeSet<u16>, port: u16, facts: &PortFacts) -> bool {
    if wanted.is_empty() { !facts.listeners.is_empty() } else { wanted.contains(&port) }
}

fn by_sock_diag(wanted: &BTreeSet<u16>) -> io::Result<BTreeMap<u16, PortFacts>> {
    let mut diag = SockDiag::here()?;
    let mut ports = BTreeMap::<u16, PortFacts>::new();
    if wanted.is_empty() {
        for listener in diag.listeners(None)? {
            ports.entry(listener.address.port()).or_default().listeners.push(listener);
        }
        for (port, states) in diag.all_states(|port| ports.contains_key(&port))? {
            if let Some(facts) = ports.get_mut(&port) {
                facts.states = states;
            }
        }
    } else {
        for port in wanted {
            ports.insert(*port, diag.port(*port)?);
        }
    }
    Ok(ports)
}

/// Who holds each of these sockets, as far as this user may know.
fn holders(sockets: &BTreeSet<u64>) -> BTreeMap<u64, Vec<Pid>> {
    let mut holders = BTreeMap::<u64, Vec<Pid>>::new();
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|item| item.file_name());
    let mut pids: Vec<_> = names.filter_map(|name| Pid::new(name.to_str()?.parse().ok()?)).collect();
    pids.sort();
    for pid in pids {
        for socket in tcp::sockets(pid).intersection(sockets) {
            holders.entry(*socket).or_default().push(pid);
        }
    }
    holders
}
