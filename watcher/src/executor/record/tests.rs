//! Records that are taken, left behind, and in the way.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;

const COMMAND: &str = "clp_httpmon";

fn id(text: &str) -> Id {
    Id::new(text.as_bytes()).unwrap()
}

fn claim(root: &Path, name: &str) -> Result<Claimed, RecordError> {
    Claimed::new(root, COMMAND, &id(name), json!({"port": 80}))
}

fn find(root: &Path, name: &str) -> Option<Found> {
    Found::of(root, COMMAND, &id(name)).unwrap()
}

#[test]
fn an_identifier_is_taken_once_and_free_again_after_the_end() {
    let root = tempfile::tempdir().unwrap();
    let claimed = claim(root.path(), "web").unwrap();
    let Err(RecordError::InUse(Some(record))) = claim(root.path(), "web") else { panic!("in use") };
    assert_eq!((record.pid, record.options), (own::pid().number(), json!({"port": 80})));
    let _other = claim(root.path(), "Web").unwrap();
    let found = find(root.path(), "web").unwrap();
    assert!(found.live && !found.delete().unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let folder = root.path().join(COMMAND);
    assert_eq!((mode(&folder), mode(&folder.join("web"))), (0o700, 0o600));
    drop(claimed);
    assert!(find(root.path(), "web").is_none());
    claim(root.path(), "web").unwrap();
}

#[test]
fn what_was_left_behind_is_taken_over_or_deleted_with_its_socket() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(COMMAND);
    drop(claim(root.path(), "web").unwrap());
    let left = |text: &str| {
        fs::write(folder.join("web"), text).unwrap();
        fs::write(folder.join(".7-7.sock"), "").unwrap();
    };
    let damaged = "{\"comm";
    let record = |socket: &str| {
        json!({"command": COMMAND, "id": "web", "pid": 7, "start_ticks": 7, "socket": socket, "options": {}})
            .to_string()
    };
    left(damaged);
    let found = find(root.path(), "web").unwrap();
    assert!(!found.live && found.record.is_none() && found.control().is_none());
    assert!(found.delete().unwrap() && find(root.path(), "web").is_none());
    left(&record(".7-7.sock"));
    drop(claim(root.path(), "web").unwrap());
    assert!(!folder.join(".7-7.sock").exists());
    fs::write(root.path().join(".sock"), "not ours").unwrap();
    left(&record("./../.sock"));
    assert!(find(root.path(), "web").unwrap().delete().unwrap());
    assert!(root.path().join(".sock").exists(), "only names are followed");
}

#[test]
fn long_identifiers_and_long_paths_have_sockets_too() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("d".repeat(200));
    for root in [root.path(), &deep] {
        let claimed = claim(root, &"x".repeat(255)).unwrap();
        let path = claimed.control();
        assert!(path.as_os_str().len() < LONGEST_SOCKET, "{}", path.display());
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let found = find(root, &"x".repeat(255)).unwrap();
        std::os::unix::net::UnixStream::connect(found.control().unwrap()).unwrap();
    }
}

#[test]
fn a_folder_that_cannot_be_ours_is_refused_by_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let why = claim(root.path(), "web").unwrap_err().to_string();
    assert!(why.ends_with("others may write it; --run-dir chooses another place"), "{why}");
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(COMMAND), "").unwrap();
    assert!(claim(root.path(), "web").unwrap_err().to_string().contains("it is not a folder"));
}

#[test]
fn only_the_last_folder_is_made() {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("a").join("b");
    let why = claim(&root, "web").unwrap_err().to_string();
    let expected = format!("{} does not exist, and is not made", above.path().join("a").display());
    assert!(why.contains(&expected), "{why}");
    assert_eq!(fs::read_dir(above.path()).unwrap().count(), 0);
    claim(&above.path().join("b"), "web").unwrap();
}

#[test]
fn a_successor_keeps_its_record_when_the_one_before_goes() {
    let root = tempfile::tempdir().unwrap();
    let first = claim(root.path(), "web").unwrap();
    fs::remove_file(root.path().join(COMMAND).join("web")).unwrap();
    let _second = claim(root.path(), "web").unwrap();
    drop(first);
    assert!(find(root.path(), "web").unwrap().live);
}
