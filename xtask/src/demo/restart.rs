//! The second half of the demo: a service is kept alive by pcheck, until its script is broken.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{ChildStderr, Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::Service;
use crate::say;

/// Shows it.
pub(crate) fn show(shell: &Shell, watcher: &Path) -> anyhow::Result<()> {
    let place = Place::make(shell)?;
    let mut pcheck = place.pcheck(watcher)?;
    say("");
    say("pcheck keeps nginx alive by this pfile:");
    say("");
    indent(&shell.read_file(place.at("pfile"))?);
    say("");
    say("$ pcheck -f pfile          # nginx does not run yet");
    pcheck.listen_until(") Up")?;
    place.greet()?;

    say("$ sleep 1                  # two restarts are at least MONITOR_INTERVAL apart: a second of peace");
    std::thread::sleep(Duration::from_secs(1));
    let master = place.master(shell)?;
    say(&format!("$ kill -9 {master}             # its workers live on, and hold the socket"));
    let killed = SystemTime::now();
    cmd!(shell, "kill -9 {master}").quiet().run()?;
    pcheck.listen_until(") Up")?;
    place.greet()?;
    let (pfile, run_dir) = (place.at("pfile"), place.at("run"));
    let events = cmd!(shell, "{watcher} events -f {pfile} --run-dir {run_dir} --no-follow").quiet().read()?;
    Times::of(&events, killed)?.tell();
    say("$ padmin -f pfile -c show pent");
    indent(&cmd!(shell, "{watcher} padmin -f {pfile} --run-dir {run_dir} -c show pent").quiet().read()?);
    say("$ watcher why -f pfile");
    indent(&cmd!(shell, "{watcher} why -f {pfile} --run-dir {run_dir}").quiet().read()?);

    say("");
    say("and now the script is broken; this was the second of three retries:");
    place.script("#!/bin/sh\necho 'no such configuration'\nexit 1\n")?;
    let master = place.master(shell)?;
    say(&format!("$ kill -9 {master}"));
    cmd!(shell, "kill -9 {master}").quiet().run()?;
    pcheck.listen_until("FATAL")?;
    let code = pcheck.process.0.wait()?.code();
    say("$ echo $?                  # by this a cluster manager knows that the other node has to take over");
    say(&code.map_or_else(|| "killed".to_owned(), |code| code.to_string()));
    ensure!(code == Some(4), "the exit code of RETRY_OVER:EXIT is 4");
    Ok(())
}

/// A folder with all that the service needs. What is left of it ends with this.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn make(shell: &Shell) -> anyhow::Result<Self> {
        let place = Self { folder: tempfile::tempdir()? };
        let folder = place.folder.path().display();
        shell.write_file(
            place.at("nginx.conf"),
            "worker_processes 1; pid nginx.pid; error_log error.log; events {}\n\
             http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             server { listen unix:socket; location / { return 200 'hello'; } } }\n",
        )?;
        place.script(&format!(
            "#!/bin/sh\n\
             # Ends what is left of nginx, then starts it. rules/nginx has one for a host with one nginx.\n\
             cd {folder} || exit 1\n\
             [ -s nginx.pid ] && pkill -KILL --ns $$ --nslist pid -g \"$(cat nginx.pid)\"\n\
             rm -f socket\n\
             exec /usr/sbin/nginx -p {folder} -c nginx.conf -e error.log\n"
        ))?;
        let entry = format!("/usr/sbin/nginx:{folder}/restart.sh:86400:3:exit:include_strings=master process&{folder}");
        let param = "IPCKEY            0x1f0d0001\nMONITOR_INTERVAL  1";
        shell.write_file(place.at("pfile"), format!("{param}\nSHM_DUMP_FILE     {folder}/dump\n{entry}\n"))?;
        Ok(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Put in its place whole: it may be run at any time.
    fn script(&self, text: &str) -> anyhow::Result<()> {
        let new = self.at("new.sh");
        std::fs::write(&new, text)?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755))?;
        Ok(std::fs::rename(new, self.at("restart.sh"))?)
    }

    fn pcheck(&self, watcher: &Path) -> anyhow::Result<Pcheck> {
        let mut command = Command::new(watcher);
        command.args(["pcheck", "--log", "stderr", "-f"]).arg(self.at("pfile")).arg("--run-dir").arg(self.at("run"));
        let mut process = Service(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?);
        let log = BufReader::new(process.0.stderr.take().context("piped")?).lines();
        Ok(Pcheck { process, log })
    }

    fn master(&self, shell: &Shell) -> anyhow::Result<String> {
        Ok(shell.read_file(self.at("nginx.pid"))?.trim().to_owned())
    }

    /// Asks the service, as soon as it takes questions.
    fn greet(&self) -> anyhow::Result<()> {
        for _ in 0..1_000 {
            if let Some(answer) = self.ask() {
                say(&format!("nginx answers: {answer}"));
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("nginx does not answer after ten seconds")
    }

    fn ask(&self) -> Option<String> {
        let mut stream = UnixStream::connect(self.at("socket")).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().last().map(ToOwned::to_owned).filter(|last| !last.is_empty())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // No pid: nginx has not begun. Nobody in its group: it has ended.
        let pid = std::fs::read_to_string(self.at("nginx.pid")).unwrap_or_default();
        if let Ok(group) = pid.trim().parse::<u32>() {
            let _killed = Command::new("pkill").args(["-KILL", "-g", &group.to_string()]).status();
        }
    }
}

struct Pcheck {
    process: Service,
    log: Lines<BufReader<ChildStderr>>,
}

impl Pcheck {
    /// Shows what it says, until it has said this.
    fn listen_until(&mut self, last: &str) -> anyhow::Result<()> {
        for line in self.log.by_ref() {
            let line = line?;
            indent(&line);
            if line.contains(last) {
                return Ok(());
            }
        }
        bail!("pcheck has ended before it said {last:?}")
    }
}

/// What happened when, from the kill.
struct Times {
    down: Duration,
    script: Duration,
    up: Duration,
}

impl Times {
    fn of(events: &str, killed: SystemTime) -> anyhow::Result<Self> {
        let killed = killed.duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
        let events: Vec<Value> = events.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let after = |what: &str| {
            let times =
                events.iter().filter(|event| event["event"] == what).filter_map(|event| event["unix_time"].as_f64());
            let mut after = times.map(|time| time - killed).filter(|after| *after >= 0.0);
            after.next().map(Duration::from_secs_f64).with_context(|| format!("there was no {what}"))
        };
        Ok(Self { down: after("down")?, script: after("try_to_restart")?, up: after("up")? })
    }

    fn tell(&self) {
        let Self { down, script, up } = self;
        say(&format!("from the kill: known after {down:.1?}, restart begun after {script:.1?}, up after {up:.1?}"));
    }
}

fn indent(text: &str) {
    text.lines().for_each(|line| say(&format!("   {line}")));
}
