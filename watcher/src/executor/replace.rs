//! Files that are whole or not there: written aside, and renamed.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::Path,
};

/// Puts new text into a file that exists; mode and owner stay as they are.
///
/// # Errors
/// When the file cannot be written. It is unchanged then.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    // A link goes on leading to the file.
    let path = path.canonicalize()?;
    let old = fs::metadata(&path)?;
    write_aside(&path, text, Survives::Host, |file| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
    })
}

/// Makes a file with this mode, or replaces the one that is there.
///
/// # Errors
/// When the file cannot be written.
pub fn put(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write_aside(path, text, Survives::Host, |file| file.set_permissions(Permissions::from_mode(mode)))
}

/// The same for what means nothing after another boot: it is not waited for until it is on the disk.
///
/// # Errors
/// When the file cannot be written.
pub fn put_for_this_boot(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    write_aside(path, text, Survives::Process, |file| file.set_permissions(Permissions::from_mode(mode)))
}

/// What is no file is not replaced by one: `/dev/null` is that of the whole host.
fn refuse_devices(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_file() || data.is_symlink() || data.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::other("it is a device, a pipe or a socket, not a file")),
        // It is to be made; or what comes next says why not.
        Err(_) => Ok(()),
    }
}

/// Whose end a file survives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Survives {
    Host,
    Process,
}

fn write_aside(
    path: &Path,
    text: &[u8],
    survives: Survives,
    prepare: impl FnOnce(&fs::File) -> io::Result<()>,
) -> io::Result<()> {
    refuse_devices(path)?;
    let mut aside = OsString::from(".");
    aside.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    aside.push(format!(".{}", std::process::id()));
    let aside = path.with_file_name(aside);
    let make = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside);
    let mut file = match make() {
        // Left behind by one of the same pid that was killed: in a container every pcheck may have that.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(&aside).and_then(|()| make())?,
        made => made?,
    };
    let written = file
        .write_all(text)
        .and_then(|()| prepare(&file))
        .and_then(|()| if survives == Survives::Host { file.sync_all() } else { Ok(()) })
        .and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        // The error that matters is the first one.
        let _removed = fs::remove_file(&aside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_predecessor_of_the_same_pid_has_left_behind_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let aside = folder.path().join(format!(".file.{}", std::process::id()));
        std::os::unix::fs::symlink("/nowhere", &aside).unwrap();
        put_for_this_boot(&folder.path().join("file"), b"new", 0o600).unwrap();
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"new");
        assert!(!aside.exists());
    }

    #[test]
    fn what_is_no_file_is_not_replaced_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(put(&socket, b"new", 0o600).is_err());
        assert!(!fs::symlink_metadata(&socket).unwrap().is_file());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_links_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        put(&file, b"old", 0o640).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }
}
