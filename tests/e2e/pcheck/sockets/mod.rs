//! Services that run out of sockets: each way is told apart, and what is well is left in peace.
//!
//! On tier `ebpf` nearly all blocks ask once in ten minutes, so whatever is told was told by the kernel unasked. Each story has
//! a network namespace of its own, since some of what is counted is counted for a whole one. They are told at the same time.

mod flood;
mod host;
mod minute;
mod queue;
mod spent;
mod well;

use std::{
    fs::{self, DirEntry},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use watcher::sys::{sock_diag::SockDiag, tcp_limits};
use watcher_core::Pid;
use watcher_tests::{
    block::Block,
    host::{Host, Service, Tier, signal},
    is_emulated, netns,
    pcheck::Pcheck,
    server::free_port,
    story::{Story, at_the_same_time},
    wait::until,
};

const EBPF: &[Tier] = &[Tier::Ebpf];

/// These are told in network namespaces of their own, where there is no process connector.
const TIERS: &[Tier] = &[Tier::Ebpf, Tier::Pidfd, Tier::Poll];

#[test]
fn stories_that_are_told_at_the_same_time() {
    let mut stories: Vec<Story<'_>> = vec![
        ("nobody accepts, and it is only told", TIERS, &queue::nobody_accepts_and_it_is_only_told),
        ("nobody accepts, and it is a stall", TIERS, &queue::nobody_accepts_and_it_is_a_stall),
        ("clients that do not wait to be accepted", TIERS, &queue::clients_that_do_not_wait_for_it),
        ("a pause", TIERS, &queue::a_pause),
        ("one port in two namespaces", TIERS, &queue::one_port_in_two_namespaces),
        ("connections that are not closed", TIERS, &spent::connections_that_are_not_closed),
        ("connections that are closed late", TIERS, &spent::connections_that_are_closed_late),
        ("one connection that is not closed for long", TIERS, &spent::one_that_is_not_closed_for_long),
        ("connections that are not closed for too long", EBPF, &spent::and_that_is_a_stall),
        ("descriptors", TIERS, &spent::descriptors),
        ("descriptors of a worker", TIERS, &spent::descriptors_of_a_worker),
        ("nobody listens yet", TIERS, &well::nobody_listens_yet),
        ("nobody listens any more", TIERS, &spent::nobody_listens_any_more),
        ("no local port is left", EBPF, &host::no_local_port_is_left),
        ("TCP gets no memory", EBPF, &host::tcp_gets_no_memory),
        ("many healthy connections", TIERS, &well::many_healthy_connections),
        ("workers that share a port", TIERS, &well::workers_that_share_a_port),
    ];
    // In these a service listens by IPv6, or by both.
    let by_ipv6: [Story<'_>; 6] = [
        ("a SYN flood", TIERS, &flood::from_another_namespace),
        ("a SYN flood on a short queue", TIERS, &flood::on_a_short_queue),
        ("a SYN flood that does not fill the backlog", EBPF, &flood::that_does_not_fill_the_backlog),
        ("both families on one port", TIERS, &well::both_families_on_one_port),
        ("IPv6 alone", TIERS, &well::ipv6_alone),
        ("IPv6 alone, and nobody listens any more", TIERS, &spent::nobody_listens_by_ipv6),
    ];
    if Path::new("/proc/net/if_inet6").exists() {
        stories.extend(by_ipv6);
    } else {
        eprintln!("skipped here, since this kernel has no IPv6: {:?}", by_ipv6.map(|(name, ..)| name));
    }
    at_the_same_time(&stories);
}

/// A host in a namespace of its own, with a service on a watched port that is known to answer.
struct Scene {
    host: Host,
    port: u16,
    service: Service,
    pcheck: Pcheck,
}

impl Scene {
    /// The service gets these words and its port, the entry these extensions.
    fn set(tier: Tier, words: &str, extensions: &str) -> Self {
        // Without the kernel's help it has to be looked for.
        let interval = if tier == Tier::Ebpf { 600 } else { Block::SHORTEST };
        Self::set_every(interval, tier, words, extensions)
    }

    fn set_every(interval: u32, tier: Tier, words: &str, extensions: &str) -> Self {
        netns::enter_new();
        Self::set_here((interval, free_port()), tier, words, extensions)
    }

    fn set_here((interval, port): (u32, u16), tier: Tier, words: &str, extensions: &str) -> Self {
        let scene = Self::begin((interval, port), tier, words, extensions, |pid| listens(pid, port));
        scene.host.stall_chk(1, "AVAIL");
        scene
    }

