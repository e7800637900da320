//! The log with readers that are slow, gone, late, or of another kind.

use std::{
    fs::File,
    io::{Read as _, Write as _, pipe},
    os::unix::net::{UnixDatagram, UnixListener},
    path::Path,
};

use super::{outlet::MOST, *};

const LIMIT: Duration = Duration::from_secs(20);

fn nowhere() -> Stderr {
    Stderr::at(File::create("/dev/null").unwrap())
}

fn log_to(socket: &Path) -> Log {
    Log::with(LogTo::Syslog, "pcheck", socket.to_owned(), nowhere())
}

fn reader(socket: &Path) -> UnixDatagram {
    let reader = UnixDatagram::bind(socket).unwrap();
    reader.set_read_timeout(Some(LIMIT)).unwrap();
    reader
}

fn read(reader: &UnixDatagram) -> Vec<u8> {
    let mut line = vec![0; 8192];
    let length = reader.recv(&mut line).unwrap();
    line.truncate(length);
    line
}

fn message(line: &[u8]) -> String {
    let start = format!(" pcheck[{}]: ", own::pid());
    let text = String::from_utf8_lossy(line).into_owned();
    text.split_once(&start).unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[test]
fn lines_have_the_form_of_the_c_library() {
    let wall = Wall { unix_ns: 1_318_383_648_999_999_999 };
    let line = stamped("pcheck", Level::Error, b"Process [/usr/bin/java,pid=1] Down", wall);
    let expected =
        format!("<27>{} pcheck[{}]: Process [/usr/bin/java,pid=1] Down", local_time::syslog_stamp(wall), own::pid());
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    let levels = [Level::Critical, Level::Error, Level::Warning, Level::Notice];
    let starts = levels.map(|level| stamped("pcheck", level, b"", wall).starts_with(b"<2"));
    assert_eq!(starts, [true; 4]);
    assert!(stamped("padmin", Level::Notice, b"", wall).starts_with(b"<29>"));
}

#[test]
fn a_line_is_sent_as_it_is_but_for_control_characters_and_length() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let reader = reader(&socket);
    let mut log = log_to(&socket);
    log.tell(Level::Notice, "(/usr/bin/サービス ,pid=1) Up".as_bytes());
    assert_eq!(message(&read(&reader)), "(/usr/bin/サービス ,pid=1) Up");
    log.tell(Level::Notice, b"one\ntwo");
    assert_eq!(message(&read(&reader)), "one#012two");
    log.tell(Level::Notice, "あ".repeat(1000).as_bytes());
    assert_eq!(message(&read(&reader)), "あ".repeat(682));
    log.tell(Level::Notice, &[0xff; 3000]);
    assert!(read(&reader).ends_with(&[0xff; 2048]));
    assert!(!log.must_flush() && log.try_again.is_none());
}

#[tokio::test]
async fn without_a_reader_lines_wait_with_their_time_and_the_operator_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let (mut said, stderr) = pipe().unwrap();
    let mut log = Log::with(LogTo::Syslog, "pcheck", socket.clone(), Stderr::at(stderr));
    assert!(tokio::time::timeout(Duration::from_millis(10), log.ready()).await.is_err(), "nothing to wait for");
    log.tell(Level::Notice, b"one");
    log.tell(Level::Notice, b"two");
    assert!(log.must_flush());
    let reader = reader(&socket);
    tokio::time::timeout(LIMIT, log.ready()).await.unwrap();
    log.retry();
    assert_eq!([message(&read(&reader)), message(&read(&reader))], ["one", "two"]);
    assert!(!log.must_flush());
    drop(log);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    let (pid, place) = (own::pid(), socket.display());
    let why = "No such file or directory (os error 2)";
    assert_eq!(
        text,
        format!(
            "pcheck[{pid}]: syslog cannot be reached ({place}: {why}): messages wait for it; --log stderr shows them here\n"
        )
    );
}

#[test]
fn who_ends_at_once_does_not_promise_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (mut said, stderr) = pipe().unwrap();
    let log = Log::with(LogTo::Syslog, "padmin", folder.path().join("log"), Stderr::at(stderr));
    let mut log = log.for_once();
    log.tell(Level::Notice, b"one");
    drop(log);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("(os error 2)): messages are lost; --log stderr shows them here\n"), "{text}");
}

