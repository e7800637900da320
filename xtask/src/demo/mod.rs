//! `demo`: see it work. A real service is watched and killed, and the line comes; then it is kept alive, until that fails.

mod restart;

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use xshell::{Shell, cmd};

use crate::{build, say, setup, step};

const CONFIGURATION: &str = "
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server { listen unix:socket; }
}
";

/// Runs the task; takes root.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    setup::ensure(shell)?;
    let watcher = build::release(shell)?;
    step("demo");
    let folder = tempfile::tempdir()?;
    shell.write_file(folder.path().join("nginx.conf"), CONFIGURATION)?;
    let mut service = Service::start(folder.path())?;
    let pid = service.0.id().to_string();
    say(&format!("a service runs: nginx, pid {pid}"));

    let mut watch = Command::new(&watcher);
    watch.args(["watch", &pid]).stdout(Stdio::piped()).stderr(Stdio::piped());
    say(&format!("$ watcher watch {pid}"));
    let mut watch = Service(watch.spawn()?);
    let talk = BufReader::new(watch.0.stderr.take().context("piped")?);
    let mut talk = talk.lines();
    loop {
        let line = talk.next().context("watcher ended before it watched")??;
        say(&line);
        if line.contains("watching") {
            break;
        }
    }
    say(&format!("$ kill -9 {pid}"));
    cmd!(shell, "kill -9 {pid}").quiet().run()?;
    let mut line = String::new();
    BufReader::new(watch.0.stdout.take().context("piped")?).read_line(&mut line)?;
    say(line.trim_end());
    ensure!(line.contains("nginx: killed by SIGKILL"), "the death was not told");
    ensure!(watch.0.wait()?.success(), "watcher did not end well");
    service.0.wait()?;
    restart::show(shell, &watcher)?;
    say(&format!("it is yours: {} --help", watcher.display()));
    Ok(())
}

/// A child that does not outlive the demo.
struct Service(Child);

impl Service {
    fn start(folder: &std::path::Path) -> anyhow::Result<Self> {
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "error.log"]);
        // nginx takes the path of a socket from where it stands.
        command.current_dir(folder).stdin(Stdio::null());
        let service = Self(command.spawn().context("nginx does not start")?);
        let socket = folder.join("socket");
        for _ in 0..1_000 {
            if socket.exists() {
                return Ok(service);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("nginx does not listen after ten seconds")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}
