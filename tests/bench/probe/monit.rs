//! monit: a `check host` an endpoint. It asks them one after the other, then rests for a cycle.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::{
    endpoints::{Endpoints, Scheme},
    kept::Kept,
};

pub(crate) struct Monit {
    pub(crate) kept: Kept,
}

impl Monit {
    pub(crate) fn start(folder: &Path, peers: &Path, endpoints: &Endpoints, interval: u64) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let mut text = format!(
            "set daemon {interval}\nset pidfile {}\nset idfile {}\nset statefile {}\n",
            at("monit.pid"),
            at("monit.id"),
            at("monit.state")
        );
        let protocol = match endpoints.scheme {
            Scheme::Http => "protocol http",
            // It takes any certificate, as the others do here.
            Scheme::Https => "with ssl options { verify: disable, selfsigned: allow } protocol https",
        };
        for (number, endpoint) in endpoints.all().enumerate() {
            let (host, port) = (endpoint.ip(), endpoint.port());
            writeln!(
                text,
                "check host e{number} with address {host}\n  \
                 if failed port {port} {protocol} method HEAD request \"/\" status = 200 with timeout 5 seconds then alert"
            )
            .expect("text");
        }
        let file = folder.join("monitrc");
        fs::write(&file, text).expect("room");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        let mut command = Command::new(peers.join("usr/bin/monit"));
        command.args(["-I", "-c", &at("monitrc"), "-l", &at("monit.log")]);
        Self { kept: Kept::start(&command, &folder.join("monit.said")) }
    }

    /// How often it has said that somebody does not answer.
    pub(crate) fn failures(&self, folder: &Path) -> usize {
        fs::read_to_string(folder.join("monit.log")).unwrap_or_default().matches("failed").count()
    }
}
