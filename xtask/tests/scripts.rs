//! What packages hold is read by those for whom it is written, where they are there: shell scripts and units of systemd.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const SCRIPTS: [&str; 7] = [
    "debian/watcher.postinst",
    "debian/watcher.postrm",
    "debian/watcher.prerm",
    "init/runit/log/run",
    "init/runit/run",
    "init/watcher.openrc",
    "init/watcher.sysv",
];

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist")
}

/// None where the program is not there.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

fn assert_silent(Output { status, stdout, stderr }: &Output, of: &str) {
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(status.success() && said.iter().all(|said| said.is_empty()), "{of}: {said:?}");
}

#[test]
fn scripts_are_clean() {
    for name in SCRIPTS {
        let script = dist().join(name);
        assert_silent(&output(Command::new("sh").arg("-n").arg(&script)).expect("every host has sh"), name);
        if let Some(output) = output(Command::new("shellcheck").args(["-s", "sh"]).arg(&script)) {
            assert_silent(&output, name);
        }
    }
}

#[test]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |from: &str, to: &str| {
        let text = fs::read_to_string(dist().join("systemd").join(from)).expect("it is there");
        assert!(text.contains("[Service]"), "{from}");
        // The program need not be installed where this is tested.
        let text = text.replace("/usr/sbin/watcher ", "/bin/true ").replace("/usr/sbin/pcheck ", "/bin/true ");
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().expect("below the folder")).expect("a folder");
        fs::write(&to, text).expect("writable");
        to
    };
    let units = [put("watcher.service", "watcher.service"), put("pcheck@.service", "pcheck@name.service")];
    put("hardened.conf", "watcher.service.d/hardened.conf");
    if let Some(output) = output(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units)) {
        assert_silent(&output, "systemd-analyze verify");
    }
}
