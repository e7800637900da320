//! `clp_httpmon` and `clp_smtpmon` while they monitor: what they ask, what they find, and how they end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod clp_support;

use clp_support::{Closed, Host, Monitor, Service, ran};
use rustix::process::Signal;

const REFUSED: &str = "clp_httpmon has detected network error (connect error[111]). [ID:web]";

#[test]
fn a_closed_port_is_a_fault_and_the_retries_are_in_vain() {
    let (host, closed) = (Host::new(), Closed::new());
    let monitor = host.start(&format!("clp_httpmon web -s 127.0.0.1 -n {} -i 1 -c 3", closed.port));
    let (lines, code) = monitor.end();
    assert_eq!(
        lines,
        [
            "clp_httpmon started monitoring the HTTP daemon. [ID:web]",
            "clp_httpmon will start monitoring the HTTP daemon. [ID:web]",
            REFUSED,
            REFUSED,
            REFUSED,
            REFUSED,
            "clp_httpmon detected an error and will be terminated. [ID:web]",
        ]
    );
    assert_eq!(code, Some(1));
    assert_eq!(host.records("clp_httpmon"), [""; 0], "nothing is left behind");
}

/// The messages of a service that fails, and those of the end.
fn faults(host: &Host, words: &str) -> Vec<String> {
    let (mut lines, code) = host.start(words).begun().end();
    assert_eq!(code, Some(1), "{lines:?}");
    let last = lines.pop().unwrap();
    assert!(last.contains(" detected an error and will be terminated. "), "{last}");
    lines
}

#[test]
fn an_error_is_a_fault_of_a_page_and_none_of_the_root() {
    let (host, service) = (Host::new(), Service::http());
    let status = "clp_httpmon has detected an error in HTTP (invalid status code[404]). [ID:web]";
    let words = format!("clp_httpmon web -s 127.0.0.1 -n {} -i 1", service.port);
    assert_eq!(faults(&host, &format!("{words} -c 1 -h /missing")), [status; 2]);
    assert_eq!([service.asked(), service.asked()], ["HEAD /missing HTTP/1.1"; 2]);
    let service = Service::answering(|_| "HTTP/1.1 503 Busy\r\n\r\n".to_owned());
    let monitor = host.start(&format!("clp_httpmon web -s 127.0.0.1 -n {} -i 1 -c 1 -v 1.0", service.port)).begun();
    for _ in 0..3 {
        assert_eq!(service.asked(), "HEAD / HTTP/1.0");
    }
    monitor.signal(Signal::TERM);
    assert_eq!(monitor.end(), (vec!["clp_httpmon will stop monitoring the HTTP daemon. [ID:web]".to_owned()], Some(0)));
}

#[test]
fn each_way_to_fail_has_its_message() {
    let host = Host::new();
    let fault = |service: &Service, more: &str| {
        let lines = faults(&host, &format!("clp_httpmon web -s 127.0.0.1 -n {} -i 1 -c 1 {more}", service.port));
        assert_eq!((lines.len(), &lines[0]), (2, &lines[1]));
        lines[0].clone()
    };
    let foreign = Service::answering(|_| "220 this is another service\r\n".to_owned());
    assert_eq!(fault(&foreign, ""), "clp_httpmon has detected an error in HTTP (invalid response). [ID:web]");
    let network = |what: &str| format!("clp_httpmon has detected network error ({what}). [ID:web]");
    assert_eq!(fault(&Service::closing(), ""), network("recv error[0]"));
    assert_eq!(fault(&Service::silent(), "-r 1"), network("select error[110]"));
}

#[test]
fn a_name_without_an_address_is_told() {
    // `.invalid` has none (RFC 6761), whether or not a resolver can be asked.
    let lines = faults(&Host::new(), "clp_smtpmon mail -s nobody.invalid -i 1 -c 1");
    assert!(lines.iter().all(|line| line.starts_with("Failed to obtain IP address (error[-")), "{lines:?}");
}

