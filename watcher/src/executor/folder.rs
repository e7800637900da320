//! Folders that are ours, and locks in them.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    thread::sleep,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

/// Name of the lock in a folder.
pub(super) const LOCK: &str = "lock";

/// Takes a lock, within this many tries of 20 ms. It goes with the descriptor.
pub(super) fn lock(file: &File, tries: u32) -> io::Result<bool> {
    for _ in 0..tries {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => sleep(Duration::from_millis(20)),
            taken => return Ok(taken.map(|()| true)?),
        }
    }
    Ok(false)
}

/// Opens the lock of a folder that is ours, which is made where there is none. Whom it names stays until whoever takes it says
/// otherwise.
pub(super) fn open_lock(folder: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(folder.join(LOCK))
}

/// Makes a folder where there is nothing, with this mode, but not those above it.
pub(super) fn make_last(folder: &Path, mode: u32) -> io::Result<()> {
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    match above.map(fs::metadata) {
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            let above = above.unwrap_or(folder).display();
            Err(io::Error::new(error.kind(), format!("{above} does not exist, and is not made")))
        }
        Some(Ok(_) | Err(_)) | None => make(folder, mode),
    }
}

/// Makes a folder where there is nothing, with this mode.
pub(super) fn make(folder: &Path, mode: u32) -> io::Result<()> {
    if fs::symlink_metadata(folder).is_ok() {
        return Ok(());
    }
    match DirBuilder::new().recursive(true).mode(mode).create(folder) {
        // As it was meant, whatever the umask says.
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(mode)),
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// That a folder in which others of ours stand is changed by nobody else.
pub(super) fn check_root(root: &Path) -> io::Result<()> {
    const BY_OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let data = folder(root)?;
    if data.uid() != 0 && data.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("it belongs to user {}", data.uid())));
    }
    if data.mode() & BY_OTHERS != 0 && data.mode() & STICKY == 0 {
        return Err(io::Error::other("others may write it"));
    }
    Ok(())
}

/// That a folder is ours alone.
pub(super) fn check_own(dir: &Path) -> io::Result<()> {
    let data = folder(dir)?;
    if data.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("it belongs to user {}", data.uid())));
    }
    if data.mode() & 0o777 != 0o700 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn folder(path: &Path) -> io::Result<fs::Metadata> {
    let data = fs::symlink_metadata(path)?;
    if data.is_symlink() {
        Err(io::Error::other("it is a symbolic link"))
    } else if !data.is_dir() {
        Err(io::Error::other("it is not a folder"))
    } else {
        Ok(data)
    }
}
