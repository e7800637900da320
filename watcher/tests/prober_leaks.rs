//! Thousands of attempts leave nothing open, whatever came of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod probe_support;

use std::{fs, io::Write as _, net::TcpListener, sync::Arc, thread};

use probe_support::{LONG, SHORT, ask, http, request, runtime};
use watcher::executor::probe::Prober;
use watcher_core::{
    ProbeId,
    pfile::{Method, Port},
    probe::{How, HttpAsk, TlsAsk},
};

const ROUNDS: u64 = 10;
const AT_ONCE: u64 = 100;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn port_of(socket: &TcpListener) -> Port {
    Port::new(socket.local_addr().unwrap().port().into()).unwrap()
}

#[test]
fn nothing_stays_open() {
    let talks = TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent, closed) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let [talk_port, silent_port, closed_port] = [&talks, &silent, &closed].map(port_of);
    drop(closed);
    thread::spawn(move || {
        // Answers, is gone, or babbles, in turn.
        for (number, stream) in talks.incoming().enumerate() {
            let mut stream = stream.unwrap();
            if number % 3 > 0 {
                request(&mut stream);
                // Whoever has heard enough may be gone.
                let _gone = stream.write_all(if number % 3 == 1 { b"HTTP/1.1 200 OK\r\n\r\n" } else { b"what?\r\n" });
            }
        }
    });
    let get = HttpAsk { method: Method::Get, match_body: Some("never".into()), ..http() };
    let tls = HttpAsk { tls: Some(TlsAsk::default()), ..http() };
    let asks = [
        ask(How::Http(http()), talk_port, LONG),
        ask(How::Http(get), talk_port, LONG),
        ask(How::Smtp, closed_port, LONG),
        ask(How::Http(tls), silent_port, SHORT),
        ask(How::Tcp, talk_port, LONG),
    ]
    .map(Arc::new);
    runtime().block_on(async {
        let (mut prober, mut done, mut before) = (Prober::new(), Vec::new(), None);
        for round in 0..ROUNDS {
            for (number, ask) in (0..AT_ONCE).zip(asks.iter().cycle()) {
                prober.start(ProbeId(round * AT_ONCE + number), Arc::clone(ask));
            }
            // Some are not wanted any more, as soon as one has its verdict.
            prober.ready(&mut done).await;
            (0..AT_ONCE).step_by(7).for_each(|number| prober.forget(ProbeId(round * AT_ONCE + number)));
            while prober.running() > 0 {
                prober.ready(&mut done).await;
            }
            // What was forgotten is let go when its task has had its turn.
            tokio::task::yield_now().await;
            // The first round has made what is kept.
            before.get_or_insert_with(descriptors);
        }
        let after = descriptors();
        assert!(before.is_some_and(|before| after <= before + 2), "{before:?} descriptors have become {after}");
    });
}
