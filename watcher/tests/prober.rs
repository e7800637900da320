//! Many services asked at once, some of them in vain, some of them no longer of interest.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod probe_support;

use std::{io::Write as _, net::TcpListener, sync::Arc, thread};

use probe_support::{LONG, ask, attempts, http, runtime, words};
use watcher::executor::probe::Prober;
use watcher_core::{
    ProbeId, Span,
    pfile::Port,
    probe::{Ask, How},
};

/// A port on which connections are taken, but by the kernel only.
fn silent() -> (TcpListener, Port) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Port::new(socket.local_addr().unwrap().port().into()).unwrap();
    (socket, port)
}

#[test]
fn hundreds_at_once_get_a_verdict_each() {
    const EACH: usize = 100;
    // Until then all of them have connected, also on a busy machine.
    const LATER: Span = Span::of_seconds(3);
    // No more than fit into the queue of one socket.
    let ((_silent, silent_port), (_idle, idle_port)) = (silent(), silent());
    let (talks, port) = silent();
    thread::spawn(move || {
        let mut streams = Vec::new();
        for _ in 0..EACH {
            let (mut stream, _) = talks.accept().unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            // Closed only in the end: what is not read yet must not be lost.
            streams.push(stream);
        }
    });
    let asks = (0..EACH).flat_map(|_| {
        [ask(How::Http(http()), port, LONG), ask(How::Http(http()), silent_port, LATER), ask(How::Tcp, idle_port, LONG)]
    });
    let done = attempts(asks.collect());
    let of = |kind: u64| done.iter().filter(move |(ProbeId(number), _)| number % 3 == kind).map(|(_, it)| words(it));
    assert_eq!([of(0).count(), of(1).count(), of(2).count()], [EACH; 3]);
    assert!(of(0).chain(of(2)).all(|verdict| verdict == "good"));
    assert!(of(1).all(|verdict| verdict == "does not answer in time"));
}

#[test]
fn nothing_is_told_of_what_was_forgotten() {
    let (_socket, port) = silent();
    let tcp: Arc<Ask> = ask(How::Tcp, port, LONG).into();
    let endless: Arc<Ask> = ask(How::Http(http()), port, LONG).into();
    runtime().block_on(async {
        let (mut prober, mut done) = (Prober::new(), Vec::new());
        for number in 0..3 {
            prober.start(ProbeId(number), tcp.clone());
        }
        prober.start(ProbeId(3), endless.clone());
        // One has its verdict: then all of them may have theirs. None of it is told any more.
        prober.ready(&mut done).await;
        let (told, _) = done.remove(0);
        done.clear();
        (0..4).map(ProbeId).for_each(|probe| prober.forget(probe));
        prober.forget(told);
        assert_eq!(prober.running(), 0);

        prober.start(ProbeId(9), tcp.clone());
        prober.ready(&mut done).await;
        assert_eq!(done.iter().map(|(probe, _)| *probe).collect::<Vec<_>>(), [ProbeId(9)]);

        // Started anew, it is another attempt, and the first one does not count.
        prober.start(ProbeId(5), endless.clone());
        prober.start(ProbeId(5), tcp.clone());
        done.clear();
        prober.ready(&mut done).await;
        assert_eq!((done.len(), prober.running()), (1, 0));
    });
}

#[test]
fn waiting_can_be_broken_off_without_a_loss() {
    let (_socket, port) = silent();
    let count = 50;
    runtime().block_on(async {
        let (mut prober, mut done) = (Prober::new(), Vec::new());
        (0..count).for_each(|number| prober.start(ProbeId(number), ask(How::Tcp, port, LONG).into()));
        while prober.running() > 0 {
            tokio::select! {
                () = prober.ready(&mut done) => {}
                () = tokio::task::yield_now() => {}
            }
        }
        let mut told: Vec<_> = done.iter().map(|(ProbeId(number), _)| *number).collect();
        told.sort_unstable();
        assert_eq!(told, (0..count).collect::<Vec<_>>());

        // Nothing runs: it waits for ever.
        tokio::select! {
            biased;
            () = prober.ready(&mut done) => panic!("there is nothing to tell of"),
            () = tokio::task::yield_now() => {}
        }
    });
}
