//! The file of reboots, on real files: whole, torn, damaged, and where it cannot be.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use super::*;

fn reboot(seconds: u64, pfile: &[u8]) -> Reboot {
    Reboot { at: Some(Date(seconds)), dry_run: seconds % 2 == 1, pfile: Some(pfile.into()) }
}

fn undated() -> Reboot {
    Reboot { at: None, dry_run: false, pfile: None }
}

fn two() -> Vec<Reboot> {
    vec![reboot(1_790_000_000, b"/etc/watcher/a b.pfile"), reboot(1_790_000_001, b"/\xff%\n")]
}

/// A folder, and a file in it that has been written.
fn written() -> (TempDir, Reboots) {
    let folder = tempfile::tempdir().unwrap();
    let reboots = Reboots::at(folder.path().join("lib/watcher/reboots"));
    let turn = reboots.turn().unwrap().unwrap();
    reboots.write(&turn, &two()).unwrap();
    (folder, reboots)
}

#[test]
fn what_is_written_is_read_again() {
    let (_folder, reboots) = written();
    assert_eq!(reboots.read().unwrap(), Found { reboots: two(), damage: Vec::new() });
    let text = fs::read_to_string(reboots.path()).unwrap();
    assert_eq!(
        text.lines().take(2).collect::<Vec<_>>(),
        ["{\"reboots_format\":1}", "{\"unix_time\":1790000000,\"dry_run\":false,\"pfile\":\"/etc/watcher/a b.pfile\"}"]
    );
    let turn = reboots.turn().unwrap().unwrap();
    let all = [two(), vec![undated()]].concat();
    reboots.write(&turn, &all).unwrap();
    assert_eq!(reboots.read().unwrap().reboots, all);
    reboots.write(&turn, &[]).unwrap();
    assert_eq!(reboots.read().unwrap(), Found::default());
    let names = || fs::read_dir(reboots.folder()).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names().collect();
    names.sort();
    assert_eq!(names, ["reboots", "reboots.lock"], "nothing is left behind");
}

#[test]
fn where_there_is_no_file_there_were_no_reboots() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Reboots::at(folder.path().join("a/b")).read().unwrap(), Found::default());
    assert!(!folder.path().join("a").exists(), "looking makes nothing");
}

#[test]
fn wherever_it_is_cut_off_no_reboot_is_lost_that_was_begun() {
    let (_folder, reboots) = written();
    let text = fs::read(reboots.path()).unwrap();
    let ends: Vec<_> = text.iter().enumerate().filter_map(|(at, byte)| (*byte == b'\n').then_some(at)).collect();
    for length in 0..text.len() {
        fs::write(reboots.path(), &text[..length]).unwrap();
        let found = reboots.read().unwrap();
        // Lines of which at least one byte is there; the first one is the header, and counts only when it is damaged.
        let begun = ends.iter().filter(|end| length > **end + 1).count();
        let is_header_cut = length < ends[0];
        assert_eq!(found.reboots.len(), begun + usize::from(is_header_cut), "{length}");
        for (reboot, whole) in found.reboots.iter().zip(two()) {
            assert!(*reboot == whole || *reboot == undated(), "{length}: {reboot:?}");
        }
        let undated = found.reboots.iter().filter(|reboot| reboot.at.is_none()).count();
        assert_eq!(found.damage.len(), undated, "{length}");
        assert!(found.damage.iter().all(|damage| damage.what == "the line is cut off"), "{:?}", found.damage);
    }
}

#[test]
fn a_line_that_is_not_understood_counts_and_its_place_is_told() {
    let (_folder, reboots) = written();
    let text = fs::read_to_string(reboots.path()).unwrap();
    fs::write(reboots.path(), text.replacen("\"dry_run\":false", "\"dry_run\":maybe", 1)).unwrap();
    let found = reboots.read().unwrap();
    assert_eq!(found.reboots, [undated(), two()[1].clone()]);
    assert_eq!(
        found.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["2:35: the line is not understood; it counts as a reboot whose time is not known"]
    );

    for junk in [b"".as_slice(), b"\n", &[0; 512], b"nonsense\n", b"\xff\xfe\n"] {
        fs::write(reboots.path(), junk).unwrap();
        let found = reboots.read().unwrap();
        assert_eq!((found.reboots.len(), found.damage.len()), (1, 1), "{junk:?}");
        assert_eq!(found.damage[0].at.line, 1);
    }
}

#[test]
fn what_is_of_another_kind_is_an_error() {
    let (_folder, reboots) = written();
    fs::write(reboots.path(), "{\"reboots_format\":2}\n").unwrap();
    assert!(reboots.read().unwrap_err().ends_with("it is of format 2, which this version does not know"));
    fs::write(reboots.path(), "x".repeat(LARGEST as usize + 1)).unwrap();
    assert!(reboots.read().unwrap_err().ends_with("it is too large"));
    fs::remove_file(reboots.path()).unwrap();
    fs::create_dir(reboots.path()).unwrap();
    assert!(reboots.read().unwrap_err().ends_with("it is not a file"));
    let turn = reboots.turn().unwrap().unwrap();
    assert!(reboots.write(&turn, &two()).unwrap_err().contains("cannot be written: "));
}

#[test]
fn one_at_a_time_may_change_it_and_nobody_where_others_may() {
    let (_folder, reboots) = written();
    let turn = reboots.turn().unwrap();
    assert!(turn.is_some());
    assert!(reboots.turn().unwrap().is_none());
    drop(turn);
    assert!(reboots.turn().unwrap().is_some());

    fs::set_permissions(reboots.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(reboots.turn().unwrap_err().ends_with("others may write it"));
    let below_a_file = Reboots::at(reboots.path().join("reboots"));
    assert!(below_a_file.turn().unwrap_err().contains("cannot be written: "));
}

#[test]
fn what_a_writer_left_half_written_that_was_killed_is_not_read() {
    let (_folder, reboots) = written();
    fs::write(reboots.folder().join(".reboots.4711"), "{\"reboots_format\":1}\n{\"unix").unwrap();
    assert_eq!(reboots.read().unwrap().reboots, two());
    let turn = reboots.turn().unwrap().unwrap();
    reboots.write(&turn, &[undated()]).unwrap();
    assert_eq!(reboots.read().unwrap().reboots, [undated()]);
}
