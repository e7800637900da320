//! What a whole network namespace runs short of: it is told of no entry.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use watcher::sys::netns;
use watcher_tests::{host::Tier, memory::Pinch};

use super::Scene;

/// The title of a shortage, where it is, and what was found.
fn told(scene: &mut Scene, title: &str) -> String {
    let wanted = format!("Socket {title} in {} : ", netns::of(scene.pid()).unwrap());
    let lines = scene.pcheck.until(&wanted);
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    line.strip_prefix(&wanted).unwrap().to_owned()
}

pub(super) fn no_local_port_is_left(tier: Tier) {
    let mut scene = Scene::set(tier, "", "");
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 40_000)).unwrap();
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 50003").unwrap();
    let connect = || TcpStream::connect(server.local_addr().unwrap());
    let fine: Vec<_> = std::iter::repeat_with(connect).map_while(Result::ok).collect();
    assert!((1..=4).contains(&fine.len()));
    assert_eq!(connect().unwrap_err().raw_os_error(), Some(libc::EADDRNOTAVAIL));
    assert_eq!(told(&mut scene, "Local Port Shortage"), "1 connection found no local port");
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 60000").unwrap();
    scene.leave_in_peace();
}

pub(super) fn tcp_gets_no_memory(tier: Tier) {
    let Some(pinch) = Pinch::make("e2e") else { return };
    let mut scene = Scene::set(tier, "", "");
    let connections = pinch.connections();
    let measure = told(&mut scene, "Memory Shortage");
    assert!(measure.ends_with(" pages: a control group has reached its limit on memory"), "{measure}");
    drop(connections);
    scene.leave_in_peace();
}
