//! `watcher probe` as people and programs see it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pfile_support;
mod probe_support;

use std::net::{Ipv4Addr, SocketAddr};

use pfile_support::{Folder, watcher};
use probe_support::{Peer, answers, until_closed};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use serde_json::Value;

const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

fn port<T: Send + 'static>(peer: &Peer<T>) -> String {
    peer.address.port().to_string()
}

/// Whether a pfile takes what was shown, and what `watcher check` says otherwise.
fn loads(shown: &str) -> bool {
    let folder = Folder::new();
    let script = folder.script("restart.sh", "#!/bin/sh\n");
    let pfile = folder.file("a.pfile", format!("IPCKEY 0x1f000001\n/bin/a:{script}:86400:3:exit\n{shown}\n"));
    let checked = watcher(["check", "--no-host", &pfile]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    true
}

#[test]
fn a_good_service_is_shown_step_by_step() {
    let peer = answers(OK);
    let url = format!("http://127.0.0.1:{}/health?deep=1", port(&peer));
    let ran = watcher(["probe", &url, "--status", "200-399,401", "--match-header", "OK", "--header", "X: \"y\" z"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let names: Vec<_> =
        ran.out.lines().take_while(|line| !line.is_empty()).map(|line| line.get(..10).unwrap()).collect();
    assert_eq!(names, ["resolve   ", "connect   ", "first byte", "total     ", "answer    ", "verdict   "]);
    assert!(ran.out.contains("\nverdict      good: the service answers as it should\n"), "{}", ran.out);
    let (_, block) = ran.out.split_once("\n\n").unwrap();
    assert!(block.contains("\n_bi_webserv {\n") && block.contains("#@ header=\"X: \\\"y\\\" z\"\n"), "{block}");
    assert!(loads(block));
    let heard = peer.end();
    assert!(heard.starts_with("HEAD /health?deep=1 HTTP/1.1\r\n") && heard.contains("\r\nX: \"y\" z\r\n"), "{heard}");
}

#[test]
fn json_says_the_same() {
    let peer = answers("HTTP/1.1 500 Oh\r\n\r\n");
    let url = format!("http://127.0.0.1:{}/", port(&peer));
    let ran = watcher(["probe", "--json", &url, "--status", "200"]);
    assert_eq!(ran.code, Some(1));
    let json = ran.json();
    assert_eq!(json["schema"], 1);
    assert_eq!(
        [&json["good"], &json["fault"], &json["of_service"]],
        [&Value::from(false), &"status".into(), &true.into()]
    );
    assert_eq!(json["verdict"], "the service answers with an error: HTTP/1.1 500 Oh");
    assert_eq!([&json["answer"], &json["target"]], ["HTTP/1.1 500 Oh", &url]);
    assert_eq!(json["address"], peer.address.to_string());
    assert!(json["timings"]["total_ms"].as_f64().unwrap() >= json["timings"]["first_byte_ms"].as_f64().unwrap());
    assert!(json["tls"].is_null() && json["certificate"].is_null() && json["timings"]["tls_ms"].is_null());
    assert!(loads(json["pfile"].as_str().unwrap()));
}

#[test]
fn every_kind_of_service_has_its_block_or_none() {
    let tcp = Peer::new(|mut stream| until_closed(&mut stream));
    let ran = watcher(["probe", &format!("localhost:{}", port(&tcp))]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("_bi_socket {") && loads(ran.out.split_once("\n\n").unwrap().1), "{}", ran.out);

    // Bound, and not listened on: nobody else gets its port.
    let gone = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&gone, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = SocketAddr::try_from(getsockname(&gone).unwrap()).unwrap().port();
    for (target, options, block) in [
        (format!("https://localhost:{port}/a"), &["--verify", "--timeout", "5"][..], Some("_bi_webservs {")),
        (format!("https://[::1]:{port}/a"), &[][..], None),
        (format!("[::1]:{port}"), &[], None),
        (format!("127.0.0.2:{port}"), &[], None),
        (format!("127.0.0.1:{port}"), &[], Some("_bi_socket {")),
        (format!("http://127.0.0.1:{port}"), &["--match", "two words", "--method", "GET"], Some("_bi_webserv {")),
        (format!("http://127.0.0.1:{port}"), &["--http", "1.0"], None),
        (format!("smtp://127.0.0.1:{port}"), &[], None),
    ] {
        let ran = watcher(["probe", &target].iter().chain(options));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains("bad: the service lets no connection be made: connection refused"), "{}", ran.out);
        let local = target.contains("localhost");
        assert_eq!(ran.out.contains("(127.0.0.1 and ::1 were tried)"), local, "{}", ran.out);
        let (_, shown) = ran.out.split_once("\n\n").unwrap();
        match block {
            Some(block) => assert!(shown.contains(block) && loads(shown), "{shown}"),
            None => assert_eq!(shown, "# no block of a pfile asks this\n"),
        }
    }
}

#[test]
fn an_error_that_counts_as_an_answer_is_told_as_such() {
    let remark = "(any status counts; see --status)";
    let gone = "HTTP/1.1 404 Gone\r\n\r\n";
    for (answer, options, told) in [(gone, &[][..], true), (gone, &["--status", "400-404"], false), (OK, &[], false)] {
        let peer = answers(answer);
        let target = format!("http://127.0.0.1:{}", port(&peer));
        let ran = watcher(["probe", target.as_str()].iter().chain(options));
        assert_eq!((ran.code, ran.out.contains(remark)), (Some(0), told), "{ran:?}");
    }
}

#[test]
fn what_a_server_says_does_no_harm() {
    let peer = answers("HTTP/1.1 200 \u{1b}[31m\u{202e}red\r\n\r\n");
    let ran = watcher(["probe", &format!("http://127.0.0.1:{}", port(&peer))]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains(['\u{1b}', '\u{202e}']), "{:?}", ran.out);
}

#[test]
fn a_wrong_command_line_is_refused_with_its_place() {
    for (arguments, expected) in [
        (&["ftp://a"][..], "watcher: ftp://a: column 1: `ftp` cannot be spoken"),
        (&["http://a:0/"], "watcher: http://a:0/: column 10: `0` is no port"),
        (&["http://a/", "--status", "2xx"], "watcher: --status: `2xx` is not possible here; status codes are"),
        (&["http://a/", "--method", "PUT"], "watcher: --method: "),
        (&["http://a/", "--method", "HEAD", "--match", "x"], "watcher: --match wants the body of the answer"),
        (&["http://a/", "--header", "nonsense"], "watcher: --header: "),
        (&["http://a/", "--timeout", "0"], "watcher: --timeout: "),
        (&["http://a/", "--verify"], "watcher: --verify is for https:// only"),
        (&["a:1", "--match-header", "b"], "watcher: --match-header is for http:// and https:// only"),
        (&["https://a/", "--ca", "b"], "error: "),
        (&["http://a/", "--http", "2"], "error: "),
    ] {
        let ran = watcher(["probe"].iter().chain(arguments));
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(ran.err.starts_with(expected), "{}", ran.err);
    }
}
