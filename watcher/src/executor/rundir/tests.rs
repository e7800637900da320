//! Claims of this process, and of others.

use std::{
    fs::Permissions,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::*;

/// Another process that has claimed a folder. It ends with the test.
struct Other(Child);

impl Other {
    fn claiming(root: &Path, key: u32, pfile: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "executor::rundir::tests::claims_and_waits", "--ignored"]);
        command.env("ROOT", root).env("KEY", key.to_string()).env("PFILE", pfile);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let other = Self(child);
        let end = Instant::now() + Duration::from_secs(20);
        while running(root).iter().all(|running| running.pid.number() != other.0.id()) {
            assert!(Instant::now() < end, "it does not claim it");
            sleep(Duration::from_millis(5));
        }
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "the other process of the tests below"]
fn claims_and_waits() {
    let of = |name| std::env::var(name).unwrap();
    let dir = RunDir::claim(of("ROOT").as_ref(), of("KEY").parse().unwrap(), of("PFILE").as_ref()).unwrap();
    // Until the test has ended, however that may be.
    io::stdin().read_line(&mut String::new()).unwrap();
    drop(dir);
}

struct Place {
    folder: tempfile::TempDir,
    root: PathBuf,
    pfile: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let (root, pfile) = (folder.path().join("run/watcher"), folder.path().join("a.pfile"));
    fs::write(&pfile, "").unwrap();
    Place { folder, root, pfile }
}

/// Waits until a key that was given up is free: a child that another test is making at that moment holds our locks, too.
fn is_free(root: &Path, key: u32) {
    let end = Instant::now() + Duration::from_secs(20);
    while running(root).iter().any(|running| running.ipc_key == key) {
        assert!(Instant::now() < end, "{:?}", running(root));
        sleep(Duration::from_millis(1));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_folder_is_made_and_its_files_have_names() {
    let Place { folder: _folder, root, pfile } = place();
    let dir = RunDir::claim(&root, 0x1f00_0001, &pfile).unwrap();
    assert_eq!(dir.path(), root.join("1f000001"));
    assert_eq!((mode(&root), mode(dir.path()), mode(&dir.path().join("lock"))), (0o755, 0o700, 0o600));
    assert_eq!(dir.output(EntryId(2)), root.join("1f000001/3.out"));
    assert_eq!(running(&root).iter().map(|running| running.pid).collect::<Vec<_>>(), [own::pid()]);
    drop(dir);
    is_free(&root, 0x1f00_0001);
    assert_eq!(running(&root), []);
    fs::set_permissions(root.join("1f000001"), Permissions::from_mode(0o755)).unwrap();
    let dir = RunDir::claim(&root, 0x1f00_0001, &pfile).unwrap();
    assert_eq!(mode(dir.path()), 0o700);
}

#[test]
fn one_key_and_one_pfile_belong_to_one_pcheck() {
    let Place { folder, root, pfile } = place();
    let other_pfile = folder.path().join("b.pfile");
    fs::write(&other_pfile, "").unwrap();
    let other = Other::claiming(&root, 0xa, &pfile);
    let pid = other.0.id();
    let refused = |key, pfile: &Path| RunDir::claim(&root, key, pfile).unwrap_err().to_string();
    let shown = pfile.display();
    let watched = format!("already watched by pcheck[{pid}], pfile {shown}, IPCKEY 0x0000000a");
    assert_eq!(refused(0xa, &pfile), watched);
    let taken =
        format!("IPCKEY 0x0000000a is in use by pcheck[{pid}] for another pfile {shown}: give each pfile its own");
    assert_eq!(refused(0xa, &other_pfile), taken);
    // The same file by another name, and under another key.
    let link = folder.path().join("link");
    fs::hard_link(&pfile, &link).unwrap();
    assert_eq!(refused(0xb, &link), watched);
    // A file that was replaced is the same by its name; what it was is another one now, as inodes are used again.
    fs::rename(&other_pfile, &pfile).unwrap();
    assert_eq!(refused(0xb, &pfile), watched);
    drop(RunDir::claim(&root, 0xb, &link).unwrap());
    is_free(&root, 0xb);
    let listed = running(&root);
    assert_eq!((listed.len(), listed[0].ipc_key, &listed[0].dir), (1, 0xa, &root.join("0000000a")));
    drop(other);
    assert_eq!(running(&root), []);
    let _ours = RunDir::claim(&root, 0xa, &pfile).unwrap();
}

#[test]
fn many_are_claimed_after_one_look_and_none_twice() {
    let Place { folder, root, pfile } = place();
    let second = folder.path().join("b.pfile");
    fs::write(&second, "").unwrap();
    let linked = folder.path().join("linked.pfile");
    fs::hard_link(&pfile, &linked).unwrap();
    let mut claims = Claims::begin(&root, own::pid()).unwrap();
    let first = claims.claim(1, &pfile).unwrap();
    let refused = |claims: &mut Claims, key, pfile: &Path| claims.claim(key, pfile).unwrap_err();
    assert!(matches!(refused(&mut claims, 1, &second), ClaimError::KeyInUse(running) if running.pfile == pfile));
    assert!(matches!(refused(&mut claims, 1, &pfile), ClaimError::AlreadyRunning(_)));
    assert!(matches!(refused(&mut claims, 2, &pfile), ClaimError::AlreadyRunning(running) if running.ipc_key == 1));
    assert!(matches!(refused(&mut claims, 2, &linked), ClaimError::AlreadyRunning(running) if running.ipc_key == 1));
    let _second = claims.claim(2, &second).unwrap();
    // All that run were looked for once: of this lock nothing is known.
    let odd = root.join("00000003");
    fs::create_dir(&odd).unwrap();
    fs::copy(root.join("00000001/lock"), odd.join("lock")).unwrap();
    let held = File::open(odd.join("lock")).unwrap();
    assert!(lock(&held, 1).unwrap());
    let third = folder.path().join("c.pfile");
    fs::write(&third, "").unwrap();
    drop(claims.claim(4, &third).unwrap());
    // What was given up can be claimed again, by whom looks anew.
    drop((claims, first));
    let _again = RunDir::claim(&root, 5, &pfile).unwrap_err();
    drop(held);
    [1, 3].into_iter().for_each(|key| is_free(&root, key));
    let _again = RunDir::claim(&root, 5, &pfile).unwrap();
}

#[test]
fn many_that_look_do_not_hinder_a_claim() {
    let Place { folder: _folder, root, pfile } = place();
    drop(RunDir::claim(&root, 1, &pfile).unwrap());
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| (0..2000).for_each(|_| assert!(running(&root).len() < 2)));
        while !looking.is_finished() {
            drop(RunDir::claim(&root, 1, &pfile).unwrap());
        }
    });
}

