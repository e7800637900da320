//! What start scripts write down, and what tools say, in one channel.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    sync::mpsc::Sender,
    thread,
};

use watcher::sys::clock;
use watcher_core::Mono;

use crate::ground::Worker;

#[derive(Debug)]
pub(crate) enum News {
    /// A start script began to run, by its own clock; worker 0: one that is for nobody in particular.
    Began(Mono, Worker),
    /// A tool has said something, and when that was read.
    Said(Mono, String),
}

/// Reads stamps for as long as anybody listens.
pub(crate) fn read_stamps(fifo: &Path, news: Sender<News>) {
    // Both of its ends: it is never at its end, and no script waits until it is opened.
    let stamps = File::options().read(true).write(true).open(fifo).expect("both of its ends");
    thread::spawn(move || {
        for line in BufReader::new(stamps).lines() {
            let line = line.expect("text");
            let (at, worker) = line.split_once(' ').expect("two numbers");
            let began = News::Began(Mono(at.parse().expect("a time")), worker.parse().expect("a worker"));
            if news.send(began).is_err() {
                break;
            }
        }
    });
}

/// Reads what a tool says for as long as it can be heard, so that it never has to wait.
pub(crate) fn read_said(stream: impl Read + Send + 'static, news: Sender<News>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let said = News::Said(clock::now(), String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
            if news.send(said).is_err() {
                break;
            }
        }
    });
}
