//! A pcheck that watches a port, and asks it once before anything is measured, and not again meanwhile.

use watcher::sys::sock_diag::SockDiag;
use watcher_core::PortKey;
use watcher_tests::{
    block::Block,
    counted::Counted,
    host::{Host, Service, Tier},
    pcheck::Pcheck,
    wait::until,
};

/// Longer than anything is measured.
const INTERVAL: u32 = 600;

/// A service, and a pfile for it.
pub(crate) struct Scene {
    host: Host,
    pub(crate) service: Service,
    pub(crate) key: PortKey,
    pub(crate) diag: SockDiag,
}

impl Scene {
    /// The service gets these words. What is watched is this port, whoever listens there: for the kernel that is the same.
    pub(crate) fn set(words: &str, port: u16) -> Self {
        let host = Host::new();
        let script = host.script("restart.sh", "exit 1");
        let block = Block::socket(port).seldom(INTERVAL);
        host.rules(&format!("{}:{script}:86400:3:continue\n{block}", host.svc()));
        let service = host.start(words);
        let mut diag = SockDiag::here().expect("sock_diag");
        until("somebody listens", || !diag.listeners(Some(port)).expect("sock_diag").is_empty());
        Self { host, service, key: PortKey { netns: diag.netns(), port }, diag }
    }

    /// When it is up, the port is watched, and its sockets are counted.
    pub(crate) fn pcheck(&self, tier: Tier) -> Pcheck {
        let mut pcheck = Pcheck::started(&mut self.host.pcheck(tier));
        pcheck.up(&self.host.svc());
        self.host.stall_chk(1, "AVAIL");
        if tier == Tier::Ebpf {
            let counted = Counted::by(pcheck.pid());
            until("its sockets are counted", || counted.port(self.key).is_some());
        }
        pcheck
    }
}