    /// The service is watched when it is `ready`, whatever it answers.
    fn begin((interval, port): (u32, u16), tier: Tier, words: &str, extensions: &str, ready: impl FnOnce(Pid)) -> Self {
        let host = Host::new();
        let words = format!("port={port} {words}");
        host.rules(&entry(&host, "svc", &words, extensions, &Block::socket(port).seldom(interval)));
        let service = host.start(&words);
        ready(service.pid);
        let mut pcheck = Pcheck::started(&mut host.pcheck(tier));
        assert_eq!(pcheck.up(&host.svc()), service.pid);
        Self { host, port, service, pcheck }
    }

    fn pid(&self) -> Pid {
        self.service.pid
    }

    /// A line on this service: that of an alarm, without its measure.
    fn line(&self, title: &str) -> String {
        format!("{title}: pid = {} : port = {}", self.pid(), self.port)
    }

    /// Takes lines up to an alarm: those before it, and its measure.
    fn told(&mut self, title: &str) -> (Vec<String>, String) {
        let wanted = self.line(title);
        let mut lines = self.pcheck.until(&wanted);
        let last = lines.pop().unwrap();
        lines.retain(|line| !comes_of_slowness(line));
        (lines, last.strip_prefix(&wanted).unwrap_or_else(|| panic!("{last}")).to_owned())
    }

    /// Takes lines for so long.
    fn during(&mut self, span: Duration) -> Vec<String> {
        let mut lines = self.pcheck.during(span);
        lines.retain(|line| !comes_of_slowness(line));
        lines
    }

    /// Takes the line that tells the end of an alarm.
    fn is_over(&mut self, title: &str) {
        let (before, _) = self.told(&format!("{title} is over"));
        assert_eq!(before, [] as [String; 0]);
    }

    /// All is as it was in the beginning, and nothing more was told.
    fn leave_in_peace(self) {
        let entry = self.host.entry(1);
        assert_eq!((&entry["pid"], &entry["restart_count"]), (&self.pid().number().into(), &0.into()));
        let mut lines = self.pcheck.stop();
        lines.retain(|line| !comes_of_slowness(line));
        assert_eq!(lines, [] as [String; 0]);
    }
}

fn entry(host: &Host, name: &str, words: &str, extensions: &str, block: &Block) -> String {
    let path = host.path(name);
    let script = host.script(&format!("{name}.sh"), &format!("{path} {words} >/dev/null 2>&1 </dev/null &"));
    let extensions = if extensions.is_empty() { String::new() } else { format!("#@ {extensions}\n") };
    format!("{path}:{script}:86400:3:exit\n{extensions}{block}")
}

/// Whether a line tells of SYNs that came again, which a listener counts with those that it turned away: so they do where an
/// answer takes a second, also into a queue that has become full meanwhile.
fn comes_of_slowness(line: &str) -> bool {
    is_emulated() && line.starts_with("Socket Connection Drop")
}

/// Connections that were turned away since a queue was full, in the network namespace of this service.
fn turned_away(service: Pid) -> u64 {
    tcp_limits::refusals(service).unwrap().accept_queue_full
}

/// Connections that wait to be accepted, and those that were turned away.
fn queue_of(service: Pid, port: u16) -> (u32, u32) {
    let listeners = SockDiag::of(service).unwrap().listeners(Some(port)).unwrap();
    (listeners.iter().map(|one| one.queue).sum(), listeners.iter().filter_map(|one| one.drops).sum())
}

/// Waits until somebody listens there, where this process is.
fn listens(service: Pid, port: u16) {
    until("it listens", || SockDiag::of(service).is_ok_and(|mut diag| !diag.listeners(Some(port)).unwrap().is_empty()));
}

/// Stops a service, all of it: a thread that was asleep in `accept` may take one more before it stops.
fn stop(service: Pid) {
    signal(service, libc::SIGSTOP);
    let is_stopped = |task: DirEntry| {
        // One that has just ended is not listed next time.
        let stat = fs::read_to_string(task.path().join("stat"));
        stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    };
    until("all threads are stopped", || {
        fs::read_dir(format!("/proc/{service}/task")).unwrap().all(|task| is_stopped(task.unwrap()))
    });
}

/// Clients that have connected.
fn clients(port: u16, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()).collect()
}

/// Clients that begin to connect, and do not wait for it: some may be turned away.
fn impatient_clients(port: u16, count: usize) -> Vec<OwnedFd> {
    let one = |_| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let client = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        let begun = connect(&client, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        assert!(matches!(begun, Ok(()) | Err(rustix::io::Errno::INPROGRESS)), "{begun:?}");
        client
    };
    (0..count).map(one).collect()
}
