//! `watcher sockets` on this host.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    process::{self, Command},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt::set_ipv6_v6only};
use serde_json::{Value, json};
use watcher_tests::{
    host::Host,
    netns,
    program::{Ended, built, run, watcher},
    server::free_port,
    wait::until,
};

fn listener() -> (TcpListener, String) {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    (server, port)
}

/// What is shown of a port of this process. A child that another test is making at that moment holds its sockets, too.
fn held_by_this_process_alone(command: &mut Command) -> Value {
    let mut report = Value::Null;
    until("nobody else holds its listeners", || {
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        report = serde_json::from_str(&ended.stdout).unwrap();
        report["ports"][0]["listeners"].as_array().unwrap().iter().all(|listener| listener["holders"] == 1)
    });
    report
}

#[test]
fn a_port_is_shown_with_its_owner_and_its_connections() {
    netns::enter_new();
    let (server, port) = listener();
    let leaked = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let _accepted = server.accept().unwrap();
    drop(leaked);
    let _waits = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let report = held_by_this_process_alone(&mut watcher(["sockets", &port, "--json"]));
    assert_eq!((&report["schema"], &report["source"]), (&json!(1), &json!("sock_diag")));
    let shown = &report["ports"][0];
    assert_eq!((&shown["established"], &shown["close_wait"]), (&json!(1), &json!(1)));
    let shown = &shown["listeners"][0];
    assert_eq!((&shown["address"], &shown["backlog"], &shown["drops"]), (&json!("127.0.0.1"), &json!(1), &json!(0)));
    assert_eq!(shown["owner"]["pid"], json!(process::id()));
    assert!(shown["owner"]["descriptors"].as_u64() > Some(4));
    assert_eq!(shown["owner"]["descriptor_pid"], json!(process::id()));
    let (start, owner) = (format!("127.0.0.1:{port} "), format!(" {}/", process::id()));
    let shown = || run(&mut watcher(["sockets", &port])).stdout;
    until("its row shows its owner", || shown().lines().any(|row| row.starts_with(&start) && row.contains(&owner)));
}

#[test]
fn descriptors_are_shown_with_the_holder_that_has_the_fewest_left() {
    let (host, port) = (Host::new(), free_port().to_string());
    let master = host.start(&format!("port={port} prefork=40 keeps")).pid.number();
    let worker = || {
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
        children.split_whitespace().next().map(|pid| pid.parse::<u32>().unwrap())
    };
    let may_open_few = |pid| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        limits.lines().any(|line| line.starts_with("Max open files ") && line.contains(" 40 "))
    };
    until("the worker works", || worker().is_some_and(may_open_few));
    let worker = worker().unwrap();
    let report: Value = serde_json::from_str(&run(&mut watcher(["sockets", &port, "--json"])).stdout).unwrap();
    let owner = &report["ports"][0]["listeners"][0]["owner"];
    assert_eq!((&owner["pid"], &owner["descriptor_pid"]), (&json!(master), &json!(worker)), "{owner:#}");
    assert_eq!(owner["descriptor_limit"], json!(40));
    let text = run(&mut watcher(["sockets", &port])).stdout;
    let row = text.lines().find(|line| line.contains(&format!(" {master}/"))).unwrap();
    assert!(row.ends_with(&format!("/40 of {worker}")), "{text}");
}

#[test]
fn a_port_that_nobody_listens_on_is_said_to_be_so() {
    let port = free_port().to_string();
    let ended = run(&mut watcher(["sockets", &port]));
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr, format!("watcher: nobody listens on port {port}\n"));
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// One that takes what comes by IPv6 only, also on the unspecified address.
fn by_ipv6_alone(address: Ipv6Addr, port: u16) -> TcpListener {
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    set_ipv6_v6only(&socket, true).unwrap();
    bind(&socket, &SocketAddr::from((address, port))).unwrap();
    listen(&socket, 16).unwrap();
    TcpListener::from(socket)
}

