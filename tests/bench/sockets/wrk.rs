//! wrk: what it is told, and what it says.

use std::{env, path::Path, process::Command};

/// Connections that it holds at the same time.
pub(crate) const CONNECTIONS: usize = 32;

/// How long a connection lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// One request.
    Each,
    /// All requests.
    Kept,
}

impl Connections {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Each => "a connection for each request",
            Self::Kept => "connections that are kept",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Milliseconds.
    pub(crate) p99: f64,
}

impl Run {
    /// Lets one thread of it ask this port for so long.
    pub(crate) fn of(peers: &Path, port: u16, connections: Connections, seconds: u64) -> Self {
        let mut wrk = Command::new(peers.join("usr/bin/wrk"));
        wrk.env("LD_LIBRARY_PATH", peers.join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH)));
        wrk.args(["--latency", "-t", "1", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s")]);
        if connections == Connections::Each {
            wrk.args(["-H", "Connection: close"]);
        }
        let output = wrk.arg(format!("http://127.0.0.1:{port}/")).output().expect("wrk starts");
        let said = String::from_utf8_lossy(&output.stdout);
        Self::read(&said).unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
    }

    fn read(said: &str) -> Option<Self> {
        let after = |head: &str| said.lines().find_map(|line| Some(line.trim().strip_prefix(head)?.trim().to_owned()));
        if after("Non-2xx").is_some() || after("Socket errors").is_some() {
            return None;
        }
        Some(Self { rate: after("Requests/sec:")?.parse().ok()?, p99: millis(&after("99%")?)? })
    }
}

fn millis(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text.get(number.len()..)? {
        "us" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}
