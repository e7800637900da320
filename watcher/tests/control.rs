//! The control socket: clients that ask, and clients that misbehave. The engine of these tests answers from canned views.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod control_support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    thread,
    time::{Duration, Instant},
};

use control_support::{Engine, LIMIT, PATIENCE};
use watcher::control::{
    Command, Ended,
    client::{self, Answer, Failure},
};
use watcher_core::{Order, pfile::EntryNumber};

fn ask(engine: &Engine, command: &Command) -> Result<Answer, Failure> {
    client::ask(&engine.socket, command, LIMIT)
}

/// Sends bytes and reads whatever comes back.
fn converse(engine: &Engine, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(&engine.socket).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // A client that says too much is not listened to to the end.
    let _sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn questions_are_answered_from_views() {
    let engine = Engine::with_entries(3);
    let Ok(Answer::Entries(entries)) = ask(&engine, &Command::ShowEntries { entry: None }) else { panic!("entries") };
    let numbers: Vec<_> = entries.iter().map(|entry| (entry.entry, entry.doing.as_str())).collect();
    assert_eq!(numbers, [(1, "watching"), (2, "watching"), (3, "watching")]);
    assert_eq!(entries[0].process(), b"/opt/HA/PS/\xff");
    assert_eq!(entries[0].until_s, Some(2.5));
    let Ok(Answer::Param(param)) = ask(&engine, &Command::ShowParam) else { panic!("parameters") };
    assert_eq!((param.ipckey.as_str(), param.entries), ("0x1F000001", 3));
    let Ok(Answer::Who(who)) = ask(&engine, &Command::Ping) else { panic!("who") };
    assert_eq!((who.pid, who.pfile.as_str()), (std::process::id(), engine.pfile.as_str()));
}

#[test]
fn orders_are_done_or_refused_by_a_sentence() {
    let engine = Engine::with_entries(3);
    assert_eq!(ask(&engine, &Command::Order(Order::Dump)).unwrap(), Answer::Done);
    let refused = ask(&engine, &Command::ShowEntries { entry: Some(EntryNumber::of_index(6)) }).unwrap_err();
    assert_eq!(refused.to_string(), "there is no entry 7: the pfile has entries 1 to 3");
    assert_eq!(engine.orders(), [Order::Dump]);
}

#[test]
fn many_entries_are_answered_whole() {
    let engine = Engine::with_entries(10_000);
    let Ok(Answer::Entries(entries)) = ask(&engine, &Command::ShowEntries { entry: None }) else { panic!("entries") };
    assert_eq!(entries.len(), 10_000);
}

#[test]
fn a_thousand_clients_one_after_the_other_are_served() {
    let engine = Engine::with_entries(1);
    for _ in 0..1_000 {
        assert!(matches!(ask(&engine, &Command::Ping), Ok(Answer::Who(_))));
    }
}

#[test]
fn of_a_hundred_at_once_each_is_served_or_told_that_there_are_too_many() {
    let engine = Engine::patient();
    // These take all the room there is, and say nothing.
    let silent: Vec<_> = (0..64).map(|_| UnixStream::connect(&engine.socket).unwrap()).collect();
    let socket = engine.socket.as_path();
    let one = || match client::ask(socket, &Command::Ping, LIMIT) {
        Ok(_) => false,
        Err(Failure::Refused(why)) => {
            assert!(why.starts_with("64 others are asking"), "{why}");
            true
        }
        Err(other) => panic!("{other}"),
    };
    let refused = |one: &(dyn Fn() -> bool + Sync)| {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..100).map(|_| scope.spawn(one)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).filter(|refused| *refused).count()
        })
    };
    assert_eq!(refused(&one), 100);
    drop(silent);
    until(|| ask(&engine, &Command::Ping).is_ok());
    assert!(refused(&one) <= 36);
}

#[test]
fn garbage_is_answered_by_a_sentence() {
    let engine = Engine::with_entries(1);
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"\n",
        b"\0\xff\xfe\n",
        b"{}\n",
        br#"{"version":1,"request":{"events":{"follow":true}}"#,
    ] {
        let mut stream = UnixStream::connect(&engine.socket).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _read = stream.read_to_string(&mut answer);
        assert!(answer.starts_with(r#"{"version":1,"answer":{"refused":{"why":""#), "{garbage:?}: {answer}");
    }
    assert!(converse(&engine, &vec![b'x'; 1 << 20]).contains("more than 65536 bytes"));
    assert!(converse(&engine, b"{\"version\":9,\"request\":\"ping\"}\n").contains("version 9"));
    assert!(ask(&engine, &Command::Ping).is_ok());
}

#[test]
fn a_client_that_goes_in_the_middle_harms_nobody() {
    let engine = Engine::with_entries(10_000);
    for request in ["", "{\"vers", "{\"version\":1,\"request\":{\"show_entries\":{}}}\n"] {
        for _ in 0..100 {
            let mut stream = UnixStream::connect(&engine.socket).unwrap();
            // Where the server was faster it has hung up first.
            let _sent = stream.write_all(request.as_bytes());
        }
    }
    until(|| ask(&engine, &Command::Ping).is_ok());
}

#[test]
fn a_client_that_does_not_ask_or_does_not_read_is_dropped_and_holds_up_nobody() {
    let engine = Engine::with_entries(10_000);
    let mut silent = UnixStream::connect(&engine.socket).unwrap();
    let mut deaf = UnixStream::connect(&engine.socket).unwrap();
    deaf.write_all(b"{\"version\":1,\"request\":{\"show_entries\":{}}}\n").unwrap();
    let begun = Instant::now();
    let mut answered = 0;
    while begun.elapsed() < PATIENCE * 2 {
        assert!(matches!(ask(&engine, &Command::Ping), Ok(Answer::Who(_))));
        answered += 1;
    }
    assert!(answered > 2, "one for each of the two that were waited for, if they had held up anybody");
    let mut answer = String::new();
    let _read = silent.read_to_string(&mut answer);
    assert!(answer.contains("no request came within 0.5 s"), "{answer}");
    let mut answer = Vec::new();
    let _read = deaf.read_to_end(&mut answer);
    assert!(answer.iter().filter(|byte| **byte == b'\n').count() < 10_000, "it was not waited for");
}

#[test]
fn a_time_limit_is_kept_where_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    let _mute = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let begun = Instant::now();
    let failure = client::ask(&path, &Command::Ping, Duration::from_millis(300)).unwrap_err();
    assert!(matches!(failure, Failure::TimedOut(_)), "{failure}");
    assert!(begun.elapsed() < LIMIT);
}