#[test]
fn whatever_family_somebody_listens_on_is_shown() {
    // Where the ports are those of this test alone.
    netns::enter_new();
    let by_ipv4 = |address: Ipv4Addr| TcpListener::bind((address, 0)).unwrap();
    let (any4, any6) = (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
    let apart = by_ipv4(any4);
    let port = apart.local_addr().unwrap().port();
    for (servers, addresses, clients) in [
        (vec![by_ipv4(Ipv4Addr::LOCALHOST)], vec!["127.0.0.1"], vec![V4]),
        (vec![by_ipv6_alone(Ipv6Addr::LOCALHOST, 0)], vec!["::1"], vec![V6]),
        (vec![by_ipv6_alone(any6, 0)], vec!["::"], vec![V6]),
        // Of both families.
        (vec![TcpListener::bind((any6, 0)).unwrap()], vec!["::"], vec![V4, V6, V6]),
        // A socket for each.
        (vec![apart, by_ipv6_alone(any6, port)], vec!["0.0.0.0", "::"], vec![V4, V6]),
    ] {
        let port = servers[0].local_addr().unwrap().port();
        let connected: Vec<_> = clients.iter().map(|ip| TcpStream::connect((*ip, port)).unwrap()).collect();
        let number = port.to_string();
        let words = ["sockets", &number, "--json"];
        let mut without_diag = Command::new(built("without_syscalls"));
        without_diag.args(["EPERM", "socket"]).arg(built("watcher")).args(words);
        for (command, source) in [(&mut watcher(words), "sock_diag"), (&mut without_diag, "proc")] {
            let report = held_by_this_process_alone(command);
            assert_eq!(report["source"], source);
            let shown = &report["ports"][0];
            assert_eq!((&shown["port"], &shown["established"]), (&json!(port), &json!(clients.len())), "{shown:#}");
            let listeners = shown["listeners"].as_array().unwrap();
            let heard: BTreeSet<_> = listeners.iter().map(|one| one["address"].as_str().unwrap()).collect();
            assert_eq!(heard, addresses.iter().copied().collect(), "{shown:#}");
            let waiting: u64 = listeners.iter().map(|one| one["backlog"].as_u64().unwrap()).sum();
            assert_eq!((waiting, listeners.len()), (clients.len() as u64, addresses.len()), "{shown:#}");
            assert!(listeners.iter().all(|one| one["owner"]["pid"] == json!(process::id())), "{shown:#}");
        }
        drop(connected);
    }
}

#[test]
fn what_becomes_of_a_port_is_shown() {
    netns::enter_new();
    let (server, port) = listener();
    let first = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let trend = |arguments: &[&str], meanwhile: &mut dyn FnMut()| {
        let command = std::thread::scope(|scope| {
            let looks =
                scope.spawn(|| run(&mut watcher([&["sockets", port.as_str(), "--for", "3"], arguments].concat())));
            // It has begun to wait when the first look is over, which nothing tells but its sleep.
            until("it has looked", || asleep_for_its_second_look(&port));
            meanwhile();
            looks.join().unwrap()
        });
        assert_eq!((command.code, command.stderr.as_str()), (Some(0), ""));
        command.stdout
    };
    let mut more = Vec::new();
    let shown = trend(&["--json"], &mut || {
        more.extend([(); 2].map(|()| TcpStream::connect(server.local_addr().unwrap()).unwrap()));
    });
    let report: Value = serde_json::from_str(&shown).unwrap();
    let expected = json!({ "established": 2, "close_wait": 0, "syn_recv": 0, "backlog": 2, "drops": 0 });
    assert_eq!((&report["trend_s"], &report["ports"][0]["trend"]), (&json!(3), &expected));
    let shown = trend(&[], &mut || {
        drop(server.accept().unwrap());
        more.clear();
    });
    drop(first);
    assert!(shown.contains(" backlog -1, estab -3, close_wait +2\n"), "{shown}");
}

/// Whether the program that looks at this port sleeps.
fn asleep_for_its_second_look(port: &str) -> bool {
    let option = format!("{port}\0--for\0");
    let mut processes = fs::read_dir("/proc").unwrap().filter_map(|item| item.ok().map(|item| item.path()));
    processes.any(|process| {
        let words = fs::read(process.join("cmdline")).unwrap_or_default();
        let is_it = words.windows(option.len()).any(|words| words == option.as_bytes());
        is_it && fs::read_to_string(process.join("stack")).is_ok_and(|place| place.contains("nanosleep"))
    })
}

#[test]
fn the_ports_of_a_pfile_are_shown() {
    let (_server, port) = listener();
    let (_other, other) = listener();
    let folder = tempfile::tempdir().unwrap();
    let pfile = folder.path().join("pfile");
    let text = |host: &str| {
        format!(
            "IPCKEY 0x1\n/bin/a:/bin/b:86400:3:continue\n_bi_webserv {{\nPS_INIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n\
             PS_EXEC DLL:/lib_bi_webserv.so:DIRECT:-:60:0:3:600:{port}:{host}\n\
             PS_ACTION DLL:/lib_bi_webserv.so:DIRECT:-:-:1:0\nPS_QUIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n}}\n"
        )
    };
    fs::write(&pfile, text("localhost")).unwrap();
    let shown = |ended: &Ended| {
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        report["ports"].as_array().unwrap().iter().map(|port| port["port"].to_string()).collect::<BTreeSet<_>>()
    };
    let path = pfile.to_str().unwrap();
    assert_eq!(shown(&run(&mut watcher(["sockets", "-f", path, "--json"]))), BTreeSet::from([port.clone()]));
    let both = run(&mut watcher(["sockets", &other, "-f", path, "--json"]));
    assert_eq!(shown(&both), BTreeSet::from([port.clone(), other]));
    fs::write(&pfile, text("192.0.2.1")).unwrap();
    let ended = run(&mut watcher(["sockets", "-f", path]));
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, format!("watcher: {path} asks no port of this host: it has no such block\n"));
}

#[test]
fn whoever_is_not_root_is_told_what_is_hidden() {
    let (_server, port) = listener();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    let ended = run(command.arg(built("watcher")).args(["sockets", &port]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(" ? (uid 0) "), "{}", ended.stdout);
    assert_eq!(
        ended.stderr,
        "watcher: the processes of 1 listener are hidden from this user: run it as root to see them\n"
    );
}

#[test]
fn without_sock_diag_the_tables_of_proc_tell_less_and_that_is_said() {
    let (_server, port) = listener();
    let mut command = Command::new(built("without_syscalls"));
    command.args(["EPERM", "socket"]).arg(built("watcher"));
    let ended = run(command.args(["sockets", &port]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the kernel does not tell by sock_diag: "), "{}", ended.stderr);
    assert!(ended.stdout.contains(" 0/? "), "{}", ended.stdout);
}