#[test]
fn a_place_that_is_not_safe_is_refused() {
    let Place { folder, root, pfile } = place();
    let refused = |root: &Path| RunDir::claim(root, 1, &pfile).unwrap_err().to_string();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(&root).unwrap();
    symlink(&elsewhere, root.join("00000001")).unwrap();
    let unusable =
        |path: &Path, why| format!("{} cannot be used: {why}; --run-dir chooses another place", path.display());
    assert_eq!(refused(&root), unusable(&root.join("00000001"), "it is a symbolic link"));
    fs::remove_file(root.join("00000001")).unwrap();
    fs::write(root.join("00000001"), "").unwrap();
    assert_eq!(refused(&root), unusable(&root.join("00000001"), "it is not a folder"));
    fs::set_permissions(&root, Permissions::from_mode(0o777)).unwrap();
    assert_eq!(refused(&root), unusable(&root, "others may write it"));
    let link = folder.path().join("link");
    symlink(&elsewhere, &link).unwrap();
    assert_eq!(refused(&link), unusable(&link, "it is a symbolic link"));
    let below_a_file = pfile.join("run");
    assert!(refused(&below_a_file).contains("Not a directory"));
    if rustix::process::geteuid().is_root() {
        fs::create_dir(elsewhere.join("00000001")).unwrap();
        std::os::unix::fs::chown(elsewhere.join("00000001"), Some(65534), None).unwrap();
        assert_eq!(refused(&elsewhere), unusable(&elsewhere.join("00000001"), "it belongs to user 65534"));
    }
}

#[test]
fn folders_of_others_in_a_place_for_everybody_name_nobody_and_delay_nobody() {
    let place = place();
    let own = RunDir::claim(&place.root, 1, &place.pfile).unwrap();
    let make = |key: &str| {
        let folder = place.root.join(key);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let pipe = make("00000002").join(LOCK);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let forged = make("00000003");
    let text = fs::read(own.path().join(LOCK)).unwrap();
    fs::write(forged.join(LOCK), text).unwrap();
    let held = File::open(forged.join(LOCK)).unwrap();
    assert!(lock(&held, 1).unwrap());
    let keys = || running(&place.root).iter().map(|running| running.ipc_key).collect::<Vec<_>>();
    assert_eq!(keys(), [1, 3]);
    // Only root can give it to somebody else.
    if std::os::unix::fs::chown(&forged, Some(4711), None).is_ok() {
        assert_eq!(keys(), [1]);
    }
}
