//! The real thing: lines as syslog gets them, and a syslog that is absent or does not read (section 5 of the spec).

use std::{os::unix::net::UnixDatagram, process::Command};

use watcher_tests::{
    host::{Host, Tier, kill, on_each_tier},
    pcheck::{Pcheck, die_with_the_test},
    program::{built, run},
    wait::{DEADLINE, until},
};

/// A command in a mount namespace of its own, where `/dev` has nothing but what every program takes for granted (`urandom`, where
/// the kernel is older than `getrandom`), and `log`: the host's socket.
fn with_own_dev(host: &Host) -> Command {
    let script = r#"d=$1/dev.$$ && shift && mkdir $d && for file in null urandom; do
        touch $d/$file && mount --bind /dev/$file $d/$file || exit 99; done &&
        ln -s ${d%/*}/log $d/log && mount --rbind $d /dev && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", &host.path("")]).arg(built("watcher"));
    die_with_the_test(&mut command);
    command
}

fn pcheck(host: &Host, tier: Tier) -> Command {
    let mut command = with_own_dev(host);
    command.args(["pcheck", "-f", &host.pfile(), "--run-dir", &host.run_dir(), "--tier", tier.name()]);
    command
}

struct Syslog(UnixDatagram);

impl Syslog {
    fn of(host: &Host) -> Self {
        let socket = UnixDatagram::bind(host.path("log")).unwrap();
        socket.set_read_timeout(Some(*DEADLINE)).unwrap();
        Self(socket)
    }

    /// The next line: its priority, and what follows the stamp.
    fn next(&self) -> (u32, String) {
        let mut line = [0; 8192];
        let length = self.0.recv(&mut line).unwrap();
        let line = String::from_utf8(line[..length].to_vec()).unwrap();
        let (priority, rest) = line.strip_prefix('<').and_then(|line| line.split_once('>')).unwrap();
        // Such as `Nov  1 02:03:04 `.
        let (stamp, text) = rest.split_at(16);
        let shape: String = stamp.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
        assert!(shape.ends_with(" 00:00:00 ") && stamp[..3].chars().all(char::is_alphabetic), "{line}");
        (priority.parse().unwrap(), text.to_owned())
    }
}

#[test]
fn lines_arrive_as_the_original_writes_them_with_the_daemon_facility() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:0:shutdown", host.restarts("start.sh", "")));
        let first = host.start("");
        let syslog = Syslog::of(&host);
        let mut command = pcheck(&host, tier);
        let mut child =
            command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let next = || {
            let (priority, text) = syslog.next();
            let text = text.strip_prefix(&format!("pcheck[{pid}]: ")).unwrap_or_else(|| panic!("{text}")).to_owned();
            (priority, text)
        };
        let (priority, start) = next();
        assert!(priority == 29 && start.starts_with("Start pcheck: 1 entry of "), "{start}");
        assert_eq!(next(), (29, format!("({svc} ,pid={}) Up", first.pid)));
        let mut padmin = with_own_dev(&host);
        let stopped = run(padmin.args(["padmin", "-f", &host.pfile(), "--run-dir", &host.run_dir(), "-c", "stop"]));
        assert_eq!((stopped.code, stopped.stderr.as_str()), (Some(0), ""));
        let (priority, line) = syslog.next();
        assert_eq!(priority, 29);
        assert!(line.starts_with("padmin["), "{line}");
        assert!(line.ends_with(&format!("]: Command execute. [stop] pfile='{}'", host.pfile())), "{line}");
        let mut padmin = with_own_dev(&host);
        run(padmin.args(["padmin", "-f", &host.pfile(), "--run-dir", &host.run_dir(), "-c", "start"]));
        assert!(syslog.next().1.contains("Command execute. [start] "));
        until("it is watched", || host.entry(1)["doing"] == "watching");
        first.kill();
        assert_eq!(next(), (27, format!("Process [{svc},pid={}] Down", first.pid)));
        let mut line = next();
        if line.1.starts_with("Process [") {
            assert_eq!(line.0, 29, "{line:?}");
            line = next();
        } else {
            assert!([Tier::Pidfd, Tier::Poll].contains(&tier));
        }
        assert_eq!(line, (26, format!("({svc}) RETRY_OVER:SHUTDOWN")));
        assert_eq!(child.wait().unwrap().code(), Some(3));
        let mut said = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
        assert_eq!(said, "", "syslog has all of it");
    });
}

#[test]
fn without_syslog_it_says_so_goes_on_and_tells_everything_when_syslog_comes() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        host.rules(&format!("{svc}:{}:86400:9:exit", host.restarts("start.sh", "")));
        let first = host.start("");
        let mut pcheck = Pcheck::start(&mut pcheck(&host, tier));
        let said = pcheck.line();
        assert!(said.starts_with("syslog cannot be reached (/dev/log: "), "{said}");
        until("it watches", || host.padmin("show param").code == Some(0) && host.entry(1)["proc_sts"] == "AVAIL");
        first.kill();
        until("it restarts", || host.entry(1)["restart_count"] == 1 && host.entry(1)["proc_sts"] == "AVAIL");
        let syslog = Syslog::of(&host);
        assert!(syslog.next().1.contains("Start pcheck: "));
        let lines: Vec<_> = std::iter::repeat_with(|| syslog.next().1)
            .filter(|line| !line.contains(" killed by "))
            .take(4)
            .map(|line| line.split_once("]: ").unwrap().1.to_owned())
            .collect();
        let second = host.pid_of(1);
        let story = [
            format!("({svc} ,pid={}) Up", first.pid),
            format!("Process [{svc},pid={}] Down", first.pid),
            format!("Try to restart ({svc})"),
            format!("({svc} ,pid={second}) Up"),
        ];
        assert_eq!(lines, story);
        pcheck.signal(libc::SIGTERM);
        assert!(syslog.next().1.ends_with("SIGTERM Catch (15)!!"));
        assert_eq!(pcheck.end(), (vec![], Some(0)));
    });
}

#[test]
fn a_syslog_that_does_not_read_stops_nobody_and_what_is_lost_is_counted() {
    on_each_tier(|tier| {
        let host = Host::new();
        let svc = host.svc();
        // Each restart fills some lines.
        let body = "for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do echo $line; done\n\
                    ${H}svc </dev/null >/dev/null 2>&1 &";
        host.rules(&format!("{svc}:{}:0:1000000:exit", host.script("start.sh", body)));
        let syslog = Syslog::of(&host);
        let pcheck = Pcheck::start(&mut pcheck(&host, tier));
        until("it watches", || host.padmin("show param").code == Some(0) && host.entry(1)["proc_sts"] == "AVAIL");
        // Orders are told as well, and are faster than restarts.
        for value in 1..=1_100 {
            assert!(fast_order(&host, value), "{value}");
        }
        let before = host.pid_of(1);
        kill(before);
        until("it restarts", || host.entry(1)["restart_count"] == 2 && host.entry(1)["proc_sts"] == "AVAIL");
        // Now it reads: what fitted its queue, how many are missing, and then the last of them.
        let mut lines = Vec::new();
        let second = host.pid_of(1);
        let last = format!("({svc} ,pid={second}) Up");
        while lines.last().is_none_or(|line: &String| !line.ends_with(&last)) {
            lines.push(syslog.next().1);
        }
        let at = lines.iter().position(|line| line.ends_with(" messages lost")).expect("the loss is told");
        let lost: usize = lines[at].split("]: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        // One entry is watched: a restart of it more than a thousand.
        let most = 1_008;
        assert_eq!(lines.len() - at - 1, most, "up to the bound nothing is lost");
        let numbers: Vec<usize> =
            lines[at..].iter().filter_map(|line| line.split("Set grace ").nth(1)?.parse().ok()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "those that went were the oldest");
        // A start without the process, orders, a death with or without its cause.
        let causes = lines.iter().filter(|line| line.contains(" killed by ")).count();
        let told = 1 + (3 + 19) + 1_100 + (3 + 19) + causes;
        assert_eq!(at + lost + most, told, "each is passed on, or counted as lost");
        pcheck.signal(libc::SIGTERM);
        assert_eq!(pcheck.end(), (vec![], Some(0)));
    });
}

/// An order, without the cost of a process.
fn fast_order(host: &Host, value: u32) -> bool {
    use std::io::{BufRead as _, BufReader, Write as _};
    let socket = std::os::unix::net::UnixStream::connect(host.own_dir().join("control")).unwrap();
    let request = format!("{{\"version\":1,\"request\":{{\"set_grace\":{{\"entry\":1,\"seconds\":{value}}}}}}}\n");
    (&socket).write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(&socket).read_line(&mut answer).unwrap();
    answer.contains("\"done\"")
}