#[test]
fn a_reader_that_does_not_read_blocks_nobody_and_losses_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let reader = reader(&socket);
    let mut log = log_to(&socket);
    let all = 3 * MOST;
    for number in 0..all {
        log.tell(Level::Notice, number.to_string().as_bytes());
    }
    let lost = log.syslog_lost();
    assert!(lost > 0);
    let mut seen = Vec::new();
    while log.must_flush() {
        seen.push(message(&read(&reader)));
        log.retry();
    }
    reader.set_nonblocking(true).unwrap();
    let mut line = [0; 8192];
    while let Ok(length) = reader.recv(&mut line) {
        seen.push(message(&line[..length]));
    }
    assert_eq!(seen.len() as u64, all as u64 - lost + 1);
    let at = seen.iter().position(|line| *line == format!("{lost} messages lost")).unwrap();
    assert_eq!(seen[at + 1], (at as u64 + lost).to_string(), "the oldest that waited are lost");
    assert_eq!(seen.last().unwrap(), &(all - 1).to_string());
}

#[test]
fn where_many_are_watched_more_may_wait() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let reader = reader(&socket);
    let mut log = log_to(&socket);
    let entries = 2 * MOST;
    log.expect_of(entries);
    let all = entries * OF_A_RESTART;
    for number in 0..all {
        log.tell(Level::Notice, number.to_string().as_bytes());
    }
    assert!(log.must_flush(), "all of it fits the socket");
    for number in 0..all {
        log.retry();
        assert_eq!(message(&read(&reader)), number.to_string());
    }
    log.expect_of(0);
    for number in 0..all {
        log.tell(Level::Notice, number.to_string().as_bytes());
    }
    assert!(log.syslog_lost() > 0);
}

impl Log {
    fn syslog_lost(&self) -> u64 {
        self.syslog.lost()
    }
}

#[test]
fn a_reader_that_is_started_again_gets_the_next_line() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let first = reader(&socket);
    let mut log = log_to(&socket);
    log.tell(Level::Notice, b"one");
    assert_eq!(message(&read(&first)), "one");
    drop(first);
    log.tell(Level::Notice, b"while it is away");
    assert!(log.must_flush());
    std::fs::remove_file(&socket).unwrap();
    let second = reader(&socket);
    log.flush(LIMIT);
    assert_eq!(message(&read(&second)), "while it is away");
    drop(second);
    std::fs::remove_file(&socket).unwrap();
    let third = reader(&socket);
    log.tell(Level::Notice, b"two");
    assert_eq!(message(&read(&third)), "two");
}

#[test]
fn a_reader_of_streams_gets_lines_that_end_in_a_zero() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut log = log_to(&socket);
    log.tell(Level::Notice, b"one");
    let (mut stream, _) = listener.accept().unwrap();
    let line = vec![b'x'; 2048];
    for _ in 0..500 {
        log.tell(Level::Notice, &line);
    }
    assert!(log.must_flush(), "nobody reads");
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map(|_| all).unwrap()
    });
    log.flush(LIMIT);
    assert!(!log.must_flush());
    drop(log);
    let all = reading.join().unwrap();
    let lines: Vec<_> = all.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0).collect();
    assert_eq!((lines.len(), message(lines[0])), (501, "one".to_owned()));
    assert!(lines[1..].iter().all(|found| found.ends_with(&line) && found.starts_with(b"<29>")));
}

#[test]
fn standard_error_gets_exactly_the_message() {
    let (mut said, stderr) = pipe().unwrap();
    let mut log = Log::with(LogTo::Both, "padmin", "/nowhere/log".into(), Stderr::at(stderr));
    log.complained = true;
    log.tell(Level::Notice, b"Command execute. [stop] pfile='/a'");
    drop(log);
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("padmin[{}]: Command execute. [stop] pfile='/a'\n", own::pid()));
}

#[test]
fn standard_error_that_nobody_reads_or_that_is_closed_stops_nobody() {
    let (mut said, mut stderr) = pipe().unwrap();
    let filler = vec![b'x'; 65536];
    stderr.write_all(&filler).unwrap();
    let mut log = Log::with(LogTo::Stderr, "pcheck", "/nowhere/log".into(), Stderr::at(stderr));
    log.tell(Level::Notice, b"later");
    assert!(log.must_flush());
    said.read_exact(&mut vec![0; filler.len()]).unwrap();
    log.flush(LIMIT);
    let mut text = [0; 100];
    let length = said.read(&mut text).unwrap();
    assert!(text[..length].ends_with(b"]: later\n"));
    drop(said);
    log.tell(Level::Notice, b"to nobody");
    assert!(!log.must_flush());
}
