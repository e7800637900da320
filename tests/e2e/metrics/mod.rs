//! `--metrics`: figures for those who draw curves, and nothing for anybody else.

mod prometheus;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, net::UnixStream, process::CommandExt as _},
    path::Path,
    process::Command,
};

use watcher_tests::{
    host::{Host, Service, Tier, on_each_tier},
    pcheck::Pcheck,
    program::{run, watcher},
    server::free_port,
    wait::until,
};

/// A request, and all that comes back.
fn visit(socket: &str, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The same, however it goes: whoever has no place may be hung up on.
fn tries(socket: &str, request: &str) -> String {
    let mut answer = Vec::new();
    if let Ok(mut stream) = UnixStream::connect(socket) {
        let _hung_up = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer).map(|_| ()));
    }
    String::from_utf8(answer).unwrap()
}

/// The page.
fn page(socket: &str) -> String {
    let answer = visit(socket, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    page.to_owned()
}

/// Samples of a page, with their labels; each is there once.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let mut samples = BTreeMap::new();
    for line in lines {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(samples.insert(name.to_owned(), value.parse().unwrap()), None, "{line}");
    }
    samples
}

/// A pcheck with figures, and the socket where they are.
fn start(host: &Host, tier: Tier) -> (Pcheck, Service, String) {
    let (svc, socket) = (host.svc(), host.path("figures"));
    host.rules(&format!("{svc}:{}:86400:3:continue", host.restarts("start.sh", "")));
    let service = host.start("");
    let mut pcheck = Pcheck::started(host.pcheck(tier).args(["--metrics", &socket]));
    assert_eq!(pcheck.up(&svc), service.pid);
    (pcheck, service, socket)
}

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// Names of figures in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("watcher_") && !word.ends_with('_')).collect()
}

