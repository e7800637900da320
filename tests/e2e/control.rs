//! The control socket, asked by another user than root.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
    sync::mpsc,
    thread,
};

use watcher::control::{Request, Server};
use watcher_tests::program::{built, copy, run};

const NOBODY: u32 = 65_534;

#[test]
fn another_user_is_turned_away_by_a_sentence_even_if_the_socket_lets_him_in() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let socket = watcher::control::socket(&watcher::control::folder(&at("run"), 1));
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    fs::write(at("pfile"), "IPCKEY 0x1\n/a:/b:1:1:exit\n").unwrap();
    copy(built("watcher"), at("padmin"));
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();

    let (ready, is_ready) = mpsc::channel();
    let path = socket.clone();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut server = Server::bind(&path).unwrap();
            ready.send(()).unwrap();
            // Root's request is the first to come through; it stays without an answer.
            let Request { command, answer } = server.next().await;
            drop(answer);
            server.finish().await;
            command
        })
    });
    is_ready.recv().unwrap();
    let padmin = || {
        let mut padmin = Command::new(at("padmin"));
        padmin.arg("-f").arg(at("pfile")).args(["-c", "shutdown", "--run-dir"]).arg(at("run"));
        padmin
    };

    let by_mode = run(padmin().uid(NOBODY).gid(NOBODY));
    assert_eq!(by_mode.code, Some(3));
    assert!(by_mode.stderr.contains("this user may not ask this pcheck: ask as root"), "{}", by_mode.stderr);

    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    let by_peer = run(padmin().uid(NOBODY).gid(NOBODY));
    assert_eq!(by_peer.code, Some(3));
    assert!(by_peer.stderr.contains("only root may ask this pcheck, and user 65534 is not root"), "{}", by_peer.stderr);

    let by_root = run(&mut padmin());
    assert!(by_root.stderr.contains("this pcheck is ending"), "{}", by_root.stderr);
    assert_eq!(server.join().unwrap(), watcher::control::Command::Ping);
}