#[test]
fn the_socket_replaces_a_stale_one_is_private_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(client::ask(&path, &Command::Ping, LIMIT), Err(Failure::Absent)), "nobody listens");
    let engine = Engine::at(folder.path().to_owned(), 1);
    assert!(ask(&engine, &Command::Ping).is_ok());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
    drop(engine);
    assert!(!path.exists(), "the socket goes with the server");
    let engine = Engine::at(folder.path().to_owned(), 1);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    drop(engine);
    assert!(path.exists(), "what others have put there stays");
    assert!(matches!(client::ask(&folder.path().join("none"), &Command::Ping, LIMIT), Err(Failure::Absent)));
}

#[test]
fn events_are_followed_to_their_end() {
    let engine = Engine::with_entries(1);
    let follow = Command::Events { follow: true, last: Some(2) };
    let mut stream = client::follow(&engine.socket, &follow, LIMIT).unwrap();
    engine.publish("{\"event\":\"up\"}", 3);
    engine.end();
    stream.rest.set_read_timeout(Some(LIMIT)).unwrap();
    let mut text = stream.begun;
    stream.rest.read_to_end(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        text,
        "{\"event\":\"old\"}\n{\"event\":\"old\"}\n{\"event\":\"up\"}\n{\"event\":\"up\"}\n{\"event\":\"up\"}\n"
    );
}

#[test]
fn a_follower_that_is_too_slow_is_told_how_much_it_lost_and_goes_on() {
    let engine = Engine::with_entries(1);
    let follow = Command::Events { follow: true, last: None };
    let mut stream = client::follow(&engine.socket, &follow, LIMIT).unwrap();
    engine.publish(&format!("{{\"event\":\"{}\"}}", "x".repeat(1_000)), 5_000);
    engine.publish("{\"event\":\"last\"}", 1);
    let mut text = stream.begun;
    stream.rest.set_read_timeout(Some(LIMIT)).unwrap();
    while !text.ends_with(b"{\"event\":\"last\"}\n") {
        let mut piece = [0; 4096];
        let read = stream.rest.read(&mut piece).unwrap();
        assert!(read > 0, "it was not told");
        text.extend_from_slice(&piece[..read]);
    }
    let text = String::from_utf8(text).unwrap();
    let lost =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["count"].as_u64());
    let lost: u64 = lost.sum();
    let came = text.lines().filter(|line| line.contains("xxx")).count() as u64;
    assert!(lost > 0);
    assert_eq!(lost + came, 5_000, "each was sent or counted");
}

#[test]
fn followers_that_go_make_room_though_nothing_happens() {
    let engine = Engine::with_entries(1);
    let follow = Command::Events { follow: true, last: None };
    for _ in 0..200 {
        until(|| client::follow(&engine.socket, &follow, LIMIT).is_ok());
    }
    until(|| ask(&engine, &Command::Ping).is_ok());
}

#[test]
fn whoever_waits_is_told_of_the_end_or_sees_that_nobody_tells() {
    let engine = Engine::with_entries(1);
    let waits = || client::wait(&engine.socket, LIMIT).unwrap();
    let (first, second) = (waits(), waits());
    let in_vain = waits().end(Some(Duration::from_millis(100))).unwrap_err();
    assert!(matches!(in_vain, Failure::TimedOut(_)), "{in_vain}");
    assert!(matches!(waits().end(Some(Duration::ZERO)), Err(Failure::TimedOut(_))), "it is watched still");
    ask(&engine, &Command::Order(Order::Shutdown)).unwrap();
    assert_eq!(first.end(None).unwrap(), Ended::Asked);
    assert_eq!(second.end(Some(LIMIT)).unwrap(), Ended::Asked);
    let engine = Engine::with_entries(1);
    let waiting = client::wait(&engine.socket, LIMIT).unwrap();
    engine.end();
    let vanished = waiting.end(None).unwrap_err();
    assert!(matches!(vanished, Failure::Broken(_)), "{vanished}");
}

#[test]
fn those_who_wait_and_go_make_room() {
    let engine = Engine::with_entries(1);
    for _ in 0..200 {
        until(|| client::wait(&engine.socket, LIMIT).is_ok());
    }
    until(|| ask(&engine, &Command::Ping).is_ok());
}

fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "it never comes");
        thread::sleep(Duration::from_millis(1));
    }
}