#[test]
fn smtp_is_greeted_and_asked_and_errors_are_told_by_their_code() {
    let host = Host::new();
    let words = |service: &Service| format!("clp_smtpmon mail -s 127.0.0.1 -n {} -i 1 -c 1", service.port);
    let good = Service::smtp("220 mail.example.org ready", "250 Ok");
    let monitor = host.start(&words(&good)).begun();
    let said = good.asked();
    assert!(said.contains("NOOP;") && said.contains("QUIT;"), "{said}");
    good.asked();
    monitor.signal(Signal::INT);
    assert_eq!(monitor.end().1, Some(0));
    let status =
        |code: u32| format!("clp_smtpmon has detected an error in SMTP (invalid status code[{code}]). [ID:mail]");
    let busy = Service::smtp("421 too busy", "421 too busy");
    assert_eq!(faults(&host, &words(&busy)), [status(421), status(421)]);
    let broken = Service::smtp("220 ready", "500 what?");
    assert_eq!(faults(&host, &words(&broken)), [status(500), status(500)]);
    let foreign = Service::smtp("HTTP/1.1 400 Bad Request", "");
    assert_eq!(faults(&host, &words(&foreign)), [status(0), status(0)]);
}

#[test]
fn a_hangup_changes_nothing() {
    let (host, service) = (Host::new(), Service::http());
    let monitor = host.start(&format!("clp_httpmon web -s 127.0.0.1 -n {} -i 1", service.port)).begun();
    service.asked();
    monitor.signal(Signal::HUP);
    monitor.signal(Signal::USR1);
    service.asked();
    monitor.signal(Signal::TERM);
    assert_eq!(monitor.end().1, Some(0));
}

#[test]
fn one_check_needs_no_record_and_says_what_came_of_it() {
    let (host, service, closed) = (Host::new(), Service::http(), Closed::new());
    let good = host.run(&format!("clp_httpmon web --once -s 127.0.0.1 -n {}", service.port));
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.out.starts_with(&format!("127.0.0.1 port {} answers", service.port)), "{good:?}");
    let bad = host.run(&format!("clp_httpmon web --once -s 127.0.0.1 -n {} -h /missing --json", service.port));
    let json = bad.json();
    assert_eq!((bad.code, &json["good"], &json["message"]), (Some(1), &false.into(), &83.into()));
    assert_eq!((&json["error"], &json["fault"]), (&404.into(), &"status".into()));
    let none = host.run(&format!("clp_smtpmon mail --once -s 127.0.0.1 -n {}", closed.port));
    assert_eq!(none.code, Some(1));
    let expected = "127.0.0.1 port PORT lets no connection be made: connection refused (message 72: clp_smtpmon has \
                    detected network error (connect error[111]). [ID:mail])\n";
    assert_eq!(none.out, expected.replace("PORT", &closed.port.to_string()));
    assert!(!host.path("run").exists());
}

#[test]
fn systemd_is_told_of_the_start_and_of_the_end() {
    let (host, service) = (Host::new(), Service::http());
    let socket = std::os::unix::net::UnixDatagram::bind(host.path("notify")).unwrap();
    socket.set_read_timeout(Some(clp_support::LIMIT)).unwrap();
    let told = || {
        let mut message = [0; 100];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let mut command = host.command(&format!("clp_httpmon web -s 127.0.0.1 -n {}", service.port));
    let monitor = Monitor::of(command.env("NOTIFY_SOCKET", host.path("notify")));
    assert_eq!(told(), "READY=1");
    monitor.signal(Signal::TERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(monitor.end().1, Some(0));
}

#[test]
fn the_sub_commands_are_the_same() {
    let (host, closed) = (Host::new(), Closed::new());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watcher"));
    command.args(["httpmon", "web", "-s", "127.0.0.1", "-i", "1", "-c", "1", "--log=stderr", "--run-dir"]);
    let ran = ran(command.arg(host.path("run")).args(["-n", &closed.port.to_string()]));
    assert_eq!((ran.code, ran.err.lines().count()), (Some(1), 5), "{ran:?}");
    assert!(ran.err.lines().all(|line| line.starts_with("clp_httpmon[") && line.ends_with("[ID:web]")), "{}", ran.err);
}
