//! blackbox_exporter, and what stands for the Prometheus that asks it. What that costs is told, but not counted.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddrV4, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use watcher_tests::wait::until;

use crate::{
    endpoints::{Endpoints, Scheme},
    kept::Kept,
};

const ADDRESS: &str = "127.77.255.1:19115";

/// Connections to it, as Prometheus keeps them.
const SCRAPERS: usize = 8;

pub(crate) struct Blackbox {
    pub(crate) kept: Kept,
    ended: Arc<AtomicBool>,
    failures: Arc<AtomicUsize>,
    scrapers: Vec<JoinHandle<()>>,
}

impl Blackbox {
    pub(crate) fn start(folder: &Path, peers: &Path, endpoints: &Endpoints, interval: u64) -> Self {
        let config = "modules:\n  head:\n    prober: http\n    timeout: 5s\n    http:\n      method: HEAD\n      \
                      valid_status_codes: [200]\n      preferred_ip_protocol: ip4\n      \
                      tls_config: { insecure_skip_verify: true }\n";
        fs::write(folder.join("blackbox.yml"), config).expect("room");
        let mut command = Command::new(peers.join("usr/bin/prometheus-blackbox-exporter"));
        command.arg(format!("--config.file={}", folder.join("blackbox.yml").display()));
        command.arg(format!("--web.listen-address={ADDRESS}"));
        let kept = Kept::start(&command, &folder.join("blackbox.said"));
        until("blackbox_exporter listens", || TcpStream::connect(ADDRESS).is_ok());
        let (ended, failures) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let scheme = match endpoints.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let all: Arc<[SocketAddrV4]> = endpoints.all().collect();
        let pace = Duration::from_secs(interval) / endpoints.count as u32;
        let begun = Instant::now();
        let scraper = |nth: usize| {
            let (all, ended, failures) = (all.clone(), ended.clone(), failures.clone());
            thread::spawn(move || {
                let mut connection = connect();
                for number in (nth..).step_by(SCRAPERS) {
                    let due = begun + pace * number as u32;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let endpoint = all[number % all.len()];
                    if !scrape(&mut connection, scheme, endpoint) {
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let scrapers = (0..SCRAPERS).map(scraper).collect();
        Self { kept, ended, failures, scrapers }
    }

    /// How many probes have not succeeded.
    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }
}

impl Drop for Blackbox {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for scraper in self.scrapers.drain(..) {
            scraper.join().expect("it scrapes");
        }
    }
}

fn connect() -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(ADDRESS).expect("it listens"))
}

/// Asks for one probe. Whether that succeeded.
fn scrape(connection: &mut BufReader<TcpStream>, scheme: &str, endpoint: SocketAddrV4) -> bool {
    let request = format!(
        "GET /probe?module=head&target={scheme}://{endpoint}/ HTTP/1.1\r\nHost: {ADDRESS}\r\nAccept: text/plain\r\n\r\n"
    );
    connection.get_mut().write_all(request.as_bytes()).expect("it reads");
    let (mut length, mut line) = (None, String::new());
    while line != "\r\n" {
        line.clear();
        assert_ne!(connection.read_line(&mut line).expect("it answers"), 0, "it answers");
        let value = |name: &str| Some(line.to_ascii_lowercase().strip_prefix(name)?.trim().to_owned());
        length = length.or_else(|| value("content-length:").and_then(|value| value.parse().ok()));
    }
    let mut body = Vec::new();
    // Without a length it comes in chunks.
    while length.is_none() {
        line.clear();
        connection.read_line(&mut line).expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("its size");
        let mut chunk = vec![0; size + 2];
        connection.read_exact(&mut chunk).expect("all of it");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&chunk[..size]);
    }
    if let Some(length) = length {
        body.resize(length, 0);
        connection.read_exact(&mut body).expect("all of it");
    }
    String::from_utf8_lossy(&body).contains("\nprobe_success 1")
}
