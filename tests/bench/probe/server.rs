//! Who answers: one nginx with one worker, for all tools the same. What it costs is not counted.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use watcher_tests::wait::until;

use crate::{
    endpoints::{Endpoints, Scheme},
    kept::Kept,
};

pub(crate) struct Server {
    nginx: Kept,
    log: PathBuf,
}

/// What the server saw in some time.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    /// Answered otherwise than by 200, or not asked by HEAD.
    pub(crate) odd: usize,
    /// Over sessions of TLS that were known already.
    pub(crate) resumed: usize,
    /// The version of TLS of the last one.
    pub(crate) protocol: String,
    /// Median time between two questions to the same endpoint.
    pub(crate) apart: Option<f64>,
}

impl Server {
    pub(crate) fn start(folder: &Path, endpoints: &Endpoints) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let (ssl, certificate) = match endpoints.scheme {
            Scheme::Http => ("", String::new()),
            Scheme::Https => {
                certify(folder);
                let (certificate, key) = (at("certificate"), at("key"));
                let text = format!(
                    "ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;\n"
                );
                (" ssl", text)
            }
        };
        let mut config = format!(
            "daemon off; worker_processes 1; worker_rlimit_nofile 40000; pid {}; error_log {} warn;\n\
             events {{ worker_connections 30000; }}\n\
             http {{\n\
             log_format bench '$msec $server_addr:$server_port $request_method $status $ssl_session_reused $ssl_protocol';\n\
             access_log {} bench;\n{certificate}\
             server {{\nlocation / {{ return 200 'as it should be'; }}\n",
            at("nginx.pid"),
            at("nginx.error"),
            at("nginx.log"),
        );
        for endpoint in endpoints.all() {
            writeln!(config, "listen {endpoint}{ssl};").expect("text");
        }
        config += "}\n}\n";
        fs::write(folder.join("nginx.conf"), config).expect("room");
        let mut command = Command::new("nginx");
        command.args(["-p", &at(""), "-c", &at("nginx.conf"), "-e", &at("nginx.error")]);
        let nginx = Kept::start(&command, &folder.join("nginx.said"));
        let server = Self { nginx, log: folder.join("nginx.log") };
        // It writes this when it has all its sockets.
        until("nginx listens", || {
            let said = fs::read_to_string(folder.join("nginx.error")).unwrap_or_default();
            assert!(!said.contains("[emerg]"), "nginx cannot run here: {said}");
            fs::metadata(folder.join("nginx.pid")).is_ok_and(|file| file.len() > 0)
        });
        server
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.nginx.pid
    }

    /// Waits until somebody has asked.
    pub(crate) fn await_first(&self) {
        until("somebody asks", || fs::metadata(&self.log).is_ok_and(|log| log.len() > 0));
    }

    /// What was asked between two times of the wall clock, by which nginx stamps.
    pub(crate) fn seen(&self, from: Duration, to: Duration) -> Seen {
        let text = fs::read_to_string(&self.log).expect("nginx writes it");
        let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
        let mut seen = Seen { requests: 0, odd: 0, resumed: 0, protocol: String::new(), apart: None };
        let (mut last, mut gaps) = (BTreeMap::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let [stamp, endpoint, method, status, session, protocol] = words[..] else { panic!("{line}") };
            let stamp: f64 = stamp.parse().expect("a number");
            if stamp < from || stamp >= to {
                continue;
            }
            seen.requests += 1;
            seen.odd += usize::from((method, status) != ("HEAD", "200"));
            seen.resumed += usize::from(session == "r");
            seen.protocol = protocol.to_owned();
            gaps.extend(last.insert(endpoint.to_owned(), stamp).map(|before| stamp - before));
        }
        gaps.sort_by(f64::total_cmp);
        seen.apart = gaps.get(gaps.len() / 2).copied();
        seen
    }
}

/// The time by which nginx stamps.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// A certificate that vouches for itself: ECDSA P-256.
fn certify(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join("certificate"), made.cert.pem()).expect("room");
    fs::write(folder.join("key"), made.signing_key.serialize_pem()).expect("room");
}