#[test]
fn every_figure_is_documented_and_rules_and_pictures_rest_on_no_other() {
    let host = Host::new();
    let (pcheck, _service, socket) = start(&host, Tier::best());
    let documented = names(DOCUMENT);
    let page = page(&socket);
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let unknown: Vec<_> = families.clone().filter(|name| !documented.contains(name)).collect();
    assert!(families.count() > 30 && unknown.is_empty(), "{unknown:?}");
    pcheck.stop();
    for file in ["alerts.yml", "grafana.json"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/monitoring").join(file));
        let text = text.unwrap();
        let names = names(&text);
        let unknown: Vec<_> =
            names.iter().filter(|name| !documented.contains(name.trim_end_matches("_bucket"))).collect();
        assert!(names.len() > 5 && unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn a_death_and_a_restart_are_counted_once() {
    on_each_tier(|tier| {
        let host = Host::new();
        let (mut pcheck, service, socket) = start(&host, tier);
        let entry = format!("pfile=\"{}\",entry=\"1\",process=\"{}\"", host.pfile(), host.svc());
        let before = samples(&page(&socket));
        let is = |name: &str, value: f64| assert_eq!(before.get(name), Some(&value), "{name}: {before:#?}");
        is(&format!("watcher_tier{{tier=\"{}\"}}", tier.name()), 1.0);
        is(&format!("watcher_entry_up{{{entry}}}"), 1.0);
        is(&format!("watcher_entry_state{{{entry},state=\"watching\"}}"), 1.0);
        is("watcher_entries{health=\"ok\"}", 1.0);
        is("watcher_processes_watched", 1.0);
        let deaths = |samples: &BTreeMap<String, f64>| {
            let deaths = samples.iter().filter(|(name, _)| name.starts_with("watcher_deaths_total{"));
            deaths.map(|(_, count)| count).sum::<f64>()
        };
        assert!(before["watcher_resident_memory_bytes"] > 1e6 && deaths(&before) < 0.5);

        service.kill();
        pcheck.until(") Up");
        let after = samples(&page(&socket));
        let is = |name: &str, value: f64| assert_eq!(after.get(name), Some(&value), "{name}: {after:#?}");
        assert!((deaths(&after) - 1.0).abs() < 0.5, "{after:#?}");
        // What is left of it may be found before it is reaped.
        let restarts =
            ["down", "zombie"].map(|reason| after[&format!("watcher_restarts_total{{reason=\"{reason}\"}}")]);
        assert!((restarts.iter().sum::<f64>() - 1.0).abs() < 0.5, "{restarts:?}");
        is(&format!("watcher_entry_restarts_total{{{entry}}}"), 1.0);
        is(&format!("watcher_entry_up{{{entry}}}"), 1.0);
        let known = if tier == Tier::Ebpf { 1.0 } else { 0.0 };
        is("watcher_deaths_total{cause=\"out_of_memory\"}", 0.0);
        is("watcher_detection_latency_seconds_count", known);
        is("watcher_detection_latency_seconds_bucket{le=\"+Inf\"}", known);
        if tier == Tier::Ebpf {
            is("watcher_deaths_total{cause=\"signal\"}", 1.0);
            is("watcher_events_total{kind=\"death\"}", 1.0);
            assert!(after["watcher_detection_latency_seconds_sum"] > 0.0);
        }
        pcheck.stop();
        assert!(!fs::exists(&socket).unwrap(), "the socket goes with its process");
    });
}

#[test]
fn who_is_no_scraper_is_told_what_is_wrong_and_holds_up_nobody() {
    let host = Host::new();
    let (pcheck, _service, socket) = start(&host, Tier::best());
    for (request, status, why) in [
        ("GET / HTTP/1.1\r\n\r\n", "404", "the figures are at /metrics"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405", "can only be read"),
        ("{\"version\":1,\"request\":\"shutdown\"}\n\r\n\r\n", "400", "no request of HTTP"),
        (&*format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(20_000)), "431", "too long"),
    ] {
        let answer = visit(&socket, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(why), "{request}: {answer}");
    }
    let head = visit(&socket, "HEAD /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n");
    assert!(head.contains("application/openmetrics-text; version=1.0.0") && head.ends_with("\r\n\r\n"), "{head}");

    // Those who say nothing take places, for a time.
    let silent: Vec<_> = (0..4).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    until("no place is left", || tries(&socket, "").contains("503 Service Unavailable"));
    assert_eq!(host.padmin("show param").code, Some(0));
    drop(silent);
    until("there are places again", || tries(&socket, "GET /metrics HTTP/1.1\r\n\r\n").contains("200 OK"));
    pcheck.stop();
}

#[test]
fn another_user_is_turned_away() {
    let host = Host::new();
    let (pcheck, _service, socket) = start(&host, Tier::best());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // However it was opened.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                  s.sendall(b'GET /metrics HTTP/1.1\\r\\n\\r\\n')\nprint(s.makefile().read())";
    let ask = || {
        let mut python = Command::new("python3");
        python.args(["-c", script, &socket]);
        python
    };
    let nobody = run(ask().uid(65_534).gid(65_534));
    assert!(nobody.stdout.contains("only root may ask this watcher, and user 65534 is not root"), "{nobody:?}");
    assert!(!nobody.stdout.contains("watcher_"), "{nobody:?}");
    assert!(run(&mut ask()).stdout.contains("watcher_entry_up"));
    pcheck.stop();
}

#[test]
fn nothing_that_is_there_is_replaced_and_nobody_outside_can_ask() {
    let host = Host::new();
    host.rules(&format!("{}:/bin/true:86400:3:continue", host.svc()));
    let start = |place: &str| run(host.pcheck(Tier::Poll).args(["--metrics", place]));
    let precious = host.write("precious", "data");
    let ended = start(&precious);
    assert_eq!(ended.code, Some(1));
    let why = format!("--metrics {precious}: something else is there, which is no socket");
    assert!(ended.stderr.contains(&why), "{}", ended.stderr);
    assert_eq!(host.read("precious"), "data");

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let ended = start(&taken);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains(&format!("--metrics {taken}: Address already in use")), "{}", ended.stderr);

    for (place, why) in [("0.0.0.0:9630", "can be reached from outside"), ("figures", "neither an address")] {
        let ended = start(place);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }

    let socket = host.path("figures");
    let mut first = Pcheck::started(host.pcheck(Tier::Poll).args(["--metrics", &socket]));
    first.until("Try to restart");
    host.write("other", &host.read("pfile").replace("IPCKEY 0x1", "IPCKEY 0x2"));
    let other = ["pcheck", "-f", &host.path("other"), "--run-dir", &host.run_dir(), "--metrics", &socket];
    let second = run(&mut watcher(other));
    assert!(second.stderr.contains("somebody listens there already"), "{}", second.stderr);
    page(&socket);
    first.kill();
    // What a killed one has left is no hindrance.
    let again = Pcheck::started(host.pcheck(Tier::Poll).args(["--metrics", &socket]));
    page(&socket);
    again.stop();
}

#[test]
fn by_a_port_of_this_host_whoever_is_on_it_may_ask() {
    let host = Host::new();
    host.rules(&format!("{}:/bin/true:86400:3:continue", host.svc()));
    let _service = host.start("");
    let place = format!("127.0.0.1:{}", free_port());
    let mut pcheck = Pcheck::started(host.pcheck(Tier::best()).args(["--metrics", &place]));
    pcheck.up(&host.svc());
    let mut stream = TcpStream::connect(&place).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\n# EOF\n"), "{answer}");
    assert!(answer.contains("\n# TYPE watcher_deaths counter\n"), "{answer}");
    pcheck.stop();
}
