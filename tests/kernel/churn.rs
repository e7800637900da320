//! Much coming and going on a watched port, by all ways that a connection can take: afterwards the counters are right.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use watcher::sys::sock_diag::SockDiag;
use watcher_core::PortCounts;
use watcher_tests::{is_long, netns, victim::Victim, wait::until};

use crate::{
    net::{NEVER, agree, sharing_on, watch},
    probe::Probe,
    sockets::corrected,
};

/// Changes of state of a connection, on its service's side.
const CHANGES: usize = 5;

/// So many a thread leaves open, always the latest.
const HELD: usize = 20;

/// Who ends a connection, and how.
#[derive(Clone, Copy, Debug)]
enum End {
    Client,
    Reset,
    Service,
}

const ENDS: [End; 3] = [End::Client, End::Reset, End::Service];

fn client(port: u16, connections: usize) {
    let mut held = VecDeque::new();
    for number in 0..connections {
        // No pair of ports is used twice.
        let address = Ipv4Addr::new(127, 0, (number / 200 % 200) as u8, (number % 200) as u8 + 1);
        let mut stream = TcpStream::connect((address, port)).unwrap();
        let end = number % ENDS.len();
        stream.write_all(&[end as u8]).unwrap();
        match ENDS[end] {
            // Some time later.
            End::Client => held.push_back(stream),
            End::Reset => set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
            End::Service => assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0),
        }
        if held.len() > HELD {
            held.pop_front();
        }
    }
}

/// Until nobody comes any more: then one comes for each thread that says nothing.
fn service(server: &TcpListener, served: &AtomicUsize) {
    let mut held = VecDeque::new();
    loop {
        let (mut stream, _) = server.accept().unwrap();
        let mut end = [0];
        // One that was reset early has no byte.
        match stream.read(&mut end) {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => end = [End::Reset as u8],
        }
        if !matches!(ENDS[usize::from(end[0])], End::Service) {
            held.push_back(stream);
        }
        if held.len() > HELD {
            held.pop_front();
        }
        served.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn after_an_hour_s_worth_of_connections_the_counters_agree_with_sock_diag() {
    let connections = if is_long() { 1_000_000 } else { 60_000 } / CHANGES;
    let mut probe = Probe::load();
    probe.ports.prove().unwrap();
    netns::enter_new();
    // It is where this thread is, unlike the first thread of these tests.
    let process = Victim::start("vforks");
    let mut diag = SockDiag::of(process.id().pid).unwrap();
    let (server, port) = sharing_on(Ipv4Addr::UNSPECIFIED.into(), 0);
    let key = watch(&mut probe.ports, &mut diag, port, NEVER);
    let (before, served) = (probe.ports.deltas(key), AtomicUsize::new(0));
    thread::scope(|scope| {
        let services = [(); 2].map(|()| scope.spawn(|| service(&server, &served)));
        let clients = [(); 2].map(|()| scope.spawn(|| client(port, connections / 2)));
        // Others listen beside it, and are gone again.
        while clients.iter().any(|client| !client.is_finished()) {
            let (_beside, _) = sharing_on(Ipv4Addr::new(127, 1, 1, 1).into(), port);
            thread::sleep(Duration::from_millis(1));
        }
        clients.into_iter().for_each(|client| client.join().unwrap());
        drop([(); 2].map(|()| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()));
        services.into_iter().for_each(|service| service.join().unwrap());
    });
    // A child that another test is making at that moment holds what was closed here, for a moment.
    until("the others have gone", || diag.listeners(Some(port)).unwrap().len() == 1);
    let expected = PortCounts { listeners: 1, established: 0, close_wait: 0 };
    // What a timer did in the middle of the program was skipped, and looks correct it.
    let skips = corrected(&mut probe, &mut diag, key);
    assert_eq!(agree(&probe.ports, &mut diag, key), expected);
    // Nor have they drifted to where nothing shows, below zero.
    assert!(skips || probe.ports.deltas(key) == before, "{:?}, {before:?}", probe.ports.deltas(key));
    let served = served.load(Ordering::Relaxed);
    println!("{served} connections of {connections} served");
    assert!(served > connections * 9 / 10, "{served} of {connections}");
}
