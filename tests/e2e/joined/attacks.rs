//! Whatever is done to the daemon's socket, and whenever one side goes: nothing is held up, and nothing is left behind.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    thread::sleep,
    time::Duration,
};

use watcher_core::Pid;
use watcher_tests::{
    host::{Tier, kill},
    pcheck::Pcheck,
    wait::{DEADLINE, until},
};

use super::{House, is_unwatched, together};

fn connect(house: &House) -> UnixStream {
    let stream = UnixStream::connect(house.host.folder.path().join("run/daemon/join")).unwrap();
    stream.set_read_timeout(Some(*DEADLINE)).unwrap();
    stream
}

fn answer(mut stream: UnixStream, bytes: &[u8]) -> String {
    // Who says too much is not listened to.
    let _sent = stream.write_all(bytes);
    if !bytes.ends_with(b"\n") {
        // Who joins is gone when it closes its side.
        let _shut = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn join_line(pfile: &str) -> String {
    let circumstances = serde_json::to_string(&watcher::executor::circumstances::own()).unwrap();
    let data = fs::metadata(pfile).unwrap();
    let (device, inode) = (data.dev(), data.ino());
    format!(
        "{{\"version\":1,\"request\":{{\"join\":{{\"pid\":1,\"pfile\":{{\"text\":\"{pfile}\"}},\"device\":{device},\
         \"inode\":{inode},\"lenient\":false,\"release\":\"{}\",\"circumstances\":{circumstances}}}}}}}\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[test]
fn bad_words_silence_and_crowds_hold_up_nobody() {
    let (house, service, mut daemon, mut pcheck) = together(Tier::best(), "9:continue");
    let host = &house.host;
    // Connections that say nothing, up to the limit and beyond it. Each takes a descriptor of this process.
    watcher::sys::limits::raise_descriptors();
    let silent: Vec<_> = (0..1100).map_while(|_| UnixStream::connect(host.path("run/daemon/join")).ok()).collect();
    service.kill();
    pcheck.until("Try to restart");
    pcheck.up(&host.svc());
    drop(silent);
    until("there is room", || answer(connect(&house), b"x\n").contains("this is not a request"));
    for bytes in [b"\n".as_slice(), b"\0\xff\n", b"GET / HTTP/1.1\r\n\r\n", b"{\"version\":9,\"request\":\"ping\"}\n"] {
        assert!(answer(connect(&house), bytes).starts_with(r#"{"version":1,"answer":{"refused":"#));
    }
    assert!(
        answer(connect(&house), b"{\"version\":1,\"request\":\"ping\"}\n").contains("this is where a pcheck joins")
    );
    assert!(answer(connect(&house), &vec![b'x'; 1 << 20]).contains("more than 65536 bytes"));
    // One who asks for what is watched already, and one who asks for what is none.
    assert!(answer(connect(&house), join_line(&host.pfile()).as_bytes()).contains("already watched by"));
    let none = host.write("none", "nonsense");
    assert!(answer(connect(&house), join_line(&none).as_bytes()).contains("\"failed\""));
    assert!(answer(connect(&house), join_line(&host.path("")).as_bytes()).contains("\"failed\""));
    // Those who have joined and then say nonsense, or end lines never, have gone.
    let script = host.script("none.sh", ":");
    let other = host.write("other", &format!("IPCKEY 0x2\n{}:{script}:86400:3:exit\n", host.install("other")));
    for words in
        [b"nonsense\n".to_vec(), vec![b'x'; 1 << 20], br#"{"run_started":{"run":7,"pid":1,"start":1}}"#.to_vec()]
    {
        let mut stream = connect(&house);
        stream.write_all(join_line(&other).as_bytes()).unwrap();
        daemon.until("Watched from now on: ");
        let _sent = stream.write_all(&words);
        let _shut = stream.shutdown(std::net::Shutdown::Write);
        daemon.until("nobody watches it any more");
    }
    // One that joins and takes nothing: it is not waited for.
    let mut deaf = connect(&house);
    deaf.write_all(join_line(&other).as_bytes()).unwrap();
    daemon.until("Watched from now on: ");
    for _ in 0..3 {
        kill(host.pid_of(1));
        pcheck.until(" Up");
    }
    drop(deaf);
    daemon.until("nobody watches it any more");
    pcheck.stop();
    daemon.until("Ended: pcheck[");
    daemon.stop();
}

#[test]
fn of_many_that_join_for_one_pfile_at_once_one_does() {
    let (house, _service) = House::serving(Tier::best(), "3:exit");
    let mut daemon = house.daemon();
    for _ in 0..5 {
        let all: Vec<_> = (0..6).map(|_| Pcheck::start(&mut house.pcheck())).collect();
        let line = daemon.until("Watched from now on: ").pop().unwrap();
        let (mut winners, losers): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|pcheck| line.contains(&format!("pcheck[{}]", pcheck.pid())));
        for loser in losers {
            let (lines, code) = loser.end();
            assert_eq!(code, Some(2), "{lines:#?}");
            assert!(
                lines.last().unwrap().contains("already watched by") || lines.last().unwrap().contains("in use"),
                "{lines:#?}"
            );
        }
        let mut winner = winners.pop().unwrap();
        winner.until(" Up");
        winner.stop();
        daemon.until("Ended: pcheck[");
    }
    daemon.stop();
}

#[test]
fn one_that_is_killed_at_any_moment_leaves_nothing_behind() {
    let (house, _service) = House::serving(Tier::best(), "3:exit");
    let mut daemon = house.daemon();
    for step in 0..40_u64 {
        let pcheck = Pcheck::start(&mut house.pcheck());
        // Not waiting for anything: the moments in which it is killed are the point.
        sleep(Duration::from_micros(step * 500));
        pcheck.kill();
    }
    is_unwatched(&house);
    let mut pcheck = Pcheck::started(&mut house.pcheck());
    pcheck.until(" Up");
    daemon.until(&format!("Watched from now on: 1 entry of pcheck[{}]", pcheck.pid()));
    assert_eq!(house.starts(), 0);
    pcheck.stop();
    daemon.until("Ended: pcheck[");
    daemon.stop();
}

#[test]
fn a_daemon_that_is_killed_at_any_moment_leaves_nothing_unwatched_and_nothing_done_twice() {
    let (house, service) = House::serving(Tier::best(), "99:exit");
    let host = &house.host;
    let mut pid = service.pid;
    for step in 0..12_u64 {
        let daemon = house.daemon();
        let mut pcheck = Pcheck::start(&mut house.pcheck());
        if step % 2 == 0 {
            pcheck.until(" Up");
            kill(pid);
            sleep(Duration::from_micros(step * 800));
            daemon.kill();
            // The same death is told by the one or by the other, or by both; the process is brought back once.
            until("it is back", || house.starts() as u64 == step / 2 + 1);
            until("it is watched", || {
                let ended = host.ask(&["padmin", "--json", "-c", "show pent 1"]);
                let entry =
                    serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap_or_default()["entries"][0].clone();
                let now = entry["pid"].as_u64().and_then(|now| Pid::new(now as u32));
                let is_back = entry["doing"] == "watching" && now.is_some_and(|now| now != pid);
                pid = if is_back { now.unwrap() } else { pid };
                is_back
            });
        } else {
            sleep(Duration::from_micros(step * 1_000));
            daemon.kill();
            pcheck.until(" Up");
        }
        assert_eq!(pcheck.end_by_term().1, Some(0));
        assert_eq!(house.starts() as u64, step / 2 + 1, "one death, one script");
    }
}
