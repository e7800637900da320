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
    write_aside(&path, text, |file| {
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
    write_aside(path, text, |file| file.set_permissions(Permissions::from_mode(mode)))
}

fn write_aside(path: &Path, text: &[u8], prepare: impl FnOnce(&fs::File) -> io::Result<()>) -> io::Result<()> {
    let mut aside = OsString::from(".");
    aside.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    aside.push(format!(".{}", std::process::id()));
    let aside = path.with_file_name(aside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    let written = file
        .write_all(text)
        .and_then(|()| prepare(&file))
        .and_then(|()| file.sync_all())
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
